//! Sealing a store of before stores were sealed (format 1).
//!
//! ```text
//! copy, sealed          store.redb.new
//! second name           store.redb = store.redb.plain
//! the copy's turn       store.redb.new → store.redb
//! overwritten, removed  store.redb.plain
//! ```
//!
//! Whatever step a process ends at, the next one goes on: up to the third the plain store is still `store.redb`, and
//! everything begins again; after it only the last step is left.

use cipher_api::{Advice, ErrorKind, Result};
use cipher_broker::id::{GroupId, MessageId};
use cipher_broker::time::Timestamp;
use redb::{
    Database, Key, ReadTransaction, ReadableDatabase as _, ReadableTable as _, TableDefinition, TableError,
    Value,
};

use crate::store::key::RowKey as _;
use crate::store::open::{FILE, storage_io};
use crate::store::sealed::{Sealing, Writing};
use crate::store::table::{self, Table};
use crate::store::{Store, named, storage};

/// The sealed copy while it is made.
const DRAFT: &str = "store.redb.new";
/// The plain store once the sealed one has its place.
const PLAIN: &str = "store.redb.plain";

type Group = &'static [u8; 16];
type Bytes = &'static [u8];

const META: TableDefinition<'_, &str, Bytes> = TableDefinition::new("meta");
const MESSAGES: TableDefinition<'_, (Group, u64, u16), Bytes> = TableDefinition::new("messages");
const SEEN: TableDefinition<'_, (Group, Group), u64> = TableDefinition::new("seen");
const PARKED: TableDefinition<'_, (Group, u64), Bytes> = TableDefinition::new("parked");
const COMMITS: TableDefinition<'_, (Group, u64), Bytes> = TableDefinition::new("commits");
const SENT: TableDefinition<'_, (Group, Group), Bytes> = TableDefinition::new("sent");
const JOURNAL: TableDefinition<'_, u64, Bytes> = TableDefinition::new("journal");
const BOTS: TableDefinition<'_, Bytes, Bytes> = TableDefinition::new("bots");
const SUBSCRIBERS: TableDefinition<'_, Bytes, Bytes> = TableDefinition::new("subscribers");

/// Rows that are sealed in one transaction.
const PAGE: usize = 4096;

/// Puts a sealed store in the place of a plain one, which is open.
pub(super) fn seal(store: &Store, plain: Database) -> Result<()> {
    tracing::info!("this profile's store is sealed now, once");
    store.draft(DRAFT, |draft| copy(&plain.begin_read().map_err(storage)?, draft))?;
    // Its lock goes with it, and nobody else may get it before the sealed store has its place: the lock is the file's.
    let place = store.place();
    place.remove(PLAIN).map_err(storage_io)?;
    place.link(FILE, PLAIN).map_err(storage_io)?;
    place.rename(DRAFT, FILE).map_err(storage_io)?;
    drop(plain);
    Ok(())
}

/// Overwrites and removes what is left of the plain store, now that the sealed one is open.
pub(super) fn forget_plain(store: &Store) -> Result<()> {
    let place = store.place();
    match place.length(PLAIN).map_err(storage_io)? {
        Some(_) => place.erase(PLAIN).map_err(storage_io),
        None => Ok(()),
    }
}

fn copy(read: &ReadTransaction, draft: &Store) -> Result<()> {
    rows(read, META, draft, table::META, |into, key, value| match key {
        "schema" => Ok(()),
        key => into.put(key.as_bytes(), value),
    })?;
    rows(read, MESSAGES, draft, table::MESSAGES, |into, (group, position, place), value| {
        into.put(&(GroupId::from_bytes(*group), position, place).to_key(), value)
    })?;
    rows(read, SEEN, draft, table::SEEN, |into, (group, id), position| {
        into.put(&(GroupId::from_bytes(*group), MessageId::from_bytes(*id)).to_key(), &position.to_be_bytes())
    })?;
    for (from, to) in [(PARKED, table::PARKED), (COMMITS, table::COMMITS)] {
        rows(read, from, draft, to, |into, (group, number), value| {
            into.put(&(GroupId::from_bytes(*group), number).to_key(), value)
        })?;
    }
    rows(read, SENT, draft, table::SENT, |into, (group, hash), value| {
        into.put(&(GroupId::from_bytes(*group), *hash).to_key(), value)
    })?;
    rows(read, JOURNAL, draft, table::JOURNAL, |into, number, value| into.put(&number.to_key(), value))?;
    rows(read, BOTS, draft, table::BOTS, |into, key, value| {
        let Some((group, name)) = bot_of(key) else { return Err(damaged(table::BOTS)) };
        into.put(&(group, draft.name(table::BOTS, name)).to_key(), &named::join(name, value))
    })?;
    rows(read, SUBSCRIBERS, draft, table::SUBSCRIBERS, |into, name, value| {
        let name = std::str::from_utf8(name).map_err(|_| damaged(table::SUBSCRIBERS))?;
        into.put(&draft.name(table::SUBSCRIBERS, name), &named::join(name, value))
    })?;
    let special = [
        table::META,
        table::MESSAGES,
        table::SEEN,
        table::PARKED,
        table::COMMITS,
        table::SENT,
        table::JOURNAL,
        table::BOTS,
        table::SUBSCRIBERS,
    ];
    for table in table::ALL.iter().filter(|table| special.iter().all(|other| other.name != table.name)) {
        rows(read, table.definition(), draft, *table, |into, key, value| into.put(key, value))?;
    }
    Ok(())
}

/// Seals the rows of one table.
fn rows<K: Key + 'static, V: Value + 'static>(
    read: &ReadTransaction,
    from: TableDefinition<'static, K, V>,
    draft: &Store,
    to: Table,
    put: impl Fn(&mut Sealing<'_>, K::SelfType<'_>, V::SelfType<'_>) -> Result<()>,
) -> Result<()> {
    let from = match read.open_table(from) {
        Ok(from) => from,
        // A store of an earlier build lacks what came later.
        Err(TableError::TableDoesNotExist(_)) => return Ok(()),
        Err(error) => return Err(storage(error)),
    };
    let mut all = from.iter().map_err(storage)?.peekable();
    let page = |writing: &Writing<'_>, all: &mut std::iter::Peekable<redb::Range<'_, K, V>>| {
        let mut into = writing.table(to)?;
        for row in all.by_ref().take(PAGE) {
            let (key, value) = row.map_err(storage)?;
            put(&mut into, key.value(), value.value())?;
        }
        Ok(())
    };
    while all.peek().is_some() {
        draft.write(Timestamp::default(), |writing| page(writing, &mut all))?;
    }
    Ok(())
}

/// The group and the name of a key of bots, as it was.
fn bot_of(key: &[u8]) -> Option<(GroupId, &str)> {
    let (group, name) = key.split_at_checked(GroupId::LEN)?;
    Some((GroupId::from_slice(group).ok()?, std::str::from_utf8(name).ok()?))
}

fn damaged(table: Table) -> cipher_api::Error {
    ErrorKind::Storage
        .because(format!("the store of this profile is damaged: a row of '{}' cannot be read", table.name))
        .hint(Advice::StoreDamaged)
}
