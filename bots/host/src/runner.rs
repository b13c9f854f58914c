//! Has a bot handle one event, whatever it does: panics, hangs or dies.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use cipher_bot::bot::{Bot, Handler, Outcome};
use cipher_bot::event::Event;
use cipher_bot::typing::Typing;
use tokio::sync::oneshot;

use crate::child::Child;
use crate::not_handled::{NotHandled, TIME_LIMIT};
use crate::worker::Run;

/// Where a bot comes from.
#[derive(Debug)]
pub enum Source {
    /// A bot in this process.
    Bot(Bot),
    /// A program that speaks the protocol of [`cipher_bot::stdio`].
    Program(PathBuf),
}

/// A bot that can be asked. Cheap to clone.
#[derive(Clone)]
pub(crate) enum Runner {
    Here(Arc<dyn Handler>),
    Child(Arc<Child>),
}

impl Runner {
    /// A bot that is ready. A program is started and asked what it is.
    pub(crate) async fn new(source: Source) -> Result<Self, (PathBuf, NotHandled)> {
        Ok(match source {
            Source::Bot(bot) => Self::Here(Arc::new(bot)),
            Source::Program(path) => match Child::start(path.clone()).await {
                Ok(child) => Self::Child(Arc::new(child)),
                Err(why) => return Err((path, why)),
            },
        })
    }

    pub(crate) async fn end(&self) {
        if let Self::Child(child) = self {
            child.end().await;
        }
    }
}

impl Run for Runner {
    async fn handle(&self, event: &Event, memory: &[u8], typing: &Typing) -> Result<Outcome, NotHandled> {
        match self {
            Self::Here(handler) => {
                let asked = (event.clone(), memory.to_vec(), typing.clone());
                here(Arc::clone(handler), asked, TIME_LIMIT).await
            }
            Self::Child(child) => child.handle(event, memory, typing).await,
        }
    }
}

/// On a thread of its own: a handler that hangs is left behind, and holds up neither others nor our own end.
async fn here(
    handler: Arc<dyn Handler>,
    (event, memory, typing): (Event, Vec<u8>, Typing),
    limit: Duration,
) -> Result<Outcome, NotHandled> {
    let (done, outcome) = oneshot::channel();
    let started = thread::Builder::new().name("bot".into()).spawn(move || {
        let handled = catch_unwind(AssertUnwindSafe(|| handler.handle(&event, &memory, &typing)));
        // Nobody listens if it took too long.
        drop(done.send(handled));
    });
    if started.is_err() {
        return Err(NotHandled::Broken("got no thread".into()));
    }
    match tokio::time::timeout(limit, outcome).await {
        Ok(Ok(Ok(handled))) => handled.map_err(NotHandled::Failed),
        Ok(Ok(Err(_)) | Err(_)) => Err(NotHandled::Panicked),
        Err(_) => Err(NotHandled::Slow),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cipher_bot::memory::Failure;

    struct Moody;

    impl Handler for Moody {
        fn handle(&self, event: &Event, memory: &[u8], _typing: &Typing) -> Result<Outcome, Failure> {
            match event.message().map(|message| message.text.as_str()) {
                Some("panic") => panic!("as told"),
                Some("hang") => loop {
                    thread::park();
                },
                _ => Ok(Outcome { actions: Vec::new(), memory: memory.to_vec(), held_back: false }),
            }
        }
    }

    async fn told(text: &str) -> Result<Outcome, NotHandled> {
        let event = cipher_bot::testing::event(1, "alice", text);
        // A busy machine takes its time to write a panic down.
        let limit = if text == "hang" { Duration::from_millis(200) } else { TIME_LIMIT };
        here(Arc::new(Moody), (event, b"m".to_vec(), Typing::default()), limit).await
    }

    #[tokio::test]
    async fn panics_and_endless_loops_are_troubles_of_one_event() {
        assert_eq!(told("panic").await, Err(NotHandled::Panicked));
        assert_eq!(told("hang").await, Err(NotHandled::Slow));
        assert_eq!(told("hello").await.map(|outcome| outcome.memory), Ok(b"m".to_vec()));
    }
}
