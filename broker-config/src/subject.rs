//! The only maker and parser of subject strings.
//!
//! ```text
//! chat.<shard>.g.<group>.h        handshake messages of a group (commits, proposals)       stored, compare-and-set
//! chat.<shard>.g.<group>.a        application messages of a group                          stored
//! chat.<shard>.t.<group>.<epoch>.<piece>   sealed ratchet tree of an epoch with joiners     stored
//! chat.<shard>.i.<device>         inbox of a device: Welcomes                               stored
//! live.<shard>.…                  doorbell: headers of each stored message, from the broker not stored
//! file.<file>.<chunk>             one sealed chunk of a file, written once                  stored
//! log.statements                  every statement of every account, by the registry only    stored, for ever
//! eph.<shard>.g.<group>           what is worth nothing tomorrow: presence                  not stored
//! hint.<device>                   the registry's hint to a device: look at your stock       not stored
//! reg.v1.<operation>              requests to the registry                                  request/reply
//! registry.log                    what the replicas of a registry write                     stored, for ever
//! registry.live                   the same, from the broker as it is stored                 not stored
//! registry.…                      the replicas of a registry among themselves               request/reply
//! ```
//! `<shard>` is a decimal number below [`SHARDS`], fixed for life: changing the count would move groups.

use std::fmt;

use crate::id::{DeviceId, FileId, GroupId};

/// Number of streams that groups and inboxes are spread over.
pub const SHARDS: u8 = 16;

/// First token of everything that is stored.
pub const STORED: &str = "chat";
/// First token of doorbells.
pub const LIVE: &str = "live";
/// First token of what is not stored and comes from members.
pub const EPHEMERAL: &str = "eph";
/// First token of hints of the registry.
pub const HINT: &str = "hint";
/// First token of the chunks of files.
pub const FILE: &str = "file";
/// Stream of the chunks of files.
pub const FILES_STREAM: &str = "FILES";
/// Stream of the account log. Entry `n` (from 0) has stream sequence `n + 1`.
pub const LOG_STREAM: &str = "ACCOUNT-LOG";
/// Subject of the account log: one encoded [`crate::wire::statement::LogEntry`] each.
pub const LOG_SUBJECT: &str = "log.statements";
/// Stream by which a registry finds out whether the broker takes messages; it keeps the last one.
pub const ROOM_STREAM: &str = "ROOM";
/// Its subject. Only registries write there.
pub const ROOM_SUBJECT: &str = "registry.room";
/// Stream that the replicas of a registry follow: their one truth.
pub const REPLICA_STREAM: &str = "REGISTRY-LOG";
/// Prefix of everything that the replicas of a registry tell each other; nobody else may read or write there.
pub const REPLICA: &str = "registry";
/// Prefix of requests to the registry.
pub const REGISTRY: &str = "reg.v1";
/// Prefix of reply subjects: ours instead of the default, so that permissions can name it.
pub const INBOX_PREFIX: &str = "_I";

/// One stored log that a reader follows with a cursor of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Source {
    /// Handshake and application messages of a group, in one order.
    Group(GroupId),
    /// What was sent to one device.
    Inbox(DeviceId),
    /// Every statement of every account.
    Log,
}

/// What a stored subject carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Route {
    /// Application messages of a group.
    Application(GroupId),
    /// Handshake messages of a group.
    Handshake(GroupId),
    /// What was sent to one device.
    Inbox(DeviceId),
    /// One piece of the sealed ratchet tree of an epoch.
    Tree {
        /// The group.
        group: GroupId,
        /// The epoch whose tree this is.
        epoch: u64,
        /// Which piece, from 0.
        piece: u32,
    },
    /// The account log.
    Log,
}

/// The stream that holds a shard, `CHAT-<shard>`.
pub fn stream_of(shard: u8) -> String {
    format!("CHAT-{shard}")
}

fn shard_of(id: &[u8; 16]) -> u8 {
    // Ids are uniformly random (group) or random (device): one byte spreads them evenly.
    let [first, ..] = *id;
    first % SHARDS
}

impl Source {
    /// The shard whose stream holds this log; [`SHARDS`] for the account log, which has a stream of its own.
    pub fn shard(&self) -> u8 {
        match self {
            Self::Group(group) => shard_of(group.as_bytes()),
            Self::Inbox(device) => shard_of(device.as_bytes()),
            Self::Log => SHARDS,
        }
    }

    /// The stream that holds this log.
    pub fn stream(&self) -> String {
        match self {
            Self::Group(_) | Self::Inbox(_) => stream_of(self.shard()),
            Self::Log => LOG_STREAM.into(),
        }
    }

    /// The filter that selects this log inside its stream.
    pub fn filter(&self) -> String {
        match self {
            Self::Group(group) => format!("{STORED}.{}.g.{group}.*", self.shard()),
            Self::Inbox(device) => format!("{STORED}.{}.i.{device}", self.shard()),
            Self::Log => LOG_SUBJECT.into(),
        }
    }

    /// The subject on which the broker rings when this log grows.
    pub fn doorbell(&self) -> String {
        match self {
            Self::Group(group) => format!("{LIVE}.{}.g.{group}.*", self.shard()),
            Self::Inbox(device) => format!("{LIVE}.{}.i.{device}", self.shard()),
            Self::Log => format!("{LIVE}.{LOG_SUBJECT}"),
        }
    }
}

impl Route {
    /// The log this route belongs to; `None` for trees, which are fetched by name.
    pub fn source(&self) -> Option<Source> {
        match self {
            Self::Application(group) | Self::Handshake(group) => Some(Source::Group(*group)),
            Self::Inbox(device) => Some(Source::Inbox(*device)),
            Self::Tree { .. } => None,
            Self::Log => Some(Source::Log),
        }
    }

    /// The shard whose stream holds this subject.
    pub fn shard(&self) -> u8 {
        match self {
            Self::Application(group) | Self::Handshake(group) | Self::Tree { group, .. } => {
                shard_of(group.as_bytes())
            }
            Self::Inbox(device) => shard_of(device.as_bytes()),
            Self::Log => SHARDS,
        }
    }

    /// The stream that holds this subject.
    pub fn stream(&self) -> String {
        match self {
            Self::Log => LOG_STREAM.into(),
            _ => stream_of(self.shard()),
        }
    }

    /// Reads a stored (`chat.`) or doorbell (`live.`) subject. `None` for anything that is not exactly ours.
    pub fn parse(subject: &str) -> Option<Self> {
        if subject == LOG_SUBJECT || subject.strip_prefix(LIVE).is_some_and(|rest| rest == ".log.statements")
        {
            return Some(Self::Log);
        }
        let mut tokens = subject.split('.');
        let root = tokens.next()?;
        if root != STORED && root != LIVE {
            return None;
        }
        let shard: u8 = tokens.next()?.parse().ok()?;
        let route = match (tokens.next()?, tokens.next()?) {
            ("g", group) => {
                let group = group.parse().ok()?;
                match tokens.next()? {
                    "h" => Self::Handshake(group),
                    "a" => Self::Application(group),
                    _ => return None,
                }
            }
            ("i", device) => Self::Inbox(device.parse().ok()?),
            ("t", group) => Self::Tree {
                group: group.parse().ok()?,
                epoch: tokens.next()?.parse().ok()?,
                piece: tokens.next()?.parse().ok()?,
            },
            _ => return None,
        };
        (tokens.next().is_none() && shard == route.shard()).then_some(route)
    }
}

impl fmt::Display for Route {
    /// The stored subject.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shard = self.shard();
        match self {
            Self::Application(group) => write!(f, "{STORED}.{shard}.g.{group}.a"),
            Self::Handshake(group) => write!(f, "{STORED}.{shard}.g.{group}.h"),
            Self::Inbox(device) => write!(f, "{STORED}.{shard}.i.{device}"),
            Self::Tree { group, epoch, piece } => write!(f, "{STORED}.{shard}.t.{group}.{epoch}.{piece}"),
            Self::Log => f.write_str(LOG_SUBJECT),
        }
    }
}

/// The subject of one chunk of a file, counted from 0: `file.<file>.<chunk>`.
pub fn file_chunk(file: &FileId, chunk: u32) -> String {
    format!("{FILE}.{file}.{chunk}")
}

/// The ephemeral subject of a group, `eph.<shard>.g.<group>`.
pub fn ephemeral(group: &GroupId) -> String {
    format!("{EPHEMERAL}.{}.g.{group}", shard_of(group.as_bytes()))
}

/// The group of an ephemeral subject.
pub fn ephemeral_group(subject: &str) -> Option<GroupId> {
    let group = subject.rsplit('.').next()?.parse().ok()?;
    (subject == ephemeral(&group)).then_some(group)
}

/// The subject of the registry's hints to a device, `hint.<device>`.
pub fn hint(device: &DeviceId) -> String {
    format!("{HINT}.{device}")
}

/// The subject of a registry operation, `reg.v1.<operation>`.
pub fn registry(operation: &str) -> String {
    format!("{REGISTRY}.{operation}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_route_round_trips() {
        let group = GroupId::from_bytes([0x51; 16]);
        let device = DeviceId::from_bytes([0xa2; 16]);
        for route in [
            Route::Application(group),
            Route::Handshake(group),
            Route::Inbox(device),
            Route::Tree { group, epoch: 7, piece: 3 },
            Route::Log,
        ] {
            let subject = route.to_string();
            assert_eq!(Route::parse(&subject), Some(route), "{subject}");
            let bell = subject.replacen("chat", "live", 1).replacen("log.", "live.log.", 1);
            assert_eq!(Route::parse(&bell), Some(route));
            assert_eq!(Route::parse(&format!("{subject}.x")), None);
        }
    }

    #[test]
    fn a_subject_of_the_wrong_shard_is_not_ours() {
        let subject = Route::Handshake(GroupId::from_bytes([3; 16])).to_string();
        assert!(Route::parse(&subject.replacen("chat.3.", "chat.4.", 1)).is_none());
    }

    proptest! {
        #[test]
        fn any_text_parses_without_panic(text in ".{0,80}") {
            let _ = Route::parse(&text);
        }
    }
}
