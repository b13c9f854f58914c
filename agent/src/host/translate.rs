//! Between the core's view of a conversation and what bots are told.

use cipher_api::command::bot;
use cipher_api::view::{
    AttachmentView, Body, BotChange, BotChangeView, BotEventView, BotMemberView, GroupEvent, MessageView,
};
use cipher_bot::action::Answer;
use cipher_bot::event::{
    Attachment, Change, Conversation, Event, EventKind, LogId, Me, Member, MemberChange, Message, Reaction,
    Sender, Vote,
};
use cipher_bot_host::Handled;
use cipher_broker::certificate::Kind;
use cipher_broker::handle::Handle;
use cipher_broker::id::{AccountId, FileId};
use cipher_broker::time::Timestamp;
use cipher_broker::wire::group::Role;

/// The event of a view; `None` for a message without a place in the log, which no bot is told. Its time is the
/// broker's: a bot that was away and finds a day's questions was not asked all of them in this minute. `now` stands in
/// for rows of before that time was kept.
pub(super) fn event(view: &BotEventView, me: &Me, now: Timestamp) -> Option<Event> {
    let message = &view.message;
    let name = if view.direct { String::new() } else { view.group_name.clone() };
    message.seq?;
    Some(Event {
        id: LogId { conversation: message.group, position: view.position, place: view.place }.into(),
        me: me.clone(),
        conversation: Conversation { id: message.group, name, direct: view.direct },
        at: view.changed_at.or(message.at).unwrap_or(now),
        kind: kind(view, me)?,
    })
}

fn kind(view: &BotEventView, me: &Me) -> Option<EventKind> {
    let message = &view.message;
    if let Some(change) = &view.change {
        return changed(view, change);
    }
    let of_members = |change| {
        let who = member(view.who.as_ref()?)?;
        Some(EventKind::of_members(me, MemberChange { who, change, by: member(&view.by)? }))
    };
    match &message.body {
        Body::Text | Body::Poll(_) => Some(EventKind::Message(said(view)?)),
        Body::Event { event: GroupEvent::Added | GroupEvent::Joined, .. } => of_members(Change::Added),
        Body::Event { event: GroupEvent::Removed | GroupEvent::Left, .. } => of_members(Change::Removed),
        Body::Event { event: GroupEvent::Role, .. } => of_members(Change::Role),
        // R-SAY-01: what a member sent under the name of an event is not one.
        Body::Grant(grant) => {
            let from = &message.from;
            Some(EventKind::HistoryGranted {
                message_id: message.id,
                sender: sender(view, &from.handle, from.account_id, from.kind)?,
                to: grant.to.clone(),
                to_id: grant.account_id,
                count: grant.count,
                refused: grant.refused,
            })
        }
        // R-GRANT-07: what was said before is said to nobody now.
        Body::Unknown(_) | Body::Missing(_) | Body::Granted(_) | Body::Event { .. } => {
            Some(EventKind::Unknown)
        }
    }
}

/// What an account made of an earlier message.
fn changed(view: &BotEventView, BotChangeView { what, hops }: &BotChangeView) -> Option<EventKind> {
    let (message, hops) = (&view.message, *hops);
    let (message_id, sender) =
        (message.id, sender(view, &view.by.handle, view.by.account_id, view.by.kind?)?);
    Some(match what {
        // Other words that were taken back since.
        BotChange::Edited if message.deleted || message.expired => EventKind::Unknown,
        BotChange::Edited if matches!(message.body, Body::Text | Body::Poll(_)) => {
            EventKind::Edited(Message { hops, ..said(view)? })
        }
        BotChange::Deleted => EventKind::Deleted { message_id, sender, hops },
        BotChange::Reaction { emoji, removed } => {
            let (emoji, removed) = (emoji.clone(), *removed);
            EventKind::Reaction(Reaction { message_id, emoji, removed, sender, hops })
        }
        BotChange::Vote { options } => {
            EventKind::Vote(Vote { message_id, options: options.clone(), sender, hops })
        }
        BotChange::PollClosed => EventKind::PollClosed { message_id, sender, hops },
        BotChange::Pinned { removed } => EventKind::Pinned { message_id, sender, removed: *removed, hops },
        BotChange::Edited | BotChange::Unknown => EventKind::Unknown,
    })
}

/// The words of a message.
fn said(view: &BotEventView) -> Option<Message> {
    let message: &MessageView = &view.message;
    let options = match &message.body {
        Body::Poll(poll) => poll.options.iter().map(|option| option.text.clone()).collect(),
        _ => Vec::new(),
    };
    let from = &message.from;
    Some(Message {
        message_id: message.id,
        sender: sender(view, &from.handle, from.account_id, from.kind)?,
        text: message.text.clone(),
        reply_to: message.reply_to,
        hops: message.hops,
        sent_at: message.sent_at,
        attachments: message.attachments.iter().map(attachment).collect(),
        mentions: message.mentions.clone(),
        mentions_me: message.mentions_own,
        thread: message.thread,
        forwarded: message.forwarded,
        options,
    })
}

fn sender(view: &BotEventView, known: &str, account_id: AccountId, kind: Kind) -> Option<Sender> {
    let role = view.by.role.unwrap_or(Role::Member);
    Some(Sender { handle: handle(known, &account_id)?, account_id, kind, role })
}

fn attachment(view: &AttachmentView) -> Attachment {
    Attachment { name: view.name.clone(), size: view.size, mime: view.mime.clone(), id: view.id }
}

fn member(view: &BotMemberView) -> Option<Member> {
    let handle = handle(&view.handle, &view.account_id)?;
    Some(Member { handle, account_id: view.account_id, kind: view.kind, role: view.role })
}

/// The handle; while none is known, the beginning of the account id, which has the form of one.
fn handle(known: &str, account: &AccountId) -> Option<Handle> {
    known.parse().or_else(|_| account.to_string().chars().take(32).collect::<String>().parse()).ok()
}

/// What saves an outcome whose answers name these files; `None` if the event is not one of the log.
pub(super) fn handled(bot: &str, handled: Handled, files: Vec<Vec<FileId>>) -> Option<bot::Handled> {
    let LogId { conversation: group, position, place } = *handled.event.log()?;
    let Handled { say, memory, .. } = handled;
    let named = |(answer, files): (Answer, _)| bot::Say { files, ..answer.say.into() };
    let say = say.into_iter().zip(files).map(named).collect();
    Some(bot::Handled { bot: bot.into(), group, position, place, say, memory })
}

/// What passes over an event that no bot can be told of.
pub(super) fn passed_over(bot: &str, view: &BotEventView) -> bot::Handled {
    let (group, position, place) = (view.message.group, view.position, view.place);
    bot::Handled { bot: bot.into(), group, position, place, say: Vec::new(), memory: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cipher_api::view::{MessageView, SenderView};
    use cipher_broker::id::{DeviceId, GroupId, MessageId};

    fn account(n: u8) -> BotMemberView {
        let account_id = AccountId::from_bytes([n; 32]);
        let role = Some(Role::Admin);
        BotMemberView { handle: account_id.to_string(), account_id, kind: Some(Kind::Person), role }
    }

    /// What account 1 said, or did to another one.
    fn view(body: Body, who: Option<u8>) -> BotEventView {
        let by = account(1);
        let from = SenderView {
            handle: by.handle.clone(),
            account_id: by.account_id,
            device_id: DeviceId::from_bytes([3; 16]),
            kind: Kind::Person,
        };
        let (id, group) = (MessageId::from_bytes([1; 16]), GroupId::from_bytes([2; 16]));
        let said = MessageView::received(id, group, from, Timestamp::from_millis(5), "/echo hi");
        BotEventView {
            message: MessageView { seq: Some(7), body, hops: 1, ..said },
            position: 7,
            place: 2,
            by,
            who: who.map(account),
            memory: None,
            changed_at: None,
            change: None,
            group_name: "ops".into(),
            direct: false,
        }
    }

    fn me() -> Me {
        Me { handle: "echo".parse().unwrap(), account: AccountId::from_bytes([9; 32]) }
    }

    /// B3, S3: whom it is about and who did it, each in its place.
    #[test]
    fn b3_every_kind_of_line_is_an_event_that_says_whom_it_is_about() {
        let told = |body, who| event(&view(body, who), &me(), Timestamp::default()).unwrap().kind;
        let seen = |event| Body::Event { event, who: Vec::new() };
        assert!(matches!(told(Body::Text, None), EventKind::Message(_)));
        let by = member(&account(1)).unwrap();
        assert_eq!(told(seen(GroupEvent::Added), Some(9)), EventKind::Joined { by: by.clone() });
        assert_eq!(told(seen(GroupEvent::Removed), Some(9)), EventKind::Left { by: by.clone() });
        for (kind, change) in [
            (GroupEvent::Added, Change::Added),
            (GroupEvent::Left, Change::Removed),
            (GroupEvent::Removed, Change::Removed),
            (GroupEvent::Role, Change::Role),
        ] {
            let who = member(&account(4)).unwrap();
            let expected = MemberChange { who, change, by: by.clone() };
            assert_eq!(told(seen(kind), Some(4)), EventKind::MemberChanged(expected));
        }
        assert_eq!(told(seen(GroupEvent::Renamed), Some(1)), EventKind::Unknown);
        let mut queued = view(Body::Text, None);
        queued.message.seq = None;
        assert!(event(&queued, &me(), Timestamp::default()).is_none());
    }

    /// B02: each of them says how many bots led to it, or two bots would answer each other's changes for ever.
    #[test]
    fn b02_a_change_is_told_with_its_time_its_author_and_the_bots_that_led_to_it() {
        let at = Timestamp::from_millis(9);
        let told = |what, deleted| {
            let mut view = view(Body::Text, None);
            (view.changed_at, view.message.deleted) = (Some(at), deleted);
            view.change = Some(BotChangeView { what, hops: 3 });
            let event = event(&view, &me(), Timestamp::default()).unwrap();
            assert_eq!(event.at, at);
            let hops = event.hops_of_answers();
            (event.kind, hops)
        };
        let edited = told(BotChange::Edited, false);
        assert!(matches!(edited, (EventKind::Edited(ref said), 4) if said.text == "/echo hi"), "{edited:?}");
        assert_eq!(told(BotChange::Edited, true).0, EventKind::Unknown, "taken back since");
        assert!(matches!(told(BotChange::Deleted, true), (EventKind::Deleted { .. }, 4)));
        let reaction = BotChange::Reaction { emoji: "\u{1f44d}".into(), removed: true };
        let reaction = told(reaction, false);
        assert!(matches!(reaction, (EventKind::Reaction(ref said), 4) if said.removed), "{reaction:?}");
        let vote = told(BotChange::Vote { options: vec!["tea".into()] }, false);
        assert!(matches!(vote, (EventKind::Vote(ref said), 4) if said.options == ["tea"]), "{vote:?}");
        assert!(matches!(told(BotChange::PollClosed, false), (EventKind::PollClosed { .. }, 4)));
        let pinned = told(BotChange::Pinned { removed: false }, false);
        assert!(matches!(pinned, (EventKind::Pinned { removed: false, .. }, 4)), "{pinned:?}");
        assert_eq!(told(BotChange::Unknown, false).0, EventKind::Unknown);
    }

    /// B03 counts by the log, not by when the bot happened to run: killed and started again, it answers each question of
    /// a backlog, as it would have done at the time.
    #[test]
    fn b03_the_time_of_an_event_is_the_brokers() {
        let (stored, now) = (Timestamp::from_millis(600_000), Timestamp::from_millis(9_000_000));
        let mut asked = view(Body::Text, None);
        asked.message.at = Some(stored);
        assert_eq!(event(&asked, &me(), now).unwrap().at, stored);
        asked.message.at = None;
        assert_eq!(event(&asked, &me(), now).unwrap().at, now, "a row of before it was kept");
    }

    #[test]
    fn a10_f6_r_say_01_a_payload_is_never_a_change_of_members() {
        for kind in ["joined", "removed", "left", "role", "added", "event", "member-changed", "poll"] {
            let told =
                event(&view(Body::Unknown(kind.into()), None), &me(), Timestamp::default()).unwrap().kind;
            assert_eq!(told, EventKind::Unknown, "{kind}");
        }
    }

    #[test]
    fn what_is_saved_is_at_the_place_of_the_event() {
        let (view, id) =
            (view(Body::Text, None), event(&view(Body::Text, None), &me(), Timestamp::default()));
        let memory = Some(b"m".to_vec());
        let saved = handled(
            "echo",
            Handled { event: id.unwrap().id, say: Vec::new(), memory: memory.clone() },
            Vec::new(),
        );
        let group = view.message.group;
        let expected = |memory| bot::Handled {
            bot: "echo".into(),
            group,
            position: 7,
            place: 2,
            say: Vec::new(),
            memory,
        };
        assert_eq!(saved, Some(expected(memory)));
        assert_eq!(passed_over("echo", &view), expected(None));
    }
}
