//! A file that a message names.
//!
//! It means what an external part does in draft-ietf-mimi-content: where the bytes lie, what opens them, and what they
//! must be. They lie at the broker in chunks ([`crate::subject::file_chunk`]), each sealed under the key of this one
//! file by XChaCha20-Poly1305 in the STREAM construction, with its position and whether it is the last.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteArray;

use crate::id::FileId;
use crate::limit;
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
    /// A small picture of it.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    pub preview: Option<Preview>,
}

/// A small picture of a file, to be shown before the file is fetched. All of it is the sender's word.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preview {
    /// Pixels of a line.
    #[serde(rename = "w")]
    pub width: u16,
    /// Lines.
    #[serde(rename = "h")]
    pub height: u16,
    /// A picture of [`Preview::media_type`].
    #[serde(rename = "b", with = "serde_bytes")]
    pub bytes: Vec<u8>,
}

impl Preview {
    /// The media type by how it begins, whatever its sender meant; `None` for what no preview is.
    pub fn media_type(&self) -> Option<&'static str> {
        let webp = |bytes: &[u8]| bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP".as_slice());
        match self.bytes.as_slice() {
            bytes if bytes.starts_with(b"\xff\xd8\xff") => Some("image/jpeg"),
            bytes if bytes.starts_with(b"\x89PNG\r\n\x1a\n") => Some("image/png"),
            bytes if webp(bytes) => Some("image/webp"),
            _ => None,
        }
    }

    /// Whether a sender may have made it so large, and of a kind that is shown.
    pub fn is_sound(&self) -> bool {
        let sides = 1..=limit::PREVIEW_SIDE;
        sides.contains(&self.width)
            && sides.contains(&self.height)
            && self.bytes.len() <= limit::PREVIEW_BYTES
            && self.media_type().is_some()
    }
}

impl std::fmt::Debug for Preview {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Preview({}x{}, {} bytes)", self.width, self.height, self.bytes.len())
    }
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
            Attachment { id, key, name, size, mime, hash, chunk, expires, preview: None }.chunks()
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

    #[test]
    fn what_no_sender_can_have_made_is_no_preview() {
        let (jpeg, png) = (b"\xff\xd8\xff\xe0rest".as_slice(), b"\x89PNG\r\n\x1a\nrest".as_slice());
        let largest = [jpeg, &[0; limit::PREVIEW_BYTES - 8]].concat();
        let larger = [jpeg, &[0; limit::PREVIEW_BYTES - 7]].concat();
        for (width, height, bytes, kind, is_sound) in [
            (160, 1, jpeg, Some("image/jpeg"), true),
            (1, 160, png, Some("image/png"), true),
            (2, 2, b"RIFF\x04\0\0\0WEBPVP8 ", Some("image/webp"), true),
            (2, 2, largest.as_slice(), Some("image/jpeg"), true),
            (2, 2, larger.as_slice(), Some("image/jpeg"), false),
            (0, 2, png, Some("image/png"), false),
            (2, 161, png, Some("image/png"), false),
            (2, 2, b"GIF89a", None, false),
            (2, 2, b"<svg onload=\"x\">", None, false),
            (2, 2, b"RIFF\x04\0\0\0WAVE", None, false),
            (2, 2, b"RIFF", None, false),
            (2, 2, b"", None, false),
        ] {
            let preview = Preview { width, height, bytes: bytes.to_vec() };
            assert_eq!((preview.media_type(), preview.is_sound()), (kind, is_sound), "{preview:?}");
        }
    }
}
