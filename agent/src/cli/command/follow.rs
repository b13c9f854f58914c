//! Following conversations: each message once, in order, whatever happens to the process that owns the store.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use cipher_broker::id::{GroupId, MessageId};
use cipher_core::view::{GroupView, MessageView};
use cipher_core::{Command, ErrorKind, Event, Reply};

use crate::cli::context::Context;
use crate::cli::desk::{self, Desk};
use crate::cli::exit::{Failure, Result, unexpected};
use crate::cli::input::interrupt::Interrupt;
use crate::cli::show::line::Line;
use crate::cli::show::safe_text::safe_text;
use crate::control::client::is_gone;
use crate::session::Session;

/// How often what was shown is marked as read.
const MARK: Duration = Duration::from_secs(2);

/// Which messages were shown already.
#[derive(Debug, Default)]
pub struct Seen {
    stored: HashSet<(MessageId, u64)>,
    queued: HashSet<MessageId>,
    groups: HashSet<GroupId>,
}

impl Seen {
    /// Whether a message is new here; it no longer is afterwards. An own message that was shown while it was
    /// queued is not shown again when it takes its place.
    pub fn first(&mut self, message: &MessageView) -> bool {
        self.groups.insert(message.group);
        match message.seq {
            Some(seq) => {
                let waited = self.queued.remove(&message.id);
                self.stored.insert((message.id, seq)) && !waited
            }
            None => self.queued.insert(message.id),
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

/// Follows until interrupted. `start` is the desk to begin with and its news, taken before history was read.
pub async fn follow(
    context: &Context,
    mut desk: Desk<'_>,
    mut news: crate::session::Events,
    scope: Scope,
    mut seen: Seen,
    mut stop: Interrupt,
) -> Result {
    let begun = async {
        desk.goes_on().await?;
        names(&desk).await
    };
    let mut names = match begun.await {
        // The news end too, and the profile is opened anew below.
        Err(Failure::Failed(error)) if is_gone(&error) => HashMap::new(),
        names => names?,
    };
    loop {
        let mut unread = HashMap::new();
        let mut mark = tokio::time::interval(MARK);
        let ended = loop {
            tokio::select! {
                () = stop.wait() => break true,
                event = news.next() => {
                    let Some(event) = event else { break false };
                    // Whoever reads our output may pause; that must not keep us from ending.
                    tokio::select! {
                        () = stop.wait() => break true,
                        told = take(context, &desk, &event, &scope, &mut seen, &mut names, &mut unread) => match told {
                            Err(Failure::Failed(error)) if is_gone(&error) => break false,
                            told => told?,
                        },
                    }
                }
                _ = mark.tick(), if !unread.is_empty() => mark_read(&desk.session, &mut unread).await,
            }
        };
        mark_read(&desk.session, &mut unread).await;
        desk.close().await;
        if ended {
            return Ok(());
        }
        // The process that owned the profile has ended: from now on it is us, or another one that was faster, and may
        // have ended again.
        tokio::time::sleep(desk::REOPEN).await;
        (desk, (news, names)) = Desk::read(context, async |desk| {
            desk.goes_on().await?;
            let news = desk.session.events();
            let names = self::names(desk).await?;
            missed(context, desk, &scope, &mut seen, &names).await?;
            Ok((news, names))
        })
        .await?;
    }
}

/// What one event asks for.
async fn take(
    context: &Context,
    desk: &Desk<'_>,
    event: &Event,
    scope: &Scope,
    seen: &mut Seen,
    names: &mut HashMap<GroupId, String>,
    unread: &mut HashMap<GroupId, Vec<MessageId>>,
) -> Result {
    match event {
        Event::Stopped(error) => Err(desk.worded(error.clone()).into()),
        Event::Evidence(_) | Event::Warning(_) | Event::Connection { .. } => {
            desk.hear(event);
            Ok(())
        }
        // Whoever reads our output was slow: what it missed is in the store.
        Event::Missed(_) => {
            *names = self::names(desk).await?;
            missed(context, desk, scope, seen, names).await
        }
        event => show(context, event, scope, seen, names, unread).await,
    }
}

/// Shows what took its place while nobody followed.
async fn missed(
    context: &Context,
    desk: &Desk<'_>,
    scope: &Scope,
    seen: &mut Seen,
    names: &HashMap<GroupId, String>,
) -> Result {
    for group in names.keys().copied().filter(|group| scope.has(*group)) {
        // What is older than the newest we know was there before. It may lie far back.
        let mut last = 100;
        let (messages, known) = loop {
            let target = cipher_core::Target::Group(group);
            let messages = match desk.request(Command::Read { target, last: Some(last), mark: false }).await {
                Ok(Reply::Messages(messages)) => messages,
                Ok(_) => return Err(unexpected()),
                // An invitation that waits has nothing to show, whoever made it.
                Err(Failure::Failed(error)) if error.kind == ErrorKind::Refused => Vec::new(),
                Err(failure) => return Err(failure),
            };
            let known = messages
                .iter()
                .rposition(|message| message.seq.is_some_and(|seq| seen.stored.contains(&(message.id, seq))));
            let nothing = matches!(scope, Scope::All) && !seen.groups.contains(&group);
            if known.is_some() || messages.len() < last || nothing {
                break (messages, known);
            }
            last = last.saturating_mul(10);
        };
        let new = match (known, scope) {
            (Some(at), _) => at + 1,
            // Nothing of it was shown yet: its history is for `read`.
            (None, Scope::All) => continue,
            (None, Scope::One(_) | Scope::Some(_)) => 0,
        };
        let mut shown = HashMap::new();
        for message in messages.iter().skip(new) {
            if seen.first(message) {
                context.ui.message_in_time(message, label(scope, names, group)).await?;
                shown.entry(group).or_insert_with(Vec::new).push(message.id);
            }
        }
        mark_read(&desk.session, &mut shown).await;
    }
    Ok(())
}

async fn show(
    context: &Context,
    event: &Event,
    scope: &Scope,
    seen: &mut Seen,
    names: &mut HashMap<GroupId, String>,
    unread: &mut HashMap<GroupId, Vec<MessageId>>,
) -> Result {
    match event {
        Event::Message(message) if scope.has(message.group) => {
            if seen.first(message) {
                context.ui.message_in_time(message, label(scope, names, message.group)).await?;
                unread.entry(message.group).or_default().push(message.id);
            }
            Ok(())
        }
        Event::Group(group) => {
            names.insert(group.id, group.name.clone());
            if scope.has(group.id) { changed(context, group, scope).await } else { Ok(()) }
        }
        Event::JoinRequest(request) if scope.has(request.group) => {
            if context.ui.json() {
                return told(context, event).await;
            }
            let who = safe_text(&request.handle);
            context.ui.note(&format!(
                "{who} asks to be let into {}: cipher-chat group requests {} --accept {who}",
                safe_text(&request.group_name),
                request.group
            ));
            Ok(())
        }
        // Who is there now would drown what people say.
        Event::Presence { .. } if context.ui.json() => told(context, event).await,
        // People see the message; scripts want to know what became of it.
        Event::State { group, .. } if scope.has(*group) && context.ui.json() => told(context, event).await,
        _ => Ok(()),
    }
}

/// A group changed: scripts get it, and people an invitation; the rest they read in system lines.
async fn changed(context: &Context, group: &GroupView, scope: &Scope) -> Result {
    if context.ui.json() {
        return context.ui.show_in_time(&Line::Group(group)).await;
    }
    if let (Scope::All, Some(by)) = (scope, &group.invited_by) {
        context.ui.note(&format!(
            "@{by} invites you to {}: cipher-chat group accept {}",
            safe_text(&group.name),
            group.id
        ));
    }
    Ok(())
}

async fn told(context: &Context, event: &Event) -> Result {
    match Line::event(event) {
        Some(line) => context.ui.show_in_time(&line).await,
        None => Ok(()),
    }
}

fn label<'a>(scope: &Scope, names: &'a HashMap<GroupId, String>, group: GroupId) -> Option<&'a str> {
    match scope {
        Scope::One(_) => None,
        Scope::Some(_) | Scope::All => names.get(&group).map(String::as_str).filter(|name| !name.is_empty()),
    }
}

async fn names(desk: &Desk<'_>) -> Result<HashMap<GroupId, String>> {
    let Reply::Groups(groups) = desk.request(Command::Groups).await? else { return Err(unexpected()) };
    Ok(groups.into_iter().map(|group| (group.id, group.name)).collect())
}

/// What was shown is read, and nothing else. Best effort: what is not marked now is marked by the next `read`.
async fn mark_read(session: &Session, unread: &mut HashMap<GroupId, Vec<MessageId>>) {
    for (group, ids) in unread.drain() {
        let command = Command::Shown { group, ids };
        if let Err(error) = session.request(command).await {
            tracing::debug!(kind = error.kind.name(), "messages shown could not be marked as read");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cipher_broker::certificate::Kind;
    use cipher_broker::id::{AccountId, DeviceId};
    use cipher_broker::time::Timestamp;
    use cipher_core::view::{Body, MessageState, SenderView};

    fn message(id: u8, seq: Option<u64>) -> MessageView {
        MessageView {
            id: MessageId::from_bytes([id; 16]),
            group: GroupId::from_bytes([1; 16]),
            seq,
            from: SenderView {
                handle: "alice".into(),
                account_id: AccountId::from_bytes([1; 32]),
                device_id: DeviceId::from_bytes([1; 16]),
                kind: Kind::Person,
            },
            sent_at: Timestamp::default(),
            at: None,
            unread: false,
            body: Body::Text,
            text: String::new(),
            state: MessageState::Received,
            reply_to: None,
            hops: 0,
        }
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
