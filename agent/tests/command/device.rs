//! Devices, as far as they need no broker: what is asked, and of whom.

use crate::support::Room;

/// Who is not there cannot compare, and cannot be sure.
#[test]
fn without_a_person_nothing_is_approved_or_revoked() {
    let room = Room::new();
    let outcome = room.run(&["device", "approve", "abcd-efgh", "--no-input"]).fails(2);
    assert!(outcome.stderr.contains("--compare"), "{}", outcome.stderr);
    // Standard input that is no terminal is nobody either.
    let _ = room.run(&["device", "approve", "abcd-efgh"]).fails(2);
    let errors = room.run(&["device", "revoke", "laptop", "--json"]).fails(2).errors();
    assert_eq!((&errors[0]["kind"], &errors[0]["hint"]), (&"usage".into(), &"say so with --yes".into()));
    assert!(!room.home().exists());
}

#[test]
fn a_phrase_comes_from_standard_input_or_a_file_and_from_nowhere_else() {
    let room = Room::new();
    let server = ["--server", "nats://127.0.0.1:1"];
    let recover =
        |args: &[&str], input: &[u8]| room.run_with(&[&["device", "recover"], args, &server].concat(), input);
    let _ = recover(&[], b"").fails(2);
    let _ = recover(&["--phrase-file", "-"], b" \n").fails(2);
    let outcome = recover(&["--phrase-file", "none.txt"], b"").fails(1);
    assert!(outcome.stderr.contains("none.txt"), "{}", outcome.stderr);
    // As far as the broker: nothing is left of it.
    room.write("phrase.txt", "Abandon ability\nable\n");
    let _ = recover(&["--phrase-file", "phrase.txt"], b"").fails(3);
    let _ = recover(&[], b"abandon ability able").fails(3);
    assert!(!room.home().join("profiles/default").exists());
}

#[test]
fn without_a_broker_linking_ends_with_3_and_leaves_nothing() {
    let room = Room::new();
    let args = ["device", "link", "--server", "nats://127.0.0.1:1", "--json"];
    let errors = room.run(&args).fails(3).errors();
    assert_eq!(errors[0]["kind"], "unreachable");
    assert!(!room.home().join("profiles/default").exists());
}
