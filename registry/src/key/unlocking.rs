//! What opens the sealed key: where it is looked for, and what is said when it is not there.

use std::path::Path;

use cipher_seal::key_file::{self, KeyFileError};
use cipher_seal::typed::{self, TypedError};
use cipher_seal::{Key, SlotKind, Unlock};
use rand_core::OsRng;

use crate::error::{Error, OPEN_TO_OTHERS};
use crate::settings::Unlocking;

/// Name of the credential that systemd hands over.
const CREDENTIAL: &str = "cipher-registry-key";
/// Name of the file beside the sealed key.
pub(super) const BESIDE: &str = "registry.unlock";

impl Unlocking {
    /// What opens a sealed key with these slots; without slots: what is to open the one that is made now.
    pub(super) fn find(&self, sealed: &Path, slots: Option<&[SlotKind]>) -> Result<Unlock, Error> {
        if let Some(path) = &self.key_file {
            return named(path);
        }
        if let Some(path) = self.credentials.as_deref().map(|folder| folder.join(CREDENTIAL))
            && path.exists()
        {
            return named(&path);
        }
        if let Some(passphrase) = &self.passphrase {
            return Ok(Unlock::Passphrase(passphrase.clone()));
        }
        if let Some(number) = self.passphrase_fd {
            return typed::from_descriptor(number).map(Unlock::Passphrase).map_err(ungiven(sealed));
        }
        match slots {
            Some(slots)
                if slots.contains(&SlotKind::Passphrase)
                    && !(slots.contains(&SlotKind::Key) && sealed.with_file_name(BESIDE).exists()) =>
            {
                typed::at_terminal(&format!("Passphrase of {}: ", sealed.display()))
                    .map(Unlock::Passphrase)
                    .map_err(ungiven(sealed))
            }
            _ => beside(sealed, slots.is_none()),
        }
    }

    /// Reads the passphrase from its descriptor ahead of what follows it there.
    pub(crate) fn read_passphrase(&mut self, data_dir: &Path) -> Result<(), Error> {
        let Some(number) = self.passphrase_fd else { return Ok(()) };
        let given = typed::from_descriptor(number).map_err(ungiven(&data_dir.join(super::FILE)))?;
        self.passphrase = Some(given);
        Ok(())
    }
}

/// Why there is no passphrase of the key.
fn ungiven(sealed: &Path) -> impl FnOnce(TypedError) -> Error {
    move |error| Error::Unlock {
        path: sealed.to_owned(),
        reason: error.to_string(),
        hint: "hand it over with --passphrase-fd, for example `--passphrase-fd 3 3< FILE`, or start this at a terminal",
    }
}

/// A file that the operator names. Who else may read it is the operator's choice: a container's secret is often for all of
/// its users.
fn named(path: &Path) -> Result<Unlock, Error> {
    if key_file::is_open_to_others(path).is_ok_and(|open| open) {
        tracing::info!(path = %path.display(), "the key file can be read by others than its owner");
    }
    key_file::read(path).map(Unlock::Key).map_err(|error| Error::Unlock {
        path: path.to_owned(),
        reason: error.to_string(),
        hint: match error {
            KeyFileError::NoKey => {
                "it must be the file that the key was sealed with; a new one, for a new registry: `head -c 32 /dev/urandom > FILE`"
            }
            KeyFileError::Unreadable(_) => "check the path and its rights; nothing was changed",
        },
    })
}

/// The file beside the sealed key, which is made with it.
fn beside(sealed: &Path, make: bool) -> Result<Unlock, Error> {
    let path = sealed.with_file_name(BESIDE);
    let file = |doing| {
        let path = path.clone();
        move |source| Error::File { doing, path, source }
    };
    if make && !path.exists() {
        key_file::make(&path, Key::random(&mut OsRng).expose()).map_err(file("create"))?;
    }
    match key_file::is_open_to_others(&path) {
        Ok(true) => {
            return Err(Error::Key { path, reason: OPEN_TO_OTHERS });
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::Unlock {
                path: sealed.to_owned(),
                reason: format!("{} is not there", path.display()),
                hint: "copy it from the folder that registry.key came from, or name what opens it: --key-file, a credential or \
                       --passphrase-fd",
            });
        }
        Ok(false) | Err(_) => {}
    }
    key_file::read(&path).map(Unlock::Key).map_err(|error| Error::Unlock {
        path: path.clone(),
        reason: error.to_string(),
        hint: "restore it from a backup, together with registry.key",
    })
}
