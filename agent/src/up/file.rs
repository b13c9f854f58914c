//! The files that `up` writes.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use cipher_api::{Error, ErrorKind};

/// Writes a file whole or not at all, for its owner only: it holds a password.
pub(super) fn private(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let draft = path.with_extension("draft");
    remove(&draft);
    let file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&draft);
    file.and_then(|mut file| file.write_all(bytes))
        .and_then(|()| fs::rename(&draft, path))
        .map_err(|error| unwritable(path, error))
}

/// Removes a file, if it is there.
pub(super) fn remove(path: &Path) {
    // Not being there is what is wanted.
    let _ = fs::remove_file(path);
}

/// The error of a file or folder that cannot be written.
pub(super) fn unwritable(path: &Path, error: std::io::Error) -> Error {
    ErrorKind::Storage.because(format!("{} cannot be written: {error}", path.display())).caused_by(error)
}
