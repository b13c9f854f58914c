//! A data folder that is restored gets its files at once: they are made in a folder inside of it, which is given the name
//! [`WHOLE`] when all of them are whole and on the disk. Whoever opens the data folder next moves them to their places. So
//! a restore that is cut off at any moment leaves nothing, or something that goes on by itself.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::Path;

use crate::error::StoreError;

/// Name of the folder while its files are made.
pub(crate) const DRAFT: &str = "restore.draft";
/// Its name when they are whole.
pub(crate) const WHOLE: &str = "restored";

/// Declares the draft whole: from now on nothing can stop it.
pub(crate) fn declare(data_dir: &Path) -> io::Result<()> {
    let draft = data_dir.join(DRAFT);
    File::open(&draft)?.sync_all()?;
    fs::rename(draft, data_dir.join(WHOLE))?;
    File::open(data_dir)?.sync_all()
}

/// Moves the files of a whole restore to their places, if there is one. Each step can be the last of this process.
pub(crate) fn finish(data_dir: &Path) -> Result<(), StoreError> {
    let failed = |source| StoreError::File { doing: "finish the restore of", path: data_dir.into(), source };
    let whole = data_dir.join(WHOLE);
    let files = match fs::read_dir(&whole) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        files => files.map_err(failed)?,
    };
    for file in files {
        let file = file.map_err(failed)?;
        let place = data_dir.join(file.file_name());
        if place.exists() {
            return Err(StoreError::File {
                doing: "put a restored file in the place of",
                path: place,
                source: ErrorKind::AlreadyExists.into(),
            });
        }
        gone_is_done(fs::rename(file.path(), place)).map_err(failed)?;
    }
    // The names are on the disk before the folder that proves them goes.
    let synced = File::open(data_dir).and_then(|folder| folder.sync_all());
    synced.and_then(|()| gone_is_done(fs::remove_dir(whole))).map_err(failed)
}

/// Another process may do the same at this moment.
fn gone_is_done(outcome: io::Result<()>) -> io::Result<()> {
    match outcome {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restore_that_was_cut_off_is_finished_from_wherever_it_was_and_one_that_is_not_whole_is_left() {
        let files = ["registry.key", "registry.redb", "registry.unlock"];
        for moved in 0..=files.len() {
            let folder = tempfile::tempdir().unwrap();
            let draft = folder.path().join(DRAFT);
            fs::create_dir(&draft).unwrap();
            files.iter().for_each(|name| fs::write(draft.join(name), name).unwrap());
            finish(folder.path()).unwrap();
            assert!(files.iter().all(|name| !folder.path().join(name).exists()));
            declare(folder.path()).unwrap();
            let whole = folder.path().join(WHOLE);
            for name in files.iter().take(moved) {
                fs::rename(whole.join(name), folder.path().join(name)).unwrap();
            }
            for _ in 0..2 {
                finish(folder.path()).unwrap();
                let there = |name: &&str| fs::read_to_string(folder.path().join(name)).unwrap() == **name;
                assert!(files.iter().all(there), "{moved} were moved before");
                assert!(!whole.exists());
            }
        }
    }

    #[test]
    fn a_restored_file_takes_nobodys_place() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(DRAFT)).unwrap();
        fs::write(folder.path().join(DRAFT).join("registry.key"), "restored").unwrap();
        declare(folder.path()).unwrap();
        fs::write(folder.path().join("registry.key"), "other").unwrap();
        assert!(matches!(finish(folder.path()), Err(StoreError::File { .. })));
        assert_eq!(fs::read_to_string(folder.path().join("registry.key")).unwrap(), "other");
    }
}
