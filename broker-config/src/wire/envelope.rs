//! What lies on stored subjects.

use serde::{Deserialize, Serialize};

/// A message on a stored subject. The broker sees this much and no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Envelope {
    /// An MLS PrivateMessage: application, commit or proposal (RFC 9420 §6.3).
    #[serde(rename = "m")]
    Message(#[serde(with = "serde_bytes")] Vec<u8>),
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
}

/// Authenticated data of a commit (RFC 9420 §6.3.1): which commit it follows. Lets members notice that the
/// broker lost or swapped an acknowledged commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitLink {
    /// Sequence of the predecessor; 0 for the first commit of a group.
    #[serde(rename = "s")]
    pub sequence: u64,
    /// SHA-256 of the predecessor's bytes; zeros for the first.
    #[serde(rename = "h", with = "serde_bytes")]
    pub hash: [u8; 32],
}
