//! The files that `up` writes.

use std::fs;
use std::path::Path;

use cipher_api::{Error, ErrorKind};

use crate::private_file;

/// Writes a file whole or not at all, for its owner only: it holds a password.
pub(super) fn private(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    private_file::write(path, bytes).map_err(|error| unwritable(path, error))
}

/// Removes a file, if it is there.
pub(super) fn remove(path: &Path) {
    // Not being there is what is wanted.
    let _ = fs::remove_file(path);
}

/// The error of a file or folder that cannot be written.
pub(super) fn unwritable(path: &Path, error: std::io::Error) -> Error {
    ErrorKind::Storage.because_of(format_args!("{} cannot be written", path.display()), error)
}
