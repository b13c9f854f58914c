//! Manual pages.

use std::fs;

use crate::support::Room;

#[test]
fn each_command_has_a_page() {
    let room = Room::new();
    let page = room.run(&["man"]).succeeds().stdout;
    assert!(page.contains(".TH cipher-chat 1") && page.contains("group"), "{page}");
    let told = room.run(&["man", "--to", "pages/man1"]).succeeds();
    assert!(told.stdout.is_empty() && told.stderr.contains("pages are in pages/man1"), "{}", told.stderr);
    for (name, words) in [
        ("cipher-chat", "bots over NATS"),
        ("cipher-chat-send", "reply\\-to"),
        ("cipher-chat-group-mute", "mentions"),
    ] {
        let page = fs::read_to_string(room.path().join(format!("pages/man1/{name}.1"))).unwrap();
        assert!(page.contains(words), "{name}: {page}");
    }
    fs::write(room.path().join("file"), "").unwrap();
    assert!(room.run(&["man", "--to", "file/below"]).fails(1).stderr.contains("cannot be written"));
}
