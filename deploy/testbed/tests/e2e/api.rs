//! docs/API.md, said and heard as it stands.

use std::collections::BTreeMap;
use std::fs;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Instant;

use serde_json::{Value, json};
use testbed::wait::PATIENCE;
use testbed::{Failure, Person, Result, Site, ensure, fail};

use crate::program::Program;

impl Program {
    /// Waits for a line of this form. Answers and news may come in any order; what nobody waits for is passed over.
    fn hears(&mut self, wanted: &Value, names: &mut BTreeMap<String, Value>) -> Result {
        let until = Instant::now() + PATIENCE;
        let mut seen = 0;
        loop {
            while let Some(line) = self.early.get(seen) {
                let mut bound = names.clone();
                if fits(wanted, line, &mut bound) {
                    self.early.remove(seen);
                    *names = bound;
                    return Ok(());
                }
                ensure(line.get("id").is_none() || line.get("id") != wanted.get("id"), || {
                    format!("wanted {wanted}\ngot    {line}")
                })?;
                seen += 1;
            }
            let left = until.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => self.early.push(line),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    return Err(Failure::new(format!("wanted {wanted}\namong  {:?}", self.early)));
                }
            }
        }
    }

    /// Ends its input, and waits for the end.
    fn ends(mut self) -> Result {
        self.to = None;
        let status = self.process.wait(PATIENCE)?;
        ensure(status.success(), || format!("rpc ends with {status}"))
    }
}

/// Whether a line is of a form: `…` is anything, `<name>` what that name stands for, or from now on.
fn fits(wanted: &Value, line: &Value, names: &mut BTreeMap<String, Value>) -> bool {
    match (wanted, line) {
        (Value::String(any), _) if any == "…" => true,
        (Value::String(name), _) if name.starts_with('<') && name.ends_with('>') => {
            names.entry(name.clone()).or_insert_with(|| line.clone()) == line
        }
        (Value::Array(wanted), Value::Array(_)) if wanted.as_slice() == [Value::String("…".into())] => true,
        (Value::Array(wanted), Value::Array(line)) => {
            wanted.len() == line.len()
                && wanted.iter().zip(line).all(|(wanted, line)| fits(wanted, line, names))
        }
        (Value::Object(wanted), Value::Object(line)) => {
            let open = wanted.contains_key("…");
            (open || line.keys().all(|key| wanted.contains_key(key)))
                && wanted
                    .iter()
                    .filter(|(key, _)| *key != "…")
                    .all(|(key, wanted)| line.get(key).is_some_and(|line| fits(wanted, line, names)))
        }
        _ => wanted == line,
    }
}

/// A text with names replaced by what they stand for.
fn filled(text: &str, names: &BTreeMap<String, Value>) -> String {
    names.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value.as_str().unwrap_or("")))
}

/// Words of a command line, as a shell takes them apart here.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (n, part) in line.split('"').enumerate() {
        if n % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

/// Everything that the document says in its blocks of a console.
fn transcript() -> Result<Vec<String>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/API.md");
    let mut lines = Vec::new();
    let mut inside = false;
    for line in fs::read_to_string(path)?.lines() {
        if line.starts_with("```") {
            inside = line == "```console";
        } else if inside {
            lines.push(line.to_owned());
        }
    }
    Ok(lines)
}

fn replay(people: &BTreeMap<&str, &Person>) -> Result {
    let mut names = BTreeMap::new();
    let mut program: Option<Program> = None;
    let mut spoken = 0;
    for line in transcript()? {
        let told = |failure: Failure| failure.and(line.clone());
        let (what, rest) =
            line.split_at_checked(2).ok_or_else(|| Failure::new(format!("half a line: {line}")))?;
        let rest = filled(rest, &names);
        match what {
            "> " => {
                let said: Value = serde_json::from_str(&rest)?;
                program.as_mut().ok_or_else(|| Failure::new("no program"))?.says(&said).map_err(told)?;
            }
            "< " => {
                let wanted: Value = serde_json::from_str(&rest)?;
                program
                    .as_mut()
                    .ok_or_else(|| Failure::new("no program"))?
                    .hears(&wanted, &mut names)
                    .map_err(told)?;
                spoken += 1;
            }
            "$ " if rest == "kill" => {
                program.take().ok_or_else(|| Failure::new("no program"))?.process.kill()?;
            }
            "$ " => {
                let words = words(&rest);
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                let ["cipher-chat", "--profile", name, command @ ..] = words.as_slice() else {
                    return Err(Failure::new(format!("no command of ours: {rest}")));
                };
                let person = people.get(name).ok_or_else(|| Failure::new("nobody of that name"))?;
                match command {
                    ["rpc"] => {
                        // It would have the profile open, and take the next one with it.
                        program.take().map_or(Ok(()), Program::ends).map_err(told)?;
                        program = Some(Program::start(person)?);
                    }
                    [command @ .., ">", name] => {
                        let made =
                            person.does(command).and_then(|made| made.of_type("token")).map_err(told)?;
                        names.insert((*name).to_owned(), made["token"].clone());
                    }
                    _ => _ = person.does(command).map_err(told)?,
                }
            }
            _ => return Err(Failure::new(format!("neither said nor heard: {line}"))),
        }
    }
    ensure(spoken > 15, || format!("only {spoken} lines were heard"))?;
    program.ok_or_else(|| Failure::new("no program"))?.ends()
}

#[test]
fn the_transcript_of_the_document_is_as_it_says_in_a_process_of_its_own() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    // What it would tell of its reading comes when it comes.
    bob.does(&["profile", "set", "--receipts", "off"])?;
    site.group("ops", &alice, &[&bob])?;
    replay(&[("alice", &alice), ("bob", &bob)].into())
}

#[test]
fn the_transcript_of_the_document_is_as_it_says_beside_a_daemon() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    // What it would tell of its reading comes when it comes.
    bob.does(&["profile", "set", "--receipts", "off"])?;
    site.group("ops", &alice, &[&bob])?;
    let mut daemon = alice.starts(&["daemon"])?;
    daemon.until("ready", |line| testbed::person::text(line, "profile") == Some("alice"))?;
    replay(&[("alice", &alice), ("bob", &bob)].into())?;
    ensure(daemon.interrupt()? == 0, || "a daemon ends in order".into())
}

/// A front end that goes on behind its cursor whenever the process at the other end of its lines is gone.
struct Front<'a> {
    person: &'a Person,
    program: Program,
    cursor: Option<String>,
    texts: Vec<String>,
}

impl<'a> Front<'a> {
    fn start(person: &'a Person) -> Result<Self> {
        let program = Program::start(person)?;
        let mut front = Self { person, program, cursor: None, texts: Vec::new() };
        front.subscribes()?;
        front.hears_until(|front| front.cursor.is_some())?;
        Ok(front)
    }

    fn subscribes(&mut self) -> Result {
        let hello = json!({ "jsonrpc": "2.0", "id": 1, "method": "hello", "params": { "version": 1 } });
        let subscribe =
            json!({ "jsonrpc": "2.0", "id": 2, "method": "subscribe", "params": { "after": self.cursor } });
        // If it is gone already, that shows when it is listened to.
        drop(self.program.says(&hello).and_then(|()| self.program.says(&subscribe)));
        Ok(())
    }

    fn begins_again(&mut self) -> Result {
        self.program = Program::start(self.person)?;
        self.subscribes()
    }

    fn hears_until(&mut self, enough: impl Fn(&Self) -> bool) -> Result {
        let until = Instant::now() + PATIENCE;
        while !enough(self) {
            let left = until.saturating_duration_since(Instant::now());
            match self.program.lines.recv_timeout(left) {
                Ok(line) => self.notes(&line),
                Err(RecvTimeoutError::Timeout) => return fail(format!("only {:?} came", self.texts)),
                Err(RecvTimeoutError::Disconnected) => {
                    let status = self.program.process.wait(PATIENCE)?;
                    // Its own process was killed, or the one that had the profile open.
                    ensure(status.code().is_none_or(|code| code == 7), || format!("rpc ends with {status}"))?;
                    self.begins_again()?;
                }
            }
        }
        Ok(())
    }

    fn notes(&mut self, line: &Value) {
        let place = |at: &str| line.pointer(at).and_then(Value::as_str);
        if let Some(cursor) = place("/params/cursor").or_else(|| place("/result/cursor")) {
            self.cursor = Some(cursor.into());
        }
        if place("/params/event/type") == Some("message")
            && let Some(text) = place("/params/event/text")
        {
            self.texts.push(text.into());
        }
    }
}

/// Two front ends of one profile: one of them has it open, the other speaks through it. Whichever is killed, and whoever has
/// the profile open then, each hears every message once and in order.
#[test]
fn two_front_ends_hear_everything_once_whichever_of_them_is_killed() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("ops", &alice, &[&bob])?;
    let mut fronts = [Front::start(&alice)?, Front::start(&alice)?];
    let mut said = Vec::new();
    for round in 0..8 {
        for n in 0..3 {
            let text = format!("{round}.{n}");
            bob.sends("ops", &text)?;
            said.push(text);
            if let Some(front) = fronts.get_mut(round % 3).filter(|_| n == 1) {
                front.program.process.kill()?;
            }
        }
        for front in &mut fronts {
            front.hears_until(|front| front.texts.len() >= said.len())?;
        }
    }
    for front in fronts {
        ensure(front.texts == said, || format!("heard {:?}\nsaid  {said:?}", front.texts))?;
    }
    Ok(())
}

/// What a program that says all of it at once is answered.
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
