//! A program at the other end of `cipher-chat rpc`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use serde_json::Value;
use testbed::process::Process;
use testbed::{Failure, Person, Result};

/// A program that speaks to a profile by way of `cipher-chat rpc`.
pub(crate) struct Program {
    pub(crate) process: Process,
    pub(crate) to: Option<ChildStdin>,
    pub(crate) lines: Receiver<Value>,
    /// What came and was not asked about yet.
    pub(crate) early: Vec<Value>,
}

impl Program {
    pub(crate) fn start(person: &Person) -> Result<Self> {
        let mut command = person.command(&["rpc"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = Process::start(&mut command)?;
        let to = process.pipes().stdin.take();
        let from = process.pipes().stdout.take().ok_or_else(|| Failure::new("no pipe"))?;
        let (told, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(from).lines().map_while(std::result::Result::ok) {
                let read = serde_json::from_str(&line).unwrap_or(Value::String(line));
                if told.send(read).is_err() {
                    return;
                }
            }
        });
        Ok(Self { process, to, lines, early: Vec::new() })
    }

    pub(crate) fn says(&mut self, line: &Value) -> Result {
        let to = self.to.as_mut().ok_or_else(|| Failure::new("the program has ended its input"))?;
        Ok(writeln!(to, "{line}")?)
    }
}
