//! What is found in the batch that writes it.

use std::collections::BTreeMap;

use cipher_api::command::account;
use cipher_api::view::GroupState;
use cipher_broker::certificate::Kind;
use cipher_broker::id::{DeviceId, MessageId};
use cipher_broker::time::Timestamp;
use cipher_broker::wire::content::{Body, Content};
use cipher_broker::wire::envelope::CommitPlace;
use cipher_broker::wire::group::{GroupData, Role, Settings};

use super::*;
use crate::input::{Input, Ticket};
use crate::machine::Options;
use crate::state::{Author, GroupRow, Place, position};

const GROUP: GroupId = GroupId::from_bytes([7; 16]);

fn at(ms: u64) -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000 + ms)
}

fn place(n: u64) -> Place {
    (position::of(position::FIRST_ERA, n), 0)
}

/// A profile with a conversation that is over, so that nothing but its rows is needed.
fn core() -> Core {
    let mut core = Core::in_memory(Options { seed: [1; 32], cached_groups: 8, receipts: false });
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
    let link = CommitPlace { sequence: 1, hash: [0; 32] };
    let row = GroupRow { state: GroupState::Removed, ..GroupRow::active(&data, 3, 1, link) };
    core.state.groups.insert(GROUP, row);
    core
}

fn said(n: u64, text: &str) -> MessageRow {
    let account = AccountId::from_bytes([9; 32]);
    let author = Author { account, device: DeviceId::from_bytes([9; 16]), kind: Kind::Person };
    let content = Content::new([0; 16], at(n), Body::Text(text.into()));
    let mut row = MessageRow::said(MessageId::from_bytes([u8::try_from(n).unwrap(); 16]), author, content);
    row.at = Some(at(n));
    row
}

fn written(core: &mut Core) {
    let Core { store, state, history, .. } = &*core;
    store.write(at(0), |txn| state.flush(txn).and_then(|()| history.flush(txn))).unwrap();
    core.state.flushed();
    core.history.flushed();
}

fn found(core: &Core, query: &str) -> Vec<String> {
    let asked = Search {
        query: query.into(),
        target: None,
        from: None,
        since: None,
        kind: None,
        limit: None,
        behind: None,
    };
    let Reply::Found(found) = core.search(&asked).unwrap() else { panic!("no answer to a search") };
    found.hits.into_iter().map(|hit| hit.message.text).collect()
}

/// R-SEARCH-07: a batch may write a row that is there again: for a reaction, a change of its words, or the broker's time of it.
#[test]
fn r_search_07_what_the_running_batch_writes_again_is_found_as_it_stands() {
    let mut core = core();
    for n in 1..5 {
        core.history.insert(GROUP, place(n), said(n, &format!("tea {n}")));
    }
    written(&mut core);
    let all = ["tea 4", "tea 3", "tea 2", "tea 1"];
    assert_eq!(found(&core, "tea"), all);
    // As it was, to the last bit; with other words; at another time; and one that is there for the first time.
    core.history.insert(GROUP, place(2), said(2, "tea 2"));
    core.history.insert(GROUP, place(3), said(3, "coffee 3"));
    let mut later = said(1, "tea 1");
    later.at = Some(at(60_000));
    core.history.insert(GROUP, place(1), later);
    core.history.insert(GROUP, place(5), said(5, "tea 5"));
    core.history.insert(GROUP, place(5), said(5, "tea five"));
    let all = ["tea 1", "tea five", "tea 4", "tea 2"];
    assert_eq!(found(&core, "tea"), all);
    assert_eq!(
        (found(&core, "coffee"), found(&core, "3")),
        (vec!["coffee 3".into()], vec!["coffee 3".into()])
    );
    written(&mut core);
    // Words that stay are where the index was told first.
    assert_eq!(found(&core, "tea"), ["tea five", "tea 4", "tea 2", "tea 1"]);
    assert_eq!(found(&core, "coffee"), ["coffee 3"]);
}
