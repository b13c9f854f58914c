//! Files that messages name.

use std::path::Path;

use cipher_api::view::{FileView, OpenFileView, SenderView};
use cipher_broker::id::{FileId, GroupId, MessageId};
use serde::Serialize;

use crate::cli::show::line::Line;

/// A file as scripts see it.
#[derive(Debug, Serialize)]
pub struct FileLine<'a> {
    /// Harmless as the name of a file.
    name: &'a str,
    size: u64,
    mime: &'a str,
    id: FileId,
    message: MessageId,
    group: GroupId,
    from: &'a SenderView,
    /// RFC 3339, by the broker's clock if it is known.
    at: String,
    /// RFC 3339; null when the sender did not say it.
    expires: Option<String>,
    /// Where it lies, once it was fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
}

impl FileLine<'_> {
    /// Its name.
    pub const fn name(&self) -> &str {
        self.name
    }

    /// Bytes of it.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Its media type.
    pub const fn mime(&self) -> &str {
        self.mime
    }

    /// What names it.
    pub const fn id(&self) -> &FileId {
        &self.id
    }

    /// Who sent it.
    pub const fn from(&self) -> &SenderView {
        self.from
    }

    /// When, RFC 3339.
    pub fn at(&self) -> &str {
        &self.at
    }

    /// Where it lies now.
    pub fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }
}

impl<'a> Line<'a> {
    /// A file of a conversation.
    pub fn file(view: &'a FileView) -> Self {
        Self::File(Box::new(line(view, None)))
    }

    /// A file that was fetched.
    pub fn downloaded(open: &'a OpenFileView, path: &Path) -> Self {
        Self::File(Box::new(line(&open.file, Some(path.display().to_string()))))
    }
}

fn line(view: &FileView, path: Option<String>) -> FileLine<'_> {
    let FileView { file, message, group, from, at } = view;
    FileLine {
        name: &file.name,
        size: file.size,
        mime: &file.mime,
        id: file.id,
        message: *message,
        group: *group,
        from,
        at: at.to_string(),
        expires: file.expires.map(|at| at.to_string()),
        path,
    }
}
