//! Profiles that are not there, or empty.

use crate::support::Room;

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

/// E9: what is no store is told by a look at everything, and the look ends with it.
#[test]
fn e9_a_look_at_everything_tells_of_a_file_that_is_no_store() {
    let room = Room::new();
    room.write(".local/share/cipher-chat/profiles/default/store.redb", "no store at all, but some words");
    let told = room.run(&["doctor", "--deep", "--json"]).fails(7);
    let lines = told.lines();
    assert_eq!(lines[0]["name"], "file");
    assert_eq!(lines[0]["status"], "fail");
    assert!(lines[0]["detail"].as_str().unwrap().contains("is damaged"), "{lines:?}");
    assert!(!told.stderr.contains("panicked"), "{}", told.stderr);
}
