//! A bot: which command answers which message, and when it stays silent.

use serde::{Deserialize, Serialize};

use cipher_broker::certificate::Kind;

use crate::action::Action;
use crate::answer::{self, Part};
use crate::command::{Definition, Refused};
use crate::event::{Event, Message};
use crate::memory::{Failure, Memory};
use crate::stdio::{self, Exit};
use crate::typing::Typing;

/// Bots in a row above which nobody answers any more, even bots that answer bots.
pub const MAX_HOPS: u8 = 3;
/// Answers a bot gives in one conversation in a minute, unless it says otherwise.
pub const ANSWERS_PER_MINUTE: u32 = 60;

/// Whoever handles events: a [`Bot`] in the process of the host, or a stand-in for one elsewhere.
///
/// Called for one event of a conversation after the other, possibly again for the same one after a crash. What it
/// wants is in the [`Outcome`], and counts only once the host has saved that.
pub trait Handler: Send + Sync {
    /// Handles one event, with the memory of the last saved outcome of the same conversation; empty before the first.
    /// Members can be told by `typing` that it is at work.
    fn handle(&self, event: &Event, memory: &[u8], typing: &Typing) -> Result<Outcome, Failure>;
}

/// What a handled event leads to. Saved whole or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What to do, in order. Number `n` gets the salt [`crate::action::derive_salt`]`(…, n)`.
    pub actions: Vec<Action>,
    /// What to give back with the next event, at most [`crate::memory::MEMORY_BYTES`].
    pub memory: Vec<u8>,
    /// The bot has used up its answers of this minute, and this is the first event that it leaves without one (or
    /// without all of it). The host tells the owner.
    pub held_back: bool,
}

/// When a bot may answer at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Also answers bots, up to [`MAX_HOPS`] in a row. Never itself.
    pub answers_bots: bool,
    /// Answers in one conversation in a minute.
    pub answers_per_minute: u32,
}

impl Default for Rules {
    fn default() -> Self {
        Self { answers_bots: false, answers_per_minute: ANSWERS_PER_MINUTE }
    }
}

impl Rules {
    /// How many answers to this event are allowed; the bot need not see the event if none is.
    pub(crate) fn answers_to(&self, event: &Event, memory: &Memory) -> usize {
        if self.is_none_of_its_business(event) {
            return 0;
        }
        usize::try_from(memory.answers_left(self.answers_per_minute, event.at)).unwrap_or(usize::MAX)
    }

    /// Its own words, and those of bots that it does not answer.
    fn is_none_of_its_business(&self, event: &Event) -> bool {
        event.origin().is_some_and(|(sender, hops)| {
            let is_me = sender.account_id == event.me.account;
            let is_bot = sender.kind == Kind::Bot;
            is_me || (is_bot && !self.answers_bots) || hops >= MAX_HOPS
        })
    }

    /// What an event leads to that the rules leave without an answer.
    pub(crate) fn silence(&self, event: &Event, memory: &[u8], mut kept: Memory) -> Result<Outcome, Failure> {
        let asked = event.message().is_some() && !self.is_none_of_its_business(event);
        let held_back = asked && kept.note_held_back(self.answers_per_minute);
        let memory = if held_back { kept.to_bytes()? } else { memory.to_vec() };
        Ok(Outcome { actions: Vec::new(), memory, held_back })
    }

    /// Shortens what a bot wants to do to what it may, and notes it. Whether that is the first time in this minute.
    pub(crate) fn shorten(&self, event: &Event, actions: &mut Vec<Action>, memory: &mut Memory) -> bool {
        let (wanted, allowed) = (actions.len(), self.answers_to(event, memory));
        actions.truncate(allowed);
        memory.note_answers(actions.len(), event.at);
        wanted > allowed && memory.note_held_back(self.answers_per_minute)
    }
}

/// A bot made of commands.
#[derive(Debug, Clone)]
pub struct Bot {
    name: String,
    about: String,
    commands: Vec<Definition>,
    addressed: Option<Definition>,
    filters: Vec<Definition>,
    rules: Rules,
}

/// What a bot can do, for its profile and for completion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// Name of the bot.
    pub name: String,
    /// One sentence about it; may be empty.
    pub about: String,
    /// Its commands, `/help` not among them.
    pub commands: Vec<CommandDescription>,
}

/// One command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandDescription {
    /// What people type after the slash.
    pub verb: String,
    /// How it is written.
    pub usage: String,
    /// What it does.
    pub about: String,
}

impl Bot {
    /// A bot that can do nothing yet. Its handle is the host's matter; the name is what it calls itself.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            about: String::new(),
            commands: Vec::new(),
            addressed: None,
            filters: Vec::new(),
            rules: Rules::default(),
        }
    }

    /// One sentence for `/help` and the profile.
    #[must_use]
    pub fn about(mut self, about: impl Into<String>) -> Self {
        self.about = about.into();
        self
    }

    /// Answers `/verb …`.
    #[must_use]
    pub fn command(mut self, command: fn() -> Definition) -> Self {
        self.commands.push(command());
        self
    }

    /// Answers text that is meant for the bot but is no command: after `@handle`, and everything in a direct
    /// conversation.
    #[must_use]
    pub fn addressed(mut self, command: fn() -> Definition) -> Self {
        self.addressed = Some(command());
        self
    }

    /// Reads every text that nothing else answered, and may answer. Text that does not fit its arguments is none of
    /// its business.
    #[must_use]
    pub fn on_text(mut self, filter: fn() -> Definition) -> Self {
        self.filters.push(filter());
        self
    }

    /// Also answers other bots, up to [`MAX_HOPS`] in a row. Never itself.
    #[must_use]
    pub fn answering_bots(mut self) -> Self {
        self.rules.answers_bots = true;
        self
    }

    /// Answers in one conversation at most this often a minute.
    #[must_use]
    pub fn answers_per_minute(mut self, budget: u32) -> Self {
        self.rules.answers_per_minute = budget;
        self
    }

    /// What the bot calls itself.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it can do.
    pub fn description(&self) -> Description {
        let command = |definition: &Definition| CommandDescription {
            verb: definition.verb().into(),
            usage: definition.usage(),
            about: definition.about().into(),
        };
        Description {
            name: self.name.clone(),
            about: self.about.clone(),
            commands: self.commands.iter().map(command).collect(),
        }
    }

    /// Serves a host on standard input and output ([`stdio`]): the whole `main` of a bot.
    pub fn run(self) -> Exit {
        stdio::run(&self)
    }

    fn answer(
        &self,
        event: &Event,
        message: &Message,
        memory: &mut Memory,
        typing: &Typing,
    ) -> Result<Vec<Part>, Refused> {
        let line = Line::read(&message.text, event);
        if let Some(verb) = line.verb {
            // A telephone's keyboard begins a line with a capital.
            if verb.eq_ignore_ascii_case("help") {
                return Ok(vec![self.help().into()]);
            }
            if let Some(command) =
                self.commands.iter().find(|command| command.verb().eq_ignore_ascii_case(verb))
            {
                return command.run(event, line.text, memory, typing);
            }
            // In a group the command may be meant for somebody else.
            if line.addressed {
                return Ok(vec![format!("I do not know /{verb}; /help tells what I can do").into()]);
            }
            return Ok(Vec::new());
        }
        if let (true, Some(definition)) = (line.addressed, &self.addressed) {
            return definition.run(event, line.text, memory, typing);
        }
        for filter in &self.filters {
            match filter.run(event, &message.text, memory, typing) {
                Ok(answer) if answer.is_empty() => {}
                Err(Refused::Usage(_)) => {}
                answered => return answered,
            }
        }
        Ok(Vec::new())
    }

    fn help(&self) -> String {
        let mut lines = vec![match self.about.as_str() {
            "" => format!("{} can do this:", self.name),
            about => format!("{}: {about}", self.name),
        }];
        for command in &self.commands {
            lines.push(format!("{}  {}", command.usage(), command.about()).trim_end().into());
        }
        lines.push("/help  Shows this.".into());
        lines.join("\n")
    }
}

impl Handler for Bot {
    fn handle(&self, event: &Event, memory: &[u8], typing: &Typing) -> Result<Outcome, Failure> {
        let mut changed = Memory::from_bytes(memory)?;
        let Some(message) = event.message() else { return self.rules.silence(event, memory, changed) };
        if self.rules.answers_to(event, &changed) == 0 {
            return self.rules.silence(event, memory, changed);
        }
        let answer = match self.answer(event, message, &mut changed, typing) {
            Ok(answer) => answer,
            Err(Refused::Usage(sentence)) => vec![sentence.into()],
            Err(Refused::Failed(failure)) => return Err(failure),
        };
        let mut actions = answer::actions(answer, message);
        let held_back = self.rules.shorten(event, &mut actions, &mut changed);
        Ok(Outcome { actions, memory: changed.to_bytes()?, held_back })
    }
}

/// A text, taken apart: `@handle /verb arguments`, `/verb@handle arguments`, `@handle text`, or just text.
struct Line<'a> {
    /// Whether it is meant for this bot.
    addressed: bool,
    /// The verb, if it is a command that is not meant for another bot.
    verb: Option<&'a str>,
    /// What follows.
    text: &'a str,
}

impl<'a> Line<'a> {
    fn read(text: &'a str, event: &Event) -> Self {
        let mut text = text.trim();
        let mut addressed = event.conversation.direct;
        if let Some(rest) = after_mention(text, event) {
            (text, addressed) = (rest, true);
        }
        let Some(command) = text.strip_prefix('/') else { return Self { addressed, verb: None, text } };
        let (verb, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        match verb.split_once('@') {
            Some((verb, handle)) if is_me(handle, event) => {
                Self { addressed: true, verb: Some(verb), text: rest }
            }
            // Meant for another bot: no command of ours, and nothing anybody addressed to us.
            Some(_) => Self { addressed: false, verb: None, text },
            None if is_verb(verb) => Self { addressed, verb: Some(verb), text: rest },
            // A path or a smiley, not a command.
            None => Self { addressed, verb: None, text },
        }
    }
}

fn after_mention<'a>(text: &'a str, event: &Event) -> Option<&'a str> {
    let mention = text.strip_prefix('@')?;
    let (handle, rest) = mention.split_once(char::is_whitespace).unwrap_or((mention, ""));
    is_me(handle.trim_end_matches([':', ',']), event).then_some(rest.trim_start())
}

fn is_me(handle: &str, event: &Event) -> bool {
    handle.eq_ignore_ascii_case(event.me.handle.as_str())
}

fn is_verb(verb: &str) -> bool {
    !verb.is_empty() && verb.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-')
}
