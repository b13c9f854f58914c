//! A slot: the file key, sealed by one way to unlock the file. Every slot of a file holds the same file key.

use rand_core::{CryptoRng, RngCore};

use crate::passphrase::{Costs, Passphrase};
use crate::{Key, aead};

/// Salt in bytes.
const SALT: usize = 16;
/// What is not sealed of a slot: kind, salt, costs. The last two are of a passphrase; a key has zeros there.
const HEAD: usize = 1 + SALT + Costs::LEN;
/// Bytes of a slot: kind, salt, costs, sealed file key.
pub(crate) const LEN: usize = HEAD + Key::LEN + aead::OVERHEAD;

/// How a file is unlocked.
#[derive(Debug, Clone)]
pub enum Unlock {
    /// By a key that lies elsewhere.
    Key(Key),
    /// By what a person knows.
    Passphrase(Passphrase),
    /// By a key that lies in the system's keyring.
    Keyring(Key),
}

impl Unlock {
    /// The slots that it may open.
    pub const fn kind(&self) -> SlotKind {
        match self {
            Self::Key(_) => SlotKind::Key,
            Self::Passphrase(_) => SlotKind::Passphrase,
            Self::Keyring(_) => SlotKind::Keyring,
        }
    }
}

/// What unlocks a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotKind {
    /// A key of 32 random bytes.
    Key,
    /// A passphrase.
    Passphrase,
    /// A key of 32 random bytes in the system's keyring: the slot says where to ask.
    Keyring,
    /// Something that a later version made.
    Unknown,
}

impl SlotKind {
    const fn of(byte: u8) -> Self {
        match byte {
            1 => Self::Key,
            2 => Self::Passphrase,
            3 => Self::Keyring,
            _ => Self::Unknown,
        }
    }

    const fn byte(self) -> u8 {
        match self {
            Self::Unknown => 0,
            Self::Key => 1,
            Self::Passphrase => 2,
            Self::Keyring => 3,
        }
    }
}

/// One way to unlock a file.
#[derive(Debug, Clone)]
pub struct KeySlot {
    bytes: [u8; LEN],
}

impl KeySlot {
    /// What unlocks it.
    pub fn kind(&self) -> SlotKind {
        self.bytes.first().map_or(SlotKind::Unknown, |kind| SlotKind::of(*kind))
    }

    /// Seals a file key.
    pub(crate) fn make(
        unlock: &Unlock,
        place: &[u8],
        file_key: &Key,
        random: &mut (impl RngCore + CryptoRng),
    ) -> Self {
        Self::costing(Costs::USUAL, unlock, place, file_key, random)
    }

    /// The same, for a passphrase at these costs.
    pub(crate) fn costing(
        costs: Costs,
        unlock: &Unlock,
        place: &[u8],
        file_key: &Key,
        random: &mut (impl RngCore + CryptoRng),
    ) -> Self {
        let (mut salt, mut written) = ([0; SALT], [0; Costs::LEN]);
        let key = match unlock {
            Unlock::Key(key) | Unlock::Keyring(key) => key.clone(),
            Unlock::Passphrase(passphrase) => {
                random.fill_bytes(&mut salt);
                written = costs.to_bytes();
                // As every allocation of ours does: a slot that opens with nothing would be worse.
                passphrase.stretched(&salt, costs).expect("the system has the memory to stretch a passphrase")
            }
        };
        let head = [&[unlock.kind().byte()][..], &salt, &written].concat();
        let sealed = aead::seal(&key, &[place, &head].concat(), file_key.expose(), random);
        let mut bytes = [0; LEN];
        for (to, from) in bytes.iter_mut().zip(head.iter().chain(&sealed)) {
            *to = *from;
        }
        Self { bytes }
    }

    /// The file key, if this unlocks the slot.
    pub(crate) fn open(&self, unlock: &Unlock, place: &[u8]) -> Option<Key> {
        if self.kind() != unlock.kind() {
            return None;
        }
        let (head, sealed) = self.bytes.split_at_checked(HEAD)?;
        let key = match unlock {
            Unlock::Key(key) | Unlock::Keyring(key) => key.clone(),
            Unlock::Passphrase(passphrase) => passphrase.stretched(head.get(1..1 + SALT)?, self.costs()?)?,
        };
        Some(Key::from_slice(&aead::open(&key, &[place, head].concat(), sealed).ok()?)?.locked())
    }

    /// What trying a passphrase on it takes; `None` for costs that no version chooses.
    pub(crate) fn work(&self) -> Option<u64> {
        match self.kind() {
            SlotKind::Key | SlotKind::Keyring | SlotKind::Unknown => Some(0),
            SlotKind::Passphrase => self.costs().filter(|costs| costs.are_allowed()).map(Costs::work),
        }
    }

    fn costs(&self) -> Option<Costs> {
        Costs::from_bytes(self.bytes.get(1 + SALT..HEAD)?)
    }

    pub(crate) const fn bytes(&self) -> &[u8; LEN] {
        &self.bytes
    }

    pub(crate) const fn from_bytes(bytes: [u8; LEN]) -> Self {
        Self { bytes }
    }
}
