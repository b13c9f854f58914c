//! Files: the bytes travel beside the core, which keeps the keys and how far each upload came.
//!
//! An upload is begun, its chunks are stored at the broker by the caller, and a message names it. It survives the
//! caller: who begins the same one again goes on where the broker had everything.

use cipher_broker::id::FileId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::command::message::MessageRef;
use crate::encoding::{Base64, bytes};
use crate::name::Target;
use crate::view::PreviewView;

/// Begins an upload, or goes on with the one that was begun for the same thing less than a day ago.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Begin {
    /// What is uploaded, told from everything else: with other bytes it must be another one. Of a file its place, size
    /// and times of change, and where it is sent.
    pub origin: String,
    /// Name of the file; receivers see what of it is harmless.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its id and key follow from `origin` and a secret of the account, so that another device of the account brings
    /// the same file: for the answers of bots. `origin` then holds a digest of the content.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub repeatable: bool,
}

/// The broker has this many chunks of an upload, from the first one on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// Which upload.
    pub id: FileId,
    /// Number of chunks.
    pub done: u32,
}

/// The broker has all of an upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Finish {
    /// Which upload.
    pub id: FileId,
    /// SHA-256 of the content.
    #[serde(with = "bytes")]
    #[schemars(with = "Base64<'_>")]
    pub hash: Vec<u8>,
    /// Media type of the content; empty when it is not known.
    #[serde(default)]
    pub mime: String,
    /// A small picture of it, for those who have not fetched it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview: Option<PreviewView>,
}

/// Gives an upload up, and its key with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Drop {
    /// Which upload.
    pub id: FileId,
}

/// Says something that names files, or asks whether it could be said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Says<F> {
    /// Which conversation.
    pub target: Target,
    /// What to say besides; may be empty.
    #[serde(default)]
    pub text: String,
    /// Id of the message it answers, whole or a beginning of six characters or more.
    pub reply_to: Option<String>,
    /// A message of the thread in which it stands, or the one that begins it.
    #[serde(default)]
    pub thread: Option<MessageRef>,
    /// How many seconds after it was read everybody's agent forgets it, and the keys of its files, from 1 to 31622400; the
    /// author's after it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expire: Option<u64>,
    /// The uploads, finished, in the order in which they are shown; to ask, how many they are.
    pub files: F,
}

/// Says something that names files which were uploaded. Answered as a message is.
pub type Send = Says<Vec<FileId>>;

/// Fails where [`Send`] would, before anything of its files is read or uploaded. Who was never written to is looked up.
pub type Check = Says<usize>;

impl<F> Says<F> {
    /// The same of other files.
    pub fn of<G>(self, files: G) -> Says<G> {
        let Self { target, text, reply_to, thread, expire, files: _ } = self;
        Says { target, text, reply_to, thread, expire, files }
    }
}

/// Files of a conversation, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// Which conversation.
    pub target: Target,
    /// At most so many, the latest; all when `null`.
    pub last: Option<usize>,
}

/// What opens files: those of a message, or one of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Open {
    /// Id of a file or of a message, whole or a beginning.
    pub file: MessageRef,
}
