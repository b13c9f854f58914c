//! Completion scripts.

use crate::support::Room;

#[test]
fn every_shell_gets_a_script_that_knows_the_commands_or_asks_for_them() {
    for shell in ["elvish", "powershell"] {
        let script = Room::new().run(&["completions", shell]).succeeds().stdout;
        assert!(script.contains("register") && script.contains("reply-to"), "{shell}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let script = Room::new().run(&["completions", shell]).succeeds().stdout;
        assert!(script.contains("CIPHER_CHAT_COMPLETE") && script.contains("cipher-chat"), "{shell}");
    }
}

#[test]
fn a_shell_that_asks_gets_words_and_no_error_also_where_there_is_no_profile() {
    let room = Room::new().with("CIPHER_CHAT_COMPLETE", "bash").with("_CLAP_COMPLETE_INDEX", "2");
    let answered = room.run(&["--", "cipher-chat", "read", "te"]).succeeds();
    assert_eq!((answered.stdout.as_str(), answered.stderr.as_str()), ("", ""));
    let room = Room::new().with("CIPHER_CHAT_COMPLETE", "bash").with("_CLAP_COMPLETE_INDEX", "1");
    assert_eq!(room.run(&["--", "cipher-chat", "whoa"]).succeeds().stdout, "whoami");
}
