//! What of ours must still reach the broker.

use cipher_api::{ErrorKind, Hint, Result};
use cipher_broker::id::{DeviceId, GroupId, MessageId, PublishId};
use cipher_broker::limit;
use cipher_broker::sign::wire_hash;
use cipher_broker::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::state::{Powers, State};

/// Something of ours that must reach the broker.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct OutboxRow {
    #[serde(rename = "g")]
    pub group: GroupId,
    #[serde(rename = "k")]
    pub kind: OutboxKind,
    #[serde(rename = "s")]
    pub seal: Option<Seal>,
    /// Attempts of this process. What the broker said of a row is not stored: it can be asked again, and every
    /// write of the row would write its bytes again.
    #[serde(skip)]
    pub attempts: u32,
    /// Not before this time.
    #[serde(skip)]
    pub retry_at: Timestamp,
}

/// What it is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum OutboxKind {
    /// An application message; its content is sealed again when a commit came first.
    #[serde(rename = "m")]
    Message {
        #[serde(rename = "c", with = "serde_bytes")]
        content: Vec<u8>,
        #[serde(rename = "i")]
        id: MessageId,
    },
    /// A commit; belongs to the slot of its group.
    #[serde(rename = "c")]
    Commit,
    /// A proposal to leave.
    #[serde(rename = "l")]
    Leave,
    /// A commit that the log lost, given back.
    #[serde(rename = "a")]
    Again {
        #[serde(rename = "e")]
        epoch: u64,
    },
    /// A piece of a sealed tree, a Welcome, or what else anybody may send without being in the group.
    #[serde(rename = "p")]
    Post(Post),
}

impl OutboxKind {
    /// Whether it is read in the group's log, and not only there for others.
    pub(crate) const fn is_in_the_log(&self) -> bool {
        !matches!(self, Self::Post(_))
    }
}

/// Where a post goes.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Post {
    #[serde(rename = "t")]
    Tree { epoch: u64, piece: u32 },
    #[serde(rename = "w")]
    Welcome { device: DeviceId },
    /// An own request to join, on the group's application subject.
    #[serde(rename = "j")]
    Join,
    /// An own request to come back, on the group's application subject.
    #[serde(rename = "r")]
    Rejoin,
    /// That a device which asks to come back is no member any more, on the group's application subject.
    #[serde(rename = "o")]
    NotMember,
    /// Why somebody else's request was refused.
    #[serde(rename = "n")]
    Refusal { device: DeviceId },
    /// A step of a device link; its row's group stands for the inbox.
    #[serde(rename = "l")]
    Link { inbox: DeviceId },
}

/// Bytes that may have been published.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Seal {
    /// Epoch of the bytes.
    #[serde(rename = "e")]
    pub epoch: u64,
    #[serde(rename = "b", with = "serde_bytes")]
    pub bytes: Vec<u8>,
    #[serde(rename = "h", with = "serde_bytes")]
    pub hash: [u8; 32],
    #[serde(rename = "i")]
    pub publish_id: PublishId,
    /// Of a message what its epoch lets its author do.
    #[serde(rename = "y", default, skip_serializing_if = "Powers::are_usual")]
    pub powers: Powers,
    /// Expected last handshake sequence, when it goes fenced.
    #[serde(skip)]
    pub fence: Option<u64>,
    /// The broker stored it there; the log must still show it in the right epoch.
    #[serde(skip)]
    pub stored_at: Option<u64>,
    /// It was refused or its outcome is open: read the log to its end before doing anything else.
    #[serde(skip)]
    pub doubtful: bool,
}

impl OutboxRow {
    /// A row that may go at once.
    pub(crate) fn new(group: GroupId, kind: OutboxKind, seal: Option<Seal>) -> Self {
        Self { group, kind, seal, attempts: 0, retry_at: Timestamp::default() }
    }
}

impl Seal {
    /// Bytes that nobody published yet.
    pub(crate) fn new(epoch: u64, bytes: Vec<u8>, publish_id: PublishId) -> Self {
        let hash = wire_hash(&bytes);
        Self {
            epoch,
            bytes,
            hash,
            publish_id,
            powers: Powers::default(),
            fence: None,
            stored_at: None,
            doubtful: false,
        }
    }
}

impl State {
    /// So many more messages may wait for the broker.
    pub(crate) fn must_have_room(&self, more: usize) -> Result<()> {
        if self.outbox.len().saturating_add(more) > limit::OUTBOX_ROWS {
            return Err(ErrorKind::Limit.because("too many messages wait for the broker").hint(Hint::Sync));
        }
        Ok(())
    }

    /// Whether anything of what waits can leave now. What is said in a group that this device has to be let back into, or whose keys it
    /// renews, waits for that.
    pub(crate) fn waits_for_broker(&self) -> bool {
        let doubled = |group| self.groups.get(group).is_some_and(|row| row.doubled.is_some());
        self.outbox.iter().any(|(_, row)| match row.kind {
            OutboxKind::Post(_) => true,
            OutboxKind::Message { .. } if doubled(&row.group) => false,
            _ => !self.is_lost(&row.group),
        })
    }
}
