//! The profile of a bot as its host needs it, over a session.

use std::collections::BTreeSet;

use cipher_api::command::{account, bot, message};
use cipher_api::{Error, ErrorKind, Hint, Target};
use cipher_bot::event::{Conversation, Me};
use cipher_bot_host::{BotProfile, Handled, HostError, Notice, ProfileError, Source, Waiting, Wakeups};
use cipher_broker::id::GroupId;

use crate::host::{files, translate};
use crate::profile::Profile;
use crate::runtime::listener::Events;
use crate::runtime::timer;
use crate::session::Session;

/// Hosts a bot until the session ends or the bot is found to be broken. What it attaches lies in the folder of its profile
/// until it was sent. Dropping the future is safe at any time.
pub async fn run(session: &Session, place: Profile, name: &str, source: Source) -> Result<(), Error> {
    let account = session.ask(account::Show {}).await?;
    let me = Me { handle: account.handle, account: account.account_id };
    let profile = SessionProfile { session: session.clone(), place, bot: name.into(), me };
    cipher_bot_host::run(profile, source).await.map_err(|error| worded(name, error))
}

fn worded(name: &str, error: HostError<Failed>) -> Error {
    match error {
        HostError::Profile(Failed(error)) => error,
        error @ HostError::Program { .. } => ErrorKind::Misuse
            .because(error.to_string())
            .hint(Hint::text("a bot answers {\"type\":\"describe\"} on its standard input with one line"))
            .caused_by(error),
        HostError::Broken(events) => ErrorKind::Bug
            .because(format!("the bot {name} failed at {events} events in a row"))
            .hint(Hint::text(
                "repair the bot and start it again; events that it has not seen yet are kept for it",
            )),
    }
}

#[derive(Clone)]
struct SessionProfile {
    session: Session,
    /// Where files lie until they were sent.
    place: Profile,
    /// Name of the bot: its places and its memory are its own.
    bot: String,
    me: Me,
}

/// An error of the core.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Failed(Error);

impl ProfileError for Failed {
    fn may_pass(&self) -> bool {
        self.0.kind.retryable()
    }

    fn is_final(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Usage | ErrorKind::Misuse | ErrorKind::Trust)
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
        let events = bot::Events { bot: self.bot.clone(), limit, busy };
        let views = self.session.ask(events).await.map_err(Failed)?;
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
        let mut files = Vec::with_capacity(handled.say.len());
        for answer in &handled.say {
            files.push(files::bring(&self.session, &self.place, answer).await.map_err(Failed)?);
        }
        match translate::handled(&self.bot, handled, files) {
            Some(command) => self.save(command).await,
            None => {
                Err(Failed(ErrorKind::Bug.because("a bot handled an event that its profile did not give it")))
            }
        }
    }

    fn types(&self, conversation: &GroupId) {
        self.session.mention(message::Typing { target: Target::Group(*conversation) });
    }

    fn wakeups(&self) -> Events {
        self.session.events()
    }

    fn tell(&self, notice: Notice) {
        self.session.warn(told(&self.bot, notice));
    }
}

impl SessionProfile {
    async fn save(&self, handled: bot::Handled) -> Result<(), Failed> {
        self.session.ask(handled).await.map(drop).map_err(Failed)
    }
}

fn told(bot: &str, notice: Notice) -> cipher_api::Notice {
    match notice {
        Notice::HeldBack { conversation: Conversation { id: group, name, direct } } => {
            let name = if direct { String::new() } else { name };
            cipher_api::Notice::BotSilent { bot: bot.into(), group, name }
        }
        Notice::GaveUp { event, why } => {
            cipher_api::Notice::BotGaveUp { bot: bot.into(), event: event.short(), trouble: why.to_string() }
        }
    }
}
