//! NATS header names that we set or read.

/// Random id of one publish; the broker drops repeats inside the duplicate window.
pub const MESSAGE_ID: &str = "Nats-Msg-Id";
/// Compare-and-set: refuse unless this is the last sequence of the subject (below, else of the message's own).
pub const EXPECTED_LAST_SUBJECT_SEQUENCE: &str = "Nats-Expected-Last-Subject-Sequence";
/// The subject whose last sequence is compared: for application messages the handshake subject of the group.
pub const EXPECTED_LAST_SUBJECT_SEQUENCE_SUBJECT: &str = "Nats-Expected-Last-Subject-Sequence-Subject";
/// Sequence of a stored message, on direct gets and republished doorbells.
pub const SEQUENCE: &str = "Nats-Sequence";
/// Subject of a stored message, on direct gets.
pub const SUBJECT: &str = "Nats-Subject";
/// Time at which the broker stored a message, RFC 3339.
pub const TIME_STAMP: &str = "Nats-Time-Stamp";
/// On the last reply of a batched get: messages that matched and were not sent.
pub const NUM_PENDING: &str = "Nats-Num-Pending";
/// On the last reply of a batched get: the last sequence that was sent. On a doorbell: the sequence before it on its
/// subject, 0 when that was empty.
pub const LAST_SEQUENCE: &str = "Nats-Last-Sequence";
/// Error code of a micro service (ADR-32).
pub const SERVICE_ERROR_CODE: &str = "Nats-Service-Error-Code";
