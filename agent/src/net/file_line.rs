//! A connection for the bytes of files: the session's own, or one of its own beside a session that another process runs.

use std::sync::Arc;

use cipher_api::Error;
use cipher_core::Interest;
use tokio::sync::mpsc;

use crate::net::connect::{self, Network};
use crate::net::link::Reach;
use crate::net::settings::NetworkSettings;
use crate::runtime::mailbox::Mailbox;
use crate::runtime::task::Tasks;

/// It moves chunks; what is known of files is asked of the session.
#[derive(Debug)]
pub(crate) struct FileLine {
    pub(crate) network: Network,
    /// Of a connection of its own.
    tasks: Option<Tasks>,
}

impl FileLine {
    /// Over a connection that is there.
    pub(crate) const fn over(network: Network) -> Self {
        Self { network, tasks: None }
    }

    /// Begins a connection.
    pub(crate) fn start(settings: &NetworkSettings) -> Result<Self, Error> {
        let tasks = Tasks::default();
        // Nobody is told of the connection; what the server does not allow is noticed by its silence.
        let (violations, _) = mpsc::unbounded_channel();
        let mailbox = Arc::new(Mailbox::default());
        let network = Network::start(settings, Interest::Outbox, mailbox, violations, &tasks)?;
        Ok(Self { network, tasks: Some(tasks) })
    }

    /// Fails with the reason when the broker cannot be reached.
    pub(crate) async fn up(&self, patience: std::time::Duration) -> Result<(), Error> {
        if tokio::time::timeout(patience, self.network.settled()).await.unwrap_or(false) {
            return Ok(());
        }
        let why = match &*self.network.link.borrow() {
            Reach::Down(why) => why.clone(),
            Reach::Pending | Reach::Up(_) => cipher_connection::Trouble::Slow,
        };
        Err(connect::unreachable(&self.network.servers, &why))
    }

    /// Ends a connection of its own.
    pub(crate) async fn end(self) {
        if let Some(tasks) = self.tasks {
            tasks.end().await;
        }
    }
}
