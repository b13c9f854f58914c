//! How the replicas are, for their operator.

use std::time::Duration;

use async_nats::Client;
use futures::StreamExt;
use serde::{Deserialize, Serialize};

use crate::error::Cause;
use crate::replica_log::log::LogName;

/// Time for the first replica to answer, and then for each further one.
const PATIENCE: [Duration; 2] = [Duration::from_secs(3), Duration::from_millis(500)];

/// How a replica is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Which one; another one after every start.
    pub replica: String,
    /// Whether it writes.
    pub writes: bool,
    /// Number of the reign: grows with every change of the writer.
    pub term: u64,
    /// The last record whose changes it has.
    pub applied: u64,
    /// Records of the log that it does not have yet.
    pub behind: u64,
}

/// Asks every replica that runs; the one that writes comes first.
pub(crate) async fn ask(client: &Client, name: &LogName) -> Result<Vec<Health>, Cause> {
    let inbox = client.new_inbox();
    let mut replies = client.subscribe(inbox.clone()).await?;
    client.publish_with_reply(name.subject("health"), inbox, "".into()).await?;
    let mut found: Vec<Health> = Vec::new();
    let [mut patience, next] = PATIENCE;
    while let Ok(Some(reply)) = tokio::time::timeout(patience, replies.next()).await {
        // Nobody listens.
        if reply.status.is_some() {
            break;
        }
        patience = next;
        if let Ok(health) = serde_json::from_slice(&reply.payload) {
            found.push(health);
        }
    }
    found.sort_by(|one, other| (!one.writes, &one.replica).cmp(&(!other.writes, &other.replica)));
    Ok(found)
}
