//! Bots, as far as they need no broker.

use crate::support::Room;

#[test]
fn the_catalog_is_listed() {
    insta::assert_snapshot!(Room::new().run(&["bot", "list"]).succeeds().stdout);
    let lines = Room::new().run(&["bot", "list", "--json"]).succeeds().lines();
    assert_eq!((&lines[0]["type"], &lines[0]["name"]), (&"bot".into(), &"echo".into()));
}

#[test]
fn an_unknown_bot_is_not_found_and_the_catalog_is_named() {
    let outcome = Room::new().run(&["bot", "run", "nosuch"]).fails(9);
    assert!(outcome.stderr.contains("echo"), "{}", outcome.stderr);
}
