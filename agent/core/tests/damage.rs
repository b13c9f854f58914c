//! Flipped bits in a store: a value is found by its seal and costs itself; what it was for comes back by itself.

use std::collections::BTreeMap;
use std::time::Duration;

use cipher_api::command::message;
use cipher_api::view::{GroupState, MessageState};
use cipher_api::{Error, ErrorKind, Event, Notice};
use cipher_broker::id::GroupId;
use cipher_core::Examined;
use redb::{Builder, ReadableDatabase as _, ReadableTable as _, TableDefinition};

use crate::support::disk::{Disk, End, unlock};
use crate::support::log::Flavour;
use crate::support::oracle;
use crate::support::world::{World, send};

const PEOPLE: [&str; 3] = ["alice", "bob", "carol"];

/// Keys of a table of a closed store.
fn keys(disk: &Disk, table: &str) -> Vec<Vec<u8>> {
    let db = open(disk);
    let table: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new(table);
    let rows = db.begin_read().unwrap().open_table(table).unwrap();
    rows.iter().unwrap().map(|row| row.unwrap().0.value().to_vec()).collect()
}

/// Flips a bit in the value of a row of a closed store.
fn flip(disk: &Disk, table: &str, key: &[u8]) {
    let db = open(disk);
    let txn = db.begin_write().unwrap();
    {
        let table: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new(table);
        let mut rows = txn.open_table(table).unwrap();
        let mut value = rows.get(key).unwrap().unwrap().value().to_vec();
        *value.last_mut().unwrap() ^= 1;
        rows.insert(key, value.as_slice()).unwrap();
    }
    txn.commit().unwrap();
}

fn open(disk: &Disk) -> redb::Database {
    use cipher_core::Place as _;
    disk.place().database("store.redb", &Builder::new(), false).unwrap()
}

fn talking(seed: u64) -> (World, GroupId) {
    let mut world = World::of(seed, Flavour::R1, &PEOPLE);
    let group = world.admins("ops", &PEOPLE);
    world.person("bob").says(group, "before the damage");
    world.settle();
    (world, group)
}

/// E9: whatever value of a group's MLS state is hit, the group comes back by itself, with its history.
#[test]
fn e9_a_group_whose_secrets_are_damaged_comes_back_by_itself() {
    let (mut world, _) = talking(9);
    let bob = world.index("bob");
    world.end(bob, End::Clean);
    let rows = keys(&world.people[bob].disk, "mls");
    assert!(rows.len() > 8, "{}", rows.len());
    for (n, _) in rows.iter().enumerate() {
        let (mut world, group) = talking(9);
        let bob = world.index("bob");
        world.end(bob, End::Clean);
        let disk = world.people[bob].disk.clone();
        let rows = keys(&disk, "mls");
        let Some(key) = rows.get(n) else { continue };
        flip(&disk, "mls", key);
        world.boot(bob).unwrap();
        world.connect(bob);
        world.settle();
        world.person("bob").says(group, "after the damage");
        world.settle();
        assert_eq!(world.person("alice").sees(group, "after the damage"), 1, "label {}", key[0]);
        world.person("alice").starts(send(group, "welcome back"));
        world.settle();
        let texts = world.person("bob").texts(group);
        assert_eq!(texts, ["before the damage", "after the damage", "welcome back"], "label {}", key[0]);
        let view = world.person("bob").group(group);
        assert_eq!((view.state, view.members.len(), view.recovering), (GroupState::Active, 3, None));
        let asked = |event: &Event| matches!(event, Event::Warning { notice: Notice::PlaceOffered { .. } });
        assert!(!world.people[bob].events.iter().any(asked), "label {}: the person is asked", key[0]);
        let own = world.person("bob").messages(group);
        assert!(own.iter().all(|message| message.state != MessageState::Queued), "{own:?}");
        oracle::judge(&mut world);
    }
}

/// E9: an entry of what is to be forgotten that cannot be read costs itself: it is let go of, and what it named is shown no more.
#[test]
fn e9_a_damaged_entry_of_what_is_due_is_let_go_of() {
    let (mut world, group) = talking(9);
    let vanishes = message::Send { expire: Some(60), ..send(group, "for a minute") };
    world.person("bob").does(vanishes);
    world.settle();
    let bob = world.index("bob");
    world.end(bob, End::Clean);
    let rows = keys(&world.people[bob].disk, "expiring");
    assert!(!rows.is_empty());
    for key in &rows {
        flip(&world.people[bob].disk, "expiring", key);
    }
    world.boot(bob).unwrap();
    world.connect(bob);
    world.pass(Duration::from_secs(90));
    world.settle();
    assert_eq!(world.person("bob").sees(group, "for a minute"), 0);
    world.end(bob, End::Clean);
    assert!(keys(&world.people[bob].disk, "expiring").is_empty());
}

/// Flips a bit in the key of a row of a closed store.
fn flip_key(disk: &Disk, table: &str, key: &[u8], bit: usize) {
    let db = open(disk);
    let txn = db.begin_write().unwrap();
    {
        let table: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new(table);
        let mut rows = txn.open_table(table).unwrap();
        let value = rows.remove(key).unwrap().unwrap().value().to_vec();
        let mut flipped = key.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        rows.insert(flipped.as_slice(), value.as_slice()).unwrap();
    }
    txn.commit().unwrap();
}

/// E9: of a row that lives in memory the seal tells what its key was, whatever bit of it was hit: nothing is lost.
#[test]
fn e9_a_row_whose_key_was_hit_is_put_where_it_belongs() {
    for table in ["groups", "accounts", "packages", "posted", "due"] {
        let (mut world, group) = talking(9);
        let bob = world.index("bob");
        world.end(bob, End::Clean);
        let disk = world.people[bob].disk.clone();
        let rows = keys(&disk, table);
        let Some(key) = rows.first() else { continue };
        for bit in [0, 13, key.len() * 8 - 1] {
            let (mut world, _) = talking(9);
            world.end(bob, End::Clean);
            let disk = world.people[bob].disk.clone();
            flip_key(&disk, table, key, bit);
            world.boot(bob).unwrap();
            world.connect(bob);
            world.settle();
            world.person("bob").says(group, "after the damage");
            world.settle();
            assert_eq!(world.person("alice").sees(group, "after the damage"), 1, "{table} {bit}");
            let view = world.person("bob").group(group);
            let shown = (view.name.as_str(), view.state, view.members.len(), view.recovering);
            assert_eq!(shown, ("ops", GroupState::Active, 3, None), "{table} {bit}");
            let told = world.people[bob]
                .events
                .iter()
                .any(|event| matches!(event, Event::Warning { notice: Notice::ValuesDamaged { .. } }));
            assert!(!told, "{table} {bit}: nothing was lost");
            world.end(bob, End::Clean);
            let found = examined(&world.people[bob].disk).unwrap();
            assert!(found.damaged.is_empty(), "{table} {bit}: {found:?}");
        }
    }
}

/// Values of which tables are damaged in turn, one at a time.
const ROWS: [&str; 9] =
    ["groups", "accounts", "messages", "seen", "journal", "commits", "packages", "posted", "due"];

/// E9: a damaged value is told, with the table it was in, and costs itself.
#[test]
fn e9_a_damaged_value_is_named_and_the_rest_goes_on() {
    for table in ROWS {
        let (world, _) = talking(9);
        let bob = world.index("bob");
        let many = keys(&world.people[bob].disk, table).len();
        for n in 0..many.min(6) {
            let (mut world, group) = talking(9);
            world.end(bob, End::Clean);
            let disk = world.people[bob].disk.clone();
            let rows = keys(&disk, table);
            let Some(key) = rows.get(n) else { continue };
            flip(&disk, table, key);
            world.boot(bob).unwrap();
            world.connect(bob);
            world.settle();
            world.person("bob").says(group, "after the damage");
            world.settle();
            assert_eq!(world.person("alice").sees(group, "after the damage"), 1, "{table} {n}");
            let texts = world.person("bob").texts(group);
            assert!(texts.contains(&"after the damage".to_owned()), "{table} {n}: {texts:?}");
            let wrong = texts.iter().any(|text| text != "before the damage" && text != "after the damage");
            assert!(!wrong, "{table} {n}: {texts:?}");
            let view = world.person("bob").group(group);
            let shown = (view.name.as_str(), view.state, view.members.len(), view.recovering);
            assert_eq!(shown, ("ops", GroupState::Active, 3, None), "{table} {n}");
            let told = world.people[bob].events.iter().any(|event| {
                matches!(event, Event::Warning { notice: Notice::ValuesDamaged { of, count: 1 } } if of == &[table])
            });
            assert!(told || !READ.contains(&table), "{table} {n}: nobody was told");
        }
    }
}

/// E9: the key of a chapter is a value too. It costs what it sealed, and nothing that comes after it.
#[test]
fn e9_a_damaged_key_costs_its_chapter_and_stops_nothing() {
    let (world, _) = talking(9);
    let bob = world.index("bob");
    let chapters = keys(&world.people[bob].disk, "keys");
    for n in 0..chapters.len() {
        let (mut world, group) = talking(9);
        world.end(bob, End::Clean);
        let disk = world.people[bob].disk.clone();
        let rows = keys(&disk, "keys");
        let Some(key) = rows.get(n) else { continue };
        flip(&disk, "keys", key);
        let name = String::from_utf8_lossy(key).into_owned();
        if name.starts_with("single") {
            // Who this device is lies there: without it the store is of no use.
            let error = world.boot(bob).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Storage);
            continue;
        }
        world.boot(bob).unwrap();
        world.connect(bob);
        world.settle();
        if name.starts_with("groups") {
            continue;
        }
        world.person("bob").says(group, "after the damage");
        world.settle();
        assert_eq!(world.person("alice").sees(group, "after the damage"), 1, "{name}");
        world.pass(Duration::from_secs(120));
        world.settle();
        world.person("bob").restarts(End::Kill);
        assert_eq!(world.person("bob").sees(group, "after the damage"), 1, "{name}");
    }
}

fn examined(disk: &Disk) -> Result<Examined, Error> {
    cipher_core::examine(disk.place(), || Ok(unlock()), [4; 32])
}

/// E9: a look at everything (`doctor --deep`) finds what no command came upon.
#[test]
fn e9_a_look_at_everything_counts_damaged_values_by_table() {
    let (mut world, _) = talking(9);
    let bob = world.index("bob");
    world.end(bob, End::Clean);
    let disk = world.people[bob].disk.clone();
    let whole = examined(&disk).unwrap();
    assert!(whole.damaged.is_empty() && !whole.mended && whole.values > 20, "{whole:?}");
    let seen = keys(&disk, "seen");
    flip(&disk, "seen", &seen[0]);
    flip(&disk, "commits", &keys(&disk, "commits")[0]);
    let found = examined(&disk).unwrap();
    assert_eq!(found.damaged, BTreeMap::from([("commits", 1), ("seen", 1)]));
    assert_eq!(found.values + 2, whole.values);
}

/// Tables of which every row is read when a store is opened, or a conversation is shown.
const READ: [&str; 4] = ["groups", "accounts", "packages", "messages"];

/// A value is of its place: one that was copied to another row opens there as little as one that was changed.
#[test]
fn e9_values_that_changed_places_are_found() {
    let (mut world, group) = talking(9);
    world.person("alice").says(group, "another message");
    world.settle();
    let bob = world.index("bob");
    world.end(bob, End::Clean);
    let disk = world.people[bob].disk.clone();
    let rows = keys(&disk, "messages");
    let db = open(&disk);
    let txn = db.begin_write().unwrap();
    {
        let table: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("messages");
        let mut messages = txn.open_table(table).unwrap();
        let last = messages.get(rows.last().unwrap().as_slice()).unwrap().unwrap().value().to_vec();
        messages.insert(rows[rows.len() - 2].as_slice(), last.as_slice()).unwrap();
    }
    txn.commit().unwrap();
    drop(db);
    world.boot(bob).unwrap();
    world.connect(bob);
    world.settle();
    assert_eq!(world.person("bob").texts(group), ["another message"]);
}
