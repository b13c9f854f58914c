use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use cipher_api::{Advice, ErrorKind};
use cipher_seal::{Key, Unlock};
use redb::{DatabaseError, StorageError};

use crate::store::Store;
use crate::store::memory::unlock;
use crate::store::open::opening;
use crate::store::place::Folder;

fn open(folder: &tempfile::TempDir) -> cipher_api::Result<Store> {
    Store::open(Arc::new(Folder::new(folder.path())), || Ok(unlock()), [3; 32])
}

/// L01, and half-made files: a store appears whole, private, and alone in its folder.
#[test]
fn l01_a_store_is_made_whole_and_private() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(&folder).unwrap());
    drop(open(&folder).unwrap());
    let mut names: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["store.keys", "store.redb", "store.sums"]);
    for name in names {
        let rights = folder.path().join(&name).metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(rights, 0o600, "{name:?}");
    }
}

#[test]
fn a_file_that_is_no_store_is_told_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    for bytes in [b"".as_slice(), b"not a store"] {
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(open(&folder).unwrap_err().kind, ErrorKind::Storage);
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}

/// D05: what is mended from outside never costs an account. (Root opens everything but a folder as a file.)
#[test]
fn d05_only_damage_in_the_file_is_called_damage() {
    let folder = tempfile::tempdir().unwrap();
    let place = Folder::new(folder.path());
    let io = |kind: std::io::ErrorKind| DatabaseError::Storage(StorageError::Io(kind.into()));
    let path = folder.path().join("store.redb");
    for (kind, advice) in [
        (std::io::ErrorKind::PermissionDenied, Advice::StorePermission),
        (std::io::ErrorKind::ReadOnlyFilesystem, Advice::StoreReadOnly),
        (std::io::ErrorKind::StorageFull, Advice::CheckDiskFirst),
    ] {
        let error = opening(&place, io(kind));
        assert!(error.message.contains("store.redb"), "{error}");
        assert_eq!(error.hint, Some(advice.into()));
    }
    std::fs::create_dir(&path).unwrap();
    let error = open(&folder).unwrap_err();
    assert!(!error.message.contains("damaged"), "{error:?}");
    std::fs::remove_dir(&path).unwrap();
    std::fs::write(&path, b"not a store").unwrap();
    let error = open(&folder).unwrap_err();
    assert!(error.message.contains("damaged"), "{error}");
    assert_eq!(error.hint, Some(Advice::StoreDamaged.into()));
}

/// D05: the file that is named is the one that is at fault.
#[test]
fn d05_a_file_of_the_store_that_cannot_be_read_is_named_itself() {
    for file in ["store.keys", "store.sums", "store.redb"] {
        let folder = tempfile::tempdir().unwrap();
        drop(open(&folder).unwrap());
        let (path, whole) = (folder.path().join(file), folder.path().join("whole"));
        std::fs::rename(&path, &whole).unwrap();
        // Root reads every file, but nobody reads a folder as one.
        std::fs::create_dir(&path).unwrap();
        let error = open(&folder).unwrap_err();
        assert_eq!(
            (error.kind, error.hint.clone()),
            (ErrorKind::Storage, Some(Advice::CheckDiskFirst.into()))
        );
        assert!(error.message.starts_with(path.to_str().unwrap()), "{error}");
        assert!(!error.message.contains("damaged"), "{error}");
        std::fs::remove_dir(&path).unwrap();
        std::fs::rename(&whole, &path).unwrap();
        open(&folder).unwrap();
    }
}

#[test]
fn a_store_has_one_opener() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(&folder).unwrap();
    assert_eq!(open(&folder).unwrap_err().kind, ErrorKind::Locked);
    drop(first);
    assert!(open(&folder).is_ok());
}

#[test]
fn a_store_opens_with_its_key_only_and_not_without_its_keys() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(&folder).unwrap());
    let other = Unlock::Key(Key::from_slice(&[8; Key::LEN]).unwrap());
    let error = Store::open(Arc::new(Folder::new(folder.path())), || Ok(other), [3; 32]).unwrap_err();
    assert_eq!((error.kind, error.hint), (ErrorKind::Storage, Some(Advice::StoreKey.into())));
    let left = folder.path().join("store.keys.new");
    std::fs::write(&left, "what a killed process left").unwrap();
    assert!(open(&folder).is_ok());
    assert!(!left.exists());
    std::fs::rename(folder.path().join("store.redb"), folder.path().join("elsewhere")).unwrap();
    let error = open(&folder).unwrap_err();
    assert!(error.message.contains("store.redb is gone"), "{error}");
    assert!(!folder.path().join("store.redb").exists(), "no empty store takes its place");
    std::fs::rename(folder.path().join("elsewhere"), folder.path().join("store.redb")).unwrap();
    std::fs::remove_file(folder.path().join("store.keys")).unwrap();
    let error = open(&folder).unwrap_err();
    assert!(error.message.contains("store.keys is gone"), "{error}");
    assert!(!folder.path().join("store.keys").exists(), "nothing takes the place of keys that are lost");
}
