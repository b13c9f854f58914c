//! Streams as data. The registry creates and verifies them; nobody else may.

use std::time::Duration;

use crate::limit;
use crate::subject::{
    FILE, FILES_STREAM, LIVE, LOG_STREAM, LOG_SUBJECT, ROOM_STREAM, ROOM_SUBJECT, SHARDS, STORED, stream_of,
};

/// One JetStream stream as it must be. What is not named here must be off: rollup headers, message schedules and
/// per-message TTL on a stream that users write would let one of them erase or inject for others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamSpec {
    /// Name of the stream.
    pub name: String,
    /// Subjects it captures.
    pub subjects: Vec<String>,
    /// Copies: 1 on a single node, 3 in a cluster.
    pub replicas: usize,
    /// How long messages stay; zero is for ever.
    pub max_age: Duration,
    /// How many messages stay; the oldest goes first. -1 is all of them.
    pub max_messages: i64,
    /// How many bytes stay; a stream of files that is full takes no more. -1 is as many as the server has room for.
    pub max_bytes: i64,
    /// Whether each subject is written once: nobody replaces what lies there.
    pub once: bool,
    /// Largest message, bytes.
    pub max_message_bytes: i32,
    /// Window in which a repeated message id is dropped.
    pub duplicate_window: Duration,
    /// Any replica may answer gets. Readers keep their own cursor and loop until they have what they know exists.
    pub allow_direct: bool,
    /// Nobody deletes single messages.
    pub deny_delete: bool,
    /// Nobody purges.
    pub deny_purge: bool,
    /// Who is told of a message that was stored; nobody for the one that tells whether there is room.
    pub doorbell: Option<Doorbell>,
}

/// What a stream republishes of each message that it stores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doorbell {
    /// Source subjects.
    pub source: String,
    /// Destination subjects.
    pub destination: String,
    /// Headers only: the log stays the one truth.
    pub headers_only: bool,
}

/// Key in a stream's metadata: until when its operator let go of what it held, in RFC 3339. What was stored before
/// that and is gone was not lost by the broker, so nobody says it again.
pub const LET_GO: &str = "cipher_let_go";

/// Key in the metadata of the stream of files: the largest file that the site takes, bytes.
pub const FILE_LIMIT: &str = "cipher_file_limit";

/// Every stream of a deployment with that many copies of each: the shards, the account log, the one that tells
/// whether there is room, then the files.
pub fn all(replicas: usize) -> Vec<StreamSpec> {
    let mut streams = shards(replicas);
    streams.push(account_log(replicas));
    streams.push(room(replicas));
    streams.push(files(replicas, limit::FILES_BYTES));
    streams
}

/// The chunks of files: each is written once, and what is full refuses. It has a bound of its own, so that files leave
/// room for what people say.
pub fn files(replicas: usize, bytes: u64) -> StreamSpec {
    StreamSpec {
        name: FILES_STREAM.into(),
        subjects: vec![format!("{FILE}.*.*")],
        replicas,
        max_age: limit::RETENTION,
        max_messages: -1,
        max_bytes: i64::try_from(bytes).unwrap_or(i64::MAX),
        once: true,
        max_message_bytes: MAX_MESSAGE_BYTES,
        duplicate_window: limit::DUPLICATE_WINDOW,
        allow_direct: true,
        deny_delete: true,
        deny_purge: true,
        doorbell: None,
    }
}

/// The account log: written by the registry only, kept for ever, so that anybody can replay it.
fn account_log(replicas: usize) -> StreamSpec {
    StreamSpec {
        name: LOG_STREAM.into(),
        subjects: vec![LOG_SUBJECT.into()],
        replicas,
        max_age: Duration::ZERO,
        max_messages: -1,
        max_bytes: -1,
        once: false,
        max_message_bytes: MAX_MESSAGE_BYTES,
        duplicate_window: limit::DUPLICATE_WINDOW,
        allow_direct: true,
        deny_delete: true,
        deny_purge: true,
        doorbell: Some(Doorbell {
            source: LOG_SUBJECT.into(),
            destination: format!("{LIVE}.{LOG_SUBJECT}"),
            headers_only: true,
        }),
    }
}

/// Whether the broker takes messages is known by giving it one; this stream keeps the last.
fn room(replicas: usize) -> StreamSpec {
    StreamSpec {
        name: ROOM_STREAM.into(),
        subjects: vec![ROOM_SUBJECT.into()],
        replicas,
        max_age: Duration::ZERO,
        max_messages: 1,
        max_bytes: -1,
        once: false,
        max_message_bytes: 1024,
        duplicate_window: limit::DUPLICATE_WINDOW,
        allow_direct: true,
        deny_delete: true,
        deny_purge: true,
        doorbell: None,
    }
}

/// The log that the replicas of a registry follow: `name` and `prefix` are [`crate::subject::REPLICA_STREAM`] and
/// [`crate::subject::REPLICA`], but for tests. Kept for ever and never trimmed: a new replica begins at its first
/// record. Replicas get each record as it is stored.
pub fn replica_log(name: &str, prefix: &str, replicas: usize) -> StreamSpec {
    StreamSpec {
        name: name.into(),
        subjects: vec![format!("{prefix}.log")],
        replicas,
        max_age: Duration::ZERO,
        max_messages: -1,
        max_bytes: -1,
        once: false,
        max_message_bytes: MAX_RECORD_BYTES,
        duplicate_window: limit::DUPLICATE_WINDOW,
        allow_direct: true,
        deny_delete: true,
        deny_purge: true,
        doorbell: Some(Doorbell {
            source: format!("{prefix}.log"),
            destination: format!("{prefix}.live"),
            headers_only: false,
        }),
    }
}

fn shards(replicas: usize) -> Vec<StreamSpec> {
    (0..SHARDS)
        .map(|shard| StreamSpec {
            name: stream_of(shard),
            subjects: vec![format!("{STORED}.{shard}.>")],
            replicas,
            max_age: limit::RETENTION,
            max_messages: -1,
            max_bytes: -1,
            once: false,
            max_message_bytes: MAX_MESSAGE_BYTES,
            duplicate_window: limit::DUPLICATE_WINDOW,
            allow_direct: true,
            deny_delete: true,
            deny_purge: true,
            doorbell: Some(Doorbell {
                source: format!("{STORED}.{shard}.>"),
                destination: format!("{LIVE}.{shard}.>"),
                headers_only: true,
            }),
        })
        .collect()
}

/// Largest stored message: a piece of a sealed tree, with room for headers.
pub const MAX_MESSAGE_BYTES: i32 = 600 * 1024;
/// Largest record of [`replica_log`]: the broker's `max_payload` with room for headers.
pub const MAX_RECORD_BYTES: i32 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_stream_per_shard_and_every_limit_fits() {
        let streams = all(3);
        assert_eq!(streams.len(), usize::from(SHARDS) + 3);
        for kept in streams.iter().skip(usize::from(SHARDS)).take(2) {
            assert_eq!(kept.max_age, Duration::ZERO, "{}", kept.name);
        }
        for (shard, stream) in streams.iter().take(usize::from(SHARDS)).enumerate() {
            assert_eq!(stream.subjects, [format!("chat.{shard}.>")]);
            let largest = usize::try_from(stream.max_message_bytes).unwrap();
            assert!(largest > limit::TREE_CHUNK_BYTES.max(limit::MESSAGE_BYTES));
        }
        let files = streams.last().unwrap();
        assert!(files.once && files.max_bytes > 0 && files.max_age == limit::RETENTION, "{files:?}");
        let largest = usize::try_from(*limit::FILE_CHUNK_RANGE.end()).unwrap() + limit::FILE_CHUNK_OVERHEAD;
        assert!(usize::try_from(files.max_message_bytes).unwrap() > largest);
        assert!(limit::FILE_CHUNK_RANGE.contains(&limit::FILE_CHUNK_BYTES));
    }
}
