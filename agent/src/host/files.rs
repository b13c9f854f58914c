//! Files of a bot's answers: read, known by what they hold, and brought to the broker before the answer is saved.

use cipher_api::{Error, ErrorKind, Hint};
use cipher_bot::action::Answer;
use cipher_bot::file::File;
use cipher_broker::id::FileId;
use data_encoding::HEXLOWER;

use crate::app::files::FileTransfer;
use crate::app::outgoing::{Named, Outgoing};
use crate::profile::Profile;
use crate::session::Session;

/// Brings the files of an answer to the broker, those that it has only in part too. Handled again, the same answer
/// brings the same files.
pub(super) async fn bring(
    session: &Session,
    place: &Profile,
    Answer { say, files }: &Answer,
) -> Result<Vec<FileId>, Error> {
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let transfer = FileTransfer::over(session).await?;
    let brought = async {
        let mut outgoing = Vec::with_capacity(files.len());
        for (file, index) in files.iter().zip(0_u32..) {
            let file = read(file.clone(), place, transfer.largest()).await?;
            outgoing.push(file.repeatable(&format!("{}\n{index}", HEXLOWER.encode(&say.salt))).await?);
        }
        transfer.bring(outgoing).await
    };
    let brought = brought.await;
    transfer.end().await;
    brought
}

/// What is to be sent; at most so many bytes of it.
async fn read(file: File, place: &Profile, most: u64) -> Result<Outgoing, Error> {
    let name = file.name();
    let named = match file {
        File::Path { path, .. } => {
            // It waits a moment for a file that was written just now.
            let opened = tokio::task::spawn_blocking(move || Named::open(&path, ""));
            opened.await.map_err(|error| ErrorKind::Bug.because_of("a file is not opened", error))?
        }
        File::Bytes { data, .. } => Ok(Named::held(name.clone(), data)),
    };
    let outgoing = named.map_err(of_bot)?.read(place, most).await.map_err(of_bot)?;
    outgoing.fits(most).map_err(of_bot)?;
    Ok(outgoing.called(name))
}

/// What cannot be read now, or is too large, is that when the bot is asked again too. A disk that is full is not the bot's.
fn of_bot(error: Error) -> Error {
    if error.kind == ErrorKind::Storage {
        return error;
    }
    let hint = Hint::text("the bot named this file: repair the bot");
    ErrorKind::Misuse.because(error.message.clone()).hint(hint).caused_by(error)
}
