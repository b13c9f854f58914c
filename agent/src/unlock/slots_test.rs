use std::fs;

use cipher_seal::Passphrase;

use super::*;
use crate::unlock::find::{Unlocking, unlock};

fn words(words: &str) -> Unlock {
    Unlock::Passphrase(Passphrase::new(words.as_bytes()).unwrap())
}

/// A profile whose store is sealed with the key beside it.
fn sealed() -> (tempfile::TempDir, Profile, Unlock) {
    let home = tempfile::tempdir().unwrap();
    let profile = Profile::new(home.path(), "ana").unwrap();
    profile.prepare().unwrap();
    fs::write(profile.store(), b"x").unwrap();
    let key = unlock(&profile, &Unlocking::default()).unwrap();
    let file = SealedFile::make(&key, &mut OsRng);
    fs::write(profile.keys(), file.seal(b"keys", &mut OsRng)).unwrap();
    (home, profile, key)
}

fn open(profile: &Profile, unlock: &Unlock) -> Result<Slots, Error> {
    Held::take(profile.clone())?.open(unlock)
}

#[test]
fn a_store_that_is_open_or_not_sealed_keeps_its_slots() {
    let (_home, profile, key) = sealed();
    let held = Held::take(profile.clone()).unwrap();
    assert_eq!(Held::take(profile.clone()).unwrap_err().kind, ErrorKind::Locked);
    drop(held);
    assert_eq!(open(&profile, &words("guess")).unwrap_err().kind, ErrorKind::Storage);
    assert_eq!(list(&profile).unwrap(), [SlotKind::Key]);
    fs::remove_file(profile.keys()).unwrap();
    assert_eq!(list(&profile).unwrap_err().kind, ErrorKind::Misuse);
    assert_eq!(open(&profile, &key).unwrap_err().kind, ErrorKind::Misuse);
}

#[test]
fn a_passphrase_takes_the_place_of_the_key_which_is_erased_then_and_not_before() {
    let (home, profile, key) = sealed();
    let mut slots = open(&profile, &key).unwrap();
    assert_eq!(slots.add(&words("one")).unwrap(), 2);
    assert_eq!(slots.remove(2, &words("one")), Ok(false), "only what stays may remove");
    assert_eq!(slots.remove(3, &key).unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(slots.remove(0, &key).unwrap_err().kind, ErrorKind::NotFound);
    assert!(profile.key().exists());
    let other_name = home.path().join("key");
    fs::hard_link(profile.key(), &other_name).unwrap();
    assert_eq!(slots.remove(1, &words("one")), Ok(true));
    assert!(!profile.key().exists());
    assert_eq!(fs::read(other_name).unwrap(), [0; 32]);
    assert_eq!(slots.remove(1, &words("one")).unwrap_err().kind, ErrorKind::Misuse);
    drop(slots);
    assert!(open(&profile, &key).is_err());
    let mut slots = open(&profile, &words("one")).unwrap();
    assert_eq!(&*slots.body, b"keys");
    slots.change(&words("one"), &words("two")).unwrap();
    assert_eq!(slots.change(&words("one"), &words("three")).unwrap_err().kind, ErrorKind::NotFound);
    drop(slots);
    assert!(open(&profile, &words("one")).is_err());
    assert_eq!(open(&profile, &words("two")).unwrap().kinds(), [SlotKind::Passphrase]);
    assert_eq!(fs::read_dir(profile.dir()).unwrap().count(), 3, "store, keys and tokens, no draft");
}

#[test]
fn a_key_beside_the_store_that_opens_another_slot_stays() {
    let (home, profile, key) = sealed();
    let (named, made) = key_from(&home.path().join("ana.key")).unwrap();
    assert!(made && !key_from(&home.path().join("ana.key")).unwrap().1);
    let mut slots = open(&profile, &key).unwrap();
    slots.add(&named).unwrap();
    slots.add(&words("one")).unwrap();
    assert_eq!(slots.remove(2, &key), Ok(true));
    assert!(profile.key().exists());
    assert_eq!(slots.kinds(), [SlotKind::Key, SlotKind::Passphrase]);
    fs::write(home.path().join("short"), b"x").unwrap();
    for bad in ["short", "no/such/folder"] {
        assert_eq!(key_from(&home.path().join(bad)).unwrap_err().kind, ErrorKind::Storage, "{bad}");
    }
}

/// Nine do not fit.
#[test]
fn a_full_file_says_so() {
    let (_home, profile, key) = sealed();
    let mut slots = open(&profile, &key).unwrap();
    let outcomes: Vec<_> = (0..8).map(|_| slots.add(&Unlock::Key(Key::random(&mut OsRng)))).collect();
    assert!(outcomes[..7].iter().all(Result::is_ok));
    assert_eq!(outcomes[7].as_ref().unwrap_err().kind, ErrorKind::Limit);
}
