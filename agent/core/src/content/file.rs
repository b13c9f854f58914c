//! Files: uploads under way, messages that name files, and what opens them.
//!
//! ```text
//! file.begin ─► a row with a fresh key ─► chunks go to the broker, beside the core ─► file.finish ─► file.send ─► a message
//!                    │ the process dies: the row says how far it was
//! file.open ◄────────────────────────────────────────────────────────────── the key lies in the row of the message
//! ```
//!
//! Bytes of files never pass through here. A key lives in the row of its upload, then in the row of its message, sealed as
//! all rows are; it goes with the message.

use std::time::Duration;

use cipher_api::command::file;
use cipher_api::command::message::MessageRef;
use cipher_api::view::{AttachmentView, FileView, MessageView, OpenFileView, PreviewView, UploadView};
use cipher_api::{Advice, ErrorKind, Hint, Reply, Result, Target};
use cipher_broker::id::{FileId, GroupId, MessageId};
use cipher_broker::limit;
use cipher_broker::time::Timestamp;
use cipher_broker::wire::content::{Attachment, Body, Preview};
use cipher_seal::Key;
use serde_bytes::ByteArray;

use crate::content::file_name::harmless;
use crate::content::named::Meant;
use crate::input::Ticket;
use crate::machine::Core;
use crate::state::{MessageRow, UploadRow, Words};

/// How long an upload can be gone on with: what the broker has of it must not be gone long before the message is.
const GOES_ON: Duration = Duration::from_secs(24 * 3600);

/// R-FILE-02: the files of a message that count: with sizes that a sender can have made, and no more of them than one may
/// send. Everybody who has the message sees the same ones.
pub(super) fn counted(said: Vec<Attachment>) -> Vec<Attachment> {
    let sound = |file: &Attachment| {
        limit::FILE_CHUNK_RANGE.contains(&file.chunk)
            && file.chunks().is_some()
            && file.name.len() <= limit::FILE_NAME_BYTES
            && is_media_type(&file.mime)
    };
    let mut files: Vec<Attachment> = said.into_iter().filter(sound).take(limit::ATTACHMENTS).collect();
    bound_previews(&mut files, limit::PREVIEWS_BYTES);
    files
}

/// R-FILE-03: a preview that no sender can have made is none, nor is one that has no room any more beside those before it. The
/// files stay.
fn bound_previews(files: &mut [Attachment], mut room: usize) {
    for file in files {
        let has_room = |preview: &Preview| {
            preview.is_sound() && room.checked_sub(preview.bytes.len()).map(|left| room = left).is_some()
        };
        file.preview = file.preview.take().filter(has_room);
    }
}

/// Whether it has the form of a media type without parameters (RFC 6838 §4.2), or is not known.
fn is_media_type(text: &str) -> bool {
    let restricted = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "!#$&-^_.+".contains(c))
    };
    let named = |(kind, name): (&str, &str)| restricted(kind) && restricted(name);
    text.is_empty() || (text.len() <= limit::MEDIA_TYPE_BYTES && text.split_once('/').is_some_and(named))
}

/// A file as people see it.
pub(super) fn view(file: &Attachment) -> AttachmentView {
    AttachmentView {
        name: harmless(&file.name),
        size: file.size,
        mime: file.mime.clone(),
        id: file.id,
        expires: (file.expires != Timestamp::default()).then_some(file.expires),
        preview: file.preview.as_ref().and_then(preview_view),
    }
}

fn preview_view(preview: &Preview) -> Option<PreviewView> {
    let Preview { width, height, ref bytes } = *preview;
    Some(PreviewView { mime: preview.media_type()?.to_owned(), width, height, bytes: bytes.clone() })
}

/// A file and the message that names it.
struct Named {
    file: Attachment,
    message: MessageView,
}

impl Core {
    pub(super) fn begin_file(&mut self, begin: file::Begin) -> Result<Reply> {
        self.state.identity()?;
        let file::Begin { origin, name, size, repeatable } = begin;
        let now = self.run.now;
        let old: Vec<u64> = self
            .state
            .uploads
            .iter()
            .filter(|(_, row)| now.since(row.at) >= GOES_ON)
            .map(|(n, _)| *n)
            .collect();
        for number in old {
            self.state.uploads.remove(&number);
        }
        if let Some((_, row)) =
            self.state.uploads.iter().find(|(_, row)| row.origin == origin && row.file.size == size)
        {
            return Ok(upload_view(row));
        }
        let (id, key) = if repeatable {
            derived(&self.state.identity()?.account_seed, &origin)?
        } else {
            (FileId::from_bytes(self.provider.bytes()), ByteArray::new(self.provider.bytes()))
        };
        let file = Attachment {
            id,
            key,
            name: harmless(&name),
            size,
            mime: String::new(),
            hash: ByteArray::new([0; 32]),
            chunk: limit::FILE_CHUNK_BYTES,
            expires: now.plus(limit::RETENTION),
            preview: None,
        };
        if file.chunks().is_none() {
            return Err(ErrorKind::Limit.because("the file is larger than any file can be"));
        }
        let row = UploadRow { origin, file, done: 0, whole: false, at: now };
        let view = upload_view(&row);
        self.state.keep_upload(row);
        Ok(view)
    }

    pub(super) fn file_progress(&mut self, id: FileId, done: u32) -> Result<Reply> {
        let number = self.upload(&id)?;
        if let Some(row) = self.state.uploads.get_mut(&number) {
            row.done = row.done.max(done.min(row.file.chunks().unwrap_or_default()));
        }
        Ok(Reply::Done)
    }

    pub(super) fn finish_file(&mut self, finish: file::Finish) -> Result<Reply> {
        let file::Finish { id, hash, mime, preview } = finish;
        let number = self.upload(&id)?;
        let hash: [u8; 32] =
            hash.try_into().map_err(|_| ErrorKind::Usage.because("the hash of a file has 32 bytes"))?;
        if !is_media_type(&mime) {
            return Err(ErrorKind::Usage.because("this is no media type"));
        }
        let preview =
            preview.map(|PreviewView { width, height, bytes, .. }| Preview { width, height, bytes });
        if preview.as_ref().is_some_and(|preview| !preview.is_sound()) {
            return Err(ErrorKind::Usage.because(format!(
                "a preview is a JPEG, PNG or WebP picture of {} bytes at most, with sides of 1 to {}",
                limit::PREVIEW_BYTES,
                limit::PREVIEW_SIDE
            )));
        }
        if let Some(row) = self.state.uploads.get_mut(&number) {
            (row.file.hash, row.file.mime, row.whole) = (ByteArray::new(hash), mime, true);
            row.file.preview = preview;
            row.done = row.file.chunks().unwrap_or_default();
        }
        Ok(Reply::Done)
    }

    pub(super) fn drop_file(&mut self, id: &FileId) -> Result<Reply> {
        let number = self.upload(id)?;
        self.state.uploads.remove(&number);
        Ok(Reply::Done)
    }

    fn upload(&self, id: &FileId) -> Result<u64> {
        let found = self.state.upload_of(id).map(|(number, _)| number);
        found.ok_or_else(|| ErrorKind::NotFound.because("there is no upload with this id"))
    }

    /// Says something that names uploads. From then on they are the message's.
    pub(super) fn send_files(&mut self, ticket: Ticket, send: file::Send) -> Result<Option<Reply>> {
        let file::Says { target, text, reply_to, thread, expire, files } = send;
        let mut attachments = self.state.uploaded(&files)?;
        check_number(attachments.len())?;
        // Beside a long text there is less room.
        let room = limit::TEXT_BYTES.saturating_sub(text.len());
        bound_previews(&mut attachments, room.min(limit::PREVIEWS_BYTES));
        let words = self.words_beside(&target, text, (reply_to, thread, expire))?;
        self.send(ticket, target, Words { attachments, ..words })
    }

    /// Fails where [`Core::send_files`] would.
    pub(super) fn check_files(&mut self, ticket: Ticket, check: file::Check) -> Result<Option<Reply>> {
        let file::Says { target, text, reply_to, thread, expire, files } = check;
        check_number(files)?;
        let words = self.words_beside(&target, text, (reply_to, thread, expire))?;
        self.check_send(ticket, &target, &words, files)
    }

    fn words_beside(
        &self,
        target: &Target,
        text: String,
        (reply_to, thread, expire): (Option<String>, Option<MessageRef>, Option<u64>),
    ) -> Result<Words> {
        let reply_to = reply_to.map(|id| self.replied_to(target, id)).transpose()?;
        let thread = thread.map(|thread| self.thread_root(target, thread)).transpose()?;
        Ok(Words { reply_to, thread, expire, ..Words::of(Body::Text(text)) })
    }

    pub(super) fn list_files(&self, target: &Target, last: Option<usize>) -> Result<Reply> {
        let group = self.resolve(target)?;
        let limit = last.unwrap_or(usize::MAX);
        let mut views: Vec<FileView> = Vec::new();
        for group in self.conversations(target, group) {
            // As many of each: any of them may have the newest.
            let before = views.len();
            for (place, _) in self.history.files(&group)? {
                if views.len().saturating_sub(before) >= limit {
                    break;
                }
                let Some(row) = self.history.at(&group, place)?.filter(|row| self.has_files(&group, row))
                else {
                    continue;
                };
                let message = self.message_view(group, place, &row);
                views.extend(row.attachments.iter().map(|file| file_view(file, &message)));
            }
        }
        // Stable: those of one message stay in its order.
        views.sort_by_key(|view| std::cmp::Reverse(view.at));
        views.truncate(limit);
        Ok(Reply::Files(views))
    }

    /// Whether a person sees the files of a message. R-FORGET-06: of what is over nobody does, whether it was forgotten already or not.
    fn has_files(&self, group: &GroupId, row: &MessageRow) -> bool {
        !self.state.hides(row) && !self.state.is_over(group, row, self.run.now)
    }

    /// What opens the files that an id names: of a message all, of a file that one.
    pub(super) fn open_file(&self, named: &MessageRef) -> Result<Reply> {
        let mut found = self.files_named(named)?;
        let by_message = match self.meant(named) {
            Ok(meant) => Some(meant),
            Err(error) if error.kind == ErrorKind::NotFound && !found.is_empty() => None,
            Err(error) if error.kind == ErrorKind::NotFound => {
                return Err(ErrorKind::NotFound
                    .because(format!("there is no file, and no message, whose id begins with '{}'", named.id))
                    .hint(Hint::MessageRead));
            }
            Err(error) => return Err(error),
        };
        let several = found.len().saturating_add(usize::from(by_message.is_some()));
        if several > 1 {
            return Err(ErrorKind::Usage
                .because(format!("{several} files and messages have ids that begin with '{}'", named.id))
                .hint(Advice::MoreOfId));
        }
        if let Some(meant) = by_message {
            found = self.files_of(meant)?;
        }
        Ok(Reply::OpenFiles(found.into_iter().map(open_view).collect()))
    }

    /// The files whose ids begin so.
    fn files_named(&self, named: &MessageRef) -> Result<Vec<Named>> {
        let (first, last) = MessageId::beginning_with(&named.id)
            .map_err(|invalid| ErrorKind::Usage.because(invalid.to_string()))?;
        let range = first.as_bytes()..=last.as_bytes();
        let groups = match &named.within {
            Some(target) => self.conversations(target, self.resolve(target)?),
            None => self.state.groups.iter().filter(|(_, row)| !row.personal).map(|(id, _)| *id).collect(),
        };
        let mut found: Vec<Named> = Vec::new();
        for group in groups {
            for (place, ids) in self.history.files(&group)? {
                if !ids.iter().any(|id| range.contains(&id.as_bytes())) {
                    continue;
                }
                let Some(row) = self.history.at(&group, place)?.filter(|row| self.has_files(&group, row))
                else {
                    continue;
                };
                let message = self.message_view(group, place, &row);
                for file in row.attachments.iter().filter(|file| range.contains(&file.id.as_bytes())) {
                    // Said in two conversations, it is one file.
                    if found.iter().all(|known| known.file != *file) {
                        found.push(Named { file: file.clone(), message: message.clone() });
                    }
                }
            }
        }
        Ok(found)
    }

    fn files_of(&self, meant: Meant) -> Result<Vec<Named>> {
        let Meant { group, id, row } = meant;
        if row.as_ref().is_some_and(|(_, row)| self.state.is_over(&group, row, self.run.now)) {
            return Err(ErrorKind::NotFound
                .because("this message has disappeared, and with it the key of what was attached to it"));
        }
        let (attachments, message, deleted) = match row {
            Some((place, row)) => {
                (row.attachments.clone(), Some(self.message_view(group, place, &row)), row.deleted)
            }
            None => {
                let row = self.run.delivery.rows_of(group).find_map(|row| {
                    self.queued(row).filter(|(queued, _)| *queued == id).map(|(_, content)| (row, content))
                });
                match row {
                    Some((row, content)) => (content.attachments, self.outbox_view(row), false),
                    None => (Vec::new(), None, false),
                }
            }
        };
        if deleted {
            return Err(ErrorKind::NotFound
                .because("this message was deleted, and with it the key of what was attached to it"));
        }
        let (Some(message), false) = (message, attachments.is_empty()) else {
            return Err(ErrorKind::NotFound.because("nothing is attached to this message"));
        };
        Ok(attachments.into_iter().map(|file| Named { file, message: message.clone() }).collect())
    }
}

/// Id and key of a file that every device of the account names alike.
fn derived(account_seed: &[u8], origin: &str) -> Result<(FileId, ByteArray<32>)> {
    let seed = Key::from_slice(account_seed)
        .ok_or_else(|| ErrorKind::Bug.because("the seed of an account has 32 bytes"))?;
    let secret = seed.derived("cipher-chat/repeatable-file/v1");
    let half = |purpose| secret.hash(purpose, origin.as_bytes());
    let mut key = [0; 32];
    for (to, from) in key.iter_mut().zip(half("key, first half").into_iter().chain(half("key, second half")))
    {
        *to = from;
    }
    Ok((FileId::from_bytes(half("id")), ByteArray::new(key)))
}

fn check_number(files: usize) -> Result<()> {
    if files == 0 {
        return Err(ErrorKind::Usage.because("there is no file to send"));
    }
    if files > limit::ATTACHMENTS {
        return Err(ErrorKind::Limit.because(format!(
            "a message has at most {} files, and these are {files}: send several messages",
            limit::ATTACHMENTS
        )));
    }
    Ok(())
}

fn upload_view(row: &UploadRow) -> Reply {
    Reply::Upload(Box::new(UploadView {
        id: row.file.id,
        key: row.file.key.to_vec(),
        chunk_bytes: row.file.chunk,
        done: row.done,
    }))
}

fn file_view(file: &Attachment, message: &MessageView) -> FileView {
    FileView {
        file: view(file),
        message: message.id,
        group: message.group,
        from: message.from.clone(),
        at: message.at.unwrap_or(message.sent_at),
    }
}

fn open_view(named: Named) -> OpenFileView {
    let Named { file, message } = named;
    OpenFileView {
        file: file_view(&file, &message),
        key: file.key.to_vec(),
        hash: file.hash.to_vec(),
        chunk_bytes: file.chunk,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(n: u8) -> Attachment {
        Attachment {
            id: FileId::from_bytes([n; 16]),
            key: ByteArray::new([1; 32]),
            name: "a.txt".into(),
            size: 5,
            mime: "text/plain".into(),
            hash: ByteArray::new([2; 32]),
            chunk: limit::FILE_CHUNK_BYTES,
            expires: Timestamp::default(),
            preview: None,
        }
    }

    fn preview(bytes: usize) -> Option<Preview> {
        let mut picture = b"\xff\xd8\xff\xe0".to_vec();
        picture.resize(bytes, 0);
        Some(Preview { width: 160, height: 120, bytes: picture })
    }

    #[test]
    fn t06_r_file_03_previews_that_no_sender_can_have_made_do_not_count_and_their_files_do() {
        let of = |n, preview| Attachment { preview, ..file(n) };
        let counts = |files: Vec<Attachment>| -> Vec<bool> {
            counted(files).iter().map(|file| file.preview.is_some()).collect()
        };
        let [small, largest, larger] = [100, limit::PREVIEW_BYTES, limit::PREVIEW_BYTES + 1].map(preview);
        assert_eq!(
            counts(vec![of(1, small.clone()), of(2, None), of(3, largest.clone()), of(4, larger)]),
            [true, false, true, false]
        );
        let wide = small.clone().map(|small| Preview { width: limit::PREVIEW_SIDE + 1, ..small });
        let page = small.clone().map(|small| Preview { bytes: b"<html>".to_vec(), ..small });
        assert_eq!(counts(vec![of(1, wide), of(2, page)]), [false, false]);
        // Four fill the room of a message; what is small still fits behind one that does not.
        let mut many: Vec<Attachment> = (0..3).map(|n| of(n, largest.clone())).collect();
        many.extend([of(3, preview(limit::PREVIEW_BYTES - 100)), of(4, largest), of(5, small)]);
        assert_eq!(counts(many), [true, true, true, true, false, true]);
    }

    #[test]
    fn t06_r_file_02_files_that_no_sender_can_have_made_do_not_count() {
        let sound = [
            file(1),
            Attachment { size: 0, ..file(2) },
            Attachment { mime: String::new(), name: String::new(), ..file(3) },
            Attachment { chunk: *limit::FILE_CHUNK_RANGE.start(), size: 1 << 30, ..file(4) },
        ];
        let not = [
            Attachment { chunk: 0, ..file(5) },
            Attachment { chunk: limit::FILE_CHUNK_RANGE.end() + 1, ..file(6) },
            Attachment { size: u64::MAX, ..file(7) },
            Attachment { name: "x".repeat(limit::FILE_NAME_BYTES + 1), ..file(8) },
            Attachment { mime: format!("a/{}", "b".repeat(limit::MEDIA_TYPE_BYTES)), ..file(9) },
            Attachment { mime: "text/pl ain".into(), ..file(10) },
            Attachment { mime: "\u{1b}[2J/x".into(), ..file(11) },
            Attachment { mime: "text".into(), ..file(12) },
        ];
        let said = [sound.to_vec(), not.to_vec()].concat();
        assert_eq!(counted(said), sound);
        let many: Vec<Attachment> = (0..40).map(file).collect();
        assert_eq!(counted(many.clone()), many[..limit::ATTACHMENTS]);
    }
}
