//! Help texts, as people read them.

use crate::support::Room;

fn help(args: &[&str]) -> String {
    let outcome = Room::new().run(args).succeeds();
    assert_eq!(outcome.stderr, "");
    outcome.stdout
}

#[test]
fn the_first_page_lists_every_command() {
    insta::assert_snapshot!(help(&["--help"]));
}

#[test]
fn every_command_explains_itself_with_examples() {
    let all = [
        vec!["send"],
        vec!["read"],
        vec!["export"],
        vec!["tail"],
        vec!["register"],
        vec!["up"],
        vec!["doctor"],
        vec!["audit"],
        vec!["daemon"],
        vec!["rpc"],
        vec!["schema"],
        vec!["completions"],
        vec!["bot", "register"],
        vec!["bot", "run"],
        vec!["config", "show"],
        vec!["profile", "set"],
        vec!["contact", "add"],
        vec!["contact", "verify"],
        vec!["device", "list"],
        vec!["device", "link"],
        vec!["device", "approve"],
        vec!["device", "revoke"],
        vec!["device", "recover"],
        vec!["group", "invite"],
        vec!["group", "requests"],
        vec!["join"],
        vec!["sync"],
        vec!["whoami"],
        vec!["backup"],
        vec!["restore"],
        vec!["slot"],
        vec!["slot", "remove"],
        vec!["token"],
        vec!["token", "create"],
        vec!["group", "create"],
        vec!["group", "role"],
        vec!["history"],
        vec!["history", "grant"],
    ];
    for command in all {
        let mut args = command.clone();
        args.push("--help");
        let name = command.join("-");
        // The global options are the same everywhere and on the first page.
        let text = help(&args);
        let own = text.split("Global options:").next().unwrap();
        let examples =
            text.split("Examples:").nth(1).map(|examples| format!("Examples:{examples}")).unwrap_or_default();
        insta::assert_snapshot!(name, format!("{own}{examples}"));
    }
}

#[test]
fn groups_of_commands_list_theirs() {
    for command in ["group", "contact", "profile", "bot", "device", "slot", "token"] {
        let text = help(&[command, "--help"]);
        assert!(text.contains("Commands:") && text.contains("Examples:"), "{text}");
    }
}

#[test]
fn the_version_is_told() {
    assert_eq!(help(&["--version"]), concat!("cipher-chat ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn without_a_command_there_is_help_and_a_usage_error() {
    let outcome = Room::new().run(&[]).fails(2);
    assert!(outcome.stderr.contains("Usage: cipher-chat"), "{}", outcome.stderr);
}
