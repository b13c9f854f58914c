use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;

use rand_core::OsRng;

use super::*;

/// What lies in a folder.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_file_gets_a_name_that_nothing_has_and_leaves_nothing_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("alice.backup");
    let new = NewFile::beside(&place, &mut OsRng).unwrap();
    new.file().write_all(b"whole").unwrap();
    assert!(!place.exists());
    new.name(&place).unwrap();
    assert_eq!(fs::read(&place).unwrap(), b"whole");
    assert_eq!(fs::metadata(&place).unwrap().permissions().mode() & 0o777, 0o600);
    let second = NewFile::beside(&place, &mut OsRng).unwrap();
    assert_eq!(second.name(&place).unwrap_err().kind(), ErrorKind::AlreadyExists);
    drop(NewFile::beside(&place, &mut OsRng).unwrap());
    assert_eq!(names(folder.path()), ["alice.backup"]);
    assert_eq!(fs::read(&place).unwrap(), b"whole");
    assert!(NewFile::beside(&folder.path().join("no/such"), &mut OsRng).is_err());
}

/// A name that a person would choose, or another content than a sealed stream's, is a person's.
#[test]
fn what_a_killed_process_left_is_removed_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("alice.backup");
    let kept = [
        "alice.backup.part",
        "alice.backup.draft-1",
        "cipher-unfinished-",
        "cipher-unfinished-0123456789abcdef.txt",
        "cipher-unfinished-0123456789abcdeg",
        "cipher-unfinished-ffffffffffffffff",
    ];
    for name in kept {
        fs::write(folder.path().join(name), "cipher-stream").unwrap();
    }
    fs::write(folder.path().join(kept[5]), "words").unwrap();
    std::os::unix::fs::symlink("alice.backup.part", folder.path().join("cipher-unfinished-1111111111111111"))
        .unwrap();
    let left = ["cipher-unfinished-0123456789abcdef", "cipher-unfinished-0000000000000000"];
    fs::write(folder.path().join(left[0]), "cipher-stream and the rest").unwrap();
    fs::write(folder.path().join(left[1]), "").unwrap();
    // Another process is at it.
    let other = NewFile::beside(&place, &mut OsRng).unwrap();
    other.file().write_all(b"cipher-stream").unwrap();
    let new = NewFile::beside(&place, &mut OsRng).unwrap();
    assert!(other.path().exists() && new.path().exists());
    drop((new, other));
    let mut expected = kept.map(str::to_owned).to_vec();
    expected.push("cipher-unfinished-1111111111111111".into());
    expected.sort();
    assert_eq!(names(folder.path()), expected);
}

#[test]
fn what_is_in_no_folder_leaves_nothing_there_until_it_has_a_name_that_nothing_has() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("page.html");
    let new = NewFile::unseen(&place, &mut OsRng).unwrap();
    new.file().write_all(b"whole").unwrap();
    let seen = usize::from(!new.unseen);
    assert_eq!(names(folder.path()).len(), seen, "but where the system cannot do that");
    assert_eq!(fs::read(new.path()).unwrap(), b"whole");
    new.name(&place).unwrap();
    assert_eq!(fs::metadata(&place).unwrap().permissions().mode() & 0o777, 0o600);
    let second = NewFile::unseen(&place, &mut OsRng).unwrap();
    assert_eq!(second.name(&place).unwrap_err().kind(), ErrorKind::AlreadyExists);
    drop(NewFile::unseen(&place, &mut OsRng).unwrap());
    assert_eq!(names(folder.path()), ["page.html"]);
    assert_eq!(fs::read(&place).unwrap(), b"whole");
    assert!(NewFile::unseen(&folder.path().join("no/such"), &mut OsRng).is_err());
}
