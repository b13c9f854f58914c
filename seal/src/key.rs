//! A secret key: 32 bytes that are overwritten when they are dropped, and that nothing prints.

use std::fmt;

use rand_core::{CryptoRng, RngCore};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::locked::Locked;

/// A secret key of 256 bits.
#[derive(Clone)]
pub struct Key(Held);

#[derive(Clone)]
enum Held {
    /// Cheap: a store has thousands.
    Heap(Box<Zeroizing<[u8; Key::LEN]>>),
    /// Out of the swap: a page each.
    Locked(Box<Locked>),
}

impl Key {
    /// Length in bytes.
    pub const LEN: usize = 32;

    /// A fresh key.
    pub fn random(random: &mut (impl RngCore + CryptoRng)) -> Self {
        let mut bytes = Box::new(Zeroizing::new([0; Self::LEN]));
        random.fill_bytes(bytes.as_mut_slice());
        Self(Held::Heap(bytes))
    }

    /// The key of these bytes; `None` unless there are 32.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        let mut held = Box::new(Zeroizing::new([0; Self::LEN]));
        (bytes.len() == Self::LEN).then(|| {
            held.copy_from_slice(bytes);
            Self(Held::Heap(held))
        })
    }

    /// The same key in a page of its own that is not swapped, as far as the system allows: for the few that live long.
    #[must_use]
    pub fn locked(self) -> Self {
        match &self.0 {
            Held::Heap(bytes) => Self(Held::Locked(Box::new(Locked::new(bytes)))),
            Held::Locked(_) => self,
        }
    }

    /// A keyed hash, for what must be found again without being told: SHA-256 over key, purpose and bytes, of which half
    /// is shown, so that nobody can go on from it.
    pub fn hash(&self, purpose: &str, bytes: &[u8]) -> [u8; 16] {
        let hash = Sha256::new()
            .chain_update(self.expose())
            .chain_update(purpose)
            .chain_update([0])
            .chain_update(bytes)
            .finalize();
        let mut half = [0; 16];
        for (to, from) in half.iter_mut().zip(hash) {
            *to = from;
        }
        half
    }

    /// Another key, for a purpose of its own: who has it learns nothing of this one, nor of those for other purposes.
    #[must_use]
    pub fn derived(&self, purpose: &str) -> Self {
        // SHA-256 as it is will do: keys have one length, and nobody sees the result. It is that of no `hash`, whose purposes
        // are others.
        let hash = Sha256::new().chain_update(self.expose()).chain_update("derived\0").chain_update(purpose);
        let mut bytes = Box::new(Zeroizing::new([0; Self::LEN]));
        bytes.copy_from_slice(&hash.finalize());
        Self(Held::Heap(bytes))
    }

    /// Its bytes.
    pub fn expose(&self) -> &[u8; Self::LEN] {
        match &self.0 {
            Held::Heap(bytes) => bytes,
            Held::Locked(locked) => locked.expose(),
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(secret)")
    }
}

#[cfg(test)]
mod tests {
    use rand_core::OsRng;

    use super::*;

    #[test]
    fn a_derived_key_depends_on_its_key_and_purpose_and_stays_the_same() {
        let key = |byte| Key::from_slice(&[byte; Key::LEN]).unwrap();
        let derived = |byte, purpose| *key(byte).derived(purpose).expose();
        // What lies on disks is sealed under it.
        assert_eq!(derived(1, "tokens")[..4], [168, 12, 95, 161]);
        assert_ne!(derived(1, "tokens"), derived(1, "others"));
        assert_ne!(derived(1, "tokens"), derived(2, "tokens"));
        assert_ne!(derived(1, "tokens")[..16], key(1).hash("tokens", b""));
    }

    #[test]
    fn a_locked_key_is_the_same_key_and_as_many_as_wanted_can_be_made_and_dropped_in_any_order() {
        let plain: Vec<Key> = (0..64).map(|_| Key::random(&mut OsRng)).collect();
        let locked: Vec<Key> = plain.iter().map(|key| key.clone().locked()).collect();
        let again: Vec<Key> = locked.iter().rev().cloned().rev().map(Key::locked).collect();
        drop(locked);
        for (plain, again) in plain.iter().zip(&again) {
            assert_eq!(plain.expose(), again.expose());
            assert_eq!(format!("{again:?}"), "Key(secret)");
        }
        let Held::Locked(locked) = &again.first().unwrap().0 else { panic!("not locked") };
        // What the system refuses is done without.
        let _ = locked.is_locked();
        assert!(size_of::<Key>() <= 2 * size_of::<usize>(), "{}", size_of::<Key>());
    }
}
