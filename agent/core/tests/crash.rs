//! A disk that fails at every writing call, in turn: whatever was on it then is enough to go on.
//!
//! A sample of the calls in the ordinary run; all of them with `WORLD_FULL=1`, and with `WORLD_POINTS=N` again in other worlds
//! until N calls failed in all tests of this file together.

use std::time::Duration;

use cipher_api::command::message::MessageRef;
use cipher_api::command::{account, group, message, status};
use cipher_api::view::GroupState;
use cipher_api::{Ask, Cursor, Target};
use cipher_broker::id::GroupId;

use crate::journal;
use crate::stored;
use crate::support::disk::{Disk, End, Fault};
use crate::support::log::Flavour;
use crate::support::oracle;
use crate::support::setting;
use crate::support::world::{Frozen, World, add, remove, rename, send};

/// Whose disk fails.
const VIC: &str = "vic";
/// Calls tried in the ordinary run, per way to fail.
const SAMPLE: u64 = 40;
/// Tests that share the calls of a long run.
const TESTS: u64 = 12;
/// Calls that make an empty store, about.
const BEGINNING: u64 = 14;

/// Repeats a command until what it is for is so, reviving the process whenever its disk ended it.
fn insist<R: Ask + Clone + std::fmt::Debug>(
    world: &mut World,
    who: &str,
    request: &R,
    so: impl Fn(&mut World) -> bool,
) {
    let index = world.index(who);
    for _ in 0..8 {
        if world.people[index].core.is_some() {
            let _ = world.run(index, request.clone());
        }
        comes_to_rest(world);
        if so(world) {
            return;
        }
    }
    panic!("{who} never got through with {request:?}");
}

/// Vic may die over somebody else's command too, and while everything comes to rest. Looking writes nothing.
fn comes_to_rest(world: &mut World) {
    let vic = world.index(VIC);
    while world.people[vic].core.is_none() || !world.is_at_rest() {
        world.revive(vic);
        world.settle();
    }
}

/// A group of somebody's by its name; its names change in these stories.
fn find(world: &mut World, who: &str, names: &[&str]) -> Option<GroupId> {
    let groups = world.person(who).groups();
    groups.into_iter().find(|view| names.contains(&view.name.as_str())).map(|view| view.id)
}

fn register(world: &mut World) {
    let command =
        account::Register { handle: VIC.parse().unwrap(), name: "Vic".into(), bot: None, invite_code: None };
    insist(world, VIC, &command, |world| world.person(VIC).status().registered);
}

fn is_member(world: &mut World, who: &str, group: GroupId) -> bool {
    world.person(who).knows(group).is_some_and(|view| view.state == GroupState::Active)
}

fn accept(world: &mut World, who: &str, group: GroupId) {
    let command = group::Accept { target: Target::Group(group) };
    insist(world, who, &command, |world| is_member(world, who, group));
}

fn say(world: &mut World, who: &str, group: GroupId, text: &str) {
    insist(world, who, &send(group, text), |world| world.person(who).sees(group, text) > 0);
}

/// Vic registers and makes a group with Bob.
fn makes_group(world: &mut World) -> GroupId {
    register(world);
    let with = vec!["bob".parse().unwrap()];
    let create = group::Create { name: "ops".into(), with, post_quantum: false };
    insist(world, VIC, &create, |world| find(world, VIC, &["ops"]).is_some());
    let group = find(world, VIC, &["ops"]).unwrap();
    // The process may have died between making the group and adding Bob.
    insist(world, VIC, &add(group, &["bob"]), |world| world.person(VIC).members(group).len() == 2);
    accept(world, "bob", group);
    group
}

/// Vic makes a group and runs it.
fn maker(world: &mut World) -> Vec<&'static str> {
    let group = makes_group(world);
    insist(world, VIC, &add(group, &["carol"]), |world| world.person(VIC).members(group).len() == 3);
    accept(world, "carol", group);
    say(world, VIC, group, "from vic");
    say(world, "bob", group, "from bob");
    insist(world, VIC, &rename(group, "war room"), |world| world.person(VIC).group(group).name == "war room");
    insist(world, VIC, &remove(group, &["carol"]), |world| world.person(VIC).members(group).len() == 2);
    say(world, VIC, group, "last");
    vec!["from vic", "from bob", "last"]
}

/// Vic is invited, takes part, and leaves.
fn guest(world: &mut World) -> Vec<&'static str> {
    register(world);
    let group = world.person("bob").creates("ops", &["carol"]);
    world.settle();
    accept(world, "carol", group);
    insist(world, "bob", &add(group, &[VIC]), |world| world.person("bob").members(group).len() == 3);
    accept(world, VIC, group);
    say(world, "bob", group, "from bob");
    insist(world, "carol", &status::Sync {}, |_| true);
    insist(world, "bob", &rename(group, "war room"), |world| {
        world.person("carol").group(group).name == "war room"
    });
    say(world, VIC, group, "from vic");
    say(world, "carol", group, "from carol");
    let leave = group::Leave { target: Target::Group(group) };
    insist(world, VIC, &leave, |world| world.person(VIC).group(group).state == GroupState::Left);
    vec!["from bob", "from vic", "from carol"]
}

/// Vic deletes, and what was deleted is made unreadable: in time, and when the process ends.
fn keeper(world: &mut World) -> Vec<&'static str> {
    let group = makes_group(world);
    for text in ["a secret", "from vic"] {
        say(world, VIC, group, text);
        let sent = world.person(VIC).messages(group).into_iter().find(|message| message.text == "a secret");
        let Some(secret) = sent else { continue };
        let message = MessageRef { id: secret.id.to_string(), within: None };
        let delete = message::Delete { message, local: false };
        insist(world, VIC, &delete, |world| world.person(VIC).sees(group, "a secret") == 0);
        passes(world, 61);
    }
    say(world, "bob", group, "from bob");
    passes(world, 61);
    let vic = world.index(VIC);
    if world.people[vic].core.is_some() {
        world.end(vic, End::Clean);
    }
    world.revive(vic);
    say(world, VIC, group, "last");
    vec!["from vic", "from bob", "last"]
}

/// Seconds pass, and what is due after them is done.
fn passes(world: &mut World, seconds: u64) {
    world.pass(Duration::from_secs(seconds));
    world.settle();
    comes_to_rest(world);
}

type Story = fn(&mut World) -> Vec<&'static str>;

/// One run of a story in which Vic's disk fails as planned; gives the number of its writing calls.
fn run(frozen: &Frozen, story: Story, seed: u64, fault: Option<Fault>, dies: End) -> u64 {
    let flavour = if seed.is_multiple_of(2) { Flavour::R1 } else { Flavour::R3 };
    let mut world = frozen.thaw(seed, flavour, 2);
    world.dies = dies;
    world.note(|| format!("vic's disk: {fault:?}, then {dies:?}"));
    let disk = Disk::default();
    disk.plan(fault);
    let vic = world.arrive_with(VIC, disk.clone());
    let texts = story(&mut world);
    let calls = disk.calls();
    // A story of another seed has a few calls less or more: what was not reached in it must not hit its judges.
    disk.plan(None);
    world.revive(vic);
    world.heal();
    oracle::check(&mut world);
    for index in 0..world.people.len() {
        let name = world.people[index].name.clone();
        // What was told and lost with the process is told again: nothing is missing, and nothing is there twice.
        let told = journal::texts(&mut world, &name, Cursor(0));
        for text in &texts {
            let times = told.iter().filter(|told| *told == text).count();
            assert!(times <= 1, "{name} is told {text:?} {times} times");
        }
        for view in world.groups(index) {
            for text in &texts {
                let times = world.person(&name).sees(view.id, text);
                let all = matches!(view.state, GroupState::Active);
                assert!(times == 1 || (times == 0 && !all), "{name} sees {text:?} {times} times");
                assert!(times == 0 || told.iter().any(|told| told == text), "{name} is told {text:?}");
            }
        }
    }
    oracle::probe(&mut world);
    oracle::check(&mut world);
    calls
}

/// Every way to fail, at every call or a sample of them.
fn at_every_call(story: Story, fault: fn(u64) -> Fault, dies: End) {
    let frozen = Frozen::with(&["bob", "carol"]);
    at_every(|seed, fault| run(&frozen, story, seed, fault, dies), fault);
}

/// A fault at every call or a sample of them. `run` tells a story with a seed, and gives the number of its calls.
fn at_every(run: impl Fn(u64, Option<Fault>) -> u64, fault: fn(u64) -> Fault) {
    let calls = run(0, None);
    assert!(calls > 100, "a story of {calls} calls");
    let points = setting::number("WORLD_POINTS").map(|points| points.div_ceil(TESTS));
    let all = setting::is_set("WORLD_FULL") || points.is_some();
    let sample = if all { calls } else { setting::number("WORLD_SAMPLE").unwrap_or(SAMPLE) };
    let (only, other) = (setting::number("WORLD_CALL"), setting::number("WORLD_ROUND"));
    let mut came = 0;
    for round in other.unwrap_or(0).. {
        for n in 0..sample {
            // The calls that make the store differ from each other: all of them, and a sample of the others.
            let call = only.unwrap_or(if n < BEGINNING { 1 + n } else { 1 + n * calls / sample });
            let seed = call + round * 1_000_003;
            let run = std::panic::AssertUnwindSafe(|| run(seed, Some(fault(call))));
            match std::panic::catch_unwind(run) {
                Ok(calls) => came += u64::from(calls >= call),
                Err(panic) => {
                    eprintln!(
                        "again: WORLD_CALL={call} (of {calls}) WORLD_ROUND={round} WORLD_TRACE=1, and the name of this test"
                    );
                    std::panic::resume_unwind(panic);
                }
            }
            if only.is_some() {
                return;
            }
        }
        if points.is_none_or(|points| came >= points) {
            break;
        }
    }
    if points.is_some() {
        eprintln!("{came} calls failed, of stories of about {calls}");
    }
}

#[test]
fn l_k_a_maker_whose_process_dies_at_any_write_goes_on() {
    at_every_call(maker, Fault::From, End::Kill);
}

#[test]
fn l_k_a_maker_whose_machine_loses_power_at_any_write_goes_on() {
    at_every_call(maker, Fault::From, End::PowerLoss);
}

#[test]
fn l05_a_maker_whose_disk_was_full_for_a_moment_goes_on() {
    at_every_call(maker, Fault::Once, End::Kill);
}

#[test]
fn l_k_a_guest_whose_process_dies_at_any_write_goes_on() {
    at_every_call(guest, Fault::From, End::Kill);
}

#[test]
fn l_k_a_guest_whose_machine_loses_power_at_any_write_goes_on() {
    at_every_call(guest, Fault::From, End::PowerLoss);
}

#[test]
fn l05_a_guest_whose_disk_was_full_for_a_moment_goes_on() {
    at_every_call(guest, Fault::Once, End::Kill);
}

#[test]
fn what_forgets_dies_at_any_write_and_goes_on() {
    at_every_call(keeper, Fault::From, End::Kill);
}

#[test]
fn what_forgets_loses_power_at_any_write_and_goes_on() {
    at_every_call(keeper, Fault::From, End::PowerLoss);
}

#[test]
fn what_forgets_has_a_full_disk_for_a_moment_and_goes_on() {
    at_every_call(keeper, Fault::Once, End::Kill);
}

/// The store of version 1 is sealed while it is opened.
fn conversion(seed: u64, fault: Option<Fault>, dies: End) -> u64 {
    let (mut world, disk) = stored::of_version_1(seed);
    world.dies = dies;
    disk.plan(fault);
    let index = world.arrive_with("bob", disk.clone());
    world.settle();
    let calls = disk.calls();
    disk.plan(None);
    world.revive(index);
    world.settle();
    stored::is_all_there(&mut world);
    calls
}

#[test]
fn a_store_of_version_1_whose_process_dies_at_any_write_of_its_conversion_goes_on() {
    at_every(|seed, fault| conversion(seed, fault, End::Kill), Fault::From);
}

#[test]
fn a_store_of_version_1_that_loses_power_at_any_write_of_its_conversion_goes_on() {
    at_every(|seed, fault| conversion(seed, fault, End::PowerLoss), Fault::From);
}

#[test]
fn a_store_of_version_1_whose_disk_was_full_for_a_moment_is_converted_all_the_same() {
    at_every(|seed, fault| conversion(seed, fault, End::Kill), Fault::Once);
}
