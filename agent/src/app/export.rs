//! A conversation from its beginning to its end, page by page: memory does not grow with it, and nothing counts as read.

use std::time::Duration;

use cipher_api::command::message::MessageRef;
use cipher_api::command::{account, file, group, message};
use cipher_api::view::{AttachmentView, GroupView, MessageState, MessageView};
use cipher_api::{Advice, Error, ErrorKind, Hint, Target};
use cipher_broker::handle::Handle;
use cipher_broker::id::GroupId;

use crate::app::error::{ProfileError, Result};
use crate::app::files::FileTransfer;
use crate::app::notice::FrontEnd;
use crate::app::profile::OpenProfile;
use crate::runtime::timer;

/// Lines that are asked for at once.
const PAGE: usize = 100;
/// How long one file is waited for: what is named only is better than a page that never comes.
const PATIENCE: Duration = Duration::from_secs(15);

/// A conversation that is read.
#[derive(Debug)]
pub struct Pages<'a> {
    front: &'a dyn FrontEnd,
    profile: OpenProfile<'a>,
    target: Target,
    /// The last line that was read.
    after: Option<String>,
    size: usize,
    over: bool,
    files: Files,
}

/// The way to files.
#[derive(Debug)]
enum Files {
    Unasked,
    Open(FileTransfer),
    /// The broker is away.
    Away,
}

impl<'a> Pages<'a> {
    /// Brings the conversation up to date, as far as that can be; tells which it is, and whose profile this is.
    pub async fn begin(front: &'a dyn FrontEnd, target: Target) -> Result<(Self, GroupView, Handle)> {
        let (profile, (group, handle)) = OpenProfile::read(front, async |profile| {
            profile.refresh().await?;
            let group = profile.ask(group::Show { target: target.clone() }).await?;
            Ok((group, profile.ask(account::Show {}).await?.handle))
        })
        .await?;
        let files = Files::Unasked;
        Ok((Self { front, profile, target, after: None, size: PAGE, over: false, files }, group, handle))
    }

    /// The next lines, oldest first; `None` behind the last one.
    pub async fn next(&mut self) -> Result<Option<Vec<MessageView>>> {
        if self.over {
            return Ok(None);
        }
        let mut page = loop {
            match self.read(Some(self.size)).await {
                Err(error) if asks_for_less(&error) && self.size > 1 => self.size = self.size.div_ceil(2),
                page => break page?,
            }
        };
        self.over = page.len() < self.size;
        if !self.over && page.iter().any(waits) {
            // What waits for the broker has no place that a further page could begin behind: there are few of these.
            page = self.read(None).await?;
            self.over = true;
        }
        self.after = page.last().map(|line| line.id.to_string()).or_else(|| self.after.take());
        Ok(Some(page))
    }

    /// One page; from another process, when the one that had the profile open has ended.
    async fn read(&mut self, first: Option<usize>) -> Result<Vec<MessageView>> {
        let read =
            message::Read { first, after: self.after.clone(), ..message::Read::of(self.target.clone()) };
        match self.profile.ask(read.clone()).await {
            Err(error) if error.is_gone() => {
                let again = OpenProfile::read(self.front, async |profile| profile.ask(read.clone()).await);
                let (profile, page) = again.await?;
                std::mem::replace(&mut self.profile, profile).close().await;
                Ok(page)
            }
            page => page,
        }
    }

    /// The content of a file that came with a message, checked. Everything that it cannot be had for is an error; nothing of it is kept.
    pub async fn file(
        &mut self,
        of: &AttachmentView,
        group: GroupId,
        progress: impl FnMut(u64, u64),
    ) -> Result<Vec<u8>> {
        if of.expires.is_some_and(|expires| expires <= timer::now()) {
            return Err(ErrorKind::NotFound.because("the broker has let go of it").into());
        }
        if matches!(self.files, Files::Unasked) {
            self.files = if self.profile.reachable().await {
                FileTransfer::begin(&self.profile).await.map_or(Files::Away, Files::Open)
            } else {
                Files::Away
            };
        }
        let Files::Open(transfer) = &self.files else {
            return Err(ErrorKind::Unreachable.because("the broker is away").into());
        };
        let named = MessageRef { id: of.id.to_string(), within: Some(Target::Group(group)) };
        let wanted = self.profile.ask(file::Open { file: named }).await?;
        let wanted = wanted.iter().find(|file| file.file.file.id == of.id && file.file.file.size == of.size);
        let wanted = wanted.ok_or_else(|| ErrorKind::NotFound.because("there is no such file here"))?;
        let fetched = tokio::time::timeout(PATIENCE, transfer.fetch(wanted, progress)).await;
        Ok(fetched.unwrap_or_else(|_| Err(ErrorKind::Unreachable.because("the broker takes too long")))?)
    }

    /// Ends.
    pub async fn close(self) {
        if let Files::Open(transfer) = self.files {
            transfer.end().await;
        }
        self.profile.close().await;
    }
}

/// Whether a line stands in no log yet.
fn waits(line: &MessageView) -> bool {
    line.seq.is_none() && line.state != MessageState::Failed
}

fn asks_for_less(error: &ProfileError) -> bool {
    let less = Hint::from(Advice::AskForLess);
    matches!(error, ProfileError::Core(Error { hint: Some(hint), .. }) if *hint == less)
}
