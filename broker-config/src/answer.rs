//! What a bot says in answer to an event: the same bytes, and so the same message id, whichever of its hosts says it
//! and whenever it does.

use serde::{Deserialize, Serialize};

use crate::id::MessageId;
use crate::time::Timestamp;
use crate::wire::content::{Body, Content};

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
    /// The payload of the message. It has no place for anything that two hosts could differ in.
    pub fn content(self) -> Content {
        let Self { text, reply_to, reaction, salt, hops, at } = self;
        let body = match reaction {
            Some(BotReaction { of, emoji, removed }) => Body::Reaction { of, emoji, removed },
            None => Body::Text(text),
        };
        Content { salt, sent_at: at, reply_to, hops, body, head: None, attachments: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s5_an_answer_says_nothing_of_the_host_that_sends_it() {
        let at = Timestamp::from_millis(1_767_225_600_000);
        let say = BotSay { text: "hi".into(), reply_to: None, reaction: None, salt: [1; 16], hops: 1, at };
        let content = say.content();
        assert_eq!((content.sent_at, content.salt, content.hops), (at, [1; 16], 1));
        assert_eq!((content.body, content.head), (Body::Text("hi".into()), None));
    }
}
