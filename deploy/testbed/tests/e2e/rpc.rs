//! Programs speak to a profile: JSON-RPC on standard input and output, with and without a process that keeps it open.

use serde_json::{Value, json};
use testbed::person::Person;
use testbed::{Result, Site, ensure};

fn asks(person: &Person, calls: &[Value]) -> Result<Vec<Value>> {
    let lines: Vec<String> = calls.iter().map(|call| format!("{call}\n")).collect();
    Ok(person.run_with(&["rpc"], &lines.concat())?.expecting(0)?.lines)
}

fn answer(lines: &[Value], id: u64) -> Value {
    lines.iter().find(|line| line["id"] == id).cloned().unwrap_or_default()
}

fn call(id: u64, method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

fn hello() -> Value {
    call(1, "hello", json!({"version": 1, "client": "a test"}))
}

#[test]
fn a_program_sends_edits_and_reads_over_rpc_with_and_without_a_daemon() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &alice, &[&bob])?;
    let said =
        asks(&alice, &[hello(), call(2, "message.send", json!({"target": "team", "text": "by rpc"}))])?;
    ensure(answer(&said, 1)["result"]["version"] == 1, || format!("{said:?}"))?;
    let id = answer(&said, 2)["result"]["id"].clone();
    ensure(id.is_string(), || format!("{said:?}"))?;

    let mut daemon = alice.starts(&["daemon"])?;
    daemon.is_ready()?;
    let edit =
        call(2, "message.edit", json!({"message": {"id": id, "within": "team"}, "text": "by the daemon"}));
    let edited = answer(&asks(&alice, &[hello(), edit])?, 2);
    ensure(edited["result"]["edited"] == true, || edited.to_string())?;
    bob.syncs()?;
    ensure(bob.texts("team")? == ["by the daemon"], || format!("{:?}", bob.texts("team")))?;

    // What cannot be answered costs itself only.
    let wrong = [
        json!(["no object"]),
        hello(),
        call(2, "no.method", json!({})),
        call(3, "message.send", json!({"target": 7})),
        call(4, "message.send", json!({"target": "nobody-here", "text": "x"})),
        call(5, "status", json!({})),
    ];
    let lines = asks(&alice, &wrong)?;
    for (id, code) in [(2, -32601), (3, -32602)] {
        ensure(answer(&lines, id)["error"]["code"] == code, || format!("{id}: {lines:?}"))?;
    }
    ensure(answer(&lines, 4)["error"]["data"]["kind"] == "not-found", || format!("{lines:?}"))?;
    ensure(answer(&lines, 5)["result"]["registered"] == true, || format!("{lines:?}"))?;
    let newer = asks(&alice, &[call(1, "hello", json!({"version": 2}))])?;
    let sentence = answer(&newer, 1)["error"]["message"].as_str().unwrap_or_default().to_owned();
    ensure(sentence.contains("version 1") && sentence.contains("version 2"), || sentence.clone())?;
    ensure(daemon.interrupt()? == 0, || "a daemon that is interrupted ends with 0".into())
}
