//! A small file that is sealed whole: a header with slots, and a body under the file key.
//!
//! ```text
//! "cipher-seal" ‖ version ‖ number of slots ‖ slots ‖ nonce ‖ sealed body ‖ tag
//! ```
//!
//! The seal of the body covers the header, so nobody changes slots without the file key.
//!
//! Slots stand in the order in which they were added. **What a removed slot still opens**: a header that was copied before
//! holds the file key under the old key or passphrase, and goes on opening every later body under the same file key. So
//! the file key is made anew whenever one slot is left: after [`SealedFile::remove`] down to one, and by
//! [`SealedFile::replace`] of the only one. With several slots it stays, as in LUKS: nobody here knows what opens the
//! others.

use crate::aead::Plain;
use rand_core::{CryptoRng, RngCore};

use crate::passphrase::Costs;
use crate::slot::{self, KeySlot, SlotKind, Unlock};
use crate::{Key, aead};

/// Beginning of every sealed file.
const MAGIC: &[u8] = b"cipher-seal";
const VERSION: u8 = 1;
/// Most slots of a file.
const SLOTS: usize = 8;
/// Longest sealed file, bytes.
const LONGEST: usize = 1024 * 1024;

/// Why a sealed file does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// It begins like none, or is cut off in its header.
    #[error("this is not a sealed file")]
    Foreign,
    /// A later version of the format.
    #[error("the file was sealed by a newer version")]
    Newer,
    /// No slot opens with what was given.
    #[error("the key or passphrase does not open the file")]
    WrongKey,
    /// A slot opened, and what follows was changed or cut off.
    #[error("the file is damaged")]
    Damaged,
}

/// Why the slots stay as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SlotError {
    /// There is no such slot.
    #[error("there is no such slot")]
    Missing,
    /// It is the only one.
    #[error("the last slot cannot be removed: nothing would open the file")]
    Last,
    /// No more fit.
    #[error("a file has {} slots at most", SLOTS)]
    Full,
    /// What was given opens no slot that stays.
    #[error("the key or passphrase opens no slot that stays")]
    OpensNoOther,
}

/// An unlocked sealed file.
#[derive(Debug)]
pub struct SealedFile {
    slots: Vec<KeySlot>,
    key: Key,
}

impl SealedFile {
    /// A new file with one slot.
    ///
    /// # Panics
    /// If the system has no 64 MiB to stretch a passphrase.
    pub fn make(unlock: &Unlock, random: &mut (impl RngCore + CryptoRng)) -> Self {
        let key = Key::random(random).locked();
        let slot = KeySlot::make(unlock, MAGIC, &key, random);
        Self { slots: vec![slot], key }
    }

    /// Unlocks a file and opens its body. Slots that ask for more than 1 GiB or about four seconds are not tried.
    pub fn open(bytes: &[u8], unlock: &Unlock) -> Result<(Self, Plain), FileError> {
        let (slots, body) = parted(bytes)?;
        let key = slots.iter().find_map(|slot| slot.open(unlock, MAGIC)).ok_or(FileError::WrongKey)?;
        let file = Self { slots, key };
        let body = aead::open(&file.key, &file.header(), body).map_err(|_| FileError::Damaged)?;
        Ok((file, body))
    }

    /// Whether bytes begin as a sealed file does, of whatever version.
    pub fn begins(bytes: &[u8]) -> bool {
        bytes.starts_with(MAGIC)
    }

    /// What opens a file, slot by slot. Nothing is unlocked, so nothing proves that it is true.
    pub fn slots_in(bytes: &[u8]) -> Result<Vec<SlotKind>, FileError> {
        Ok(parted(bytes)?.0.iter().map(KeySlot::kind).collect())
    }

    /// The bytes of the file with this body.
    pub fn seal(&self, body: &[u8], random: &mut (impl RngCore + CryptoRng)) -> Vec<u8> {
        let header = self.header();
        let body = aead::seal(&self.key, &header, body, random);
        [header, body].concat()
    }

    /// A key for something else that is to open with what opens this file. It changes with the file key.
    pub fn derived(&self, purpose: &str) -> Key {
        self.key.derived(purpose)
    }

    /// The ways to unlock it.
    pub fn slots(&self) -> &[KeySlot] {
        &self.slots
    }

    /// The first slot that this opens.
    pub fn opened_by(&self, unlock: &Unlock) -> Option<usize> {
        self.slots.iter().position(|slot| slot.open(unlock, MAGIC).is_some())
    }

    /// Adds a slot behind the others.
    ///
    /// # Panics
    /// As [`SealedFile::make`].
    pub fn add(&mut self, unlock: &Unlock, random: &mut (impl RngCore + CryptoRng)) -> Result<(), SlotError> {
        if self.slots.len() >= SLOTS {
            return Err(SlotError::Full);
        }
        self.slots.push(KeySlot::make(unlock, MAGIC, &self.key, random));
        Ok(())
    }

    /// Removes a slot. `stays` must open one of the others: who removes a slot must be able to open the file without it.
    ///
    /// # Panics
    /// As [`SealedFile::make`].
    pub fn remove(
        &mut self,
        at: usize,
        stays: &Unlock,
        random: &mut (impl RngCore + CryptoRng),
    ) -> Result<(), SlotError> {
        if at >= self.slots.len() {
            return Err(SlotError::Missing);
        }
        if self.slots.len() == 1 {
            return Err(SlotError::Last);
        }
        let others = self.slots.iter().enumerate().filter(|(other, _)| *other != at);
        let mut others = others.map(|(_, slot)| slot);
        if !others.any(|slot| slot.open(stays, MAGIC).is_some()) {
            return Err(SlotError::OpensNoOther);
        }
        if self.slots.len() == 2 {
            *self = Self::make(stays, random);
        } else {
            self.slots.remove(at);
        }
        Ok(())
    }

    /// Puts another key or passphrase into the place of a slot.
    ///
    /// # Panics
    /// As [`SealedFile::make`].
    pub fn replace(
        &mut self,
        at: usize,
        unlock: &Unlock,
        random: &mut (impl RngCore + CryptoRng),
    ) -> Result<(), SlotError> {
        let only = self.slots.len() == 1;
        let slot = self.slots.get_mut(at).ok_or(SlotError::Missing)?;
        if only {
            *self = Self::make(unlock, random);
        } else {
            *slot = KeySlot::make(unlock, MAGIC, &self.key, random);
        }
        Ok(())
    }

    fn header(&self) -> Vec<u8> {
        let count = u8::try_from(self.slots.len()).unwrap_or(u8::MAX);
        let mut header = [MAGIC, &[VERSION, count]].concat();
        for slot in &self.slots {
            header.extend_from_slice(slot.bytes());
        }
        header
    }
}

/// The slots of a file, and its sealed body.
fn parted(bytes: &[u8]) -> Result<(Vec<KeySlot>, &[u8]), FileError> {
    let rest = bytes.strip_prefix(MAGIC).ok_or(FileError::Foreign)?;
    let (version, rest) = rest.split_first().ok_or(FileError::Foreign)?;
    if *version != VERSION {
        return Err(if *version > VERSION { FileError::Newer } else { FileError::Foreign });
    }
    let (count, mut body) = rest.split_first().ok_or(FileError::Foreign)?;
    let count = usize::from(*count);
    if !(1..=SLOTS).contains(&count) || bytes.len() > LONGEST {
        return Err(FileError::Damaged);
    }
    let mut slots = Vec::with_capacity(count);
    let mut work: u64 = 0;
    for _ in 0..count {
        let (slot, rest) = body.split_first_chunk::<{ slot::LEN }>().ok_or(FileError::Damaged)?;
        let slot = KeySlot::from_bytes(*slot);
        work = work.saturating_add(slot.work().ok_or(FileError::Damaged)?);
        slots.push(slot);
        body = rest;
    }
    if work > Costs::MOST_WORK {
        return Err(FileError::Damaged);
    }
    Ok((slots, body))
}

#[cfg(test)]
#[path = "file_test.rs"]
mod tests;
