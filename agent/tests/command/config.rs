//! Which setting wins, and where it came from.

use crate::support::Room;

fn setting(room: &Room, args: &[&str], key: &str) -> (String, String) {
    let mut all = vec!["config", "show", "--origin", "--json"];
    all.extend(args);
    let lines = room.run(&all).succeeds().lines();
    let line = lines.iter().find(|line| line["key"] == key).unwrap();
    let text = |name: &str| line[name].as_str().unwrap().replace(room.path().to_str().unwrap(), "[ROOM]");
    (text("value"), text("origin"))
}

#[test]
fn defaults() {
    let shown = Room::new().run(&["config", "show", "--origin"]).succeeds().stdout;
    // How wide the columns are depends on where the room is.
    let words: Vec<_> =
        shown.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    insta::assert_snapshot!(words.join("\n"));
}

#[test]
fn each_layer_beats_the_one_before() {
    let room = Room::new();
    let server = |room: &Room, args: &[&str]| setting(room, args, "server");
    let is = |value: &str, origin: &str| (value.to_owned(), origin.to_owned());
    assert_eq!(server(&room, &[]), is("nats://127.0.0.1:4222", "default"));
    room.write(".local/share/cipher-chat/server.json", r#"{"server":"nats://127.0.0.1:5555","pid":1}"#);
    let up = "[ROOM]/.local/share/cipher-chat/server.json";
    assert_eq!(server(&room, &[]), is("nats://127.0.0.1:5555", up));
    room.write(".config/cipher-chat/config.toml", "server = \"nats://user\"\nprofile = \"work\"\n");
    assert_eq!(server(&room, &[]), is("nats://user", "[ROOM]/.config/cipher-chat/config.toml"));
    room.write("cipher-chat.toml", "server = \"nats://project\"\n");
    assert_eq!(server(&room, &[]).0, "nats://project");
    assert!(server(&room, &[]).1.ends_with("cipher-chat.toml"));
    let room = room.with("CIPHER_CHAT_SERVER", "nats://environment");
    assert_eq!(server(&room, &[]), is("nats://environment", "CIPHER_CHAT_SERVER"));
    assert_eq!(server(&room, &["--server", "nats://flag"]), is("nats://flag", "--server"));
    // What a stronger layer does not say stays.
    assert_eq!(setting(&room, &["--server", "nats://flag"], "profile").0, "work");
}

#[test]
fn a_named_file_is_read_instead_of_the_usual_ones() {
    let room = Room::new();
    room.write("cipher-chat.toml", "server = \"nats://project\"\n");
    room.write("mine.toml", "profile = \"mine\"\n");
    assert_eq!(setting(&room, &["--config", "mine.toml"], "profile").0, "mine");
    assert_eq!(setting(&room, &["--config", "mine.toml"], "server").0, "nats://127.0.0.1:4222");
    let outcome = room.run(&["config", "show", "--config", "none.toml"]).fails(2);
    assert!(
        outcome.stderr.starts_with("error: config file none.toml does not exist\n"),
        "{}",
        outcome.stderr
    );
}

/// D07: a file's paths are relative to the file, and `~` is the home folder, wherever the command runs.
#[test]
fn d07_paths_in_a_file_are_relative_to_it() {
    let room = Room::new();
    room.write(
        ".config/cipher-chat/config.toml",
        "home = \"~/chat\"\nnkey = \"seed.nk\"\ntls_ca = \"../ca.pem\"\ncredentials = \"/etc/x.creds\"\n",
    );
    let is = |room: &Room, key: &str, value: &str| assert_eq!(setting(room, &[], key).0, value, "{key}");
    is(&room, "home", "[ROOM]/chat");
    is(&room, "nkey", "[ROOM]/.config/cipher-chat/seed.nk");
    is(&room, "tls_ca", "[ROOM]/.config/cipher-chat/../ca.pem");
    is(&room, "credentials", "/etc/x.creds");
    room.write("cipher-chat.toml", "nkey = \"here.nk\"\n");
    is(&room, "nkey", "[ROOM]/here.nk");
    // What is typed is relative to where it is typed; only the shell's part is done for it.
    let room = room.with("CIPHER_CHAT_NKEY", "typed.nk").with("CIPHER_CHAT_CREDENTIALS", "~/x.creds");
    is(&room, "nkey", "typed.nk");
    is(&room, "credentials", "[ROOM]/x.creds");
}

#[test]
fn the_environment_is_taken_by_its_words() {
    let room = Room::new().with("CIPHER_CHAT_PROFILE", "007").with("CIPHER_CHAT_VERBOSE", "0");
    assert_eq!(setting(&room, &[], "profile"), ("007".into(), "CIPHER_CHAT_PROFILE".into()));
    let room = Room::new().with("CIPHER_CHAT_NO_INPUT", "yes").with("CIPHER_CHAT_HOME", "here");
    assert_eq!(setting(&room, &[], "no_input").0, "true");
    assert_eq!(setting(&room, &[], "home").0, "[ROOM]/here");
    let room = Room::new().with("CIPHER_CHAT_JSON", "maybe");
    let outcome = room.run(&["config", "show"]).fails(2);
    assert!(outcome.stderr.contains("CIPHER_CHAT_JSON"), "{}", outcome.stderr);
}

#[test]
fn xdg_folders_are_followed() {
    let room = Room::new().with("XDG_DATA_HOME", "/data").with("XDG_CONFIG_HOME", "relative-is-ignored");
    assert_eq!(setting(&room, &[], "home").0, "/data/cipher-chat");
}

#[test]
fn an_unknown_key_is_one_clear_error() {
    let room = Room::new();
    room.write("cipher-chat.toml", "sever = \"nats://typo\"\n");
    let outcome = room.run(&["whoami"]).fails(2);
    insta::assert_snapshot!(outcome.stderr);
    room.write("cipher-chat.toml", "server = \n");
    let outcome = room.run(&["whoami"]).fails(2);
    assert!(outcome.stderr.starts_with("error: config file cipher-chat.toml: "), "{}", outcome.stderr);
    room.write("cipher-chat.toml", "verbose = \"loud\"\n");
    let outcome = room.run(&["whoami"]).fails(2);
    assert!(outcome.stderr.contains("cipher-chat.toml: `verbose`"), "{}", outcome.stderr);
}

#[test]
fn a_password_in_a_url_is_not_shown() {
    let (server, _) = setting(&Room::new(), &["--server", "nats://agent:planted@h:4222"], "server");
    assert!(!server.contains("planted"), "{server}");
}
