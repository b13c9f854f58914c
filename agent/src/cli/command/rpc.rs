//! `rpc`: the protocol of the control socket, on standard input and output.

use std::collections::HashSet;
use std::io::{BufRead as _, Write as _};

use cipher_api::ErrorKind;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::sync::mpsc;

use crate::app::profile::OpenProfile;
use crate::cli::context::Context;
use crate::cli::exit::Result;
use crate::cli::input::interrupt::Interrupt;
use crate::control::socket;
use crate::session::Need;

/// Lines of standard input that wait to be passed on.
const WAITING: usize = 16;
/// Requests that wait for their answers: as many as are served at a time, so that neither side waits for the other to read.
const OPEN: usize = 16;

/// Speak JSON-RPC 2.0 on standard input and output, one object per line
///
/// The first request is hello: {"jsonrpc":"2.0","id":1,"method":"hello","params":{"version":1}}. All methods are listed
/// by `cipher-chat schema`. Ends when the input ends and everything asked is answered.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  cipher-chat rpc\n  cipher-chat rpc < requests.jsonl > answers.jsonl")]
pub struct Args {}

/// Runs it. Also the process that has the profile open speaks to itself through its socket: there is one way in.
pub async fn run(context: &Context, _: Args) -> Result {
    let mut stop = Interrupt::listen();
    let profile = OpenProfile::open(context, Need::Everything).await?;
    let Some(stream) = socket::connect(&profile.place()?).await? else {
        profile.close().await;
        return Err(ErrorKind::Unreachable
            .because("the process that has this profile open does not serve it")
            .into());
    };
    let spoken = tokio::select! {
        () = stop.wait() => Ok(()),
        spoken = speak(stream) => spoken,
    };
    profile.close().await;
    spoken
}

async fn speak(stream: UnixStream) -> Result {
    let (from, mut to) = stream.into_split();
    let (mut lines, mut open) = (standard_input(), HashSet::new());
    let (mut from, mut answer, mut ended) = (BufReader::new(from), Vec::new(), false);
    while !ended || !open.is_empty() {
        tokio::select! {
            line = lines.recv(), if !ended && open.len() < OPEN => match line {
                Some(line) => {
                    open.extend(asked(&line));
                    to.write_all(&line).await?;
                }
                None => ended = true,
            },
            // What was read of a line stays in `answer` when the other side is faster.
            read = from.read_until(b'\n', &mut answer) => {
                if read? == 0 {
                    return Err(ErrorKind::Unreachable
                        .because("the process that had the profile open has ended")
                        .into());
                }
                if let Some(id) = answered(&answer) {
                    open.remove(&id);
                }
                let mut out = std::io::stdout().lock();
                out.write_all(&answer)?;
                out.flush()?;
                answer.clear();
            }
        }
    }
    Ok(())
}

/// The id of a request that wants an answer. What cannot be read is answered as well, with the id `null`.
fn asked(line: &[u8]) -> Option<String> {
    if line.iter().all(u8::is_ascii_whitespace) {
        return None;
    }
    match serde_json::from_slice::<Value>(line) {
        Ok(Value::Object(call)) => call.get("id").map(Value::to_string),
        Ok(_) | Err(_) => Some(Value::Null.to_string()),
    }
}

/// The id of the request that a line answers; `None` for news.
fn answered(line: &[u8]) -> Option<String> {
    let frame: Value = serde_json::from_slice(line).ok()?;
    let answer = frame.get("result").is_some() || frame.get("error").is_some();
    frame.get("id").filter(|_| answer).map(Value::to_string)
}

/// Lines of standard input, read by a thread that the end of the process does not wait for.
fn standard_input() -> mpsc::Receiver<Vec<u8>> {
    let (lines, read) = mpsc::channel(WAITING);
    std::thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        loop {
            let mut line = Vec::new();
            match input.read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) => {
                    if line.last() != Some(&b'\n') {
                        line.push(b'\n');
                    }
                    if lines.blocking_send(line).is_err() {
                        return;
                    }
                }
            }
        }
    });
    read
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_waits_for_its_own_answer_and_news_answer_nothing() {
        for (line, id) in [
            (r#"{"jsonrpc":"2.0","id":1,"method":"hello"}"#, Some("1")),
            (r#"{"jsonrpc":"2.0","id":"a","method":"hello"}"#, Some("\"a\"")),
            (r#"{"jsonrpc":"2.0","method":"acknowledge"}"#, None),
            ("no json", Some("null")),
            ("  \n", None),
        ] {
            assert_eq!(asked(line.as_bytes()).as_deref(), id, "{line}");
        }
        for (line, id) in [
            (r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, Some("1")),
            (r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"x"}}"#, Some("null")),
            (r#"{"jsonrpc":"2.0","method":"event","params":{}}"#, None),
        ] {
            assert_eq!(answered(line.as_bytes()).as_deref(), id, "{line}");
        }
    }
}
