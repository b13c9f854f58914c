//! What the holder of a token sees of answers and events.

use cipher_api::{Event, Reply};

use crate::token::grant::Grant;

/// R-TOKEN-03: of an answer that reaches everywhere, what is of the token's conversations.
pub(crate) fn reply(grant: &Grant, reply: Reply) -> Reply {
    match reply {
        Reply::Groups(mut groups) => {
            groups.retain(|group| grant.covers(&group.id));
            Reply::Groups(groups)
        }
        Reply::JoinRequests(mut requests) => {
            requests.retain(|request| grant.covers(&request.group));
            Reply::JoinRequests(requests)
        }
        Reply::Events(mut page) => {
            page.events.retain(|kept| hears(grant, &kept.event));
            Reply::Events(page)
        }
        Reply::BotEvents(mut events) => {
            events.retain(|event| grant.covers(&event.message.group));
            Reply::BotEvents(events)
        }
        // Of one conversation, which was looked at before.
        other => other,
    }
}

/// R-TOKEN-03: whether an event is told. Of what is about no conversation the holder hears only what its next request would
/// be answered anyhow, and that it missed something.
pub(crate) fn hears(grant: &Grant, event: &Event) -> bool {
    match (event, event.group()) {
        (Event::JoinRequest(_), Some(group)) => grant.covers(&group) && grant.names("invite.requests"),
        (_, Some(group)) => grant.covers(&group),
        (Event::Stopped { .. } | Event::Missed { .. }, None) => true,
        (_, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use cipher_api::view::MessageState;
    use cipher_api::{LinkEvent, Notice};
    use cipher_broker::id::{AccountId, GroupId, MessageId};
    use cipher_broker::wire::registry::Presence;
    use serde_json::Value;

    use super::*;
    use crate::token::grant::tests::grant;

    fn state(n: u8) -> Event {
        let (group, id) = (GroupId::from_bytes([n; 16]), MessageId::from_bytes([n; 16]));
        Event::State { group, id, state: MessageState::Sent }
    }

    #[test]
    fn r_token_03_events_of_other_conversations_and_of_the_profile_are_not_heard() {
        let some = grant(Some(&[1]), &["event.list"]);
        let all = grant(None, &["event.list"]);
        assert!(hears(&some, &state(1)) && !hears(&some, &state(2)) && hears(&all, &state(2)));
        assert!(hears(&some, &Event::Missed { count: 1 }));
        let of_the_profile = [
            Event::Presence {
                handle: "bob".into(),
                account: AccountId::from_bytes([1; 32]),
                presence: Presence::Offline,
            },
            Event::Warning { notice: Notice::LogLost },
            Event::Link { step: LinkEvent::Unknown },
            Event::Progress { done: 1, total: 2 },
            Event::Connection { server: "nats://a".into(), lost: None },
        ];
        for event in of_the_profile {
            assert!(!hears(&some, &event) && !hears(&all, &event), "{event:?}");
        }
    }

    /// Every event that the contract has golden JSON of: what names a conversation is heard by who may hear it.
    #[test]
    fn r_token_03_no_event_of_the_contract_is_heard_by_a_token_for_no_conversation() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/api/tests/golden/news.json");
        let golden: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let none = grant(Some(&[]), &["event.list", "invite.requests"]);
        let mut seen = 0;
        let mut look = |value: &Value| {
            if let Ok(event) = serde_json::from_value::<Event>(value.clone()) {
                seen += 1;
                let told = matches!(event, Event::Stopped { .. } | Event::Missed { .. });
                assert_eq!(hears(&none, &event), told, "{event:?}");
            }
        };
        for value in golden.as_object().into_iter().flat_map(|object| object.values()).chain([&golden]) {
            value.as_array().into_iter().flatten().for_each(&mut look);
        }
        assert!(seen >= 10, "{seen} events");
    }
}
