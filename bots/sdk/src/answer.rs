//! What a command gives back.

use std::fmt::Display;

use cipher_broker::limit;

use crate::action::Action;
use crate::argument::{Rest, Word};
use crate::event::Message;

/// A message in answer. Most often `text.into()`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    text: String,
    quotes: bool,
}

impl Reply {
    /// A message with a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), quotes: false }
    }

    /// Shows the message that is answered along with it: for conversations where others talk in between.
    #[must_use]
    pub fn quoting(mut self) -> Self {
        self.quotes = true;
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

/// Whatever a command may return: [`Reply`], a list or an `Option` of it, a `Result` whose error is told to the
/// person, or nothing.
pub trait IntoAnswer {
    /// The messages, in order.
    fn into_answer(self) -> Vec<Reply>;
}

impl IntoAnswer for Reply {
    fn into_answer(self) -> Vec<Reply> {
        vec![self]
    }
}

impl IntoAnswer for () {
    fn into_answer(self) -> Vec<Reply> {
        Vec::new()
    }
}

impl<T: IntoAnswer> IntoAnswer for Option<T> {
    fn into_answer(self) -> Vec<Reply> {
        self.map_or_else(Vec::new, T::into_answer)
    }
}

impl<T: IntoAnswer> IntoAnswer for Vec<T> {
    fn into_answer(self) -> Vec<Reply> {
        self.into_iter().flat_map(T::into_answer).collect()
    }
}

impl<T: IntoAnswer, E: Display> IntoAnswer for Result<T, E> {
    fn into_answer(self) -> Vec<Reply> {
        match self {
            Ok(answer) => answer.into_answer(),
            Err(error) => vec![Reply::new(error.to_string())],
        }
    }
}

/// The actions of an answer to a message. An empty text says nothing; one that is too long ends in `…`.
pub(crate) fn actions(answer: Vec<Reply>, message: &Message) -> Vec<Action> {
    let replies = answer.into_iter().filter(|reply| !reply.text.trim().is_empty());
    replies
        .map(|Reply { text, quotes }| Action::Say {
            text: shortened(text),
            reply_to: quotes.then_some(message.message_id),
            // What is asked in a thread is answered there.
            thread: message.thread,
        })
        .collect()
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

    #[test]
    fn nothing_an_option_a_list_and_an_error_are_answers() {
        assert_eq!(().into_answer(), []);
        assert_eq!(None::<Reply>.into_answer(), []);
        assert_eq!(vec![Reply::new("a"), Reply::new("b")].into_answer().len(), 2);
        assert_eq!(Err::<Reply, _>("no such city").into_answer(), [Reply::new("no such city")]);
    }

    #[test]
    fn a_text_that_is_too_long_is_cut_between_characters() {
        let long = shortened("ü".repeat(limit::TEXT_BYTES));
        assert!(long.len() <= limit::TEXT_BYTES && long.ends_with("ü…"));
    }
}
