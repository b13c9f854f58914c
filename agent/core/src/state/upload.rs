//! Files on their way to the broker.

use cipher_broker::id::FileId;
use cipher_broker::time::Timestamp;
use cipher_broker::wire::content::Attachment;
use serde::{Deserialize, Serialize};

use crate::state::State;

/// Uploads at once; of more the one that was begun first is given up.
const MOST: usize = 256;

/// An upload that no message names yet.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct UploadRow {
    /// What is uploaded, in the caller's words.
    #[serde(rename = "o")]
    pub origin: String,
    /// What the message will say of it. Hash and media type are known at the end.
    #[serde(rename = "f")]
    pub file: Attachment,
    /// Chunks that the broker is known to have, from the first one on.
    #[serde(rename = "d")]
    pub done: u32,
    /// The broker has all of it.
    #[serde(rename = "w", default)]
    pub whole: bool,
    /// When it was begun.
    #[serde(rename = "t")]
    pub at: Timestamp,
}

impl State {
    /// The upload of a file.
    pub(crate) fn upload_of(&self, id: &FileId) -> Option<(u64, &UploadRow)> {
        self.uploads.iter().find(|(_, row)| row.file.id == *id).map(|(number, row)| (*number, row))
    }

    /// A message names these files: they are no uploads any more.
    pub(crate) fn uploads_are_said(&mut self, files: &[Attachment]) {
        for file in files {
            if let Some((number, _)) = self.upload_of(&file.id) {
                self.uploads.remove(&number);
            }
        }
    }

    /// Keeps a new upload.
    pub(crate) fn keep_upload(&mut self, row: UploadRow) {
        while self.uploads.len() >= MOST {
            let Some(first) = self.uploads.keys().into_iter().next() else { break };
            self.uploads.remove(&first);
        }
        let number = self.next_id();
        self.uploads.insert(number, row);
    }
}
