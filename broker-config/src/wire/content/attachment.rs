//! A file that a message names.
//!
//! It means what an external part does in draft-ietf-mimi-content: where the bytes lie, what opens them, and what they
//! must be. They lie at the broker in chunks ([`crate::subject::file_chunk`]), each sealed under the key of this one
//! file by XChaCha20-Poly1305 in the STREAM construction, with its position and whether it is the last.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteArray;

use crate::id::FileId;
use crate::time::Timestamp;

/// One file. All of it is the sender's word until the bytes were opened.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// Where its chunks lie.
    #[serde(rename = "i")]
    pub id: FileId,
    /// Opens the chunks of this file and nothing else.
    #[serde(rename = "k")]
    pub key: ByteArray<32>,
    /// What the sender calls it. No receiver takes it as the name of a file before it was made harmless.
    #[serde(rename = "n", default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Bytes of its content.
    #[serde(rename = "s")]
    pub size: u64,
    /// Media type (RFC 6838) of its content; empty when it is not known.
    #[serde(rename = "m", default, skip_serializing_if = "String::is_empty")]
    pub mime: String,
    /// SHA-256 of its content.
    #[serde(rename = "h")]
    pub hash: ByteArray<32>,
    /// Bytes of content in every chunk but the last.
    #[serde(rename = "c")]
    pub chunk: u32,
    /// When the broker lets go of it, as far as the sender knows.
    #[serde(rename = "x", default, skip_serializing_if = "is_zero")]
    pub expires: Timestamp,
}

impl Attachment {
    /// Number of its chunks: one at least, so that an empty file has a chunk that proves it. `None` for what no sender
    /// can have made.
    pub fn chunks(&self) -> Option<u32> {
        chunks(self.size, self.chunk)
    }
}

/// Number of chunks of a file of that size, with that content in each but the last, as [`Attachment::chunks`] counts them.
pub fn chunks(size: u64, chunk: u32) -> Option<u32> {
    if chunk == 0 {
        return None;
    }
    u32::try_from(size.div_ceil(u64::from(chunk)).max(1)).ok()
}

/// Without its key.
impl std::fmt::Debug for Attachment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attachment").field("id", &self.id).field("size", &self.size).finish_non_exhaustive()
    }
}

fn is_zero(at: &Timestamp) -> bool {
    *at == Timestamp::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_a_chunk_at_least_and_no_more_than_can_be_counted() {
        let of = |size, chunk| {
            let (id, key, hash) =
                (FileId::from_bytes([1; 16]), ByteArray::new([2; 32]), ByteArray::new([3; 32]));
            let (name, mime, expires) = (String::new(), String::new(), Timestamp::default());
            Attachment { id, key, name, size, mime, hash, chunk, expires }.chunks()
        };
        for (size, chunk, chunks) in [
            (0, 4096, Some(1)),
            (1, 4096, Some(1)),
            (4096, 4096, Some(1)),
            (4097, 4096, Some(2)),
            (9, 0, None),
            (u64::MAX, 4096, None),
        ] {
            assert_eq!(of(size, chunk), chunks, "{size} {chunk}");
        }
    }
}
