//! Which event next: in order within a conversation, in parallel across, at most [`WORKERS`] at once.
//!
//! A worker has one event at a time, and then it is the turn of the conversation that waits longest. So however much
//! waits in one conversation, another waits for the handlers that are running and for no more.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use cipher_broker::id::GroupId;
use tokio::task::{self, JoinSet};

use crate::not_handled::NotHandled;
use crate::profile::{BotProfile, ProfileError as _, Waiting, Wakeups as _};
use crate::runner::{Runner, Source};
use crate::worker::{PROFILE_PAUSE, Run, Worked, Worker};

/// Conversations worked on at once.
const WORKERS: usize = 8;
/// Events given up in a row after which the bot is taken for broken: the rest waits until it is mended.
const GIVEN_UP: u32 = 10;

/// Why hosting ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError<E> {
    /// The profile cannot be used.
    #[error("{0}")]
    Profile(E),
    /// The program cannot be started, or is no bot.
    #[error("{} cannot be used as a bot: {why}", program.display())]
    Program {
        /// The program.
        program: PathBuf,
        /// What happened.
        why: NotHandled,
    },
    /// The bot failed at so many events in a row. What it has not seen yet waits for it.
    #[error("the bot failed at {0} events in a row")]
    Broken(u32),
}

/// Hosts a bot until the profile is closed or the bot is found to be broken. Dropping the future is safe at any time.
pub async fn run<P: BotProfile>(profile: P, source: Source) -> Result<(), HostError<P::Error>> {
    let runner = Runner::new(source).await.map_err(|(program, why)| HostError::Program { program, why })?;
    let mut working = Working::default();
    let ended = dispatch(&Worker { profile, runner: runner.clone() }, &mut working).await;
    working.tasks.shutdown().await;
    runner.end().await;
    ended
}

async fn dispatch<P: BotProfile, R: Run>(
    worker: &Worker<P, R>,
    working: &mut Working,
) -> Result<(), HostError<P::Error>> {
    let profile = &worker.profile;
    // Before the first look, so that nothing falls between.
    let mut wakeups = profile.wakeups();
    let mut given_up: u32 = 0;
    loop {
        let free = WORKERS.saturating_sub(working.busy.len());
        if free > 0 {
            match profile.waiting(free, &working.busy).await {
                Ok(waiting) => waiting.into_iter().for_each(|waiting| working.begin(worker, waiting)),
                Err(error) if error.may_pass() => {
                    tracing::warn!(kind = error.class(), "a bot's events cannot be read");
                    tokio::time::sleep(PROFILE_PAUSE).await;
                    continue;
                }
                Err(error) => return Err(HostError::Profile(error)),
            }
        }
        tokio::select! {
            more = wakeups.next() => {
                if !more {
                    return Ok(());
                }
                // A burst of news is one look.
                task::yield_now().await;
                while wakeups.now() {}
            }
            Some(worked) = working.ended() => {
                given_up = match worked {
                    Worked::Well => 0,
                    Worked::GaveUp => given_up.saturating_add(1),
                    Worked::NotSaved => given_up,
                };
                if given_up >= GIVEN_UP {
                    return Err(HostError::Broken(GIVEN_UP));
                }
            }
        }
    }
}

/// Workers that have an event. They end with the host.
#[derive(Default)]
struct Working {
    tasks: JoinSet<Worked>,
    /// Conversations by the task that works on them.
    of_tasks: BTreeMap<task::Id, GroupId>,
    busy: BTreeSet<GroupId>,
}

impl Working {
    /// Has a worker handle an event. The others of the same conversation wait for their turn.
    fn begin<P: BotProfile, R: Run>(&mut self, worker: &Worker<P, R>, waiting: Waiting) {
        let conversation = waiting.event.conversation.id;
        if self.busy.insert(conversation) {
            let worker = worker.clone();
            let task = self.tasks.spawn(async move { worker.work(waiting).await });
            self.of_tasks.insert(task.id(), conversation);
        }
    }

    /// How the next worker that ends fared; `None` when none works. Dropping the future loses nothing.
    async fn ended(&mut self) -> Option<Worked> {
        let ended = self.tasks.join_next_with_id().await?;
        let (id, worked) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                tracing::error!(%error, "a worker of a bot's host ended early");
                (error.id(), Worked::GaveUp)
            }
        };
        if let Some(conversation) = self.of_tasks.remove(&id) {
            self.busy.remove(&conversation);
        }
        Some(worked)
    }
}

#[cfg(test)]
#[path = "dispatch_test.rs"]
mod tests;
