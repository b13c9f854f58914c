//! The wrapping keys of a store: what of it can be opened, and what no longer.
//!
//! They lie in one small sealed file beside the store. A key that is taken out of that file is destroyed, and with it
//! everything that was sealed under it, wherever a copy of it still lies.

use std::collections::BTreeMap;

use cipher_api::{Advice, Error, ErrorKind, Result};
use cipher_broker::codec;
use cipher_seal::{FileError, Key, SealedFile, Unlock};
use rand_chacha::ChaCha20Rng;
use rand_core::RngCore as _;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use zeroize::{Zeroize as _, Zeroizing};

use crate::store::Store;
use crate::store::open::{storage_io, unusable};
use crate::store::place::Place;

/// Name of the file.
pub(crate) const FILE: &str = "store.keys";

/// What a process leaves that is killed while it replaces it, here or where its slots are changed.
const DRAFT: &str = "store.keys.new";

/// Number of a wrapping key. None is given twice.
pub(crate) type WrapId = u32;

/// So many chapters are sealed under one key, about: all of them are sealed anew when it has to be destroyed.
const CHAPTERS: usize = 256;

/// The number that comes after the four keys of a new store.
const FIRST_NEXT: WrapId = 5;

/// How often what is sealed is superseded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Heat {
    /// All the time: ratchets, cursors, counters.
    Hot,
    /// Seldom: history.
    Cold,
}

/// The wrapping keys, as they lie in the file.
#[derive(Debug)]
pub(crate) struct Ring {
    file: SealedFile,
    /// Tells this store from every other: what is sealed in one cannot be opened in another.
    store: [u8; 16],
    /// Key of the hashes that stand for names.
    names: Key,
    keys: Keys,
    /// Whether the keys were made under a file key that is past: a copy of the file, and what was removed since, give them.
    is_exposed: bool,
}

#[derive(Debug, Clone)]
struct Keys {
    wraps: BTreeMap<WrapId, Key>,
    /// The keys under which new chapters are sealed, by heat.
    current: [WrapId; 2],
    /// The keys that come after them: on the disk before anything is sealed under them.
    spare: [WrapId; 2],
    next: WrapId,
}

/// What the file holds.
#[derive(Serialize, Deserialize)]
struct Body {
    #[serde(rename = "i", with = "serde_bytes")]
    store: [u8; 16],
    #[serde(rename = "n")]
    names: ByteBuf,
    #[serde(rename = "w")]
    wraps: BTreeMap<WrapId, ByteBuf>,
    #[serde(rename = "c")]
    current: [WrapId; 2],
    #[serde(rename = "s")]
    spare: [WrapId; 2],
    #[serde(rename = "x")]
    next: WrapId,
    /// Mark of the file key under which the wrapping keys were made.
    #[serde(rename = "k", with = "serde_bytes", default)]
    file_key: [u8; 16],
}

impl Drop for Body {
    fn drop(&mut self) {
        self.names.zeroize();
        for key in self.wraps.values_mut() {
            key.zeroize();
        }
    }
}

impl Keys {
    fn fresh(&mut self, random: &mut ChaCha20Rng) -> WrapId {
        let id = self.next;
        self.next = id.saturating_add(1);
        self.wraps.insert(id, Key::random(random).locked());
        id
    }

    /// Drops every key that neither seals a chapter nor is about to.
    fn keep_used(&mut self, used: &BTreeMap<WrapId, usize>) {
        let unused: Vec<WrapId> = self.wraps.keys().copied().filter(|id| !self.in_use(*id, used)).collect();
        for id in unused {
            self.wraps.remove(&id);
        }
    }

    fn in_use(&self, id: WrapId, used: &BTreeMap<WrapId, usize>) -> bool {
        used.contains_key(&id) || self.current.contains(&id) || self.spare.contains(&id)
    }
}

impl Ring {
    /// The keys of a new store, on the disk.
    pub(crate) fn make(place: &dyn Place, unlock: &Unlock, random: &mut ChaCha20Rng) -> Result<Self> {
        let mut store = [0; 16];
        random.fill_bytes(&mut store);
        let names = Key::random(random).locked();
        let mut keys = Keys { wraps: BTreeMap::new(), current: [0; 2], spare: [0; 2], next: 1 };
        keys.current = [keys.fresh(random), keys.fresh(random)];
        keys.spare = [keys.fresh(random), keys.fresh(random)];
        let file = SealedFile::make(unlock, random);
        let ring = Self { file, store, names, keys, is_exposed: false };
        if place.create(FILE, &ring.bytes(&ring.keys, random)).map_err(storage_io)? {
            return Ok(ring);
        }
        // Another process was faster: its keys are the ones.
        let bytes = place.read(FILE).map_err(|error| unusable(place, FILE, error))?.unwrap_or_default();
        Self::open(place, &bytes, unlock)
    }

    /// The keys of a store that is there.
    pub(crate) fn open(place: &dyn Place, bytes: &[u8], unlock: &Unlock) -> Result<Self> {
        let (file, bytes) = SealedFile::open(bytes, unlock).map_err(|error| unopened(place, error))?;
        let damaged = || unopened(place, FileError::Damaged);
        let body: Body = codec::decode(&bytes).map_err(|_| damaged())?;
        let key = |bytes: &ByteBuf| Key::from_slice(bytes).map(Key::locked).ok_or_else(damaged);
        let mut wraps = BTreeMap::new();
        for (id, bytes) in &body.wraps {
            wraps.insert(*id, key(bytes)?);
        }
        let keys = Keys { wraps, current: body.current, spare: body.spare, next: body.next };
        let is_exposed = body.file_key != mark(&file);
        Ok(Self { file, store: body.store, names: key(&body.names)?, keys, is_exposed })
    }

    /// A key for something beside the store that is to open with what opens the store.
    fn derived(&self, purpose: &str) -> Key {
        self.file.derived(purpose)
    }

    /// By which this store is told from others.
    pub(crate) const fn store(&self) -> &[u8; 16] {
        &self.store
    }

    /// Key of the hashes that stand for names.
    pub(crate) const fn names(&self) -> &Key {
        &self.names
    }

    pub(crate) fn wrap(&self, id: WrapId) -> Option<&Key> {
        self.keys.wraps.get(&id)
    }

    /// The key under which chapters are sealed now.
    pub(crate) const fn current(&self, heat: Heat) -> WrapId {
        of_heat(self.keys.current, heat)
    }

    /// The key under which chapters are sealed when the current one is about to be destroyed.
    pub(crate) const fn spare(&self, heat: Heat) -> WrapId {
        of_heat(self.keys.spare, heat)
    }

    /// Whether any key was made after the first ones.
    pub(crate) const fn has_rotated(&self) -> bool {
        self.keys.next > FIRST_NEXT
    }

    /// Whether what opens the store was changed, and the wrapping keys are still those of before.
    pub(crate) const fn is_exposed(&self) -> bool {
        self.is_exposed
    }

    /// Makes the keys under which everything is to be sealed anew, because the others are exposed.
    pub(crate) fn make_spare(
        &mut self,
        used: &BTreeMap<WrapId, usize>,
        place: &dyn Place,
        random: &mut ChaCha20Rng,
    ) -> Result<()> {
        let mut keys = self.keys.clone();
        keys.spare = [keys.fresh(random), keys.fresh(random)];
        keys.keep_used(used);
        self.adopt(keys, place, random)
    }

    /// Nothing is sealed under an exposed key any more: they go, and the ones that are left are those of this file key.
    pub(crate) fn end_exposure(
        &mut self,
        used: &BTreeMap<WrapId, usize>,
        place: &dyn Place,
        random: &mut ChaCha20Rng,
    ) -> Result<()> {
        self.is_exposed = false;
        let ended = self.destroy_all_but(used, place, random);
        self.is_exposed = ended.is_err();
        ended
    }

    /// Whether a rotation was interrupted: chapters are sealed under a spare key, or keys are left that seal none.
    pub(crate) fn is_behind(&self, used: &BTreeMap<WrapId, usize>) -> bool {
        self.keys.spare.iter().any(|id| used.contains_key(id))
            || !self.keys.wraps.keys().all(|id| self.keys.in_use(*id, used))
    }

    /// Destroys every key that seals no chapter. A current one that is destroyed or has enough chapters gives way to the
    /// spare one.
    pub(crate) fn destroy_all_but(
        &mut self,
        used: &BTreeMap<WrapId, usize>,
        place: &dyn Place,
        random: &mut ChaCha20Rng,
    ) -> Result<()> {
        let mut keys = self.keys.clone();
        for n in 0..2 {
            let fresh = keys.fresh(random);
            let (Some(current), Some(spare)) = (keys.current.get_mut(n), keys.spare.get_mut(n)) else {
                continue;
            };
            let full = used.get(current).is_none_or(|chapters| *chapters >= CHAPTERS);
            if full || used.contains_key(spare) {
                (*current, *spare) = (*spare, fresh);
            }
        }
        keys.keep_used(used);
        self.adopt(keys, place, random)
    }

    /// Takes away what a process left that was killed while it replaced the file: it holds keys that may have to go.
    pub(crate) fn tidy(place: &dyn Place) -> Result<()> {
        match place.length(DRAFT).map_err(storage_io)? {
            Some(_) => place.erase(DRAFT).map_err(storage_io),
            None => Ok(()),
        }
    }

    /// Goes on with these keys, once they are on the disk: what is sealed next must be under a key that is there.
    fn adopt(&mut self, keys: Keys, place: &dyn Place, random: &mut ChaCha20Rng) -> Result<()> {
        place.replace(FILE, &self.bytes(&keys, random)).map_err(storage_io)?;
        self.keys = keys;
        Ok(())
    }

    fn bytes(&self, keys: &Keys, random: &mut ChaCha20Rng) -> Vec<u8> {
        let body = Body {
            store: self.store,
            names: ByteBuf::from(self.names.expose()),
            wraps: keys.wraps.iter().map(|(id, key)| (*id, ByteBuf::from(key.expose()))).collect(),
            current: keys.current,
            spare: keys.spare,
            next: keys.next,
            file_key: if self.is_exposed { [0; 16] } else { mark(&self.file) },
        };
        self.file.seal(&Zeroizing::new(codec::encode(&body)), random)
    }
}

impl Store {
    /// A key for something beside the store that is to open with what opens the store.
    pub(crate) fn derived(&self, purpose: &str) -> Key {
        self.seal().ring.derived(purpose)
    }
}

/// Tells one file key from another.
fn mark(file: &SealedFile) -> [u8; 16] {
    file.derived("wrapping keys").hash("mark", &[])
}

const fn of_heat([hot, cold]: [WrapId; 2], heat: Heat) -> WrapId {
    match heat {
        Heat::Hot => hot,
        Heat::Cold => cold,
    }
}

fn unopened(place: &dyn Place, error: FileError) -> Error {
    keys_unopened(&place.shown(FILE), error)
}

/// Why `store.keys`, which lies at `path`, does not open.
pub fn keys_unopened(path: &str, error: FileError) -> Error {
    let (message, hint) = match error {
        FileError::WrongKey => {
            (format!("the key or passphrase that was given does not open {path}"), Advice::StoreKey)
        }
        FileError::Newer => (format!("{path} was written by a newer version"), Advice::StoreNewer),
        FileError::Foreign => (format!("{path} does not hold the keys of a store"), Advice::StoreDamaged),
        FileError::Damaged => {
            (format!("{path}, which holds the keys of the store, is damaged"), Advice::StoreDamaged)
        }
    };
    ErrorKind::Storage.because(message).hint(hint)
}
