//! Bytes on the wire and on disk: one version byte, then one MessagePack value with named fields.
//!
//! Named maps survive added fields; short explicit `#[serde(rename)]` names keep them small and never change.
//! Decoding bytes from outside is bounded: nesting depth 32, no trailing bytes, and lengths are checked against
//! [`crate::limit`] by the caller before decoding.

use std::io;

use serde::{Serialize, de::DeserializeOwned};

/// The format of everything encoded today. A reader refuses any other.
pub const VERSION: u8 = 1;

/// Nesting a decoder follows before it gives up: no type of ours is deeper than eight.
const MAX_DEPTH: usize = 32;

/// Why bytes could not be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// There were no bytes at all.
    #[error("empty input")]
    Empty,
    /// The first byte names a format this build does not know.
    #[error("format version {0} is not supported by this version")]
    Version(u8),
    /// The bytes are not a value of the expected type.
    #[error("malformed bytes: {0}")]
    Malformed(String),
    /// A whole value was read and bytes were left over.
    #[error("trailing bytes after the value")]
    Trailing,
}

/// Encodes a value: version byte, then a MessagePack map.
///
/// # Panics
/// Never for the types of this workspace: writing to memory cannot fail and they hold no unserialisable value.
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    encode_into(&mut bytes, value);
    bytes
}

/// The same bytes, written to memory of the caller's: what it grows by is its own.
///
/// # Panics
/// If `memory` gives errors.
pub fn encode_into<T: Serialize>(memory: &mut impl io::Write, value: &T) {
    memory.write_all(&[VERSION]).expect("memory takes what is written to it");
    let mut serializer = rmp_serde::Serializer::new(memory).with_struct_map();
    value.serialize(&mut serializer).expect("types of this workspace always serialise into memory");
}

/// Decodes a value written by [`encode`]. Never panics, whatever the bytes.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    let (version, mut rest) = bytes.split_first().ok_or(DecodeError::Empty)?;
    if *version != VERSION {
        return Err(DecodeError::Version(*version));
    }
    let mut reader = rmp_serde::Deserializer::new(&mut rest);
    reader.set_max_depth(MAX_DEPTH);
    let value = T::deserialize(&mut reader).map_err(|e| DecodeError::Malformed(e.to_string()))?;
    if rest.is_empty() { Ok(value) } else { Err(DecodeError::Trailing) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Sample {
        #[serde(rename = "n")]
        number: u64,
        #[serde(rename = "t")]
        text: String,
    }

    #[test]
    fn round_trips_and_refuses_everything_else() {
        let sample = Sample { number: 7, text: "x".into() };
        let bytes = encode(&sample);
        assert_eq!(decode::<Sample>(&bytes), Ok(sample));
        assert_eq!(decode::<Sample>(&[]), Err(DecodeError::Empty));
        assert_eq!(decode::<Sample>(&[9, 1]), Err(DecodeError::Version(9)));
        for cut in 1..bytes.len() {
            assert!(decode::<Sample>(&bytes[..cut]).is_err(), "prefix {cut}");
        }
        let mut longer = bytes;
        longer.push(0);
        assert_eq!(decode::<Sample>(&longer), Err(DecodeError::Trailing));
    }

    /// T07: a nesting bomb ends in an error, not in a stack overflow.
    #[test]
    fn t07_depth_bomb_is_an_error() {
        let mut bytes = vec![VERSION];
        bytes.extend(std::iter::repeat_n(0x91, 100_000));
        assert!(decode::<serde_json::Value>(&bytes).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_decode_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            let _ = decode::<Sample>(&bytes);
            let _ = decode::<crate::wire::registry::RequestBody>(&bytes);
            let _ = decode::<crate::wire::envelope::Envelope>(&bytes);
            let _ = decode::<crate::wire::content::Content>(&bytes);
        }
    }
}
