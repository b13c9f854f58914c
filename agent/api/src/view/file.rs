//! Files that messages name.

use cipher_broker::id::{FileId, GroupId, MessageId};
use cipher_broker::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::encoding::{Base64, Time, bytes, maybe_time, time};
use crate::view::SenderView;

/// A file under a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AttachmentView {
    /// What its sender calls it, made harmless: good as the name of a file, in no folder.
    pub name: String,
    /// Bytes of its content, by the sender's word.
    pub size: u64,
    /// Media type, by the sender's word; empty when it is not known.
    pub mime: String,
    /// Names it where files are named.
    pub id: FileId,
    /// When the broker lets go of it, as far as the sender knew; `null` when it did not.
    #[serde(default, with = "maybe_time")]
    #[schemars(with = "Option<Time>")]
    pub expires: Option<Timestamp>,
    /// A small picture of it, if its sender made one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview: Option<PreviewView>,
}

/// A small picture of a file. Its sender chose the bytes: nobody here looked further into them than how they begin.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PreviewView {
    /// `image/jpeg`, `image/png` or `image/webp`, by how the bytes begin.
    pub mime: String,
    /// Pixels of a line, from 1 to 160, by the sender's word.
    pub width: u16,
    /// Lines, from 1 to 160, by the sender's word.
    pub height: u16,
    /// The picture, at most 8 KiB.
    #[serde(with = "bytes")]
    #[schemars(with = "Base64<'_>")]
    pub bytes: Vec<u8>,
}

/// Without the picture.
impl std::fmt::Debug for PreviewView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PreviewView({}x{} {}, {} bytes)", self.width, self.height, self.mime, self.bytes.len())
    }
}

/// A file of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileView {
    /// The file.
    pub file: AttachmentView,
    /// The message that names it.
    pub message: MessageId,
    /// The conversation.
    pub group: GroupId,
    /// Who sent it.
    pub from: SenderView,
    /// When the broker stored the message, as far as it is known here; else when its sender says it was written.
    #[serde(with = "time")]
    #[schemars(with = "Time")]
    pub at: Timestamp,
}

/// A file with what opens it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OpenFileView {
    /// The file.
    pub file: FileView,
    /// Key of its chunks.
    #[serde(with = "bytes")]
    #[schemars(with = "Base64<'_>")]
    pub key: Vec<u8>,
    /// SHA-256 of its content.
    #[serde(with = "bytes")]
    #[schemars(with = "Base64<'_>")]
    pub hash: Vec<u8>,
    /// Bytes of content in every chunk but the last.
    pub chunk_bytes: u32,
}

/// Without its key.
impl std::fmt::Debug for OpenFileView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenFileView").field("file", &self.file).finish_non_exhaustive()
    }
}

/// An upload that was begun.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UploadView {
    /// Names it, and where its chunks go.
    pub id: FileId,
    /// Key of its chunks.
    #[serde(with = "bytes")]
    #[schemars(with = "Base64<'_>")]
    pub key: Vec<u8>,
    /// Bytes of content in every chunk but the last.
    pub chunk_bytes: u32,
    /// Chunks that the broker is known to have, from the first one on.
    pub done: u32,
}

/// Without its key.
impl std::fmt::Debug for UploadView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UploadView").field("id", &self.id).field("done", &self.done).finish_non_exhaustive()
    }
}
