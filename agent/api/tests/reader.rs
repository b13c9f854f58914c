//! An older reader survives what a newer writer says.

use cipher_api::view::{Body, GroupState, GroupView, MessageState, MessageView};
use cipher_api::{Event, Notice};
use serde_json::{Value, json};

use crate::sample;

fn with(value: impl serde::Serialize, changes: Value) -> Value {
    let mut value = serde_json::to_value(value).unwrap();
    for (key, change) in changes.as_object().unwrap() {
        value[key] = change.clone();
    }
    value
}

#[test]
fn fields_and_variants_of_later_versions_are_passed_over() {
    let later = with(sample::group_view(), json!({ "state": "frozen", "topic": "new" }));
    let view: GroupView = serde_json::from_value(later).unwrap();
    assert_eq!(view, GroupView { state: GroupState::Unknown, ..sample::group_view() });

    let later = with(sample::said(), json!({ "state": "learned", "kind": "poll", "edited": true }));
    let view: MessageView = serde_json::from_value(later).unwrap();
    assert_eq!((view.state, view.body), (MessageState::Unknown, Body::Unknown("poll".into())));

    let notice: Notice = serde_json::from_value(json!({ "type": "moon", "phase": 3 })).unwrap();
    assert_eq!(notice, Notice::Unknown);
}

#[test]
fn an_event_of_a_later_version_is_told_by_its_name() {
    let event: Event = serde_json::from_value(json!({ "type": "reaction", "emoji": "x" })).unwrap();
    let Event::Unknown(unknown) = event else { panic!("{event:?}") };
    assert_eq!(unknown.name, "reaction");
}

/// R-SAY-01: only the agent's word is an event; what a member calls its message does not make it one.
#[test]
fn r_say_01_what_a_member_said_is_never_an_event_in_json() {
    for kind in ["event", "added", "removed", "joined"] {
        let said = MessageView { body: Body::Unknown(kind.into()), ..sample::said() };
        let json = serde_json::to_value(Event::Message(Box::new(said))).unwrap();
        assert_eq!((json["type"].as_str(), json["kind"].as_str()), (Some("message"), Some(kind)));
    }
}
