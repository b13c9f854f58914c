//! Who is in a group, who may say so, and what others see of it.

use cipher_api::command::{account, contact, group, message};
use cipher_api::reply::Done;
use cipher_api::view::{ContactState, GroupEvent, GroupState, MessageState, MessageView};
use cipher_api::{Command, ErrorKind, Hint, Target};
use cipher_broker::id::GroupId;
use cipher_broker::wire::group::Role;

use crate::support::log::Flavour;
use crate::support::oracle;
use crate::support::world::{World, add, remove, rename, send};

fn world(names: &[&str]) -> World {
    World::of(1, Flavour::R3, names)
}

fn at(group: GroupId) -> Target {
    Target::Group(group)
}

fn to(handle: &str) -> Target {
    Target::Account(handle.parse().unwrap())
}

fn say(handle: &str, text: &str) -> message::Send {
    message::Send::new(to(handle), text)
}

fn leave(group: GroupId) -> group::Leave {
    group::Leave { target: at(group) }
}

fn contact(world: &mut World, whose: &str, handle: &str) -> Option<ContactState> {
    let contacts = world.person(whose).does(contact::List {});
    contacts.into_iter().find(|contact| contact.handle.as_str() == handle).map(|contact| contact.state)
}

/// What the system lines of somebody's history say.
fn lines(world: &mut World, name: &str, group: GroupId) -> Vec<GroupEvent> {
    world.person(name).messages(group).iter().filter_map(MessageView::event).collect()
}

#[test]
fn a_group_begins_with_its_maker_and_grows_by_invitation() {
    let mut world = world(&["alice", "bob", "carol"]);
    let group = world.person("alice").creates("ops", &[]);
    assert_eq!(world.person("alice").members(group), ["alice"]);
    world.person("alice").adds(group, &["bob", "carol"]);
    world.settle();
    for name in ["bob", "carol"] {
        let view = world.person(name).group(group);
        assert_eq!((view.state, view.name.as_str()), (GroupState::Invited, "ops"), "{name}");
        assert_eq!(view.invited_by.map(|handle| handle.to_string()).as_deref(), Some("alice"));
        assert_eq!(world.person(name).status().invitations, 1);
        assert!(world.person(name).messages(group).is_empty());
        world.person(name).cannot(send(group, "too early"), ErrorKind::Refused);
    }
    // What is said between the invitation and the answer belongs to the new member too.
    world.person("alice").says(group, "before you came");
    world.person("bob").accepts(group);
    world.settle();
    assert_eq!(world.person("bob").texts(group), ["before you came"]);
    assert_eq!(world.person("bob").members(group), ["alice", "bob", "carol"]);
    assert!(world.person("carol").messages(group).is_empty(), "carol has not accepted");
    world.person("carol").accepts(group);
    oracle::judge(&mut world);
}

/// Hints are copied into a shell: they name the group at hand, and what others called it does not act there.
#[test]
fn a_hint_names_the_group_that_it_is_about() {
    let mut world = world(&["alice", "bob"]);
    let mut named = |name: &str| {
        let group = world.person("alice").creates(name, &[]);
        let error = world.person("alice").cannot(remove(group, &["bob"]), ErrorKind::NotFound);
        let Some(Hint::GroupShow { group: typed }) = error.hint else { panic!("{error:?}") };
        (group.to_string(), typed.to_string())
    };
    assert_eq!(named("ops").1, "ops");
    assert_eq!(named("ops").1, "ops-2");
    for name in ["$(reboot)", "two words", "--yes"] {
        let (group, typed) = named(name);
        assert_eq!(typed, group, "{name}");
    }
}

#[test]
fn an_invitation_can_be_declined_and_made_again() {
    let mut world = world(&["alice", "bob"]);
    let group = world.person("alice").creates("ops", &["bob"]);
    world.settle();
    assert_eq!(world.person("bob").does(group::Decline { target: at(group) }), Done {});
    world.settle();
    assert!(world.person("bob").knows(group).is_none());
    assert_eq!(world.person("bob").status().invitations, 0);
    world.person("alice").removes(group, &["bob"]);
    world.person("alice").adds(group, &["bob"]);
    world.settle();
    world.person("bob").accepts(group);
    oracle::judge(&mut world);
    assert_eq!(world.person("bob").members(group), ["alice", "bob"]);
}

#[test]
fn a_contact_request_opens_a_direct_conversation_and_accepted_contacts_join_by_themselves() {
    let mut world = world(&["alice", "bob", "carol"]);
    let ask = contact::Add { handle: "bob".parse().unwrap(), text: Some("hi, it is alice".into()) };
    world.person("alice").does(ask);
    world.settle();
    assert_eq!(contact(&mut world, "alice", "bob"), Some(ContactState::Pending));
    assert_eq!(contact(&mut world, "bob", "alice"), Some(ContactState::Requested));
    world.person("bob").does(contact::Accept { handle: "alice".parse().unwrap() });
    world.settle();
    assert_eq!(contact(&mut world, "alice", "bob"), Some(ContactState::Accepted));
    assert_eq!(contact(&mut world, "bob", "alice"), Some(ContactState::Accepted));
    let direct = world.person("bob").active().remove(0);
    assert!(direct.direct && direct.name.contains("alice"), "{direct:?}");
    assert_eq!(world.person("bob").texts(direct.id), ["hi, it is alice"]);
    // An accepted contact's group is joined without asking; a stranger's is not.
    let friends = world.person("alice").creates("friends", &["bob", "carol"]);
    world.settle();
    assert_eq!(world.person("bob").group(friends).state, GroupState::Active);
    assert_eq!(world.person("carol").group(friends).state, GroupState::Invited);
    world.person("carol").accepts(friends);
    oracle::judge(&mut world);
}

#[test]
fn r_inv_01_a_bot_joins_its_owners_groups_and_nobody_elses() {
    let mut world = world(&["alice", "bob"]);
    world.register_bot("echo", "alice");
    let group = world.person("alice").creates("ops", &["echo", "bob"]);
    world.settle();
    assert_eq!(world.person("echo").group(group).state, GroupState::Active);
    world.person("bob").accepts(group);
    world.settle();
    let view = world.person("bob").group(group);
    let echo = view.members.iter().find(|member| member.handle == "echo").unwrap();
    assert_eq!(echo.kind, cipher_broker::certificate::Kind::Bot);
    assert!(echo.owner.is_some());
    let other = world.person("bob").creates("trap", &["echo"]);
    world.settle();
    assert_eq!(world.person("echo").group(other).state, GroupState::Invited);
    world.person("echo").does(group::Decline { target: at(other) });
    oracle::judge(&mut world);
}

#[test]
fn a_direct_conversation_is_two_people_and_stays_so() {
    let mut world = world(&["alice", "bob", "carol"]);
    world.person("alice").does(say("bob", "psst"));
    world.settle();
    let direct = world.person("alice").active().remove(0);
    assert!(direct.direct);
    assert_eq!(world.person("bob").group(direct.id).state, GroupState::Invited);
    // Answering is accepting.
    world.person("bob").does(say("alice", "yes?"));
    world.settle();
    for name in ["alice", "bob"] {
        assert_eq!(world.person(name).texts(direct.id), ["psst", "yes?"], "{name}");
        let groups = world.person(name).groups();
        assert_eq!(groups.len(), 1, "one conversation, not one for each side");
    }
    let refused = world.person("alice").asks(add(direct.id, &["carol"]));
    assert!(
        matches!(&refused, Err(e) if matches!(e.kind, ErrorKind::Refused | ErrorKind::Usage)),
        "{refused:?}"
    );
    let refused = world.person("alice").asks(rename(direct.id, "a name"));
    assert!(
        matches!(&refused, Err(e) if matches!(e.kind, ErrorKind::Refused | ErrorKind::Usage)),
        "{refused:?}"
    );
    oracle::judge(&mut world);
}

#[test]
fn two_people_who_write_to_each_other_at_once_can_both_be_heard() {
    for seed in 0..6 {
        let mut world = World::of(seed, Flavour::R1, &["alice", "bob"]);
        world.person("alice").starts(say("bob", "first"));
        world.person("bob").starts(say("alice", "also first"));
        world.settle();
        for (name, other) in [("alice", "bob"), ("bob", "alice")] {
            let _ = world.person(name).asks(contact::Accept { handle: other.parse().unwrap() });
        }
        world.settle();
        for name in ["alice", "bob"] {
            let mut texts = Vec::new();
            for view in world.person(name).groups() {
                texts.extend(world.person(name).texts(view.id));
            }
            texts.sort();
            assert_eq!(texts, ["also first", "first"], "{name}, seed {seed}");
        }
        oracle::judge(&mut world);
    }
}

#[test]
fn names_roles_and_members_change_for_everybody() {
    let mut world = world(&["alice", "bob", "carol"]);
    let group = world.group_of("ops", &["alice", "bob", "carol"]);
    world.person("alice").renames(group, "war room");
    world.person("alice").makes(group, "bob", Role::Admin);
    world.settle();
    world.person("bob").removes(group, &["carol"]);
    world.settle();
    for name in ["alice", "bob"] {
        let view = world.person(name).group(group);
        assert_eq!(view.name, "war room");
        let bob = view.members.iter().find(|member| member.handle == "bob").unwrap();
        assert_eq!(bob.role, Role::Admin);
        let lines = lines(&mut world, name, group);
        for kind in [GroupEvent::Renamed, GroupEvent::Role, GroupEvent::Removed] {
            assert!(lines.contains(&kind), "{name} is told of {kind:?}: {lines:?}");
        }
    }
    oracle::judge(&mut world);
}

/// M30: the own program refuses what others would refuse, before anything is published.
#[test]
fn m30_a_mere_member_cannot_change_the_group() {
    let mut world = world(&["alice", "bob", "carol", "dave"]);
    let group = world.group_of("ops", &["alice", "bob", "carol"]);
    let before = world.log.len();
    let role = group::SetRole { target: at(group), who: "bob".parse().unwrap(), role: Role::Owner };
    let commands: [Command; 4] = [
        add(group, &["dave"]).into(),
        remove(group, &["carol"]).into(),
        rename(group, "mine").into(),
        role.into(),
    ];
    for command in commands {
        world.person("bob").cannot(command, ErrorKind::Refused);
    }
    world.settle();
    assert_eq!(world.log.len(), before, "nothing was published");
    world.person("alice").makes(group, "bob", Role::Admin);
    world.settle();
    world.person("bob").cannot(remove(group, &["alice"]), ErrorKind::Refused);
    oracle::judge(&mut world);
}

#[test]
fn a_removed_member_neither_reads_nor_writes() {
    let mut world = world(&["alice", "bob", "carol"]);
    let group = world.group_of("ops", &["alice", "bob", "carol"]);
    world.person("bob").says(group, "while I can");
    world.settle();
    world.person("alice").removes(group, &["bob"]);
    world.person("alice").says(group, "bob must not see this");
    world.settle();
    assert_eq!(world.person("bob").group(group).state, GroupState::Removed);
    assert_eq!(world.person("bob").texts(group), ["while I can"]);
    world.person("bob").cannot(send(group, "hello?"), ErrorKind::Refused);
    world.person("bob").cannot(rename(group, "hello?"), ErrorKind::Refused);
    // And comes back only with what is said from then on.
    world.person("alice").adds(group, &["bob"]);
    world.settle();
    world.person("bob").accepts(group);
    world.settle();
    world.person("alice").says(group, "welcome back");
    world.settle();
    let texts = world.person("bob").texts(group);
    assert!(
        texts.contains(&"welcome back".to_owned()) && !texts.contains(&"bob must not see this".to_owned())
    );
    oracle::judge(&mut world);
}

#[test]
fn somebody_leaves_when_another_member_is_there_r_prop_01() {
    let mut world = world(&["alice", "bob", "carol"]);
    let group = world.group_of("ops", &["alice", "bob", "carol"]);
    for name in ["alice", "carol"] {
        world.person(name).disconnects();
    }
    assert_eq!(world.person("bob").does(leave(group)), Done {});
    world.settle();
    assert_eq!(world.person("bob").group(group).state, GroupState::Leaving, "nobody could do it yet");
    world.person("carol").connects();
    world.settle();
    assert_eq!(world.person("bob").group(group).state, GroupState::Left);
    assert_eq!(world.person("carol").members(group), ["alice", "carol"]);
    world.person("alice").connects();
    oracle::judge(&mut world);
    for name in ["alice", "bob", "carol"] {
        let told = lines(&mut world, name, group);
        assert!(told.contains(&GroupEvent::Left) && !told.contains(&GroupEvent::Removed), "{name}: {told:?}");
    }
}

#[test]
fn everybody_but_one_may_leave_at_once() {
    for seed in 0..6 {
        let people = ["alice", "bob", "carol", "dave"];
        let mut world = World::of(seed, Flavour::R1, &people);
        let group = world.group_of("ops", &people);
        for name in ["bob", "carol", "dave"] {
            world.person(name).starts(leave(group));
        }
        world.settle();
        assert_eq!(world.person("alice").members(group), ["alice"], "seed {seed}");
        for name in ["bob", "carol", "dave"] {
            assert_eq!(world.person(name).group(group).state, GroupState::Left, "{name} seed {seed}");
        }
        oracle::judge(&mut world);
    }
}

#[test]
fn a_removal_that_meets_a_leaving_ends_the_same() {
    for seed in 0..6 {
        let people = ["alice", "bob", "carol"];
        let mut world = World::of(seed, Flavour::R3, &people);
        let group = world.group_of("ops", &people);
        world.person("bob").starts(leave(group));
        world.person("alice").starts(remove(group, &["bob"]));
        world.settle();
        let state = world.person("bob").group(group).state;
        assert!(matches!(state, GroupState::Left | GroupState::Removed), "{state:?}");
        assert_eq!(world.person("carol").members(group), ["alice", "carol"]);
        oracle::judge(&mut world);
    }
}

#[test]
fn what_cannot_be_is_said_clearly() {
    let mut world = world(&["alice", "bob"]);
    let nowhere = GroupId::from_bytes([9; 16]);
    world.person("alice").cannot(send(nowhere, "?"), ErrorKind::NotFound);
    world.person("alice").cannot(group::Accept { target: at(nowhere) }, ErrorKind::NotFound);
    world.person("alice").cannot(group::Decline { target: at(nowhere) }, ErrorKind::NotFound);
    let group = world.person("alice").creates("ops", &[]);
    world.person("alice").cannot(remove(group, &["bob"]), ErrorKind::NotFound);
    let named = group::Rename { target: at(group), name: "x".repeat(129) };
    world.person("alice").cannot(named, ErrorKind::Limit);
    let again = account::Register {
        handle: "alice2".parse().unwrap(),
        name: String::new(),
        bot: None,
        invite_code: None,
    };
    world.person("alice").cannot(again, ErrorKind::Conflict);
}

#[test]
fn an_own_message_moves_from_queued_to_sent_and_counts_as_unread_for_others() {
    let mut world = world(&["alice", "bob"]);
    let group = world.group_of("ops", &["alice", "bob"]);
    let sent = world.person("alice").says(group, "hello");
    assert_eq!(sent.state, MessageState::Sent);
    assert!(sent.seq.is_some());
    world.settle();
    let unread = world.person("bob").group(group).unread;
    assert!(unread >= 1);
    world.person("bob").does(message::Read { mark: true, ..message::Read::of(at(group)) });
    assert_eq!(world.person("bob").group(group).unread, 0);
    let received = world.person("bob").messages(group).into_iter().find(|m| m.text == "hello").unwrap();
    assert_eq!((received.id, received.seq, received.state), (sent.id, sent.seq, MessageState::Received));
    assert_eq!(received.from.handle, "alice");
}

#[test]
fn a_post_quantum_group_works_like_any_other() {
    let mut world = world(&["alice", "bob", "carol"]);
    let with = vec!["bob".parse().unwrap()];
    let command = group::Create { name: "later".into(), with, post_quantum: true };
    let view = world.person("alice").does(command);
    assert_eq!(view.suite, 0x004F);
    world.settle();
    world.person("bob").accepts(view.id);
    world.person("alice").adds(view.id, &["carol"]);
    world.settle();
    world.person("carol").accepts(view.id);
    world.person("alice").removes(view.id, &["bob"]);
    oracle::judge(&mut world);
}

/// D09: what words mean decides the exit code: 2 for words that mean several things or oneself, 8 for what is there already.
#[test]
fn d09_oneself_and_nothing_are_usage_and_a_second_account_is_a_conflict() {
    let mut world = world(&["alice", "bob"]);
    let first = world.person("alice").creates("ops", &[]);
    let words = |target| message::Send::new(target, "which?");
    let alice = || vec!["alice".parse().unwrap()];
    let commands: [Command; 8] = [
        words(to("alice")).into(),
        contact::Add { handle: "alice".parse().unwrap(), text: None }.into(),
        contact::Block { who: "alice".parse().unwrap() }.into(),
        contact::Verify { handle: "alice".parse().unwrap(), code: None }.into(),
        group::Create { name: "new".into(), with: alice(), post_quantum: false }.into(),
        group::Add { target: at(first), handles: alice() }.into(),
        group::Remove { target: at(first), who: vec!["alice".parse().unwrap()] }.into(),
        message::Send::new(at(first), " \n").into(),
    ];
    for command in commands {
        world.person("alice").cannot(command, ErrorKind::Usage);
    }
    let again = account::Register {
        handle: "alice2".parse().unwrap(),
        name: String::new(),
        bot: None,
        invite_code: None,
    };
    let error = world.person("alice").cannot(again, ErrorKind::Conflict);
    assert!(error.message.contains("@alice"), "{error:?}");
}

/// Two groups of one name: the name alone is refused, the id works.
#[test]
fn r_name_01_r_name_02_two_groups_of_one_name_are_called_by_two() {
    let mut world = world(&["alice"]);
    let first = world.person("alice").creates("ops", &[]);
    let second = world.person("alice").creates("ops", &[]);
    for (name, group) in [("ops", first), ("ops-2", second)] {
        let by_name = group::Show { target: Target::Name(name.into()) };
        let view = world.person("alice").does(by_name);
        assert_eq!((view.id, view.name.as_str()), (group, name));
    }
}

/// What somebody reads of a conversation named by an account.
fn with(world: &mut World, name: &str, other: &str) -> Vec<String> {
    let read = message::Read { mark: true, ..message::Read::of(to(other)) };
    let messages = world.person(name).does(read);
    messages.into_iter().filter(|m| m.is_text()).map(|m| m.text).collect()
}

#[test]
fn words_that_crossed_are_read_together() {
    let mut world = world(&["alice", "bob"]);
    world.person("alice").starts(say("bob", "first"));
    world.person("bob").starts(say("alice", "also first"));
    world.settle();
    for (name, other) in [("alice", "bob"), ("bob", "alice")] {
        let _ = world.person(name).asks(contact::Accept { handle: other.parse().unwrap() });
    }
    world.settle();
    for (name, other) in [("alice", "bob"), ("bob", "alice")] {
        let mut read = with(&mut world, name, other);
        read.sort();
        assert_eq!(read, ["also first", "first"], "{name}");
        assert!(world.person(name).groups().iter().all(|view| view.unread == 0), "{name}");
    }
}

#[test]
fn what_is_said_to_somebody_who_left_starts_a_new_conversation() {
    let mut world = world(&["alice", "bob"]);
    world.person("alice").does(say("bob", "hello"));
    world.settle();
    world.person("bob").does(contact::Accept { handle: "alice".parse().unwrap() });
    world.settle();
    let direct = world.person("bob").does(group::Show { target: to("alice") });
    world.person("bob").does(leave(direct.id));
    world.settle();
    assert_eq!(world.person("alice").group(direct.id).state, GroupState::Left);
    world.person("alice").does(say("bob", "are you there"));
    world.settle();
    assert_eq!(with(&mut world, "bob", "alice"), ["hello", "are you there"]);
    assert_eq!(with(&mut world, "alice", "bob"), ["hello", "are you there"]);
}

#[test]
fn a_queued_message_of_somebody_who_was_removed_stays_visible_as_failed() {
    let mut world = world(&["alice", "bob"]);
    let group = world.group_of("ops", &["alice", "bob"]);
    world.person("bob").disconnects();
    world.person("bob").does(send(group, "lost?"));
    world.person("alice").removes(group, &["bob"]);
    world.settle();
    world.person("bob").connects();
    world.settle();
    let messages = world.person("bob").messages(group);
    let lost = messages.iter().find(|message| message.text == "lost?").expect("still there");
    assert_eq!(lost.state, MessageState::Failed);
    assert_eq!(world.person("alice").sees(group, "lost?"), 0);
}

#[test]
fn a_strangers_invitation_does_not_get_between_a_person_and_their_group() {
    let mut world = world(&["alice", "mallory"]);
    let mine = world.person("alice").creates("team", &[]);
    let other = world.person("mallory").creates("team", &["alice"]);
    world.settle();
    let by_name = || Target::Name("team".into());
    let shown = world.person("alice").does(group::Show { target: by_name() });
    assert_eq!(shown.id, mine);
    assert_eq!(world.person("alice").does(group::Decline { target: by_name() }), Done {});
    assert!(world.person("alice").knows(other).is_none());
}
