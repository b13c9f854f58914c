//! Files on their way to the broker.

use cipher_api::{ErrorKind, Result};
use cipher_broker::id::FileId;
use cipher_broker::limit;
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

    /// What a message says of uploads that are whole.
    pub(crate) fn uploaded(&self, files: &[FileId]) -> Result<Vec<Attachment>> {
        let of = |id: &FileId| match self.upload_of(id) {
            Some((_, row)) if row.whole => Ok(row.file.clone()),
            Some(_) => Err(ErrorKind::Misuse.because("the broker does not have all of this file yet")),
            None => Err(ErrorKind::NotFound.because("there is no upload with this id")),
        };
        files.iter().map(of).collect()
    }

    /// What a bot's answer to an event of that time says of them: nothing of when a host brought them.
    pub(crate) fn uploaded_for_answer(&self, files: &[FileId], at: Timestamp) -> Result<Vec<Attachment>> {
        let mut attachments = self.uploaded(files)?;
        for file in &mut attachments {
            file.expires = at.plus(limit::RETENTION);
            // Builds draw other ones, and every host says the same.
            file.preview = None;
        }
        Ok(attachments)
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
