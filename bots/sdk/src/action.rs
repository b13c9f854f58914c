//! What a bot wants done.

use serde::{Deserialize, Serialize};

use cipher_broker::id::{AccountId, MessageId};
use cipher_broker::sign::digest;

use crate::event::EventId;

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
    },
}

/// The salt of the message that carries out action number `index` of an event. Handling an event again after a
/// crash gives the same salt, and so the same message id: nobody sees the answer twice.
pub fn derive_salt(bot: &AccountId, event: &EventId, index: u32) -> [u8; 16] {
    let full = derive("cipher-chat/bot-salt/v1", bot, event, &index.to_be_bytes());
    let mut salt = [0; 16];
    for (to, from) in salt.iter_mut().zip(full) {
        *to = from;
    }
    salt
}

/// A digest of one purpose that belongs to one event of one bot.
pub(crate) fn derive(label: &str, bot: &AccountId, event: &EventId, more: &[u8]) -> [u8; 32] {
    let position = event.position.to_be_bytes();
    digest(label, &[bot.as_bytes(), event.conversation.as_bytes(), &position, more])
}

#[cfg(test)]
mod tests {
    use super::*;
    use cipher_broker::id::GroupId;

    #[test]
    fn a_salt_belongs_to_one_action_of_one_event_of_one_bot() {
        let bot = AccountId::from_bytes([1; 32]);
        let event = EventId { conversation: GroupId::from_bytes([2; 16]), position: 3 };
        let salt = derive_salt(&bot, &event, 0);
        assert_eq!(salt, derive_salt(&bot, &event, 0));
        assert_ne!(salt, derive_salt(&bot, &event, 1));
        assert_ne!(salt, derive_salt(&AccountId::from_bytes([4; 32]), &event, 0));
        assert_ne!(salt, derive_salt(&bot, &EventId { position: 4, ..event }, 0));
        let elsewhere = EventId { conversation: GroupId::from_bytes([5; 16]), ..event };
        assert_ne!(salt, derive_salt(&bot, &elsewhere, 0));
    }
}
