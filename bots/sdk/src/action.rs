//! What a bot wants done.

use serde::{Deserialize, Serialize};

use cipher_broker::answer::{BotReaction, BotSay};
use cipher_broker::emoji;
use cipher_broker::id::{AccountId, MessageId};
use cipher_broker::sign::digest;
use cipher_broker::wire::content::Poll;

use crate::event::{Event, EventId, LogId, TimerId};
use crate::file::File;

/// One thing to do. The host turns it into an intent of the core, in the transaction that moves the bot's position.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Action {
    /// Sends a message to the conversation of the event.
    Say {
        /// The text, at most [`cipher_broker::limit::TEXT_BYTES`].
        text: String,
        /// The message it answers.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reply_to: Option<MessageId>,
        /// The message that began the thread in which it stands.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        thread: Option<MessageId>,
    },
    /// Sends files, up to [`cipher_broker::limit::ATTACHMENTS`] of them, in one message.
    Attach {
        /// The files, in the order in which they are shown.
        files: Vec<File>,
        /// What to say besides; may be empty.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        text: String,
        /// The message it answers.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reply_to: Option<MessageId>,
        /// The message that began the thread in which it stands.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        thread: Option<MessageId>,
    },
    /// Gives a message of the bot other words. Of a message of somebody else it has no effect.
    Edit {
        /// The message.
        message_id: MessageId,
        /// The words.
        text: String,
    },
    /// Asks a question with answers to choose from. Votes arrive as events.
    Poll {
        /// What is asked.
        question: String,
        /// The answers: 2 to 20, no two alike, each of at most 256 bytes.
        options: Vec<String>,
        /// Whether an account may choose several.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        multiple: bool,
    },
    /// Takes no more votes for a poll of the bot.
    ClosePoll {
        /// The poll.
        message_id: MessageId,
    },
    /// Puts an emoji under a message of the conversation, or takes the bot's own away.
    React {
        /// The message.
        message_id: MessageId,
        /// The emoji, or its name: `thumbsup`, `:+1:`.
        emoji: String,
        /// Takes it away.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        remove: bool,
    },
}

impl Action {
    /// Sends a text.
    pub fn say(text: impl Into<String>) -> Self {
        Self::Say { text: text.into(), reply_to: None, thread: None }
    }

    /// Sends a file.
    pub fn attach(file: File) -> Self {
        Self::Attach { files: vec![file], text: String::new(), reply_to: None, thread: None }
    }

    /// Puts an emoji, or that of a name, under a message.
    pub fn react(message_id: MessageId, emoji: impl Into<String>) -> Self {
        Self::React { message_id, emoji: emoji.into(), remove: false }
    }

    /// Asks a question of which each account chooses one answer.
    pub fn poll(question: impl Into<String>, options: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let options = options.into_iter().map(Into::into).collect();
        Self::Poll { question: question.into(), options, multiple: false }
    }
}

/// A message of a bot, and the files that it is to name once they were brought to the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The message.
    pub say: BotSay,
    /// The files, in the order in which they are shown.
    pub files: Vec<File>,
}

/// The messages that carry out the actions on an event, for every host of the bot. Salt, time and hops come from the
/// event, so whichever host handles it, and however often, the answers have the same bytes and ids.
pub fn answers(event: &Event, actions: Vec<Action>) -> Vec<Answer> {
    let message = |(action, index)| {
        let salt = derive_salt(&event.me.account, &event.id, index);
        let say = BotSay::new(String::new(), salt, event.hops_of_answers(), event.at);
        let mut attached = Vec::new();
        let say = match action {
            Action::Say { text, reply_to, thread } => BotSay { text, reply_to, thread, ..say },
            Action::Attach { files, text, reply_to, thread } => {
                attached = files;
                BotSay { text, reply_to, thread, ..say }
            }
            Action::Edit { message_id, text } => BotSay { text, edit: Some(message_id), ..say },
            Action::Poll { question, options, multiple } => {
                BotSay { text: question, poll: Some(Poll { options, multiple }), ..say }
            }
            Action::ClosePoll { message_id } => BotSay { close: Some(message_id), ..say },
            Action::React { message_id: of, emoji, remove: removed } => {
                let emoji = emoji::meant(&emoji).map_or(emoji, str::to_owned);
                BotSay { reaction: Some(BotReaction { of, emoji, removed }), ..say }
            }
        };
        Answer { say, files: attached }
    };
    actions.into_iter().zip(0_u32..).map(message).collect()
}

/// The salt of the message that carries out action number `index` of an event. Handling an event again after a
/// crash gives the same salt, and so the same message id: nobody sees the answer twice.
pub fn derive_salt(bot: &AccountId, event: &EventId, index: u32) -> [u8; 16] {
    let full = derive("cipher-chat/bot-salt/v2", bot, event, &index.to_be_bytes());
    let mut salt = [0; 16];
    for (to, from) in salt.iter_mut().zip(full) {
        *to = from;
    }
    salt
}

/// A digest of one purpose that belongs to one event of one bot.
pub(crate) fn derive(label: &str, bot: &AccountId, event: &EventId, more: &[u8]) -> [u8; 32] {
    match event {
        EventId::Log(LogId { conversation, position, place }) => {
            let (position, place) = (position.to_be_bytes(), place.to_be_bytes());
            digest(label, &[bot.as_bytes(), b"log", conversation.as_bytes(), &position, &place, more])
        }
        EventId::Timer(TimerId { conversation, timer, at }) => {
            let at = at.as_millis().to_be_bytes();
            digest(label, &[bot.as_bytes(), b"timer", conversation.as_bytes(), timer.as_bytes(), &at, more])
        }
        EventId::Unknown(id) => digest(label, &[bot.as_bytes(), b"other", id.to_string().as_bytes(), more]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cipher_broker::id::GroupId;
    use cipher_broker::time::Timestamp;

    #[test]
    fn a_salt_belongs_to_one_action_of_one_event_of_one_bot() {
        let bot = AccountId::from_bytes([1; 32]);
        let place = LogId { conversation: GroupId::from_bytes([2; 16]), position: 3, place: 0 };
        let salt = derive_salt(&bot, &place.into(), 0);
        assert_eq!(salt, derive_salt(&bot, &place.into(), 0));
        assert_ne!(salt, derive_salt(&bot, &place.into(), 1));
        assert_ne!(salt, derive_salt(&AccountId::from_bytes([4; 32]), &place.into(), 0));
        for other in [
            LogId { position: 4, ..place },
            LogId { place: 1, ..place },
            LogId { conversation: GroupId::from_bytes([5; 16]), ..place },
        ] {
            assert_ne!(salt, derive_salt(&bot, &other.into(), 0));
        }
        let timer = |name: &str, ms| {
            let at = Timestamp::from_millis(ms);
            EventId::Timer(TimerId { conversation: place.conversation, timer: name.into(), at })
        };
        let timers = [timer("a", 3), timer("b", 3), timer("a", 4)].map(|id| derive_salt(&bot, &id, 0));
        assert!(!timers.contains(&salt) && timers[0] != timers[1] && timers[0] != timers[2]);
    }

    /// S5: two hosts of one bot may be of two builds, and their answers must be one message.
    #[test]
    fn s5_salts_are_the_same_in_every_build() {
        let place = LogId { conversation: GroupId::from_bytes([2; 16]), position: 3, place: 0 };
        let salt = derive_salt(&AccountId::from_bytes([1; 32]), &place.into(), 0);
        assert_eq!(u128::from_be_bytes(salt), 0xe62931e3_297933a7_0ab17a82_a6267521);
    }
}
