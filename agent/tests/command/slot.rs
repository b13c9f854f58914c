//! `slot`, on stores that nobody has open.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;

use cipher_seal::{Key, SealedFile, Unlock};
use rand_core::OsRng;
use rustix::process::Signal;
use serde_json::json;

use crate::support::Room;

/// A room with a profile whose store is sealed with the key beside it.
fn room() -> Room {
    let room = Room::new();
    room.write(".local/share/cipher-chat/profiles/default/store.redb", "");
    let key = Key::random(&mut OsRng);
    fs::write(file(&room, "store.key"), key.expose()).unwrap();
    fs::set_permissions(file(&room, "store.key"), fs::Permissions::from_mode(0o600)).unwrap();
    let sealed = SealedFile::make(&Unlock::Key(key), &mut OsRng).seal(b"keys", &mut OsRng);
    fs::write(file(&room, "store.keys"), sealed).unwrap();
    room
}

fn file(room: &Room, name: &str) -> PathBuf {
    room.home().join("profiles/default").join(name)
}

fn kinds(room: &Room) -> Vec<String> {
    let lines = room.run(&["slot", "list", "--json"]).succeeds().lines();
    assert!(lines.iter().zip(1..).all(|(line, at)| line["type"] == "slot" && line["number"] == at));
    lines.iter().map(|line| line["kind"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_passphrase_takes_the_place_of_the_key_by_script() {
    let room = room();
    assert_eq!(room.run(&["slot", "list"]).succeeds().stdout, "SLOT  KIND\n1     key\n");
    let add = ["slot", "add", "passphrase", "--new-passphrase-fd", "0"];
    let added = room.run_with(&[&add[..], &["--json"]].concat(), b"correct horse\n").succeeds();
    assert_eq!(added.lines(), [json!({ "type": "slot", "number": 2, "kind": "passphrase" })]);
    // What is to go cannot be what proves that something stays.
    let refused = room.run(&["--no-input", "slot", "remove", "1"]).fails(7);
    assert!(refused.stderr.contains("--passphrase-fd"), "{}", refused.stderr);
    let wrong = room.run_with(&["--passphrase-fd", "0", "slot", "remove", "1"], b"Correct horse\n").fails(7);
    assert!(wrong.stderr.contains("does not open"), "{}", wrong.stderr);
    let itself = room.run_with(&["--passphrase-fd", "0", "slot", "remove", "2"], b"correct horse\n").fails(7);
    assert!(itself.stderr.contains("opens no slot that stays"), "{}", itself.stderr);
    assert_eq!(kinds(&room), ["key", "passphrase"]);
    let _ = room.run_with(&["--passphrase-fd", "0", "slot", "remove", "1"], b"correct horse\n").succeeds();
    assert!(!file(&room, "store.key").exists());
    assert_eq!(kinds(&room), ["passphrase"]);

    let change = ["--passphrase-fd", "0", "slot", "passphrase", "--new-passphrase-fd", "0"];
    let changed = room.run_with(&change, b"correct horse\nbattery\n").succeeds();
    assert_eq!(changed.stdout, "changed passphrase\n");
    assert!(room.run_with(&change, b"correct horse\nbattery\n").fails(7).stderr.contains("does not open"));
    let last = room.run_with(&["--passphrase-fd", "0", "slot", "remove", "1"], b"battery\n").fails(1);
    assert!(last.stderr.contains("the only slot"), "{}", last.stderr);

    let add = ["--passphrase-fd", "0", "slot", "add", "key-file", "ana.key"];
    let _ = room.run_with(&add, b"battery\n").succeeds();
    assert_eq!(fs::metadata(room.path().join("ana.key")).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(kinds(&room), ["passphrase", "key"]);
    let _ = room.run(&["--key-file", "ana.key", "slot", "remove", "1"]).succeeds();
    assert_eq!(kinds(&room), ["key"]);
    let gone = room.run(&["slot", "add", "key-file", "other.key"]).fails(7);
    assert!(gone.stderr.contains("store.key is not there to open it"), "{}", gone.stderr);
    let room = room.with("CIPHER_CHAT_KEY_FILE", "ana.key");
    let _ = room.run(&["slot", "add", "key-file", "other.key"]).succeeds();
    assert!(room.run(&["slot", "remove", "9"]).fails(9).stderr.contains("no slot 9"));
}

#[test]
fn a_person_is_asked_at_the_terminal_and_nothing_of_it_is_shown() {
    let room = room();
    let (status, screen) = room.at_terminal(
        &["slot", "add", "passphrase"],
        &[("New passphrase: ", "correct horse\n"), ("The same again: ", "correct house\n")],
    );
    assert!(status.code() == Some(2) && screen.contains("differ"), "{screen}");
    let (status, screen) = room.at_terminal(
        &["slot", "add", "passphrase"],
        &[("New passphrase: ", "correct horse\n"), ("The same again: ", "correct horse\n")],
    );
    assert!(status.success() && !screen.contains("horse"), "{screen}");
    let question = "profiles/default: ";
    let (status, screen) = room.at_terminal(&["slot", "remove", "1"], &[(question, "wrong\n")]);
    assert!(status.code() == Some(7), "{screen}");
    assert!(file(&room, "store.key").exists());
    let (status, screen) = room.at_terminal(&["slot", "remove", "1"], &[(question, "correct horse\n")]);
    assert!(status.success() && !screen.contains("horse") && !file(&room, "store.key").exists(), "{screen}");
    let (status, screen) = room.at_terminal(
        &["slot", "passphrase"],
        &[
            (question, "correct horse\n"),
            ("New passphrase: ", "battery\n"),
            ("The same again: ", "battery\n"),
        ],
    );
    assert!(status.success() && screen.contains("changed passphrase"), "{screen}");
}

/// Ctrl-C, the window that is closed, a service manager: nothing leaves a terminal behind that shows nothing.
#[test]
fn a_question_that_a_signal_ends_gives_the_terminal_back_and_the_command_ends_by_it() {
    let room = room();
    let questions = [
        (&["slot", "add", "passphrase"][..], "New passphrase: "),
        (&["--server", "nats://127.0.0.1:1", "device", "recover"], "Recovery phrase (not shown): "),
    ];
    for (args, question) in questions {
        for signal in [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT] {
            let mut asked = room.asks(args, question);
            asked.types("half");
            asked.gets(signal);
            assert_eq!(asked.ends().signal(), Some(signal.as_raw()), "{args:?}");
        }
        for (key, signal) in [("\u{3}", Signal::INT), ("\u{1c}", Signal::QUIT)] {
            let mut asked = room.asks(args, question);
            asked.types(&format!("half{key}"));
            assert_eq!(asked.ends().signal(), Some(signal.as_raw()), "{args:?}");
        }
    }
    assert_eq!(kinds(&room), ["key"]);
}

#[test]
fn a_command_that_is_stopped_at_its_question_gives_the_terminal_back_and_asks_again() {
    let room = room();
    let (status, screen) = room.at_terminal_of_a_shell(
        &["slot", "add", "passphrase"],
        &[
            ("New passphrase: ", "half\u{1a}"),
            ("stopped shows\r\n", ""),
            ("New passphrase: ", "correct horse\n"),
            ("The same again: ", "correct horse\n"),
        ],
    );
    assert!(status.success() && !screen.contains("horse"), "{screen}");
    let remove = ["--passphrase-fd", "0", "slot", "remove", "1"];
    let _ = room.run_with(&remove, b"correct horse\n").succeeds();
}

/// A shell gives a pipe, a file, or for `<<<` whichever it likes.
#[test]
fn two_passphrases_of_one_descriptor_are_its_lines_in_their_order() {
    let room = room();
    let add = ["slot", "add", "passphrase", "--new-passphrase-fd", "0"];
    let _ = room.run_with(&add, b"one\n").succeeds();
    fs::write(room.path().join("words"), "two\nthree\n").unwrap();
    let change = "--passphrase-fd 3 slot passphrase --new-passphrase-fd 3";
    for redirected in ["3< <(printf 'one\\ntwo\\n')", "3< words", "3<<< $'three\\nfour'"] {
        let outcome = room.in_shell(&format!("{{}} {change} {redirected}"));
        assert_eq!(outcome.succeeds().stdout, "changed passphrase\n", "{redirected}");
    }
    // A key opens the store too, so nothing asks for the first line: it is that of the store all the same.
    let add = "--key-file store.key --passphrase-fd 3 slot add passphrase --new-passphrase-fd 3";
    fs::copy(file(&room, "store.key"), room.path().join("store.key")).unwrap();
    let _ = room.in_shell(&format!("{{}} {add} 3<<< $'four\\nfive'")).succeeds();
    let _ = room.run_with(&["--passphrase-fd", "0", "slot", "remove", "1"], b"five\n").succeeds();
    // One line is not two.
    let change = format!("{{}} {change} 3<<< five");
    let refused = room.in_shell(&change).fails(2);
    assert!(refused.stderr.contains("no passphrase was given"), "{}", refused.stderr);
    assert_eq!(kinds(&room), ["passphrase", "passphrase"]);
}

#[test]
fn slots_stay_as_they_are_while_the_profile_is_open_or_not_sealed() {
    let room = room();
    let store = File::open(file(&room, "store.redb")).unwrap();
    rustix::fs::flock(&store, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let locked = room.run(&["--json", "slot", "add", "key-file", "ana.key"]).fails(7);
    let error = &locked.errors()[0];
    assert_eq!((&error["kind"], &error["retryable"]), (&json!("locked"), &json!(true)));
    assert!(error["hint"].as_str().unwrap().contains("stop it first"), "{error}");
    assert!(!room.path().join("ana.key").exists());
    assert_eq!(kinds(&room), ["key"]);
    drop(store);
    fs::remove_file(file(&room, "store.keys")).unwrap();
    for args in [&["slot", "list"][..], &["slot", "passphrase"], &["slot", "add", "key-file", "ana.key"]] {
        assert!(
            room.run(args).fails(1).stderr.contains("was not sealed yet, or the file is lost"),
            "{args:?}"
        );
    }
    let _ = Room::new().run(&["slot", "list"]).fails(1);
    let _ = Room::new().run(&["--passphrase-fd", "three", "slot", "list"]).fails(2);
    let _ = Room::new().with("CIPHER_CHAT_PASSPHRASE_FD", "three").run(&["slot", "list"]).fails(2);
}

#[test]
fn a_build_without_the_keyring_says_so_and_one_with_it_that_no_session_has_one() {
    let room = room().with("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere");
    let refused = room.run(&["slot", "add", "keyring"]).fails(7);
    assert!(refused.stderr.contains("the system's keyring"), "{}", refused.stderr);
    assert_eq!(kinds(&room), ["key"]);
}

/// At a session bus with an unlocked Secret Service: `dbus-run-session`, then `gnome-keyring-daemon --unlock`, then
/// `cargo test -p cipher-chat --features keyring --test runner keyring -- --ignored`.
#[cfg(feature = "keyring")]
#[test]
#[ignore = "needs a session with a keyring"]
fn a_key_in_the_keyring_opens_the_store_and_goes_with_its_slot() {
    let bus = std::env::var("DBUS_SESSION_BUS_ADDRESS").unwrap();
    let room = room().with("DBUS_SESSION_BUS_ADDRESS", &bus);
    let added = room.run(&["--json", "slot", "add", "keyring"]).succeeds();
    assert_eq!(added.lines(), [json!({ "type": "slot", "number": 2, "kind": "keyring" })]);
    assert!(room.run(&["slot", "add", "keyring"]).fails(8).stderr.contains("opens this store already"));
    let _ = room.run(&["slot", "remove", "1"]).succeeds();
    assert!(!file(&room, "store.key").exists());
    assert_eq!(kinds(&room), ["keyring"]);
    let add = ["slot", "add", "passphrase", "--new-passphrase-fd", "0"];
    let _ = room.run_with(&add, b"correct horse\n").succeeds();
    // Without the session the passphrase is asked for; with it the keyring is enough.
    let nobody = room.with("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere");
    let asked = nobody.run(&["--no-input", "slot", "add", "key-file", "ana.key"]).fails(7);
    assert!(asked.stderr.contains("opens with a passphrase"), "{}", asked.stderr);
    let room = nobody.with("DBUS_SESSION_BUS_ADDRESS", &bus);
    let _ = room.run(&["slot", "add", "key-file", "ana.key"]).succeeds();
    let _ = room.run(&["--key-file", "ana.key", "slot", "remove", "1"]).succeeds();
    let _ = room.run(&["--key-file", "ana.key", "slot", "add", "keyring"]).succeeds();
    assert_eq!(kinds(&room), ["passphrase", "key", "keyring"]);
}

/// Each refusal says what is wrong before anything is asked for, and leaves nothing behind.
#[test]
fn what_opens_a_store_is_added_once_and_a_person_learns_what_still_opens_it() {
    let room = room();
    let add = |file: &str, code: i32| {
        let outcome = room.run(&["slot", "add", "key-file", file]);
        assert_eq!(outcome.code, Some(code), "{}", outcome.stderr);
        outcome.stderr
    };
    assert!(add(file(&room, "store.key").to_str().unwrap(), 8).contains("slot 1 opens with that already"));
    assert!(add("none/ana.key", 7).contains("check its folder"));
    let passphrase = ["slot", "add", "passphrase", "--new-passphrase-fd", "0"];
    let added = room.run_with(&passphrase, b"correct horse\n").succeeds();
    let note = "store.key beside the store still opens it, without anybody being asked, until its slot is removed: cipher-chat slot remove 1\n";
    assert!(added.stderr.ends_with(note), "{}", added.stderr);
    assert!(
        room.run_with(&passphrase, b"correct horse\n")
            .fails(8)
            .stderr
            .contains("slot 2 opens with that already")
    );
    let first = room.run(&["slot", "remove", "1"]).fails(7).stderr;
    assert!(first.contains("slot 1 goes only if what opens another one is given"), "{first}");
    assert_eq!(kinds(&room), ["key", "passphrase"]);
    for number in 3..=8 {
        assert!(!add(&format!("{number}.key"), 0).contains("error"), "{number}");
    }
    assert!(add("9.key", 5).contains("first remove one"));
    assert!(!room.path().join("9.key").exists(), "a key that opens nothing");
    // Whatever is given: before a passphrase is asked for.
    assert!(
        room.run(&["--passphrase-fd", "99", "slot", "remove", "9"]).fails(9).stderr.contains("no slot 9")
    );
}
