//! What a command gives back.

use std::fmt::Display;

use cipher_broker::limit;

use crate::action::Action;
use crate::argument::{Rest, Word};
use crate::event::Message;
use crate::file::File;

/// A message in answer. Most often `text.into()`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    text: String,
    quotes: bool,
    files: Vec<File>,
}

impl Reply {
    /// A message with a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), quotes: false, files: Vec::new() }
    }

    /// Shows the message that is answered along with it: for conversations where others talk in between.
    #[must_use]
    pub fn quoting(mut self) -> Self {
        self.quotes = true;
        self
    }

    /// Attaches a file; the text may be empty then.
    #[must_use]
    pub fn with(mut self, file: File) -> Self {
        self.files.push(file);
        self
    }
}

impl From<String> for Reply {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<&str> for Reply {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<Rest> for Reply {
    fn from(rest: Rest) -> Self {
        Self::new(rest.0)
    }
}

impl From<Word> for Reply {
    fn from(word: Word) -> Self {
        Self::new(word.0)
    }
}

/// One part of what a command wants: a message in answer, or anything else that a bot can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// A message.
    Reply(Reply),
    /// Something else.
    Action(Action),
}

impl<T: Into<Reply>> From<T> for Part {
    fn from(reply: T) -> Self {
        Self::Reply(reply.into())
    }
}

impl From<Action> for Part {
    fn from(action: Action) -> Self {
        Self::Action(action)
    }
}

/// Whatever a command may return: [`Reply`], [`Action`], a list or an `Option` of either, a pair of them, a `Result`
/// whose error is told to the person, or nothing.
pub trait IntoAnswer {
    /// What is to be done, in order.
    fn into_answer(self) -> Vec<Part>;
}

impl IntoAnswer for Reply {
    fn into_answer(self) -> Vec<Part> {
        vec![self.into()]
    }
}

impl IntoAnswer for Action {
    fn into_answer(self) -> Vec<Part> {
        vec![self.into()]
    }
}

impl<A: IntoAnswer, B: IntoAnswer> IntoAnswer for (A, B) {
    fn into_answer(self) -> Vec<Part> {
        let mut parts = self.0.into_answer();
        parts.extend(self.1.into_answer());
        parts
    }
}

impl IntoAnswer for () {
    fn into_answer(self) -> Vec<Part> {
        Vec::new()
    }
}

impl<T: IntoAnswer> IntoAnswer for Option<T> {
    fn into_answer(self) -> Vec<Part> {
        self.map_or_else(Vec::new, T::into_answer)
    }
}

impl<T: IntoAnswer> IntoAnswer for Vec<T> {
    fn into_answer(self) -> Vec<Part> {
        self.into_iter().flat_map(T::into_answer).collect()
    }
}

impl<T: IntoAnswer, E: Display> IntoAnswer for Result<T, E> {
    fn into_answer(self) -> Vec<Part> {
        match self {
            Ok(answer) => answer.into_answer(),
            Err(error) => vec![Reply::new(error.to_string()).into()],
        }
    }
}

/// The actions of an answer to a message. An empty text says nothing; one that is too long ends in `…`.
pub(crate) fn actions(answer: Vec<Part>, message: &Message) -> Vec<Action> {
    answer.into_iter().filter_map(|part| action(part, message)).collect()
}

fn action(part: Part, message: &Message) -> Option<Action> {
    let Reply { text, quotes, files } = match part {
        Part::Reply(reply) => reply,
        Part::Action(action) => return Some(action),
    };
    let empty = text.trim().is_empty();
    let (text, reply_to) = (shortened(text), quotes.then_some(message.message_id));
    // What is asked in a thread is answered there.
    let thread = message.thread;
    match (files.is_empty(), empty) {
        (true, true) => None,
        (true, false) => Some(Action::Say { text, reply_to, thread }),
        (false, _) => Some(Action::Attach { files, text, reply_to, thread }),
    }
}

fn shortened(mut text: String) -> String {
    const MORE: &str = "…";
    if text.len() > limit::TEXT_BYTES {
        let mut end = limit::TEXT_BYTES.saturating_sub(MORE.len());
        while !text.is_char_boundary(end) {
            end = end.saturating_sub(1);
        }
        text.truncate(end);
        text.push_str(MORE);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use cipher_broker::id::MessageId;

    #[test]
    fn nothing_an_option_a_list_and_an_error_are_answers() {
        assert_eq!(().into_answer(), []);
        assert_eq!(None::<Reply>.into_answer(), []);
        assert_eq!(vec![Reply::new("a"), Reply::new("b")].into_answer().len(), 2);
        assert_eq!(Err::<Reply, _>("no such city").into_answer(), [Part::from("no such city")]);
        let thumb = Action::react(MessageId::from_bytes([1; 16]), "+1");
        assert_eq!((Reply::new("a"), thumb.clone()).into_answer(), [Part::from("a"), thumb.into()]);
    }

    #[test]
    fn a_text_that_is_too_long_is_cut_between_characters() {
        let long = shortened("ü".repeat(limit::TEXT_BYTES));
        assert!(long.len() <= limit::TEXT_BYTES && long.ends_with("ü…"));
    }
}
