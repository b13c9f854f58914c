//! What a look into the due-queue costs, and whose turn it is, on rows alone.

use std::collections::BTreeSet;

use cipher_api::Reply;
use cipher_api::command::{account, bot};
use cipher_broker::certificate::Kind;
use cipher_broker::id::{AccountId, DeviceId, MessageId};
use cipher_broker::wire::content::{Body, Content};
use cipher_broker::wire::envelope::CommitPlace;
use cipher_broker::wire::group::{GroupData, Role, Settings};

use super::*;
use crate::input::{Input, Ticket};
use crate::machine::Options;
use crate::state::{Author, GroupRow, position};

fn at(ms: u64) -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000 + ms)
}

fn group(n: u16) -> GroupId {
    let mut id = [0; 16];
    id[..2].copy_from_slice(&n.to_be_bytes());
    GroupId::from_bytes(id)
}

/// A profile with so many conversations, all of them over so that nothing but their rows is needed, and a bot.
fn core(groups: u16) -> Core {
    let options = Options { seed: [1; 32], cached_groups: 8, receipts: false };
    let mut core = Core::in_memory(options);
    let handle = "ana".parse().unwrap();
    let command = account::Register { handle, name: "Ana".into(), bot: None, invite_code: None };
    core.handle(vec![Input::Command { ticket: Ticket(1), command: Box::new(command.into()) }], at(0))
        .unwrap();
    core.state.identity.as_mut().unwrap().registered = true;
    core.state.identity_dirty = true;
    let data = GroupData {
        version: 1,
        name: "ops".into(),
        direct: false,
        roles: BTreeMap::new(),
        may_add: Role::Member,
        may_rename: Role::Member,
        may_resync: true,
        settings: Settings::default(),
        personal: false,
        links: BTreeMap::new(),
        banned: BTreeSet::new(),
    };
    for n in 0..groups {
        let link = CommitPlace { sequence: 1, hash: [0; 32] };
        let row = GroupRow { state: GroupState::Removed, ..GroupRow::active(&data, 3, 1, link) };
        core.state.groups.insert(group(n), row);
    }
    core.know_bot("b").unwrap();
    written(&mut core);
    core
}

/// Somebody said something, in this batch.
fn said(core: &mut Core, n: u16, sequence: u64, at: Timestamp) {
    let account = AccountId::from_bytes([9; 32]);
    let author = Author { account, device: DeviceId::from_bytes([9; 16]), kind: Kind::Person };
    let content = Content::new([0; 16], at, Body::Text(format!("{n}.{sequence}")));
    let id = MessageId::from_bytes(*group(n).as_bytes());
    let mut row = MessageRow::said(id, author, content);
    row.at = Some(at);
    let place = (position::of(position::FIRST_ERA, sequence), 0);
    core.history.insert(group(n), place, row);
}

/// The batch is on disk.
fn written(core: &mut Core) {
    core.queue_for_bots().unwrap();
    let (state, history) = (&core.state, &core.history);
    core.store.write(Timestamp::default(), |txn| state.flush(txn).and_then(|()| history.flush(txn))).unwrap();
    core.state.flushed();
    core.history.flushed();
}

fn asked(core: &mut Core, limit: usize) -> Vec<String> {
    let Reply::BotEvents(events) = core.bot_events("b", limit, &[]).unwrap() else { panic!() };
    events.into_iter().map(|event| event.message.text).collect()
}

/// S6: what a look costs depends on what it finds, not on how many conversations there are.
#[test]
fn s6_a_look_does_not_look_at_conversations_in_which_nothing_waits() {
    let looks = [10, 3000].map(|groups| {
        let mut core = core(groups);
        for n in [3, 5, 7] {
            for sequence in 2..400 {
                said(&mut core, n, sequence, at(sequence));
            }
        }
        written(&mut core);
        core.history.looks.set(0);
        assert_eq!(asked(&mut core, 8), ["3.2", "3.3", "5.2", "5.3", "7.2", "7.3"]);
        let position = position::of(position::FIRST_ERA, 2);
        let (bot, group) = ("b".into(), group(3));
        core.bot_handled(bot::Handled { bot, group, position, place: 0, say: Vec::new(), memory: None })
            .unwrap();
        core.history.looks.get()
    });
    assert_eq!(looks, [4, 4], "one for each of three conversations, and one for whether anything is left");
}

#[test]
fn whoever_began_to_wait_first_is_next_whatever_the_ids_and_a_restart_changes_nothing() {
    let mut core = core(8);
    said(&mut core, 5, 2, at(30));
    said(&mut core, 2, 2, at(20));
    said(&mut core, 7, 2, at(10));
    written(&mut core);
    said(&mut core, 7, 3, at(40));
    said(&mut core, 1, 2, at(5));
    written(&mut core);
    let first = ["7.2", "2.2", "5.2", "1.2"];
    assert_eq!(asked(&mut core, 4), first);
    core.run.bot.due.clear();
    core.state = crate::state::State::load(&core.store, false).unwrap();
    core.open_due().unwrap();
    assert_eq!(asked(&mut core, 4), first);
    // A store that an earlier version used meanwhile has forgotten that it had a queue: it is made again.
    core.state.meta_mut().bots = None;
    core.history.set_bot("b", group(2), (position::of(position::FIRST_ERA, 2), 0), None);
    for n in [1, 2, 5, 7] {
        core.state.groups.get_mut(&group(n)).unwrap().state = GroupState::Active;
    }
    written(&mut core);
    core.open_due().unwrap();
    let turns = core.next_turns("b", 9, &BTreeSet::new());
    assert_eq!(turns, [1, 7, 5].map(group));
}

/// B3: who was just added is called by name, unless the registry does not say one for two seconds; others do not wait.
#[test]
fn b3_what_concerns_an_account_without_a_name_waits_for_it_and_not_for_long() {
    let unknown = AccountId::from_bytes([9; 32]);
    for named in [true, false] {
        let mut core = core(8);
        core.run.connected = true;
        core.run.now = at(1000);
        core.state.unnamed.insert(unknown, ());
        said(&mut core, 2, 2, at(10));
        written(&mut core);
        assert_eq!(asked(&mut core, 1), [""; 0]);
        assert!(core.run.changed.is_empty());
        if named {
            core.state.unnamed.remove(&unknown);
            core.name_is_known(&unknown);
        } else {
            core.run.now = at(2999);
            core.look_past_names();
            assert_eq!((asked(&mut core, 1), core.run.changed.is_empty()), (vec![], true));
            assert!(core.run.wakes.contains(&at(3000)), "it looks again by itself");
            core.run.now = at(3000);
            core.look_past_names();
        }
        assert!(core.run.changed.remove(&group(2)), "the host is told to look again");
        assert_eq!(asked(&mut core, 1), ["2.2"]);
        core.look_past_names();
        assert!(core.run.changed.is_empty(), "once");
    }
}

#[test]
fn a_conversation_that_waits_for_a_name_takes_no_room_and_offline_none_waits() {
    let mut core = core(8);
    core.run.connected = true;
    said(&mut core, 2, 2, at(10));
    let account = AccountId::from_bytes([8; 32]);
    core.state.unnamed.insert(account, ());
    said(&mut core, 1, 2, at(5));
    let place = (position::of(position::FIRST_ERA, 2), 0);
    let mut row = core.history.at(&group(1), place).unwrap().unwrap();
    row.account = account;
    core.history.insert(group(1), place, row);
    written(&mut core);
    assert_eq!(asked(&mut core, 1), ["2.2"]);
    assert_eq!(asked(&mut core, 8), ["2.2"]);
    core.run.connected = false;
    assert_eq!(asked(&mut core, 8), ["1.2", "2.2"]);
}
