//! What a device does that cannot apply a commit which everybody else applied.

use openmls::prelude::KeyPackageVerifyError;
use openmls::treesync::errors::LifetimeError;

use super::*;
use crate::command::Command;
use crate::core::Options;
use crate::effect::Effect;
use crate::input::{Input, Interest, Ticket};
use cipher_broker::time::Timestamp;

fn core() -> Core {
    let options = Options { seed: [1; 32], cached_groups: 4 };
    let mut core = Core::open_on(redb::backends::InMemoryBackend::new(), options).unwrap();
    let register = Command::Register {
        handle: "bob".parse().unwrap(),
        name: String::new(),
        bot: None,
        invite_code: None,
    };
    let register = Input::Command { ticket: Ticket(1), command: Box::new(register) };
    core.handle(vec![Input::Connected(Interest::Everything), register], Timestamp::from_millis(1)).unwrap();
    core.state.identity.as_mut().unwrap().registered = true;
    core
}

/// The outside of a message of an epoch; the inside is noise (RFC 9420 §6.3).
fn outside(group: GroupId, epoch: u64) -> Delivered {
    let mut mls = vec![0, 1, 0, 2, 16];
    mls.extend(group.as_bytes());
    mls.extend(epoch.to_be_bytes());
    // An application message without authenticated data; sender data and ciphertext of four bytes each.
    mls.extend([1, 0, 4, 9, 9, 9, 9, 4, 9, 9, 9, 9]);
    let bytes = codec::encode(&Envelope::Message(mls));
    Delivered { route: Route::Application(group), sequence: 100 + epoch, at: Timestamp::default(), bytes }
}

fn delivered(core: &mut Core, message: Delivered) -> Vec<Effect> {
    core.handle(vec![Input::Delivered(message)], Timestamp::from_millis(2)).unwrap()
}

/// K11: the commit adds a package that has expired since, others went on without us: the person is told how to come
/// back, and nothing is sent from a place that nobody shares.
#[test]
fn k11_who_cannot_replay_an_addition_says_how_to_come_back() {
    let mut core = core();
    let group = core.make_group("ops".into(), None, false).unwrap();
    let expired = || {
        let lifetime = LifetimeError::Expired { not_after: 2, now: 3 };
        ProcessMessageError::ValidationError(ValidationError::KeyPackageVerifyError(
            KeyPackageVerifyError::LifetimeError(lifetime),
        ))
    };
    // Of an application message that says nothing.
    core.unusable(group, 0, false, expired()).unwrap();
    assert_eq!(core.state.groups.get(&group).unwrap().suspect, None);
    core.unusable(group, 0, true, expired()).unwrap();
    assert_eq!(core.state.groups.get(&group).unwrap().state, GroupState::Active, "nobody went on yet");
    let effects = delivered(&mut core, outside(group, 1));
    let warned = effects.iter().any(
        |effect| matches!(effect, Effect::Notify(Event::Warning(text)) if text.contains("remove this account and add it again")),
    );
    assert!(warned, "{effects:?}");
    let row = core.state.groups.get(&group).unwrap();
    assert_eq!((row.state, row.epoch), (GroupState::Stuck, 0));
    let send =
        Command::Send { target: crate::command::Target::Group(group), text: "hello?".into(), reply_to: None };
    let send = Input::Command { ticket: Ticket(2), command: Box::new(send) };
    let effects = core.handle(vec![send], Timestamp::from_millis(3)).unwrap();
    let hint = effects.iter().find_map(|effect| match effect {
        Effect::Reply { result: Err(error), .. } => error.hint.clone(),
        _ => None,
    });
    assert!(hint.is_some_and(|hint| hint.contains("add it again")));
    assert!(core.state.meta.skipped.contains_key("key-package"));
}

/// Another member, as the roster proves it.
fn stranger(core: &Core) -> crate::group::roster::Leaf {
    crate::group::roster::Leaf {
        account: cipher_broker::id::AccountId::from_bytes([7; 32]),
        device: cipher_broker::id::DeviceId::from_bytes([7; 16]),
        kind: cipher_broker::certificate::Kind::Person,
        owner: None,
        serial: 1,
        account_key: [7; 32],
        certificate: [0; 32],
        issued_at: core.run.now,
    }
}

fn words(kind: &str, text: &str) -> Content {
    Content {
        salt: [3; 16],
        sent_at: Timestamp::from_millis(5),
        reply_to: None,
        hops: 0,
        kind: kind.into(),
        text: text.into(),
        data: None,
        head: None,
    }
}

/// R-SAY-01: a member says what the agent itself notes of commits, under the same names.
#[test]
fn a10_f6_r_say_01_what_a_member_says_is_never_something_that_happened() {
    use crate::view::Body;
    let mut core = core();
    let group = core.make_group("ops".into(), None, false).unwrap();
    let kinds =
        ["joined", "removed", "left", "role", "renamed", "banned", "link", "device-added", "other", "poll"];
    for (sequence, kind) in (10_u64..).zip(kinds) {
        let payload = codec::encode(&words(kind, "@alice removed @bob"));
        core.run.effects.clear();
        core.with_live(group, |core, live| {
            let leaf = stranger(core);
            live.roster.insert(9, leaf);
            core.said(group, live, Some(9), sequence, &payload)
        })
        .unwrap();
        let told = core.run.effects.iter().find_map(|effect| match effect {
            Effect::Notify(Event::Message(view)) => Some(view.clone()),
            _ => None,
        });
        let view = told.unwrap_or_else(|| panic!("{kind} is kept and shown"));
        assert_eq!(view.body, Body::Unknown(kind.into()));
        assert_eq!(view.from.account_id, stranger(&core).account);
        assert_eq!(view.event(), None);
    }
    // It counts as said: the person has not read it, and a block hides it.
    assert_eq!(core.state.groups.get(&group).unwrap().unread, kinds.len() as u64);
    let (place, row) = core.history.last(&group, 1, |_| true).unwrap().remove(0);
    assert!(row.is_said());
    // Another own device keeps it as words too, and so does a store of before the two were told apart.
    let copy = MessageRow::from_sync(row.clone().into_sync(group, 0, place));
    assert_eq!(copy.body(), RowBody::Said("poll"));
    assert_eq!(codec::decode::<MessageRow>(&codec::encode(&row)).unwrap().body(), RowBody::Said("poll"));
}
