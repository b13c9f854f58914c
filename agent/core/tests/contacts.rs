//! Contacts: asked, declined, removed, blocked; and who may ask at all.

use std::time::Duration;

use cipher_api::command::{account, bot, contact, message};
use cipher_api::reply::Done;
use cipher_api::view::{ContactState, GroupEvent, GroupState, RequestPolicy};
use cipher_api::{Command, ErrorKind, Event, Hint, Target};
use cipher_broker::id::GroupId;

use crate::support::disk::End;
use crate::support::log::Flavour;
use crate::support::oracle;
use crate::support::world::{World, add, send};

fn world(names: &[&str]) -> World {
    World::of(3, Flavour::R1, names)
}

fn to(handle: &str) -> Target {
    Target::Account(handle.parse().unwrap())
}

fn say(handle: &str, text: &str) -> message::Send {
    message::Send::new(to(handle), text)
}

fn ask(handle: &str) -> contact::Add {
    contact::Add { handle: handle.parse().unwrap(), text: Some("hi".into()) }
}

fn accept(handle: &str) -> contact::Accept {
    contact::Accept { handle: handle.parse().unwrap() }
}

fn decline(handle: &str) -> contact::Decline {
    contact::Decline { handle: handle.parse().unwrap() }
}

fn drop_contact(handle: &str) -> contact::Remove {
    contact::Remove { handle: handle.parse().unwrap() }
}

fn block(handle: &str) -> contact::Block {
    contact::Block { who: handle.parse().unwrap() }
}

fn unblock(handle: &str) -> contact::Unblock {
    contact::Unblock { who: handle.parse().unwrap() }
}

fn contact(world: &mut World, whose: &str, handle: &str) -> Option<ContactState> {
    let contacts = world.person(whose).does(contact::List {});
    contacts.into_iter().find(|contact| contact.handle.as_str() == handle).map(|contact| contact.state)
}

/// Two who know each other.
fn friends(world: &mut World, one: &str, other: &str) {
    world.person(one).does(ask(other));
    world.settle();
    world.person(other).does(accept(one));
    world.settle();
    assert_eq!(contact(world, one, other), Some(ContactState::Accepted));
}

/// Texts that somebody reads with somebody, as `read @handle` shows them.
fn read(world: &mut World, who: &str, with: &str, mark: bool) -> Vec<String> {
    let command = message::Read { mark, ..message::Read::of(to(with)) };
    let messages = world.person(who).does(command);
    messages.into_iter().filter(|m| m.is_text()).map(|m| m.text).collect()
}

/// Texts somebody was told of by events since the process began.
fn told(world: &World, who: &str) -> Vec<String> {
    let index = world.index(who);
    let events = world.people[index].events.iter();
    events
        .filter_map(|event| match event {
            Event::Message(message) if message.is_text() => Some(message.text.clone()),
            _ => None,
        })
        .collect()
}

fn skipped(world: &mut World, who: &str, class: &str) -> u64 {
    let status = world.person(who).status();
    status.skipped.into_iter().find(|(name, _)| name == class).map_or(0, |(_, count)| count)
}

fn direct(world: &mut World, who: &str, state: GroupState) -> GroupId {
    let groups = world.person(who).groups();
    let mut found = groups.into_iter().filter(|view| view.direct && view.state == state).map(|view| view.id);
    let group = found.next().unwrap();
    assert_eq!(found.next(), None);
    group
}

#[test]
fn a_declined_request_is_gone_and_its_maker_may_ask_again() {
    let mut world = world(&["alice", "bob"]);
    world.person("bob").cannot(decline("alice"), ErrorKind::NotFound);
    world.person("alice").does(ask("bob"));
    world.settle();
    assert_eq!(contact(&mut world, "bob", "alice"), Some(ContactState::Requested));
    assert_eq!(world.person("bob").does(decline("alice")), Done {});
    assert_eq!(contact(&mut world, "bob", "alice"), None);
    assert!(world.person("bob").groups().is_empty());
    world.person("bob").restarts(End::Kill);
    world.settle();
    assert_eq!(contact(&mut world, "bob", "alice"), None);
    world.person("bob").cannot(decline("alice"), ErrorKind::NotFound);
    // The other side is not told.
    assert_eq!(contact(&mut world, "alice", "bob"), Some(ContactState::Pending));

    world.person("alice").does(drop_contact("bob"));
    world.person("alice").does(ask("bob"));
    world.settle();
    assert_eq!(contact(&mut world, "bob", "alice"), Some(ContactState::Requested));
    world.person("bob").does(accept("alice"));
    world.settle();
    assert_eq!(contact(&mut world, "alice", "bob"), Some(ContactState::Accepted));
    world.person("alice").does(say("bob", "hello again"));
    world.settle();
    assert!(read(&mut world, "bob", "alice", false).contains(&"hello again".to_owned()));
}

#[test]
fn of_two_requests_of_one_account_the_latest_waits() {
    let mut world = world(&["alice", "bob"]);
    world.person("alice").does(ask("bob"));
    world.settle();
    let first = direct(&mut world, "bob", GroupState::Invited);
    world.person("alice").does(drop_contact("bob"));
    world.settle();
    world.person("alice").does(ask("bob"));
    world.settle();
    let second = direct(&mut world, "bob", GroupState::Invited);
    assert_ne!(first, second, "accepting the old one would answer nobody");
}

#[test]
fn a_removed_contact_is_none_the_conversation_is_left_and_stays_readable() {
    let mut world = world(&["alice", "bob"]);
    friends(&mut world, "alice", "bob");
    let group = direct(&mut world, "alice", GroupState::Active);
    world.person("alice").does(say("bob", "before"));
    world.settle();
    assert_eq!(world.person("alice").does(drop_contact("bob")), Done {});
    world.settle();
    assert_eq!(contact(&mut world, "alice", "bob"), None);
    assert_eq!(world.person("alice").group(group).state, GroupState::Left);
    assert_eq!(world.person("bob").group(group).state, GroupState::Left, "nobody is there any more");
    world.person("alice").restarts(End::Kill);
    world.settle();
    assert_eq!(contact(&mut world, "alice", "bob"), None);
    assert!(read(&mut world, "alice", "bob", false).contains(&"before".to_owned()));
    assert!(read(&mut world, "bob", "alice", false).contains(&"before".to_owned()));
    world.person("alice").cannot(drop_contact("bob"), ErrorKind::NotFound);
    world.person("alice").cannot(drop_contact("nobody"), ErrorKind::NotFound);

    // What Bob says now is a new request.
    world.person("bob").does(say("alice", "what happened?"));
    world.settle();
    assert_eq!(contact(&mut world, "alice", "bob"), Some(ContactState::Requested));
    assert!(!told(&world, "alice").contains(&"what happened?".to_owned()));
    world.person("alice").does(accept("bob"));
    world.settle();
    assert!(read(&mut world, "alice", "bob", false).contains(&"what happened?".to_owned()));
    oracle::judge(&mut world);
}

#[test]
fn a_contact_is_removed_without_a_connection_and_the_conversation_left_when_it_is_back() {
    let mut world = world(&["alice", "bob"]);
    friends(&mut world, "alice", "bob");
    let group = direct(&mut world, "alice", GroupState::Active);
    world.person("alice").disconnects();
    world.person("alice").does(drop_contact("bob"));
    world.person("alice").restarts(End::Kill);
    world.person("alice").connects();
    world.settle();
    assert_eq!(world.person("alice").group(group).state, GroupState::Left);
    oracle::judge(&mut world);
}

#[test]
fn r_contact_01_a_block_drops_what_waits_and_whatever_comes_later() {
    let mut world = world(&["alice", "mallory", "carol"]);
    world.person("mallory").does(ask("alice"));
    let waiting = world.person("mallory").creates("spam", &["alice"]);
    world.settle();
    assert_eq!(world.person("alice").status().invitations, 2);
    let view = world.person("alice").does(block("mallory"));
    assert_eq!(view.state, ContactState::Blocked);
    assert!(world.person("alice").groups().is_empty());
    world.person("alice").restarts(End::Kill);
    world.settle();

    // R-CONTACT-04: later ones are dropped as silently.
    let later = world.person("mallory").creates("more spam", &["alice"]);
    world.settle();
    assert!(world.person("alice").groups().is_empty());
    assert_eq!(world.person("alice").status().invitations, 0);
    assert!(skipped(&mut world, "alice", "blocked") > 0);
    // Nor by another way into the same group.
    world.person("mallory").removes(waiting, &["alice"]);
    world.person("mallory").adds(waiting, &["alice"]);
    world.settle();
    assert!(world.person("alice").groups().is_empty());
    // Somebody else's invitation to a group with the blocked account is shown.
    let shared = world.person("carol").creates("shared", &["mallory", "alice"]);
    world.settle();
    assert_eq!(world.person("alice").group(shared).state, GroupState::Invited);
    assert_ne!(later, shared);
    // Unblocked, it may ask again; what was dropped stays dropped.
    assert_eq!(world.person("alice").does(unblock("mallory")), None);
    assert_eq!(world.person("alice").groups().len(), 1);
    let third = world.person("mallory").creates("sorry", &["alice"]);
    world.settle();
    assert_eq!(world.person("alice").group(third).state, GroupState::Invited);
}

#[test]
fn an_account_that_never_was_seen_can_be_blocked() {
    let mut world = world(&["alice", "mallory"]);
    world.person("alice").cannot(block("nobody"), ErrorKind::NotFound);
    world.person("alice").cannot(block("alice"), ErrorKind::Usage);
    world.person("alice").cannot(unblock("mallory"), ErrorKind::NotFound);
    world.person("alice").does(block("mallory"));
    assert_eq!(contact(&mut world, "alice", "mallory"), Some(ContactState::Blocked));
    world.person("mallory").does(ask("alice"));
    world.settle();
    assert!(world.person("alice").groups().is_empty());
    world.person("alice").cannot(drop_contact("mallory"), ErrorKind::Refused);
    assert_eq!(world.person("alice").does(unblock("mallory")), None);
    assert_eq!(contact(&mut world, "alice", "mallory"), None);
}

#[test]
fn r_contact_02_a_blocked_account_is_not_heard_in_a_group_until_it_is_unblocked() {
    let mut world = world(&["alice", "bob", "mallory"]);
    let group = world.group_of("ops", &["bob", "alice", "mallory"]);
    world.person("mallory").says(group, "old");
    world.settle();
    assert_eq!(world.person("alice").group(group).unread, 1);
    world.person("alice").does(block("mallory"));
    assert_eq!(world.person("alice").group(group).unread, 0, "what is hidden is not unread");
    world.person("mallory").says(group, "hidden");
    world.person("bob").says(group, "heard");
    world.person("mallory").says(group, "hidden too");
    world.settle();
    assert_eq!(world.person("alice").texts(group), ["heard"]);
    assert_eq!(world.person("alice").group(group).unread, 1);
    assert!(!told(&world, "alice").contains(&"hidden".to_owned()));
    assert_eq!(world.person("bob").texts(group).len(), 4, "a block is a matter of one account");
    // A bound on what is shown counts what is shown.
    let last = message::Read { last: Some(1), mark: true, ..message::Read::of(Target::Group(group)) };
    let last = world.person("alice").does(last);
    assert_eq!(last.into_iter().map(|m| m.text).collect::<Vec<_>>(), ["heard"]);

    world.person("alice").restarts(End::Kill);
    world.settle();
    assert_eq!(world.person("alice").texts(group), ["heard"]);
    // What it does to the group is shown: it is the group's history.
    world.person("bob").makes(group, "mallory", cipher_broker::wire::group::Role::Admin);
    world.settle();
    world.person("mallory").renames(group, "ops2");
    world.settle();
    assert!(world.person("alice").messages(group).iter().any(|m| m.event() == Some(GroupEvent::Renamed)));
    world.person("alice").does(unblock("mallory"));
    assert_eq!(world.person("alice").texts(group), ["old", "hidden", "heard", "hidden too"]);
    oracle::judge(&mut world);
}

#[test]
fn r_contact_03_nothing_goes_to_a_blocked_account_and_the_contact_is_one_again_afterwards() {
    let mut world = world(&["alice", "bob"]);
    friends(&mut world, "alice", "bob");
    let group = direct(&mut world, "alice", GroupState::Active);
    world.person("bob").does(say("alice", "first"));
    world.settle();
    world.person("alice").does(block("bob"));
    let commands: [Command; 4] =
        [say("bob", "no").into(), send(group, "no").into(), ask("bob").into(), accept("bob").into()];
    for command in commands {
        let error = world.person("alice").cannot(command, ErrorKind::Refused);
        assert_eq!(error.hint, Some(Hint::ContactUnblock { who: "bob".into() }));
    }
    let mine = world.person("alice").creates("mine", &[]);
    world.person("alice").cannot(add(mine, &["bob"]), ErrorKind::Refused);
    world.person("bob").does(say("alice", "second"));
    world.settle();
    assert_eq!(world.person("alice").group(group).state, GroupState::Active, "the conversation stays");
    assert!(!read(&mut world, "alice", "bob", false).contains(&"second".to_owned()));
    assert_eq!(world.person("alice").group(group).unread, 0);

    let view = world.person("alice").does(unblock("bob")).unwrap();
    assert_eq!(view.state, ContactState::Accepted);
    let texts = read(&mut world, "alice", "bob", true);
    assert!(texts.contains(&"first".to_owned()) && texts.contains(&"second".to_owned()));
    world.person("alice").does(say("bob", "hello again"));
    world.settle();
    assert!(read(&mut world, "bob", "alice", false).contains(&"hello again".to_owned()));
    oracle::judge(&mut world);
}

#[test]
fn a_bot_does_not_hear_whom_it_blocks_and_counts_whom_it_ignores() {
    let mut world = world(&["alice", "mallory"]);
    world.register_bot("echo", "alice");
    let group = world.group_of("ops", &["alice", "echo", "mallory"]);
    let events = |world: &mut World| {
        world.person("echo").does(bot::Events { bot: "b".into(), limit: 99, busy: vec![] })
    };
    for event in events(&mut world) {
        let (position, place) = (event.position, event.place);
        let say: Vec<bot::Say> = Vec::new();
        world.person("echo").does(bot::Handled {
            bot: "b".into(),
            group,
            position,
            place,
            say,
            memory: None,
        });
    }
    world.person("echo").does(block("mallory"));
    world.person("mallory").says(group, "echo me");
    world.settle();
    assert!(events(&mut world).iter().all(|event| event.message.text != "echo me"));
    world.person("echo").does(unblock("mallory"));
    assert_eq!(skipped(&mut world, "echo", "not-owner"), 0);
    world.person("mallory").creates("mine", &["echo"]);
    world.settle();
    assert_eq!(skipped(&mut world, "echo", "not-owner"), 1);
}

#[test]
fn r_contact_04_under_contacts_strangers_do_not_get_through_and_contacts_do() {
    let mut world = world(&["alice", "bob", "mallory"]);
    friends(&mut world, "alice", "bob");
    world.person("alice").does(account::SetRequests { policy: RequestPolicy::Contacts });
    world.person("alice").restarts(End::Kill);
    world.person("mallory").does(ask("alice"));
    world.person("mallory").creates("spam", &["alice"]);
    let known = world.person("bob").creates("ops", &["alice"]);
    world.settle();
    let groups = world.person("alice").groups();
    assert!(groups.iter().any(|view| view.id == known && view.state == GroupState::Active));
    assert!(groups.iter().all(|view| view.state != GroupState::Invited));
    assert_eq!(skipped(&mut world, "alice", "unwanted"), 2);
    assert_eq!(contact(&mut world, "alice", "mallory"), None);
    // Whom we ask may answer.
    world.person("alice").does(ask("mallory"));
    world.settle();
    world.person("mallory").does(accept("alice"));
    world.settle();
    assert_eq!(contact(&mut world, "alice", "mallory"), Some(ContactState::Accepted));
}

#[test]
fn r_contact_04_an_unknown_inviter_waits_unseen_until_the_registry_knows_it_unless_anyone_may_ask() {
    for (policy, shown) in [(RequestPolicy::Deployment, false), (RequestPolicy::Anyone, true)] {
        let mut world = world(&["alice", "mallory"]);
        world.person("alice").does(account::SetRequests { policy });
        for _ in 0..2 {
            world.registry.next("fetch-account", crate::support::registry::Fate::NoReply);
        }
        let group = world.person("mallory").creates("ops", &["alice"]);
        world.settle();
        assert_eq!(world.person("alice").knows(group).is_some(), shown, "{policy:?}");
        assert_eq!(world.person("alice").status().invitations, usize::from(shown));
        let index = world.index("alice");
        let heard = |world: &World| {
            let events = world.people[index].events.iter();
            events.filter(|event| matches!(event, Event::Group(view) if view.id == group)).count()
        };
        assert_eq!(heard(&world) > 0, shown);
        // The next connection asks again.
        world.registry.fates.clear();
        world.person("alice").disconnects();
        world.pass(Duration::from_secs(60));
        world.person("alice").connects();
        world.settle();
        assert_eq!(world.person("alice").group(group).state, GroupState::Invited);
        assert_eq!(heard(&world), 1, "told once");
        world.person("alice").accepts(group);
    }
}

#[test]
fn k04_r_contact_05_a_spammer_fills_its_own_share_and_locks_nobody_out() {
    let share = cipher_broker::limit::INVITATIONS_PER_ACCOUNT;
    let mut world = world(&["alice", "bob", "carol", "mallory"]);
    friends(&mut world, "alice", "bob");
    for n in 0..share + 5 {
        world.person("mallory").creates(&format!("spam {n}"), &["alice"]);
    }
    world.settle();
    let groups = world.person("alice").groups();
    let invited = groups.iter().filter(|view| view.state == GroupState::Invited).count();
    assert_eq!(invited, share);
    assert!(groups.iter().all(|view| view.direct || view.state == GroupState::Invited), "none joined");
    assert_eq!(skipped(&mut world, "alice", "limit"), 5);
    // A contact gets through, and another stranger too.
    let known = world.person("bob").creates("ops", &["alice"]);
    let stranger = world.person("carol").creates("tea", &["alice"]);
    world.settle();
    assert_eq!(world.person("alice").group(known).state, GroupState::Active);
    assert_eq!(world.person("alice").group(stranger).state, GroupState::Invited);
    world.person("alice").does(block("mallory"));
    assert_eq!(world.person("alice").status().invitations, 1);
}

/// D03: whoever decides about a request sees what it says; the words go when they are answered.
#[test]
fn d03_the_first_words_are_shown_with_the_request() {
    let mut world = World::of(31, Flavour::R1, &["alice", "bob", "carol"]);
    let handle = || "bob".parse().unwrap();
    world.person("alice").does(contact::Add { handle: handle(), text: Some("it is me".into()) });
    world
        .person("carol")
        .starts(message::Send::new(Target::Account(handle()), format!("{}end", "é".repeat(2_000))));
    world.settle();
    let says = |world: &mut World, whom: &str| {
        let contacts = world.person("bob").does(contact::List {});
        contacts.into_iter().find(|contact| contact.handle.as_str() == whom).unwrap().text
    };
    assert_eq!(says(&mut world, "alice").as_deref(), Some("it is me"));
    let long = says(&mut world, "carol").unwrap();
    assert_eq!((long.chars().count(), long.ends_with('…')), (1_000, true));
    world.person("bob").restarts(End::Kill);
    assert_eq!(says(&mut world, "alice").as_deref(), Some("it is me"));
    world.person("bob").does(contact::Accept { handle: "alice".parse().unwrap() });
    world.settle();
    assert_eq!(says(&mut world, "alice"), None);
    let direct = world.person("bob").groups().into_iter().find(|group| group.name == "@alice").unwrap().id;
    assert_eq!(world.person("bob").texts(direct), ["it is me"]);
}
