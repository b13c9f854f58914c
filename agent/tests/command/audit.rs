//! The audit, as far as it needs no broker: a saved log.

use crate::support::Room;

#[test]
fn without_a_key_to_check_against_there_is_no_audit() {
    let room = Room::new();
    let outcome = room.run(&["audit"]).fails(2);
    assert!(outcome.stderr.contains("--registry-key"), "{}", outcome.stderr);
    for key in ["", "xyz", "abcd"] {
        let _ = room.run(&["audit", "--registry-key", key]).fails(2);
    }
    let _ = room.run(&["audit", "--profile", "nosuch", "--registry-key", &"a".repeat(64)]).fails(9);
    assert!(!room.home().exists());
}

#[test]
fn a_saved_log_that_is_none_is_refused_and_an_absent_broker_is_told() {
    let room = Room::new();
    let key = "ab".repeat(32);
    let args = |file: &str| ["audit", "--registry-key", &key, "--from-file", file].map(str::to_owned);
    let run = |file: &str| {
        let args = args(file);
        room.run(&args.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let _ = run("none").fails(1);
    for text in [
        "",
        "{}",
        "noise\n",
        "{\"type\":\"entry\",\"entry\":\"AAAA\"}\n",
        "{\"type\":\"head\",\"head\":\"AAAA\"}\n",
    ] {
        room.write("log", text);
        let _ = run("log").fails(1);
    }
    let args = ["audit", "--registry-key", &key, "--server", "nats://127.0.0.1:1", "--json"];
    let errors = room.run(&args).fails(3).errors();
    assert_eq!(errors[0]["kind"], "unreachable");
}
