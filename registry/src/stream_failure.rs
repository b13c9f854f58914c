//! Why work on the streams ended early, and how long the broker may take for a part of it.

use std::time::Duration;

use cipher_broker::stream::StreamSpec;

use crate::connect::redacted;
use crate::error::Error;

/// Time for one answer of JetStream: creating a replicated stream waits for its leader.
pub(crate) const ANSWER: Duration = Duration::from_secs(10);

/// What to do when JetStream may work a moment later.
pub(crate) const NOT_READY: &str =
    "check that JetStream runs and its cluster has a leader: healthz of each server says ok";

/// Why work on a stream ended early.
#[derive(Debug, thiserror::Error)]
#[error("{doing}: {reason}")]
pub struct Failure {
    doing: String,
    reason: String,
    hint: &'static str,
}

impl Failure {
    /// What happened with one stream, and what to do.
    pub(crate) fn of(spec: &StreamSpec, reason: String, hint: &'static str) -> Self {
        Self { doing: format!("stream {}", spec.name), reason, hint }
    }

    /// As an error of a command that talked to `server`.
    pub(crate) fn at(self, server: &str) -> Error {
        let Self { doing, reason, hint } = self;
        Error::Streams { server: redacted(server), reason: format!("{doing}: {reason}"), hint }
    }
}
