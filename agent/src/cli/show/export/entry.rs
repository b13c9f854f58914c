//! What of a message is told on a page, whichever way the page is written. No text in here has a hidden character.

use cipher_api::view::{Body, MessageState, MessageView, PollView, QuotedState, QuotedView, ReactionView};
use cipher_broker::certificate::Kind;
use cipher_broker::id::FileId;
use cipher_broker::time::Timestamp;

use crate::app::size::in_words;
use crate::cli::show::export::picture::is_picture;
use crate::cli::show::length;
use crate::cli::show::paint::at;
use crate::cli::show::safe_text::{safe_block, safe_text};
use crate::cli::zone::Zone;

/// What a page is of.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// What the conversation is called.
    pub name: &'a str,
    /// Whose profile it was read from.
    pub by: &'a str,
    /// When.
    pub at: Timestamp,
}

impl Head<'_> {
    /// One sentence below the name.
    pub(super) fn sentence(&self, zone: &Zone) -> String {
        format!(
            "Exported by {} at {}. This is plain text: nothing protects it any more, and nobody can check what it says.",
            safe_text(&at(self.by)),
            zone.minute(&self.at.to_string())
        )
    }
}

/// A picture that came with a message, checked.
#[derive(Debug)]
pub struct Picture {
    /// Which file it is.
    pub id: FileId,
    /// Its media type, by its content.
    pub mime: &'static str,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// A line of a conversation.
pub(super) struct Entry {
    /// Names it on the page.
    pub id: String,
    /// RFC 3339.
    pub at: String,
    /// Hour and minute of the person.
    pub clock: String,
    pub what: What,
}

pub(super) enum What {
    /// This agent observed it: one sentence of it.
    Observed(String),
    Said(Box<Said>),
}

/// What a member said.
pub(super) struct Said {
    /// `@handle`.
    pub who: String,
    /// What is known of it besides: that it was edited, that it was not sent.
    pub marks: Vec<String>,
    pub quoted: Option<Quoted>,
    pub words: Words,
    pub poll: Option<Poll>,
    pub files: Vec<FileLine>,
    /// Each with who put it there.
    pub reactions: Vec<(String, String)>,
}

pub(super) enum Words {
    /// In several lines.
    Text(String),
    /// Where words were, or where words of another version are: one sentence of this agent.
    None(String),
}

/// What is answered.
pub(super) struct Quoted {
    /// The message, to which the page may lead.
    pub of: Option<String>,
    pub words: String,
}

pub(super) struct Poll {
    /// Each with the number of its votes and who gave them.
    pub options: Vec<(String, String)>,
    pub stands: String,
}

pub(super) struct FileLine {
    pub id: FileId,
    pub name: String,
    /// Size and type.
    pub about: String,
    /// A small picture of it, shown where the whole one is not there.
    pub preview: Option<Picture>,
}

impl Entry {
    pub(super) fn of(message: &MessageView, zone: &Zone) -> Self {
        let at = message.at.unwrap_or(message.sent_at).to_string();
        let what = if message.event().is_some() {
            What::Observed(safe_text(&message.text))
        } else {
            What::Said(Box::new(Said::of(message, zone)))
        };
        Self { id: message.id.to_string(), clock: zone.clock(&at), at, what }
    }
}

impl Said {
    fn of(message: &MessageView, zone: &Zone) -> Self {
        let gone = message.deleted || message.expired;
        Self {
            who: safe_text(&at(&message.from.handle)),
            marks: marks(message),
            quoted: message.quoted.as_ref().filter(|_| !gone).map(|quoted| {
                let of = message.reply_to.filter(|_| quoted.state == QuotedState::Here);
                Quoted { of: of.map(|of| of.to_string()), words: quoted_words(quoted) }
            }),
            words: words(message, zone),
            poll: message.body.poll().filter(|_| !gone).map(Poll::of),
            files: message.attachments.iter().filter(|_| !gone).map(FileLine::of).collect(),
            reactions: message.reactions.iter().filter(|_| !gone).map(reaction).collect(),
        }
    }
}

/// R-EXPORT-01: of what was taken back or has disappeared no page has words.
fn words(message: &MessageView, zone: &Zone) -> Words {
    if message.deleted {
        let by =
            message.deleted_by.as_ref().map_or_else(String::new, |by| format!(" by {}", safe_text(&at(by))));
        return Words::None(format!("(deleted{by})"));
    }
    if message.expired {
        return Words::None("(disappeared)".into());
    }
    match &message.body {
        Body::Text | Body::Poll(_) | Body::Granted(_) => Words::Text(safe_block(&message.text, 0)),
        Body::Missing(_) | Body::Event { .. } => Words::None(format!("({})", safe_text(&message.text))),
        Body::Grant(_) => Words::None(format!("({})", safe_text(&zone.times_in(&message.text)))),
        Body::Unknown(kind) => {
            Words::None(format!("(a message this version cannot show: {})", safe_text(kind)))
        }
    }
}

fn marks(message: &MessageView) -> Vec<String> {
    let mut marks = Vec::new();
    let mut mark = |holds: bool, words: &str| {
        if holds {
            marks.push(words.to_owned());
        }
    };
    mark(message.from.kind == Kind::Bot, "bot");
    if let Some(granted) = message.body.granted() {
        mark(true, &format!("says that {} wrote", safe_text(&at(&granted.from))));
        mark(granted.edited, "edited");
    }
    mark(message.thread.is_some(), "in a thread");
    mark(message.forwarded, "forwarded");
    mark(message.edited && !message.deleted, "edited");
    mark(message.state == MessageState::Queued, "not sent yet");
    if let Some(by) = &message.pinned_by {
        mark(true, &format!("pinned by {}", safe_text(&at(by))));
    }
    if let Some(seconds) = message.expire {
        mark(true, &format!("disappears after {}", length::in_words(seconds)));
    }
    match &message.failure {
        Some(why) => mark(true, &format!("not sent: {}", safe_text(&why.message))),
        None => mark(message.state == MessageState::Failed, "not sent"),
    }
    marks
}

fn quoted_words(quoted: &QuotedView) -> String {
    let from = quoted.from.as_deref().map_or_else(String::new, |from| format!("{}: ", safe_text(&at(from))));
    match quoted.state {
        QuotedState::Here => format!("{from}{}", safe_text(&quoted.text)),
        QuotedState::Deleted => format!("{from}(deleted)"),
        QuotedState::Missing | QuotedState::Unknown => "a message that is not here".into(),
    }
}

fn names(of: &[String]) -> String {
    of.iter().map(|who| safe_text(&at(who))).collect::<Vec<_>>().join(", ")
}

fn reaction(reaction: &ReactionView) -> (String, String) {
    (safe_text(&reaction.emoji), names(&reaction.by))
}

impl Poll {
    fn of(poll: &PollView) -> Self {
        let options = poll.options.iter().map(|option| {
            let by = if option.by.is_empty() { String::new() } else { format!(": {}", names(&option.by)) };
            (safe_text(&option.text), format!("{}{by}", option.votes))
        });
        let voted = if poll.voters == 1 { "1 vote".to_owned() } else { format!("{} votes", poll.voters) };
        let stands = if poll.closed { ", closed" } else { "" };
        Self { options: options.collect(), stands: format!("{voted}{stands}") }
    }
}

impl FileLine {
    fn of(file: &cipher_api::view::AttachmentView) -> Self {
        let kind = if file.mime.is_empty() { String::new() } else { format!(", {}", safe_text(&file.mime)) };
        let preview = file.preview.as_ref().and_then(|preview| {
            let (mime, bytes) = (is_picture(&preview.bytes)?, preview.bytes.clone());
            Some(Picture { id: file.id, mime, bytes })
        });
        let about = format!("{}{kind}", in_words(file.size));
        Self { id: file.id, name: safe_text(&file.name), about, preview }
    }
}
