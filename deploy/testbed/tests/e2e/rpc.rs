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
    alice.is_refused(7, "locked", &["daemon"])?;
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

/// Whether an answer has all that the documents say, where `…` stands for anything.
fn is_like(answer: &Value, told: &Value) -> bool {
    match told {
        Value::String(any) if any == "…" => !answer.is_null(),
        Value::Object(fields) => fields.iter().all(|(name, told)| is_like(&answer[name], told)),
        Value::Array(told) => {
            let answers = answer.as_array().map_or(&[][..], Vec::as_slice);
            answers.len() == told.len()
                && answers.iter().zip(told).all(|(answer, told)| is_like(answer, told))
        }
        told => answer == told,
    }
}

#[test]
fn the_transcript_of_the_documents_is_what_an_agent_answers() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &alice, &[&bob])?;
    let page = include_str!("../../../../docs/API.md");
    let mut turns: Vec<(Value, Value)> = Vec::new();
    let mut said = None;
    for line in page.lines() {
        if let Some(call) = line.strip_prefix("> {") {
            said = Some(serde_json::from_str::<Value>(&format!("{{{call}"))?);
        } else if let (Some(told), Some(call)) = (line.strip_prefix("< {"), said.take()) {
            turns.push((call, serde_json::from_str(&format!("{{{told}"))?));
        }
    }
    ensure(turns.len() >= 6, || format!("the page has {} requests", turns.len()))?;
    // One after the other, as a reader takes them: what is read was said before.
    let hello = turns[0].0.clone();
    for (call, told) in &turns {
        let calls = if *call == hello { vec![hello.clone()] } else { vec![hello.clone(), call.clone()] };
        let lines = asks(&alice, &calls)?;
        let id = call["id"].as_u64().unwrap_or_default();
        let got = answer(&lines, id);
        ensure(is_like(&got, told), || format!("{call}\n  told: {told}\n  got:  {got}"))?;
    }
    Ok(())
}
