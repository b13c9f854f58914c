//! The wrapping keys of a store: what of it can be opened, and what no longer.
//!
//! They lie in one small sealed file beside the store. A key that is taken out of that file is destroyed, and with it
//! everything that was sealed under it, wherever a copy of it still lies.

use std::collections::BTreeMap;
use std::io;

use cipher_api::{Advice, Error, ErrorKind, Result};
use cipher_broker::codec;
use cipher_seal::{FileError, Key, SealedFile, Unlock};
use rand_chacha::ChaCha20Rng;
use rand_core::RngCore as _;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use zeroize::{Zeroize as _, Zeroizing};

use crate::store::open::storage_io;
use crate::store::place::Place;

/// Name of the file.
pub(crate) const FILE: &str = "store.keys";

/// The file that takes its place.
const DRAFT: &str = "store.keys.new";

/// Number of a wrapping key. None is given twice.
pub(crate) type WrapId = u32;

/// So many chapters are sealed under one key, about: all of them are sealed anew when it has to be destroyed.
const CHAPTERS: usize = 256;

/// How often what is sealed is superseded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Heat {
    /// All the time: ratchets, cursors, counters.
    Hot,
    /// Seldom: history.
    Cold,
}

/// The wrapping keys.
#[derive(Debug)]
pub(crate) struct Ring {
    file: SealedFile,
    body: Body,
    wraps: BTreeMap<WrapId, Key>,
    names: Key,
}

/// What the file holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Body {
    /// Tells this store from every other: what is sealed in one cannot be opened in another.
    #[serde(rename = "i", with = "serde_bytes")]
    store: [u8; 16],
    /// Key of the hashes that stand for names.
    #[serde(rename = "n")]
    names: ByteBuf,
    #[serde(rename = "w")]
    wraps: BTreeMap<WrapId, ByteBuf>,
    /// The keys under which new chapters are sealed, by heat.
    #[serde(rename = "c")]
    current: [WrapId; 2],
    /// The keys that come after them: on the disk before anything is sealed under them.
    #[serde(rename = "s")]
    spare: [WrapId; 2],
    #[serde(rename = "x")]
    next: WrapId,
}

impl Drop for Body {
    fn drop(&mut self) {
        self.names.zeroize();
        for key in self.wraps.values_mut() {
            key.zeroize();
        }
    }
}

impl Ring {
    /// The keys of a new store, on the disk.
    pub(crate) fn make(place: &dyn Place, unlock: &Unlock, random: &mut ChaCha20Rng) -> Result<Self> {
        let mut store = [0; 16];
        random.fill_bytes(&mut store);
        let names = Key::random(random);
        let body = Body {
            store,
            names: ByteBuf::from(names.expose()),
            wraps: BTreeMap::new(),
            current: [0; 2],
            spare: [0; 2],
            next: 1,
        };
        let mut ring = Self { file: SealedFile::make(unlock, random), body, wraps: BTreeMap::new(), names };
        ring.body.current = [ring.fresh(random), ring.fresh(random)];
        ring.body.spare = [ring.fresh(random), ring.fresh(random)];
        let bytes = ring.bytes(random);
        if place.create(FILE, &bytes).map_err(storage_io)? {
            return Ok(ring);
        }
        // Another process was faster: its keys are the ones.
        let bytes = place.read(FILE).map_err(storage_io)?.unwrap_or_default();
        Self::open(place, &bytes, unlock)
    }

    /// The keys of a store that is there.
    pub(crate) fn open(place: &dyn Place, bytes: &[u8], unlock: &Unlock) -> Result<Self> {
        let (file, bytes) = SealedFile::open(bytes, unlock).map_err(|error| unopened(place, error))?;
        let body: Body = codec::decode(&bytes).map_err(|_| unopened(place, FileError::Damaged))?;
        let mut wraps = BTreeMap::new();
        for (id, key) in &body.wraps {
            wraps.insert(*id, Key::from_slice(key).ok_or_else(|| unopened(place, FileError::Damaged))?);
        }
        let names = Key::from_slice(&body.names).ok_or_else(|| unopened(place, FileError::Damaged))?;
        Ok(Self { file, body, wraps, names })
    }

    /// By which this store is told from others.
    pub(crate) const fn store(&self) -> &[u8; 16] {
        &self.body.store
    }

    /// Key of the hashes that stand for names.
    pub(crate) const fn names(&self) -> &Key {
        &self.names
    }

    pub(crate) fn wrap(&self, id: WrapId) -> Option<&Key> {
        self.wraps.get(&id)
    }

    /// The key under which chapters are sealed now.
    pub(crate) const fn current(&self, heat: Heat) -> WrapId {
        let [hot, cold] = self.body.current;
        match heat {
            Heat::Hot => hot,
            Heat::Cold => cold,
        }
    }

    /// The key under which chapters are sealed when the current one is about to be destroyed.
    pub(crate) const fn spare(&self, heat: Heat) -> WrapId {
        let [hot, cold] = self.body.spare;
        match heat {
            Heat::Hot => hot,
            Heat::Cold => cold,
        }
    }

    /// Whether a rotation was interrupted: chapters are sealed under a spare key, or keys are left that seal none.
    pub(crate) fn is_behind(&self, used: &BTreeMap<WrapId, usize>) -> bool {
        let expected = |id: &WrapId| {
            used.contains_key(id) || self.body.current.contains(id) || self.body.spare.contains(id)
        };
        self.body.spare.iter().any(|id| used.contains_key(id)) || !self.wraps.keys().all(expected)
    }

    /// Destroys every key that seals no chapter. A current one that is destroyed or has enough chapters gives way to the
    /// spare one.
    pub(crate) fn destroy_all_but(
        &mut self,
        used: &BTreeMap<WrapId, usize>,
        place: &dyn Place,
        random: &mut ChaCha20Rng,
    ) -> Result<()> {
        for n in 0..2 {
            let (Some(current), Some(spare)) = (self.body.current.get(n), self.body.spare.get(n)) else {
                continue;
            };
            let full = used.get(current).is_none_or(|chapters| *chapters >= CHAPTERS);
            if full || used.contains_key(spare) {
                let (next, fresh) = (*spare, self.fresh(random));
                if let (Some(current), Some(spare)) =
                    (self.body.current.get_mut(n), self.body.spare.get_mut(n))
                {
                    (*current, *spare) = (next, fresh);
                }
            }
        }
        let kept = |id: &WrapId, body: &Body| {
            used.contains_key(id) || body.current.contains(id) || body.spare.contains(id)
        };
        let gone: Vec<WrapId> = self.wraps.keys().copied().filter(|id| !kept(id, &self.body)).collect();
        for id in gone {
            self.wraps.remove(&id);
            if let Some(mut key) = self.body.wraps.remove(&id) {
                key.zeroize();
            }
        }
        self.replace(place, random).map_err(storage_io)
    }

    /// Takes away what a process left that was killed while it replaced the file: it holds keys that may have to go.
    pub(crate) fn tidy(place: &dyn Place) -> Result<()> {
        match place.length(DRAFT).map_err(storage_io)? {
            Some(_) => place.erase(DRAFT).map_err(storage_io),
            None => Ok(()),
        }
    }

    fn replace(&self, place: &dyn Place, random: &mut ChaCha20Rng) -> io::Result<()> {
        // Of an attempt that failed.
        place.erase(DRAFT)?;
        place.create(DRAFT, &self.bytes(random))?;
        place.supersede(DRAFT, FILE)
    }

    fn fresh(&mut self, random: &mut ChaCha20Rng) -> WrapId {
        let (id, key) = (self.body.next, Key::random(random));
        self.body.next = id.saturating_add(1);
        self.body.wraps.insert(id, ByteBuf::from(key.expose()));
        self.wraps.insert(id, key);
        id
    }

    fn bytes(&self, random: &mut ChaCha20Rng) -> Vec<u8> {
        self.file.seal(&Zeroizing::new(codec::encode(&self.body)), random)
    }
}

/// Why the keys of a store do not open.
fn unopened(place: &dyn Place, error: FileError) -> Error {
    let path = place.shown(FILE);
    match error {
        FileError::WrongKey => ErrorKind::Storage
            .because_of(format_args!("{path} does not open with the key or passphrase that was given"), error)
            .hint(Advice::StoreKey),
        FileError::Newer => ErrorKind::Storage
            .because_of(format_args!("{path} was written by a newer version"), error)
            .hint(Advice::StoreNewer),
        FileError::Foreign | FileError::Damaged => ErrorKind::Storage
            .because_of(format_args!("{path}, which holds the keys of the store, is damaged"), error)
            .hint(Advice::StoreDamaged),
    }
}
