//! What a bot says in answer to an event: the same bytes, and so the same message id, whichever of its hosts says it
//! and whenever it does.

use serde::{Deserialize, Serialize};

use crate::id::MessageId;
use crate::time::Timestamp;
use crate::wire::content::{Body, Content, Poll};

/// A bot's message. Nothing in it may come from the host that sends it: no clock, no chance, no gossip.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BotSay {
    /// The text.
    pub text: String,
    /// The message it answers.
    pub reply_to: Option<MessageId>,
    /// An emoji under a message, instead of a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reaction: Option<BotReaction>,
    /// Other words for an own message, these: instead of a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edit: Option<MessageId>,
    /// Answers to choose from: the text is the question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poll: Option<Poll>,
    /// An own poll that takes no more votes, instead of a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub close: Option<MessageId>,
    /// The message that began the thread in which it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<MessageId>,
    /// Derived from the bot's account, the event and the position among its answers.
    pub salt: [u8; 16],
    /// Hop count of the event plus one.
    pub hops: u8,
    /// Time of the event, which is when the answer says that it was written.
    pub at: Timestamp,
}

/// An emoji that a bot puts under a message, or takes away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BotReaction {
    /// The message.
    pub of: MessageId,
    /// The emoji.
    pub emoji: String,
    /// Whether it is taken away.
    #[serde(default)]
    pub removed: bool,
}

impl BotSay {
    /// A text, derived from an event.
    pub const fn new(text: String, salt: [u8; 16], hops: u8, at: Timestamp) -> Self {
        Self {
            text,
            reply_to: None,
            reaction: None,
            edit: None,
            poll: None,
            close: None,
            thread: None,
            salt,
            hops,
            at,
        }
    }

    /// The payload of the message. It has no place for anything that two hosts could differ in.
    pub fn content(self) -> Content {
        let Self { text, reply_to, reaction, edit, poll, close, thread, salt, hops, at } = self;
        let body = match (reaction, edit, poll, close) {
            (Some(BotReaction { of, emoji, removed }), ..) => Body::Reaction { of, emoji, removed },
            (None, Some(of), ..) => Body::Edit { of, text },
            (None, None, Some(poll), _) => Body::Poll { question: text, poll },
            (None, None, None, Some(of)) => Body::PollClosed { of },
            (None, None, None, None) => Body::Text(text),
        };
        Content { reply_to, hops, thread, ..Content::new(salt, at, body) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s5_an_answer_says_nothing_of_the_host_that_sends_it() {
        let at = Timestamp::from_millis(1_767_225_600_000);
        let say = BotSay::new("hi".into(), [1; 16], 1, at);
        let content = say.content();
        assert_eq!((content.sent_at, content.salt, content.hops), (at, [1; 16], 1));
        assert_eq!((content.body, content.head), (Body::Text("hi".into()), None));
    }
}
