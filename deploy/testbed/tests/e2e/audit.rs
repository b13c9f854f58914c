//! The account log, replayed by somebody who believes nobody.

use std::fs;

use serde_json::Value;
use testbed::person::{kind_of, text};
use testbed::{Failure, Output, Result, Site, ensure, process};

fn number(line: &Value, name: &str) -> Option<u64> {
    line.get(name).and_then(Value::as_u64)
}

#[test]
fn anybody_can_replay_the_log_and_finds_what_the_registry_signs() -> Result {
    let site = Site::single()?;
    let alice = site.registered("alice")?;
    for name in ["bob", "carol", "dave"] {
        site.registered(name)?;
    }
    let audited = alice.does(&["audit", "--write", "log.ndjson"])?.of_type("audit")?;
    for (field, value) in [("entries", 4), ("accounts", 4), ("devices", 4), ("revoked", 0), ("size", 4)] {
        ensure(number(&audited, field) == Some(value), || format!("{field}: {audited}"))?;
    }
    let key = text(&audited, "registry_key").ok_or_else(|| Failure::new(audited.to_string()))?;

    // Somebody without an account or a profile comes to the same root, from the broker and from the file.
    let home = tempfile::tempdir()?;
    let stranger = |key: &str, arguments: &[&str]| -> Result<Output> {
        let mut command = process::sealed(&process::binary("cipher-chat")?, home.path());
        Output::of(command.args(["--json", "audit", "--registry-key", key]).args(arguments))
    };
    let server = site.broker.url();
    let seen = stranger(key, &["--server", &server])?.expecting(0)?.of_type("audit")?;
    ensure(seen.get("root") == audited.get("root"), || format!("{audited}\n{seen}"))?;
    let saved = alice.home().join("log.ndjson");
    let file = saved.to_str().ok_or_else(|| Failure::new("a path that is no text"))?;
    let seen = stranger(key, &["--from-file", file, "--server", "nats://127.0.0.1:1"])?.expecting(0)?;
    ensure(seen.of_type("audit")?.get("root") == audited.get("root"), || format!("{audited}\n{seen}"))?;

    // Another key: whoever answers is not that registry.
    stranger(&"ab".repeat(32), &["--server", &server])?.expecting(6)?;
    Ok(())
}

#[test]
fn a_saved_log_that_was_changed_is_found_and_is_no_evidence() -> Result {
    let site = Site::single()?;
    let alice = site.registered("alice")?;
    site.registered("bob")?;
    alice.does(&["audit", "--write", "log.ndjson"])?;
    let path = alice.home().join("log.ndjson");
    let lines: Vec<String> = fs::read_to_string(&path)?.lines().map(str::to_owned).collect();
    ensure(lines.len() == 3, || format!("{lines:?}"))?;
    let without_the_last = lines.get(..2).unwrap_or_default().join("\n") + "\n";
    let swapped = [0, 2, 1].map(|at| lines.get(at).cloned().unwrap_or_default()).join("\n") + "\n";
    for changed in [without_the_last, swapped] {
        fs::write(&path, changed)?;
        let found = alice.run(&["audit", "--from-file", "log.ndjson"])?.expecting(6)?;
        let alarm = found.errors.iter().find(|line| kind_of(line) == Some("evidence"));
        let alarm = alarm.ok_or_else(|| Failure::new(format!("no alarm\n{found}")))?;
        ensure(text(alarm, "file").is_none(), || found.to_string())?;
    }
    // Whoever had the file in hands may have done it.
    ensure(alice.evidence()?.is_empty(), || format!("{:?}", alice.evidence()))
}
