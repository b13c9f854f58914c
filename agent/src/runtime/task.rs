//! Tasks with a name and an owner: whoever started them ends them, last first.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::{AbortHandle, JoinHandle};

/// Finished tasks are forgotten when the list has grown this much.
const TIDY_AT: usize = 64;

/// A group of tasks that ends together. Cheap to clone; all clones mean the same group.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tasks {
    running: Arc<Mutex<Vec<Task>>>,
}

#[derive(Debug)]
struct Task {
    name: &'static str,
    handle: JoinHandle<()>,
}

impl Tasks {
    /// Starts a task of this group. The handle ends it alone, before the group does.
    pub(crate) fn spawn(
        &self,
        name: &'static str,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> AbortHandle {
        let handle = tokio::spawn(work);
        let abort = handle.abort_handle();
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if running.len() >= TIDY_AT && running.len() == running.capacity() {
            running.retain(|task| !task.handle.is_finished());
        }
        running.push(Task { name, handle });
        abort
    }

    /// Ends every task, the last one started first, and waits until each is gone.
    pub(crate) async fn end(&self) {
        loop {
            let last = self.running.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(Task { name, handle }) = last else { return };
            handle.abort();
            if handle.await.is_err_and(|error| error.is_panic()) {
                tracing::error!(task = name, "a task panicked");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_group_ends_all_its_tasks() {
        let tasks = Tasks::default();
        let alive = Arc::new(());
        for _ in 0..3 {
            let held = Arc::clone(&alive);
            tasks.spawn("test", async move {
                std::future::pending::<()>().await;
                drop(held);
            });
        }
        tasks.end().await;
        assert_eq!(Arc::strong_count(&alive), 1);
    }
}
