//! The seal of the values: which key opens a value, and which keys have to go.
//!
//! ```text
//! wrapping key (store.keys) ──► key of a chapter (table `keys`) ──► value
//! ```
//!
//! A *chapter* is a run of neighbouring rows of one table: it begins at a key and ends before the next chapter. A row
//! that is superseded or removed leaves its chapter *dirty*: redb keeps dead bytes in its pages, and the key of the
//! chapter opens them. A rotation ([`crate::store::rotate`]) seals what still lives in dirty chapters under fresh keys
//! and destroys the wrapping keys of the old ones.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Bound;

use cipher_api::{Advice, Error, ErrorKind, Result};
use cipher_broker::time::Timestamp;
use cipher_seal::{Draft, Key, Plain, Unopened};
use rand_chacha::ChaCha20Rng;
use redb::{ReadTransaction, ReadableTable as _, TableHandle as _};

use crate::store::hidden::Hiding;
use crate::store::ring::{Ring, WrapId};
use crate::store::storage;
use crate::store::table::{self, Table};

/// A chapter has no more rows than that when it is sealed anew, and takes no further one at its end.
pub(crate) const ROWS: usize = 128;
/// And no more bytes, unless one row has more.
pub(crate) const BYTES: usize = 64 * 1024;

/// Name of a table and the key at which a chapter begins.
pub(crate) type ChapterId = (&'static str, Vec<u8>);

/// A chapter.
#[derive(Debug)]
pub(crate) struct Chapter {
    pub wrap: WrapId,
    /// Its key under the wrapping key, as it lies in the table.
    sealed: Vec<u8>,
    key: Option<Key>,
    /// Rows and bytes that were counted in it; `None` before the first row of this process.
    pub filled: Option<(usize, usize)>,
    /// Rows come into it in any order: no further one begins behind it before it is sealed anew.
    scattered: bool,
    /// Something in it died since the last rotation.
    dirty: bool,
}

impl Chapter {
    const fn new(wrap: WrapId, sealed: Vec<u8>) -> Self {
        Self { wrap, sealed, key: None, filled: None, scattered: false, dirty: false }
    }

    /// Whether a row may come in without a look at what is there.
    fn has_room(&self) -> bool {
        self.scattered || self.filled.is_some_and(|(rows, bytes)| rows < ROWS && bytes < BYTES)
    }
}

/// The seal of an open store.
#[derive(Debug)]
pub(crate) struct Seal {
    pub ring: Ring,
    pub random: ChaCha20Rng,
    hiding: Hiding,
    chapters: Chapters,
    /// When something died first that can still be opened.
    pub dirty_since: Option<Timestamp>,
    /// Values that did not open in this process, and whether that was told.
    damage: BTreeMap<ChapterId, bool>,
    /// Room for what a seal binds, kept from value to value.
    place: Vec<u8>,
    /// Room for the value that is sealed.
    draft: Draft,
}

/// A row of the table of chapters: the chapter's name in the file.
pub(crate) fn row_key(table: &str, first: &[u8]) -> Vec<u8> {
    [table.as_bytes(), &[0], first].concat()
}

/// The chapter of a row of the table of chapters; `None` for tables that this version does not know.
pub(crate) fn chapter_of(row: &[u8]) -> Option<ChapterId> {
    let end = row.iter().position(|byte| *byte == 0)?;
    let (name, first) = row.split_at_checked(end)?;
    let table = table::named(std::str::from_utf8(name).ok()?)?;
    Some((table.name, first.get(1..)?.to_vec()))
}

/// Chapters by table and by the key at which they begin.
type Chapters = BTreeMap<&'static str, BTreeMap<Vec<u8>, Chapter>>;

impl Seal {
    pub(crate) fn new(ring: Ring, random: ChaCha20Rng) -> Self {
        Self {
            hiding: Hiding::new(ring.names()),
            ring,
            random,
            chapters: BTreeMap::new(),
            dirty_since: None,
            damage: BTreeMap::new(),
            place: Vec::new(),
            draft: Draft::default(),
        }
    }

    /// What the store says of its chapters, instead of what is known of them.
    pub(crate) fn load(&mut self, read: &ReadTransaction) -> Result<()> {
        self.chapters.clear();
        self.dirty_since = None;
        for row in read.open_table(table::KEYS).map_err(storage)?.iter().map_err(storage)? {
            let (key, value) = row.map_err(storage)?;
            let (Some((table, first)), Some((wrap, sealed))) =
                (chapter_of(key.value()), value.value().split_first_chunk::<4>())
            else {
                return Err(damaged(table::KEYS.name()));
            };
            let chapter = Chapter::new(WrapId::from_be_bytes(*wrap), sealed.to_vec());
            self.chapters.entry(table).or_default().insert(first, chapter);
        }
        for row in read.open_table(table::DIRTY).map_err(storage)?.iter().map_err(storage)? {
            let (key, since) = row.map_err(storage)?;
            let (table, first) = chapter_of(key.value()).ok_or_else(|| damaged(table::DIRTY.name()))?;
            // One that is damaged is long ago.
            let since = Timestamp::from_millis(since.value().try_into().map_or(0, u64::from_be_bytes));
            if let Some(chapter) = self.chapters.get_mut(table).and_then(|all| all.get_mut(&first)) {
                chapter.dirty = true;
            }
            self.dirty_since = Some(self.dirty_since.map_or(since, |earlier| earlier.min(since)));
        }
        Ok(())
    }

    /// Something in the chapter of a row died. Gives the name of the chapter in the file if that is news.
    pub(crate) fn died(&mut self, table: Table, key: &[u8], now: Timestamp) -> Option<Vec<u8>> {
        let (first, chapter) = lies_in(&mut self.chapters, table.name, key)?;
        if std::mem::replace(&mut chapter.dirty, true) {
            return None;
        }
        self.dirty_since = Some(self.dirty_since.map_or(now, |earlier| earlier.min(now)));
        Some(row_key(table.name, first))
    }

    /// Chapters in which something died since the last rotation.
    pub(crate) fn dirty(&self) -> Vec<ChapterId> {
        let all = self.chapters.iter().flat_map(|(table, chapters)| {
            let dirty = chapters.iter().filter(|(_, chapter)| chapter.dirty);
            dirty.map(|(first, _)| (*table, first.clone()))
        });
        all.collect()
    }

    /// How many chapters each wrapping key seals.
    pub(crate) fn used(&self) -> BTreeMap<WrapId, usize> {
        let mut used = BTreeMap::new();
        for (_, _, wrap) in self.chapters() {
            let count: &mut usize = used.entry(wrap).or_default();
            *count = count.saturating_add(1);
        }
        used
    }

    /// All chapters, with the numbers of their wrapping keys.
    pub(crate) fn chapters(&self) -> impl Iterator<Item = (&'static str, &[u8], WrapId)> {
        self.chapters.iter().flat_map(|(table, chapters)| {
            chapters.iter().map(|(first, chapter)| (*table, first.as_slice(), chapter.wrap))
        })
    }

    /// Where the chapter of a row begins.
    pub(crate) fn chapter(&self, table: Table, key: &[u8]) -> Option<(&[u8], &Chapter)> {
        let (first, chapter) = self.chapters.get(table.name)?.range::<[u8], _>(up_to(key)).next_back()?;
        Some((first, chapter))
    }

    /// A value that was sealed took the place of another one: its chapter has no further row.
    pub(crate) fn superseded(&mut self, table: Table, key: &[u8], bytes: usize) {
        if let Some((_, chapter)) = lies_in(&mut self.chapters, table.name, key)
            && let Some(filled) = &mut chapter.filled
        {
            *filled = (filled.0.saturating_sub(1), filled.1.saturating_sub(bytes));
        }
    }

    /// What was found out about a chapter.
    pub(crate) fn looked_at(&mut self, table: Table, first: &[u8], filled: (usize, usize), scattered: bool) {
        if let Some(chapter) = self.chapters.get_mut(table.name).and_then(|all| all.get_mut(first)) {
            (chapter.filled, chapter.scattered) = (Some(filled), scattered);
        }
    }

    /// Where the chapter of a row begins, if its key is damaged.
    pub(crate) fn unusable_chapter(&mut self, table: Table, key: &[u8]) -> Option<Vec<u8>> {
        self.chapter(table, key)?;
        if chapter_key(&self.ring, &mut self.chapters, table.name, key).is_ok() {
            return None;
        }
        self.chapter(table, key).map(|(first, _)| first.to_vec())
    }

    /// Where the chapter behind this one begins.
    pub(crate) fn next(&self, table: Table, first: &[u8]) -> Option<&[u8]> {
        let behind = (Bound::Excluded(first), Bound::Unbounded);
        Some(self.chapters.get(table.name)?.range::<[u8], _>(behind).next()?.0)
    }

    /// Where the last chapter of a table begins.
    fn last(&self, table: Table) -> Option<&[u8]> {
        Some(self.chapters.get(table.name)?.last_key_value()?.0)
    }

    /// Begins a chapter under a fresh key, and gives its row in the table of chapters.
    pub(crate) fn begin(&mut self, table: Table, first: &[u8], wrap: WrapId) -> Result<(Vec<u8>, Vec<u8>)> {
        let key = Key::random(&mut self.random);
        let (row, sealed) = self.wrapped(table.name, first, wrap, &key)?;
        let value = key_value(wrap, &sealed);
        let chapter = Chapter { key: Some(key), filled: Some((0, 0)), ..Chapter::new(wrap, sealed) };
        self.chapters.entry(table.name).or_default().insert(first.to_vec(), chapter);
        Ok((row, value))
    }

    /// Seals the key of a chapter under another wrapping key, and gives its row.
    pub(crate) fn rewrap(&mut self, chapter: &ChapterId, wrap: WrapId) -> Result<(Vec<u8>, Vec<u8>)> {
        let (table, first) = chapter;
        let key = chapter_key(&self.ring, &mut self.chapters, table, first);
        let key = key.map_err(|_| damaged(table))?.clone();
        let (row, sealed) = self.wrapped(table, first, wrap, &key)?;
        let value = key_value(wrap, &sealed);
        if let Some((_, chapter)) = lies_in(&mut self.chapters, table, first) {
            (chapter.wrap, chapter.sealed) = (wrap, sealed);
        }
        Ok((row, value))
    }

    /// Forgets an empty chapter, and gives the key of its row.
    pub(crate) fn end(&mut self, chapter: &ChapterId) -> Vec<u8> {
        let (table, first) = chapter;
        if let Some(chapters) = self.chapters.get_mut(table) {
            chapters.remove(first);
        }
        row_key(table, first)
    }

    /// The name of a chapter in the file, and its key sealed under a wrapping key.
    fn wrapped(&mut self, table: &str, first: &[u8], wrap: WrapId, key: &Key) -> Result<(Vec<u8>, Vec<u8>)> {
        let row = row_key(table, first);
        let wrapping = self.ring.wrap(wrap).ok_or_else(|| damaged(table::KEYS.name()))?;
        let place = chapter_place(self.ring.store(), &row, wrap);
        let sealed = cipher_seal::seal(wrapping, &place, key.expose(), &mut self.random);
        Ok((row, sealed))
    }

    /// Whether a row can be sealed; else its chapter has to be looked at before, because there is none, or it is the last one
    /// and full, or its key is damaged.
    pub(crate) fn is_ready(&mut self, table: Table, key: &[u8]) -> bool {
        let Some((first, chapter)) = lies_in(&mut self.chapters, table.name, key) else { return false };
        if open_key(&self.ring, table.name, first, chapter).is_err() {
            return false;
        }
        // What lies in front of another chapter has to stay where it is.
        chapter.has_room() || self.last(table).is_some_and(|last| last > key)
    }

    /// Seals a value for its row, however full the chapter is. It counts as a further row of it.
    pub(crate) fn seal(&mut self, table: Table, key: &[u8], write: impl FnOnce(&mut Draft)) -> Result<&[u8]> {
        row_place(&mut self.place, self.ring.store(), table, key);
        let (first, chapter) =
            lies_in(&mut self.chapters, table.name, key).ok_or_else(|| damaged(table.name))?;
        open_key(&self.ring, table.name, first, chapter).map_err(|_| damaged(table.name))?;
        let Chapter { key: Some(opened), filled, .. } = chapter else { return Err(damaged(table.name)) };
        write(self.draft.begin());
        let sealed = self.draft.seal(opened, &self.place, &mut self.random);
        if let Some((rows, bytes)) = filled {
            (*rows, *bytes) = (rows.saturating_add(1), bytes.saturating_add(sealed.len()));
        }
        Ok(sealed)
    }

    /// The key of a row as it stands in the file. All that this type is asked about rows is by that.
    pub(crate) fn hide<'k>(&self, table: Table, key: &'k [u8]) -> Cow<'k, [u8]> {
        self.hiding.hide(table, key)
    }

    /// The key again.
    pub(crate) fn show<'k>(&self, table: Table, hidden: &'k [u8]) -> Cow<'k, [u8]> {
        self.hiding.show(table, hidden)
    }

    /// Opens the value of a row.
    pub(crate) fn open(&mut self, table: Table, key: &[u8], sealed: &[u8]) -> Result<Plain> {
        self.try_open(table, key, sealed).map_err(|_| {
            self.damage.entry((table.name, key.to_vec())).or_insert(false);
            damaged(table.name)
        })
    }

    fn try_open(&mut self, table: Table, key: &[u8], sealed: &[u8]) -> Result<Plain, Unopened> {
        row_place(&mut self.place, self.ring.store(), table, key);
        let chapter = chapter_key(&self.ring, &mut self.chapters, table.name, key)?;
        cipher_seal::open(chapter, &self.place, sealed)
    }

    /// The key and the value of a row that did not open, if one bit of its key is all that is wrong: the seal tells which. It
    /// is no damage then.
    pub(crate) fn mend(&mut self, table: Table, hidden: &[u8], sealed: &[u8]) -> Option<(Vec<u8>, Plain)> {
        let mut right = hidden.to_vec();
        for bit in 0..right.len().saturating_mul(8) {
            let flip = |key: &mut Vec<u8>| key.get_mut(bit / 8).map(|byte| *byte ^= 1 << (bit % 8));
            flip(&mut right);
            if let Ok(plain) = self.try_open(table, &right, sealed) {
                self.damage.remove(&(table.name, hidden.to_vec()));
                return Some((right, plain));
            }
            flip(&mut right);
        }
        None
    }

    /// Names of the tables of values that did not open and were not told yet, one for each.
    pub(crate) fn untold_damage(&mut self) -> Vec<&'static str> {
        let untold = self.damage.iter_mut().filter(|(_, told)| !**told);
        untold
            .map(|((table, _), told)| {
                *told = true;
                *table
            })
            .collect()
    }

    /// What stands in a key for a name, so that the file does not tell it: its keyed hash.
    pub(crate) fn name(&self, table: Table, name: &str) -> [u8; 16] {
        self.hiding.name(table, name.as_bytes())
    }
}

/// The key of the chapter in which a row lies.
fn chapter_key<'a>(
    ring: &Ring,
    chapters: &'a mut Chapters,
    table: &'static str,
    key: &[u8],
) -> Result<&'a Key, Unopened> {
    let (first, chapter) = lies_in(chapters, table, key).ok_or(Unopened)?;
    open_key(ring, table, first, chapter)?;
    chapter.key.as_ref().ok_or(Unopened)
}

/// Makes sure that the key of a chapter is open.
fn open_key(ring: &Ring, table: &str, first: &[u8], chapter: &mut Chapter) -> Result<(), Unopened> {
    if chapter.key.is_none() {
        let wrapping = ring.wrap(chapter.wrap).ok_or(Unopened)?;
        let place = chapter_place(ring.store(), &row_key(table, first), chapter.wrap);
        chapter.key = Key::from_slice(&cipher_seal::open(wrapping, &place, &chapter.sealed)?);
    }
    Ok(())
}

/// The chapter in which a row lies, and where it begins.
fn lies_in<'a>(
    chapters: &'a mut Chapters,
    table: &'static str,
    key: &[u8],
) -> Option<(&'a Vec<u8>, &'a mut Chapter)> {
    chapters.get_mut(table)?.range_mut::<[u8], _>(up_to(key)).next_back()
}

/// What the table of chapters has of one.
fn key_value(wrap: WrapId, sealed: &[u8]) -> Vec<u8> {
    [wrap.to_be_bytes().as_slice(), sealed].concat()
}

fn up_to(key: &[u8]) -> (Bound<&[u8]>, Bound<&[u8]>) {
    (Bound::Unbounded, Bound::Included(key))
}

/// What the seal of a chapter's key binds besides it.
pub(super) fn chapter_place(store: &[u8; 16], row: &[u8], wrap: WrapId) -> Vec<u8> {
    let version = table::SCHEMA.to_be_bytes();
    [store.as_slice(), &version, b"keys\0", row, &wrap.to_be_bytes()].concat()
}

/// What the seal of a value binds besides it: the store, its format, the table and the key of the row.
pub(super) fn row_place(place: &mut Vec<u8>, store: &[u8; 16], table: Table, key: &[u8]) {
    place.clear();
    place.extend_from_slice(store);
    place.extend_from_slice(&table::SCHEMA.to_be_bytes());
    place.extend_from_slice(table.name.as_bytes());
    place.push(0);
    place.extend_from_slice(key);
}

/// Whether an error says that what lies in the store is wrong, and not that the disk fails.
pub(crate) fn is_damage(error: &Error) -> bool {
    error.hint == Some(Advice::StoreDamaged.into())
}

/// A value whose seal is broken.
fn damaged(table: &str) -> Error {
    ErrorKind::Storage
        .because(format!("the store of this profile is damaged: a value of '{table}' does not open"))
        .hint(Advice::StoreDamaged)
}
