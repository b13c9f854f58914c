//! Between the core's view of a conversation and what bots are told.

use cipher_api::command::bot;
use cipher_api::view::{Body, BotEventView, GroupEvent, MessageView, SenderView};
use cipher_bot::action::{Action, derive_salt};
use cipher_bot::bot::Outcome;
use cipher_bot::event::{Change, Conversation, Event, EventId, EventKind, Me, MemberChange, Message, Sender};
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
    Some(Event {
        id: EventId { conversation: message.group, position: message.seq.map(|_| view.position)? },
        me: me.clone(),
        conversation: Conversation { id: message.group, name, direct: view.direct },
        at: message.at.unwrap_or(now),
        kind: kind(message, sender(&message.from, view.role)?, me),
    })
}

fn kind(message: &MessageView, from: Sender, me: &Me) -> EventKind {
    let change = |change| EventKind::MemberChanged(MemberChange { member: from.clone(), change });
    match &message.body {
        Body::Text => EventKind::Message(Message {
            message_id: message.id,
            sender: from,
            text: message.text.clone(),
            reply_to: message.reply_to,
            hops: message.hops,
            sent_at: message.sent_at,
        }),
        Body::Event { event: GroupEvent::Added | GroupEvent::Joined, .. }
            if from.account_id == me.account =>
        {
            EventKind::Joined
        }
        Body::Event { event: GroupEvent::Added | GroupEvent::Joined, .. } => change(Change::Added),
        Body::Event { event: GroupEvent::Removed | GroupEvent::Left, .. } => change(Change::Removed),
        Body::Event { event: GroupEvent::Role, .. } => change(Change::Role),
        // R-SAY-01: what a member sent under the name of an event is not one.
        Body::Unknown(_) | Body::Missing(_) | Body::Event { .. } => EventKind::Unknown,
    }
}

fn sender(from: &SenderView, role: Role) -> Option<Sender> {
    let handle = handle(&from.handle, &from.account_id)?;
    Some(Sender { handle, account_id: from.account_id, kind: from.kind, role })
}

/// The handle; while none is known, the beginning of the account id, which has the form of one.
fn handle(known: &str, account: &AccountId) -> Option<Handle> {
    known.parse().or_else(|_| account.to_string().chars().take(32).collect::<String>().parse()).ok()
}

/// What saves an outcome. Memory that did not change is not written again.
pub(super) fn handled(bot: &str, event: &Event, before: Option<&[u8]>, outcome: Outcome) -> bot::Handled {
    let hops = event.hops_of_answers();
    let mut say = Vec::new();
    for (index, action) in (0_u32..).zip(outcome.actions) {
        let salt = derive_salt(&event.me.account, &event.id, index);
        match action {
            Action::Say { text, reply_to } => say.push(bot::Say { text, reply_to, salt, hops }),
            _ => tracing::warn!("an action of a bot is not known to this host"),
        }
    }
    let memory = (before.unwrap_or_default() != outcome.memory).then_some(outcome.memory);
    let EventId { conversation: group, position } = event.id;
    bot::Handled { bot: bot.into(), group, position, say, memory }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cipher_api::view::MessageState;
    use cipher_broker::certificate::Kind;
    use cipher_broker::id::{DeviceId, GroupId, MessageId};

    fn view(body: Body, account: u8) -> BotEventView {
        BotEventView {
            message: MessageView {
                id: MessageId::from_bytes([1; 16]),
                group: GroupId::from_bytes([2; 16]),
                seq: Some(7),
                from: SenderView {
                    handle: AccountId::from_bytes([account; 32]).to_string(),
                    account_id: AccountId::from_bytes([account; 32]),
                    device_id: DeviceId::from_bytes([3; 16]),
                    kind: Kind::Person,
                },
                sent_at: Timestamp::from_millis(5),
                at: None,
                unread: false,
                body,
                text: "/echo hi".into(),
                state: MessageState::Received,
                reply_to: None,
                hops: 1,
            },
            position: 7,
            role: Role::Member,
            memory: None,
            group_name: "ops".into(),
            direct: false,
        }
    }

    fn me() -> Me {
        Me { handle: "echo".parse().unwrap(), account: AccountId::from_bytes([9; 32]) }
    }

    #[test]
    fn every_kind_of_line_is_an_event() {
        let told = |body, account| event(&view(body, account), &me(), Timestamp::default()).unwrap().kind;
        let seen = |event| Body::Event { event, who: Vec::new() };
        assert!(matches!(told(Body::Text, 1), EventKind::Message(_)));
        assert_eq!(told(seen(GroupEvent::Added), 9), EventKind::Joined);
        for (kind, expected) in [
            (GroupEvent::Added, Change::Added),
            (GroupEvent::Left, Change::Removed),
            (GroupEvent::Removed, Change::Removed),
            (GroupEvent::Role, Change::Role),
        ] {
            assert!(
                matches!(told(seen(kind), 1), EventKind::MemberChanged(MemberChange { change, .. }) if change == expected)
            );
        }
        assert_eq!(told(seen(GroupEvent::Renamed), 1), EventKind::Unknown);
        let mut queued = view(Body::Text, 1);
        queued.message.seq = None;
        assert!(event(&queued, &me(), Timestamp::default()).is_none());
    }

    /// B03 counts by the log, not by when the bot happened to run: killed and started again, it answers each question of
    /// a backlog, as it would have done at the time.
    #[test]
    fn b03_the_time_of_an_event_is_the_brokers() {
        let (stored, now) = (Timestamp::from_millis(600_000), Timestamp::from_millis(9_000_000));
        let mut asked = view(Body::Text, 1);
        asked.message.at = Some(stored);
        assert_eq!(event(&asked, &me(), now).unwrap().at, stored);
        asked.message.at = None;
        assert_eq!(event(&asked, &me(), now).unwrap().at, now, "a row of before it was kept");
    }

    #[test]
    fn a10_f6_r_say_01_a_payload_is_never_a_change_of_members() {
        for kind in ["joined", "removed", "left", "role", "added", "event", "member-changed", "poll"] {
            let told = event(&view(Body::Unknown(kind.into()), 1), &me(), Timestamp::default()).unwrap().kind;
            assert_eq!(told, EventKind::Unknown, "{kind}");
        }
    }

    #[test]
    fn an_outcome_has_the_same_salts_each_time_and_writes_memory_only_if_it_changed() {
        let event = event(&view(Body::Text, 1), &me(), Timestamp::default()).unwrap();
        let say = |text: &str| Action::Say { text: text.into(), reply_to: None };
        let outcome = Outcome { actions: vec![say("a"), say("b")], memory: b"m".to_vec(), held_back: false };
        let first = handled("echo", &event, None, outcome.clone());
        assert_eq!(first, handled("echo", &event, None, outcome.clone()));
        let bot::Handled { say, memory, position, .. } = first;
        assert_eq!((position, memory.as_deref()), (7, Some(b"m".as_slice())));
        assert!(say.iter().all(|say| say.hops == 2) && say[0].salt != say[1].salt);
        let bot::Handled { memory, .. } = handled("echo", &event, Some(b"m"), outcome);
        assert_eq!(memory, None);
    }
}
