//! The only file that prints: for people, or one JSON object per line with `--json`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is where output goes")]

use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::Value;

use crate::error::Error;
use crate::operate::backup::Stage;
use crate::operate::traffic::Stored;
use crate::provision::Provisioned;
use crate::replica::health::Health;
use crate::room::Room;
use crate::service::Ready;

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ui {
    Human,
    Json,
}

/// One line with `--json`; `type` says which.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Line<'a> {
    Error {
        kind: &'a str,
        message: String,
        hint: &'a str,
        retryable: bool,
    },
    Ready {
        registry_key: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        replica: Option<&'a str>,
    },
    Replica(&'a Health),
    Room(&'a Room),
    Stored(&'a Stored),
    Streams(&'a Provisioned),
}

impl Line<'_> {
    fn text(&self) -> String {
        serde_json::to_string(self).expect("lines hold only texts, numbers and lists of them")
    }
}

impl Ui {
    /// The registry answers.
    pub(crate) fn ready(self, ready: &Ready) {
        let registry_key = data_encoding::HEXLOWER.encode(&ready.registry_key);
        match self {
            Self::Json => {
                println!("{}", Line::Ready { registry_key, replica: ready.replica.as_deref() }.text());
            }
            Self::Human => println!("ready; registry key {registry_key}"),
        }
    }

    /// What was found and done about the streams.
    pub(crate) fn provisioned(self, result: &Provisioned) {
        if self == Self::Json {
            println!("{}", Line::Streams(result).text());
            return;
        }
        let Provisioned { created, updated, unchanged, drifts, warnings } = result;
        for (what, names) in [("created", created), ("updated", updated), ("unchanged", unchanged)] {
            if !names.is_empty() {
                println!("{what}: {}", names.join(", "));
            }
        }
        for drift in drifts {
            println!("differs: {drift}");
        }
        for warning in warnings {
            println!("warning: {}", safe(warning));
        }
    }

    /// What making room did.
    pub(crate) fn rooms(self, rooms: &[Room]) {
        if self == Self::Json {
            for room in rooms {
                println!("{}", Line::Room(room).text());
            }
            return;
        }
        for Room { stream, before, after } in rooms {
            println!("{}  {before} bytes before, {after} after", safe(stream));
        }
    }

    /// What the operator asked for; always JSON, indented for people.
    pub(crate) fn told(self, value: &Value) {
        match self {
            Self::Json => println!("{value}"),
            Self::Human => format!("{value:#}").lines().for_each(|line| println!("{}", safe(line))),
        }
    }

    /// How far a command is, for a person at a terminal.
    pub(crate) fn waiting(self) -> Waiting {
        let shown = self == Self::Human && io::stderr().is_terminal();
        Waiting { shown: shown.then(|| (Instant::now(), false)) }
    }

    /// Replicas, one a line.
    pub(crate) fn replicas(self, replicas: &[Health]) {
        for replica in replicas {
            if self == Self::Json {
                println!("{}", Line::Replica(replica).text());
                continue;
            }
            let Health { replica, writes, term, applied, behind } = replica;
            let role = if *writes { "writes" } else { "follows" };
            let short = replica.get(..6).unwrap_or(replica);
            println!("{}  {role}  term {term}  record {applied}  {behind} behind", safe(short));
        }
    }

    /// What the broker sees.
    pub(crate) fn traffic(self, messages: &[Stored]) {
        for message in messages {
            if self == Self::Json {
                println!("{}", Line::Stored(message).text());
                continue;
            }
            let Stored { stream, sequence, subject, size, time, head } = message;
            println!("{time:<30}  {stream:<7} {sequence:>8}  {size:>7} B  {head:<32}  {}", safe(subject));
        }
    }

    /// Why the command ended.
    pub(crate) fn error(self, error: &Error) {
        let (kind, hint) = (error.kind(), error.hint());
        match self {
            Self::Json => {
                let (message, retryable) = (error.to_string(), error.retryable());
                eprintln!("{}", Line::Error { kind, message, hint, retryable }.text());
            }
            Self::Human => eprintln!("cipher-registry: {}\n  hint: {hint}", safe(&error.to_string())),
        }
    }
}

/// A line that says how far a command is. It goes with this value.
pub(crate) struct Waiting {
    /// When it was written last, and whether it is there; `None`: never to be.
    shown: Option<(Instant, bool)>,
}

impl Waiting {
    pub(crate) fn tell(&mut self, stage: Stage, bytes: u64) {
        let Some((last, there)) = &mut self.shown else { return };
        if last.elapsed() < BLINK {
            return;
        }
        (*last, *there) = (Instant::now(), true);
        let stage = match stage {
            Stage::Writing => "writing",
            Stage::Verifying => "verifying",
            Stage::Restoring => "restoring",
        };
        eprint!("\r\u{1b}[K{stage}: {} MiB", bytes >> 20);
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.shown.is_some_and(|(_, there)| there) {
            eprint!("\r\u{1b}[K");
        }
    }
}

/// How often it changes.
const BLINK: Duration = Duration::from_millis(200);

/// Text from outside for a terminal: control characters and invisible ones become visible (T01).
fn safe(text: &str) -> String {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if hidden(c) { shown.extend(c.escape_unicode()) } else { shown.push(c) }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    /// T01: a subject, a broker's error text or a name cannot steer the operator's terminal.
    #[test]
    fn t01_nothing_from_outside_steers_the_terminal() {
        assert_eq!(safe("chat.0.g.x.a"), "chat.0.g.x.a");
        assert_eq!(safe("a\u{1b}[2Jb\r\u{9b}c\u{202e}d"), r"a\u{1b}[2Jb\u{d}\u{9b}c\u{202e}d");
    }

    #[test]
    fn lines_begin_with_their_type() {
        let line = Line::Ready { registry_key: "00".into(), replica: None };
        assert_eq!(line.text(), r#"{"type":"ready","registry_key":"00"}"#);
        let line = Line::Error { kind: "k", message: "m".into(), hint: "h", retryable: true };
        assert_eq!(line.text(), r#"{"type":"error","kind":"k","message":"m","hint":"h","retryable":true}"#);
    }
}
