//! A file that a person named and that is to come: whether it can, and why it could not.

use std::io;
use std::path::Path;

use cipher_api::{Error, ErrorKind, Hint};
use cipher_seal::new_file::folder_of;
use rustix::fs::{Access, AtFlags, CWD};
use rustix::io::Errno;

/// Fails if it cannot get this name: something has it, or its folder takes no file. Before anything else is done for it.
pub(crate) fn is_free(file: &Path) -> Result<(), Error> {
    match file.symlink_metadata() {
        Ok(_) => return Err(taken(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(unwritable(file, error)),
    }
    let folder = folder_of(file);
    let may = rustix::fs::accessat(CWD, folder, Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS);
    may.map_err(|error| match error {
        Errno::NOENT => ErrorKind::NotFound
            .because(format!("there is no folder {}", folder.display()))
            .hint(Hint::text("nothing was written: make the folder, or name a file in another one")),
        error => unwritable(folder, error.into()),
    })
}

/// A folder is no name of a file.
pub(crate) fn names_a_file(file: &Path) -> Result<(), Error> {
    if file.file_name().is_none() || file.as_os_str().as_encoded_bytes().ends_with(b"/") {
        return Err(ErrorKind::Usage
            .because(format!("{} names a folder", file.display()))
            .hint(Hint::text("nothing was done: name a file")));
    }
    Ok(())
}

/// Something has its name.
pub(crate) fn taken(file: &Path) -> Error {
    ErrorKind::Conflict
        .because(format!("{} is there already", file.display()))
        .hint(Hint::text("nothing was written, and nothing is overwritten: choose another name"))
}

/// The disk does not take it.
pub(crate) fn unwritable(path: &Path, error: io::Error) -> Error {
    let hint = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            "nothing was written: make room there, then run the command again"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "nothing was written: name a place where you may write"
        }
        _ => "nothing was written: check the path and its disk, then run the command again",
    };
    ErrorKind::Storage
        .because_of(format_args!("{} cannot be written", path.display()), error)
        .hint(Hint::text(hint))
}
