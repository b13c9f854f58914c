//! What a hostile member hands to OpenMLS: its keys come from a seed, so that a story goes the same way every time.

use std::convert::Infallible;
use std::sync::Mutex;

use openmls_rust_crypto::{MemoryStorage, RustCrypto};
use openmls_traits::OpenMlsProvider;
use openmls_traits::random::OpenMlsRand;
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore as _, SeedableRng as _};

/// Crypto, seeded randomness, and a memory.
pub(crate) struct Provider {
    crypto: RustCrypto,
    random: Seeded,
    storage: MemoryStorage,
}

impl Provider {
    pub(crate) fn new(seed: u64) -> Self {
        let random = Seeded(Mutex::new(ChaCha20Rng::seed_from_u64(seed)));
        Self { crypto: RustCrypto::default(), random, storage: MemoryStorage::default() }
    }

    /// Another one with the same in its memory: what is done with it leaves the first as it was.
    pub(crate) fn twin(&self) -> Self {
        let seed = u64::from_le_bytes(self.rand().array());
        let twin = Self::new(seed);
        let all = self.storage.values.read().unwrap().clone();
        *twin.storage.values.write().unwrap() = all;
        twin
    }
}

impl OpenMlsProvider for Provider {
    type CryptoProvider = RustCrypto;
    type RandProvider = Seeded;
    type StorageProvider = MemoryStorage;

    fn storage(&self) -> &MemoryStorage {
        &self.storage
    }
    fn crypto(&self) -> &RustCrypto {
        &self.crypto
    }
    fn rand(&self) -> &Seeded {
        &self.random
    }
}

/// ChaCha20 from a seed.
pub(crate) struct Seeded(Mutex<ChaCha20Rng>);

impl Seeded {
    pub(crate) fn array<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.lock().unwrap().fill_bytes(&mut bytes);
        bytes
    }
}

impl OpenMlsRand for Seeded {
    type Error = Infallible;

    fn random_array<const N: usize>(&self) -> Result<[u8; N], Infallible> {
        Ok(self.array())
    }

    fn random_vec(&self, len: usize) -> Result<Vec<u8>, Infallible> {
        let mut bytes = vec![0; len];
        self.0.lock().unwrap().fill_bytes(&mut bytes);
        Ok(bytes)
    }
}
