//! XChaCha20-Poly1305 with a random nonce in front (draft-irtf-cfrg-xchacha-03 §2.3).
//!
//! HChaCha20 makes a key of the first two thirds of the nonce, and ChaCha20-Poly1305 (RFC 8439 §2.8) by `ring` does the rest:
//! values are short, and for those it takes a fifth of the time of the crate whose name is the cipher's.

use std::fmt;
use std::io;
use std::ops::Deref;

use chacha20::cipher::consts::U10;
use chacha20::hchacha;
use rand_core::{CryptoRng, RngCore};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use zeroize::{Zeroize as _, Zeroizing};

use crate::Key;

/// Bytes of a nonce.
pub(crate) const NONCE: usize = 24;
/// What of the nonce makes the key.
const OF_KEY: usize = 16;
const TAG: usize = 16;
/// Bytes by which what is sealed is longer: nonce and tag.
pub const OVERHEAD: usize = NONCE + TAG;

/// What was sealed by another key, for another place, or was changed since. Nothing tells which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the seal is broken")]
pub struct Unopened;

/// What was opened: it is overwritten when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Plain(Vec<u8>);

impl Deref for Plain {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        // As a slice: a vector is overwritten byte by byte.
        self.0.as_mut_slice().zeroize();
    }
}

impl fmt::Debug for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Plain(secret)")
    }
}

/// Room in which one value after the other is written and sealed where it lies, so that nothing of it is left elsewhere.
#[derive(Default)]
pub struct Draft {
    /// Room for the nonce, and what is to be sealed; after sealing, what is sealed.
    bytes: Vec<u8>,
    is_plain: bool,
}

impl Draft {
    /// Begins an empty one, whatever was in it.
    pub fn begin(&mut self) -> &mut Self {
        self.wipe();
        self.bytes.clear();
        self.bytes.resize(NONCE, 0);
        self.is_plain = true;
        self
    }

    /// Goes on with these bytes.
    pub fn write(&mut self, bytes: &[u8]) {
        let length = self.bytes.len().saturating_add(bytes.len());
        if length > self.bytes.capacity() {
            let mut larger = Vec::with_capacity(length.saturating_mul(2).max(1024));
            larger.extend_from_slice(&self.bytes);
            self.wipe();
            (self.bytes, self.is_plain) = (larger, true);
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Seals what was written since [`Draft::begin`] for a place that must be given again to open it. The cipher takes
    /// 256 GiB.
    pub fn seal(&mut self, key: &Key, place: &[u8], random: &mut (impl RngCore + CryptoRng)) -> &[u8] {
        if !self.is_plain {
            self.begin();
        }
        let mut nonce = [0; NONCE];
        random.fill_bytes(&mut nonce);
        self.seal_with(key, &nonce, place);
        &self.bytes
    }

    fn seal_with(&mut self, key: &Key, nonce: &[u8; NONCE], place: &[u8]) {
        let sealed = cipher(key, nonce).ok().and_then(|(cipher, rest)| {
            let (head, body) = self.bytes.split_at_mut_checked(NONCE)?;
            head.copy_from_slice(nonce);
            cipher.seal_in_place_separate_tag(rest, Aad::from(place), body).ok()
        });
        match sealed {
            Some(tag) => {
                self.is_plain = false;
                self.bytes.extend_from_slice(tag.as_ref());
            }
            None => {
                self.wipe();
                self.bytes.clear();
            }
        }
    }

    fn wipe(&mut self) {
        if std::mem::take(&mut self.is_plain) {
            self.bytes.as_mut_slice().zeroize();
        }
    }
}

impl io::Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Self::write(self, bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        self.wipe();
    }
}

impl fmt::Debug for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draft").finish_non_exhaustive()
    }
}

/// Seals for a place: `place` must be given again to open. For one value; a [`Draft`] is for many.
pub fn seal(key: &Key, place: &[u8], plain: &[u8], random: &mut (impl RngCore + CryptoRng)) -> Vec<u8> {
    let mut draft = Draft::default();
    draft.begin().write(plain);
    draft.seal(key, place, random);
    std::mem::take(&mut draft.bytes)
}

/// Opens what [`seal`] made with this key for this place.
pub fn open(key: &Key, place: &[u8], sealed: &[u8]) -> Result<Plain, Unopened> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE>().ok_or(Unopened)?;
    let (cipher, rest) = cipher(key, nonce)?;
    let mut plain = Plain(sealed.to_vec());
    let length = cipher.open_in_place(rest, Aad::from(place), &mut plain.0).map_err(|_| Unopened)?.len();
    plain.0.truncate(length);
    Ok(plain)
}

/// ChaCha20-Poly1305 under the key that HChaCha20 makes, and what is its nonce (draft-irtf-cfrg-xchacha-03 §2.3).
pub(crate) fn cipher(key: &Key, nonce: &[u8; NONCE]) -> Result<(LessSafeKey, Nonce), Unopened> {
    let (of_key, rest) = nonce.split_first_chunk::<OF_KEY>().ok_or(Unopened)?;
    let subkey = Zeroizing::new(<[u8; Key::LEN]>::from(hchacha::<U10>(key.expose().into(), of_key.into())));
    let cipher = UnboundKey::new(&CHACHA20_POLY1305, subkey.as_slice()).map_err(|_| Unopened)?;
    let mut short = [0; 12];
    if let Some((_, end)) = short.split_first_chunk_mut::<4>() {
        end.copy_from_slice(rest);
    }
    Ok((LessSafeKey::new(cipher), Nonce::assume_unique_for_key(short)))
}

#[cfg(test)]
mod tests {
    use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
    use chacha20poly1305::{XChaCha20Poly1305, XNonce};
    use rand_core::OsRng;

    use super::*;

    /// The same by the crate that is named as the cipher is.
    fn by_the_other(key: &Key, place: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE)?;
        let payload = Payload { msg: sealed, aad: place };
        XChaCha20Poly1305::new(key.expose().into()).decrypt(XNonce::from_slice(nonce), payload).ok()
    }

    #[test]
    fn the_draft_of_the_irtf_has_these_bytes() {
        // draft-irtf-cfrg-xchacha-03 appendix A.3.1.
        let key = Key::from_slice(&(0x80..0xa0).collect::<Vec<u8>>()).unwrap();
        let nonce: [u8; NONCE] = std::array::from_fn(|n| 0x40 + u8::try_from(n).unwrap());
        let place = [0x50, 0x51, 0x52, 0x53, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7];
        let text = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.";
        let mut draft = Draft::default();
        draft.begin().write(text);
        draft.seal_with(&key, &nonce, &place);
        let tag =
            [0xc0, 0x87, 0x59, 0x24, 0xc1, 0xc7, 0x98, 0x79, 0x47, 0xde, 0xaf, 0xd8, 0x78, 0x0a, 0xcf, 0x49];
        assert_eq!(draft.bytes.get(..NONCE), Some(nonce.as_slice()));
        assert_eq!(draft.bytes.get(NONCE..NONCE + 4), Some([0xbd, 0x6d, 0x17, 0x9d].as_slice()));
        assert_eq!(draft.bytes.get(NONCE + text.len()..), Some(tag.as_slice()));
    }

    #[test]
    fn another_library_opens_what_is_sealed_and_refuses_what_is_refused() {
        let mut draft = Draft::default();
        for length in (0..300).chain([1023, 1024, 1025, 4096, 70_000]) {
            let (key, other) = (Key::random(&mut OsRng), Key::random(&mut OsRng));
            let plain: Vec<u8> = (0..length).map(|n| u8::try_from(n % 251).unwrap()).collect();
            draft.begin();
            for part in plain.chunks(7) {
                draft.write(part);
            }
            let mut sealed = draft.seal(&key, b"place", &mut OsRng).to_vec();
            assert_eq!(sealed.len(), length + OVERHEAD);
            assert_eq!(by_the_other(&key, b"place", &sealed).as_deref(), Some(plain.as_slice()));
            assert_eq!(open(&key, b"place", &sealed).as_deref(), Ok(plain.as_slice()));
            for (key, place) in [(&other, b"place".as_slice()), (&key, b"palace")] {
                assert_eq!(open(key, place, &sealed), Err(Unopened));
                assert_eq!(by_the_other(key, place, &sealed), None);
            }
            for at in [0, 15, 16, 23, 24, length + 23, length + 24, length + OVERHEAD - 1] {
                sealed[at] ^= 4;
                assert_eq!(open(&key, b"place", &sealed), Err(Unopened), "{at}");
                assert_eq!(by_the_other(&key, b"place", &sealed), None, "{at}");
                sealed[at] ^= 4;
            }
            for cut in [1, TAG, length, length + TAG, length + NONCE] {
                let short = sealed.get(..sealed.len() - cut.min(sealed.len())).unwrap();
                assert_eq!(open(&key, b"place", short).is_ok(), cut == 0, "{cut}");
            }
        }
    }

    #[test]
    fn a_draft_that_was_not_sealed_is_gone_when_the_next_one_begins() {
        let key = Key::random(&mut OsRng);
        let mut draft = Draft::default();
        draft.begin().write(b"never sealed");
        draft.begin().write(b"sealed");
        let sealed = draft.seal(&key, b"", &mut OsRng).to_vec();
        assert_eq!(open(&key, b"", &sealed).as_deref(), Ok(b"sealed".as_slice()));
        // Twice in a row seals nothing twice.
        let again = draft.seal(&key, b"", &mut OsRng).to_vec();
        assert_eq!(open(&key, b"", &again).as_deref(), Ok([].as_slice()));
    }
}
