//! What a device does that cannot apply a commit which everybody else applied.

use cipher_api::Event;
use cipher_api::command::{account, group, message};
use cipher_api::view::RecoveringWhy;
use cipher_broker::sign::wire_hash;
use cipher_broker::time::Timestamp;
use cipher_broker::wire::content::{Body, Content};
use cipher_broker::wire::envelope::Envelope;
use openmls::prelude::KeyPackageVerifyError;
use openmls::treesync::errors::LifetimeError;

use super::*;
use crate::content::heard::CLOCK_AHEAD;
use crate::input::{Input, Interest, Reading, Ticket};
use crate::machine::Options;
use crate::machine::step::Step;
use crate::state::{RowBody, position};

fn core() -> Core {
    let options = Options { seed: [1; 32], cached_groups: 4, receipts: false };
    let mut core = Core::in_memory(options);
    let register = account::Register {
        handle: "bob".parse().unwrap(),
        name: String::new(),
        bot: None,
        invite_code: None,
    };
    let register = Input::Command { ticket: Ticket(1), command: Box::new(register.into()) };
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
    let reading = reading(core, message.route.source().unwrap());
    core.handle(vec![Input::Delivered { reading, message }], Timestamp::from_millis(2)).unwrap()
}

fn caught_up(core: &mut Core, group: GroupId, sequence: u64) -> Vec<Effect> {
    let source = Source::Group(group);
    let reading = reading(core, source);
    core.handle(vec![Input::CaughtUp { reading, source, sequence }], Timestamp::from_millis(2)).unwrap()
}

fn reading(core: &mut Core, source: Source) -> Reading {
    core.follow(source);
    core.run.delivery.reading_of(&source).unwrap()
}

/// The bytes with which a device asks to come back, if it does.
fn asked(effects: &[Effect]) -> Option<Vec<u8>> {
    effects.iter().find_map(|effect| match effect {
        Effect::Publish(publish) if matches!(codec::decode(&publish.bytes), Ok(Envelope::Rejoin(_))) => {
            Some(publish.bytes.clone())
        }
        _ => None,
    })
}

/// A junk header alone takes nobody's place (F1).
#[test]
fn f1_a_header_that_claims_a_later_epoch_takes_nobodys_place() {
    let mut core = core();
    let group = core.make_group("ops".into(), None, false).unwrap();
    for epoch in [1, 2, 9_000] {
        delivered(&mut core, outside(group, epoch));
    }
    let effects = caught_up(&mut core, group, 9_100);
    assert!(asked(&effects).is_none() && !core.state.is_lost(&group), "{effects:?}");
}

/// K11, M33, F1: the commit adds a package that has expired since, others went on without us: this device asks to come
/// back, and what is sent waits. Keys, outbox and place stay.
#[test]
fn k11_f1_who_cannot_replay_an_addition_asks_to_come_back_and_keeps_everything() {
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
    assert!(asked(&caught_up(&mut core, group, 0)).is_none(), "nobody claims to have gone on");
    let mut effects = delivered(&mut core, outside(group, 1));
    effects.extend(caught_up(&mut core, group, 101));
    let warned = effects.iter().any(|effect| {
        matches!(effect, Effect::Notify { event: Event::Warning { notice: Notice::PlaceLost { .. } }, .. })
    });
    assert!(warned, "{effects:?}");
    let request = asked(&effects).expect("it asks to come back");
    let Ok(Envelope::Rejoin(request)) = codec::decode(&request) else { panic!("a request to come back") };
    let request: cipher_broker::wire::rejoin::RejoinRequest = codec::decode(&request).unwrap();
    let body: cipher_broker::wire::rejoin::RejoinBody = codec::decode(&request.body.body).unwrap();
    assert_eq!((body.group, body.epoch, body.new_keys), (group, 0, false));
    let row = core.state.groups.get(&group).unwrap();
    assert_eq!((row.state, row.epoch), (GroupState::Active, 0));
    let view = core.group_view(group).unwrap();
    assert_eq!(view.recovering.map(|recovering| recovering.why), Some(RecoveringWhy::UnusableCommit));
    let send = message::Send::new(cipher_api::Target::Group(group), "hello?");
    let send = Input::Command { ticket: Ticket(2), command: Box::new(send.into()) };
    let effects = core.handle(vec![send], Timestamp::from_millis(3)).unwrap();
    let published = |effect: &Effect| matches!(effect, Effect::Publish(publish) if publish.expect.is_some());
    assert!(!effects.iter().any(published), "nothing is sent that nobody may be able to read: {effects:?}");
    assert_eq!(
        core.state
            .outbox
            .iter()
            .filter(|(_, row)| matches!(row.kind, crate::state::OutboxKind::Message { .. }))
            .count(),
        1
    );
    // It survives a restart, and ends when the log shows that the group goes on here.
    assert!(core.state.is_lost(&group));
    core.place_is_good(group);
    let effects = core.handle(vec![Input::Tick], Timestamp::from_millis(4)).unwrap();
    assert!(effects.iter().any(published), "what waited is sent: {effects:?}");
    assert!(core.state.meta.skipped.contains_key("key-package"));
}

/// Another member, as the roster proves it.
fn stranger(core: &Core) -> crate::state::roster::Leaf {
    crate::state::roster::Leaf {
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
    // Encoded it is the kind it names.
    let body = Body::Unknown { kind: kind.into(), text: text.into(), data: None, of: None };
    Content::new([3; 16], Timestamp::from_millis(5), body)
}

/// R-SAY-01: a member says what the agent itself notes of commits, under the same names.
#[test]
fn a10_f6_r_say_01_what_a_member_says_is_never_something_that_happened() {
    use cipher_api::view::Body;
    let mut core = core();
    let group = core.make_group("ops".into(), None, false).unwrap();
    let kinds =
        ["joined", "removed", "left", "role", "renamed", "banned", "link", "device-added", "other", "dance"];
    let first = position::of(position::FIRST_ERA, 10);
    for (sequence, kind) in (first..).zip(kinds) {
        let payload = codec::encode(&words(kind, "@alice removed @bob"));
        core.run.effects.clear();
        core.with_live(group, |core, live| {
            let leaf = stranger(core);
            live.roster.insert(9, leaf);
            core.said(group, live, Some(9), sequence, &payload)
        })
        .unwrap();
        let told = core.run.effects.iter().find_map(|effect| match effect {
            Effect::Notify { event: Event::Message(view), .. } => Some(view.clone()),
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
    let copy = MessageRow::from_sync(row.clone().into_sync(group, 0, place), 0);
    assert_eq!(copy.body(), RowBody::Unknown("dance"));
    assert_eq!(codec::decode::<MessageRow>(&codec::encode(&row)).unwrap().body(), RowBody::Unknown("dance"));
}

/// R-LOG-02, F6: whatever a member says of lost messages is shown as its word; it counts what is not here, once, and whose
/// time it was here for.
#[test]
fn f6_r_log_02_a_made_up_word_about_lost_messages_is_its_makers_word() {
    use cipher_api::view::Body;
    use cipher_broker::id::AccountId;
    use cipher_broker::wire::content::{Body as Said, Missing, MissingOf};
    let mut core = core();
    let group = core.make_group("ops".into(), None, false).unwrap();
    core.state.groups.get_mut(&group).unwrap().let_in_at = Some(Timestamp::from_millis(50));
    let id = |n: u32| {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&n.to_be_bytes());
        MessageId::from_bytes(bytes)
    };
    core.history.mark_seen(group, id(1), 7);
    let (author, at) = (AccountId::from_bytes([8; 32]), Timestamp::from_millis);
    let mut sequence = position::of(position::FIRST_ERA, 10);
    let mut says = |core: &mut Core, messages: Vec<(MessageId, Timestamp)>, junk: bool, by: u8| {
        sequence += 1;
        let of = vec![MissingOf { account: author, messages }];
        let data = if junk { vec![0xc1] } else { codec::encode(&Missing { of }) };
        let salt = [u8::try_from(sequence & 0xff).unwrap(); 16];
        let body = Said::Unknown {
            kind: "missing".into(),
            text: "99 of @ceo".into(),
            data: Some(data.into()),
            of: None,
        };
        let said = Content { salt, body, ..words("", "") };
        core.run.effects.clear();
        core.with_live(group, |core, live| {
            let account = AccountId::from_bytes([by; 32]);
            live.roster.insert(9, crate::state::roster::Leaf { account, ..stranger(core) });
            core.said(group, live, Some(9), sequence, &codec::encode(&said))
        })
        .unwrap();
        core.run.effects.iter().find_map(|effect| match effect {
            Effect::Notify { event: Event::Message(view), .. } => Some(view.clone()),
            _ => None,
        })
    };
    let all = vec![(id(1), at(60)), (id(2), at(60)), (id(3), at(60)), (id(4), at(40))];
    let view = says(&mut core, all.clone(), false, 7).expect("two are not here");
    let Body::Missing(missing) = &view.body else { panic!("{view:?}") };
    assert_eq!((missing.len(), missing[0].account_id, missing[0].count), (1, author, 2));
    assert_eq!((view.event(), view.from.account_id), (None, stranger(&core).account));
    assert!(!view.text.contains("ceo"), "{}", view.text);
    assert_eq!(core.state.missing_here(), 2);
    assert!(says(&mut core, all, false, 9).is_none(), "it was told");
    assert!(says(&mut core, vec![(id(1), at(60))], false, 7).is_none(), "it is here");
    assert!(says(&mut core, Vec::new(), true, 7).is_none());
    let many = (0..=1_000).map(|n| (id(100 + n), at(60))).collect();
    assert!(says(&mut core, many, false, 7).is_none());
    assert_eq!(core.state.missing_here(), 2);
    assert!(["content", "limit"].iter().all(|class| core.state.meta.skipped.contains_key(*class)));
    core.state.came_after_all(group, &id(2));
    assert_eq!(core.state.missing_here(), 1);
    // Thousands that never were hide nobody else's word.
    for n in 0..5 {
        let made_up = (0..1_000).map(|m| (id(10_000 + 1_000 * n + m), at(60))).collect();
        says(&mut core, made_up, false, 7);
    }
    assert_eq!(core.state.missing_here(), 4_000);
    assert!(says(&mut core, vec![(id(5), at(60))], false, 9).is_some());
    assert_eq!(core.state.missing_here(), 1, "whoever says most gives way");
}

/// F4: invitations into groups of thousands that somebody made up.
#[test]
fn f4_made_up_members_of_an_invitation_are_counted_and_not_looked_up() {
    use crate::input::Ticket;
    use crate::state::{InviteFacts, InviteRow};
    use cipher_broker::certificate::Kind;
    use cipher_broker::id::AccountId;
    use cipher_broker::wire::group::Role;
    let mut core = core();
    core.state.meta_mut().request_policy = cipher_api::view::RequestPolicy::Anyone;
    let account = |n: u32, of: u8| {
        let mut bytes = [of; 32];
        bytes[..4].copy_from_slice(&n.to_be_bytes());
        AccountId::from_bytes(bytes)
    };
    for of in 1..=5u8 {
        let members = (0..4_000).map(|n| (account(n, of), Role::Member, Kind::Person, 1)).collect();
        let known = InviteFacts {
            tree: vec![0; 1024],
            inviter: account(3_999, of),
            name: "crowd".into(),
            direct: false,
            members,
            suite: 3,
            links: Vec::new(),
            personal: false,
            devices: Vec::new(),
            beyond_role: false,
        };
        assert_eq!(known.to_look_up().count(), 32);
        assert_eq!(known.to_look_up().next(), Some(account(3_999, of)));
        let row = InviteRow {
            text: String::new(),
            welcome: Vec::new(),
            key: [0; 32],
            epoch: 1,
            commit_sequence: 1,
            commit_hash: [0; 32],
            pieces: 1,
            hashes: Vec::new(),
            received_at: Timestamp::from_millis(1),
            posted_at: Timestamp::default(),
            doubt: false,
            attempts: 0,
            known: Some(known),
            told: false,
            declined: false,
            held: false,
            offered: false,
        };
        core.state.invites.insert(GroupId::from_bytes([of; 16]), row);
    }
    let before = core.run.registry.questions().len();
    core.people_step(Step::Connected { whole: true }).unwrap();
    assert!(core.run.registry.questions().len() - before <= 5 * 32);
    // What the registry does not know is not asked for again.
    core.run.registry.forgets_questions();
    for of in 1..=5 {
        let missing: Vec<AccountId> = (0..32).map(|n| account(n, of)).chain([account(3_999, of)]).collect();
        for account in missing {
            core.account_not_shown(account, &ErrorKind::NotFound.because("no such account"));
        }
    }
    core.people_step(Step::Connected { whole: true }).unwrap();
    assert!(core.run.registry.questions().len() == 0);
    let list = Input::Command { ticket: Ticket(9), command: Box::new(group::List {}.into()) };
    let effects = core.handle(vec![list], Timestamp::from_millis(5)).unwrap();
    let views = effects.into_iter().find_map(|effect| match effect {
        Effect::Reply { result: Ok(cipher_api::Reply::Groups(views)), .. } => Some(views),
        _ => None,
    });
    let views = views.unwrap();
    assert_eq!(views.len(), 5);
    assert!(views.iter().all(|view| view.accounts == 4_000 && view.members.len() == 32));
}

/// F8: the commit that an invitation names is looked for in the log before anything is said.
#[test]
fn f8_r_welcome_06_the_commit_that_let_us_in_lies_in_the_log() {
    for honest in [true, false] {
        let mut core = core();
        let group = core.make_group("ops".into(), None, false).unwrap();
        let bytes = vec![1, 2, 3];
        let row = core.state.groups.get_mut(&group).unwrap();
        row.unconfirmed = true;
        (row.link.sequence, row.link.hash) = (7, wire_hash(if honest { &bytes } else { &[9] }));
        row.cursor = 6;
        let commit =
            Delivered { route: Route::Handshake(group), sequence: 7, at: Timestamp::default(), bytes };
        let effects = delivered(&mut core, commit);
        let row = core.state.groups.get(&group).unwrap();
        assert_eq!(row.state, if honest { GroupState::Active } else { GroupState::Removed });
        assert_eq!((row.unconfirmed, row.epoch), (false, 0));
        let warned = effects.iter().any(|effect| {
            matches!(
                effect,
                Effect::Notify { event: Event::Warning { notice: Notice::InvitationNowhere { .. } }, .. }
            )
        });
        assert_eq!(warned, !honest);
    }
}

/// F12: a made-up predecessor accuses nobody but is told with the name of who says it.
#[test]
fn f12_a_strange_predecessor_is_told_as_the_word_of_who_made_the_commit() {
    let mut core = core();
    let group = core.make_group("ops".into(), None, false).unwrap();
    let made_up = cipher_broker::wire::envelope::CommitPlace { sequence: 99, hash: [7; 32] };
    let note = CommitNote::after(&made_up, Vec::new());
    core.with_live(group, |core, live| {
        let leaf = stranger(core);
        live.roster.insert(9, leaf);
        core.check_link(group, live, Some(9), Some(&note));
        Ok(())
    })
    .unwrap();
    let told = core.run.effects.iter().find_map(|effect| match effect {
        Effect::Notify { event: Event::Warning { notice: Notice::OtherPast { name, by, .. } }, .. } => {
            Some((name.clone(), by.clone()))
        }
        _ => None,
    });
    let by = stranger(&core).account.to_string();
    assert_eq!(told, Some(("ops".to_owned(), Some(by))));
}

/// F13: a sender's clock that is ahead by years.
#[test]
fn f13_nothing_is_said_long_after_the_broker_had_it() {
    let mut core = core();
    let group = core.make_group("ops".into(), None, false).unwrap();
    core.run.group.delivered_at = Timestamp::from_millis(1_000_000);
    let mut said = words("text", "from the future");
    said.sent_at = Timestamp::from_millis(u64::MAX);
    let payload = codec::encode(&said);
    core.with_live(group, |core, live| {
        let leaf = stranger(core);
        live.roster.insert(9, leaf);
        core.said(group, live, Some(9), 10, &payload)
    })
    .unwrap();
    let (_, row) = core.history.last(&group, 1, |_| true).unwrap().remove(0);
    assert_eq!(row.sent_at, core.run.group.delivered_at.plus(CLOCK_AHEAD));
}

/// R-CONTENT-05: the log of a group that went back, or an own device's history, may bring a change before its message.
#[test]
fn r_content_05_a_change_that_comes_before_its_message_waits_for_it() {
    let mut core = core();
    let group = core.make_group("ops".into(), None, false).unwrap();
    let says = |core: &mut Core, sequence: u64, by: u8, content: &Content| {
        core.with_live(group, |core, live| {
            let account = cipher_broker::id::AccountId::from_bytes([by; 32]);
            live.roster.insert(9, crate::state::roster::Leaf { account, ..stranger(core) });
            core.said(group, live, Some(9), sequence, &codec::encode(content))
        })
        .unwrap();
    };
    let text = Content { body: Body::Text("tee".into()), ..words("", "") };
    let author = cipher_broker::id::AccountId::from_bytes([7; 32]);
    let of = MessageId::of_content(&group, &author, &codec::encode(&text));
    let edit = |salt: u8, text: &str| Content {
        salt: [salt; 16],
        body: Body::Edit { of, text: text.into() },
        ..words("", "")
    };
    let at = |sequence| position::of(position::FIRST_ERA, sequence);
    says(&mut core, at(12), 7, &edit(2, "tea, please"));
    says(&mut core, at(11), 7, &edit(1, "tea"));
    // R-CONTENT-01 holds for what waits too.
    says(&mut core, at(13), 8, &edit(3, "coffee"));
    assert_eq!(core.state.changes.len(), 1);
    assert_eq!(core.state.groups.get(&group).unwrap().unread, 0, "nothing is shown of what is not here");
    says(&mut core, at(14), 7, &text);
    let shown = core.history.last(&group, 9, MessageRow::is_shown).unwrap();
    let [(_, row)] = shown.as_slice() else { panic!("{shown:?}") };
    assert_eq!((row.text.as_str(), row.edited), ("tea, please", Some(at(12))));
    assert_eq!(core.state.changes.len(), 0);
    // Nobody fills the store with changes of what never was.
    for n in 0..1_100_u32 {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&n.to_be_bytes());
        let body = Body::Delete { of: MessageId::from_bytes(id) };
        says(&mut core, at(20 + u64::from(n)), 7, &Content { body, ..words("", "") });
    }
    assert_eq!(core.state.changes.len(), 1_000);
    // Nor the memory: each edit may be as long as a message.
    for n in 0..40_u8 {
        let (of, text) = (MessageId::from_bytes([n; 16]), "x".repeat(limit::TEXT_BYTES));
        let body = Body::Edit { of, text };
        says(&mut core, at(2_000 + u64::from(n)), 7, &Content { body, ..words("", "") });
    }
    let bytes: usize = core.state.changes.iter().map(|(_, row)| row.bytes()).sum();
    assert!(bytes <= 4 * 1024 * 1024, "{bytes} bytes wait");
}
