use std::fs::{self, File, Permissions};
use std::io::{Seek as _, Write as _};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::PermissionsExt as _;

use super::*;

/// The folder of a home, and a profile in it.
fn profile() -> (tempfile::TempDir, Profile) {
    let home = tempfile::tempdir().unwrap();
    let profile = Profile::new(home.path(), "ana").unwrap();
    profile.prepare().unwrap();
    (home, profile)
}

fn seal(profile: &Profile, unlock: &Unlock) {
    let file = SealedFile::make(unlock, &mut OsRng);
    fs::write(profile.keys(), file.seal(b"keys", &mut OsRng)).unwrap();
}

fn opens(profile: &Profile, unlock: &Unlock) -> Result<(), FileError> {
    SealedFile::open(&fs::read(profile.keys()).unwrap(), unlock).map(|_| ())
}

fn rights(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

/// A file that holds words, and the number of its descriptor.
fn descriptor(words: &str) -> (File, u32) {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(words.as_bytes()).unwrap();
    file.rewind().unwrap();
    let number = handed_over(&file);
    (file, number)
}

/// The number of a descriptor, which is now as if the process had been started with it.
fn handed_over(descriptor: &(impl AsFd + AsRawFd)) -> u32 {
    rustix::io::fcntl_setfd(descriptor, rustix::io::FdFlags::empty()).unwrap();
    descriptor.as_raw_fd().try_into().unwrap()
}

fn by_descriptor(number: u32) -> Unlocking {
    Unlocking::new(None, None, Some(number), false)
}

#[test]
fn a_new_profile_gets_a_key_of_its_own_which_opens_it_from_then_on() {
    let (_home, profile) = profile();
    let nothing = Unlocking::default();
    let made = unlock(&profile, &nothing).unwrap();
    assert_eq!((rights(&profile.key()), profile.key().metadata().unwrap().len()), (0o600, 32));
    // A process that was killed before the store was made leaves a key that the next one uses.
    seal(&profile, &made);
    assert_eq!(opens(&profile, &unlock(&profile, &nothing).unwrap()), Ok(()));
    fs::set_permissions(profile.key(), Permissions::from_mode(0o644)).unwrap();
    assert_eq!(opens(&profile, &unlock(&profile, &nothing).unwrap()), Ok(()));
    assert_eq!(rights(&profile.key()), 0o600);
}

#[test]
fn a_key_that_is_gone_or_damaged_is_named_and_never_replaced() {
    let (_home, profile) = profile();
    let nothing = Unlocking::default();
    seal(&profile, &unlock(&profile, &nothing).unwrap());
    for bytes in [None, Some(&[1; 31][..]), Some(b"")] {
        match bytes {
            None => fs::remove_file(profile.key()).unwrap(),
            Some(bytes) => fs::write(profile.key(), bytes).unwrap(),
        }
        let error = unlock(&profile, &nothing).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Storage);
        assert!(error.message.contains("store.key") && error.hint.is_some(), "{error}");
        assert_eq!(fs::read(profile.key()).ok().as_deref(), bytes);
    }
}

#[test]
fn keys_that_are_damaged_foreign_or_newer_are_told_apart() {
    let (_home, profile) = profile();
    seal(&profile, &unlock(&profile, &Unlocking::default()).unwrap());
    let whole = fs::read(profile.keys()).unwrap();
    let mut newer = whole.clone();
    newer[11] = 9;
    for (bytes, said) in [
        (&b"something else"[..], "does not hold the keys of a store"),
        (&whole[..40], "is damaged"),
        (&newer, "by a newer version"),
    ] {
        fs::write(profile.keys(), bytes).unwrap();
        let error = unlock(&profile, &Unlocking::default()).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Storage);
        assert!(error.message.contains(said), "{error}");
    }
    fs::write(profile.keys(), whole).unwrap();
    let guess = Unlock::Key(Key::random(&mut OsRng));
    let wrong = keys(&profile, &guess).unwrap_err();
    assert!(wrong.message.contains("does not open") && wrong.kind == ErrorKind::Storage, "{wrong}");
    fs::remove_file(profile.keys()).unwrap();
    assert_eq!(keys(&profile, &guess).unwrap_err().kind, ErrorKind::Misuse);
}

#[test]
fn what_is_named_counts_in_order_and_nothing_else_is_made() {
    let (home, profile) = profile();
    let file = |name: &str, byte: u8| {
        let path = home.path().join(name);
        fs::write(&path, [byte; 32]).unwrap();
        path
    };
    let named = file("named", 1);
    file("cipher-chat-key", 2);
    let credentials = Some(home.path().to_owned());
    let (_kept, number) = descriptor("words");
    let key = |unlocking: &Unlocking| match unlock(&profile, unlocking).unwrap() {
        Unlock::Key(key) => key.expose()[0],
        Unlock::Passphrase(_) | Unlock::Keyring(_) => 3,
    };
    let all = Unlocking::new(Some(named), credentials, Some(number), false);
    assert_eq!(key(&all), 1);
    assert_eq!(key(&Unlocking { key_file: None, ..all.clone() }), 2);
    assert_eq!(key(&Unlocking { key_file: None, credentials: None, ..all }), 3);
    // A folder of credentials for something else is no reason to stop.
    let (_kept, number) = descriptor("words");
    let other = Unlocking::new(None, Some(home.path().join("profiles")), Some(number), false);
    assert_eq!(key(&other), 3);
    assert!(!profile.key().exists());
    for (name, bytes) in [("missing", None), ("short", Some([1; 31]))] {
        let path = home.path().join(name);
        if let Some(bytes) = bytes {
            fs::write(&path, bytes).unwrap();
        }
        let error = unlock(&profile, &Unlocking::new(Some(path), None, None, false)).unwrap_err();
        assert!(error.message.contains(name) && error.kind == ErrorKind::Storage, "{error}");
    }
}

#[test]
fn a_passphrase_comes_from_a_descriptor_once_for_all_that_is_opened() {
    let (_home, profile) = profile();
    let words = Unlock::Passphrase(Passphrase::new(b"correct horse").unwrap());
    seal(&profile, &words);
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(b"correct horse\n").unwrap();
    drop(writer);
    let unlocking = by_descriptor(handed_over(&reader));
    for _ in 0..2 {
        assert_eq!(opens(&profile, &unlock(&profile, &unlocking.clone()).unwrap()), Ok(()));
    }
    assert!(!format!("{unlocking:?}").contains("horse"));
    let (_kept, number) = descriptor("wrong horse\n");
    let wrong = unlock(&profile, &by_descriptor(number)).unwrap();
    assert_eq!(opens(&profile, &wrong), Err(FileError::WrongKey));
    // Only a passphrase opens it, and nobody may be asked.
    let error = unlock(&profile, &Unlocking::default()).unwrap_err();
    let Some(Hint::Text { text }) = &error.hint else { panic!("{error:?}") };
    assert!(error.kind == ErrorKind::Storage && text.contains("--passphrase-fd"), "{error}: {text}");
    assert!(!profile.key().exists());
    // Nor is the key beside it, when another one opens it too and lies elsewhere.
    let mut file = SealedFile::make(&words, &mut OsRng);
    file.add(&Unlock::Key(Key::random(&mut OsRng)), &mut OsRng).unwrap();
    fs::write(profile.keys(), file.seal(b"keys", &mut OsRng)).unwrap();
    let error = unlock(&profile, &Unlocking::default()).unwrap_err();
    assert!(error.message.contains("opens with a passphrase"), "{error}");
    for (words, said) in [("", "no passphrase was given"), ("\n", "no passphrase was given")] {
        let (_kept, number) = descriptor(words);
        assert!(unlock(&profile, &by_descriptor(number)).unwrap_err().message.contains(said));
    }
    assert!(unlock(&profile, &by_descriptor(99_999)).unwrap_err().message.contains("cannot be read"));
}
