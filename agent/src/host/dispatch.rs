//! Which event next: in order within a conversation, in parallel across, at most [`WORKERS`] at once.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use cipher_api::command::{account, bot};
use cipher_api::view::BotEventView;
use cipher_api::{Error, ErrorKind, Hint, Notice};
use cipher_bot::bot::Outcome;
use cipher_bot::event::{Conversation, Event, Me};
use cipher_broker::id::GroupId;
use tokio::sync::mpsc;

use crate::host::runner::{Runner, Source};
use crate::host::translate;
use crate::host::trouble::Trouble;
use crate::net::jitter;
use crate::runtime::task::Tasks;
use crate::runtime::timer;
use crate::session::Session;

/// Conversations worked on at once.
const WORKERS: usize = 8;
/// Events asked for at once.
const PAGE: usize = 256;
/// Attempts at one event before it is given up.
const ATTEMPTS: u32 = 3;
/// Pause before another attempt, doubling.
const PAUSE: Duration = Duration::from_millis(200);
/// Pause after the core could not be asked.
const CORE_PAUSE: Duration = Duration::from_secs(1);
/// Events given up in a row after which the bot is taken for broken: the rest waits until it is mended.
const GIVEN_UP: u32 = 10;

/// Hosts a bot until the session ends or the bot is found to be broken. Dropping the future is safe at any time.
pub async fn run(session: &Session, name: &str, source: Source) -> Result<(), Error> {
    let account = session.ask(account::Show {}).await?;
    let me = Me { handle: account.handle, account: account.account_id };
    let runner = Runner::new(source).await?;
    let tasks = Tasks::default();
    let worker = Worker { session: session.clone(), bot: name.into(), me, runner: runner.clone() };
    let ended = dispatch(session, name, &worker, &tasks).await;
    tasks.end().await;
    runner.end().await;
    ended
}

async fn dispatch(session: &Session, name: &str, worker: &Worker, tasks: &Tasks) -> Result<(), Error> {
    // Before the first look, so that nothing falls between.
    let mut news = session.events();
    let (done, mut finished) = mpsc::unbounded_channel();
    let mut busy = BTreeSet::new();
    let mut given_up = 0;
    loop {
        let waiting = match unhandled(session, name).await {
            Ok(waiting) => waiting,
            Err(error) if error.kind.retryable() => {
                tracing::warn!(kind = error.kind.name(), "a bot's events cannot be read");
                tokio::time::sleep(CORE_PAUSE).await;
                continue;
            }
            Err(error) => return Err(error),
        };
        for (group, events) in waiting {
            if busy.len() < WORKERS && busy.insert(group) {
                let (worker, done) = (worker.clone(), done.clone());
                tasks.spawn("bot", async move {
                    let outcome = worker.work(events).await;
                    // Nobody listens any more only when the host ends.
                    let _ = done.send((group, outcome));
                });
            }
        }
        tokio::select! {
            event = news.next() => {
                if event.is_none() {
                    return Ok(());
                }
                // A burst of news is one look.
                tokio::task::yield_now().await;
                while news.now().is_some() {}
            }
            Some((group, outcome)) = finished.recv() => {
                busy.remove(&group);
                given_up = match outcome {
                    Worked::Well => 0,
                    Worked::GaveUp => given_up + 1,
                    Worked::CoreFailed => {
                        tokio::time::sleep(CORE_PAUSE).await;
                        given_up
                    }
                };
                if given_up >= GIVEN_UP {
                    return Err(ErrorKind::Bug
                        .because(format!("the bot {name} failed at {GIVEN_UP} events in a row"))
                        .hint(Hint::text("mend it and start it again; what it has not seen yet waits for it")));
                }
            }
        }
    }
}

/// Unhandled events by conversation, each in order.
async fn unhandled(session: &Session, bot: &str) -> Result<BTreeMap<GroupId, VecDeque<BotEventView>>, Error> {
    let views = session.ask(bot::Events { bot: bot.into(), limit: PAGE, busy: vec![] }).await?;
    let mut waiting: BTreeMap<GroupId, VecDeque<BotEventView>> = BTreeMap::new();
    for view in views {
        waiting.entry(view.message.group).or_default().push_back(view);
    }
    Ok(waiting)
}

/// How a run of events went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Worked {
    Well,
    GaveUp,
    CoreFailed,
}

#[derive(Clone)]
struct Worker {
    session: Session,
    bot: String,
    me: Me,
    runner: Runner,
}

impl Worker {
    /// Handles the events of one conversation, one after the other. Ends early when one was given up, so that the
    /// dispatcher counts it.
    async fn work(&self, mut events: VecDeque<BotEventView>) -> Worked {
        // Each view has the memory as it was before any of them; from then on the last outcome's counts.
        let mut memory = events.front().and_then(|view| view.memory.clone());
        while let Some(view) = events.pop_front() {
            let Some(event) = translate::event(&view, &self.me, timer::now()) else { continue };
            let before = memory.clone().unwrap_or_default();
            let (outcome, worked) = match self.attempt(&event, &before).await {
                Ok(outcome) => (outcome, Worked::Well),
                Err(trouble) => {
                    self.report(&event, &trouble);
                    (Outcome { actions: Vec::new(), memory: before, held_back: false }, Worked::GaveUp)
                }
            };
            let (after, held_back) = (outcome.memory.clone(), outcome.held_back);
            let Some(handled) = translate::handled(&self.bot, &event, memory.as_deref(), outcome) else {
                continue;
            };
            if let Err(error) = self.session.ask(handled).await {
                tracing::warn!(
                    kind = error.kind.name(),
                    "a bot's outcome was not saved; it will be asked again"
                );
                return Worked::CoreFailed;
            }
            if held_back {
                self.report_silence(&event);
            }
            memory = Some(after);
            if worked == Worked::GaveUp {
                return worked;
            }
        }
        Worked::Well
    }

    async fn attempt(&self, event: &Event, memory: &[u8]) -> Result<Outcome, Trouble> {
        let mut pause = PAUSE;
        for _ in 1..ATTEMPTS {
            match self.runner.handle(event, memory).await {
                Err(trouble) if trouble.may_pass() => {}
                settled => return settled,
            }
            tokio::time::sleep(jitter::jittered(pause)).await;
            pause = pause.saturating_mul(2);
        }
        self.runner.handle(event, memory).await
    }

    /// Nobody is left to wonder why a bot that runs says nothing.
    fn report_silence(&self, event: &Event) {
        let Conversation { id: group, name, direct } = &event.conversation;
        let name = if *direct { String::new() } else { name.clone() };
        self.session.warn(Notice::BotSilent { bot: self.bot.clone(), group: *group, name });
    }

    /// The log says which event; what the bot said about it may hold what people wrote, so only whoever listens to
    /// the session hears it.
    fn report(&self, event: &Event, trouble: &Trouble) {
        tracing::warn!(event = event.id.short(), "a bot gave up an event");
        self.session.warn(Notice::BotGaveUp {
            bot: self.bot.clone(),
            event: event.id.short(),
            trouble: trouble.to_string(),
        });
    }
}
