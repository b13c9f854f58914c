//! Joining by a link: who is let in, once, by whom, and who stays out and is told why.

use std::time::Duration;

use cipher_api::command::invite::Joined;
use cipher_api::command::{account, group, invite, message};
use cipher_api::reply::Done;
use cipher_api::view::{GroupState, GroupView, JoinLinkView};
use cipher_api::{Error, ErrorKind, Event, Hint, Notice, Reply, Target};
use cipher_broker::codec;
use cipher_broker::id::GroupId;
use cipher_broker::subject::{Route, Source};
use cipher_broker::wire::envelope::Envelope;
use cipher_broker::wire::group::Role;
use cipher_broker::wire::join::JoinTicket;

use crate::support::disk::End;
use crate::support::log::Flavour;
use crate::support::oracle;
use crate::support::world::{Faults, World, add, days};

const HOUR: Duration = Duration::from_secs(3600);

fn world(names: &[&str]) -> World {
    World::of(1, Flavour::R3, names)
}

fn at(group: GroupId) -> Target {
    Target::Group(group)
}

fn invite(group: GroupId, uses: Option<u32>, approval: bool) -> invite::Create {
    invite::Create { target: at(group), lifetime: 3600, uses, approval }
}

fn link(world: &mut World, who: &str, group: GroupId, uses: Option<u32>, approval: bool) -> JoinLinkView {
    world.person(who).does(invite(group, uses, approval))
}

fn links(world: &mut World, who: &str, group: GroupId) -> Vec<JoinLinkView> {
    world.person(who).does(invite::List { target: at(group) })
}

fn join(link: &JoinLinkView) -> invite::Join {
    invite::Join { link: link.link.clone() }
}

fn revoke(group: GroupId, link: &str) -> invite::Revoke {
    invite::Revoke { target: at(group), link: link.into() }
}

fn answer(group: GroupId, account: &str, accept: bool) -> invite::Answer {
    invite::Answer { target: at(group), account: account.into(), accept }
}

fn ban(group: GroupId, handles: &[&str], lift: bool) -> group::Ban {
    let who = handles.iter().map(|handle| handle.parse().unwrap()).collect();
    group::Ban { target: at(group), who, lift }
}

fn show(handle: &str) -> account::ShowProfile {
    account::ShowProfile { handle: handle.parse().unwrap() }
}

/// Handles of those who wait for a yes.
fn requests(world: &mut World, who: &str, group: GroupId) -> Vec<String> {
    let views = world.person(who).does(invite::Requests { target: Some(at(group)) });
    views.into_iter().map(|view| view.handle).collect()
}

/// The group, when it was joined at once.
fn inside(joined: Joined) -> GroupView {
    match joined {
        Joined::Group(view) => *view,
        other => panic!("not joined at once: {other:?}"),
    }
}

fn refused(error: &Error, why: &str) {
    assert_eq!(error.kind, ErrorKind::Refused, "{error:?}");
    assert!(error.message.contains(why), "{error:?}");
}

fn warned(world: &World, who: &str, of: &str) -> bool {
    world
        .notices(who)
        .any(|notice| matches!(notice, Notice::JoinEnded { error, .. } if error.message.contains(of)))
}

/// Envelopes of requests to join that lie in a group's log.
fn asked(world: &World, group: GroupId) -> Vec<Vec<u8>> {
    let all = world.log.on(&Route::Application(group)).into_iter().map(|(_, bytes)| bytes);
    all.filter(|bytes| matches!(codec::decode(bytes), Ok(Envelope::Join { .. }))).collect()
}

#[test]
fn r_link_01_whoever_has_a_link_joins_by_it() {
    for (seed, flavour) in [(1, Flavour::R1), (2, Flavour::R3), (3, Flavour::R3)] {
        let mut world = World::of(seed, flavour, &["alice", "bob", "carol"]);
        let group = world.group_of("ops", &["alice", "bob"]);
        let link = link(&mut world, "alice", group, Some(2), false);
        assert_eq!((link.uses, link.by.as_str(), link.approval), (Some(2), "alice", false));
        world.settle();
        assert_eq!(links(&mut world, "bob", group), std::slice::from_ref(&link), "every member knows it");
        assert_eq!(world.person("bob").group(group).links, 1);
        let view = inside(world.person("carol").does(join(&link)));
        assert_eq!((view.id, view.state), (group, GroupState::Active));
        world.settle();
        assert_eq!(world.person("bob").members(group), ["alice", "bob", "carol"]);
        assert_eq!(links(&mut world, "bob", group)[0].uses, Some(1));
        // Joining again is no error and asks nobody.
        assert!(matches!(world.person("carol").does(join(&link)), Joined::Group(_)));
        assert_eq!(asked(&world, group).len(), 1);
        oracle::judge(&mut world);
    }
}

#[test]
fn r_link_02_only_who_may_add_makes_and_revokes_links() {
    let mut world = world(&["alice", "bob"]);
    let group = world.group_of("ops", &["alice", "bob"]);
    world.person("bob").cannot(invite(group, None, false), ErrorKind::Refused);
    let first = link(&mut world, "alice", group, None, false);
    world.settle();
    world.person("bob").cannot(revoke(group, &first.id), ErrorKind::Refused);
    world.person("alice").cannot(revoke(group, "ffffffff"), ErrorKind::NotFound);
    world.person("alice").cannot(revoke(group, ""), ErrorKind::NotFound);
    assert_eq!(world.person("alice").does(revoke(group, &first.id[..8])), Done {});
    let second = link(&mut world, "alice", group, None, false);
    assert_eq!(world.person("alice").does(revoke(group, &second.link)), Done {}, "by the link itself");
    assert_eq!(links(&mut world, "alice", group), []);
    world.person("alice").cannot(invite(group, Some(0), false), ErrorKind::Usage);
    let never = invite::Create { target: at(group), lifetime: 0, uses: None, approval: false };
    world.person("alice").cannot(never, ErrorKind::Usage);
    let long = invite::Create { target: at(group), lifetime: u64::MAX, uses: None, approval: false };
    world.person("alice").cannot(long, ErrorKind::Limit);
    world.person("alice").does(message::Send::new(Target::Account("bob".parse().unwrap()), "psst"));
    let direct = world.person("alice").active().into_iter().find(|view| view.direct).unwrap().id;
    world.person("alice").cannot(invite(direct, None, false), ErrorKind::Refused);
    world.person("alice").cannot(ban(direct, &["bob"], false), ErrorKind::Refused);
    oracle::judge(&mut world);
}

#[test]
fn what_is_no_link_is_said_so_and_an_expired_one_asks_nobody() {
    let mut world = world(&["alice", "bob"]);
    let group = world.person("alice").creates("ops", &[]);
    let link = link(&mut world, "alice", group, None, false);
    for text in ["", "hello", "cipher-chat:join/", "cipher-chat:join/AAAA", &link.link[..60]] {
        world.person("bob").cannot(invite::Join { link: text.into() }, ErrorKind::Misuse);
    }
    let mut ticket: JoinTicket = link.link.parse().unwrap();
    ticket.suite = 1;
    world.person("bob").cannot(invite::Join { link: ticket.to_string() }, ErrorKind::Misuse);
    world.pass(HOUR + Duration::from_secs(1));
    let error = world.person("bob").cannot(join(&link), ErrorKind::Refused);
    refused(&error, "ended");
    world.settle();
    assert!(asked(&world, group).is_empty(), "nothing was sent");
    world.person("bob").disconnects();
    let later = self::link(&mut world, "alice", group, None, false);
    assert_eq!(
        links(&mut world, "alice", group),
        std::slice::from_ref(&later),
        "the ended one went with the next"
    );
    world.person("bob").cannot(join(&later), ErrorKind::Unreachable);
}

/// A link that ends by the member's clock, not by the joiner's.
#[test]
fn r_link_02_the_clock_of_who_lets_in_decides() {
    let mut world = world(&["alice", "bob"]);
    let group = world.person("alice").creates("ops", &[]);
    let link = link(&mut world, "alice", group, None, false);
    world.pass(HOUR + Duration::from_secs(1));
    let bob = world.index("bob");
    world.people[bob].behind = Duration::from_secs(120);
    let error = world.person("bob").cannot(join(&link), ErrorKind::Refused);
    refused(&error, "ended");
    assert_eq!(asked(&world, group).len(), 1, "it was asked for, and refused");
    assert_eq!(world.person("alice").members(group), ["alice"]);
}

/// Two admins serve the same request at once: it comes in once, and the link is used once.
#[test]
fn r_link_04_two_who_serve_at_once_let_in_once() {
    for seed in 0..12 {
        let flavour = if seed % 2 == 0 { Flavour::R1 } else { Flavour::R3 };
        let mut world = World::of(seed, flavour, &["alice", "bob", "carol", "dave"]);
        let group = world.admins("ops", &["alice", "bob", "carol"]);
        let link = link(&mut world, "bob", group, Some(5), false);
        world.settle();
        // Both hear of it late, when each thinks that it is its turn.
        for name in ["alice", "bob", "carol"] {
            world.person(name).disconnects();
        }
        let reply = world.person("dave").does(join(&link));
        assert!(matches!(reply, Joined::JoinPending { approval: false, .. }), "{reply:?}");
        world.pass(Duration::from_secs(60));
        world.faults = Faults { busy: 300, stale: 300, lost_ack: 100, ..Faults::NONE };
        for name in ["alice", "bob", "carol"] {
            world.person(name).connects();
        }
        world.churn(200);
        world.settle();
        assert_eq!(world.person("dave").group(group).state, GroupState::Active, "seed {seed}");
        assert_eq!(links(&mut world, "carol", group)[0].uses, Some(4), "seed {seed}");
        oracle::judge(&mut world);
    }
}

#[test]
fn r_link_02_a_link_lets_in_as_many_as_it_says_however_they_race() {
    for seed in 0..6 {
        let names = ["alice", "bob", "carol", "dave", "erin"];
        let mut world = World::of(seed, Flavour::R3, &names);
        let group = world.admins("ops", &["alice", "bob"]);
        let link = link(&mut world, "alice", group, Some(2), false);
        world.settle();
        let tickets: Vec<_> =
            ["carol", "dave", "erin"].map(|name| (name, world.person(name).starts(join(&link)))).to_vec();
        world.settle();
        let mut outside = Vec::new();
        for (name, ticket) in tickets {
            let index = world.index(name);
            match world.reply(index, ticket).unwrap() {
                Ok(Reply::Group(_)) => {}
                Err(error) => {
                    refused(&error, "as many");
                    outside.push(name);
                }
                other => panic!("{name}: {other:?}"),
            }
        }
        assert_eq!(outside.len(), 1, "seed {seed}: {outside:?}");
        assert_eq!(world.person("alice").members(group).len(), 4);
        assert_eq!(links(&mut world, "bob", group)[0].uses, Some(0));
        // Asking again is a new request with the same answer.
        let error = world.person(outside[0]).cannot(join(&link), ErrorKind::Refused);
        refused(&error, "as many");
        oracle::judge(&mut world);
    }
}

#[test]
fn r_link_02_a_link_revoked_between_request_and_answer_lets_nobody_in() {
    let mut world = world(&["alice", "bob", "carol"]);
    let group = world.admins("ops", &["alice", "bob"]);
    let link = link(&mut world, "alice", group, None, false);
    world.settle();
    world.person("alice").disconnects();
    world.person("bob").disconnects();
    assert!(matches!(world.person("carol").does(join(&link)), Joined::JoinPending { .. }));
    // The revocation and the request meet: Bob revokes before he sees it, by his own clock.
    world.person("bob").connects();
    world.person("bob").starts(revoke(group, &link.id));
    world.settle();
    let inside = world.person("carol").knows(group).is_some();
    world.person("alice").connects();
    world.settle();
    if !inside {
        assert!(warned(&world, "carol", "revoked"), "{:?}", world.people[2].events);
    }
    // Whoever asks by it later is told too: members remember what they revoked.
    let other = world.register("dave");
    let error = world.run(other, join(&link)).unwrap_err();
    refused(&error, "revoked");
    assert_eq!(links(&mut world, "alice", group), []);
    oracle::judge(&mut world);
}

#[test]
fn r_link_02_a_revoked_link_is_known_as_revoked_after_a_restart() {
    let mut world = world(&["alice", "bob"]);
    let group = world.person("alice").creates("ops", &[]);
    let link = link(&mut world, "alice", group, None, false);
    world.person("alice").does(revoke(group, &link.id));
    world.settle();
    world.person("alice").restarts(End::PowerLoss);
    let error = world.person("bob").cannot(join(&link), ErrorKind::Refused);
    refused(&error, "revoked");
    assert_eq!(world.person("alice").members(group), ["alice"]);
}

#[test]
fn a_joiner_that_is_killed_while_it_waits_is_in_when_it_comes_back() {
    for end in [End::Clean, End::Kill, End::PowerLoss] {
        let mut world = world(&["alice", "bob"]);
        let group = world.person("alice").creates("ops", &[]);
        let link = link(&mut world, "alice", group, None, false);
        world.settle();
        world.person("alice").disconnects();
        assert!(matches!(world.person("bob").does(join(&link)), Joined::JoinPending { .. }));
        assert!(matches!(world.person("bob").does(join(&link)), Joined::JoinPending { .. }));
        assert_eq!(asked(&world, group).len(), 1, "asking again asks nothing new");
        let bob = world.index("bob");
        world.end(bob, end);
        world.person("alice").connects();
        world.settle();
        assert_eq!(world.person("alice").members(group).len(), 2);
        world.boot(bob).unwrap();
        world.connect(bob);
        world.settle();
        assert_eq!(world.person("bob").group(group).state, GroupState::Active, "{end:?}");
        oracle::judge(&mut world);
    }
}

#[test]
fn an_admin_that_is_killed_before_its_turn_serves_when_it_comes_back() {
    for end in [End::Clean, End::Kill, End::PowerLoss] {
        let mut world = world(&["alice", "bob", "carol"]);
        let group = world.admins("ops", &["alice", "bob"]);
        let link = link(&mut world, "alice", group, None, false);
        world.settle();
        // Alice, whose turn it is, is away; Bob hears of it and waits for his turn.
        world.person("alice").disconnects();
        world.person("carol").starts(join(&link));
        let bob = world.index("bob");
        for _ in 0..2_000 {
            if !world.step() {
                break;
            }
        }
        world.end(bob, end);
        world.boot(bob).unwrap();
        world.connect(bob);
        world.settle();
        assert_eq!(world.person("carol").group(group).state, GroupState::Active, "{end:?}");
        world.person("alice").connects();
        oracle::judge(&mut world);
    }
}

#[test]
fn a_request_waits_for_a_yes_where_a_link_asks_for_one() {
    let mut world = world(&["alice", "bob", "carol", "dave"]);
    let group = world.admins("ops", &["alice", "bob"]);
    let link = link(&mut world, "alice", group, Some(3), true);
    world.settle();
    for name in ["carol", "dave"] {
        let reply = world.person(name).does(join(&link));
        assert_eq!(reply, Joined::JoinPending { group, approval: true }, "{name}");
    }
    world.settle();
    for name in ["alice", "bob"] {
        assert_eq!(requests(&mut world, name, group), ["carol", "dave"], "{name}");
        let index = world.index(name);
        assert!(world.requests(index).iter().all(|request| request.group_name == "ops"), "{name}");
        let told = world.people[world.index(name)].events.iter();
        let told = told.filter(|event| matches!(event, Event::JoinRequest(_))).count();
        assert_eq!(told, 2, "{name}");
    }
    world.person("bob").cannot(answer(group, "erin", true), ErrorKind::NotFound);
    world.person("bob").restarts(End::PowerLoss);
    world.settle();
    let view = world.person("bob").does(answer(group, "carol", true));
    assert_eq!(view.unwrap().members.len(), 3);
    world.settle();
    assert_eq!(world.person("carol").group(group).state, GroupState::Active);
    assert_eq!(requests(&mut world, "alice", group), ["dave"], "what Bob answered is answered");
    assert_eq!(links(&mut world, "alice", group)[0].uses, Some(2));
    let dave = world.registry.account("dave").to_string();
    assert_eq!(world.person("alice").does(answer(group, &dave, false)), None);
    world.settle();
    assert!(warned(&world, "dave", "declined"));
    assert!(requests(&mut world, "alice", group).is_empty());
    // A no is the one admin's: another may still say yes, and then it is an invitation like any other.
    assert_eq!(requests(&mut world, "bob", group), ["dave"]);
    world.person("bob").does(answer(group, "dave", true));
    world.settle();
    assert_eq!(world.person("dave").group(group).state, GroupState::Invited);
    world.person("dave").accepts(group);
    oracle::judge(&mut world);
}

/// A request that nobody answers does not wear out: before its key package and its place in the log are gone it is
/// made anew, by whoever asks and is there.
#[test]
fn a2_a_request_that_nobody_answers_for_months_is_made_anew_and_lets_in_in_the_end() {
    for flavour in [Flavour::R1, Flavour::R3] {
        let mut world = World::long_ago(1, flavour, 80, &["alice", "bob"]);
        let group = world.group_of("ops", &["alice"]);
        let lifetime = days(300).as_secs();
        let link = world.person("alice").does(invite::Create {
            target: at(group),
            lifetime,
            uses: None,
            approval: true,
        });
        world.settle();
        assert!(matches!(world.person("bob").does(join(&link)), Joined::JoinPending { approval: true, .. }));
        world.settle();
        for _ in 0..12 {
            world.pass(days(5));
            world.settle();
        }
        // Sixty days later the first request is gone from the log, and its key package could not be added.
        let waiting = asked(&world, group).len();
        assert!((1..=2).contains(&waiting), "{waiting} requests lie in the log, {flavour:?}");
        assert_eq!(requests(&mut world, "alice", group), ["bob"], "{flavour:?}");
        world.person("alice").does(answer(group, "bob", true));
        world.settle();
        assert_eq!(world.person("bob").group(group).state, GroupState::Active, "{flavour:?}");
        assert_eq!(world.person("alice").members(group), ["alice", "bob"]);
        oracle::probe(&mut world);
    }
}

#[test]
fn a_mere_member_neither_sees_nor_answers_requests_until_it_may() {
    let mut world = world(&["alice", "bob", "carol"]);
    let group = world.group_of("ops", &["alice", "bob"]);
    let link = link(&mut world, "alice", group, None, true);
    world.settle();
    world.person("carol").does(join(&link));
    world.settle();
    world.person("bob").cannot(invite::Requests { target: Some(at(group)) }, ErrorKind::Refused);
    world.person("bob").cannot(answer(group, "carol", true), ErrorKind::Refused);
    let none = world.person("bob").does(invite::Requests { target: None });
    assert!(none.is_empty());
    world.person("alice").makes(group, "bob", Role::Admin);
    world.settle();
    assert_eq!(requests(&mut world, "bob", group), ["carol"]);
    world.person("bob").does(answer(group, "carol", true));
    oracle::judge(&mut world);
}

#[test]
fn r_link_02_a_request_that_outlives_its_link_is_over() {
    let mut world = world(&["alice", "bob"]);
    let group = world.person("alice").creates("ops", &[]);
    let link = link(&mut world, "alice", group, None, true);
    world.person("bob").does(join(&link));
    world.settle();
    assert_eq!(requests(&mut world, "alice", group), ["bob"]);
    world.pass(HOUR);
    world.person("alice").cannot(answer(group, "bob", true), ErrorKind::NotFound);
    for name in ["alice", "bob"] {
        world.person(name).disconnects();
        world.person(name).connects();
    }
    world.settle();
    assert!(warned(&world, "bob", "ended"));
    assert_eq!(world.person("alice").members(group), ["alice"]);
    let fresh = self::link(&mut world, "alice", group, None, false);
    assert!(matches!(world.person("bob").does(join(&fresh)), Joined::Group(_)));
    oracle::judge(&mut world);
}

#[test]
fn r_commit_18_who_is_banned_stays_out_by_link_and_by_hand_until_the_ban_is_lifted() {
    let mut world = world(&["alice", "bob", "carol"]);
    let group = world.admins("ops", &["alice", "bob", "carol"]);
    let link = link(&mut world, "alice", group, None, false);
    world.settle();
    world.person("bob").cannot(ban(group, &["alice"], false), ErrorKind::Refused);
    world.person("bob").cannot(ban(group, &["carol"], false), ErrorKind::Refused);
    world.person("bob").cannot(ban(group, &["bob"], false), ErrorKind::Usage);
    world.person("bob").cannot(ban(group, &["nobody"], false), ErrorKind::NotFound);
    let view = world.person("alice").does(ban(group, &["carol"], false));
    assert_eq!((view.banned, view.members.len()), (vec!["carol".to_owned()], 2));
    world.settle();
    assert_eq!(world.person("carol").group(group).state, GroupState::Removed);
    let error = world.person("carol").cannot(join(&link), ErrorKind::Refused);
    refused(&error, "banned");
    let error = world.person("bob").cannot(add(group, &["carol"]), ErrorKind::Refused);
    refused(&error, "banned");
    assert_eq!(world.person("bob").members(group), ["alice", "bob"]);
    // Lifted by an admin; then the same link works again.
    let view = world.person("bob").does(ban(group, &["carol"], true));
    assert!(view.banned.is_empty());
    world.settle();
    assert!(matches!(world.person("carol").does(join(&link)), Joined::Group(_)));
    let view = world.person("alice").group(group);
    let carol = view.members.iter().find(|member| member.handle == "carol");
    assert!(carol.is_none_or(|carol| carol.role == Role::Member), "the old role is gone");
    oracle::judge(&mut world);
}

#[test]
fn a_stranger_can_be_banned_before_it_ever_comes() {
    let mut world = world(&["alice", "bob", "mallory"]);
    let group = world.admins("ops", &["alice", "bob"]);
    let link = link(&mut world, "alice", group, None, true);
    world.settle();
    world.person("mallory").does(join(&link));
    world.settle();
    world.person("bob").does(show("mallory"));
    world.person("bob").does(ban(group, &["mallory"], false));
    world.settle();
    assert!(requests(&mut world, "alice", group).is_empty());
    assert!(warned(&world, "mallory", "banned"));
    assert_eq!(world.person("alice").group(group).banned, ["mallory"]);
    oracle::judge(&mut world);
}

#[test]
fn a_ban_that_meets_an_addition_ends_outside() {
    for seed in 0..8 {
        let mut world = World::of(seed, Flavour::R1, &["alice", "bob", "carol"]);
        let group = world.admins("ops", &["alice", "bob"]);
        world.person("alice").does(show("carol"));
        world.person("alice").starts(ban(group, &["carol"], false));
        world.person("bob").starts(add(group, &["carol"]));
        world.settle();
        assert_eq!(world.person("alice").members(group), ["alice", "bob"], "seed {seed}");
        let carol = world.person("carol").knows(group).map(|view| view.state);
        assert!(carol != Some(GroupState::Active), "{carol:?}");
        oracle::judge(&mut world);
    }
}

/// A request is bytes on a subject that anybody may repeat: it lets in once.
#[test]
fn r_link_04_a_repeated_request_does_not_bring_back_who_was_removed() {
    let mut world = world(&["alice", "bob"]);
    let group = world.person("alice").creates("ops", &[]);
    let link = link(&mut world, "alice", group, Some(9), false);
    world.person("bob").does(join(&link));
    world.settle();
    let request = asked(&world, group).remove(0);
    world.log.inject(Route::Application(group), request.clone());
    world.settle();
    world.person("alice").removes(group, &["bob"]);
    world.settle();
    world.log.inject(Route::Application(group), request.clone());
    world.settle();
    world.person("alice").restarts(End::PowerLoss);
    world.log.inject(Route::Application(group), request);
    world.settle();
    assert_eq!(world.person("alice").members(group), ["alice"]);
    assert_eq!(links(&mut world, "alice", group)[0].uses, Some(8));
    // By asking itself it comes back: removed is not banned.
    assert!(matches!(world.person("bob").does(join(&link)), Joined::Group(_)));
    oracle::judge(&mut world);
}

/// Somebody without the link, or with the link of another group, gets nothing by writing to the subject.
#[test]
fn r_link_01_requests_for_other_groups_and_junk_cost_nothing() {
    let mut world = world(&["alice", "bob", "carol"]);
    let (ours, other) =
        (world.person("alice").creates("ops", &[]), world.person("alice").creates("dev", &[]));
    let link = link(&mut world, "alice", ours, None, false);
    world.person("alice").disconnects();
    world.person("bob").starts(join(&link));
    world.churn(200);
    let request = asked(&world, ours).remove(0);
    let Ok(Envelope::Join { link: id, request: sealed }) = codec::decode(&request) else { panic!() };
    // The same request in another group; another sealed under the right id; cut, changed, huge, on the wrong subject.
    world.log.inject(Route::Application(other), request.clone());
    let mut changed = sealed.clone();
    *changed.last_mut().unwrap() ^= 1;
    for sealed in [changed, vec![], sealed[..20].to_vec(), vec![7; 300], vec![0; 100_000]] {
        world
            .log
            .inject(Route::Application(ours), codec::encode(&Envelope::Join { link: id, request: sealed }));
    }
    let unknown = Envelope::Join { link: [9; 16], request: sealed };
    world.log.inject(Route::Application(ours), codec::encode(&unknown));
    world.log.inject(Route::Handshake(ours), request);
    world.person("alice").connects();
    world.settle();
    assert_eq!(world.person("alice").members(other), ["alice"]);
    assert_eq!(world.person("alice").members(ours), ["alice", "bob"]);
    let skipped = world.person("alice").status().skipped;
    let junk = skipped.iter().filter(|(class, _)| ["join", "too-large", "parse"].contains(&class.as_str()));
    assert_eq!(junk.map(|(_, n)| n).sum::<u64>(), 8, "{skipped:?}");
    oracle::survive(&mut world);
}

/// A refusal counts only when it was made for this very request by somebody who has the link.
#[test]
fn r_link_05_a_forged_refusal_costs_nothing() {
    let mut world = world(&["alice", "bob", "mallory"]);
    let group = world.person("alice").creates("ops", &[]);
    let wanted = link(&mut world, "alice", group, None, false);
    world.settle();
    world.person("alice").disconnects();
    let bob = world.person("bob").account().device_id.unwrap();
    world.person("bob").does(join(&wanted));
    let request = asked(&world, group).remove(0);
    let Ok(Envelope::Join { link: id, request: sealed }) = codec::decode(&request) else { panic!() };
    for refusal in [vec![], sealed, vec![1; 60]] {
        let bytes = codec::encode(&Envelope::JoinRefused { link: id, refusal: refusal.clone() });
        world.log.inject(Route::Inbox(bob), bytes);
        let bytes = codec::encode(&Envelope::JoinRefused { link: [3; 16], refusal });
        world.log.inject(Route::Inbox(bob), bytes);
    }
    world.settle();
    assert!(!warned(&world, "bob", ""));
    // A genuine refusal of an earlier request says nothing of a later one.
    world.person("alice").connects();
    world.settle();
    assert_eq!(world.person("bob").group(group).state, GroupState::Active);
    oracle::survive(&mut world);
}

#[test]
fn r_link_05_a_refusal_of_an_earlier_request_does_not_end_a_later_one() {
    let mut world = world(&["alice", "bob"]);
    let group = world.person("alice").creates("ops", &[]);
    let wanted = link(&mut world, "alice", group, None, true);
    let bob = world.person("bob").account().device_id.unwrap();
    world.person("bob").does(join(&wanted));
    world.settle();
    world.person("alice").does(answer(group, "bob", false));
    world.settle();
    assert!(warned(&world, "bob", "declined"));
    assert!(
        world
            .notices("bob")
            .any(|notice| matches!(notice, Notice::JoinEnded { group: of, .. } if *of == group)),
        "it is told which"
    );
    world.person("bob").does(join(&wanted));
    world.settle();
    let inbox = world.log.on(&Route::Inbox(bob));
    let refusal =
        inbox.iter().find(|(_, bytes)| matches!(codec::decode(bytes), Ok(Envelope::JoinRefused { .. })));
    world.log.inject(Route::Inbox(bob), refusal.unwrap().1.clone());
    world.settle();
    world.person("alice").does(answer(group, "bob", true));
    world.settle();
    assert_eq!(world.person("bob").group(group).state, GroupState::Active, "it joined by itself");
}

/// R-LINK-03: a Welcome to a group of the same id, from somebody who only saw the request, is not joined by itself.
#[test]
fn r_link_03_an_invitation_that_does_not_show_the_link_waits() {
    let mut world = world(&["alice", "bob"]);
    let group = world.person("alice").creates("ops", &[]);
    let first = link(&mut world, "alice", group, None, true);
    world.settle();
    world.person("bob").does(join(&first));
    world.settle();
    // The link is revoked, and then Bob is added by hand: the group data does not show what Bob asked by.
    world.person("alice").disconnects();
    world.person("alice").connects();
    let alice = world.index("alice");
    world.start(alice, revoke(group, &first.id));
    world.start(alice, add(group, &["bob"]));
    world.settle();
    let state = world.person("bob").group(group).state;
    assert_eq!(state, GroupState::Invited, "as from anybody");
    world.person("bob").accepts(group);
    oracle::judge(&mut world);
}

#[test]
fn r_link_03_a_link_leads_to_the_invitation_that_waits() {
    let mut world = world(&["alice", "bob"]);
    let group = world.person("alice").creates("ops", &["bob"]);
    world.settle();
    assert_eq!(world.person("bob").group(group).state, GroupState::Invited);
    let later = link(&mut world, "alice", group, None, false);
    let error = world.person("bob").cannot(join(&later), ErrorKind::Refused);
    assert_eq!(error.hint, Some(Hint::GroupAccept { group: at(group) }));
    world.person("alice").removes(group, &["bob"]);
    world.person("alice").adds(group, &["bob"]);
    world.settle();
    // The newer invitation shows the link.
    assert!(matches!(world.person("bob").does(join(&later)), Joined::Group(_)));
    oracle::judge(&mut world);
}

#[test]
fn a_bot_lets_nobody_in_while_there_are_people_and_does_when_there_are_none() {
    let mut world = world(&["alice", "bob", "carol"]);
    world.register_bot("door", "alice");
    let group = world.person("alice").creates("ops", &["door"]);
    world.settle();
    world.person("alice").makes(group, "door", Role::Owner);
    let wanted = link(&mut world, "alice", group, None, false);
    world.settle();
    world.person("alice").disconnects();
    assert!(matches!(world.person("bob").does(join(&wanted)), Joined::JoinPending { .. }));
    world.pass(Duration::from_secs(600));
    world.settle();
    assert_eq!(world.person("door").members(group), ["alice", "door"]);
    world.person("alice").connects();
    world.settle();
    assert_eq!(world.person("bob").group(group).state, GroupState::Active);
    world.person("alice").does(group::Leave { target: at(group) });
    world.settle();
    assert!(matches!(world.person("carol").does(join(&wanted)), Joined::Group(_)));
    assert_eq!(world.person("door").members(group), ["bob", "carol", "door"]);
    oracle::judge(&mut world);
}

#[test]
fn a_post_quantum_group_is_joined_by_a_link_too() {
    let mut world = world(&["alice", "bob"]);
    let create = group::Create { name: "pq".into(), with: vec![], post_quantum: true };
    let view = world.person("alice").does(create);
    let wanted = link(&mut world, "alice", view.id, None, false);
    let joined = inside(world.person("bob").does(join(&wanted)));
    assert_eq!(joined.suite, view.suite);
    world.settle();
    assert!(world.log.last_of(&Source::Group(view.id)) > 0);
    oracle::judge(&mut world);
}
