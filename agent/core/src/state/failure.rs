//! Why a message will never be sent.

use cipher_api::{Advice, Error, ErrorKind};
use serde::{Deserialize, Serialize};

use crate::state::{revoked, stopped};

/// Why a message will never be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Failure {
    /// This device is not in the conversation any more.
    #[serde(rename = "n")]
    NotAMember,
    /// The account revoked this device.
    #[serde(rename = "v")]
    Revoked,
    /// Another copy of this store goes on.
    #[serde(rename = "s")]
    Stopped,
    /// The broker will never take it.
    #[serde(rename = "r")]
    Refused,
    /// The broker had it, where nobody could read it.
    #[serde(rename = "u")]
    Unread,
    /// A later version had a reason that this one does not know.
    #[serde(other, rename = "o")]
    Other,
}

impl Failure {
    /// What its author is told; `name` is the conversation's.
    pub(crate) fn error(self, name: &str) -> Error {
        match self {
            Self::NotAMember => ErrorKind::Refused
                .because(format!("you are not in '{name}' any more"))
                .hint(Advice::AskInviteAgain),
            Self::Revoked => revoked(),
            Self::Stopped => stopped(),
            Self::Refused => {
                ErrorKind::Limit.because("the broker does not take this message").hint(Advice::SendLessOrAsk)
            }
            Self::Unread => ErrorKind::Conflict
                .because("nobody could read this message: it was sealed by a copy of this profile that had lost its place"),
            Self::Other => ErrorKind::Refused.because("it could not be delivered"),
        }
    }
}
