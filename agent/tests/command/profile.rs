//! Profiles that are not there, or empty.

use std::os::unix::fs::PermissionsExt as _;

use cipher_core::{Core, Folder, Options};
use cipher_seal::{Key, Unlock};

use crate::support::{Outcome, Room};

const COMMANDS: [&[&str]; 21] = [
    &["whoami"],
    &["send", "@bob", "hi"],
    &["read", "@bob"],
    &["tail"],
    &["sync"],
    &["group", "list"],
    &["contact", "list"],
    &["contact", "requests"],
    &["contact", "decline", "@bob"],
    &["contact", "block", "@bob"],
    &["contact", "verify", "@bob"],
    &["device", "list"],
    &["device", "rename", "laptop", "x"],
    &["device", "revoke", "laptop", "--yes"],
    &["device", "approve", "abcd-efgh", "--compare", "1"],
    &["group", "invite", "ops"],
    &["group", "requests"],
    &["profile", "set", "--requests", "contacts"],
    &["profile", "show"],
    &["bot", "run", "echo"],
    &["bot", "register", "echo"],
];

#[test]
fn an_unknown_profile_is_not_found_and_not_made() {
    for command in COMMANDS {
        let room = Room::new();
        let outcome = room.run(&[command, &["--profile", "nosuch"]].concat()).fails(9);
        assert!(outcome.stderr.contains("no profile nosuch"), "{command:?}: {}", outcome.stderr);
        assert!(!room.home().exists(), "{command:?} made a folder");
    }
}

#[test]
fn the_profiles_that_exist_are_named() {
    let room = Room::new();
    for name in ["alice", "bob"] {
        room.write(&format!(".local/share/cipher-chat/profiles/{name}/store.redb"), "x");
    }
    let errors = room.run(&["whoami", "--profile", "carol", "--json"]).fails(9).errors();
    assert_eq!(errors[0]["kind"], "not-found");
    assert_eq!(errors[0]["hint"], "profiles here: alice, bob");
}

#[test]
fn the_default_profile_asks_to_be_registered() {
    for command in COMMANDS {
        let room = Room::new();
        let outcome = room.run(command).fails(1);
        assert_eq!(
            outcome.stderr, "error: no account in profile default\nhint: cipher-chat register HANDLE\n",
            "{command:?}"
        );
        assert!(!room.home().exists(), "{command:?} made a folder");
    }
}

#[test]
fn a_name_cannot_leave_the_home() {
    for name in ["..", "../x", "/etc", "a/b/c", "", "A"] {
        let room = Room::new();
        let outcome = room.run(&["whoami", "--profile", name]);
        assert_eq!(outcome.code, Some(2), "{name}: {}", outcome.stderr);
        assert!(!room.home().exists());
    }
}

/// Needs the core, but no broker.
#[test]
fn without_a_broker_registering_ends_with_3() {
    let room = Room::new();
    let args = ["--server", "nats://127.0.0.1:1", "--json"];
    let errors = room.run(&[&["register", "alice"][..], &args].concat()).fails(3).errors();
    assert_eq!((&errors[0]["kind"], &errors[0]["retryable"]), (&"unreachable".into(), &true.into()));
    // Nothing was asked of anybody, so nothing is left.
    assert!(!room.home().join("profiles/default").exists());
    for command in [&["whoami"][..], &["send", "@bob", "hi"], &["sync"], &["read", "@bob"]] {
        let errors = room.run(&[command, &args].concat()).fails(1).errors();
        assert_eq!(errors.last().unwrap()["message"], "no account in profile default", "{command:?}");
    }
}

fn checks(told: &Outcome) -> Vec<(String, String, String)> {
    let text = |line: &serde_json::Value, field: &str| line[field].as_str().unwrap().to_owned();
    let checks = told.lines().into_iter().filter(|line| line["type"] == "check");
    checks.map(|line| (text(&line, "name"), text(&line, "status"), text(&line, "detail"))).collect()
}

/// E9: what is no store is told by a look at everything, and the look ends with it.
#[test]
fn e9_a_look_at_everything_tells_of_a_file_that_is_no_store() {
    let room = Room::new();
    room.write(".local/share/cipher-chat/profiles/default/store.redb", "no store at all, but some words");
    let told = room.run(&["doctor", "--deep", "--json"]);
    assert_eq!((told.code, told.stderr.as_str()), (Some(7), ""));
    let (name, status, detail) = &checks(&told)[0];
    assert_eq!((name.as_str(), status.as_str()), ("file", "fail"));
    assert!(detail.contains("is damaged"), "{detail}");
}

/// E9: of a store that is whole it tells that, and of one in which a bit flipped how it is now.
#[test]
fn e9_a_look_at_everything_tells_that_a_store_is_whole() {
    let room = Room::new();
    let folder = room.home().join("profiles/default");
    let key = [7; 32];
    room.write(".local/share/cipher-chat/profiles/default/store.key", "");
    std::fs::write(folder.join("store.key"), key).unwrap();
    std::fs::set_permissions(folder.join("store.key"), std::fs::Permissions::from_mode(0o600)).unwrap();
    let unlock = || Ok(Unlock::Key(Key::from_slice(&key).unwrap()));
    let options = Options { seed: [1; 32], cached_groups: 1, receipts: true };
    drop(Core::open(Folder::new(&folder), unlock, &options).unwrap());
    let look = || checks(&room.run(&["--server", "nats://127.0.0.1:1", "doctor", "--deep", "--json"]));
    let whole = ("file".into(), "ok".into(), "every page is whole".into());
    let open = ("values".into(), "ok".into(), "0 open".into());
    assert_eq!(look()[..2], [whole, open]);
    // Somewhere in the pages that a small store uses.
    let path = folder.join("store.redb");
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.iter().skip(4096).position(|byte| *byte != 0).unwrap();
    bytes[4096 + at] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let after = look();
    assert_eq!(after[0].0, "file");
    assert!(after[0].1 != "fail" || after[0].2.contains("is damaged"), "{after:?}");
}
