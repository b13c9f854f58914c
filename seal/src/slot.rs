//! A slot: the file key, sealed by one way to unlock the file. Every slot of a file holds the same file key.

use rand_core::{CryptoRng, RngCore};

use crate::{Key, aead};

/// Salt in bytes.
const SALT: usize = 16;
/// Three costs of four bytes each.
const COSTS: usize = 12;
/// Bytes of a slot: kind, salt, costs, sealed file key.
pub(crate) const LEN: usize = 1 + SALT + COSTS + Key::LEN + aead::OVERHEAD;

/// How a file is unlocked.
#[derive(Debug, Clone)]
pub enum Unlock {
    /// By a key that lies elsewhere.
    Key(Key),
}

/// What unlocks a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotKind {
    /// A key of 32 random bytes.
    Key,
}

/// One way to unlock a file.
#[derive(Debug, Clone)]
pub struct Slot {
    bytes: [u8; LEN],
}

impl Slot {
    /// What unlocks it; `None` for what a later version made.
    pub fn kind(&self) -> Option<SlotKind> {
        match self.bytes.first() {
            Some(1) => Some(SlotKind::Key),
            _ => None,
        }
    }

    /// Seals a file key.
    pub(crate) fn make(
        unlock: &Unlock,
        place: &[u8],
        file_key: &Key,
        random: &mut (impl RngCore + CryptoRng),
    ) -> Self {
        let mut head = [0; LEN - Key::LEN - aead::OVERHEAD];
        let Unlock::Key(key) = unlock;
        if let Some(kind) = head.first_mut() {
            *kind = 1;
        }
        let sealed = aead::seal(key, &[place, &head].concat(), file_key.expose(), random);
        let mut bytes = [0; LEN];
        for (to, from) in bytes.iter_mut().zip(head.iter().chain(&sealed)) {
            *to = *from;
        }
        Self { bytes }
    }

    /// The file key, if this unlocks the slot.
    pub(crate) fn open(&self, unlock: &Unlock, place: &[u8]) -> Option<Key> {
        self.kind()?;
        let (head, sealed) = self.bytes.split_at_checked(LEN - Key::LEN - aead::OVERHEAD)?;
        let Unlock::Key(key) = unlock;
        Key::from_slice(&aead::open(key, &[place, head].concat(), sealed).ok()?)
    }

    pub(crate) const fn bytes(&self) -> &[u8; LEN] {
        &self.bytes
    }

    pub(crate) const fn from_bytes(bytes: [u8; LEN]) -> Self {
        Self { bytes }
    }
}
