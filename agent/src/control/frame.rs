//! Frames: what both sides say, and how it becomes bytes.

use cipher_core::{Command, CoreError, Event, Reply};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Largest question, bytes: the largest text, escaped at worst, with room to spare.
pub(crate) const QUESTION_BYTES: usize = 4 * 1024 * 1024;
/// Largest answer, bytes: a long history.
pub(crate) const ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// What a visitor says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Question {
    /// A command. Answered by [`Answer::Result`].
    Request { ticket: u64, command: Box<Command> },
    /// Whether the broker is connected, waiting this long at most. Answered by [`Answer::Connected`].
    Connected { ticket: u64, wait_ms: u64 },
    /// Send events from now on.
    Events,
}

/// What the owner of the profile says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Answer {
    /// To a request.
    Result { ticket: u64, result: Result<Reply, CoreError> },
    /// To a question for the connection.
    Connected {
        ticket: u64,
        connected: bool,
        /// The servers that the owner of the profile uses, without logins.
        #[serde(default)]
        server: Option<String>,
        /// Why they cannot be reached.
        #[serde(default)]
        trouble: Option<CoreError>,
    },
    /// Something happened.
    Event(Event),
}

/// Why a frame could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    /// The connection ended or failed.
    #[error("the connection ended")]
    Ended(#[from] std::io::Error),
    /// Longer than allowed. Nothing of it was read.
    #[error("a frame of {0} bytes is too large")]
    TooLarge(usize),
    /// Not what this version understands.
    #[error("a frame cannot be read")]
    Malformed(#[from] serde_json::Error),
}

/// Reads one frame of at most `limit` bytes.
pub(crate) async fn read<T: DeserializeOwned>(
    from: &mut (impl AsyncRead + Unpin),
    limit: usize,
) -> Result<T, FrameError> {
    let length = usize::try_from(from.read_u32().await?).unwrap_or(usize::MAX);
    if length > limit {
        return Err(FrameError::TooLarge(length));
    }
    // Grows with what arrives: a length alone costs nothing.
    let mut bytes = Vec::new();
    from.take(length as u64).read_to_end(&mut bytes).await?;
    if bytes.len() < length {
        return Err(FrameError::Ended(std::io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(serde_json::from_slice(&bytes)?)
}

/// A frame's bytes; an error if they are more than `limit`.
pub(crate) fn encode(value: &impl Serialize, limit: usize) -> Result<Vec<u8>, FrameError> {
    let mut bytes = vec![0; 4];
    serde_json::to_writer(&mut bytes, value)?;
    let length = bytes.len() - 4;
    match u32::try_from(length) {
        Ok(header) if length <= limit => {
            bytes[..4].copy_from_slice(&header.to_be_bytes());
            Ok(bytes)
        }
        Ok(_) | Err(_) => Err(FrameError::TooLarge(length)),
    }
}

/// Writes an encoded frame.
pub(crate) async fn write(to: &mut (impl AsyncWrite + Unpin), frame: &[u8]) -> Result<(), FrameError> {
    to.write_all(frame).await?;
    Ok(to.flush().await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_come_back_and_large_ones_are_refused_unread() {
        let question = Question::Request { ticket: 7, command: Box::new(Command::Whoami) };
        let bytes = encode(&question, QUESTION_BYTES).unwrap();
        let back: Question = read(&mut bytes.as_slice(), QUESTION_BYTES).await.unwrap();
        assert!(matches!(back, Question::Request { ticket: 7, command } if *command == Command::Whoami));
        assert!(matches!(encode(&question, 3), Err(FrameError::TooLarge(_))));
        let huge = u32::MAX.to_be_bytes();
        assert!(matches!(read::<Question>(&mut huge.as_slice(), 10).await, Err(FrameError::TooLarge(_))));
        for cut in 0..bytes.len() {
            assert!(matches!(read::<Question>(&mut &bytes[..cut], 1000).await, Err(FrameError::Ended(_))));
        }
        let junk = [0, 0, 0, 2, b'{', b'x'];
        assert!(matches!(read::<Question>(&mut junk.as_slice(), 10).await, Err(FrameError::Malformed(_))));
    }
}
