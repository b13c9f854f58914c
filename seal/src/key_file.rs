//! Files that hold a key in the clear: made whole for their owner only, read, and erased.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::{Key, new_file};

/// Why a file gives no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The system does not let it be read.
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// It holds something else.
    #[error("it does not hold a key of 32 bytes")]
    NoKey,
}

/// The key in a file: 32 bytes as they are.
pub fn read(path: &Path) -> Result<Key, KeyFileError> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(64));
    File::open(path)?.take(64).read_to_end(&mut bytes)?;
    Key::from_slice(&bytes).map(Key::locked).ok_or(KeyFileError::NoKey)
}

/// Whether others than the owner may do anything with it.
pub fn is_open_to_others(path: &Path) -> io::Result<bool> {
    Ok(fs::metadata(path)?.permissions().mode() & 0o077 != 0)
}

/// Takes the rights of others away.
pub fn close_to_others(path: &Path) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(0o600))
}

/// Makes a file that is not there: complete or not at all, 0600, on the disk. One that is there by now stays, whoever
/// made it; whether this call made it.
pub fn make(path: &Path, bytes: &[u8]) -> io::Result<bool> {
    let draft = draft(path, bytes)?;
    let named = match new_file::take_name(&draft, path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        done => done.map(|()| true),
    };
    // Only if it could not be named.
    let _ = fs::remove_file(&draft);
    sync_folder(path)?;
    named
}

/// Writes a file beside its place, under a name of this process that nothing has: what has one is somebody else's.
fn draft(path: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
    for number in 0..=u16::MAX {
        let draft = beside(path, &format!(".draft-{}-{number}", std::process::id()));
        match write(&draft, bytes) {
            Ok(()) => return Ok(draft),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => {
                let _ = fs::remove_file(&draft);
                return Err(error);
            }
        }
    }
    Err(ErrorKind::AlreadyExists.into())
}

/// Writes a file in the place of another: whoever reads it finds what was there before or all of this, also after a power
/// cut. What was there is overwritten as by [`erase`], if the process lives that long. One process at a time: what a killed one
/// leaves is the file with `.new` behind its name.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let before = OpenOptions::new().write(true).open(path);
    let draft = beside(path, ".new");
    match erase(&draft) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    write(&draft, bytes)?;
    fs::rename(draft, path)?;
    sync_folder(path)?;
    // Nothing depends on it any more, and nothing is lost if it stays.
    if let Ok(before) = before {
        let _ = overwrite(&before);
    }
    Ok(())
}

/// Overwrites a file, and then removes it. Best effort: a disk may have kept what was overwritten (copy-on-write file
/// systems and flash do).
pub fn erase(path: &Path) -> io::Result<()> {
    overwrite(&OpenOptions::new().write(true).open(path)?)?;
    fs::remove_file(path)?;
    sync_folder(path)
}

/// Writes zeros over all of a file, on the disk. A file system or a disk that writes elsewhere keeps what was there: nothing can
/// be done about that from here, and nothing relies on it alone.
pub fn overwrite(mut file: &File) -> io::Result<()> {
    static ZEROS: [u8; 65_536] = [0; 65_536];
    let mut left = file.metadata()?.len();
    while left > 0 {
        let part = usize::try_from(left).unwrap_or(usize::MAX).min(ZEROS.len());
        file.write_all(ZEROS.get(..part).unwrap_or(&ZEROS))?;
        left = left.saturating_sub(part as u64);
    }
    file.sync_all()
}

/// The name of a file with something behind it.
fn beside(path: &Path, behind: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(behind);
    path.with_file_name(name)
}

/// A file that is not there, on the disk.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// The name is on the disk as well as what it names.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_whole_for_its_owner_and_can_be_erased() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.key");
        assert!(make(&path, &[7; 32]).unwrap());
        assert!(!make(&path, &[8; 32]).unwrap(), "one that is there stays");
        assert_eq!(read(&path).unwrap().expose(), &[7; 32]);
        assert!(!is_open_to_others(&path).unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left behind");
        // Of somebody else, by chance.
        let theirs = folder.path().join(format!("other.key.draft-{}-0", std::process::id()));
        fs::write(&theirs, "theirs").unwrap();
        let other = folder.path().join("other.key");
        assert!(make(&other, &[7; 32]).unwrap());
        assert_eq!(fs::read(&theirs).unwrap(), b"theirs");
        fs::remove_file(theirs).and_then(|()| fs::remove_file(other)).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert!(is_open_to_others(&path).unwrap());
        close_to_others(&path).unwrap();
        assert!(!is_open_to_others(&path).unwrap());
        let before = folder.path().join("before");
        fs::hard_link(&path, &before).unwrap();
        replace(&path, &[9; 32]).unwrap();
        assert_eq!(fs::read(&before).unwrap(), [0; 32]);
        fs::remove_file(before).unwrap();
        assert_eq!(read(&path).unwrap().expose(), &[9; 32]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left behind");
        // Another name of the same bytes shows what was done to them.
        let other = folder.path().join("other");
        fs::hard_link(&path, &other).unwrap();
        erase(&path).unwrap();
        assert!(!path.exists());
        assert_eq!(fs::read(&other).unwrap(), [0; 32]);
    }

    #[test]
    fn what_a_killed_replacement_left_has_one_name_and_is_overwritten_by_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.keys");
        fs::write(&path, "before").unwrap();
        let left = folder.path().join("store.keys.new");
        fs::write(&left, "killed").unwrap();
        let same = folder.path().join("same");
        fs::hard_link(&left, &same).unwrap();
        replace(&path, b"after").unwrap();
        assert_eq!((fs::read(&path).unwrap(), fs::read(same).unwrap()), (b"after".to_vec(), vec![0; 6]));
        assert!(!left.exists());
    }

    #[test]
    fn what_is_no_key_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.key");
        assert!(matches!(read(&path), Err(KeyFileError::Unreadable(_))));
        for bytes in [&[1; 31][..], &[1; 33], &[1; 100], b""] {
            fs::write(&path, bytes).unwrap();
            assert!(matches!(read(&path), Err(KeyFileError::NoKey)), "{}", bytes.len());
        }
    }
}
