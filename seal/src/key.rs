//! A secret key: 32 bytes that are overwritten when they are dropped, and that nothing prints.

use std::fmt;

use rand_core::{CryptoRng, RngCore};
use zeroize::Zeroizing;

/// A secret key of 256 bits.
#[derive(Clone)]
pub struct Key(Box<Zeroizing<[u8; 32]>>);

impl Key {
    /// Length in bytes.
    pub const LEN: usize = 32;

    /// A fresh key.
    pub fn random(random: &mut (impl RngCore + CryptoRng)) -> Self {
        let mut key = Self(Box::new(Zeroizing::new([0; Self::LEN])));
        random.fill_bytes(key.0.as_mut_slice());
        key
    }

    /// The key of these bytes; `None` unless there are 32.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        let mut key = Self(Box::new(Zeroizing::new([0; Self::LEN])));
        (bytes.len() == Self::LEN).then(|| {
            key.0.copy_from_slice(bytes);
            key
        })
    }

    /// Its bytes.
    pub fn expose(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(secret)")
    }
}
