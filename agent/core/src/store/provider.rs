//! Where OpenMLS meets randomness and storage: the one `OpenMlsProvider` of the core.
//!
//! Two leaks in the core's determinism are OpenMLS's own: HPKE sealing draws its randomness inside the crypto
//! provider, and key-package lifetimes are checked against the system clock. So equal seeds give equal outcomes
//! (epochs, members, texts), not equal ciphertexts.

use std::cell::RefCell;
use std::convert::Infallible;

use openmls_rust_crypto::RustCrypto;
use openmls_traits::OpenMlsProvider;
use openmls_traits::random::OpenMlsRand;
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};

use crate::store::Store;
use crate::store::mls::Overlay;

/// Crypto, randomness and storage for OpenMLS.
#[derive(Debug)]
pub(crate) struct Provider {
    crypto: RustCrypto,
    random: Seeded,
    storage: Overlay,
}

impl Provider {
    pub(crate) fn new(store: Store, seed: [u8; 32]) -> Self {
        Self {
            crypto: RustCrypto::default(),
            random: Seeded(RefCell::new(ChaCha20Rng::from_seed(seed))),
            storage: Overlay::new(store),
        }
    }

    /// Fresh random bytes.
    pub(crate) fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.random.0.borrow_mut().fill_bytes(&mut bytes);
        bytes
    }
}

impl OpenMlsProvider for Provider {
    type CryptoProvider = RustCrypto;
    type RandProvider = Seeded;
    type StorageProvider = Overlay;

    fn storage(&self) -> &Overlay {
        &self.storage
    }
    fn crypto(&self) -> &RustCrypto {
        &self.crypto
    }
    fn rand(&self) -> &Seeded {
        &self.random
    }
}

/// ChaCha20 from the seed the core was given.
#[derive(Debug)]
pub(crate) struct Seeded(RefCell<ChaCha20Rng>);

impl OpenMlsRand for Seeded {
    type Error = Infallible;

    fn random_array<const N: usize>(&self) -> Result<[u8; N], Infallible> {
        let mut bytes = [0; N];
        self.0.borrow_mut().fill_bytes(&mut bytes);
        Ok(bytes)
    }

    fn random_vec(&self, len: usize) -> Result<Vec<u8>, Infallible> {
        let mut bytes = vec![0; len];
        self.0.borrow_mut().fill_bytes(&mut bytes);
        Ok(bytes)
    }
}
