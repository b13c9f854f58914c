//! A bot as a process of its own: one JSON object per line, questions in, responses out, in order.
//!
//! ```text
//! host  {"type":"describe"}
//! bot   {"type":"description","name":"echo","about":"","commands":[{"verb":"echo","usage":"/echo TEXT","about":"…"}]}
//! host  {"type":"event","event":{"id":{…},"me":{…},"conversation":{…},"at":0,"kind":"message",…},"memory":null}
//! bot   {"type":"outcome","id":{…},"actions":[{"type":"say","text":"hi"}],"memory":{…}}
//! bot   {"type":"failure","id":{…},"message":"…"}
//! ```
//! Before an outcome there may be lines `{"type":"typing","id":{…}}`, each time the members of the conversation are to see
//! that the bot is writing something.
//!
//! `memory` is any JSON value the bot likes; the host stores it and gives it back with the next event of that
//! conversation, and `null` before the first. Any language can do this. The process ends when its input ends, and may
//! be killed at any time: what counts is what the host has saved.
//!
//! The host's side is [`question`] and [`outcome`]: they keep the rules of every bot also for programs that do not.

use std::io::{self, BufRead, IsTerminal, Write};
use std::process::{ExitCode, Termination};
use std::sync::mpsc;
use std::thread;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use cipher_broker::emoji;
use cipher_broker::limit;
use cipher_broker::wire::content::Poll;

use crate::action::Action;
use crate::bot::{Bot, Description, Handler, Outcome, Rules};
use crate::event::{Event, EventId};
use crate::file::{File, INLINE_BYTES};
use crate::memory::{Failure, MEMORY_BYTES, Memory};
use crate::typing::Typing;

/// Longest line of either side: an event with the longest text (all of it escaped), the largest memory and the most bytes
/// of files, twice over.
pub const LINE_BYTES: usize = 2 * (6 * limit::TEXT_BYTES + MEMORY_BYTES + INLINE_BYTES);

/// What the host asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum HostMessage {
    /// What can you do?
    Describe,
    /// What do you do about this?
    Event {
        /// The event.
        event: Box<Event>,
        /// What the bot remembered about the conversation; null before the first time.
        #[serde(default)]
        memory: Value,
    },
}

/// What the bot answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Response {
    /// What it can do.
    Description(Description),
    /// It could not handle the event, or did not understand the line (then without id).
    Failure {
        /// The event.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<EventId>,
        /// One sentence for the owner.
        message: String,
    },
    /// It is still at work, and members may see that. The response comes later.
    Typing {
        /// The event.
        id: EventId,
    },
    /// What it wants done and remembered. Together or not at all.
    Outcome {
        /// The event.
        id: EventId,
        /// What it wants done.
        #[serde(default)]
        actions: Vec<Action>,
        /// What it wants remembered.
        #[serde(default)]
        memory: Value,
    },
}

/// How a bot's process ended: the result of `main`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit(u8);

impl Exit {
    /// The host closed the pipe.
    pub const DONE: Self = Self(0);
    /// The pipe broke.
    pub const FAILED: Self = Self(1);
    /// It was started by hand, without a host.
    pub const NO_HOST: Self = Self(2);
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        ExitCode::from(self.0)
    }
}

/// Serves on standard input and output until the input ends.
pub fn run(bot: &Bot) -> Exit {
    if io::stdin().is_terminal() {
        // Nobody reads this error if standard error is gone too.
        let _ = writeln!(
            io::stderr(),
            "{} waits for a host on its input; give it one with: cipher-chat bot run --exec PROGRAM",
            bot.name()
        );
        return Exit::NO_HOST;
    }
    match serve(bot, io::stdin().lock(), io::stdout()) {
        Ok(()) => Exit::DONE,
        // A host that went away reads no answers: that is an end like any other.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::DONE,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{}: {error}", bot.name());
            Exit::FAILED
        }
    }
}

/// Serves on any pair of pipes.
pub fn serve(bot: &Bot, questions: impl BufRead, responses: impl Write + Send) -> io::Result<()> {
    thread::scope(|scope| {
        // One thread writes: a handler tells that it is at work while its response is not there yet.
        let (say, said) = mpsc::channel();
        let writing = scope.spawn(move || write(responses, &said));
        let read = read(bot, questions, &say);
        // A handler may have kept its way to tell that it is at work: that holds up no end.
        drop(say.send(None));
        let written =
            writing.join().unwrap_or_else(|_| Err(io::Error::other("the writer of lines panicked")));
        read.and(written)
    })
}

/// Answers one question after the other until the input ends, or nobody writes the answers any more.
fn read(bot: &Bot, mut questions: impl BufRead, say: &mpsc::Sender<Option<Response>>) -> io::Result<()> {
    let bound = u64::try_from(LINE_BYTES).unwrap_or(u64::MAX);
    let mut line = Vec::new();
    loop {
        line.clear();
        if io::Read::take(&mut questions, bound).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if !line.ends_with(b"\n") && line.len() >= LINE_BYTES {
            // The rest of the line would be read as another question.
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a line is too long"));
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        if say.send(Some(respond(bot, &line, say))).is_err() {
            return Ok(());
        }
    }
}

/// Writes until it is told that there is no more.
fn write(mut responses: impl Write, said: &mpsc::Receiver<Option<Response>>) -> io::Result<()> {
    for response in said.iter().map_while(|response| response) {
        let mut line = serde_json::to_vec(&response)?;
        line.push(b'\n');
        responses.write_all(&line)?;
        responses.flush()?;
    }
    Ok(())
}

/// Whether a line of a bot's process says that it is still at work on the event.
pub fn is_typing(event: &Event, line: &[u8]) -> bool {
    // Nothing else is so short, or worth a second look.
    const LONGEST: usize = 1024;
    line.len() <= LONGEST
        && matches!(serde_json::from_slice(line), Ok(Response::Typing { id }) if id == event.id)
}

/// What a bot's process is told about an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// A line, with its end.
    Line(Vec<u8>),
    /// Nothing: the rules keep it silent anyway, and this is what the event leads to.
    Nothing(Outcome),
}

/// What a bot's process is told about an event. `memory` is that of the last saved outcome of the conversation.
pub fn question(event: &Event, memory: &[u8], rules: Rules) -> Result<Asked, Failure> {
    let kept = Memory::from_bytes(memory)?;
    if rules.answers_to(event, &kept) == 0 {
        return rules.silence(event, memory, kept).map(Asked::Nothing);
    }
    let question = HostMessage::Event { event: Box::new(event.clone()), memory: kept.value(PROCESS)? };
    let mut line = serde_json::to_vec(&question).map_err(|e| broke(format!("cannot be asked: {e}")))?;
    line.push(b'\n');
    Ok(Asked::Line(line))
}

/// What the line that a bot's process answered with leads to. `memory` as for [`question`].
pub fn outcome(event: &Event, memory: &[u8], rules: Rules, line: &[u8]) -> Result<Outcome, Failure> {
    let response = serde_json::from_slice(line).map_err(|e| broke(format!("not a response: {e}")))?;
    let (id, mut actions, process) = match response {
        Response::Outcome { id, actions, memory } => (id, actions, memory),
        Response::Failure { message, .. } => return Err(broke(message)),
        Response::Description(_) => return Err(broke("described itself instead of answering".into())),
        Response::Typing { .. } => return Err(broke("is at work on another event".into())),
    };
    if id != event.id {
        return Err(broke("answered another event".into()));
    }
    for action in &actions {
        match action {
            Action::Say { text, .. }
            | Action::Attach { text, .. }
            | Action::Edit { text, .. }
            | Action::Poll { question: text, .. }
                if text.len() > limit::TEXT_BYTES =>
            {
                return Err(broke(format!("a text is longer than {} bytes", limit::TEXT_BYTES)));
            }
            Action::Edit { text, .. } | Action::Poll { question: text, .. } if text.trim().is_empty() => {
                return Err(broke("an edit and a poll have some words".into()));
            }
            Action::Poll { options, multiple, .. } => {
                let poll = Poll { options: options.clone(), multiple: *multiple };
                if !poll.is_sound() {
                    let (most, bytes) = (limit::POLL_OPTIONS, limit::POLL_OPTION_BYTES);
                    return Err(broke(format!(
                        "a poll has 2 to {most} answers, no two alike, each with some words and at most {bytes} bytes"
                    )));
                }
            }
            Action::React { emoji, .. } if emoji::meant(emoji).is_none() => {
                return Err(broke(format!("'{emoji}' is no emoji")));
            }
            Action::Attach { files, .. } if files.is_empty() || files.len() > limit::ATTACHMENTS => {
                return Err(broke(format!("a message has 1 to {} files", limit::ATTACHMENTS)));
            }
            Action::Say { .. }
            | Action::Attach { .. }
            | Action::Edit { .. }
            | Action::ClosePoll { .. }
            | Action::React { .. } => {}
        }
    }
    if inline(&actions) > INLINE_BYTES {
        return Err(broke(format!("files of more than {INLINE_BYTES} bytes in a line: give their paths")));
    }
    let mut kept = Memory::from_bytes(memory)?;
    let held_back = rules.shorten(event, &mut actions, &mut kept);
    kept.keep(PROCESS, &process)?;
    Ok(Outcome { actions, memory: kept.to_bytes()?, held_back })
}

/// Bytes of files that lie in actions themselves.
fn inline(actions: &[Action]) -> usize {
    let files = actions.iter().filter_map(|action| match action {
        Action::Attach { files, .. } => Some(files),
        _ => None,
    });
    let bytes = files.flatten().map(|file| match file {
        File::Bytes { data, .. } => data.len(),
        File::Path { .. } => 0,
    });
    bytes.fold(0, usize::saturating_add)
}

/// Name under which the host keeps what a process remembers.
const PROCESS: &str = "process";

fn broke(reason: String) -> Failure {
    Failure::Process { reason }
}

fn respond(bot: &Bot, line: &[u8], say: &mpsc::Sender<Option<Response>>) -> Response {
    match serde_json::from_slice(line) {
        Err(error) => Response::Failure { id: None, message: format!("not a question: {error}") },
        Ok(HostMessage::Describe) => Response::Description(bot.description()),
        Ok(HostMessage::Event { event, memory }) => {
            let id = event.id.clone();
            let typing = Typing::new({
                let (id, say) = (id.clone(), say.clone());
                // A host that went away needs to know nothing.
                move || drop(say.send(Some(Response::Typing { id: id.clone() })))
            });
            handled(bot, &event, &memory, &typing)
                .unwrap_or_else(|failure| Response::Failure { id: Some(id), message: failure.to_string() })
        }
    }
}

fn handled(bot: &Bot, event: &Event, memory: &Value, typing: &Typing) -> Result<Response, Failure> {
    let bytes = match memory {
        Value::Null => Vec::new(),
        known => known.to_string().into_bytes(),
    };
    let Outcome { actions, memory, .. } = bot.handle(event, &bytes, typing)?;
    let memory = match memory.as_slice() {
        [] => Value::Null,
        known => serde_json::from_slice(known)
            .map_err(|e| Failure::Unwritable { name: String::new(), reason: e.to_string() })?,
    };
    Ok(Response::Outcome { id: event.id.clone(), actions, memory })
}
