//! Chunks of a file that are sealed and opened each by itself, in any order: those of a file on its way.
//!
//! It is the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár: "Online Authenticated-Encryption and its Nonce-Reuse
//! Misuse-Resistance", 2015), as in [`crate::stream`]: each chunk is sealed with its position and with whether it is the
//! last, so none is changed, moved, left out or added, and a file that was cut off has no last chunk. The key is made for
//! one file and seals nothing else. The cipher is that of [`crate::aead`], by `ring`: bytes of files are many.
//!
//! A process that goes on with a file seals some of its chunks a second time, and cannot know whether their content is what it
//! was. So each [`Chunks`] has nonces of its own, of chance, and the beginning of them, which all its chunks share, stands
//! behind each chunk: no nonce is ever used for two contents.

use std::fmt;

use rand_core::{CryptoRng, RngCore};
use ring::aead::{Aad, LessSafeKey, Nonce};

use crate::aead::{self, Unopened};
use crate::key::Key;

/// Beginning of a nonce; position and end follow.
const NONCE: usize = 19;

/// Seals and opens the chunks of one file. Each position is sealed once by one of these.
pub struct Chunks {
    key: Key,
    nonce: [u8; NONCE],
    bound: Vec<u8>,
}

impl Chunks {
    /// Bytes by which a sealed chunk is longer than its content.
    pub const OVERHEAD: usize = 16 + NONCE;

    /// Of a file with a key of its own; `bound` is sealed with each chunk, and says which file it is.
    pub fn new(key: &Key, bound: &[u8], random: &mut (impl RngCore + CryptoRng)) -> Self {
        let mut nonce = [0; NONCE];
        random.fill_bytes(&mut nonce);
        Self { key: key.clone(), nonce, bound: bound.to_vec() }
    }

    /// The cipher of a chunk: its nonce is a beginning, the position as a big-endian `u32`, and 1 for the last one.
    fn cipher(
        &self,
        nonce: &[u8; NONCE],
        position: u32,
        last: bool,
    ) -> Result<(LessSafeKey, Nonce), Unopened> {
        let mut whole = [0; aead::NONCE];
        let rest = position.to_be_bytes().into_iter().chain([u8::from(last)]);
        for (to, from) in whole.iter_mut().zip(nonce.iter().copied().chain(rest)) {
            *to = from;
        }
        aead::cipher(&self.key, &whole)
    }

    /// Seals the content of a chunk in its place.
    ///
    /// # Panics
    /// If the chunk has 256 GiB.
    pub fn seal(&self, position: u32, last: bool, chunk: &mut Vec<u8>) {
        let sealed = self.cipher(&self.nonce, position, last).ok().and_then(|(cipher, nonce)| {
            cipher.seal_in_place_append_tag(nonce, Aad::from(&self.bound), chunk).ok()
        });
        sealed.expect("a chunk is shorter than what a nonce can seal");
        chunk.extend_from_slice(&self.nonce);
    }

    /// Opens a chunk in its place: the one of this position that is, or is not, the last.
    pub fn open(&self, position: u32, last: bool, chunk: &mut Vec<u8>) -> Result<(), Unopened> {
        let (sealed, nonce) = chunk.split_last_chunk::<NONCE>().ok_or(Unopened)?;
        let (length, nonce) = (sealed.len(), *nonce);
        chunk.truncate(length);
        let (cipher, nonce) = self.cipher(&nonce, position, last)?;
        let opened = cipher.open_in_place(nonce, Aad::from(&self.bound), chunk).map_err(|_| Unopened)?;
        let length = opened.len();
        chunk.truncate(length);
        Ok(())
    }
}

impl fmt::Debug for Chunks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunks").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use chacha20poly1305::XChaCha20Poly1305;
    use chacha20poly1305::aead::stream::EncryptorBE32;
    use rand_core::OsRng;

    use super::*;

    fn chunks(key: u8, bound: &[u8]) -> Chunks {
        Chunks::new(&Key::from_slice(&[key; 32]).unwrap(), bound, &mut OsRng)
    }

    fn sealed(position: u32, last: bool) -> Vec<u8> {
        let mut chunk = b"content".to_vec();
        chunks(1, b"file").seal(position, last, &mut chunk);
        chunk
    }

    /// T06: a file that has more chunks than its size says has none that opens as its last one.
    #[test]
    fn t06_a_chunk_opens_as_what_it_was_sealed_as_and_as_nothing_else() {
        for (key, bound, position, last, opens) in [
            (1, b"file".as_slice(), 3, false, true),
            (2, b"file", 3, false, false),
            (1, b"another", 3, false, false),
            (1, b"file", 4, false, false),
            (1, b"file", 3, true, false),
        ] {
            let mut chunk = sealed(3, false);
            assert_eq!(chunk.len(), 7 + Chunks::OVERHEAD);
            let opened = chunks(key, bound).open(position, last, &mut chunk);
            assert_eq!(opened.is_ok(), opens, "{key} {position} {last}");
            if opens {
                assert_eq!(chunk, b"content");
            }
        }
        for bit in 0..(7 + Chunks::OVERHEAD) * 8 {
            let mut chunk = sealed(0, true);
            chunk[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(chunks(1, b"file").open(0, true, &mut chunk), Err(Unopened), "bit {bit}");
        }
        assert_eq!(chunks(1, b"file").open(0, true, &mut vec![7; 5]), Err(Unopened));
    }

    /// What is sealed here in any order is the construction that the library seals in order.
    #[test]
    fn the_chunks_are_those_of_the_stream_construction() {
        let ours = chunks(1, b"file");
        let sealed = |position, last| {
            let mut chunk = b"content".to_vec();
            ours.seal(position, last, &mut chunk);
            chunk.truncate(chunk.len() - NONCE);
            chunk
        };
        let mut cipher = EncryptorBE32::<XChaCha20Poly1305>::new(&[1; 32].into(), &ours.nonce.into());
        for position in 0..3 {
            let mut chunk = b"content".to_vec();
            cipher.encrypt_next_in_place(b"file", &mut chunk).unwrap();
            assert_eq!(chunk, sealed(position, false));
        }
        let mut chunk = b"content".to_vec();
        cipher.encrypt_last_in_place(b"file", &mut chunk).unwrap();
        assert_eq!(chunk, sealed(3, true));
    }

    /// Whoever goes on with a file cannot know that its content is what it was.
    #[test]
    fn a_chunk_that_is_sealed_again_by_another_process_is_sealed_with_another_nonce_and_both_open() {
        let (first, second) = (sealed(3, false), sealed(3, false));
        assert_ne!(first[first.len() - NONCE..], second[second.len() - NONCE..]);
        for mut chunk in [first, second] {
            chunks(1, b"file").open(3, false, &mut chunk).unwrap();
            assert_eq!(chunk, b"content");
        }
    }
}
