//! What can go wrong, by blame.

use std::io;
use std::path::PathBuf;

use cipher_broker::wire::refusal::Refusal;
use cipher_connection::Trouble;
use cipher_seal::typed::TypedError;

/// What an error came from: another error, or words.
pub(crate) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why a key file is not used that is as it should be otherwise.
pub(crate) const OPEN_TO_OTHERS: &str = "can be read by others than its owner";

/// Why a command of the registry ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The broker cannot be reached, or no registry answers behind it.
    #[error("{doing} at {server}: {reason}")]
    Broker {
        /// What was attempted.
        doing: &'static str,
        /// Which broker.
        server: String,
        /// What the client library said.
        #[source]
        reason: Cause,
    },
    /// The broker cannot be reached; why.
    #[error("the broker at {server} cannot be reached: {trouble}")]
    Unreachable {
        /// Which broker.
        server: String,
        /// What stands in the way.
        trouble: Trouble,
    },
    /// The broker does not do with the streams what it must.
    #[error("JetStream failed at {server}: {reason}")]
    Streams {
        /// Which broker.
        server: String,
        /// Which stream, and what the broker said.
        reason: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// The account log in the broker does not go with the store.
    #[error(transparent)]
    Discord(#[from] Discord),
    /// The broker has no room.
    #[error("the broker at {server} is full: it takes no more messages ({reason})")]
    Full {
        /// Which broker.
        server: String,
        /// What it said.
        reason: String,
    },
    /// The streams are not as they must be.
    #[error("the streams are not as they must be ({0} differences)")]
    Drifted(usize),
    /// A file cannot be read or written.
    #[error("cannot {doing} {}: {source}", path.display())]
    File {
        /// What was attempted.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The key file is not there, or must not be used as it is.
    #[error("the key file {} {reason}", path.display())]
    Key {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The key file is sealed, and what opens it was not given or is not right.
    #[error("the key file {} cannot be opened: {reason}", path.display())]
    Unlock {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// The system refuses what every process needs.
    #[error("the system refuses to {doing}: {source}")]
    System {
        /// What was attempted.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The brokers lost records of the log that the replicas follow.
    #[error("{0}")]
    LogLost(String),
    /// The broker still has a log, so none is begun.
    #[error("the broker has a log of {last} records{}", if *ours { ", and it goes on from what this folder has: nothing is lost" } else { "" })]
    LogThere {
        /// Records at the broker.
        last: u64,
        /// Whether it is the one that the folder has followed, and as long.
        ours: bool,
    },
    /// The broker refuses the login.
    #[error("the broker at {server} refuses this login: {reason}")]
    Login {
        /// Which broker.
        server: String,
        /// What the broker said.
        reason: String,
    },
    /// No replica answers.
    #[error("no replica of a registry answers at {server}")]
    NoReplica {
        /// Behind which broker.
        server: String,
    },
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// Another registry answers already.
    #[error("another registry answers at {server} already")]
    Occupied {
        /// Behind which broker.
        server: String,
    },
    /// The registry refuses.
    #[error("the registry refuses: {0}")]
    Refused(Refusal),
    /// The registry's reply cannot be trusted.
    #[error("the reply is not from the registry whose key is in this data folder: {0}")]
    Reply(#[source] Cause),
    /// This replica cannot follow the log of the registry.
    #[error(transparent)]
    Replica(Cause),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The command or the settings make no sense.
    #[error("{0}")]
    Usage(String),
    /// A folder that must be empty holds a registry.
    #[error("{0}")]
    Taken(String),
    /// A file is no export, or not all of one. Nothing was taken.
    #[error("{0}")]
    Export(String),
    /// There is no passphrase of a backup. Nothing was written.
    #[error("cannot {doing} the backup {}: {reason}", path.display())]
    Passphrase {
        /// What was attempted.
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        reason: TypedError,
    },
    /// A backup is not to be made, or not to be used. Nothing was written.
    #[error("cannot {doing} the backup {}: {reason}", path.display())]
    Backup {
        /// What was attempted.
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
        /// What to do about it.
        hint: &'static str,
    },
}

impl Error {
    /// Stable name for programs.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Broker { .. } | Self::Unreachable { .. } => "broker-unreachable",
            Self::Streams { .. } => "streams-failed",
            Self::Discord(Discord::Longer { .. }) => "log-longer",
            Self::Discord(_) => "log-differs",
            Self::Full { .. } => "broker-full",
            Self::Drifted(_) => "streams-differ",
            Self::File { .. } => "file",
            Self::Key { .. } => "key-file",
            Self::Unlock { .. } => "key-locked",
            Self::LogLost(_) => "log-lost",
            Self::LogThere { .. } => "log-there",
            Self::Login { .. } => "login-refused",
            Self::NoReplica { .. } | Self::NotFound(_) => "not-found",
            Self::Occupied { .. } => "registry-runs",
            Self::Refused(_) => "refused",
            Self::Reply(_) => "wrong-registry",
            Self::Replica(_) => "replica",
            Self::Store(StoreError::Locked) => "store-locked",
            Self::Store(_) => "store-damaged",
            Self::System { .. } => "system",
            Self::Usage(_) => "usage",
            Self::Taken(_) => "registry-there",
            Self::Passphrase { .. } => "no-passphrase",
            Self::Export(_) => "bad-export",
            Self::Backup { .. } => "bad-backup",
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Broker { .. } => "check that nats-server runs with JetStream and that --server names it",
            Self::Unreachable { trouble, .. } if !trouble.passing() => trouble.hint(),
            Self::Streams { hint, .. } | Self::Unlock { hint, .. } | Self::Backup { hint, .. } => hint,
            Self::Unreachable { .. } => "check that nats-server runs and that --server names it",
            Self::Discord(Discord::Longer { .. }) => {
                "the store was restored from a backup? `cipher-registry serve --adopt-log` takes the missing \
                 statements from the broker; they verify by themselves"
            }
            Self::Discord(_) => {
                "this data folder and this broker belong to different registries, or one was changed: use those \
                 that belong together"
            }
            Self::Full { .. } => {
                "nothing is lost, the senders keep their messages: raise max_file_store, or delete the oldest messages with \
                 `cipher-registry room`; deploy/README.md"
            }
            Self::Drifted(_) => "run `cipher-registry provision` to change what may be changed",
            Self::File { source, .. } | Self::Store(StoreError::File { source, .. }) => file_hint(source),
            Self::Key { reason, .. } if *reason == OPEN_TO_OTHERS => {
                "if nobody else has read it, restrict it with `chmod 600`"
            }
            Self::Key { .. } => {
                "nothing was changed: put the right file there, or restore the registry with `cipher-registry restore` into \
                 an empty folder"
            }
            Self::LogLost(_) => {
                "keep every registry's folder: the accounts are there. Stop all registries, see with \
                 `cipher-registry begin-log --verify` which folder has followed furthest, run `cipher-registry begin-log` \
                 on that one, copy it over the folders of the others, and start all again"
            }
            Self::LogThere { ours: true, .. } => {
                "start the registry with `cipher-registry serve --store jetstream`: it goes on there"
            }
            Self::LogThere { ours: false, .. } => {
                "if that log is what is left of one that the brokers lost, replace it by this folder's: `cipher-registry begin-log --drop-log`"
            }
            Self::Login { .. } => "check the user and password, the nkey seed or the credentials file",
            Self::NoReplica { .. } => {
                "a registry has replicas only if it runs with --store jetstream; `cipher-registry heads` asks any that runs"
            }
            Self::NotFound(_) => "check the spelling; handles are lower case",
            Self::Occupied { .. } => "one registry serves one broker: stop the other one first",
            Self::Refused(_) => "see the message of the registry",
            Self::Reply(_) => "run this with the --data-dir of the registry that serves this broker",
            Self::Replica(_) => {
                "give every replica the same registry.key, with what opens it; over a folder that does not fit copy the folder of a replica \
                 that does, stopped meanwhile"
            }
            Self::Store(StoreError::Locked) => "another cipher-registry uses this data folder; stop it first",
            Self::Store(StoreError::Newer(_)) => "start the newer version of cipher-registry that wrote it",
            Self::Store(_) => "check the disk; if the file is damaged restore the data folder from a backup",
            Self::System { .. } => "see what limits this process, then run it again",
            Self::Usage(_) => "see `cipher-registry --help`",
            Self::Taken(_) => "nothing was changed: a registry is never written over",
            Self::Passphrase { .. } => {
                "hand it over with --backup-passphrase-fd, for example `--backup-passphrase-fd 4 4< FILE`, or start this at a \
                 terminal"
            }
            Self::Export(_) => "nothing was taken; make a new export with `cipher-registry export FILE`",
        }
    }

    /// Whether the same command may succeed later with nothing changed.
    pub const fn retryable(&self) -> bool {
        match self {
            Self::Unreachable { trouble, .. } => trouble.passing(),
            Self::Broker { .. }
            | Self::Streams { .. }
            | Self::Full { .. }
            | Self::Occupied { .. }
            | Self::Store(StoreError::Locked) => true,
            Self::Refused(refusal) => refusal.code.retryable(),
            Self::Discord(_)
            | Self::Drifted(_)
            | Self::File { .. }
            | Self::Key { .. }
            | Self::Unlock { .. }
            | Self::LogLost(_)
            | Self::LogThere { .. }
            | Self::Login { .. }
            | Self::NoReplica { .. }
            | Self::NotFound(_)
            | Self::Reply(_)
            | Self::Replica(_)
            | Self::Store(_)
            | Self::System { .. }
            | Self::Usage(_)
            | Self::Taken(_)
            | Self::Passphrase { .. }
            | Self::Export(_)
            | Self::Backup { .. } => false,
        }
    }

    /// The exit code of the process: the same numbers for the same things as those of `cipher-chat`.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Drifted(_) | Self::System { .. } => 1,
            Self::Passphrase { reason: TypedError::NoTerminal, .. } => 1,
            Self::Usage(_)
            | Self::Passphrase {
                reason: TypedError::None | TypedError::Interrupted | TypedError::TooLong | TypedError::Differ,
                ..
            } => 2,
            Self::Broker { .. } | Self::Streams { .. } | Self::Unreachable { .. } => 3,
            Self::LogThere { .. } | Self::Login { .. } | Self::Refused(_) => 4,
            Self::Full { .. } => 5,
            Self::Reply(_) => 6,
            Self::File { source, .. } => match source.kind() {
                io::ErrorKind::AlreadyExists => 8,
                io::ErrorKind::NotFound => 9,
                _ => 7,
            },
            Self::Backup { .. }
            | Self::Passphrase { reason: TypedError::Unreadable(_), .. }
            | Self::Discord(_)
            | Self::Export(_)
            | Self::Key { .. }
            | Self::LogLost(_)
            | Self::Replica(_)
            | Self::Store(_)
            | Self::Unlock { .. } => 7,
            Self::Occupied { .. } | Self::Taken(_) => 8,
            Self::NoReplica { .. } | Self::NotFound(_) => 9,
        }
    }
}

/// What to do about what the system said of a file.
fn file_hint(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::NotFound => "check the path: this file, or the folder it lies in, is not there",
        io::ErrorKind::PermissionDenied => "run this as a user who may do that there",
        io::ErrorKind::AlreadyExists => "name a file that does not exist yet: nothing is written over",
        _ => "check the path and the disk",
    }
}

/// Why the log in the broker and the one in the store do not go together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Discord {
    /// The broker has more.
    #[error(
        "the account log in the broker has {stream} entries, this store only {store}: the store is older than \
         what was published"
    )]
    Longer {
        /// Entries in the broker.
        stream: u64,
        /// Entries in the store.
        store: u64,
    },
    /// The broker has something else.
    #[error("entry {index} of the account log in the broker is not the one in this store")]
    Differs {
        /// Position from 0.
        index: u64,
    },
    /// An entry of the broker does not continue what the store has.
    #[error("entry {index} of the account log in the broker is not valid: {reason}")]
    Invalid {
        /// Position from 0.
        index: u64,
        /// Why.
        reason: String,
    },
}

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// redb reports damage or an input/output error.
    #[error("the store is damaged or its disk fails: {0}")]
    Damaged(#[source] Box<redb::Error>),
    /// A row is not what this version writes.
    #[error("the store holds an entry that cannot be read: {0}")]
    Row(&'static str),
    /// The data folder or the file in it cannot be made or protected.
    #[error("cannot {doing} {}: {source}", path.display())]
    File {
        /// What was attempted.
        doing: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process has the store open.
    #[error("the store is in use by another process")]
    Locked,
    /// Written by a newer version.
    #[error("the store has schema version {0}, newer than this program knows")]
    Newer(u64),
    /// The store's thread has ended after an earlier error, or could not be started.
    #[error("the store has stopped")]
    Stopped,
}

/// redb has one error type per call; what matters here is only whether somebody else holds the lock.
macro_rules! from_redb {
    ($($error:ty),*) => {$(
        impl From<$error> for StoreError {
            fn from(error: $error) -> Self {
                match redb::Error::from(error) {
                    redb::Error::DatabaseAlreadyOpen => Self::Locked,
                    other => Self::Damaged(Box::new(other)),
                }
            }
        }
    )*};
}

from_redb!(
    redb::CommitError,
    redb::DatabaseError,
    redb::SavepointError,
    redb::SetDurabilityError,
    redb::StorageError,
    redb::TableError,
    redb::TransactionError
);

/// Why an operation did not answer: the caller's fault, or the store's.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpError {
    /// The caller is told why.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The caller is told nothing but `internal`.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<OpError> for Error {
    fn from(error: OpError) -> Self {
        match error {
            OpError::Refused(refusal) => Self::Refused(refusal),
            OpError::Store(error) => Self::Store(error),
        }
    }
}

macro_rules! store_from_redb {
    ($($error:ty),*) => {$(
        impl From<$error> for OpError {
            fn from(error: $error) -> Self {
                Self::Store(error.into())
            }
        }
    )*};
}

store_from_redb!(redb::StorageError, redb::TableError, redb::TransactionError);

#[cfg(test)]
mod tests {
    use super::*;
    use cipher_broker::cause::causes;

    #[derive(Debug, thiserror::Error)]
    #[error("no answer")]
    struct NoAnswer(#[source] io::Error);

    #[test]
    fn what_an_error_came_from_is_told_below_its_sentence() {
        let below = || Box::new(NoAnswer(io::Error::other("connection reset")));
        let server = || "nats://host".to_owned();
        for (error, sentence) in [
            (
                Error::Broker { doing: "cannot ask", server: server(), reason: below() },
                "cannot ask at nats://host: no answer",
            ),
            (
                Error::Reply(below()),
                "the reply is not from the registry whose key is in this data folder: no answer",
            ),
            (Error::Replica(below()), "no answer"),
        ] {
            assert_eq!(error.to_string(), sentence);
            assert_eq!(causes(&error), ["connection reset"], "{sentence}");
        }
        let words = Error::Broker { doing: "cannot ask", server: server(), reason: "it is silent".into() };
        assert_eq!(words.to_string(), "cannot ask at nats://host: it is silent");
        assert!(causes(&words).is_empty());
    }

    #[test]
    fn a_hint_about_a_file_says_what_the_system_found() {
        for (kind, said) in [
            (io::ErrorKind::NotFound, "is not there"),
            (io::ErrorKind::PermissionDenied, "as a user who may"),
            (io::ErrorKind::AlreadyExists, "does not exist yet"),
            (io::ErrorKind::StorageFull, "the disk"),
        ] {
            let error = Error::File { doing: "read", path: "export".into(), source: kind.into() };
            assert!(error.hint().contains(said), "{kind:?}: {}", error.hint());
        }
    }

    /// The table of `--help`, and of `cipher-chat`.
    #[test]
    fn exit_codes_are_the_documented_ones() {
        let file = |kind: io::ErrorKind| Error::File { doing: "read", path: "f".into(), source: kind.into() };
        let passphrase = |reason| Error::Passphrase { doing: "open", path: "f".into(), reason };
        let unreadable = TypedError::Unreadable(io::ErrorKind::NotFound.into());
        let server = || "nats://host".to_owned();
        for (error, code) in [
            (Error::Drifted(1), 1),
            (passphrase(TypedError::NoTerminal), 1),
            (Error::Usage(String::new()), 2),
            (passphrase(TypedError::Differ), 2),
            (Error::Login { server: server(), reason: String::new() }, 4),
            (Error::Full { server: server(), reason: String::new() }, 5),
            (Error::Reply("another key".into()), 6),
            (file(io::ErrorKind::PermissionDenied), 7),
            (file(io::ErrorKind::StorageFull), 7),
            (Error::Key { path: "registry.key".into(), reason: "is damaged" }, 7),
            (
                Error::Unlock {
                    path: "registry.key".into(),
                    reason: String::new(),
                    hint: "use what it was sealed with",
                },
                7,
            ),
            (passphrase(unreadable), 7),
            (Error::Export(String::new()), 7),
            (StoreError::Locked.into(), 7),
            (StoreError::Newer(9).into(), 7),
            (Error::Occupied { server: server() }, 8),
            (Error::Taken(String::new()), 8),
            (file(io::ErrorKind::AlreadyExists), 8),
            (file(io::ErrorKind::NotFound), 9),
            (Error::NotFound(String::new()), 9),
        ] {
            assert_eq!(error.exit_code(), code, "{error:?}");
        }
    }

    #[test]
    fn who_asks_a_lone_registry_for_its_replicas_is_told_what_has_some() {
        let error = Error::NoReplica { server: "nats://host".into() };
        assert_eq!((error.kind(), error.exit_code(), error.retryable()), ("not-found", 9, false));
        assert!(error.hint().contains("--store jetstream"), "{}", error.hint());
    }
}
