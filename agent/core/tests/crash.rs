//! A disk that fails at every writing call, in turn: whatever was on it then is enough to go on.
//!
//! A sample of the calls in the ordinary run; all of them with `WORLD_FULL=1`.

use cipher_api::command::{account, group, status};
use cipher_api::view::GroupState;
use cipher_api::{Ask, Cursor, Target};
use cipher_broker::id::GroupId;

use crate::journal;
use crate::support::disk::{Disk, End, Fault};
use crate::support::log::Flavour;
use crate::support::oracle;
use crate::support::setting;
use crate::support::world::{Frozen, World, add, remove, rename, send};

/// Whose disk fails.
const VIC: &str = "vic";
/// Calls tried in the ordinary run, per way to fail.
const SAMPLE: u64 = 40;
/// Calls that make an empty store, about.
const BEGINNING: u64 = 14;

/// Repeats a command until what it is for is so, reviving the process whenever its disk ended it.
fn insist<R: Ask + Clone + std::fmt::Debug>(
    world: &mut World,
    who: &str,
    request: &R,
    so: impl Fn(&mut World) -> bool,
) {
    let (index, vic) = (world.index(who), world.index(VIC));
    for _ in 0..8 {
        if world.people[index].core.is_some() {
            let _ = world.run(index, request.clone());
        }
        // Vic may die over somebody else's command too, and while everything comes to rest. Looking writes nothing.
        while world.people[vic].core.is_none() || !world.is_at_rest() {
            world.revive(vic);
            world.settle();
        }
        if so(world) {
            return;
        }
    }
    panic!("{who} never got through with {request:?}");
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

/// Vic makes a group and runs it.
fn maker(world: &mut World) -> Vec<&'static str> {
    register(world);
    let with = vec!["bob".parse().unwrap()];
    let create = group::Create { name: "ops".into(), with, post_quantum: false };
    insist(world, VIC, &create, |world| find(world, VIC, &["ops"]).is_some());
    let group = find(world, VIC, &["ops"]).unwrap();
    // The process may have died between making the group and adding Bob.
    insist(world, VIC, &add(group, &["bob"]), |world| world.person(VIC).members(group).len() == 2);
    accept(world, "bob", group);
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

type Story = fn(&mut World) -> Vec<&'static str>;

/// One run of a story in which Vic's disk fails as planned; gives the number of its writing calls.
fn run(frozen: &Frozen, story: Story, seed: u64, fault: Option<Fault>, dies: End) -> (u64, bool) {
    let flavour = if seed.is_multiple_of(2) { Flavour::R1 } else { Flavour::R3 };
    let mut world = frozen.thaw(seed, flavour, 2);
    world.dies = dies;
    world.note(|| format!("vic's disk: {fault:?}, then {dies:?}"));
    let disk = Disk::default();
    disk.plan(fault);
    let vic = world.arrive_with(VIC, disk.clone());
    let texts = story(&mut world);
    let (calls, failed) = (disk.calls(), disk.failed());
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
    (calls, failed)
}

/// Every way to fail, at every call or a sample of them.
fn at_every_call(story: Story, fault: fn(u64) -> Fault, dies: End) {
    let frozen = Frozen::with(&["bob", "carol"]);
    let (calls, _) = run(&frozen, story, 0, None, End::Kill);
    assert!(calls > 100, "a story of {calls} calls");
    let sample =
        if setting::is_set("WORLD_FULL") { calls } else { setting::number("WORLD_SAMPLE").unwrap_or(SAMPLE) };
    let only = setting::number("WORLD_CALL");
    for n in 0..sample {
        // The calls that make the store differ from each other: all of them, and a sample of the others.
        let call = only.unwrap_or(if n < BEGINNING { 1 + n } else { 1 + n * calls / sample });
        let told = std::panic::catch_unwind(|| run(&frozen, story, call, Some(fault(call)), dies));
        if let Err(panic) = told {
            eprintln!("again: WORLD_CALL={call} (of {calls}) WORLD_TRACE=1, and the name of this test");
            std::panic::resume_unwind(panic);
        }
        if only.is_some() {
            return;
        }
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
