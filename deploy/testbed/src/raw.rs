//! Connections of our own, for what no shipped binary would do.

use async_nats::{Client, ConnectOptions};
use cipher_broker::subject::INBOX_PREFIX;

use crate::broker::Broker;
use crate::failure::Result;

/// Options with the login of agents.
pub fn as_agent(broker: &Broker) -> ConnectOptions {
    let (user, password) = broker.agent_login();
    ConnectOptions::with_user_and_password(user.into(), password.into())
        .custom_inbox_prefix(format!("{INBOX_PREFIX}.testbed"))
}

/// A connection with the login of agents.
pub async fn agent(broker: &Broker) -> Result<Client> {
    Ok(as_agent(broker).connect(broker.addresses()?).await?)
}

/// A connection with the login of the registry, which may manage streams.
pub async fn registry(broker: &Broker) -> Result<Client> {
    let (user, password) = broker.registry_login();
    let options = ConnectOptions::with_user_and_password(user.into(), password.into());
    Ok(options.custom_inbox_prefix(INBOX_PREFIX).connect(broker.addresses()?).await?)
}
