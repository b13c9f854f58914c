use cipher_broker::time::Timestamp;
use tempfile::TempDir;

use super::*;

fn key(byte: u8) -> Key {
    Key::from_slice(&[byte; Key::LEN]).unwrap()
}

fn file(folder: &TempDir, byte: u8) -> TokenFile {
    TokenFile::in_folder(folder.path(), key(byte))
}

fn grant(name: &str) -> Grant {
    Grant {
        name: name.into(),
        created_at: Timestamp::from_millis(1),
        expires_at: Timestamp::from_millis(2),
        ..crate::token::grant::tests::grant(Some(&[1]), &["message.send"])
    }
}

/// A file with a token that opens with key 1.
fn sealed() -> (TempDir, TokenFile) {
    let folder = tempfile::tempdir().unwrap();
    let file = file(&folder, 1);
    file.write(&file.lock().unwrap(), vec![grant("oryx")]).unwrap();
    (folder, file)
}

fn names(file: &TokenFile) -> Result<Vec<String>, Error> {
    let tokens = file.tokens(file.bytes()?.as_deref())?;
    Ok(tokens.into_iter().map(|grant| grant.name).collect())
}

fn slots(file: &TokenFile) -> usize {
    SealedFile::slots_in(&file.bytes().unwrap().unwrap()).unwrap().len()
}

#[test]
fn a_file_that_was_changed_cut_off_or_is_of_another_profile_has_no_token_and_stays() {
    let (folder, file) = sealed();
    let whole = file.bytes().unwrap().unwrap();
    assert!(!whole.windows(4).any(|part| part == b"oryx"));
    let refuses = |bytes: &[u8], said: &str| {
        fs::write(folder.path().join(NAME), bytes).unwrap();
        let error = names(&file).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Storage);
        assert!(error.hint.is_some() && error.message.contains(said), "{error}");
        let error = file.write(&file.lock().unwrap(), Vec::new()).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Storage);
        assert_eq!(file.bytes().unwrap().unwrap(), bytes);
    };
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 4;
        refuses(&changed, "tokens");
        refuses(&whole[..at], "tokens");
    }
    let mut newer = whole.clone();
    newer[11] = 9;
    refuses(&newer, "by a newer version");
    refuses(b"{}", "is damaged");
    fs::write(folder.path().join(NAME), whole).unwrap();
    let error = names(&self::file(&folder, 2)).unwrap_err();
    assert!(error.message.contains("does not open with the keys of this profile"), "{error}");
    assert_eq!(names(&file).unwrap(), ["oryx"]);
}

/// Wherever a process ends that changes what opens the store, tokens open with what opens it then.
#[test]
fn tokens_open_with_both_keys_while_they_change_and_with_the_last_one_afterwards() {
    for ends_before in [true, false] {
        let (folder, before) = sealed();
        let after = file(&folder, 2);
        before.also_open_with(&before.lock().unwrap(), &key(2)).unwrap();
        assert_eq!(
            (names(&before).unwrap(), names(&after).unwrap()),
            (vec!["oryx".into()], vec!["oryx".into()])
        );
        // What is written meanwhile is for both.
        before.write(&before.lock().unwrap(), vec![grant("kudu")]).unwrap();
        assert_eq!((names(&after).unwrap(), slots(&before)), (vec!["kudu".to_owned()], 2));
        let (stays, goes) = if ends_before { (&before, &after) } else { (&after, &before) };
        stays.settle(&stays.lock().unwrap()).unwrap();
        assert_eq!((names(stays).unwrap(), slots(stays)), (vec!["kudu".to_owned()], 1));
        assert!(names(goes).is_err());
    }
}

#[test]
fn who_has_the_key_of_before_makes_no_file_that_the_next_one_does_not_open() {
    let folder = tempfile::tempdir().unwrap();
    let (before, after) = (file(&folder, 1), file(&folder, 2));
    before.also_open_with(&before.lock().unwrap(), &key(2)).unwrap();
    after.settle(&after.lock().unwrap()).unwrap();
    assert!(before.write(&before.lock().unwrap(), vec![grant("oryx")]).is_err());
    assert_eq!(names(&after).unwrap(), Vec::<String>::new());
    // Nothing is lost by what opens with neither.
    fs::write(folder.path().join(NAME), b"something").unwrap();
    before.also_open_with(&before.lock().unwrap(), &key(2)).unwrap();
    assert_eq!(before.bytes().unwrap().unwrap(), b"something");
}

#[test]
fn a_file_of_before_is_sealed_overwritten_and_gone_wherever_a_process_ended() {
    let page = Page { version: VERSION, tokens: vec![grant("oryx")] };
    let plain: &[u8] = &serde_json::to_vec_pretty(&page).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = file(&folder, 1);
    let (path, other) = (folder.path().join(PLAIN), folder.path().join("other"));
    let converts = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        let _ = fs::remove_file(&other);
        fs::hard_link(&path, &other).unwrap();
        fs::write(folder.path().join("tokens.77.draft"), bytes).unwrap();
        file.convert(&file.lock().unwrap()).unwrap();
        assert_eq!(names(&file).unwrap(), ["oryx"]);
        assert_eq!(fs::read(&other).unwrap(), vec![0; bytes.len()], "it is overwritten");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "tokens, and the other name");
    };
    converts(plain);
    // It ended before it had overwritten the file, in the middle of that, and before it had removed it.
    converts(plain);
    converts(&[&plain[..40], &[0; 20]].concat());
    converts(b"");
    // What was written since counts.
    file.write(&file.lock().unwrap(), vec![]).unwrap();
    fs::write(&path, plain).unwrap();
    file.convert(&file.lock().unwrap()).unwrap();
    assert_eq!(names(&file).unwrap(), Vec::<String>::new());
}

#[test]
fn the_opening_of_a_store_waits_for_nobody_who_has_the_lock() {
    let (_folder, file) = sealed();
    file.also_open_with(&file.lock().unwrap(), &key(2)).unwrap();
    let held = file.lock().unwrap();
    file.settle_if_free().unwrap();
    assert_eq!(slots(&file), 2);
    drop(held);
    file.settle_if_free().unwrap();
    assert_eq!(slots(&file), 1);
}

#[test]
fn a_damaged_file_of_before_is_named_and_stays() {
    let folder = tempfile::tempdir().unwrap();
    let file = file(&folder, 1);
    for text in ["", "{", "[]", r#"{"version":2,"tokens":[]}"#, r#"{"version":1}"#] {
        fs::write(folder.path().join(PLAIN), text).unwrap();
        let error = file.convert(&file.lock().unwrap()).unwrap_err();
        assert!(error.message.contains(PLAIN) && error.hint.is_some(), "{error}");
        assert_eq!(fs::read_to_string(folder.path().join(PLAIN)).unwrap(), text);
    }
}

/// What is damaged never costs what is whole.
#[test]
fn a_file_of_before_stays_as_long_as_the_sealed_one_beside_it_does_not_open() {
    let (folder, file) = sealed();
    let (sealed, plain) = (folder.path().join(NAME), folder.path().join(PLAIN));
    for bytes in [&b""[..], b"something"] {
        fs::write(&sealed, bytes).unwrap();
        fs::write(&plain, "{}").unwrap();
        // The lock is free again when the next one takes it.
        let converted = file.convert(&file.lock().unwrap());
        for outcome in [converted, file.settle_if_free()] {
            assert!(outcome.unwrap_err().message.contains("tokens, which holds the tokens, is damaged"));
        }
        assert_eq!((fs::read(&sealed).unwrap(), fs::read(&plain).unwrap()), (bytes.to_vec(), b"{}".to_vec()));
    }
}
