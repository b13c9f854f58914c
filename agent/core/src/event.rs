//! News for whoever shows or handles them.

use cipher_broker::id::{GroupId, MessageId};
use serde::{Deserialize, Serialize};

use crate::view::{GroupView, MessageState, MessageView};

/// Something a person or a bot could notice. Sent after the commit that made it true.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Event {
    /// A message or a system line took its place in a conversation, own ones included.
    Message(Box<MessageView>),
    /// An own message moved on.
    State {
        /// The conversation.
        group: GroupId,
        /// The message.
        id: MessageId,
        /// Its state now.
        state: MessageState,
    },
    /// A group is new, changed or gone for us (see its state).
    Group(Box<GroupView>),
    /// Something a person should know, one sentence.
    Warning(String),
}
