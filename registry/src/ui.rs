//! The only file that prints: for people, or one JSON object per line with `--json`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is where output goes")]

use serde_json::{Value, json};

use crate::error::Error;
use crate::provision::Provisioned;
use crate::service::Ready;
use crate::traffic::Stored;

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ui {
    Human,
    Json,
}

impl Ui {
    /// The registry answers.
    pub(crate) fn ready(self, ready: &Ready) {
        let key = data_encoding::HEXLOWER.encode(&ready.registry_key);
        match self {
            Self::Json => println!("{}", json!({ "type": "ready", "registry_key": key })),
            Self::Human => println!("ready; registry key {key}"),
        }
    }

    /// What was found and done about the streams.
    pub(crate) fn provisioned(self, result: &Provisioned) {
        let Provisioned { created, updated, unchanged, drifts } = result;
        match self {
            Self::Json => {
                let mut line = json!({ "type": "streams" });
                if let (Value::Object(line), Ok(Value::Object(fields))) =
                    (&mut line, serde_json::to_value(result))
                {
                    line.extend(fields);
                }
                println!("{line}");
            }
            Self::Human => {
                for (what, names) in [("created", created), ("updated", updated), ("unchanged", unchanged)] {
                    if !names.is_empty() {
                        println!("{what}: {}", names.join(", "));
                    }
                }
                for drift in drifts {
                    println!("differs: {drift}");
                }
            }
        }
    }

    /// An account; always JSON, indented for people.
    pub(crate) fn account(self, account: &Value) {
        match self {
            Self::Json => println!("{account}"),
            Self::Human => println!("{account:#}"),
        }
    }

    /// What the broker sees.
    pub(crate) fn traffic(self, messages: &[Stored]) {
        for message in messages {
            let Stored { stream, sequence, subject, size, time, head } = message;
            match self {
                Self::Json => println!(
                    "{}",
                    json!({
                        "type": "stored", "stream": stream, "sequence": sequence, "subject": subject,
                        "size": size, "time": time, "head": head,
                    })
                ),
                Self::Human => {
                    println!("{time:<30}  {stream:<7} {sequence:>8}  {size:>7} B  {head}  {subject}");
                }
            }
        }
    }

    /// Why the command ended.
    pub(crate) fn error(self, error: &Error) {
        match self {
            Self::Json => eprintln!(
                "{}",
                json!({
                    "type": "error", "kind": error.kind(), "message": error.to_string(),
                    "hint": error.hint(), "retryable": error.retryable(),
                })
            ),
            Self::Human => eprintln!("cipher-registry: {error}\n  hint: {}", error.hint()),
        }
    }
}
