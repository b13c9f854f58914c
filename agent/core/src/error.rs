//! Errors by blame, each with a kind, a hint and whether a retry makes sense.

use serde::{Deserialize, Serialize};

/// Why a command failed. Crosses the control socket, so it is plain data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct CoreError {
    /// What kind of failure; decides the exit code.
    pub kind: ErrorKind,
    /// One sentence: who is at fault and what happened.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Kinds of failure. Closed, so that nobody parses texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    /// Broker or registry cannot be reached.
    Unreachable,
    /// A policy or permission says no.
    Refused,
    /// Something is too large, too many or too fast.
    Limit,
    /// A key, certificate or signature is not what it must be.
    Trust,
    /// The store is locked by another process.
    Locked,
    /// Another copy of this profile is in use, and this one has stopped.
    Stopped,
    /// The store is damaged or its disk fails.
    Storage,
    /// Somebody else was first, or the handle is taken.
    Conflict,
    /// No such account, group, message.
    NotFound,
    /// The words of the request mean nothing, or several things: an ambiguous name, oneself as recipient, an empty text.
    Usage,
    /// The request makes no sense in this state.
    Misuse,
    /// A defect of this program.
    Bug,
}

impl ErrorKind {
    /// Whether the same command may succeed later without changing anything.
    pub const fn retryable(self) -> bool {
        match self {
            Self::Unreachable | Self::Locked => true,
            Self::Limit
            | Self::Stopped
            | Self::Storage
            | Self::Refused
            | Self::Trust
            | Self::Conflict
            | Self::NotFound
            | Self::Usage
            | Self::Misuse
            | Self::Bug => false,
        }
    }

    /// The name scripts see in `"kind"`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Refused => "refused",
            Self::Limit => "limit",
            Self::Trust => "trust",
            Self::Locked => "locked",
            Self::Stopped => "stopped",
            Self::Storage => "storage",
            Self::Conflict => "conflict",
            Self::NotFound => "not-found",
            Self::Usage => "usage",
            Self::Misuse => "misuse",
            Self::Bug => "bug",
        }
    }

    /// An error of this kind.
    pub fn because(self, message: impl Into<String>) -> CoreError {
        CoreError { kind: self, message: message.into(), hint: None }
    }
}

impl CoreError {
    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Result of anything in the core.
pub type Result<T, E = CoreError> = std::result::Result<T, E>;
