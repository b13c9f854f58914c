//! Completion scripts.

use crate::support::Room;

#[test]
fn every_shell_gets_a_script_that_knows_the_commands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = Room::new().run(&["completions", shell]).succeeds().stdout;
        assert!(script.contains("register") && script.contains("reply-to"), "{shell}");
    }
}
