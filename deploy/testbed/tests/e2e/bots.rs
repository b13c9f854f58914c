//! Bots that die, and answer every command exactly once all the same.

use std::path::Path;

use serde_json::json;
use testbed::person::{kind_of, text};
use testbed::{Result, Site, ensure};

use crate::support::echo_bot;

/// Commands in one burst.
const BURST: usize = 24;

#[test]
fn a_bot_killed_in_the_middle_of_a_burst_answers_every_command_once() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &alice, &[&bob])?;
    let (mut bot, echo) = echo_bot(&alice)?;
    alice.does(&["group", "add", "team", &echo])?;
    let mut screen = bob.follows("team")?;
    bob.sends("team", "/echo are you there")?;
    screen.sees("are you there")?;
    for n in 0..BURST {
        bob.sends("team", &format!("/echo word {n}"))?;
        // Killed three times, at moments that have nothing to do with what it is doing.
        if n % 8 == 5 {
            screen.sees(&format!("word {}", n.saturating_sub(4)))?;
            bot.process().kill()?;
            bot = echo_bot(&alice)?.0;
        }
    }
    for n in 0..BURST {
        let words = format!("word {n}");
        let again = screen.history().iter().filter(|line| text(line, "text") == Some(&words)).count();
        if again == 0 {
            screen.until(&words, |line| text(line, "text") == Some(&words))?;
        }
    }
    bot.interrupt()?;
    bob.sends("team", "that was all")?;
    alice.syncs()?;
    let messages = alice.reads("team")?;
    for n in 0..BURST {
        let words = format!("word {n}");
        let answers = messages
            .iter()
            .filter(|line| kind_of(line) == Some("message") && text(line, "text") == Some(&words));
        let answers = answers.count();
        ensure(answers == 1, || format!("`{words}` was answered {answers} times"))?;
    }
    Ok(())
}

/// A bot follows its owner only, so whoever else adds it is told; the owner is not.
#[test]
fn who_adds_somebody_elses_bot_is_told_that_it_will_not_answer() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    let (_bot, echo) = echo_bot(&alice)?;
    let warned = |output: &testbed::Output| {
        let of_bot = |line: &&serde_json::Value| {
            text(line, "message").is_some_and(|text| text.contains("it will not answer here"))
        };
        output.errors.iter().filter(|line| kind_of(line) == Some("warning")).filter(of_bot).count()
    };
    alice.creates("hers", &[])?;
    let added = alice.does(&["group", "add", "hers", &echo])?;
    ensure(warned(&added) == 0, || added.to_string())?;
    bob.creates("his", &[])?;
    let added = bob.does(&["group", "add", "his", &echo])?;
    ensure(warned(&added) == 1, || added.to_string())?;
    let made = bob.does(&["group", "create", "more", "--with", &echo])?;
    ensure(warned(&made) == 1, || made.to_string())?;
    // Also by way of another process that has the profile open.
    let mut screen = bob.follows("his")?;
    bob.sends("his", "is anybody there")?;
    screen.sees("is anybody there")?;
    let made = bob.does(&["group", "create", "again", "--with", &echo])?;
    ensure(warned(&made) == 1, || made.to_string())
}

#[test]
fn a_bot_that_was_away_answers_what_it_missed() -> Result {
    let site = Site::single()?;
    let alice = site.registered("alice")?;
    alice.creates("team", &[])?;
    let (mut bot, echo) = echo_bot(&alice)?;
    alice.does(&["group", "add", "team", &echo])?;
    let mut screen = alice.follows("team")?;
    alice.sends("team", "/echo first")?;
    screen.sees("first")?;
    bot.interrupt()?;
    alice.sends("team", "/echo while you were out")?;
    let (_bot, again) = echo_bot(&alice)?;
    assert_eq!(echo, again, "a bot keeps its account");
    let answer = screen.sees("while you were out")?;
    assert_eq!(answer.pointer("/from/kind").and_then(|kind| kind.as_str()), Some("bot"));
    Ok(())
}

/// Says in the conversation what it was told of members.
const TELLER: &str = r#"#!/usr/bin/env python3
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    if asked["type"] == "describe":
        said = {"type": "description", "name": "teller", "about": "", "commands": []}
    else:
        event = asked["event"]
        words = {
            "joined": lambda: "I was let in by " + event["by"]["handle"],
            "member-changed": lambda: " ".join([event["who"]["handle"], event["change"], "by", event["by"]["handle"]]),
        }.get(event["kind"], lambda: None)()
        actions = [{"type": "say", "text": words}] if words else []
        said = {"type": "outcome", "id": event["id"], "actions": actions, "memory": None}
    print(json.dumps(said), flush=True)
"#;

/// Puts an emoji under what people say, and says what they put under messages.
const REACTER: &str = r#"#!/usr/bin/env python3
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    if asked["type"] == "describe":
        said = {"type": "description", "name": "reacter", "about": "", "commands": []}
    else:
        event = asked["event"]
        actions = []
        if event["kind"] == "message":
            actions = [{"type": "react", "message_id": event["message_id"], "emoji": "eyes"}]
        if event["kind"] == "reaction":
            words = ["took away" if event["removed"] else "put", event["emoji"]]
            actions = [{"type": "say", "text": " ".join([event["sender"]["handle"]] + words)}]
        said = {"type": "outcome", "id": event["id"], "actions": actions, "memory": None}
    print(json.dumps(said), flush=True)
"#;

/// Says that it is at work, then attaches what it was told to: a file of this machine, or words.
const ATTACHER: &str = r#"#!/usr/bin/env python3
import base64, json, sys
for line in sys.stdin:
    asked = json.loads(line)
    if asked["type"] == "describe":
        said = {"type": "description", "name": "attacher", "about": "", "commands": []}
    else:
        event = asked["event"]
        actions = []
        if event["kind"] == "message" and event["sender"]["kind"] == "person":
            print(json.dumps({"type": "typing", "id": event["id"]}), flush=True)
            what, rest = event["text"].split(" ", 1)
            file = {"path": rest} if what == "file" else {"name": "words.txt", "data": base64.b64encode(rest.encode()).decode()}
            actions = [{"type": "attach", "files": [file], "text": "here it is"}]
        said = {"type": "outcome", "id": event["id"], "actions": actions, "memory": None}
    print(json.dumps(said), flush=True)
"#;

#[test]
fn a_program_attaches_files_and_bytes_and_is_seen_at_work() -> Result {
    let site = Site::single()?;
    let alice = site.registered("alice")?;
    let folder = tempfile::tempdir()?;
    let program = executable(folder.path(), "attacher", ATTACHER)?;
    let mut bot = alice.starts(&["bot", "run", "attacher", "--exec", &program])?;
    bot.is_ready()?;
    alice.creates("team", &[])?;
    let mut screen = alice.follows("team")?;
    screen.until("alice listens", |line| kind_of(line) == Some("ready"))?;
    alice.does(&["group", "add", "team", "attacher"])?;
    let to = folder.path().join("got");
    std::fs::create_dir(&to)?;
    let report = folder.path().join("report.csv");
    let content: Vec<u8> = (0..700_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    std::fs::write(&report, &content)?;
    alice.sends("team", &format!("file {}", report.display()))?;
    screen.until("the bot is at work", |line| {
        kind_of(line) == Some("typing") && text(line, "handle") == Some("attacher")
    })?;
    let mut attached = |name: &str| -> Result<Vec<u8>> {
        let said = screen.until(name, |line| line["attachments"][0]["name"] == name)?;
        ensure(text(&said, "text") == Some("here it is"), || said.to_string())?;
        alice.does(&["download", text(&said, "id").unwrap_or_default(), "--to", &to.to_string_lossy()])?;
        Ok(std::fs::read(to.join(name))?)
    };
    ensure(attached("report.csv")? == content, || "another content".into())?;
    alice.sends("team", "words good morning")?;
    ensure(attached("words.txt")? == b"good morning", || "other words".into())?;
    // What is not there costs its event, its owner is told, and the next one is answered.
    alice.sends("team", "file /nowhere/at/all")?;
    alice.sends("team", "words and good night")?;
    screen.until("the bot goes on", |line| line["attachments"][0]["size"] == 14)?;
    bot.interrupt()?;
    Ok(())
}

#[test]
fn a_program_reacts_and_is_told_of_reactions() -> Result {
    let site = Site::single()?;
    let alice = site.registered("alice")?;
    let folder = tempfile::tempdir()?;
    let program = executable(folder.path(), "reacter", REACTER)?;
    let mut bot = alice.starts(&["bot", "run", "reacter", "--exec", &program])?;
    bot.is_ready()?;
    alice.creates("team", &[])?;
    let mut screen = alice.follows("team")?;
    alice.does(&["group", "add", "team", "reacter"])?;
    let said = alice.sends("team", "look at this")?;
    let id = text(&said, "id").unwrap_or_default();
    let seen = screen.until("the bot has reacted", |line| {
        text(line, "id") == Some(id) && line["reactions"][0]["emoji"] == "👀"
    })?;
    ensure(seen["reactions"][0]["by"] == json!(["reacter"]), || seen.to_string())?;
    alice.does(&["react", id, "+1"])?;
    screen.sees("alice put 👍")?;
    alice.does(&["react", id, "+1", "--remove"])?;
    screen.sees("alice took away 👍")?;
    bot.interrupt()?;
    Ok(())
}

/// B3: a program is told of each member that a change concerns, by whom, and of its own coming.
#[test]
fn b3_a_program_is_told_who_came_and_who_did_it() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    let carol = site.registered("carol")?;
    let folder = tempfile::tempdir()?;
    let program = executable(folder.path(), "teller", TELLER)?;
    let mut bot = alice.starts(&["bot", "run", "teller", "--exec", &program])?;
    bot.is_ready()?;
    alice.creates("team", &[])?;
    let mut screen = alice.follows("team")?;
    alice.does(&["group", "add", "team", "teller"])?;
    screen.sees("I was let in by alice")?;
    alice.does(&["group", "add", "team", "bob", "carol"])?;
    for words in ["bob added by alice", "carol added by alice"] {
        screen.sees(words)?;
    }
    drop((bob, carol));
    bot.interrupt()?;
    Ok(())
}

/// Writes a program; gives its path.
fn executable(folder: &Path, name: &str, source: &str) -> Result<String> {
    let path = folder.join(name);
    std::fs::write(&path, source)?;
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    Ok(path.to_string_lossy().into_owned())
}
