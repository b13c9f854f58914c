//! Following conversations: each message once, in order, whatever happens to the process that owns the store.
//!
//! ```text
//! events of the session ──► [`Following::next`] ──► what is new, shown by the front end ──► [`Following::shown`]
//!        │ ended: the owner of the profile is gone; or too many waited
//!        └──► (the profile is opened again, and) what it has kept behind the last cursor is told
//! ```

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cipher_api::command::{event, group, message};
use cipher_api::view::{MessageState, MessageView};
use cipher_api::{Advice, Cursor, Error, ErrorKind, Event, Target};
use cipher_broker::id::{GroupId, MessageId};
use tokio::task::JoinHandle;
use tokio::time::Interval;

use crate::app::error::Result;
use crate::app::notice::FrontEnd;
use crate::app::patience;
use crate::app::profile::OpenProfile;
use crate::runtime::listener::Heard;
use crate::session::{self, Events, Session};
use crate::telemetry;

/// How often what was shown is marked as read.
const MARK: Duration = Duration::from_secs(2);
/// Kept events that are asked for at once.
const PAGE: usize = 256;

/// Which messages were shown already.
#[derive(Debug, Default)]
pub struct Seen {
    stored: HashSet<(MessageId, u64)>,
    queued: HashSet<MessageId>,
}

impl Seen {
    /// Whether a message is new here; it no longer is afterwards. An own message that was shown while it was
    /// queued is not shown again when it takes its place.
    pub fn first(&mut self, message: &MessageView) -> bool {
        match message.seq {
            Some(seq) => {
                let waited = self.queued.remove(&message.id);
                self.stored.insert((message.id, seq)) && !waited
            }
            None => self.queued.insert(message.id),
        }
    }
}

/// What a profile tells from a moment on. Taken before history is read, so that nothing falls between the two.
#[derive(Debug)]
pub struct Listening {
    events: Events,
    /// Behind what was told.
    cursor: Cursor,
}

impl Listening {
    /// Listens from now on.
    pub async fn begin(profile: &OpenProfile<'_>) -> Result<Self> {
        let events = profile.session.events();
        let end = event::List { after: None, subscriber: None, limit: 0 };
        Ok(Self { events, cursor: profile.ask(end).await?.next })
    }

    /// The next event that was not told yet; `None` when the session is over.
    async fn next(&mut self) -> Option<Event> {
        loop {
            let Heard { cursor, event } = self.events.hear().await?;
            match cursor {
                Some(cursor) if cursor <= self.cursor => continue,
                Some(cursor) => self.cursor = cursor,
                None => {}
            }
            return Some(event);
        }
    }
}

/// What to follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// One conversation: its id.
    One(GroupId),
    /// Several.
    Some(HashSet<GroupId>),
    /// All.
    All,
}

impl Scope {
    fn has(&self, group: GroupId) -> bool {
        match self {
            Self::One(one) => *one == group,
            Self::Some(some) => some.contains(&group),
            Self::All => true,
        }
    }
}

/// What happened in a followed conversation.
#[derive(Debug)]
pub enum News {
    /// A message that was not shown before, or has other words now.
    Message {
        /// The message.
        message: Box<MessageView>,
        /// The name of its conversation, where several are followed.
        conversation: Option<String>,
        /// Whether it came just now: other words for one of before are no news to be told of.
        new: bool,
    },
    /// Anything else: a group, a request to join, a presence, the state of an own message.
    Event(Event),
}

/// The way into what is followed, for whoever says something there meanwhile.
#[derive(Debug, Clone, Default)]
pub struct Outlet(Arc<Mutex<Option<Session>>>);

/// What became of words that were to be said.
#[derive(Debug)]
pub enum Said {
    /// They are in the log.
    Yes,
    /// They wait for the broker in the outbox.
    Queued,
    /// They were not said, and why.
    No(Error),
    /// The profile may have taken them, or not: who was asked ended before the answer.
    Unknown(Error),
    /// The profile has them, and does not know yet what becomes of them. Said again they would be said twice.
    Late(JoinHandle<Result<MessageView, Error>>),
}

impl Outlet {
    /// Says something, by the session that is open just then. Tells after a while what is known then.
    pub async fn say(&self, group: GroupId, text: String) -> Said {
        let session = match self.open().await {
            Ok(session) => session,
            Err(error) => return Said::No(error),
        };
        let words = message::Send::new(Target::Group(group), text);
        // On its way it goes on, however long somebody waits for it.
        let mut asked = tokio::spawn(async move { session.ask(words).await });
        match tokio::time::timeout(patience::SAID, &mut asked).await {
            Ok(Ok(answer)) => Said::of(answer),
            Ok(Err(error)) => Said::Unknown(ErrorKind::Bug.because_of("there is no answer", error)),
            Err(_) => Said::Late(asked),
        }
    }

    /// The session, once there is one.
    async fn open(&self) -> Result<Session, Error> {
        for _ in 0..patience::REOPENINGS {
            if let Some(session) = self.session() {
                return Ok(session);
            }
            // The profile is opened again just now.
            tokio::time::sleep(patience::REOPEN).await;
        }
        self.session().ok_or_else(|| {
            ErrorKind::Unreachable.because("the profile is being opened again").hint(Advice::TryAgain)
        })
    }

    fn session(&self) -> Option<Session> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn is(&self, session: Option<Session>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = session;
    }
}

impl Said {
    /// What an answer tells.
    pub fn of(answer: Result<MessageView, Error>) -> Self {
        match answer {
            Ok(said) if said.state == MessageState::Queued => Self::Queued,
            Ok(_) => Self::Yes,
            Err(error) if session::is_over(&error) => Self::Unknown(error),
            Err(error) => Self::No(error),
        }
    }
}

/// Conversations that are followed.
#[derive(Debug)]
pub struct Following<'a> {
    front: &'a dyn FrontEnd,
    /// `None` while it is opened again.
    profile: Option<OpenProfile<'a>>,
    outlet: Outlet,
    listening: Listening,
    feed: Feed,
    /// What was shown and is not marked as read yet.
    unread: HashMap<GroupId, Vec<MessageId>>,
    mark: Interval,
}

impl<'a> Following<'a> {
    /// Begins with an open profile, and what was shown of its history. Fails on a copy that has stopped.
    pub async fn start(
        front: &'a dyn FrontEnd,
        profile: OpenProfile<'a>,
        listening: Listening,
        scope: Scope,
        seen: Seen,
    ) -> Result<Self> {
        let begun = async {
            profile.goes_on().await?;
            names(&profile).await
        };
        let names = match begun.await {
            // The events end too, and then the profile is opened anew.
            Err(error) if error.is_gone() => HashMap::new(),
            names => names?,
        };
        let feed = Feed { scope, seen, names, ready: VecDeque::new() };
        let (unread, mark) = (HashMap::new(), tokio::time::interval(MARK));
        let outlet = Outlet::default();
        outlet.is(Some(profile.session.clone()));
        Ok(Self { front, profile: Some(profile), outlet, listening, feed, unread, mark })
    }

    /// The way in, for whoever says something there meanwhile.
    pub fn outlet(&self) -> Outlet {
        self.outlet.clone()
    }

    /// The name of the profile; `None` while it is opened again.
    pub fn profile(&self) -> Option<&str> {
        self.profile.as_ref().map(OpenProfile::name)
    }

    /// What is followed.
    pub const fn scope(&self) -> &Scope {
        &self.feed.scope
    }

    /// Waits for what is new. Cancel it only to end: a front end that has other things to do meanwhile gives it a task of
    /// its own.
    pub async fn next(&mut self) -> Result<News> {
        loop {
            if let Some(news) = self.feed.ready.pop_front() {
                return Ok(news);
            }
            let gone = match &self.profile {
                None => true,
                Some(profile) => tokio::select! {
                    event = self.listening.next() => match event {
                        None => true,
                        // The front end was slow: what it missed is kept.
                        Some(Event::Missed { .. }) => {
                            match self.feed.catch_up(profile, &mut self.listening.cursor).await {
                                Err(error) if error.is_gone() => true,
                                caught_up => caught_up.map(|()| false)?,
                            }
                        }
                        Some(event) => {
                            self.feed.take(profile, event)?;
                            false
                        }
                    },
                    _ = self.mark.tick(), if !self.unread.is_empty() => {
                        mark_read(&profile.session, &mut self.unread).await;
                        false
                    }
                },
            };
            if gone {
                self.open_again().await?;
            }
        }
    }

    /// What a conversation is called here.
    pub fn name(&self, group: GroupId) -> String {
        self.feed.names.get(&group).cloned().unwrap_or_default()
    }

    /// A message was shown: it is marked as read in due time.
    pub fn shown(&mut self, message: &MessageView) {
        self.unread.entry(message.group).or_default().push(message.id);
    }

    /// Ends. What was shown is marked as read.
    pub async fn close(mut self) {
        self.let_go().await;
    }

    async fn let_go(&mut self) {
        self.outlet.is(None);
        if let Some(profile) = self.profile.take() {
            mark_read(&profile.session, &mut self.unread).await;
            profile.close().await;
        }
    }

    /// The process that owned the profile has ended: from now on it is us, or another one that was faster, and may have
    /// ended again.
    async fn open_again(&mut self) -> Result {
        self.let_go().await;
        tokio::time::sleep(patience::REOPEN).await;
        let (profile, events) = OpenProfile::read(self.front, async |profile| {
            profile.goes_on().await?;
            let events = profile.session.events();
            self.feed.names = names(profile).await?;
            self.feed.catch_up(profile, &mut self.listening.cursor).await?;
            Ok(events)
        })
        .await?;
        self.outlet.is(Some(profile.session.clone()));
        (self.profile, self.listening.events) = (Some(profile), events);
        Ok(())
    }
}

/// From events to what was not shown before.
#[derive(Debug)]
struct Feed {
    scope: Scope,
    seen: Seen,
    names: HashMap<GroupId, String>,
    /// What is new and was not given yet.
    ready: VecDeque<News>,
}

impl Feed {
    /// What one event asks for.
    fn take(&mut self, profile: &OpenProfile<'_>, event: Event) -> Result {
        let wanted = match event {
            Event::Stopped { error } => return Err(profile.blamed(error)),
            Event::Evidence(_) | Event::Warning { .. } | Event::Connection { .. } => {
                profile.hear(&event);
                return Ok(());
            }
            Event::Message(message) => {
                if self.scope.has(message.group) {
                    self.message(*message);
                }
                return Ok(());
            }
            // Shown again, whether it was shown before or not: it has other words now.
            Event::Changed { message } => {
                if self.scope.has(message.group) {
                    self.seen.first(&message);
                    self.show(message, false);
                }
                return Ok(());
            }
            Event::Group(ref group) => {
                self.names.insert(group.id, group.name.clone());
                self.scope.has(group.id)
            }
            Event::JoinRequest(ref request) => self.scope.has(request.group),
            Event::State { group, .. } | Event::Typing { group, .. } => self.scope.has(group),
            Event::Presence { .. } => true,
            _ => false,
        };
        if wanted {
            self.ready.push_back(News::Event(event));
        }
        Ok(())
    }

    fn message(&mut self, message: MessageView) {
        if self.seen.first(&message) {
            self.show(Box::new(message), true);
        }
    }

    fn show(&mut self, message: Box<MessageView>, new: bool) {
        let conversation = self.label(message.group);
        self.ready.push_back(News::Message { message, conversation, new });
    }

    fn label(&self, group: GroupId) -> Option<String> {
        match self.scope {
            Scope::One(_) => None,
            Scope::Some(_) | Scope::All => self.names.get(&group).filter(|name| !name.is_empty()).cloned(),
        }
    }

    /// What the profile has kept behind the cursor, which moves along: stopped and begun again, it gives nothing twice.
    async fn catch_up(&mut self, profile: &OpenProfile<'_>, cursor: &mut Cursor) -> Result {
        // They are told as they are now, so one that was said and then changed, or was changed twice, is shown once.
        let mut as_now = HashSet::new();
        loop {
            let list = event::List { after: Some(*cursor), subscriber: None, limit: PAGE };
            let page = profile.ask(list).await?;
            if page.missed > 0 {
                self.ready.push_back(News::Event(Event::Missed { count: page.missed }));
            }
            for kept in page.events {
                let again = match &kept.event {
                    Event::Message(message) => {
                        as_now.insert((message.id, message.seq));
                        false
                    }
                    Event::Changed { message } => !as_now.insert((message.id, message.seq)),
                    // Whether this copy goes on was asked when it was opened.
                    Event::Stopped { .. } => true,
                    _ => false,
                };
                if !again {
                    self.take(profile, kept.event)?;
                }
                *cursor = kept.cursor;
            }
            *cursor = page.next;
            if !page.more {
                return Ok(());
            }
        }
    }
}

async fn names(profile: &OpenProfile<'_>) -> Result<HashMap<GroupId, String>> {
    let groups = profile.ask(group::List {}).await?;
    Ok(groups.into_iter().map(|group| (group.id, group.name)).collect())
}

/// What was shown is read, and nothing else. Best effort: what is not marked now is marked by the next reading.
async fn mark_read(session: &Session, unread: &mut HashMap<GroupId, Vec<MessageId>>) {
    for (group, ids) in unread.drain() {
        let command = message::Shown { group, ids };
        if let Err(error) = session.ask(command).await {
            tracing::debug!(kind = error.kind.name(), "messages shown could not be marked as read");
            telemetry::causes(&error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cipher_api::view::SenderView;
    use cipher_broker::certificate::Kind;
    use cipher_broker::id::{AccountId, DeviceId};
    use cipher_broker::time::Timestamp;

    fn message(id: u8, seq: Option<u64>) -> MessageView {
        let from = SenderView {
            handle: "alice".into(),
            account_id: AccountId::from_bytes([1; 32]),
            device_id: DeviceId::from_bytes([1; 16]),
            kind: Kind::Person,
        };
        let (id, group) = (MessageId::from_bytes([id; 16]), GroupId::from_bytes([1; 16]));
        MessageView { seq, ..MessageView::received(id, group, from, Timestamp::default(), "") }
    }

    #[test]
    fn each_message_is_shown_once() {
        let mut seen = Seen::default();
        assert!(seen.first(&message(1, Some(5))));
        assert!(!seen.first(&message(1, Some(5))));
        assert!(seen.first(&message(2, None)));
        assert!(!seen.first(&message(2, None)));
        assert!(!seen.first(&message(2, Some(6))), "shown while it was queued");
        assert!(!seen.first(&message(2, Some(6))));
        assert!(seen.first(&message(3, Some(7))));
    }
}
