//! What a hostile or unlucky broker can do to the bytes: nothing of it is shown, nothing of it stops anybody.

use std::collections::BTreeSet;
use std::time::Duration;

use cipher_api::command::group;
use cipher_api::view::{GroupState, MessageState};
use cipher_broker::codec;
use cipher_broker::id::{DeviceId, GroupId, PublishId};
use cipher_broker::limit;
use cipher_broker::subject::{Route, Source};
use cipher_broker::wire::envelope::Envelope;
use cipher_core::Publish;

use crate::support::disk::End;
use crate::support::log::{APPLICATION, COMMIT, Flavour, Header, Outside};
use crate::support::oracle;
use crate::support::world::{Faults, World, rename, send};

const PEOPLE: [&str; 3] = ["alice", "bob", "carol"];

fn trio(seed: u64) -> (World, GroupId) {
    let mut world = World::of(seed, Flavour::R1, &PEOPLE);
    let group = world.admins("ops", &PEOPLE);
    (world, group)
}

/// Texts that everybody sees, in one order.
fn everybody_sees(world: &mut World, group: GroupId, texts: &[&str]) {
    for name in PEOPLE {
        assert_eq!(world.person(name).texts(group), texts, "{name}");
    }
}

fn skipped(world: &mut World, name: &str) -> u64 {
    world.person(name).status().skipped.values().sum()
}

fn last(world: &World, group: GroupId, content: u8) -> Outside {
    let outside = world.log.outside(group);
    outside.into_iter().rfind(|message| message.header.content == content).unwrap()
}

fn inbox(world: &mut World, name: &str) -> Route {
    Route::Inbox(world.person(name).account().device_id.unwrap())
}

/// The same message for another epoch: only its header is changed.
fn of_epoch(stored: &[u8], epoch: u64) -> Vec<u8> {
    let header = Header::of(stored).unwrap();
    let Ok(Envelope::Message(mut mls)) = codec::decode(stored) else { panic!("a message was expected") };
    mls[header.epoch_at..header.epoch_at + 8].copy_from_slice(&epoch.to_be_bytes());
    codec::encode(&Envelope::Message(mls))
}

#[test]
fn everything_twice_is_shown_once() {
    let (mut world, group) = trio(1);
    world.faults = Faults { repeat: 900, double_ack: 900, ..Faults::NONE };
    for n in 0..6 {
        for name in PEOPLE {
            world.person(name).starts(send(group, &format!("{name} {n}")));
        }
        world.person("alice").starts(rename(group, &format!("name {n}")));
        world.churn(30);
    }
    oracle::judge(&mut world);
    assert_eq!(world.person("carol").texts(group).len(), 21, "eighteen, and a probe of each");
}

#[test]
fn m09_replays_are_shown_once_at_once_and_after_a_restart_and_much_later() {
    let (mut world, group) = trio(2);
    world.person("alice").says(group, "pay 10");
    world.settle();
    let genuine = last(&world, group, APPLICATION).bytes;
    let replay = |world: &mut World| {
        for _ in 0..3 {
            world.log.inject(Route::Application(group), genuine.clone());
        }
        world.settle();
        everybody_sees(world, group, &["pay 10"]);
    };
    replay(&mut world);
    for name in PEOPLE {
        world.person(name).restarts(End::Kill);
    }
    replay(&mut world);
    world.person("bob").renames(group, "another epoch");
    world.pass(Duration::from_secs(3600));
    replay(&mut world);
    oracle::survive(&mut world);
}

#[test]
fn m10_a_range_that_is_delivered_again_changes_nothing() {
    let (mut world, group) = trio(3);
    let mut texts = Vec::new();
    for n in 0..30 {
        texts.push(format!("message {n}"));
        world.person("bob").says(group, &texts[n]);
        if n % 10 == 5 {
            world.person("alice").renames(group, &format!("name {n}"));
        }
    }
    world.settle();
    let before = world.person("carol").group(group);
    let all = world.log.read(&Source::Group(group), 0, u64::MAX, usize::MAX);
    for delivered in &all {
        world.person("carol").gets(delivered.clone());
    }
    for delivered in all.iter().rev() {
        world.person("carol").gets(delivered.clone());
    }
    assert_eq!(world.person("carol").group(group), before);
    oracle::judge(&mut world);
    assert_eq!(world.person("carol").texts(group)[..30], texts[..]);
}

#[test]
fn replays_of_commits_and_proposals_change_nothing() {
    let (mut world, group) = trio(4);
    world.person("alice").renames(group, "one");
    world.settle();
    let commit = last(&world, group, COMMIT).bytes;
    for route in [Route::Handshake(group), Route::Application(group)] {
        world.log.inject(route, commit.clone());
    }
    world.settle();
    world.person("bob").renames(group, "two");
    world.settle();
    world.log.inject(Route::Handshake(group), commit);
    oracle::survive(&mut world);
    assert_eq!(world.person("carol").group(group).name, "two");
}

/// M01: noise of every size on every subject that a member reads.
#[test]
fn m01_noise_on_every_subject_is_skipped() {
    let (mut world, group) = trio(5);
    world.person("alice").says(group, "before");
    let routes = [Route::Application(group), Route::Handshake(group), inbox(&mut world, "carol")];
    for n in 0..300 {
        let size = *world.dice.pick(&[0, 1, 2, 7, 60, 300, 4000, 64 * 1024]);
        let mut noise = world.dice.bytes(size);
        // Some of it looks like ours from the first byte on.
        if n % 3 == 0 && size > 1 {
            noise[0] = codec::VERSION;
        }
        if n % 9 == 0 {
            noise = codec::encode(&Envelope::Message(noise));
        }
        let route = *world.dice.pick(&routes);
        world.log.inject(route, noise);
    }
    world.settle();
    for name in PEOPLE {
        let count = skipped(&mut world, name);
        assert!(count > 100, "{name} counts what it skips: {count}");
    }
    world.person("bob").renames(group, "still here");
    oracle::survive(&mut world);
}

/// M02 and M04: every prefix of a message and a commit, and bytes behind them.
#[test]
fn m02_prefixes_and_m04_trailing_bytes_are_skipped() {
    let (mut world, group) = trio(6);
    // Bob's messages are in the log, unread by Carol, when the damaged copies follow and precede them.
    world.person("carol").disconnects();
    world.person("bob").says(group, "genuine");
    world.person("alice").renames(group, "renamed");
    let message = last(&world, group, APPLICATION).bytes;
    let commit = last(&world, group, COMMIT).bytes;
    for (route, whole) in [(Route::Application(group), message), (Route::Handshake(group), commit)] {
        for cut in 0..whole.len() {
            world.log.inject(route, whole[..cut].to_vec());
        }
        for more in 1..=16 {
            let mut longer = whole.clone();
            longer.resize(whole.len() + more, 0);
            world.log.inject(route, longer);
            // Behind the MLS message, inside a well-formed envelope.
            let Ok(Envelope::Message(mut mls)) = codec::decode(&whole) else { panic!() };
            mls.resize(mls.len() + more, 0);
            world.log.inject(route, codec::encode(&Envelope::Message(mls)));
        }
    }
    world.person("carol").connects();
    world.settle();
    everybody_sees(&mut world, group, &["genuine"]);
    oracle::survive(&mut world);
}

/// M03: bits flipped in every byte of a message and of a commit, before the genuine ones arrive.
#[test]
fn m03_flipped_bits_are_never_accepted() {
    let (mut world, group) = trio(7);
    let mut once = BTreeSet::new();
    world.meddle = Some(Box::new(move |_, publish: &Publish, log| {
        let kind = Header::of(&publish.bytes).map(|header| header.content);
        if !publish.bytes.is_empty() && once.insert((kind, publish.route.to_string())) && once.len() < 8 {
            // A commit fails its compare-and-set when others take the place: flips of it lie beside it instead.
            let route = match publish.route {
                Route::Handshake(group) => Route::Application(group),
                other => other,
            };
            for at in 0..publish.bytes.len() {
                for bit in [0x01, 0x80] {
                    let mut flipped = publish.bytes.clone();
                    flipped[at] ^= bit;
                    log.inject(route, flipped);
                }
            }
        }
    }));
    world.person("bob").says(group, "genuine");
    world.settle();
    world.person("alice").renames(group, "renamed");
    world.settle();
    world.meddle = None;
    everybody_sees(&mut world, group, &["genuine"]);
    assert_eq!(world.person("carol").group(group).name, "renamed");
    oracle::survive(&mut world);
}

#[test]
fn m05_oversize_is_skipped_before_it_is_read() {
    let (mut world, group) = trio(8);
    for size in [limit::MESSAGE_BYTES + 1, 590 * 1024] {
        let big = codec::encode(&Envelope::Message(vec![0; size]));
        world.log.inject(Route::Application(group), big.clone());
        world.log.inject(Route::Handshake(group), big.clone());
        let route = inbox(&mut world, "carol");
        world.log.inject(route, big);
    }
    oracle::survive(&mut world);
    let text = "x".repeat(limit::TEXT_BYTES + 1);
    world.person("alice").cannot(send(group, &text), cipher_api::ErrorKind::Limit);
    let text = "x".repeat(limit::TEXT_BYTES);
    world.person("alice").says(group, &text);
    world.settle();
    assert_eq!(world.person("carol").sees(group, &text), 1, "the largest text arrives");
}

#[test]
fn m06_length_bombs_cost_nothing() {
    let (mut world, group) = trio(9);
    for bomb in [
        &[0x00, 0x01, 0x00, 0x02, 0xBF, 0xFF, 0xFF, 0xFF][..],
        &[0x00, 0x01, 0x00, 0x03, 0xBF, 0xFF, 0xFF, 0xFF],
        &[0x00, 0x01, 0x00, 0x01, 0x10, 0xBF, 0xFF, 0xFF, 0xFF],
    ] {
        for bytes in [
            bomb.to_vec(),
            codec::encode(&Envelope::Message(bomb.to_vec())),
            codec::encode(&Envelope::Welcome { welcome: bomb.to_vec(), note: bomb.to_vec() }),
            // A MessagePack byte string that claims four gigabytes.
            vec![codec::VERSION, 0x81, 0xA1, b'm', 0xC6, 0xFF, 0xFF, 0xFF, 0xFF],
        ] {
            for route in [Route::Application(group), Route::Handshake(group), inbox(&mut world, "carol")] {
                world.log.inject(route, bytes.clone());
            }
        }
    }
    oracle::survive(&mut world);
}

/// M07 and M08: a copy with a flipped tail comes first; the receiver may even crash between the two.
#[test]
fn m07_a_tampered_copy_does_not_burn_the_genuine_message_m08_nor_across_a_crash() {
    for crash in [None, Some(End::Kill), Some(End::PowerLoss)] {
        let (mut world, group) = trio(10);
        world.person("alice").starts(send(group, "genuine"));
        let alice = world.index("alice");
        assert!(world.waits(alice, |route| matches!(route, Route::Application(_))));
        let mut tampered = world.outgoing(alice)[0].bytes.clone();
        let end = tampered.len() - 1;
        tampered[end] ^= 1;
        world.person("alice").holds(true);
        world.log.inject(Route::Application(group), tampered);
        world.settle();
        if let Some(end) = crash {
            world.person("carol").restarts(end);
            world.settle();
        }
        world.person("alice").holds(false);
        world.settle();
        everybody_sees(&mut world, group, &["genuine"]);
        oracle::survive(&mut world);
    }
}

/// M16: the broker shows a message of the next epoch before the commit that begins it.
#[test]
fn m16_a_message_before_its_commit_is_parked_and_shown_after_it() {
    for crash in [false, true] {
        let (mut world, group) = trio(11);
        world.person("carol").disconnects();
        world.person("alice").renames(group, "next epoch");
        world.settle();
        world.person("bob").says(group, "early");
        world.settle();
        let (commit, message) = (last(&world, group, COMMIT), last(&world, group, APPLICATION));
        assert_eq!(message.header.epoch, commit.header.epoch + 1);
        world.log.swap(&Source::Group(group), commit.sequence, message.sequence);
        world.person("carol").connects();
        if crash {
            world.churn(2);
            world.person("carol").restarts(End::Kill);
        }
        world.settle();
        everybody_sees(&mut world, group, &["early"]);
        assert_eq!(world.person("carol").group(group).name, "next epoch");
        world.person("bob").says(group, "later");
        world.settle();
        everybody_sees(&mut world, group, &["early", "later"]);
    }
}

/// M16: so with the commit that takes a member out: it is over for that member when the commit before it is there.
#[test]
fn m16_a_removal_before_the_commit_it_builds_on_ends_the_group_after_it() {
    let (mut world, group) = trio(11);
    world.person("carol").disconnects();
    world.person("alice").renames(group, "next epoch");
    world.settle();
    let commit = last(&world, group, COMMIT);
    world.person("alice").removes(group, &["carol"]);
    world.settle();
    let removal = last(&world, group, COMMIT);
    assert_eq!(removal.header.epoch, commit.header.epoch + 1);
    world.log.swap(&Source::Group(group), commit.sequence, removal.sequence);
    world.person("carol").connects();
    world.settle();
    assert_eq!(world.person("carol").group(group).state, GroupState::Removed);
}

/// M17: headers that claim a future epoch are kept up to a bound only, and the genuine next epoch still works.
#[test]
fn m17_a_flood_of_future_messages_is_bounded() {
    let (mut world, group) = trio(12);
    world.person("alice").says(group, "model");
    let model = last(&world, group, APPLICATION);
    for n in 0..3000 {
        let ahead = if n % 2 == 0 { 1 } else { 5 };
        let mut fake = of_epoch(&model.bytes, model.header.epoch + ahead);
        let at = fake.len() - 1 - world.dice.below(60);
        fake[at] ^= 1 + u8::try_from(n % 200).unwrap();
        let sequence = world.log.inject(Route::Application(group), fake);
        assert!(sequence > 0);
    }
    world.settle();
    let kept = 3000 - skipped(&mut world, "carol");
    assert!(kept <= limit::PARKED_MESSAGES as u64, "{kept} are kept");
    world.person("bob").renames(group, "moved on");
    world.settle();
    world.person("bob").says(group, "after the flood");
    world.settle();
    everybody_sees(&mut world, group, &["model", "after the flood"]);
    oracle::survive(&mut world);
}

#[test]
fn a_future_commit_on_its_own_stops_nobody() {
    let (mut world, group) = trio(13);
    world.person("alice").renames(group, "one");
    world.settle();
    let commit = last(&world, group, COMMIT);
    for ahead in 1..4 {
        world.log.inject(Route::Handshake(group), of_epoch(&commit.bytes, commit.header.epoch + ahead));
    }
    world.settle();
    oracle::survive(&mut world);
    world.person("bob").renames(group, "two");
    oracle::survive(&mut world);
}

/// M21: what a removed member still publishes counts nothing.
#[test]
fn m21_an_ex_member_cannot_write() {
    let (mut world, group) = trio(14);
    let before = last(&world, group, COMMIT);
    world.person("bob").starts(send(group, "from beyond"));
    world.person("bob").starts(rename(group, "mine now"));
    // Bob's bytes reach the broker only after he was removed.
    world.person("bob").holds(true);
    world.person("alice").removes(group, &["bob"]);
    world.settle();
    world.person("bob").holds(false);
    world.settle();
    world.log.inject(Route::Handshake(group), before.bytes);
    world.settle();
    for name in ["alice", "carol"] {
        assert_eq!(world.person(name).texts(group), Vec::<String>::new(), "{name}");
        assert_eq!(world.person(name).group(group).name, "ops");
        assert_eq!(world.person(name).members(group).len(), 2);
    }
    assert_eq!(world.person("bob").group(group).state, GroupState::Removed);
    let own = world.person("bob").messages(group);
    assert!(own.iter().all(|m| m.state != MessageState::Sent && m.state != MessageState::Queued), "{own:?}");
    world.person("bob").cannot(send(group, "again"), cipher_api::ErrorKind::Refused);
    oracle::survive(&mut world);
}

/// M24: the broker stores something else than Alice's commit and says that it is hers.
#[test]
fn m24_an_own_commit_is_merged_only_when_the_log_shows_exactly_its_bytes() {
    for flavour in [Flavour::R1, Flavour::R3] {
        let mut world = World::of(15, flavour, &["alice", "bob", "carol", "dave"]);
        let group = world.admins("ops", &PEOPLE);
        let device = world.person("dave").account().device_id.unwrap();
        let mut first: Option<PublishId> = None;
        let now = world.now;
        world.meddle = Some(Box::new(move |who, publish: &Publish, log| {
            if who == "alice" && matches!(publish.route, Route::Handshake(_)) && first.is_none() {
                first = Some(publish.publish_id);
                let mut flipped = publish.bytes.clone();
                let end = flipped.len() - 1;
                flipped[end] ^= 1;
                log.squat(publish.route, publish.publish_id, flipped, now);
            }
        }));
        let ticket = world.person("alice").starts(crate::support::world::add(group, &["dave"]));
        for _ in 0..300 {
            if world.log.outside(group).iter().any(|m| !m.landed || m.header.content != COMMIT) {
                break;
            }
            world.churn(1);
        }
        assert_eq!(world.log.last_of(&Source::Inbox(device)), 0, "no Welcome for a commit that is not there");
        world.settle();
        let alice = world.index("alice");
        assert!(world.reply(alice, ticket).is_some());
        oracle::survive(&mut world);
        assert_eq!(world.person("bob").members(group).len(), 4, "her genuine commit came through in the end");
        assert_eq!(world.person("dave").group(group).state, GroupState::Invited);
    }
}

#[test]
fn a_squatted_publish_id_does_not_swallow_a_message() {
    for flavour in [Flavour::R1, Flavour::R3] {
        let mut world = World::of(16, flavour, &PEOPLE);
        let group = world.admins("ops", &PEOPLE);
        let now = world.now;
        let mut times = 0;
        world.meddle = Some(Box::new(move |_, publish: &Publish, log| {
            if matches!(publish.route, Route::Application(_)) && times < 2 {
                times += 1;
                log.squat(publish.route, publish.publish_id, b"squatter".to_vec(), now);
            }
        }));
        world.person("alice").starts(send(group, "mine"));
        world.settle();
        world.meddle = None;
        everybody_sees(&mut world, group, &["mine"]);
        oracle::survive(&mut world);
    }
}

#[test]
fn somebody_who_was_away_catches_up() {
    let (mut world, group) = trio(17);
    world.person("carol").disconnects();
    let mut texts = Vec::new();
    for n in 0..60 {
        let text = format!("message {n}");
        let name = *world.dice.pick(&["alice", "bob"]);
        world.person(name).says(group, &text);
        texts.push(text);
        if n % 12 == 7 {
            world.person("bob").renames(group, &format!("name {n}"));
        }
        if n == 30 {
            world.person("carol").restarts(End::Kill);
        }
    }
    world.person("carol").starts(send(group, "written while away"));
    world.pass(Duration::from_secs(7200));
    world.person("carol").connects();
    world.settle();
    texts.push("written while away".into());
    assert_eq!(world.person("carol").texts(group), texts);
    oracle::judge(&mut world);
}

#[test]
fn what_is_written_offline_is_queued_and_delivered_later() {
    let (mut world, group) = trio(18);
    world.person("alice").disconnects();
    let queued = world.person("alice").says(group, "later");
    assert_eq!((queued.state, queued.seq), (MessageState::Queued, None));
    world.person("alice").restarts(End::PowerLoss);
    assert_eq!(world.person("alice").sees(group, "later"), 1, "the own history shows it at once");
    world.person("bob").renames(group, "meanwhile");
    world.person("alice").connects();
    world.settle();
    everybody_sees(&mut world, group, &["later"]);
    oracle::judge(&mut world);
}

/// A one-shot `send` reads only what it needs.
#[test]
fn a_process_that_only_delivers_its_outbox_still_sends_in_the_right_epoch() {
    let (mut world, group) = trio(19);
    let alice = world.index("alice");
    world.person("alice").restarts(End::Clean);
    world.disconnect(alice);
    world.person("bob").renames(group, "meanwhile");
    world.settle();
    world.people[alice].interest = cipher_core::Interest::Outbox;
    world.connect(alice);
    let sent = world.person("alice").says(group, "one shot");
    assert_eq!(sent.state, MessageState::Sent);
    world.settle();
    everybody_sees(&mut world, group, &["one shot"]);
    oracle::judge(&mut world);
}

/// K01: invitations that nobody made.
#[test]
fn k01_welcomes_for_nobody_and_replayed_welcomes_change_nothing() {
    let mut world = World::of(20, Flavour::R1, &["alice", "bob", "carol"]);
    let group = world.group_of("ops", &["alice", "bob"]);
    let (to_bob, to_carol) = (inbox(&mut world, "bob"), inbox(&mut world, "carol"));
    let (_, welcome) = world.log.on(&to_bob).pop().unwrap();
    // K02: Bob's own Welcome again; and it is of no use to Carol.
    world.log.inject(to_bob, welcome.clone());
    world.log.inject(to_carol, welcome);
    let nobody = Route::Inbox(DeviceId::from_bytes([9; 16]));
    world.log.inject(nobody, b"nobody reads this".to_vec());
    oracle::survive(&mut world);
    assert_eq!(world.person("bob").groups().len(), 1);
    assert!(world.person("carol").groups().is_empty());
    assert_eq!(world.person("bob").members(group).len(), 2);
    let replayed = world.person("bob").asks(group::List {});
    assert!(replayed.is_ok());
}
