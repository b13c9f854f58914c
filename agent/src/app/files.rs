//! Files of an open profile, there and back: over the session's own connection, or over one beside it when another process
//! has the profile open.

use std::path::PathBuf;

use cipher_api::command::file;
use cipher_api::view::{MessageView, OpenFileView};
use cipher_api::{Error, ErrorKind};
use cipher_broker::id::FileId;

use crate::app::download::{self, Destination};
use crate::app::error::Result;
use crate::app::outgoing::Outgoing;
use crate::app::patience;
use crate::app::profile::OpenProfile;
use crate::app::upload;
use crate::net::file::{self as broker, Terms};
use crate::net::file_line::FileLine;
use crate::session::Session;

/// What moves files for one command.
#[derive(Debug)]
pub struct FileTransfer {
    session: Session,
    line: FileLine,
    terms: Terms,
}

impl FileTransfer {
    /// Fails when the broker cannot be reached, or has no place for files.
    pub async fn begin(profile: &OpenProfile<'_>) -> Result<Self> {
        let session = profile.session.clone();
        let line = match session.network() {
            Some(network) => FileLine::over(network),
            None => FileLine::start(&profile.network())?,
        };
        match Self::agreed(&line).await {
            Ok(terms) => Ok(Self { session, line, terms }),
            Err(error) => {
                line.end().await;
                Err(error.into())
            }
        }
    }

    /// Over the connection of a session that this process runs. Fails as [`FileTransfer::begin`] does.
    pub(crate) async fn over(session: &Session) -> Result<Self, Error> {
        let network = session.network();
        let line = network.map(FileLine::over).ok_or_else(|| {
            ErrorKind::Bug.because("files are brought by the process that has the profile open")
        })?;
        let terms = Self::agreed(&line).await?;
        Ok(Self { session: session.clone(), line, terms })
    }

    async fn agreed(line: &FileLine) -> Result<Terms, Error> {
        line.up(patience::INSISTENT).await?;
        broker::terms(&line.network).await
    }

    /// Largest file that the site takes, bytes.
    pub const fn largest(&self) -> u64 {
        self.terms.largest
    }

    /// Brings files to the broker, or the rest of them, and says the message that names them. `progress` is told of which
    /// file, how far it is, and how far it goes.
    pub async fn send(
        &self,
        files: Vec<Outgoing>,
        says: file::Send,
        progress: impl FnMut(&str, u64, u64),
    ) -> Result<MessageView, Error> {
        let (session, network) = (&self.session, &self.line.network);
        let brought = upload::upload(session, network, &self.terms, files, progress).await?;
        let said = session.ask(file::Says { files: brought.ids.clone(), ..says }).await;
        if said.is_err() {
            brought.are_not_said(session).await;
        }
        said
    }

    /// Brings files to the broker, or the rest of them: a message of this session may name them then.
    pub(crate) async fn bring(&self, files: Vec<Outgoing>) -> Result<Vec<FileId>, Error> {
        let (session, network) = (&self.session, &self.line.network);
        Ok(upload::upload(session, network, &self.terms, files, |_, _, _| {}).await?.ids)
    }

    /// Fetches a file, or the rest of it. Gives the path where it lies then.
    pub async fn download(
        &self,
        wanted: &OpenFileView,
        to: &Destination,
        progress: impl FnMut(u64, u64),
    ) -> Result<PathBuf, Error> {
        download::download(&self.line.network, wanted, to, self.terms.let_go, progress).await
    }

    /// The content of a file that has room in memory; nothing of it is kept on the disk.
    pub async fn fetch(
        &self,
        wanted: &OpenFileView,
        progress: impl FnMut(u64, u64),
    ) -> Result<Vec<u8>, Error> {
        download::fetch_whole(&self.line.network, wanted, self.terms.let_go, progress).await
    }

    /// Ends it.
    pub async fn end(self) {
        self.line.end().await;
    }
}
