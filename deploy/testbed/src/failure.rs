//! Why a scenario did not go as it should: a sentence and the place, so that tests can use `?` throughout.

use std::fmt;
use std::panic::Location;

/// A sentence and where it came up.
pub struct Failure {
    message: String,
    place: &'static Location<'static>,
}

/// What everything in here gives.
pub type Result<T = (), E = Failure> = std::result::Result<T, E>;

impl Failure {
    /// A failure at the caller's place.
    #[track_caller]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), place: Location::caller() }
    }

    /// The same with more words behind it.
    #[must_use]
    pub fn and(mut self, more: impl fmt::Display) -> Self {
        self.message = format!("{}\n{more}", self.message);
        self
    }

    /// The sentence.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n    at {}", self.message, self.place)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl<E: std::error::Error> From<E> for Failure {
    #[track_caller]
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            message.push_str(&format!(": {error}"));
            cause = error.source();
        }
        Self::new(message)
    }
}

/// A failure at the caller's place.
#[track_caller]
pub fn fail<T>(message: impl Into<String>) -> Result<T> {
    Err(Failure::new(message))
}

/// Fails with the sentence unless the condition holds.
#[track_caller]
pub fn ensure(holds: bool, message: impl FnOnce() -> String) -> Result {
    if holds { Ok(()) } else { Err(Failure::new(message())) }
}
