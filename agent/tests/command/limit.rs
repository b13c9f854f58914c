//! Too much of something: exit code 5, before anything is stored.

use cipher_broker::limit;

use crate::support::Room;

#[test]
fn too_long_a_text_ends_with_5_and_stores_nothing() {
    let room = Room::new();
    let long = "x".repeat(limit::TEXT_BYTES + 1);
    let outcome = room.run_with(&["send", "@bob", "-"], long.as_bytes()).fails(5);
    assert!(outcome.stderr.contains("allowed"), "{}", outcome.stderr);
    // A character cut in two by the limit is a matter of length, not of encoding.
    let wide = "é".repeat(limit::TEXT_BYTES);
    let _ = room.run_with(&["send", "@bob", "-"], wide.as_bytes()).fails(5);
    assert!(!room.home().exists());
}

#[test]
fn the_longest_text_and_its_newline_pass() {
    let room = Room::new();
    let longest = format!("{}\n", "x".repeat(limit::TEXT_BYTES));
    // As far as the missing account.
    let _ = room.run_with(&["send", "@bob", "-"], longest.as_bytes()).fails(1);
}

#[test]
fn an_empty_text_and_bytes_that_are_no_text_are_usage_errors() {
    let room = Room::new();
    for input in [&b""[..], b"\n", b"\n\n", b" \r\n\t", b"\xef\xbb\xbf", b"\xef\xbb\xbf\r\n", b"\xff\xfe"] {
        let _ = room.run_with(&["send", "@bob", "-"], input).fails(2);
    }
    let _ = room.run(&["send", "@bob", ""]).fails(2);
    let _ = room.run(&["send", "@bob", " "]).fails(2);
}

#[test]
fn names_are_counted_in_characters() {
    let room = Room::new();
    let group = |chars: usize| "ä".repeat(chars);
    let _ = room.run(&["group", "create", &group(limit::GROUP_NAME_CHARS + 1)]).fails(5);
    let _ = room.run(&["group", "rename", "ops", &group(limit::GROUP_NAME_CHARS + 1)]).fails(5);
    let _ = room.run(&["group", "create", &group(limit::GROUP_NAME_CHARS)]).fails(1);
    let _ = room.run(&["register", "alice", "--name", &group(limit::DISPLAY_NAME_CHARS + 1)]).fails(5);
    let _ = room.run(&["profile", "set", "--status", &group(limit::STATUS_CHARS + 1)]).fails(5);
}
