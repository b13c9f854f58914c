//! Backups: what a restored device is, what it has, and what it does not have.

use std::time::Duration;

use cipher_api::command::message::MessageRef;
use cipher_api::command::{account, bot, contact, device, message};
use cipher_api::view::{ContactState, GroupEvent, GroupState, Trust};
use cipher_api::{Error, ErrorKind, Hint, Target};
use cipher_broker::id::{GroupId, MessageId};
use cipher_broker::wire::group::Role;

use crate::support::disk::{Disk, End, Fault};
use crate::support::log::Flavour;
use crate::support::oracle;
use crate::support::registry::Fate;
use crate::support::setting;
use crate::support::world::{Frozen, World, send};

/// All parts of a backup of a profile.
fn backup(world: &mut World, name: &str) -> Vec<Vec<u8>> {
    let (mut parts, mut behind) = (Vec::new(), None);
    loop {
        let device::BackupPart { part, next, done, total } =
            world.person(name).does(device::Backup { behind: behind.take() });
        assert!(done <= total);
        parts.push(part);
        match next {
            Some(next) => behind = Some(next),
            None => return parts,
        }
    }
}

/// A fresh profile that took them in.
fn restore(world: &mut World, name: &str, parts: &[Vec<u8>]) -> usize {
    let index = world.arrive(name);
    for part in parts {
        world.run(index, device::Restore { part: part.clone() }).unwrap();
    }
    index
}

fn returns(keep_devices: Option<bool>) -> device::Return {
    device::Return { name: "new laptop".into(), keep_devices, signature: None }
}

/// A backup is restored into a profile of another name, which is a device of the account afterwards.
fn comes_back(world: &mut World, name: &str, parts: &[Vec<u8>], keep: Option<bool>) -> usize {
    let index = restore(world, name, parts);
    let returned = world.run(index, returns(keep));
    assert!(returned.as_ref().is_ok_and(|returned| returned.account.is_some()), "{returned:?}");
    world.settle();
    index
}

fn leaves(world: &mut World, who: &str, group: GroupId, whose: &str) -> usize {
    let view = world.person(who).group(group);
    view.members.iter().find(|member| member.handle == whose).map_or(0, |member| member.devices)
}

fn direct(world: &mut World, one: &str, other: &str) -> GroupId {
    world.person(one).does(contact::Add { handle: other.parse().unwrap(), text: Some("hi".into()) });
    world.settle();
    world.person(other).does(contact::Accept { handle: one.parse().unwrap() });
    world.settle();
    world.person(one).groups().into_iter().find(|view| view.direct).unwrap().id
}

fn trust(world: &mut World, who: &str, handle: &str) -> (ContactState, Trust) {
    let contacts = world.person(who).does(contact::List {});
    let found = contacts.into_iter().find(|contact| contact.handle.as_str() == handle).unwrap();
    (found.state, found.trust)
}

/// Contains these bytes anywhere.
fn holds(parts: &[Vec<u8>], needle: &[u8]) -> bool {
    parts.iter().any(|part| part.windows(needle.len()).any(|window| window == needle))
}

/// R-BACKUP-02, R-BACKUP-03: the machine is lost, and the account goes on from its backup, as a new device.
#[test]
fn r_backup_02_r_backup_03_a_restored_device_is_new_and_in_every_group_with_history_and_trust() {
    for seed in [1, 2] {
        let flavour = if seed == 1 { Flavour::R1 } else { Flavour::R3 };
        let mut world = World::of(seed, flavour, &["alice", "bob", "carol"]);
        // Bob is no contact of hers, and she owns one of the groups.
        let ops = world.group_of("ops", &["bob", "alice", "carol"]);
        let own = world.group_of("mine", &["alice", "bob"]);
        let two = direct(&mut world, "alice", "carol");
        let left = world.group_of("left", &["carol", "alice"]);
        world.person("alice").does(cipher_api::command::group::Leave { target: Target::Group(left) });
        world.settle();
        let number =
            world.person("alice").does(contact::Verify { handle: "carol".parse().unwrap(), code: None });
        let verify = contact::Verify { handle: "carol".parse().unwrap(), code: Some(number.number) };
        world.person("alice").does(verify);
        let words = world.person("bob").says(ops, "frist");
        world.settle();
        let of = |id: MessageId| MessageRef { id: id.to_string(), within: Some(Target::Group(ops)) };
        world.person("bob").does(message::Edit { message: of(words.id), text: "first".into() });
        let gone = world.person("carol").says(ops, "a secret");
        world.settle();
        world.person("carol").does(message::Delete { message: of(gone.id), local: false });
        world.person("alice").says(ops, "mine");
        world.person("carol").says(two, "between us");
        world.settle();
        let before = world.person("alice").messages(ops);
        let old = world.person("alice").account().device_id.unwrap();

        let parts = backup(&mut world, "alice");
        assert!(!holds(&parts, b"a secret"), "what was deleted stays deleted");
        assert!(holds(&parts, b"between us"));
        let alice = world.index("alice");
        world.end(alice, End::Kill);
        world.person("bob").says(ops, "while she was away");
        world.settle();

        let index = restore(&mut world, "laptop", &parts);
        // Before anybody knows of it, nothing can be done with it but to go on.
        world.run(index, account::Show {}).unwrap_err();
        let register = account::Register {
            handle: "eve".parse().unwrap(),
            name: String::new(),
            bot: None,
            invite_code: None,
        };
        assert_eq!(world.run(index, register).unwrap_err().kind, ErrorKind::Conflict);
        let returned = world.run(index, returns(None)).unwrap();
        world.settle();
        let view = returned.account.unwrap();
        assert_eq!((view.handle.as_str(), view.name.as_str()), ("alice", "Alice"));
        assert_ne!(view.device_id, Some(old));
        for group in [ops, own, two] {
            assert_eq!(world.person("laptop").group(group).state, GroupState::Active);
            assert_eq!(leaves(&mut world, "laptop", group, "alice"), 1, "the lost device is out");
        }
        assert_eq!(world.person("laptop").group(left).state, GroupState::Left);
        let role = world.person("bob").group(own);
        let role = role.members.iter().find(|member| member.handle == "alice").unwrap().role;
        assert_eq!(role, Role::Owner);
        assert_eq!(trust(&mut world, "laptop", "carol"), (ContactState::Accepted, Trust::Verified));
        let after = world.person("laptop").messages(ops);
        for (was, is) in before.iter().zip(&after) {
            assert_eq!(
                (was.id, &was.text, was.edited, was.deleted),
                (is.id, &is.text, is.edited, is.deleted)
            );
        }
        assert!(after.iter().any(|line| line.text == "first" && line.edited));
        assert!(after.iter().any(|line| line.id == gone.id && line.deleted && line.text.is_empty()));
        assert_eq!(world.person("laptop").sees(ops, "while she was away"), 0);
        assert!(after.iter().any(|line| line.event() == Some(GroupEvent::Missed)), "what is missing is said");
        assert_eq!(world.person("laptop").sees(two, "between us"), 1);
        // It goes on.
        for group in [ops, own, two] {
            world.person("laptop").says(group, "it is me");
        }
        world.person("carol").says(two, "welcome back");
        world.settle();
        assert_eq!(world.person("carol").sees(two, "it is me"), 1);
        assert_eq!(world.person("bob").sees(own, "it is me"), 1);
        assert_eq!(world.person("laptop").sees(two, "welcome back"), 1);
        world.person("laptop").restarts(End::Kill);
        world.settle();
        // The lost machine turns up: it is nobody's.
        world.revive(alice);
        world.settle();
        world.person("alice").cannot(send(ops, "old"), ErrorKind::Refused);
        oracle::judge(&mut world);
    }
}

/// R-BACKUP-01: nothing in a backup lets a device pass for the one that made it.
#[test]
fn r_backup_01_a_backup_holds_no_key_of_the_device() {
    let mut world = World::of(3, Flavour::R1, &["alice", "bob"]);
    let group = world.group_of("ops", &["alice", "bob"]);
    world.person("alice").says(group, "words");
    world.settle();
    world.person("alice").disconnects();
    world.person("alice").says(group, "not sent yet");
    let parts = backup(&mut world, "alice");
    assert!(holds(&parts, b"words") && !holds(&parts, b"not sent yet"));
    let one = comes_back(&mut world, "one", &parts, None);
    let certificates = |world: &mut World| {
        let own = world.account(one).unwrap();
        world.registry.record_of(own).certificates
    };
    let device = world.own_device(one).unwrap();
    let [certificate] = certificates(&mut world).try_into().unwrap();
    let body = certificate.verify().unwrap();
    assert_eq!(body.device, device);
    assert!(!holds(&parts, &body.device_key) && !holds(&parts, device.as_bytes()));
    oracle::judge(&mut world);
}

/// The old device still runs: the account has both, and each is what it was.
#[test]
fn r_backup_02_beside_its_other_devices_a_restored_one_is_a_further_device() {
    let mut world = World::of(4, Flavour::R1, &["alice", "bob"]);
    let group = world.group_of("ops", &["bob", "alice"]);
    world.person("bob").says(group, "before");
    world.settle();
    let parts = backup(&mut world, "alice");
    comes_back(&mut world, "second", &parts, Some(true));
    assert_eq!(world.person("second").group(group).state, GroupState::Active);
    assert_eq!(leaves(&mut world, "bob", group, "alice"), 2);
    assert_eq!(world.person("second").sees(group, "before"), 1);
    world.person("alice").says(group, "from the first");
    world.person("second").says(group, "from the second");
    world.settle();
    assert_eq!(world.person("second").sees(group, "from the first"), 1);
    assert_eq!(world.person("alice").sees(group, "from the second"), 1);
    let devices = world.person("second").does(device::List {});
    let first = devices.iter().find(|view| !view.current).unwrap();
    world.person("second").does(device::Revoke { device: first.device_id.to_string() });
    world.settle();
    assert_eq!(leaves(&mut world, "bob", group, "alice"), 1);
    world.person("alice").cannot(send(group, "gone"), ErrorKind::Refused);
    oracle::judge(&mut world);
}

/// With several devices, the others stay unless the person says otherwise.
#[test]
fn without_a_word_other_devices_of_the_account_stay() {
    let mut world = World::of(5, Flavour::R1, &["alice", "bob"]);
    let group = world.group_of("ops", &["bob", "alice"]);
    let parts = backup(&mut world, "alice");
    comes_back(&mut world, "second", &parts, Some(true));
    let alice = world.index("alice");
    world.end(alice, End::Kill);
    // The lost one made the backup; the second one lets the third in.
    comes_back(&mut world, "third", &parts, None);
    assert_eq!(world.person("third").group(group).state, GroupState::Active);
    assert_eq!(leaves(&mut world, "bob", group, "alice"), 3);
    // All of them are lost.
    for name in ["second", "third"] {
        let index = world.index(name);
        world.end(index, End::Kill);
    }
    comes_back(&mut world, "fourth", &parts, Some(false));
    assert_eq!(world.person("fourth").group(group).state, GroupState::Active);
    assert_eq!(leaves(&mut world, "bob", group, "alice"), 1);
}

/// R-BACKUP-02: the first restored machine is lost as well, before any member was there to let it in.
#[test]
fn r_backup_02_of_two_restores_that_nobody_has_seen_yet_the_second_comes_back() {
    let mut world = World::of(12, Flavour::R1, &["alice", "bob"]);
    let group = world.group_of("ops", &["bob", "alice"]);
    world.person("bob").says(group, "before");
    world.settle();
    let parts = backup(&mut world, "alice");
    let alice = world.index("alice");
    world.end(alice, End::Kill);
    world.person("bob").disconnects();
    let second = comes_back(&mut world, "second", &parts, Some(false));
    world.end(second, End::Kill);
    comes_back(&mut world, "third", &parts, Some(false));
    world.person("bob").connects();
    world.settle();
    assert_eq!(world.person("third").group(group).state, GroupState::Active);
    assert_eq!(leaves(&mut world, "bob", group, "alice"), 1);
    world.person("third").says(group, "after");
    world.settle();
    assert_eq!(world.person("bob").sees(group, "after"), 1);
    oracle::judge(&mut world);
}

/// A reply is lost, or the process ends between any two parts: the same command goes on.
#[test]
fn a_restore_goes_on_after_lost_replies_and_kills() {
    for (operation, fate) in [
        ("open-recovery", Fate::NoReply),
        ("append-statement", Fate::NoReply),
        ("append-statement", Fate::LostReply),
    ] {
        let mut world = World::of(6, Flavour::R1, &["alice", "bob"]);
        let group = world.group_of("ops", &["bob", "alice"]);
        let parts = backup(&mut world, "alice");
        let alice = world.index("alice");
        world.end(alice, End::Kill);
        let index = restore(&mut world, "laptop", &parts);
        world.restart(index, End::Kill);
        world.registry.next(operation, fate);
        let error = world.run(index, returns(None)).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unreachable, "{error:?}");
        world.settle();
        world.restart(index, End::PowerLoss);
        assert!(world.run(index, returns(None)).is_ok(), "{operation} {fate:?}");
        world.settle();
        // Members that heard of the device before it had key packages ask again after a while.
        world.pass(Duration::from_secs(60));
        world.settle();
        assert_eq!(world.person("laptop").group(group).state, GroupState::Active);
        assert_eq!(leaves(&mut world, "bob", group, "alice"), 1, "{operation} {fate:?}");
        oracle::judge(&mut world);
    }
}

/// One return in which the new device's disk fails from one call on; gives the number of its writing calls.
fn return_with_crash(frozen: &Frozen, fails: Option<u64>, dies: End) -> u64 {
    let mut world = frozen.thaw(11, Flavour::R3, 2);
    world.dies = dies;
    let parts = backup(&mut world, "alice");
    let alice = world.index("alice");
    world.end(alice, End::Kill);
    let disk = Disk::default();
    let index = world.arrive_with("laptop", disk.clone());
    for part in &parts {
        world.run(index, device::Restore { part: part.clone() }).unwrap();
    }
    let before = disk.calls();
    disk.plan(fails.map(|n| Fault::From(before + n)));
    for _ in 0..20 {
        world.revive(index);
        world.settle();
        if world.people[index].core.is_none() {
            continue;
        }
        if world.status(index).registered {
            break;
        }
        let _ = world.run(index, returns(None));
    }
    world.settle();
    let calls = disk.calls() - before;
    disk.plan(None);
    world.revive(index);
    world.heal();
    // Key packages of a device that was away are asked for less and less often.
    world.pass(Duration::from_secs(70));
    world.settle();
    assert!(world.status(index).registered, "{fails:?} {dies:?}");
    for view in world.person("laptop").groups() {
        assert_eq!(view.state, GroupState::Active, "{fails:?} {dies:?}");
    }
    assert_eq!(world.person("laptop").groups().len(), 2);
    oracle::check(&mut world);
    calls
}

#[test]
fn a_restored_device_that_dies_at_any_write_of_its_return_goes_on() {
    let mut world = World::of(1, Flavour::R1, &["alice", "bob"]);
    world.group_of("ops", &["bob", "alice"]);
    world.group_of("own", &["alice", "bob"]);
    let frozen = world.freeze();
    let calls = return_with_crash(&frozen, None, End::Kill);
    assert!(calls > 20, "a return of {calls} calls");
    let sample = if setting::is_set("WORLD_FULL") { calls } else { 30.min(calls) };
    for n in 0..sample {
        let dies = if n % 2 == 0 { End::Kill } else { End::PowerLoss };
        return_with_crash(&frozen, Some(1 + n * calls / sample), dies);
    }
}

/// Parts that are missing, doubled, swapped or nonsense change nothing.
#[test]
fn parts_come_in_their_order_and_into_a_fresh_profile() {
    let mut world = World::of(7, Flavour::R1, &["alice", "bob"]);
    let group = world.group_of("ops", &["bob", "alice"]);
    world.person("bob").says(group, "words");
    world.settle();
    let parts = backup(&mut world, "alice");
    let refused = |result: Result<cipher_api::reply::Done, Error>| {
        let error = result.unwrap_err();
        assert!(matches!(error.kind, ErrorKind::Misuse | ErrorKind::Conflict), "{error:?}");
    };
    let index = world.arrive("laptop");
    refused(world.run(index, device::Restore { part: parts[1].clone() }));
    refused(world.run(index, device::Restore { part: vec![] }));
    refused(world.run(index, device::Restore { part: b"\x01nonsense".to_vec() }));
    world.run(index, device::Restore { part: parts[0].clone() }).unwrap();
    refused(world.run(index, device::Restore { part: parts[0].clone() }));
    // Its messages did not come.
    refused(world.run(index, device::Restore { part: parts.last().unwrap().clone() }));
    assert_eq!(world.run(index, returns(None)).unwrap_err().kind, ErrorKind::Conflict);
    for part in &parts[1..] {
        world.run(index, device::Restore { part: part.clone() }).unwrap();
    }
    refused(world.run(index, device::Restore { part: parts[1].clone() }));
    let bob = world.index("bob");
    refused(world.run(bob, device::Restore { part: parts[0].clone() }));
    assert_eq!(world.run(bob, returns(None)).unwrap_err().kind, ErrorKind::Conflict);
    let nowhere = device::Backup { behind: Some(b"nowhere".to_vec()) };
    world.person("bob").cannot(nowhere, ErrorKind::Misuse);
}

/// R-BACKUP-02: who goes on with a restore gives the same file again, and learns if it is another one.
#[test]
fn r_backup_02_a_backup_that_waits_is_known_by_its_first_part() {
    let mut world = World::of(7, Flavour::R1, &["alice", "bob"]);
    let parts = backup(&mut world, "alice");
    let index = restore(&mut world, "laptop", &parts);
    let first = |part: &[u8]| device::Restore { part: part.to_vec() };
    world.run(index, first(&parts[0])).unwrap();
    world.pass(Duration::from_secs(1));
    // Not even the next one of the same device is the same.
    for other in ["alice", "bob"] {
        let other = backup(&mut world, other);
        let error = world.run(index, first(&other[0])).unwrap_err();
        assert_eq!((error.kind, error.hint), (ErrorKind::Conflict, Some(Hint::DeviceRestoreGoOn)));
    }
    world.restart(index, End::Kill);
    world.run(index, first(&parts[0])).unwrap();
    assert!(world.run(index, returns(None)).is_ok(), "nothing was changed");
    assert_eq!(world.run(index, first(&parts[0])).unwrap_err().kind, ErrorKind::Conflict);
}

/// R-BACKUP-03: who came after the backup may be anybody: the person is asked.
#[test]
fn r_backup_03_only_who_was_a_member_lets_back_in_without_asking() {
    let mut world = World::of(8, Flavour::R1, &["alice", "bob", "carol"]);
    let group = world.group_of("ops", &["bob", "alice"]);
    let parts = backup(&mut world, "alice");
    let alice = world.index("alice");
    world.end(alice, End::Kill);
    world.person("bob").adds(group, &["carol"]);
    world.settle();
    world.person("carol").accepts(group);
    world.settle();
    world.person("bob").disconnects();
    comes_back(&mut world, "laptop", &parts, None);
    let view = world.person("laptop").group(group);
    assert_eq!(view.state, GroupState::Invited, "carol carried it out");
    world.person("laptop").accepts(group);
    world.settle();
    assert_eq!(world.person("laptop").group(group).state, GroupState::Active);
    // Nobody is there to let her in.
    world.person("carol").disconnects();
    let laptop = world.index("laptop");
    world.end(laptop, End::Kill);
    comes_back(&mut world, "next", &parts, Some(false));
    assert_eq!(world.person("next").group(group).state, GroupState::Restored);
    world.person("next").cannot(send(group, "too early"), ErrorKind::Refused);
    world.person("bob").connects();
    world.settle();
    assert_eq!(world.person("next").group(group).state, GroupState::Active);
    world.person("carol").connects();
    world.settle();
    oracle::judge(&mut world);
}

/// R-BACKUP-04: the registry must go on from the log that the backup has.
#[test]
fn r_backup_04_a_registry_that_forgot_what_the_backup_knows_is_not_believed() {
    let mut world = World::of(9, Flavour::R1, &["alice", "bob"]);
    let frozen = {
        let alice = world.index("alice");
        let own = world.account(alice).unwrap();
        (own, world.registry.record_of(own))
    };
    let early = backup(&mut world, "alice");
    comes_back(&mut world, "second", &early, Some(true));
    let late = backup(&mut world, "alice");
    world.registry.lies.frozen.insert(frozen.0, frozen.1);
    let index = restore(&mut world, "third", &late);
    assert_eq!(world.run(index, returns(None)).unwrap_err().kind, ErrorKind::Trust);
}

/// Answers all that waits for the bot; how many.
fn serve(world: &mut World, process: &str, most: usize) -> usize {
    let ask = bot::Events { bot: "echo".into(), limit: 64, busy: Vec::new() };
    let waiting = world.person(process).does(ask);
    let texts: Vec<_> = waiting.into_iter().take(most).collect();
    let mut said = 0;
    for event in texts {
        let words = event.message.event().is_none();
        let say = bot::Say {
            files: Vec::new(),
            salt: [7; 16],
            text: format!("echo: {}", event.message.text),
            reply_to: None,
            reaction: None,
            edit: None,
            poll: None,
            close: None,
            thread: None,
            hops: 1,
            at: event.message.at.unwrap_or_default(),
        };
        said += usize::from(words);
        let handled = bot::Handled {
            bot: "echo".into(),
            group: event.message.group,
            position: event.position,
            place: event.place,
            say: if words { vec![say] } else { Vec::new() },
            memory: Some(format!("after {}", event.message.text).into_bytes()),
        };
        world.person(process).does(handled);
        world.settle();
    }
    said
}

/// A bot that lost its machine is the same bot again.
#[test]
fn a_restored_bot_goes_on_where_it_was_and_answers_nothing_twice() {
    let mut world = World::of(10, Flavour::R1, &["alice", "bob"]);
    world.register_bot("echo", "alice");
    let group = world.group_of("ops", &["alice", "bob", "echo"]);
    serve(&mut world, "echo", usize::MAX);
    for n in 0..4 {
        world.person("bob").says(group, &format!("{n}"));
        world.settle();
    }
    assert_eq!(serve(&mut world, "echo", 2), 2, "two wait");
    let parts = backup(&mut world, "echo");
    let echo = world.index("echo");
    world.end(echo, End::Kill);
    let index = restore(&mut world, "echo again", &parts);
    let returned = world.run(index, returns(None)).unwrap();
    let certificate = returned.certificate.unwrap();
    let wrong = device::Return { signature: Some(vec![1; 64]), ..returns(None) };
    assert_eq!(world.run(index, wrong).unwrap_err().kind, ErrorKind::Misuse);
    // One that was asked for again is what counts.
    let again = world.run(index, returns(None)).unwrap().certificate.unwrap();
    assert_eq!(certificate.len(), again.len());
    let bot::Signature { signature } = world.person("alice").does(bot::Sign { certificate: again });
    let signed = device::Return { signature: Some(signature), ..returns(None) };
    assert!(world.run(index, signed).unwrap().account.is_some());
    world.settle();
    assert_eq!(world.person("echo again").group(group).state, GroupState::Active);
    let ask = bot::Events { bot: "echo".into(), limit: 64, busy: Vec::new() };
    let waiting = world.person("echo again").does(ask);
    let texts: Vec<&str> = waiting.iter().map(|event| event.message.text.as_str()).collect();
    assert_eq!(texts, ["2", "3"], "nothing twice, nothing lost, and it does not greet again");
    assert_eq!(waiting[0].memory.as_deref(), Some(b"after 1".as_slice()));
    serve(&mut world, "echo again", usize::MAX);
    world.person("bob").says(group, "4");
    world.settle();
    serve(&mut world, "echo again", usize::MAX);
    let mut texts = world.person("bob").texts(group);
    texts.retain(|text| text.starts_with("echo: "));
    let expected: Vec<String> = (0..5).map(|n| format!("echo: {n}")).collect();
    assert_eq!(texts, expected);
    oracle::judge(&mut world);
}
