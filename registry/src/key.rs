//! The registry's Ed25519 key: made at the first start, pinned by every agent, sealed in its file.

mod sealed;
mod unlocking;

use std::fmt;

use cipher_broker::id::AccountId;
use ed25519_dalek::SigningKey;

use crate::error::Error;
use crate::key::sealed::Found;
use crate::settings::Settings;

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
            sealed::make(&path, &settings.unlocking)?
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
