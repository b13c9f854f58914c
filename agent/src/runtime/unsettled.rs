//! What is under way and has no outcome yet: what a process waits for before it ends.

use std::sync::Arc;

use tokio::sync::watch;

/// How many of them there are. Cheap to clone; all clones mean the same number.
#[derive(Debug, Clone)]
pub(crate) struct Unsettled(Arc<watch::Sender<usize>>);

impl Default for Unsettled {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }
}

impl Unsettled {
    /// One more is under way.
    pub(crate) fn add(&self) {
        self.0.send_modify(|count| *count = count.saturating_add(1));
    }

    /// One has its outcome.
    pub(crate) fn done(&self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }

    /// Waits until there is none.
    pub(crate) async fn none(&self) {
        // The sender lives in `self`.
        drop(self.0.subscribe().wait_for(|count| *count == 0).await);
    }
}
