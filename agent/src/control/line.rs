//! Lines: one JSON object each, of a bounded length.

use serde::Serialize;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Longest line of a client, bytes: the largest text, escaped at worst, with room to spare.
pub(crate) const CALL_BYTES: usize = 4 * 1024 * 1024;
/// Longest line of the agent, bytes: a long history.
pub(crate) const ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// Why a line could not be read or made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LineError {
    /// The connection ended or failed.
    #[error("the connection ended")]
    Ended(#[from] std::io::Error),
    /// Longer than allowed.
    #[error("a line has at most {0} bytes")]
    TooLong(usize),
    /// It cannot be written as JSON.
    #[error("a value cannot be written as JSON")]
    Unwritable(#[from] serde_json::Error),
}

/// Reads one line of at most `limit` bytes, without its end. The last one may lack it, as `printf` leaves it out: one that was cut
/// is no JSON.
pub(crate) async fn read(from: &mut (impl AsyncBufRead + Unpin), limit: usize) -> Result<Vec<u8>, LineError> {
    let mut line = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    from.take(most).read_until(b'\n', &mut line).await?;
    match line.last() {
        Some(b'\n') => {
            line.pop();
            Ok(line)
        }
        Some(_) if line.len() > limit => Err(LineError::TooLong(limit)),
        Some(_) => Ok(line),
        None => Err(LineError::Ended(std::io::ErrorKind::UnexpectedEof.into())),
    }
}

/// The line of a value, with its end; an error if it is longer than `limit`.
pub(crate) fn encode(value: &impl Serialize, limit: usize) -> Result<Vec<u8>, LineError> {
    let mut line = serde_json::to_vec(value)?;
    if line.len() > limit {
        return Err(LineError::TooLong(limit));
    }
    line.push(b'\n');
    Ok(line)
}

/// Writes an encoded line.
pub(crate) async fn write(to: &mut (impl AsyncWrite + Unpin), line: &[u8]) -> Result<(), LineError> {
    to.write_all(line).await?;
    Ok(to.flush().await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_come_back_and_long_ones_are_refused_before_they_are_read() {
        let line = encode(&"a\nb", 10).unwrap();
        assert_eq!(line, b"\"a\\nb\"\n");
        assert_eq!(read(&mut line.as_slice(), 6).await.unwrap(), b"\"a\\nb\"");
        assert!(matches!(encode(&"a\nb", 5), Err(LineError::TooLong(5))));
        assert!(matches!(read(&mut line.as_slice(), 5).await, Err(LineError::TooLong(5))));
        assert!(matches!(read(&mut b"".as_slice(), 1000).await, Err(LineError::Ended(_))));
        // What ends within a line is its last line.
        for cut in 1..line.len() {
            assert_eq!(read(&mut &line[..cut], 1000).await.unwrap(), line[..cut]);
        }
        assert_eq!(read(&mut b"\n".as_slice(), 0).await.unwrap(), b"");
    }
}
