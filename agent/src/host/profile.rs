//! The profile of a bot as its host needs it, over a session.

use std::collections::BTreeSet;

use cipher_bot::event::{Conversation, Me};
use cipher_bot_host::{BotProfile, Handled, HostError, Notice, ProfileError, Source, Waiting, Wakeups};
use cipher_broker::id::GroupId;
use cipher_core::{Command, CoreError, ErrorKind, Reply};

use crate::host::translate;
use crate::runtime::listener::Events;
use crate::runtime::timer;
use crate::session::Session;

/// Hosts a bot until the session ends or the bot is found to be broken. Dropping the future is safe at any time.
pub async fn run(session: &Session, name: &str, source: Source) -> Result<(), CoreError> {
    let Reply::Account(account) = session.request(Command::Whoami).await? else {
        return Err(ErrorKind::Bug.because("the core gave another answer than an account"));
    };
    let me = Me { handle: account.handle, account: account.account_id };
    let profile = SessionProfile { session: session.clone(), bot: name.into(), me };
    cipher_bot_host::run(profile, source).await.map_err(|error| worded(name, error))
}

fn worded(name: &str, error: HostError<Failed>) -> CoreError {
    match error {
        HostError::Profile(Failed(error)) => error,
        error @ HostError::Program { .. } => ErrorKind::Misuse
            .because(error.to_string())
            .hint("a bot answers {\"type\":\"describe\"} on its standard input with one line"),
        HostError::Broken(events) => ErrorKind::Bug
            .because(format!("the bot {name} failed at {events} events in a row"))
            .hint("mend it and start it again; what it has not seen yet waits for it"),
    }
}

#[derive(Clone)]
struct SessionProfile {
    session: Session,
    /// Name of the bot: its places and its memory are its own.
    bot: String,
    me: Me,
}

/// An error of the core.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Failed(CoreError);

impl ProfileError for Failed {
    fn may_pass(&self) -> bool {
        self.0.kind.retryable()
    }

    fn class(&self) -> &'static str {
        self.0.kind.name()
    }
}

impl Wakeups for Events {
    async fn next(&mut self) -> bool {
        Self::next(self).await.is_some()
    }

    fn now(&mut self) -> bool {
        Self::now(self).is_some()
    }
}

impl BotProfile for SessionProfile {
    type Error = Failed;
    type Wakeups = Events;

    async fn waiting(&self, limit: usize, busy: &BTreeSet<GroupId>) -> Result<Vec<Waiting>, Failed> {
        let busy = busy.iter().copied().collect();
        let command = Command::BotEvents { bot: self.bot.clone(), limit, busy };
        let Reply::BotEvents(views) = self.session.request(command).await.map_err(Failed)? else {
            return Err(Failed(ErrorKind::Bug.because("the core gave another answer than events")));
        };
        let mut waiting = Vec::new();
        for view in views {
            match translate::event(&view, &self.me, timer::now()) {
                Some(event) => waiting.push(Waiting { event, memory: view.memory.unwrap_or_default() }),
                // No bot can be told of it: the conversation goes on behind it.
                None => self.save(translate::passed_over(&self.bot, &view)).await?,
            }
        }
        Ok(waiting)
    }

    async fn handled(&self, handled: Handled) -> Result<(), Failed> {
        match translate::handled(&self.bot, handled) {
            Some(command) => self.save(command).await,
            None => {
                Err(Failed(ErrorKind::Bug.because("a bot handled an event that its profile did not give it")))
            }
        }
    }

    fn wakeups(&self) -> Events {
        self.session.events()
    }

    fn tell(&self, notice: Notice) {
        self.session.warn(sentence(&self.bot, &notice));
    }
}

impl SessionProfile {
    async fn save(&self, command: Command) -> Result<(), Failed> {
        self.session.request(command).await.map(drop).map_err(Failed)
    }
}

fn sentence(bot: &str, notice: &Notice) -> String {
    match notice {
        Notice::HeldBack { conversation: Conversation { id, name, direct } } => {
            let place = if *direct || name.is_empty() { id.short() } else { format!("'{name}'") };
            format!(
                "the bot {bot} gave as many answers in {place} as it may within a minute: what is asked there gets none \
                 until the minute is over"
            )
        }
        Notice::GaveUp { event, why } => {
            format!("the bot {bot} did not handle the event {}: {why}", event.short())
        }
    }
}
