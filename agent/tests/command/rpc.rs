//! `rpc`, `daemon` and `schema`, as far as they go without a broker.

use serde_json::{Value, json};

use crate::support::{Outcome, Room};

const NOWHERE: &str = "nats://127.0.0.1:1";

fn rpc(room: &Room, calls: &[Value]) -> Outcome {
    let lines: String = calls.iter().map(|call| format!("{call}\n")).collect();
    room.run_with(&["--server", NOWHERE, "rpc"], lines.as_bytes())
}

fn call(id: u64, method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

#[test]
fn what_is_asked_before_the_input_ends_is_answered_without_a_broker_too() {
    let room = Room::new();
    let hello = call(1, "hello", &json!({ "version": 1 }));
    let connection = call(2, "connection", &json!({ "wait_ms": 5000 }));
    let outcome =
        rpc(&room, &[hello, connection, call(3, "status", &json!({})), call(4, "group.list", &json!({}))]);
    let mut answers = outcome.succeeds().lines();
    answers.sort_by_key(|answer| answer["id"].as_u64());
    assert_eq!(answers.len(), 4);
    assert_eq!(answers[0]["result"]["agent"], concat!("cipher-chat ", env!("CARGO_PKG_VERSION")));
    assert_eq!(answers[1]["result"]["connected"], false);
    assert_eq!(answers[1]["result"]["trouble"]["kind"], "unreachable");
    assert_eq!(answers[2]["result"]["registered"], false);
    let data = json!({ "kind": "misuse", "hint": { "type": "account-register" }, "retryable": false });
    assert_eq!(answers[3]["error"]["data"], data);
}

/// `printf` writes no end of the last line.
#[test]
fn a_last_line_without_an_end_is_answered() {
    let hello = call(1, "hello", &json!({ "version": 1 })).to_string();
    let outcome = Room::new().run_with(&["--server", NOWHERE, "rpc"], hello.as_bytes());
    assert_eq!(outcome.succeeds().lines()[0]["result"]["version"], 1);
}

/// A typing error must not leave a folder.
#[test]
fn a_profile_that_was_made_to_be_spoken_to_and_in_which_nothing_began_goes_again() {
    let room = Room::new();
    let _ = rpc(&room, &[call(1, "hello", &json!({ "version": 1 }))]).succeeds();
    assert!(!room.home().join("profiles/default").exists());
}

#[test]
fn a_program_of_another_version_is_told_which_one_to_update() {
    let outcome = rpc(&Room::new(), &[call(1, "hello", &json!({ "version": 7, "client": "screen 2" }))]);
    let answers = outcome.succeeds().lines();
    let message = answers[0]["error"]["message"].as_str().unwrap();
    assert!(message.ends_with(", and start it again") && message.contains("update cipher-chat"), "{message}");
}

#[test]
fn a_daemon_needs_a_profile() {
    let outcome = Room::new().run(&["--server", NOWHERE, "--json", "daemon"]).fails(1);
    assert_eq!(outcome.errors()[0]["kind"], "misuse");
}

#[test]
fn schemas_are_of_one_method_of_events_or_of_everything() {
    let room = Room::new();
    let schema = |args: &[&str]| -> Value {
        let args: Vec<&str> = ["schema"].iter().chain(args).copied().collect();
        serde_json::from_str(&room.run(&args).succeeds().stdout).unwrap()
    };
    let send = schema(&["message.send"]);
    assert_eq!(send["params"]["required"], json!(["target", "text"]));
    assert_eq!(send["result"]["title"], "Message");
    assert!(
        schema(&["event"])["event"]["anyOf"].is_array() || schema(&["event"])["event"]["oneOf"].is_array()
    );
    let all = schema(&[]);
    assert!(all["methods"].as_array().unwrap().contains(&send));
    let outcome = room.run(&["schema", "make.tea"]).fails(2);
    assert!(outcome.stderr.contains("there is no method make.tea"), "{}", outcome.stderr);
}
