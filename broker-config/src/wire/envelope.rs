//! What lies on stored subjects.

use serde::{Deserialize, Serialize};
use serde_bytes::{ByteArray, ByteBuf};

use crate::id::GroupId;
use crate::sign::Signed;
use crate::time::Timestamp;

/// A message on a stored subject. The broker sees this much and no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Envelope {
    /// An MLS PrivateMessage: application, commit or proposal (RFC 9420 §6.3).
    #[serde(rename = "m")]
    Message(#[serde(with = "serde_bytes")] Vec<u8>),
    /// A commit that lay in this log before the broker lost it, given back by any member that kept it. What was said
    /// in its epoch behind the loss could not be read by those who had taken this step before.
    #[serde(rename = "a")]
    Again(#[serde(with = "serde_bytes")] Vec<u8>),
    /// An invitation on an inbox: the MLS Welcome and what its receiver needs besides, sealed under the key in
    /// its GroupInfo.
    #[serde(rename = "w")]
    Welcome {
        /// The MLS Welcome (RFC 9420 §12.4.3.1), without ratchet tree.
        #[serde(rename = "w", with = "serde_bytes")]
        welcome: Vec<u8>,
        /// A sealed [`WelcomeNote`].
        #[serde(rename = "n", with = "serde_bytes")]
        note: Vec<u8>,
    },
    /// A request to join a group by a link, on the group's application subject: a sealed
    /// [`crate::wire::join::JoinRequest`].
    #[serde(rename = "j")]
    Join {
        /// Which link.
        #[serde(rename = "l", with = "serde_bytes")]
        link: [u8; 16],
        /// Sealed under the key that the link carries.
        #[serde(rename = "r", with = "serde_bytes")]
        request: Vec<u8>,
    },
    /// Why a request to join was refused, on the asking device's inbox: a sealed
    /// [`crate::wire::join::JoinRefusal`].
    #[serde(rename = "n")]
    JoinRefused {
        /// Which link.
        #[serde(rename = "l", with = "serde_bytes")]
        link: [u8; 16],
        /// Sealed under the key that the link carries.
        #[serde(rename = "r", with = "serde_bytes")]
        refusal: Vec<u8>,
    },
    /// A request of a member's device to come back, on the group's application subject: an encoded
    /// [`crate::wire::rejoin::RejoinRequest`].
    #[serde(rename = "r")]
    Rejoin(#[serde(with = "serde_bytes")] Vec<u8>),
    /// A member's answer to such a request of a device that is not in the group any more, on the group's application
    /// subject: an encoded [`crate::wire::rejoin::NotMemberBody`], signed by a device of that member
    /// ([`crate::sign::Purpose::NotMember`]).
    #[serde(rename = "o")]
    NotMember(Signed),
    /// A step of linking a device, on a rendezvous inbox: an encoded [`crate::wire::link::LinkingStep`].
    #[serde(rename = "k")]
    Link(#[serde(with = "serde_bytes")] Vec<u8>),
    /// One piece of the sealed ratchet tree of an epoch that has joiners.
    #[serde(rename = "t")]
    Tree(#[serde(with = "serde_bytes")] Vec<u8>),
}

/// What a joiner needs besides the Welcome: where to start reading, and in how many pieces the tree lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WelcomeNote {
    /// Stream sequence of the commit that added the joiner.
    #[serde(rename = "s")]
    pub commit_sequence: u64,
    /// SHA-256 of that commit's bytes.
    #[serde(rename = "h", with = "serde_bytes")]
    pub commit_hash: [u8; 32],
    /// Pieces of the sealed tree.
    #[serde(rename = "p")]
    pub pieces: u32,
    /// SHA-256 of each piece as it is stored, in order: anybody may store something else on its subject. Empty from
    /// agents of before they were named.
    #[serde(rename = "x", default, skip_serializing_if = "Vec::is_empty")]
    pub hashes: Vec<ByteArray<32>>,
    /// The inviter's first words, for whoever decides whether to answer; at most [`crate::limit::FIRST_WORDS_CHARS`].
    /// The message itself can only be read after joining.
    #[serde(rename = "m", default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// When the broker stored the commit, as the inviter knows it: an invitation may be posted much later, or again, and
    /// the commit be gone from the log by age. 0 from agents of before that was said with every invitation.
    #[serde(rename = "a", default, skip_serializing_if = "is_zero")]
    pub commit_at: Timestamp,
    /// The inviter may itself have missed what the group did: the joiner shares the doubt.
    #[serde(rename = "u", default, skip_serializing_if = "std::ops::Not::not")]
    pub doubt: bool,
}

fn is_zero(at: &Timestamp) -> bool {
    *at == Timestamp::default()
}

/// A commit by its place and bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitPlace {
    /// Its sequence; 0 for "none yet".
    #[serde(rename = "s")]
    pub sequence: u64,
    /// SHA-256 of its bytes; zeros for "none yet".
    #[serde(rename = "h", with = "serde_bytes")]
    pub hash: [u8; 32],
}

/// Authenticated data of a commit (RFC 9420 §6.3.1): which commit it follows, and what allows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitNote {
    /// Sequence of the predecessor. Lets members notice that the broker lost or swapped an acknowledged commit.
    #[serde(rename = "s")]
    pub sequence: u64,
    /// SHA-256 of the predecessor's bytes.
    #[serde(rename = "h", with = "serde_bytes")]
    pub hash: [u8; 32],
    /// Statements, signed by account keys, that allow what the committer's role would not: the removal of a
    /// revoked device, the return of a recovered account.
    #[serde(rename = "e", default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Signed>,
    /// The committing device gives itself new keys because bytes name it that its store did not seal: 32 bytes that
    /// tell it from its other copies, and its signature ([`crate::sign::Purpose::NewKeys`]) of [`CommitNote::new_keys`] with them. Another copy of its store,
    /// if there is one, learns by it that it is not the only one; the store that made it knows its own bytes again,
    /// whoever shows them. Empty otherwise.
    #[serde(rename = "d", default, skip_serializing_if = "no_bytes")]
    pub heal: ByteBuf,
    /// Requests to come back that the commit serves, signed by the devices that asked.
    #[serde(rename = "r", default, skip_serializing_if = "Vec::is_empty")]
    pub rejoins: Vec<Signed>,
    /// Requests to come back that the committer knew of, each by the first 16 bytes of the SHA-256 of its key package: the
    /// commit is later than they are, so nobody put it there again from before them.
    #[serde(rename = "a", default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<ByteBuf>,
    /// The committer may itself have missed what the group did.
    #[serde(rename = "u", default, skip_serializing_if = "std::ops::Not::not")]
    pub doubt: bool,
}

fn no_bytes(bytes: &ByteBuf) -> bool {
    bytes.is_empty()
}

impl CommitNote {
    /// A note that follows `link`.
    pub fn after(link: &CommitPlace, evidence: Vec<Signed>) -> Self {
        Self {
            sequence: link.sequence,
            hash: link.hash,
            evidence,
            heal: ByteBuf::new(),
            rejoins: Vec::new(),
            answers: Vec::new(),
            doubt: false,
        }
    }

    /// What a device signs that gives itself new keys in an epoch of a group.
    pub fn new_keys(group: &GroupId, epoch: u64, nonce: &[u8; 32]) -> Vec<u8> {
        [group.as_bytes().as_slice(), &epoch.to_be_bytes(), nonce].concat()
    }

    /// The bytes of the copy and the signature of [`CommitNote::heal`], if it has that form.
    pub fn healing(&self) -> Option<(&[u8; 32], &[u8])> {
        self.heal.split_first_chunk()
    }

    /// The predecessor.
    pub const fn link(&self) -> CommitPlace {
        CommitPlace { sequence: self.sequence, hash: self.hash }
    }
}
