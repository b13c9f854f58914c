//! What is said, before it is a message.

use cipher_broker::id::MessageId;
use cipher_broker::wire::content::{Attachment, Body};

/// What a person or this device says.
#[derive(Debug, Clone)]
pub(crate) struct Words {
    pub body: Body,
    pub reply_to: Option<MessageId>,
    /// The message that began the thread in which it stands.
    pub thread: Option<MessageId>,
    pub forwarded: bool,
    /// Files that it names.
    pub attachments: Vec<Attachment>,
    /// How many seconds after it was read it is forgotten.
    pub expire: Option<u64>,
}

impl Words {
    /// What answers nothing.
    pub(crate) const fn of(body: Body) -> Self {
        Self { body, reply_to: None, thread: None, forwarded: false, attachments: Vec::new(), expire: None }
    }

    /// Its text, if it is one.
    pub(crate) fn text(&self) -> &str {
        match &self.body {
            Body::Text(text) => text,
            _ => "",
        }
    }
}
