//! Events, notices and errors.

use cipher_api::event::UnknownEvent;
use cipher_api::view::{EvidenceKind, GroupEvent, MessageState, MessageView};
use cipher_api::{Error, ErrorKind, Event, LinkEvent, Notice};
use cipher_broker::wire::registry::Presence;
use serde_json::json;

use crate::{golden, sample};

#[test]
fn every_event_has_its_golden_json() {
    let seen = [
        GroupEvent::Added,
        GroupEvent::Joined,
        GroupEvent::Removed,
        GroupEvent::Left,
        GroupEvent::Role,
        GroupEvent::Renamed,
        GroupEvent::Topic,
        GroupEvent::Settings,
        GroupEvent::DeviceAdded,
        GroupEvent::DeviceRemoved,
        GroupEvent::Banned,
        GroupEvent::Unbanned,
        GroupEvent::Link,
        GroupEvent::LinkRevoked,
        GroupEvent::Missed,
        GroupEvent::Other,
    ];
    golden::all(&seen);
    let states = [
        MessageState::Queued,
        MessageState::Sent,
        MessageState::Delivered,
        MessageState::Read,
        MessageState::Received,
        MessageState::Failed,
        MessageState::Unknown,
    ];
    golden::all(&states);
    let message = |view: MessageView| Event::Message(Box::new(view));
    let mut events = vec![
        message(sample::said()),
        message(sample::unknown_kind()),
        message(sample::missing()),
        message(sample::grants()),
        message(sample::reached()),
        message(sample::failed()),
        message(sample::disappears()),
        Event::Changed { message: Box::new(sample::disappeared()) },
        Event::Changed { message: Box::new(sample::said()) },
        Event::Group(Box::new(sample::group_view())),
        Event::JoinRequest(Box::new(sample::join_request())),
        Event::Evidence(Box::new(sample::evidence())),
        Event::Presence { handle: "bob".into(), account: sample::account(2), presence: Presence::Away },
        Event::Typing {
            group: sample::group(1),
            handle: "bob".into(),
            account: sample::account(2),
            typing: true,
        },
        Event::Progress { done: 3, total: 10 },
        Event::Warning { notice: Notice::LogLost },
        Event::Stopped { error: ErrorKind::Stopped.because("another copy of this profile is in use") },
        Event::Connection { server: "nats://127.0.0.1:4222".into(), lost: Some("it ended".into()) },
        Event::Connection { server: "nats://127.0.0.1:4222".into(), lost: None },
        Event::Missed { count: 3 },
        Event::Unknown(UnknownEvent { name: "reaction".into() }),
    ];
    events.extend(seen.map(|event| message(sample::observed(event))));
    events.extend(states.map(|state| Event::State {
        group: sample::group(1),
        id: sample::message(1),
        state,
    }));
    let steps = [
        LinkEvent::Compare(sample::compare()),
        LinkEvent::Linked { handle: "alice".into() },
        LinkEvent::Failed { error: sample::error() },
        LinkEvent::Unknown,
    ];
    golden::all(&steps);
    events.extend(steps.map(|step| Event::Link { step }));
    golden::compare("news", &golden::all(&events));
}

#[test]
fn every_notice_has_its_golden_json() {
    let (group, name, handle) = (sample::group(1), || "ops".to_owned(), sample::handle("bob"));
    let (by, error) = (|| "@bob".to_owned(), || Box::new(sample::error()));
    golden::compare(
        "notice",
        &golden::all(&[
            Notice::RoomMade { until: sample::at(0) },
            Notice::ValuesDamaged { of: vec!["messages".into()], count: 2 },
            Notice::LogLost,
            Notice::KeptBack { group, name: name(), count: 2 },
            Notice::NotDelivered { group, name: name(), error: error() },
            Notice::ChangeNotDelivered { group, name: name(), error: error() },
            Notice::InvitationClosed { group },
            Notice::InvitationNowhere { group, name: name() },
            Notice::InvitationUnheard { group, name: name(), who: vec![by()], at: sample::at(0) },
            Notice::JoinEnded { group, name: String::new(), error: error() },
            Notice::LeftOut { who: by(), group: Some(group), name: Some(name()), error: error() },
            Notice::LeftOut { who: by(), group: None, name: None, error: error() },
            Notice::ContactAskedBefore { handle: handle.clone() },
            Notice::PlaceLost { group, name: name() },
            Notice::PlaceOffered { group, name: name(), target: group.into(), by: by() },
            Notice::PlaceDenied { group, name: name(), by: by(), over: true },
            Notice::LeavesLater { group, name: name() },
            Notice::OtherPast { group, name: name(), by: Some(by()) },
            Notice::OtherPast { group, name: name(), by: None },
            Notice::Doubled { group, name: name() },
            Notice::SameName { group, name: name(), alias: "ops-2".into() },
            Notice::DeviceAdded { device: sample::device(2) },
            Notice::DeviceRevoked { device: sample::device(2) },
            Notice::ThisDeviceRevoked,
            Notice::AccountRecovered,
            Notice::HistoryEnded,
            Notice::HistorySilent,
            Notice::AccountChanged { handle: handle.clone(), verified: true },
            Notice::AccountAgain { handle: handle.clone() },
            Notice::HandleTaken { handle: handle.clone() },
            Notice::GhostDevice { device: sample::device(2) },
            Notice::StatementHidden { handle: handle.clone() },
            Notice::StaleLog { hours: 25 },
            Notice::LogFits,
            Notice::ForeignRegistry { who: by(), group, name: name() },
            Notice::ShownAsKnown { handle },
            Notice::ClocksApart { ours: sample::at(0), theirs: sample::at(600) },
            Notice::BotSilent { bot: "echo".into(), group, name: name() },
            Notice::BotGaveUp {
                bot: "echo".into(),
                event: "aeaqca 42".into(),
                trouble: "it panicked".into(),
            },
            Notice::Unknown,
        ]),
    );
}

#[test]
fn every_kind_of_error_and_evidence_has_its_golden_json() {
    let errors: Vec<Error> = ErrorKind::ALL.iter().map(|kind| kind.because("what happened")).collect();
    let kinds = [
        EvidenceKind::SplitView,
        EvidenceKind::Rollback,
        EvidenceKind::NotProven,
        EvidenceKind::GhostDevice,
        EvidenceKind::ChangedAccount,
        EvidenceKind::StaleHead,
        EvidenceKind::BadEntry,
        EvidenceKind::MissingEntry,
        EvidenceKind::HandleTwice,
        EvidenceKind::Unknown,
    ];
    for kind in kinds {
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
    }
    let json = json!({
        "errors": errors.iter().map(golden::json).collect::<Vec<_>>(),
        "with-hint": golden::json(&sample::error()),
        "evidence": golden::all(&kinds),
    });
    golden::all(&ErrorKind::ALL);
    golden::compare("error", &json);
}
