//! A client of before protocol version 1: its frames are a length (4 bytes, big endian) and JSON. It is told in its own
//! words that it is too old, and nothing else.

use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Longest question that is looked at, bytes.
const QUESTION_BYTES: u32 = 4 * 1024 * 1024;

/// Whether a connection begins as those did: no line begins so.
pub(super) const fn is_one(first: u8) -> bool {
    first == 0
}

/// Answers every question with `sentence`.
pub(super) async fn answer(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    sentence: &str,
) -> std::io::Result<()> {
    loop {
        let length = from.read_u32().await?;
        if length > QUESTION_BYTES {
            return Ok(());
        }
        let mut question = Vec::new();
        from.take(length.into()).read_to_end(&mut question).await?;
        let question: Value = serde_json::from_slice(&question).unwrap_or_default();
        let error = json!({ "kind": "refused", "message": sentence, "hint": "update it" });
        let answer = if let Some(ticket) = question.pointer("/request/ticket") {
            json!({ "result": { "ticket": ticket, "result": { "Err": error } } })
        } else if let Some(ticket) = question.pointer("/connected/ticket") {
            json!({ "connected": { "ticket": ticket, "connected": true } })
        } else {
            continue;
        };
        let answer = answer.to_string();
        to.write_u32(u32::try_from(answer.len()).unwrap_or_default()).await?;
        to.write_all(answer.as_bytes()).await?;
        to.flush().await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(json: &Value) -> Vec<u8> {
        let json = json.to_string();
        [&u32::try_from(json.len()).unwrap().to_be_bytes()[..], json.as_bytes()].concat()
    }

    #[tokio::test]
    async fn an_older_client_hears_the_sentence_as_the_answer_to_its_command() {
        let asked = [
            framed(&json!({ "connected": { "ticket": 0, "wait_ms": 0 } })),
            framed(&json!("events")),
            framed(&json!({ "request": { "ticket": 1, "command": "whoami" } })),
        ]
        .concat();
        assert!(is_one(asked[0]));
        let mut told = Vec::new();
        assert!(
            answer(&mut asked.as_slice(), &mut told, "too old").await.is_err(),
            "it ends with the client"
        );
        let error = json!({ "kind": "refused", "message": "too old", "hint": "update it" });
        let expected = [
            framed(&json!({ "connected": { "ticket": 0, "connected": true } })),
            framed(&json!({ "result": { "ticket": 1, "result": { "Err": error } } })),
        ]
        .concat();
        assert_eq!(String::from_utf8_lossy(&told), String::from_utf8_lossy(&expected));
    }

    #[tokio::test]
    async fn noise_ends_it() {
        let mut told = Vec::new();
        for noise in [&b"\0\xff\xff\xff"[..], b"\0\0\0\x02{x", b"\0\0"] {
            drop(answer(&mut &noise[..], &mut told, "").await);
        }
        assert!(told.is_empty());
    }
}
