//! Between the core's view of a conversation and what bots are told.

use cipher_api::command::bot;
use cipher_api::view::{
    AttachmentView, Body, BotEventView, BotMemberView, BotPinView, BotReactionView, BotVoteView, GroupEvent,
};
use cipher_bot::event::{
    Attachment, Change, Conversation, Event, EventKind, LogId, Me, Member, MemberChange, Message, Reaction,
    Sender, Vote,
};
use cipher_bot_host::Handled;
use cipher_broker::handle::Handle;
use cipher_broker::id::AccountId;
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
    let change = |change| {
        let who = member(view.who.as_ref()?)?;
        Some(EventKind::of_members(me, MemberChange { who, change, by: member(&view.by)? }))
    };
    let of = |known: &str, account_id: AccountId, kind| {
        let role = view.by.role.unwrap_or(Role::Member);
        Some(Sender { handle: handle(known, &account_id)?, account_id, kind, role })
    };
    let sender = || of(&message.from.handle, message.from.account_id, message.from.kind);
    let doer = || of(&view.by.handle, view.by.account_id, view.by.kind?);
    if let Some(BotReactionView { emoji, removed, hops }) = &view.reaction {
        return Some(EventKind::Reaction(Reaction {
            message_id: message.id,
            emoji: emoji.clone(),
            removed: *removed,
            sender: doer()?,
            hops: *hops,
        }));
    }
    if let Some(BotVoteView { options, hops }) = &view.vote {
        let (options, hops) = (options.clone(), *hops);
        return Some(EventKind::Vote(Vote { message_id: message.id, options, sender: doer()?, hops }));
    }
    if view.closed {
        return Some(EventKind::PollClosed { message_id: message.id, sender: doer()? });
    }
    if let Some(BotPinView { removed }) = view.pin {
        return Some(EventKind::Pinned { message_id: message.id, sender: doer()?, removed });
    }
    match &message.body {
        Body::Text | Body::Poll(_) | Body::Unknown(_) if message.deleted => {
            // Who had said it, and who took it back, if another one did.
            let by = if message.deleted_by.is_some() { doer()? } else { sender()? };
            Some(EventKind::Deleted { message_id: message.id, sender: by })
        }
        Body::Text | Body::Poll(_) => {
            let options = match &message.body {
                Body::Poll(poll) => poll.options.iter().map(|option| option.text.clone()).collect(),
                _ => Vec::new(),
            };
            let said = Message {
                message_id: message.id,
                sender: sender()?,
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
            };
            let again = view.changed_at.is_some();
            Some(if again { EventKind::Edited(said) } else { EventKind::Message(said) })
        }
        Body::Event { event: GroupEvent::Added | GroupEvent::Joined, .. } => change(Change::Added),
        Body::Event { event: GroupEvent::Removed | GroupEvent::Left, .. } => change(Change::Removed),
        Body::Event { event: GroupEvent::Role, .. } => change(Change::Role),
        // R-SAY-01: what a member sent under the name of an event is not one.
        Body::Unknown(_) | Body::Missing(_) | Body::Event { .. } => Some(EventKind::Unknown),
    }
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

/// What saves an outcome; `None` if the event is not one of the log.
pub(super) fn handled(bot: &str, handled: Handled) -> Option<bot::Handled> {
    let LogId { conversation: group, position, place } = *handled.event.log()?;
    let Handled { say, memory, .. } = handled;
    let say = say.into_iter().map(Into::into).collect();
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
    use cipher_api::view::{MessageState, MessageView, SenderView};
    use cipher_broker::certificate::Kind;
    use cipher_broker::id::{DeviceId, GroupId, MessageId};

    fn account(n: u8) -> BotMemberView {
        let account_id = AccountId::from_bytes([n; 32]);
        let role = Some(Role::Admin);
        BotMemberView { handle: account_id.to_string(), account_id, kind: Some(Kind::Person), role }
    }

    /// What account 1 said, or did to another one.
    fn view(body: Body, who: Option<u8>) -> BotEventView {
        let by = account(1);
        BotEventView {
            message: MessageView {
                id: MessageId::from_bytes([1; 16]),
                group: GroupId::from_bytes([2; 16]),
                seq: Some(7),
                from: SenderView {
                    handle: by.handle.clone(),
                    account_id: by.account_id,
                    device_id: DeviceId::from_bytes([3; 16]),
                    kind: Kind::Person,
                },
                sent_at: Timestamp::from_millis(5),
                at: None,
                unread: false,
                notify: false,
                body,
                text: "/echo hi".into(),
                state: MessageState::Received,
                reply_to: None,
                quoted: None,
                hops: 1,
                edited: false,
                deleted: false,
                reactions: Vec::new(),
                receipts: Vec::new(),
                failure: None,
                attachments: Vec::new(),
                edited_at: None,
                deleted_by: None,
                mentions: Vec::new(),
                mentions_own: false,
                thread: None,
                forwarded: false,
                pinned_by: None,
                expire: None,
                expires_at: None,
                expired: false,
            },
            position: 7,
            place: 2,
            by,
            who: who.map(account),
            memory: None,
            changed_at: None,
            reaction: None,
            pin: None,
            vote: None,
            closed: false,
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

    #[test]
    fn other_words_are_an_edit_and_none_a_deletion_and_their_time_is_that_of_the_change() {
        let at = Timestamp::from_millis(9);
        let mut view = view(Body::Text, None);
        (view.changed_at, view.message.edited) = (Some(at), true);
        let edited = event(&view, &me(), Timestamp::default()).unwrap();
        assert!(matches!(edited.kind, EventKind::Edited(ref said) if said.text == "/echo hi"), "{edited:?}");
        assert_eq!(edited.at, at);
        (view.message.deleted, view.message.edited) = (true, false);
        view.message.text.clear();
        let deleted = event(&view, &me(), Timestamp::default()).unwrap();
        assert!(
            matches!(deleted.kind, EventKind::Deleted { message_id, .. } if message_id == view.message.id)
        );
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
        let saved =
            handled("echo", Handled { event: id.unwrap().id, say: Vec::new(), memory: memory.clone() });
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
