//! Rotation: what was superseded or removed cannot be opened any more.
//!
//! 1. In one transaction the rows that live in dirty chapters are sealed under fresh keys, and so are the keys of the
//!    other chapters whose wrapping key has to go. All of them under keys that the key file already holds.
//! 2. Then the key file is replaced by one without the wrapping keys that seal nothing any more.
//!
//! A process that ends between the two leaves a key file with keys too many: the next opening does the second step.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use cipher_api::Result;
use cipher_broker::time::Timestamp;
use cipher_seal::Plain;
use redb::{ReadableTable as _, WriteTransaction};

use crate::store::ring::{Heat, WrapId};
use crate::store::seal::{self, ChapterId, Seal};
use crate::store::table::{self, Table};
use crate::store::{Store, storage};

impl Store {
    /// When something died first that can still be opened; `None` if there is nothing.
    pub(crate) fn dirty_since(&self) -> Option<Timestamp> {
        self.seal().dirty_since
    }

    /// Makes what died unreadable for good.
    pub(crate) fn rotate(&self) -> Result<()> {
        if self.dirty_since().is_none() {
            return Ok(());
        }
        self.transaction(|txn| renew(txn, &mut self.seal(), Extent::Dirty))?;
        self.destroy()
    }

    /// Seals everything under keys that were never under a file key of before.
    pub(super) fn rotate_all(&self) -> Result<()> {
        {
            let seal = &mut *self.seal();
            let used = seal.used();
            seal.ring.make_spare(&used, self.place(), &mut seal.random)?;
        }
        self.transaction(|txn| renew(txn, &mut self.seal(), Extent::Everything))?;
        let seal = &mut *self.seal();
        let used = seal.used();
        seal.ring.end_exposure(&used, self.place(), &mut seal.random)
    }

    /// Destroys the wrapping keys that seal nothing.
    pub(super) fn destroy(&self) -> Result<()> {
        let seal = &mut *self.seal();
        let used = seal.used();
        seal.ring.destroy_all_but(&used, self.place(), &mut seal.random)
    }
}

/// What is sealed anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// What has died, and what depends on its wrapping keys.
    Dirty,
    /// Everything.
    Everything,
}

/// Seals under other keys whatever depends on a wrapping key of a dirty chapter.
fn renew(txn: &WriteTransaction, seal: &mut Seal, extent: Extent) -> Result<()> {
    let dirty = match extent {
        Extent::Dirty => seal.dirty(),
        Extent::Everything => seal.chapters().map(|(table, first, _)| (table, first.to_vec())).collect(),
    };
    seal.dirty_since = None;
    let doomed: BTreeSet<WrapId> = dirty
        .iter()
        .filter_map(|(table, first)| Some(seal.chapter(table::named(table)?, first)?.1.wrap))
        .collect();
    let next = |seal: &Seal, heat| {
        let current = seal.ring.current(heat);
        let is_doomed = extent == Extent::Everything || doomed.contains(&current);
        if is_doomed { seal.ring.spare(heat) } else { current }
    };
    let wraps = BTreeMap::from([(Heat::Hot, next(seal, Heat::Hot)), (Heat::Cold, next(seal, Heat::Cold))]);
    let wrap_of = |table: Table| wraps.get(&table.heat).copied().unwrap_or_default();
    let mut keys = txn.open_table(table::KEYS).map_err(storage)?;
    for chapter in &dirty {
        let Some(table) = table::named(chapter.0) else { continue };
        for (row, value) in deal(txn, seal, table, chapter, wrap_of(table))? {
            match value {
                Some(value) => keys.insert(row.as_slice(), value.as_slice()),
                None => keys.remove(row.as_slice()),
            }
            .map_err(storage)?;
        }
    }
    let others: Vec<ChapterId> = seal
        .chapters()
        .filter(|(_, _, wrap)| doomed.contains(wrap))
        .map(|(table, first, _)| (table, first.to_vec()))
        .collect();
    for chapter in others {
        let Some(table) = table::named(chapter.0) else { continue };
        match seal.rewrap(&chapter, wrap_of(table)) {
            Ok((row, value)) => keys.insert(row.as_slice(), value.as_slice()).map_err(storage)?,
            // Its key is damaged: nobody opens what it sealed, and it must not keep the wrapping key alive.
            Err(_) => keys.remove(seal.end(&chapter).as_slice()).map_err(storage)?,
        };
    }
    let mut marks = txn.open_table(table::DIRTY).map_err(storage)?;
    marks.retain(|_, _| false).map_err(storage)
}

/// A row of the table of chapters: written, or removed.
type KeyRow = (Vec<u8>, Option<Vec<u8>>);

/// Deals the rows of a chapter out to new ones that are not too large. Gives what changes in the table of chapters.
fn deal(
    txn: &WriteTransaction,
    seal: &mut Seal,
    table: Table,
    chapter: &ChapterId,
    wrap: WrapId,
) -> Result<Vec<KeyRow>> {
    let first = chapter.1.as_slice();
    let end = seal.next(table, first).map(<[u8]>::to_vec);
    let mut rows = txn.open_table(table.definition()).map_err(storage)?;
    let mut living: Vec<(Vec<u8>, Plain)> = Vec::new();
    let upper = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    for row in rows.range::<&[u8]>((Bound::Included(first), upper)).map_err(storage)? {
        let (key, value) = row.map_err(storage)?;
        // A value that does not open stays as it is, and stays unreadable: others must not suffer for it.
        if let Ok(plain) = seal.open(table, key.value(), value.value()) {
            living.push((key.value().to_vec(), plain));
        }
    }
    let mut changes = vec![(seal.end(chapter), None)];
    let mut filled = (0usize, 0usize);
    for (n, (key, plain)) in living.iter().enumerate() {
        if n == 0 || filled.0 >= seal::ROWS || filled.1.saturating_add(plain.len()) > seal::BYTES {
            // The first of the new chapters begins where the old one began, so that no row is without.
            let begins = if n == 0 { first } else { key.as_slice() };
            let (row, value) = seal.begin(table, begins, wrap)?;
            changes.push((row, Some(value)));
            filled = (0, 0);
        }
        let sealed = seal.seal(table, key, |draft| draft.write(plain))?;
        rows.insert(key.as_slice(), sealed).map_err(storage)?;
        filled = (filled.0.saturating_add(1), filled.1.saturating_add(sealed.len()));
    }
    Ok(changes)
}
