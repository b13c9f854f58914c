//! The registry's Ed25519 key: made at the first start, pinned by every agent, never leaves its file.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use cipher_broker::id::AccountId;
use ed25519_dalek::SigningKey;
use rand_core::{OsRng, RngCore};
use zeroize::Zeroizing;

use crate::error::Error;

/// Name of the key file in the data folder: 32 raw bytes, mode 0600.
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

    /// Loads the key of a data folder, or makes it. The folder must exist.
    pub fn load_or_create(data_dir: &Path) -> Result<Self, Error> {
        let path = data_dir.join(FILE);
        if !path.exists() {
            create(&path)?;
        }
        Self::load(data_dir)
    }

    /// Loads the key of a data folder.
    pub fn load(data_dir: &Path) -> Result<Self, Error> {
        let path = data_dir.join(FILE);
        let file = |doing| {
            let path = path.clone();
            move |source| Error::File { doing, path, source }
        };
        let opened = File::open(&path).map_err(file("open the key file"))?;
        let mode = opened.metadata().map_err(file("examine the key file"))?.mode();
        if mode & 0o077 != 0 {
            return Err(Error::Key { path, reason: "can be read by others than its owner" });
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(64));
        opened.take(64).read_to_end(&mut bytes).map_err(file("read the key file"))?;
        let Ok(seed) = <[u8; 32]>::try_from(bytes.as_slice()).map(Zeroizing::new) else {
            return Err(Error::Key { path, reason: "does not hold a key of 32 bytes" });
        };
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

/// Writes a fresh key. Complete or not at all: a crash cannot leave half a key, and of two processes that start
/// at once one wins and both use its key.
fn create(path: &Path) -> Result<(), Error> {
    let file = |doing| move |source| Error::File { doing, path: path.to_owned(), source };
    let mut seed = Zeroizing::new([0_u8; 32]);
    OsRng.fill_bytes(seed.as_mut());
    let draft = path.with_extension(format!("draft-{}", std::process::id()));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut draft_file = options.open(&draft).map_err(file("create the key file"))?;
    draft_file.write_all(seed.as_ref()).map_err(file("write the key file"))?;
    draft_file.sync_all().map_err(file("write the key file"))?;
    let linked = match fs::hard_link(&draft, path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        Ok(()) | Err(_) => Ok(()),
    };
    fs::remove_file(&draft).map_err(file("tidy up after making the key file"))?;
    linked.map_err(file("create the key file"))?;
    if let Some(folder) = path.parent() {
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(file("write the key file"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_key_is_made_once_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let first = RegistryKey::load_or_create(folder.path()).unwrap();
        let second = RegistryKey::load_or_create(folder.path()).unwrap();
        assert_eq!(first.public(), second.public());
        assert_eq!(fs::metadata(folder.path().join(FILE)).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left behind");
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        RegistryKey::load_or_create(folder.path()).unwrap();
        for mode in [0o640, 0o604, 0o666] {
            fs::set_permissions(folder.path().join(FILE), fs::Permissions::from_mode(mode)).unwrap();
            let refused = RegistryKey::load_or_create(folder.path());
            assert!(matches!(refused, Err(Error::Key { .. })), "{mode:o}");
        }
    }

    #[test]
    fn a_damaged_key_file_is_refused_and_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        RegistryKey::load_or_create(folder.path()).unwrap();
        fs::write(folder.path().join(FILE), [1; 31]).unwrap();
        assert!(matches!(RegistryKey::load_or_create(folder.path()), Err(Error::Key { .. })));
        assert_eq!(fs::read(folder.path().join(FILE)).unwrap(), [1; 31]);
    }

    #[test]
    fn its_debug_form_shows_nothing() {
        let key = RegistryKey::new(SigningKey::from_bytes(&[7; 32]));
        assert_eq!(format!("{key:?}"), "RegistryKey(secret)");
    }
}
