//! One event from the question to what is saved of it.

use std::future::Future;
use std::time::Duration;

use cipher_bot::action::answers;
use cipher_bot::bot::Outcome;
use cipher_bot::event::Event;
use cipher_bot::typing::Typing;
use rand_core::{OsRng, RngCore};
use tokio::sync::mpsc;

use crate::not_handled::NotHandled;
use crate::profile::{BotProfile, Handled, Notice, ProfileError as _, Waiting};

/// Attempts at one event before it is given up.
const ATTEMPTS: u32 = 3;
/// Pause before another attempt, doubling.
const PAUSE: Duration = Duration::from_millis(200);
/// Pause after the profile could not be asked.
pub(crate) const PROFILE_PAUSE: Duration = Duration::from_secs(1);

/// A bot that can be asked. Cheap to clone.
pub(crate) trait Run: Clone + Send + Sync + 'static {
    /// Has it handle an event.
    fn handle(
        &self,
        event: &Event,
        memory: &[u8],
        typing: &Typing,
    ) -> impl Future<Output = Result<Outcome, NotHandled>> + Send;
}

/// How an event went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Worked {
    Well,
    GaveUp,
    /// Nothing was saved: the event waits still.
    NotSaved,
}

/// Handles events of one bot. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Worker<P, R> {
    pub(crate) profile: P,
    pub(crate) runner: R,
}

impl<P: BotProfile, R: Run> Worker<P, R> {
    pub(crate) async fn work(&self, Waiting { event, memory }: Waiting) -> Worked {
        let outcome = match self.whispering(&event, &memory).await {
            Ok(outcome) => outcome,
            Err(why) => return self.give_up(&event, why).await,
        };
        let handled = Handled {
            event: event.id.clone(),
            say: answers(&event, outcome.actions),
            memory: (outcome.memory != memory).then_some(outcome.memory),
        };
        match self.profile.handled(handled).await {
            Ok(()) => {}
            Err(error) if error.is_final() => {
                return self.give_up(&event, NotHandled::Refused(error.to_string())).await;
            }
            Err(error) => return not_saved(error.class()).await,
        }
        if outcome.held_back {
            // Nobody is left to wonder why a bot that runs says nothing.
            self.profile.tell(Notice::HeldBack { conversation: event.conversation });
        }
        Worked::Well
    }

    /// Passes over an event that the bot cannot handle, and tells its owner.
    async fn give_up(&self, event: &Event, why: NotHandled) -> Worked {
        let nothing = Handled { event: event.id.clone(), say: Vec::new(), memory: None };
        if let Err(error) = self.profile.handled(nothing).await {
            return not_saved(error.class()).await;
        }
        // The log says which event; what the bot said about it may hold what people wrote.
        tracing::warn!(event = event.id.short(), "a bot gave up an event");
        self.profile.tell(Notice::GaveUp { event: event.id.clone(), why });
        Worked::GaveUp
    }

    /// Passes on that the bot is at work, as long as it is.
    async fn whispering(&self, event: &Event, memory: &[u8]) -> Result<Outcome, NotHandled> {
        // What is told while another such word waits says nothing new.
        let (tell, mut told) = mpsc::channel(1);
        let typing = Typing::new(move || {
            // A full or closed channel has told it.
            let _ = tell.try_send(());
        });
        let attempt = self.attempt(event, memory, &typing);
        tokio::pin!(attempt);
        let outcome = loop {
            tokio::select! {
                biased;
                outcome = &mut attempt => break outcome,
                Some(()) = told.recv() => self.profile.types(&event.conversation.id),
            }
        };
        // What it was told with its last breath: files of the outcome take a while to be brought.
        if told.try_recv().is_ok() {
            self.profile.types(&event.conversation.id);
        }
        outcome
    }

    async fn attempt(&self, event: &Event, memory: &[u8], typing: &Typing) -> Result<Outcome, NotHandled> {
        let mut pause = PAUSE;
        for _ in 1..ATTEMPTS {
            match self.runner.handle(event, memory, typing).await {
                Err(why) if why.may_pass() => {}
                settled => return settled,
            }
            tokio::time::sleep(jittered(pause)).await;
            pause = pause.saturating_mul(2);
        }
        self.runner.handle(event, memory, typing).await
    }
}

async fn not_saved(kind: &'static str) -> Worked {
    tracing::warn!(kind, "a bot's outcome was not saved; it will be asked again");
    tokio::time::sleep(PROFILE_PAUSE).await;
    Worked::NotSaved
}

/// The time, give or take a quarter: what broke many conversations at once is not asked by all of them at once again.
fn jittered(time: Duration) -> Duration {
    let quarter = time / 4;
    time.saturating_sub(quarter).saturating_add(quarter.saturating_mul(OsRng.next_u32() % 1024) / 512)
}
