//! A command: verb, help, arguments and the function behind them. `#[command]` makes one of a function.

use std::fmt;

use serde::{Serialize, de::DeserializeOwned};

use crate::answer::Part;
use crate::argument::{FromArguments, Shape};
use crate::event::{Event, Message};
use crate::memory::{Failure, Memory};
use crate::typing::Typing;

/// A command, as `#[command]` writes it down.
#[derive(Clone)]
pub struct Definition {
    verb: &'static str,
    about: &'static str,
    arguments: Vec<Argument>,
    run: Run,
}

/// What is behind a command.
pub type Run = fn(&mut Call<'_>) -> Result<Vec<Part>, Refused>;

/// One argument, as the usage shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Argument {
    name: &'static str,
    shape: Shape,
}

/// Why a command did not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// Its memory cannot be used.
    Failed(Failure),
    /// It was called the wrong way: one sentence for the person.
    Usage(String),
}

/// What is wrong with one argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misuse {
    /// There is nothing left of the line.
    Missing,
    /// It must be this.
    Wrong(&'static str),
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl Argument {
    /// An argument of a type.
    pub fn of<T: FromArguments>(name: &'static str) -> Self {
        Self { name, shape: T::SHAPE }
    }
}

impl Definition {
    /// Written by `#[command]`.
    pub fn new(verb: &'static str, about: &'static str, arguments: Vec<Argument>, run: Run) -> Self {
        Self { verb, about, arguments, run }
    }

    /// What people type after the slash.
    pub fn verb(&self) -> &'static str {
        self.verb
    }

    /// The first paragraph of the doc comment.
    pub fn about(&self) -> &'static str {
        self.about
    }

    /// How it is written: `/add POINTS [COMMENT]`.
    pub fn usage(&self) -> String {
        let mut usage = format!("/{}", self.verb);
        for argument in &self.arguments {
            let name = argument.name.to_uppercase();
            match argument.shape {
                Shape::Hidden => {}
                Shape::Optional => usage.push_str(&format!(" [{name}]")),
                Shape::Required => usage.push_str(&format!(" {name}")),
            }
        }
        usage
    }

    pub(crate) fn run(
        &self,
        event: &Event,
        line: &str,
        memory: &mut Memory,
        typing: &Typing,
    ) -> Result<Vec<Part>, Refused> {
        let Some(message) = event.message() else { return Ok(Vec::new()) };
        (self.run)(&mut Call { definition: self, event, message, left: line.trim(), memory, typing })
    }
}

impl fmt::Debug for Definition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Definition").field(&self.usage()).finish()
    }
}

/// One call of a command while its arguments are taken from the line.
#[derive(Debug)]
pub struct Call<'a> {
    definition: &'a Definition,
    event: &'a Event,
    message: &'a Message,
    left: &'a str,
    memory: &'a mut Memory,
    typing: &'a Typing,
}

impl<'a> Call<'a> {
    /// The event.
    pub fn event(&self) -> &'a Event {
        self.event
    }

    /// The message with the call.
    pub fn message(&self) -> &'a Message {
        self.message
    }

    /// What tells that the bot is at work.
    pub fn typing(&self) -> &'a Typing {
        self.typing
    }

    /// Takes the next word.
    pub fn word(&mut self) -> Option<&'a str> {
        let (word, left) = self.left.split_once(char::is_whitespace).unwrap_or((self.left, ""));
        self.left = left.trim_start();
        (!word.is_empty()).then_some(word)
    }

    /// Takes everything that is left.
    pub fn rest(&mut self) -> Option<&'a str> {
        let rest = std::mem::take(&mut self.left);
        (!rest.is_empty()).then_some(rest)
    }

    /// Takes one argument by its type.
    pub fn argument<T: FromArguments>(&mut self, name: &str) -> Result<T, Refused> {
        T::from_arguments(self).map_err(|misuse| {
            let (name, usage) = (name.to_uppercase(), self.definition.usage());
            Refused::Usage(match misuse {
                Misuse::Missing => format!("{name} is missing: {usage}"),
                Misuse::Wrong(wanted) => format!("{name} must be {wanted}: {usage}"),
            })
        })
    }

    /// Ends the line: what nobody took is too much.
    pub fn finish(&self) -> Result<(), Refused> {
        if self.left.is_empty() {
            return Ok(());
        }
        Err(Refused::Usage(format!("that is more than I take: {}", self.definition.usage())))
    }

    /// What is remembered under a name.
    pub fn remembered<T: DeserializeOwned + Default>(&self, name: &str) -> Result<T, Refused> {
        Ok(self.memory.value(name)?)
    }

    /// Remembers a value under a name.
    pub fn remember<T: Serialize>(&mut self, name: &str, value: &T) -> Result<(), Refused> {
        Ok(self.memory.keep(name, value)?)
    }
}
