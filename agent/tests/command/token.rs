//! `token`, as far as it goes without an account.

use serde_json::{Value, json};

use crate::support::Room;

const NOWHERE: &str = "nats://127.0.0.1:1";

/// A room with a profile in which nothing has begun: its folder is there.
fn room() -> Room {
    let room = Room::new();
    room.write(".local/share/cipher-chat/profiles/default/evidence/none", "");
    room
}

#[test]
fn a_token_is_made_shown_once_listed_and_revoked() {
    let room = room();
    let create =
        ["token", "create", "robot", "--all-groups", "--method", "bot.*", "--method", "message.send"];
    let made = room.run(&create).succeeds();
    let word = made.stdout.trim_end();
    assert!(word.starts_with("cct_") && word.len() == 56 && made.stderr.contains("shown once"), "{made:?}");
    let again = room.run(&create).fails(8);
    assert!(again.stderr.contains("there is a token 'robot' already"), "{}", again.stderr);

    let listed = room.run(&["--json", "token", "list"]).succeeds().lines();
    assert_eq!(
        (listed.len(), &listed[0]["type"], &listed[0]["state"]),
        (1, &json!("token"), &json!("valid"))
    );
    assert_eq!(listed[0]["methods"], json!(["bot.events", "bot.handled", "message.send"]));
    assert_eq!((&listed[0]["groups"], listed[0].get("token")), (&Value::Null, None));
    let table = room.run(&["token", "list"]).succeeds().stdout;
    assert!(table.contains("robot") && table.contains("all") && !table.contains(word), "{table}");

    let _ = room.run(&["token", "revoke", "robot"]).succeeds();
    assert!(room.run(&["token", "revoke", "robot"]).fails(9).stderr.contains("there is no token 'robot'"));
}

#[test]
fn what_no_token_can_be_is_refused_before_anything_is_made() {
    let room = room();
    for (arguments, why) in [
        (&["robot"][..], "<--group <TARGET>|--all-groups>"),
        (
            &["robot", "--group", "ops", "--method", "group.create"],
            "group.create takes a token for all conversations",
        ),
        (&["robot", "--all-groups", "--expires", "-1d"], "a length of time is like"),
        (&["robot", "--all-groups", "--group", "ops"], "cannot be used with"),
        (&["robot", "--all-groups", "--method", "device.list"], "no token can be for 'device.list'"),
        (&["robot", "--all-groups", "--method", "contact.*"], "no token can be for 'contact.*'"),
        (&["robot", "--all-groups", "--method", "*"], "no token can be for '*'"),
        (&["robot", "--all-groups", "--expires", "0d"], "a length of time"),
        (&["robot", "--all-groups", "--expires", "367d"], "at most 366 days"),
        (&["Robot!", "--all-groups"], "the name of a token"),
    ] {
        let line: Vec<&str> = ["token", "create"].iter().chain(arguments).copied().collect();
        let outcome = room.run(&line).fails(2);
        assert!(outcome.stderr.contains(why), "{arguments:?}: {}", outcome.stderr);
    }
    assert!(!room.home().join("profiles/default/tokens").exists());
    // A typing error makes no profile.
    let _ = Room::new().run(&["token", "create", "robot", "--all-groups"]).fails(1);
}

/// One that is empty would lift the bounds, were it taken for none.
#[test]
fn a_wrong_token_serves_nothing_and_is_not_repeated() {
    for word in ["", "cct_", "cct_aaaabbbbccccdddd"] {
        let room = room().with("CIPHER_CHAT_TOKEN", word);
        let hello = json!({ "jsonrpc": "2.0", "id": 1, "method": "hello", "params": { "version": 1 } });
        let outcome = room.run_with(&["--server", NOWHERE, "rpc"], format!("{hello}\n").as_bytes()).fails(4);
        assert!(
            outcome.stderr.contains("not a token") && !outcome.stderr.contains("aaaabbbb"),
            "{}",
            outcome.stderr
        );
        assert!(!room.run(&["config", "show"]).succeeds().stdout.contains("aaaabbbb"));
    }
    let room = room();
    let missing = room.run(&["--server", NOWHERE, "rpc", "--token-file", "nothing"]).fails(2);
    assert!(missing.stderr.contains("cannot be read"), "{}", missing.stderr);
    assert!(missing.stderr.contains("token create NAME"), "{}", missing.stderr);
    let made = room.run(&["token", "create", "robot", "--all-groups"]).succeeds().stdout;
    room.write("robot.token", &made);
    let _ = room.run(&["token", "revoke", "robot"]).succeeds();
    let revoked = room.run(&["--server", NOWHERE, "rpc", "--token-file", "robot.token"]).fails(4);
    assert!(revoked.stderr.contains("this profile does not know this token"), "{}", revoked.stderr);
}

/// What `doctor` says of the tokens, and how it ends.
fn look(room: &Room) -> (Option<i32>, String, String) {
    let told = room.run(&["--server", NOWHERE, "doctor", "--json"]);
    let lines = told.lines();
    let line = lines.iter().find(|line| line["name"] == "tokens").unwrap();
    let text = |field: &str| line[field].as_str().unwrap().to_owned();
    (told.code, text("status"), text("detail"))
}

#[test]
fn tokens_of_before_are_sealed_and_a_damaged_file_costs_one_sentence() {
    let room = room();
    let profile = room.home().join("profiles/default");
    let (plain, sealed) = (profile.join("tokens.json"), profile.join("tokens"));
    let of_before = json!({ "version": 1, "tokens": [{
        "name": "oldrobot", "digest": "00", "groups": null, "methods": ["message.send"],
        "created_at": 1_700_000_000_000_u64, "expires_at": 4_000_000_000_000_u64,
    }] });
    std::fs::write(&plain, of_before.to_string()).unwrap();
    let table = room.run(&["token", "list"]).succeeds().stdout;
    assert!(table.contains("oldrobot") && sealed.exists() && !plain.exists(), "{table}");
    assert_eq!(look(&room), (Some(3), "ok".into(), "1 open".into()));
    let mut bytes = std::fs::read(&sealed).unwrap();
    assert!(!bytes.windows(8).any(|part| part == b"oldrobot"));
    *bytes.last_mut().unwrap() ^= 1;
    for bytes in [&bytes[..], b""] {
        std::fs::write(&sealed, bytes).unwrap();
        for arguments in [
            &["token", "list"][..],
            &["token", "revoke", "oldrobot"],
            &["token", "create", "a", "--all-groups"],
        ] {
            let refused = room.run(arguments).fails(7);
            assert!(refused.stderr.contains("which holds the tokens, is damaged"), "{}", refused.stderr);
            assert_eq!(std::fs::read(&sealed).unwrap(), bytes);
        }
        let (code, status, detail) = look(&room);
        assert_eq!((code, status.as_str()), (Some(7), "fail"));
        assert!(detail.contains("tokens, which holds the tokens, is damaged"), "{detail}");
    }
    // Nothing else of the profile depends on it.
    let _ = room.run(&["slot", "list"]).succeeds();
    std::fs::remove_file(&sealed).unwrap();
    let _ = room.run(&["token", "create", "robot", "--all-groups"]).succeeds();
}
