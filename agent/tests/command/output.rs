//! Streams, colours and pipes.

use std::io::Read;
use std::process::Stdio;

use crate::support::{Room, is_plain};

/// D14: the assertion behind every run of a command here fails for what snapshots pass.
#[test]
fn d14_what_snapshots_do_not_see_fails() {
    for good in ["", "a\n", "a\n\nb\n", "\x1b[32ma\x1b[0m\n", "  a\n"] {
        assert_eq!(is_plain(good), Ok(()), "{good:?}");
    }
    for bad in [
        "a",
        "a\n\n",
        "\na\n",
        "a\r\n",
        "a\x0c\n",
        "a\n\x0c",
        "a \n",
        "a\u{a0}\n",
        "a\tb\n",
        "\x1b[2Ja\n",
        "\x1b[a\n",
        "\x1b]0;a\x07\n",
        " \n",
        "\n",
    ] {
        assert!(is_plain(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn colours_are_for_terminals_or_on_demand() {
    let room = Room::new();
    let coloured = |room: &Room, args: &[&str]| room.run(args).succeeds().stdout.contains('\x1b');
    assert!(!coloured(&room, &["config", "show"]));
    assert!(coloured(&room, &["config", "show", "--color", "always"]));
    assert!(!coloured(&room, &["config", "show", "--color", "never"]));
    let room = room.with("NO_COLOR", "1");
    assert!(!coloured(&room, &["config", "show"]));
    assert!(coloured(&room, &["config", "show", "--color", "always"]), "a flag beats the environment");
    let room = Room::new().with("CIPHER_CHAT_COLOR", "always");
    assert!(coloured(&room, &["config", "show"]));
    assert!(!coloured(&room, &["config", "show", "--json"]));
}

#[test]
fn global_flags_stand_before_or_after_the_command() {
    let room = Room::new();
    let before = room.run(&["--json", "--profile", "a", "config", "show"]).succeeds().stdout;
    assert_eq!(before, room.run(&["config", "show", "--profile", "a", "--json"]).succeeds().stdout);
    assert_eq!(before, room.run(&["config", "--json", "show", "--profile", "a"]).succeeds().stdout);
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let room = Room::new();
    let mut child =
        room.command(&["completions", "zsh"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let status = child.wait().unwrap();
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!((status.code(), stderr.as_str()), (Some(0), ""));
}

#[test]
fn logs_go_to_stderr() {
    let quiet = Room::new().run(&["config", "show", "-vvv"]).succeeds();
    assert!(quiet.stdout.starts_with("KEY"));
}
