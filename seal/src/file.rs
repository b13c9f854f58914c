//! A small file that is sealed whole: a header with slots, and a body under the file key.
//!
//! ```text
//! "cipher-seal" ‖ version ‖ number of slots ‖ slots ‖ nonce ‖ sealed body ‖ tag
//! ```
//!
//! The seal of the body covers the header, so nobody changes slots without the file key.

use rand_core::{CryptoRng, RngCore};
use zeroize::Zeroizing;

use crate::slot::{self, Slot, Unlock};
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

/// An unlocked sealed file.
#[derive(Debug)]
pub struct SealedFile {
    slots: Vec<Slot>,
    key: Key,
}

impl SealedFile {
    /// A new file with one slot.
    pub fn make(unlock: &Unlock, random: &mut (impl RngCore + CryptoRng)) -> Self {
        let key = Key::random(random);
        let slot = Slot::make(unlock, MAGIC, &key, random);
        Self { slots: vec![slot], key }
    }

    /// Unlocks a file and opens its body.
    pub fn open(bytes: &[u8], unlock: &Unlock) -> Result<(Self, Zeroizing<Vec<u8>>), FileError> {
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
        for _ in 0..count {
            let (slot, rest) = body.split_first_chunk::<{ slot::LEN }>().ok_or(FileError::Damaged)?;
            slots.push(Slot::from_bytes(*slot));
            body = rest;
        }
        let key = slots.iter().find_map(|slot| slot.open(unlock, MAGIC)).ok_or(FileError::WrongKey)?;
        let file = Self { slots, key };
        let body = aead::open(&file.key, &file.header(), body).map_err(|_| FileError::Damaged)?;
        Ok((file, body))
    }

    /// The bytes of the file with this body.
    pub fn seal(&self, body: &[u8], random: &mut (impl RngCore + CryptoRng)) -> Vec<u8> {
        let header = self.header();
        let body = aead::seal(&self.key, &header, body, random);
        [header, body].concat()
    }

    /// The ways to unlock it.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
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

#[cfg(test)]
mod tests {
    use rand_core::OsRng;

    use super::*;

    #[test]
    fn a_file_opens_with_its_key_and_with_no_other_and_shows_any_change() {
        let key = Unlock::Key(Key::random(&mut OsRng));
        let file = SealedFile::make(&key, &mut OsRng);
        let bytes = file.seal(b"body", &mut OsRng);
        let (_, body) = SealedFile::open(&bytes, &key).unwrap();
        assert_eq!(body.as_slice(), b"body");
        let other = Unlock::Key(Key::random(&mut OsRng));
        assert_eq!(SealedFile::open(&bytes, &other).unwrap_err(), FileError::WrongKey);
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(SealedFile::open(&changed, &key).is_err(), "byte {at}");
            assert!(SealedFile::open(&bytes[..at], &key).is_err(), "cut at {at}");
        }
    }
}
