//! Why the registry says no: a closed list, so that callers never read texts.

use serde::{Deserialize, Serialize};

/// A refused request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// What went wrong.
    #[serde(rename = "c")]
    pub code: Code,
    /// One sentence for people.
    #[serde(rename = "m")]
    pub message: String,
}

/// The closed list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Code {
    /// The bytes are not a request this registry understands.
    #[serde(rename = "malformed")]
    Malformed,
    /// A signature or certificate does not verify, or the caller may not do this.
    #[serde(rename = "denied")]
    Denied,
    /// The request's time is outside the window; the message tells both clocks.
    #[serde(rename = "clock-skew")]
    ClockSkew,
    /// This nonce was used before.
    #[serde(rename = "replayed")]
    Replayed,
    /// The handle belongs to another account, or the operator ended it for good.
    #[serde(rename = "handle-taken")]
    HandleTaken,
    /// The account exists already.
    #[serde(rename = "account-exists")]
    AccountExists,
    /// No such handle or account.
    #[serde(rename = "not-found")]
    NotFound,
    /// The account has no key package left that could be handed out.
    #[serde(rename = "no-key-package")]
    NoKeyPackage,
    /// A key package is not acceptable: lifetime, suite, credential.
    #[serde(rename = "bad-key-package")]
    BadKeyPackage,
    /// The caller's quota is used up; try again later.
    #[serde(rename = "quota")]
    Quota,
    /// The calling device was revoked by its account.
    #[serde(rename = "revoked")]
    Revoked,
    /// The operator blocked the account, or buried its handle.
    #[serde(rename = "blocked")]
    Blocked,
    /// A newcomer must bring a code or work that it did not bring.
    #[serde(rename = "admission")]
    Admission,
    /// The statement does not continue the account's log as it is now.
    #[serde(rename = "stale-statement")]
    StaleStatement,
    /// Something is larger or more than [`crate::limit`] allows.
    #[serde(rename = "too-large")]
    TooLarge,
    /// The registry itself failed; nothing was changed.
    #[serde(rename = "internal")]
    Internal,
}

impl Code {
    /// Whether the same request may succeed later without the caller changing anything.
    pub const fn retryable(self) -> bool {
        match self {
            Self::Quota | Self::Internal | Self::NoKeyPackage => true,
            Self::Revoked
            | Self::Blocked
            | Self::Admission
            | Self::StaleStatement
            | Self::Malformed
            | Self::Denied
            | Self::ClockSkew
            | Self::Replayed
            | Self::HandleTaken
            | Self::AccountExists
            | Self::NotFound
            | Self::BadKeyPackage
            | Self::TooLarge => false,
        }
    }

    /// A refusal with this code.
    pub fn because(self, message: impl Into<String>) -> Refusal {
        Refusal { code: self, message: message.into() }
    }
}
