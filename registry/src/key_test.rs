use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::*;
use crate::settings::{Login, Unlocking};

const SEED: [u8; 32] = [7; 32];

fn settings(folder: &Path) -> Settings {
    Settings::new("nats://127.0.0.1:1", Login::None, folder)
}

fn with(folder: &Path, unlocking: Unlocking) -> Settings {
    Settings { unlocking, ..settings(folder) }
}

/// Every name in a folder, and its rights.
fn names(folder: &Path) -> Vec<(String, u32)> {
    let mut found: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), entry.metadata().unwrap().mode() & 0o777))
        .collect();
    found.sort();
    found
}

fn sealed_with_its_own() -> Vec<(String, u32)> {
    vec![("registry.key".into(), 0o600), ("registry.unlock".into(), 0o600)]
}

fn write(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn of_seed() -> [u8; 32] {
    RegistryKey::new(SigningKey::from_bytes(&SEED)).public()
}

#[test]
fn the_key_is_made_once_sealed_and_stays() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let first = RegistryKey::load_or_create(&settings).unwrap();
    let second = RegistryKey::load_or_create(&settings).unwrap();
    assert_eq!(first.public(), second.public());
    assert_eq!(RegistryKey::load(&settings).unwrap().public(), first.public());
    assert_eq!(names(folder.path()), sealed_with_its_own(), "no draft is left behind");
    let seed = first.signer().to_bytes();
    let sealed = fs::read(folder.path().join(FILE)).unwrap();
    assert!(!sealed.windows(32).any(|part| part == seed));
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    for name in [FILE, "registry.unlock"] {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(folder.path());
        RegistryKey::load_or_create(&settings).unwrap();
        for mode in [0o640, 0o604, 0o666] {
            fs::set_permissions(folder.path().join(name), fs::Permissions::from_mode(mode)).unwrap();
            let refused = RegistryKey::load_or_create(&settings);
            assert!(matches!(refused, Err(Error::Key { .. })), "{name} {mode:o}");
        }
    }
}

#[test]
fn a_damaged_or_foreign_key_file_is_refused_in_one_sentence_and_never_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let (settings, path) = (settings(folder.path()), folder.path().join(FILE));
    RegistryKey::load_or_create(&settings).unwrap();
    let whole = fs::read(&path).unwrap();
    let mut cases = vec![vec![], vec![1; 31], vec![1; 33], b"-----BEGIN PRIVATE KEY-----\n".to_vec()];
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        cases.push(changed);
        cases.push(whole[..at].to_vec());
    }
    for case in cases {
        write(&path, &case);
        let refused = RegistryKey::load_or_create(&settings).unwrap_err();
        assert!(matches!(refused, Error::Key { .. } | Error::Unlock { .. }), "{refused:?}");
        assert!(!refused.to_string().contains('\n') && !refused.hint().is_empty());
        assert_eq!(fs::read(&path).unwrap(), case);
    }
}

#[test]
fn a_key_in_the_clear_is_sealed_in_its_place_by_who_serves_and_read_by_who_asks() {
    let folder = tempfile::tempdir().unwrap();
    let (settings, path) = (settings(folder.path()), folder.path().join(FILE));
    write(&path, &SEED);
    assert_eq!(RegistryKey::load(&settings).unwrap().public(), of_seed());
    assert_eq!(fs::read(&path).unwrap(), SEED, "an operator's command changes nothing");
    // Another name for the same bytes shows what becomes of them.
    let before = folder.path().join("before");
    fs::hard_link(&path, &before).unwrap();
    assert_eq!(RegistryKey::load_or_create(&settings).unwrap().public(), of_seed());
    assert_eq!(fs::read(&before).unwrap(), [0; 32]);
    fs::remove_file(before).unwrap();
    assert_eq!(names(folder.path()), sealed_with_its_own());
    assert_eq!(RegistryKey::load(&settings).unwrap().public(), of_seed());
}

/// Everything that a process which is killed while it converts can leave behind.
#[test]
fn a_conversion_that_was_cut_off_anywhere_is_finished() {
    let done = tempfile::tempdir().unwrap();
    write(&done.path().join(FILE), &SEED);
    RegistryKey::load_or_create(&settings(done.path())).unwrap();
    let (sealed, unlock) =
        (fs::read(done.path().join(FILE)).unwrap(), fs::read(done.path().join("registry.unlock")).unwrap());
    type Left<'a> = &'a dyn Fn(&Path);
    let steps: [(&str, Left<'_>); 6] = [
        ("the unlocking key is made", &|folder| {
            write(&folder.join(FILE), &SEED);
            write(&folder.join("registry.unlock"), &unlock);
        }),
        ("the key has its second name", &|folder| {
            write(&folder.join(FILE), &SEED);
            write(&folder.join("registry.unlock"), &unlock);
            fs::hard_link(folder.join(FILE), folder.join("registry.key.old")).unwrap();
        }),
        ("the sealed one is half written beside", &|folder| {
            write(&folder.join(FILE), &SEED);
            write(&folder.join("registry.unlock"), &unlock);
            fs::hard_link(folder.join(FILE), folder.join("registry.key.old")).unwrap();
            write(&folder.join("registry.key.new"), &sealed[..50]);
        }),
        ("the sealed one is in place", &|folder| {
            write(&folder.join(FILE), &sealed);
            write(&folder.join("registry.unlock"), &unlock);
            write(&folder.join("registry.key.old"), &SEED);
        }),
        ("the old one is overwritten", &|folder| {
            write(&folder.join(FILE), &sealed);
            write(&folder.join("registry.unlock"), &unlock);
            write(&folder.join("registry.key.old"), &[0; 32]);
        }),
        ("all is done", &|folder| {
            write(&folder.join(FILE), &sealed);
            write(&folder.join("registry.unlock"), &unlock);
        }),
    ];
    for (step, left) in steps {
        let folder = tempfile::tempdir().unwrap();
        left(folder.path());
        let settings = settings(folder.path());
        assert_eq!(RegistryKey::load(&settings).unwrap().public(), of_seed(), "{step}");
        assert_eq!(RegistryKey::load_or_create(&settings).unwrap().public(), of_seed(), "{step}");
        assert_eq!(names(folder.path()), sealed_with_its_own(), "{step}");
        assert_ne!(fs::read(folder.path().join(FILE)).unwrap(), SEED, "{step}");
    }
}

#[test]
fn the_key_of_another_registry_is_not_erased_as_if_it_were_left_over() {
    let folder = tempfile::tempdir().unwrap();
    let (settings, old) = (settings(folder.path()), folder.path().join("registry.key.old"));
    write(&folder.path().join(FILE), &SEED);
    write(&old, &[8; 32]);
    let refused = RegistryKey::load_or_create(&settings).unwrap_err();
    assert!(matches!(&refused, Error::Key { path, .. } if *path == old), "{refused:?}");
    fs::remove_file(&old).unwrap();
    RegistryKey::load_or_create(&settings).unwrap();
    write(&old, &[8; 32]);
    RegistryKey::load_or_create(&settings).unwrap();
    assert_eq!(fs::read(&old).unwrap(), [8; 32]);
}

#[test]
fn what_opens_the_key_is_looked_for_in_order_and_what_is_named_must_open_it() {
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| -> PathBuf {
        let path = elsewhere.path().join(name);
        write(&path, bytes);
        path
    };
    let (mine, other) = (file("mine", &[1; 32]), file("other", &[2; 32]));
    file("cipher-registry-key", &[3; 32]);
    let credentials = Some(elsewhere.path().to_owned());
    let named = |key_file: &Path| Unlocking { key_file: Some(key_file.into()), ..Unlocking::default() };
    let both = Unlocking { credentials: credentials.clone(), ..named(&mine) };
    let made = RegistryKey::load_or_create(&with(folder.path(), both)).unwrap().public();
    assert_eq!(names(folder.path()), [("registry.key".into(), 0o600)], "no key is made beside it");
    let public = |unlocking| RegistryKey::load(&with(folder.path(), unlocking)).map(|key| key.public());
    assert_eq!(public(named(&mine)).unwrap(), made);
    let credential = Unlocking { credentials, ..Unlocking::default() };
    let nowhere = elsewhere.path().join("nowhere");
    for (unlocking, said) in [
        (named(&other), "does not open the file"),
        (credential.clone(), "does not open the file"),
        (named(&nowhere), "nowhere cannot be opened: it cannot be read"),
        (named(&file("short", &[1; 31])), "does not hold a key of 32 bytes"),
        (Unlocking::default(), "registry.unlock is not there"),
        (Unlocking { passphrase_fd: Some(99_999), ..Unlocking::default() }, "passphrase cannot be read"),
    ] {
        let error = public(unlocking).unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
        assert_eq!((error.exit_code(), error.kind()), (7, "key-locked"));
    }
    // A credential of its own opens another one.
    let second = tempfile::tempdir().unwrap();
    RegistryKey::load_or_create(&with(second.path(), credential)).unwrap();
    let third =
        Unlocking { key_file: Some(elsewhere.path().join("cipher-registry-key")), ..Unlocking::default() };
    RegistryKey::load(&with(second.path(), third)).unwrap();
}

#[test]
fn a_key_is_sealed_by_a_passphrase_and_opens_with_no_other() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join(FILE), &SEED);
    let given = |words: &str| {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), words).unwrap();
        // As if the process had been started with it.
        rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::empty()).unwrap();
        let number = std::os::fd::AsRawFd::as_raw_fd(file.as_file()).try_into().unwrap();
        let unlocking = Unlocking { passphrase_fd: Some(number), ..Unlocking::default() };
        RegistryKey::load_or_create(&with(folder.path(), unlocking)).map(|key| key.public())
    };
    assert_eq!(given("correct horse\n").unwrap(), of_seed());
    assert_eq!(names(folder.path()), [("registry.key".into(), 0o600)]);
    assert_eq!(given("correct horse").unwrap(), of_seed());
    let wrong = given("Correct horse").unwrap_err();
    assert!(wrong.to_string().contains("does not open"), "{wrong}");
}

#[test]
fn its_debug_form_shows_nothing() {
    let key = RegistryKey::new(SigningKey::from_bytes(&[7; 32]));
    assert_eq!(format!("{key:?}"), "RegistryKey(secret)");
}
