//! Bytes where only text goes, as in JSON: base64 with padding (RFC 4648 §4).

use data_encoding::BASE64;

/// The text form of bytes.
pub fn encode(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

/// The bytes of a text form; `None` for anything else.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    BASE64.decode(text.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_come_back_and_other_text_is_refused() {
        for bytes in [&b""[..], b"f", b"fo", b"foo", &[0xff, 0, 0x80]] {
            assert_eq!(decode(&encode(bytes)).as_deref(), Some(bytes));
        }
        assert_eq!(encode(b"foob"), "Zm9vYg==");
        for text in ["Zm9vYg", "Zm9vYg=", "Zm9v Yg==", "ä", "Zm9vYh=="] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
