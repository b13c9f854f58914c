//! What a stream answers to a publish, read as an outcome.

use async_nats::{Message, StatusCode};
use cipher_core::PublishOutcome;
use serde::Deserialize;

/// Compare-and-set failed; the text names the current sequence.
const WRONG_LAST_SEQUENCE: u64 = 10071;
/// The same from a replicated stream while another write is under way; names nothing.
const WRONG_LAST_SEQUENCE_NOW: u64 = 10164;
/// The first copy of this message id is still being stored.
const DUPLICATE_IN_PROCESS: u64 = 10158;
/// Larger than the stream takes.
const MESSAGE_TOO_LARGE: u64 = 10054;
/// Headers larger than a stream takes.
const HEADERS_TOO_LARGE: u64 = 10097;

/// The server has not enough of memory or disk for JetStream, by its own limits.
const NO_RESOURCES: u64 = 10023;
const NO_STORAGE: u64 = 10047;
/// The account has used up what it may.
const ACCOUNT_FULL: u64 = 10002;
/// The stream has used up what it may.
const STREAM_FULL: u64 = 10122;
/// Writing failed, and the text says why: a full stream that refuses, a full disk.
const STORE_FAILED: u64 = 10077;

/// An answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ack {
    /// The stream decided.
    Outcome(PublishOutcome),
    /// There is no room for it: the outcome is open, and it is known why.
    Full,
    /// Nobody listens on the subject: the stream is missing or has no leader. Instant, so the publisher waits
    /// before it says so.
    NoStream,
}

#[derive(Deserialize)]
struct PubAck {
    #[serde(default)]
    error: Option<Refusal>,
    #[serde(default)]
    seq: u64,
    #[serde(default)]
    duplicate: bool,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}

/// Reads one answer.
pub(crate) fn read(message: &Message) -> Ack {
    if message.status == Some(StatusCode::NO_RESPONDERS) {
        return Ack::NoStream;
    }
    outcome(&message.payload)
}

fn outcome(payload: &[u8]) -> Ack {
    let Ok(ack) = serde_json::from_slice::<PubAck>(payload) else {
        tracing::warn!("an acknowledgement cannot be read");
        return Ack::Outcome(PublishOutcome::Unknown);
    };
    Ack::Outcome(match ack.error {
        None if ack.seq > 0 => PublishOutcome::Stored { sequence: ack.seq, duplicate: ack.duplicate },
        None => PublishOutcome::Unknown,
        Some(refusal) => match refusal.err_code {
            WRONG_LAST_SEQUENCE | WRONG_LAST_SEQUENCE_NOW => {
                PublishOutcome::Conflict { last: sequence_in(&refusal.description) }
            }
            MESSAGE_TOO_LARGE | HEADERS_TOO_LARGE => PublishOutcome::Refused,
            DUPLICATE_IN_PROCESS => PublishOutcome::Unknown,
            NO_RESOURCES | NO_STORAGE | ACCOUNT_FULL | STREAM_FULL => return Ack::Full,
            STORE_FAILED if names_room(&refusal.description) => return Ack::Full,
            // A full disk, a quota, a step-down: all pass, or an operator ends them.
            code => {
                tracing::warn!(code, "the stream did not take a message");
                PublishOutcome::Unknown
            }
        },
    })
}

/// Whether a store that failed says that it has no room.
fn names_room(description: &str) -> bool {
    ["maximum", "space", "resource", "exceeded", "quota"].iter().any(|word| description.contains(word))
}

/// The number in `wrong last sequence: N`.
fn sequence_in(description: &str) -> Option<u64> {
    description.rsplit_once(": ")?.1.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_has_its_outcome() {
        let stored = |sequence, duplicate| PublishOutcome::Stored { sequence, duplicate };
        for payload in [
            r#"{"error":{"code":503,"err_code":10023,"description":"insufficient resources"}}"#,
            r#"{"error":{"code":500,"err_code":10047,"description":"insufficient storage resources available"}}"#,
            r#"{"error":{"code":503,"err_code":10077,"description":"maximum bytes exceeded"}}"#,
            r#"{"error":{"code":503,"err_code":10077,"description":"write x.blk: no space left on device"}}"#,
        ] {
            assert_eq!(outcome(payload.as_bytes()), Ack::Full, "{payload}");
        }
        let decided = |payload: &[u8]| match outcome(payload) {
            Ack::Outcome(outcome) => outcome,
            other => panic!("{other:?}"),
        };
        for (payload, expected) in [
            (r#"{"stream":"CHAT-1","seq":5}"#, stored(5, false)),
            (r#"{"stream":"CHAT-1","seq":5,"duplicate":true}"#, stored(5, true)),
            (
                r#"{"error":{"code":400,"err_code":10071,"description":"wrong last sequence: 7"},"seq":0}"#,
                PublishOutcome::Conflict { last: Some(7) },
            ),
            (
                r#"{"error":{"code":400,"err_code":10164,"description":"wrong last sequence"}}"#,
                PublishOutcome::Conflict { last: None },
            ),
            (r#"{"error":{"code":409,"err_code":10158,"description":"x"}}"#, PublishOutcome::Unknown),
            (r#"{"error":{"code":400,"err_code":10054,"description":"x"}}"#, PublishOutcome::Refused),
            (r#"{"error":{"code":503,"err_code":10077,"description":"x"}}"#, PublishOutcome::Unknown),
            (r#"{"stream":"CHAT-1"}"#, PublishOutcome::Unknown),
            ("", PublishOutcome::Unknown),
            ("[]", PublishOutcome::Unknown),
        ] {
            assert_eq!(decided(payload.as_bytes()), expected, "{payload}");
        }
    }
}
