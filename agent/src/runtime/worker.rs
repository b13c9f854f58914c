//! The thread that owns the core: opens the store, handles one batch after the other, hands out effects.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use cipher_api::{Error, ErrorKind, Hint};
use cipher_core::{Core, Effect, Examined, Folder, Input, Options};
use cipher_seal::Key;
use rand_core::{OsRng, RngCore};
use tokio::sync::{mpsc, oneshot};

use crate::profile::Profile;
use crate::runtime::mailbox::{self, Mailbox};
use crate::runtime::timer::now;
use crate::telemetry;
use crate::unlock::{self, Unlocking};

/// Loaded groups a core keeps in memory.
const CACHED_GROUPS: usize = 64;
/// First pause after a failed batch; doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The effects of a core in the order in which it made them. They end when the core is gone and its store closed.
pub(crate) type Effects = mpsc::UnboundedReceiver<Vec<Effect>>;

/// The thread of a running core.
#[derive(Debug)]
pub(crate) struct Worker {
    thread: JoinHandle<()>,
}

impl Worker {
    /// Opens the store on a thread of its own. Gives a key for what lies beside it, derived for `purpose`. The error is the
    /// core's, [`ErrorKind::Locked`] included.
    pub(crate) async fn start(
        profile: Profile,
        unlocking: Unlocking,
        mailbox: Arc<Mailbox>,
        purpose: &'static str,
    ) -> Result<(Self, Effects, Key), Error> {
        let (opened, outcome) = oneshot::channel();
        let (sender, effects) = mpsc::unbounded_channel();
        let thread = thread::Builder::new()
            .name("core".into())
            .spawn(move || {
                match open(&profile, &unlocking) {
                    Ok((core, first)) => {
                        // Nobody receives only if the process gave up waiting: then the core just ends.
                        if opened.send(Ok(core.derived_key(purpose))).is_ok() && sender.send(first).is_ok() {
                            run(core, &mailbox, &sender);
                        }
                    }
                    Err(error) => drop(opened.send(Err(error))),
                }
            })
            .map_err(|error| ErrorKind::Bug.because_of("no thread for the core", error))?;
        let key = outcome.await.unwrap_or_else(|_| Err(gone()))?;
        Ok((Self { thread }, effects, key))
    }

    /// Joins the thread. Call it when the effects have ended: then it takes no time.
    pub(crate) fn join(self) {
        if self.thread.join().is_err() {
            tracing::error!("the core panicked");
        }
    }
}

/// What every request gets after the core's thread ended by itself.
pub(crate) fn gone() -> Error {
    ErrorKind::Bug.because("the core stopped unexpectedly").hint(Hint::ReportRepeated)
}

/// Looks at everything in a store that no other process has open.
pub(crate) async fn examine(profile: Profile, unlocking: Unlocking) -> Result<Examined, Error> {
    let look = move || {
        let mut seed = [0; 32];
        OsRng.fill_bytes(&mut seed);
        cipher_core::examine(Folder::new(profile.dir()), || unlock::unlock(&profile, &unlocking), seed)
    };
    tokio::task::spawn_blocking(look).await.unwrap_or_else(|_| Err(gone()))
}

fn open(profile: &Profile, unlocking: &Unlocking) -> Result<(Core, Vec<Effect>), Error> {
    let mut seed = [0; 32];
    OsRng.fill_bytes(&mut seed);
    let options = Options { seed, cached_groups: CACHED_GROUPS, receipts: true };
    let mut core = Core::open(Folder::new(profile.dir()), || unlock::unlock(profile, unlocking), &options)?;
    let first = core.resume(now())?;
    Ok((core, first))
}

/// Owns the core, so that the store is closed when this returns: before the effects end, which is what others wait for.
fn run(mut core: Core, mailbox: &Mailbox, effects: &mpsc::UnboundedSender<Vec<Effect>>) {
    let mut pause = FIRST_PAUSE;
    while let Some(batch) = mailbox.take() {
        let room = batch.iter().map(mailbox::weight_of).sum();
        let tickets: Vec<_> = batch.iter().filter_map(ticket_of).collect();
        match core.handle(batch, now()) {
            Ok(todo) => {
                pause = FIRST_PAUSE;
                mailbox.release(room);
                if !todo.is_empty() && effects.send(todo).is_err() {
                    break;
                }
            }
            Err(error) => {
                tracing::warn!(kind = error.kind.name(), "a batch was rolled back");
                telemetry::causes(&error);
                mailbox.release(room);
                let answers = tickets.into_iter().chain(core.abandoned()).collect::<BTreeSet<_>>();
                let answers =
                    answers.into_iter().map(|ticket| Effect::Reply { ticket, result: Err(error.clone()) });
                if effects.send(answers.collect()).is_err() {
                    break;
                }
                mailbox.pause(pause);
                pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
                mailbox.start_over();
            }
        }
    }
    if let Err(error) = core.rest() {
        tracing::debug!(kind = error.kind.name(), "what was put off was not done");
        telemetry::causes(&error);
    }
}

fn ticket_of(input: &Input) -> Option<cipher_core::Ticket> {
    match input {
        Input::Command { ticket, .. } => Some(*ticket),
        _ => None,
    }
}
