//! Usage errors: exit code 2, one sentence, and as JSON if asked for.

use crate::support::Room;

#[test]
fn a_command_line_that_makes_no_sense_ends_with_2() {
    let room = Room::new();
    for args in [
        &["nonsense"][..],
        &["send"],
        &["send", "@bob"],
        &["send", "@bob", "hi", "more"],
        &["send", "", "hi"],
        &["send", "@No", "hi"],
        &["read", "ops", "-n", "many"],
        &["read", "ops", "--since", "tomorrow"],
        &["register", "Alice"],
        &["register", "al"],
        &["register", "a\u{200d}lice"],
        &["group", "create", "ops", "--with", "bob,,carol"],
        &["group", "create", "  "],
        &["group", "create", ""],
        &["group", "role", "ops", "@bob", "king"],
        &["group", "add", "ops"],
        &["history", "grant", "ops", "carol"],
        &["history", "grant", "ops", "carol", "--last", "0"],
        &["history", "grant", "ops", "carol", "--last", "soon"],
        &["history", "grant", "ops", "c", "--last", "40"],
        &["group", "ban", "ops"],
        &["group", "invite", "ops", "--expires", "0d"],
        &["group", "invite", "ops", "--expires", "soon"],
        &["group", "invite", "ops", "--uses", "0"],
        &["group", "invite", "ops", "--list", "--approve"],
        &["group", "invite", "ops", "--revoke", "x", "--list"],
        &["group", "requests", "--accept", "@bob"],
        &["group", "requests", "ops", "--accept", "@bob", "--deny", "@bob"],
        &["join", "https://example.org/x"],
        &["group", "join", "cipher-chat:join/AAAA"],
        &["contact", "verify", "@bob", "--code", " "],
        &["contact", "verify", "@bob", "--code", "123"],
        &["contact", "verify", "@bob", "--code", "cipher-chat:verify/AAAA"],
        &["device", "approve", "garbage"],
        &["device", "approve", "4k7x-m2pu", "--compare", "123 4567"],
        &["whoami", "--server", "foo://bar"],
        &["sync", "--server", ","],
        &["profile", "set", "--name", "evil\nname"],
        &["profile", "set", "--status", "\u{1b}[2J"],
        &["register", "alice", "--name", "evil\u{7}"],
        &["device", "rename", "laptop", "evil\tname"],
        &["device", "approve", "abcd-efgh", "--history", "0d"],
        &["device", "approve", "abcd-efgh", "--history", "some"],
        &["device", "revoke"],
        &["device", "rename", "laptop", " "],
        &["device", "recover", "--phrase", "abandon abandon"],
        &["backup"],
        &["restore"],
        &["restore", "alice.backup", "--keep-devices", "--revoke-devices"],
        &["profile", "set", "--requests", "nobody"],
        &["profile", "set"],
        &["bot", "run"],
        &["up", "--nodes", "2"],
        &["completions", "tcsh2"],
        &["whoami", "--color", "sometimes"],
    ] {
        let outcome = room.run(args).fails(2);
        let lines: Vec<&str> = outcome.stderr.lines().collect();
        let [error, hint] = lines.as_slice() else { panic!("{args:?}: {}", outcome.stderr) };
        assert!(error.starts_with("error: ") && hint.starts_with("hint: "), "{args:?}: {}", outcome.stderr);
    }
}

#[test]
fn what_is_wrong_with_the_words_is_one_sentence() {
    let room = Room::new();
    for (args, told) in [
        (&["group", "add"][..], "the following required arguments were not provided: <GROUP> <HANDLES>..."),
        (&["snyc"], "unrecognized subcommand 'snyc'; a similar subcommand exists: 'sync'"),
        (
            &["whoami", "--color", "sometimes"],
            "invalid value 'sometimes' for '--color <WHEN>' [possible values: auto, always, never]",
        ),
    ] {
        let outcome = room.run(args).fails(2);
        assert_eq!(outcome.stderr.lines().next(), Some(format!("error: {told}").as_str()), "{args:?}");
        assert!(outcome.stderr.contains("--help"), "{}", outcome.stderr);
    }
}

#[test]
fn a_hint_says_more_than_help_where_it_can() {
    let room = Room::new();
    for (args, hint) in [
        (&["send", "ops", " "][..], "standard input"),
        (&["edit", "qk7xwe", ""], "standard input"),
        (&["edit", "qk", "hi"], "read TARGET --ids"),
        (&["delete", "?"], "read TARGET --ids"),
        (&["send", "ops", "hi", "--reply-to", "qk"], "read TARGET --ids"),
        (&["whoami", "--config", "nothing.toml"], "--config FILE"),
        (&["read", "ops", "--since", "-1d"], "--help"),
    ] {
        let outcome = room.run(args).fails(2);
        let told = outcome.stderr.lines().nth(1).unwrap_or_default();
        assert!(told.starts_with("hint: ") && told.contains(hint), "{args:?}: {}", outcome.stderr);
    }
    let outcome = room.run_with(&["send", "ops", "-"], "x".repeat(500_000).as_bytes()).fails(5);
    assert!(outcome.stderr.contains("the text has more than 196608 bytes"), "{}", outcome.stderr);
    let outcome = room.run_with(&["send", "ops", "-"], "x".repeat(300_000).as_bytes()).fails(5);
    assert!(outcome.stderr.contains("the text has 300000 bytes"), "{}", outcome.stderr);
}

/// D07: what a person means is taken, as far as the missing account.
#[test]
fn d07_capitals_blanks_and_dashes_are_what_a_person_means() {
    let room = Room::new();
    for args in [
        &["send", "@Bob", "hi"][..],
        &["send", "ops", "---"],
        &["send", "ops", "- milk"],
        &["send", "ops", "--", "--json"],
        &["send", "ops", "--", "-"],
        &["send", "ops", "-5"],
        &["read", "@BOB"],
        &["group", "create", "ops", "--with", "bob, carol"],
        &["group", "create", "ops", "--with", "@Bob,@carol"],
        &["group", "add", "ops", "@Bob"],
        &["contact", "add", "@Bob"],
        &["contact", "block", "@Bob"],
        &["group", "remove", "ops", "@Bob", "carol"],
        &["group", "ban", "ops", "BOB"],
        &["group", "role", "ops", "@Bob", "admin"],
        &["group", "requests", "ops", "--accept", "@Bob"],
        &["profile", "show", "@Bob"],
    ] {
        let outcome = room.run(args).fails(1);
        assert!(outcome.stderr.contains("cipher-chat register HANDLE"), "{args:?}: {}", outcome.stderr);
    }
    let outcome = room.run(&["send", "ops", "--repyl-to"]).fails(2);
    assert!(outcome.stderr.contains("'--repyl-to'") && outcome.stderr.contains("--"), "{}", outcome.stderr);
    // Behind `--`, `-` is a text: nothing is read from standard input.
    let _ = room.run_with(&["send", "ops", "--", "-"], b"\xff").fails(1);
    let _ = room.run_with(&["send", "ops", "-"], b"\xff").fails(2);
}

#[test]
fn an_invalid_handle_is_told_the_grammar() {
    let outcome = Room::new().run(&["register", "Alice"]).fails(2);
    insta::assert_snapshot!(outcome.stderr);
}

#[test]
fn as_json_an_error_is_one_line() {
    let room = Room::new();
    for args in
        [&["--json", "send"][..], &["send", "--json"], &["send", "a", "b", "c", "--json"], &["--json"]]
    {
        let errors = room.run(args).fails(2).errors();
        assert_eq!(errors.len(), 1);
        assert_eq!((&errors[0]["type"], &errors[0]["kind"]), (&"error".into(), &"usage".into()));
        assert_eq!(errors[0]["retryable"], false);
        assert!(errors[0]["message"].is_string() && errors[0].get("hint").is_some());
    }
    let errors = Room::new().with("CIPHER_CHAT_JSON", "1").run(&["nonsense"]).fails(2).errors();
    assert_eq!(errors[0]["kind"], "usage");
    // Behind `--` it is a text, not a flag.
    let outcome = room.run(&["read", "--", "--json", "x"]).fails(2);
    assert!(outcome.stderr.starts_with("error: "));
}

/// T01: what a script passes on from strangers does not act on the terminal of whoever reads the error.
#[test]
fn t01_errors_show_what_was_typed_without_letting_it_act() {
    let outcome = Room::new().run(&["register", "\x1b[31m\u{202e}x\u{9b}"]).fails(2);
    assert!(outcome.stderr.chars().all(|c| c == '\n' || !c.is_control()), "{:?}", outcome.stderr);
    assert!(!outcome.stderr.contains('\u{202e}'));
}
