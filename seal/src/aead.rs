//! XChaCha20-Poly1305 with a random nonce in front (draft-irtf-cfrg-xchacha-03 §2.3).

use chacha20poly1305::aead::{Aead as _, AeadInPlace as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use rand_core::{CryptoRng, RngCore};
use zeroize::Zeroizing;

use crate::Key;

const NONCE: usize = 24;
/// Bytes by which what is sealed is longer: nonce and tag.
pub const OVERHEAD: usize = NONCE + 16;

/// What was sealed by another key, for another place, or was changed since. Nothing tells which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the seal is broken")]
pub struct Unopened;

/// Seals for a place: `place` must be given again to open. The cipher takes 256 GiB.
pub fn seal(key: &Key, place: &[u8], plain: &[u8], random: &mut (impl RngCore + CryptoRng)) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(plain.len().saturating_add(OVERHEAD));
    let mut nonce = XNonce::default();
    random.fill_bytes(&mut nonce);
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(plain);
    let (_, body) = sealed.split_at_mut(NONCE);
    let cipher = XChaCha20Poly1305::new(key.expose().into());
    match cipher.encrypt_in_place_detached(&nonce, place, body) {
        Ok(tag) => sealed.extend_from_slice(&tag),
        Err(_) => sealed.clear(),
    }
    sealed
}

/// Opens what [`seal`] made with this key for this place.
pub fn open(key: &Key, place: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Unopened> {
    let (nonce, sealed) = sealed.split_at_checked(NONCE).ok_or(Unopened)?;
    let payload = Payload { msg: sealed, aad: place };
    let plain = XChaCha20Poly1305::new(key.expose().into()).decrypt(XNonce::from_slice(nonce), payload);
    plain.map(Zeroizing::new).map_err(|_| Unopened)
}
