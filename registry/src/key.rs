//! The registry's Ed25519 key: made at the first start, pinned by every agent, sealed in its file.

mod sealed;
mod unlocking;

use std::fmt;
use std::io::ErrorKind;
use std::path::Path;

use cipher_broker::id::AccountId;
use ed25519_dalek::SigningKey;
use rand_core::{OsRng, RngCore as _};
use zeroize::Zeroizing;

use crate::error::Error;
use crate::key::sealed::Found;
use crate::settings::{Settings, Unlocking};

/// Name of the key file in the data folder: sealed, mode 0600.
const FILE: &str = "registry.key";

/// The key that signs every reply.
#[derive(Clone)]
pub struct RegistryKey(SigningKey);

impl fmt::Debug for RegistryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RegistryKey(secret)")
    }
}

impl RegistryKey {
    /// Wraps a key, for tests and tools that keep keys elsewhere.
    pub const fn new(key: SigningKey) -> Self {
        Self(key)
    }

    /// Loads the key of the data folder, or makes it; one in the clear, of an earlier version, is sealed. The folder must
    /// exist, and nobody else may serve from it.
    pub fn load_or_create(settings: &Settings) -> Result<Self, Error> {
        let path = settings.data_dir.join(FILE);
        let seed = if !path.exists() {
            let mut seed = Zeroizing::new([0; 32]);
            OsRng.fill_bytes(seed.as_mut_slice());
            sealed::make(&path, seed, &settings.unlocking)?
        } else {
            match Found::at(&path)? {
                Found::Raw(seed) => {
                    sealed::convert(&path, &seed, &settings.unlocking)?;
                    seed
                }
                found @ Found::Sealed(_) => {
                    let seed = found.read(&path, &settings.unlocking)?;
                    sealed::let_go(&path, &seed);
                    seed
                }
            }
        };
        Ok(Self(SigningKey::from_bytes(&seed)))
    }

    /// The key of a seed.
    pub(crate) fn of_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// Whether a data folder holds a key, or what opens one.
    pub(crate) fn is_in(data_dir: &Path) -> bool {
        [FILE, unlocking::BESIDE].iter().any(|file| data_dir.join(file).symlink_metadata().is_ok())
    }

    /// Fails if a data folder holds no key. Accounts of a registry know its key and no other: it must not get another one because a
    /// file is gone.
    pub(crate) fn must_be_in(data_dir: &Path) -> Result<(), Error> {
        let path = data_dir.join(FILE);
        match path.symlink_metadata() {
            Err(error) if error.kind() == ErrorKind::NotFound => Err(Error::Key {
                path,
                reason: "is gone: accounts are here, and agents that know them accept no other key",
            }),
            // Whoever reads it says what else is wrong.
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Puts this key, sealed, into a folder that has none.
    pub(crate) fn place(&self, folder: &Path, unlocking: &Unlocking) -> Result<(), Error> {
        let seed = Zeroizing::new(self.0.to_bytes());
        sealed::make(&folder.join(FILE), seed, unlocking).map(|_| ())
    }

    /// Loads the key of the data folder as it is. Nothing is converted: who asks may be another user than who serves.
    pub fn load(settings: &Settings) -> Result<Self, Error> {
        let path = settings.data_dir.join(FILE);
        let seed = Found::at(&path)?.read(&path, &settings.unlocking)?;
        Ok(Self(SigningKey::from_bytes(&seed)))
    }

    /// The public half.
    pub fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    /// The id under which the operator asks the registry: no account can have it without this key.
    pub fn operator(&self) -> AccountId {
        AccountId::of_key(&self.public())
    }

    /// What signs.
    pub const fn signer(&self) -> &SigningKey {
        &self.0
    }
}

#[cfg(test)]
#[path = "key_test.rs"]
mod tests;
