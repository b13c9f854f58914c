//! Says something in a conversation and prints what is said there, with the types of this package over `cipher-chat rpc`.
//!
//! ```text
//! cargo run -p cipher-api --example listen -- PROFILE TARGET TEXT
//! ```
//!
//! It ends after the first message of another member.

use std::collections::VecDeque;
use std::error::Error;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use cipher_api::command::message::Send;
use cipher_api::rpc::{self, Call, Frame, Hello, Id, News, Notification, Scope, Subscribe};
use cipher_api::{Event, Request, Target};

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

/// A connection: one JSON object per line, in both directions.
struct Agent {
    process: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    last: u64,
    /// News that came while an answer was waited for.
    news: VecDeque<News>,
}

impl Agent {
    fn start(profile: &str) -> Result<Self> {
        let mut process = Command::new("cipher-chat")
            .args(["--profile", profile, "rpc"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let to = process.stdin.take().ok_or("no standard input")?;
        let from = BufReader::new(process.stdout.take().ok_or("no standard output")?);
        Ok(Self { process, to, from, last: 0, news: VecDeque::new() })
    }

    fn frame(&mut self) -> Result<Frame> {
        let mut line = String::new();
        if self.from.read_line(&mut line)? == 0 {
            return Err(format!("rpc ended with {}", self.process.wait()?).into());
        }
        Ok(serde_json::from_str(&line)?)
    }

    /// The reply of a request has the type that belongs to it.
    fn ask<R: Request>(&mut self, request: &R) -> Result<R::Reply> {
        self.last += 1;
        let own = Id::Number(self.last);
        let call = serde_json::to_string(&Call::new(own.clone(), request)?)?;
        writeln!(self.to, "{call}")?;
        loop {
            match self.frame()? {
                Frame::Result { id, result, .. } if id == own => return Ok(serde_json::from_value(result)?),
                // It has kind, hint and `retryable` for programs.
                Frame::Error { error, .. } => return Err(cipher_api::Error::from(error).into()),
                Frame::Notification(Notification { news, .. }) => self.news.push_back(news),
                Frame::Result { .. } => {}
            }
        }
    }

    /// The next event. Those of types that this program does not know are [`Event::Unknown`].
    fn event(&mut self) -> Result<Event> {
        loop {
            let news = match self.news.pop_front() {
                Some(news) => news,
                None => match self.frame()? {
                    Frame::Notification(Notification { news, .. }) => news,
                    Frame::Result { .. } | Frame::Error { .. } => continue,
                },
            };
            if let News::Event(told) = news {
                return Ok(told.event);
            }
        }
    }
}

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [profile, target, text] = words.as_slice() else {
        return Err("give a profile, a conversation and a text".into());
    };
    let target: Target = target.parse()?;
    let mut agent = Agent::start(profile)?;
    agent.ask(&Hello { version: rpc::VERSION, client: "listen 1".into(), token: None })?;
    let scope = Scope::Conversations { targets: vec![target.clone()] };
    let subscribed = agent.ask(&Subscribe { scope, ..Subscribe::default() })?;
    let sent = agent.ask(&Send::new(target, text.clone()))?;
    let mut out = std::io::stdout();
    writeln!(out, "{:?}: {}", sent.state, sent.id)?;
    loop {
        let Event::Message(message) = agent.event()? else { continue };
        let here = subscribed.groups.as_ref().is_none_or(|groups| groups.contains(&message.group));
        if here && message.from.account_id != sent.from.account_id && message.event().is_none() {
            writeln!(out, "@{}: {}", message.from.handle, message.text)?;
            break;
        }
    }
    // Its input ends, and so does it.
    let Agent { mut process, to, .. } = agent;
    drop(to);
    process.wait()?;
    Ok(())
}
