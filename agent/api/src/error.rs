//! Errors by blame, each with a kind, a hint and whether a retry makes sense.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::hint::Hint;

/// Why a request failed. Plain data, because it crosses the control socket; what it came from stays in the process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Error {
    /// What kind of failure; decides the exit code of the command line.
    pub kind: ErrorKind,
    /// One sentence: who is at fault and what happened.
    pub message: String,
    /// What to do about it; `null` when the place of origin knows no better than the kind says.
    #[serde(default)]
    pub hint: Option<Hint>,
    /// Whether the same request may succeed later without a change.
    #[serde(default)]
    pub retryable: bool,
    #[serde(skip)]
    pub(crate) cause: Cause,
}

/// The error below, where it is known. Two errors that say the same are equal, whatever is below them. One word wide, because
/// every result of a request carries it.
#[derive(Clone, Default)]
pub(crate) struct Cause(Option<Arc<Box<dyn std::error::Error + Send + Sync>>>);

impl PartialEq for Cause {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Cause {}

/// Its sentences only: what types of other libraries hold does not belong into a log.
impl std::fmt::Debug for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Cause").field(&self.0.as_ref().map(ToString::to_string)).finish()
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&***self.cause.0.as_ref()?)
    }
}

/// Kinds of failure. Closed, so that no program parses texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
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
    /// The store is damaged, its disk fails, or what was given does not open it.
    Storage,
    /// Another account or device was first, or the handle is taken.
    Conflict,
    /// No such account, group, message.
    NotFound,
    /// The words of the request mean nothing, or several things: an ambiguous name, oneself as recipient, an empty text.
    Usage,
    /// The request makes no sense in this state.
    Misuse,
    /// A defect of this program.
    Bug,
    /// A kind that this version does not know: a newer peer said it.
    #[serde(other)]
    Unknown,
}

impl ErrorKind {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 13] = [
        Self::Unreachable,
        Self::Refused,
        Self::Limit,
        Self::Trust,
        Self::Locked,
        Self::Stopped,
        Self::Storage,
        Self::Conflict,
        Self::NotFound,
        Self::Usage,
        Self::Misuse,
        Self::Bug,
        Self::Unknown,
    ];

    /// Whether the same request may succeed later without a change.
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
            | Self::Bug
            | Self::Unknown => false,
        }
    }

    /// The name that scripts see in `"kind"`.
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
            Self::Unknown => "unknown",
        }
    }

    /// The number that stands for it: the exit code of the command line, and the `code` of an error frame. 0 is success.
    pub const fn code(self) -> u8 {
        match self {
            Self::Misuse | Self::Bug | Self::Unknown => 1,
            Self::Usage => 2,
            Self::Unreachable => 3,
            Self::Refused => 4,
            Self::Limit => 5,
            Self::Trust => 6,
            Self::Locked | Self::Stopped | Self::Storage => 7,
            Self::Conflict => 8,
            Self::NotFound => 9,
        }
    }

    /// An error of this kind.
    pub fn because(self, message: impl Into<String>) -> Error {
        Error {
            kind: self,
            message: message.into(),
            hint: None,
            retryable: self.retryable(),
            cause: Cause::default(),
        }
    }

    /// An error of this kind that another one led to: `what` happened, and the sentence of the other. It is kept, as by
    /// [`Error::caused_by`].
    pub fn because_of(
        self,
        what: impl std::fmt::Display,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Error {
        let cause = cause.into();
        self.because(format!("{what}: {cause}")).caused_by(cause)
    }
}

impl Error {
    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Hint>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Keeps what it came from, for logs and `doctor` ([`cipher_broker::cause::causes`]). Not for errors whose words may
    /// hold a secret.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.cause = Cause(Some(Arc::new(cause.into())));
        self
    }
}

/// Result of anything that is asked for.
pub type Result<T, E = Error> = std::result::Result<T, E>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_kind_is_its_json() {
        for kind in ErrorKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
    }

    #[test]
    fn a_cause_is_kept_beside_the_sentence_and_stays_in_the_process() {
        let plain = ErrorKind::Storage.because("the store cannot be opened").hint(Hint::Doctor);
        let error = plain.clone().caused_by(std::io::Error::other("no space"));
        assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "no space");
        assert_eq!((&error, error.to_string()), (&plain, plain.to_string()));
        let told =
            ErrorKind::Storage.because_of("the store cannot be opened", std::io::Error::other("no space"));
        assert_eq!(told.message, "the store cannot be opened: no space");
        assert_eq!(std::error::Error::source(&told).unwrap().to_string(), "no space");
        let json = serde_json::to_value(&error).unwrap();
        assert_eq!(json, serde_json::to_value(&plain).unwrap());
        let back: Error = serde_json::from_value(json).unwrap();
        assert!(std::error::Error::source(&back).is_none());
        assert_eq!(cipher_broker::cause::causes(&error), ["no space"]);
    }

    #[test]
    fn a_newer_peer_s_kind_and_hint_are_read_with_the_rest() {
        let text = r#"{"kind":"on-fire","message":"it burns","hint":{"type":"call-112","place":"x"},"retryable":true,"new":1}"#;
        let error: Error = serde_json::from_str(text).unwrap();
        assert_eq!(error.kind, ErrorKind::Unknown);
        assert_eq!((error.message.as_str(), error.retryable), ("it burns", true));
        assert_eq!(error.hint, Some(Hint::Unknown));
    }
}
