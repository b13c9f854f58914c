//! Bytes that this store sealed, and commits that it merged.

use cipher_broker::codec;
use cipher_broker::id::MessageId;
use cipher_broker::sign::digest;
use cipher_broker::time::Timestamp;
use cipher_broker::transparency::SignedHead;
use cipher_broker::wire::content::{Body, Content};
use cipher_broker::wire::envelope::Envelope;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::state::{MessageRow, RowBody};

/// A commit that was merged here. Group and epoch are its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeptRow {
    /// SHA-256 of the stored bytes.
    #[serde(rename = "h", with = "serde_bytes")]
    pub hash: [u8; 32],
    /// As stored.
    #[serde(rename = "b")]
    pub bytes: ByteBuf,
    /// Where it was seen last.
    #[serde(rename = "p")]
    pub position: u64,
    #[serde(rename = "t")]
    pub at: Timestamp,
}

/// Bytes that this store sealed. The group and the beginning of their [`Print`] are the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SentRow {
    /// The message; `None` for bytes that were replaced by others, and for what is no message.
    #[serde(rename = "i", default, skip_serializing_if = "Option::is_none")]
    pub id: Option<MessageId>,
    /// Its content, to be sealed again.
    #[serde(rename = "c", default, skip_serializing_if = "no_bytes")]
    pub content: ByteBuf,
    #[serde(rename = "e")]
    pub epoch: u64,
    /// SHA-256 of the bytes as stored, or its first 16 bytes.
    #[serde(rename = "h")]
    pub hash: ByteBuf,
    /// Where it was seen last, or where the broker said that it lies.
    #[serde(rename = "p")]
    pub position: u64,
    #[serde(rename = "t")]
    pub at: Timestamp,
}

impl SentRow {
    /// The message that it makes something of.
    pub(crate) fn changes(&self) -> Option<MessageId> {
        codec::decode::<Content>(&self.content).ok()?.body.changes()
    }

    /// Whether these are the bytes: what only has their print was changed by somebody.
    pub(crate) fn is(&self, hash: &[u8; 32]) -> bool {
        self.hash.len() >= 16 && hash.starts_with(&self.hash)
    }
}

/// How the own message of a history row was sealed: part of that row, whose position is its place in the log. It is
/// written with every own message, so it is kept small.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SealedAs {
    /// The beginning of its [`Print`].
    #[serde(rename = "k", with = "serde_bytes")]
    pub key: SealKey,
    /// The beginning of the SHA-256 of the bytes as stored.
    #[serde(rename = "h", with = "serde_bytes")]
    pub hash: [u8; 16],
    #[serde(rename = "e")]
    pub epoch: u64,
    // What the content held beyond the row: the same content is sealed again, or it is another message.
    #[serde(rename = "s", with = "serde_bytes")]
    pub salt: [u8; 16],
    #[serde(rename = "g", default, skip_serializing_if = "Option::is_none")]
    pub head: Option<SignedHead>,
}

/// A message that was written so long before it was sent is not forgotten by the time when it was written.
pub(crate) const WRITTEN_LATELY: std::time::Duration = std::time::Duration::from_secs(24 * 3600);

impl SealedAs {
    /// `None` if the row does not tell all the rest: then the message gets a [`SentRow`].
    pub(crate) fn of(sent: &SentRow, print: &Print, content: &Content, row: &MessageRow) -> Option<Self> {
        let sealed = Self {
            key: key(print),
            hash: *sent.hash.as_chunks::<16>().0.first()?,
            epoch: sent.epoch,
            salt: content.salt,
            head: content.head.clone(),
        };
        let lately = sent.at.since(row.sent_at) <= WRITTEN_LATELY;
        (lately && sealed.content(row)? == sent.content).then_some(sealed)
    }

    pub(crate) fn content(&self, row: &MessageRow) -> Option<ByteBuf> {
        // Everything else is kept as it was sealed, in a row of its own.
        let RowBody::Text = row.body() else { return None };
        let content = Content {
            reply_to: row.reply_to,
            hops: row.hops,
            head: self.head.clone(),
            attachments: row.attachments.clone(),
            expire: row.expire,
            mentions: row.mentions.clone(),
            thread: row.thread,
            forwarded: row.forwarded,
            ..Content::new(self.salt, row.sent_at, Body::Text(row.text.clone()))
        };
        Some(codec::encode(&content).into())
    }

    /// As a row of its own.
    pub(crate) fn into_sent(self, row: &MessageRow, position: u64) -> Option<SentRow> {
        let content = self.content(row)?;
        let hash = self.hash.to_vec().into();
        Some(SentRow { id: Some(row.id), content, epoch: self.epoch, hash, position, at: row.sent_at })
    }
}

pub(crate) fn no_bytes(bytes: &ByteBuf) -> bool {
    bytes.is_empty()
}

/// What nobody without the keys of the epoch can change of sealed bytes and have them name the same sender: who takes
/// a message of ours and changes a bit of it makes no other message of ours.
pub(crate) type Print = [u8; 32];

/// The print of an MLS `PrivateMessage` (RFC 9420 §6.3): epoch, content type, encrypted sender data, and the part of the
/// ciphertext that the sender data is encrypted under.
pub(crate) fn print_of(message: &[u8]) -> Option<Print> {
    // version, wire format
    let (_, rest) = vector(message.get(4..)?)?;
    let (fixed, rest) = rest.split_at_checked(9)?;
    let (_, rest) = vector(rest)?;
    let (sender, rest) = vector(rest)?;
    let (ciphertext, _) = vector(rest)?;
    let sample = ciphertext.get(..SAMPLE).unwrap_or(ciphertext);
    Some(digest("cipher-chat/print/v1", &[fixed, sender, sample]))
}

/// The print of an envelope as stored.
pub(crate) fn print_of_stored(bytes: &[u8]) -> Option<Print> {
    match codec::decode(bytes).ok()? {
        Envelope::Message(message) | Envelope::Again(message) => print_of(&message),
        _ => None,
    }
}

/// Bytes of the ciphertext that decide on the key of the sender data, at least.
pub(crate) const SAMPLE: usize = 32;

/// A vector with its length in front (RFC 9420 §2.1.2), and what follows.
pub(crate) fn vector(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (width, mask) = match bytes.first()? >> 6 {
        0 => (1, 0x3f_u32),
        1 => (2, 0x3fff),
        2 => (4, 0x3fff_ffff),
        _ => return None,
    };
    let (length, rest) = bytes.split_at_checked(width)?;
    let length = length.iter().fold(0_u32, |sum, byte| sum.wrapping_shl(8) | u32::from(*byte));
    rest.split_at_checked(usize::try_from(length & mask).ok()?)
}

/// The beginning of the print of sealed bytes.
pub(crate) type SealKey = [u8; 16];

pub(crate) fn key(print: &Print) -> SealKey {
    let [first, ..] = print.as_chunks::<16>().0 else { return [0; 16] };
    *first
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(sender: &[u8], ciphertext: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 1, 0, 2, 2, 7, 7];
        bytes.extend(5u64.to_be_bytes());
        bytes.extend([1, 0, u8::try_from(sender.len()).unwrap()]);
        bytes.extend(sender);
        bytes.extend([0x40, u8::try_from(ciphertext.len()).unwrap()]);
        bytes.extend(ciphertext);
        bytes
    }

    /// F5 class: a bit that anybody changes makes no other message of ours.
    #[test]
    fn f5_a_print_stays_when_what_anybody_can_change_is_changed() {
        let print = |sender: &[u8], ciphertext: &[u8]| print_of(&message(sender, ciphertext)).unwrap();
        let mut ciphertext = vec![3; 90];
        let first = print(&[9; 24], &ciphertext);
        ciphertext[80] ^= 1;
        assert_eq!(print(&[9; 24], &ciphertext), first);
        assert_ne!(print(&[8; 24], &ciphertext), first);
        ciphertext[0] ^= 1;
        assert_ne!(print(&[9; 24], &ciphertext), first);
        let whole = message(&[9; 24], &ciphertext);
        for length in 0..whole.len() {
            assert_eq!(print_of(&whole[..length]), None, "{length}");
        }
        assert_eq!(print_of(&[0xff; 40]), None);
    }
}
