//! Identifiers. Parsing is validation: a value of these types is always safe as a NATS subject token.
//!
//! Text form: lower-case base32 without padding (RFC 4648 §6), so that ids are case-insensitive-safe and contain
//! no `.`, `*` or `>`. Encoded form (MessagePack): raw bytes.

use std::fmt;
use std::str::FromStr;

use data_encoding::Encoding;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::sign::digest;

/// Why a text or a byte string is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {what}")]
pub struct InvalidId {
    /// The kind of id that was expected, in words.
    pub what: &'static str,
}

fn base32() -> &'static Encoding {
    use std::sync::LazyLock;
    static ENCODING: LazyLock<Encoding> = LazyLock::new(|| {
        let mut spec = data_encoding::Specification::new();
        spec.symbols.push_str("abcdefghijklmnopqrstuvwxyz234567");
        spec.encoding().expect("the RFC 4648 alphabet is a valid specification")
    });
    &ENCODING
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $len:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $len]);

        impl $name {
            /// Length of the id in bytes.
            pub const LEN: usize = $len;

            /// Wraps bytes that are already known to be an id of this kind.
            pub const fn from_bytes(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// Reads an id from a slice of exactly [`Self::LEN`] bytes.
            pub fn from_slice(bytes: &[u8]) -> Result<Self, InvalidId> {
                bytes.try_into().map(Self).map_err(|_| InvalidId { what: $what })
            }

            /// The raw bytes.
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }

            /// The first six characters of the text form: enough for a log line, not for a lookup.
            pub fn short(&self) -> String {
                self.to_string().chars().take(6).collect()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&base32().encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.short())
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let bytes = base32().decode(text.as_bytes()).map_err(|_| InvalidId { what: $what })?;
                Self::from_slice(&bytes)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    serializer.serialize_bytes(&self.0)
                }
            }
        }

        #[cfg(feature = "schema")]
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let letters = ($len * 8_usize).div_ceil(5);
                schemars::json_schema!({
                    "type": "string",
                    "description": concat!("The ", $what, " in lower-case base32."),
                    "pattern": format!("^[a-z2-7]{{{letters}}}$"),
                })
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
                } else {
                    let bytes = serde_bytes::ByteBuf::deserialize(deserializer)?;
                    Self::from_slice(&bytes).map_err(de::Error::custom)
                }
            }
        }
    };
}

id! {
    /// An account: the domain-separated SHA-256 of its Ed25519 account key, so nobody can hand it out twice.
    AccountId, 32, "account id"
}
id! {
    /// A device of an account: 16 random bytes, bound to its key by the device certificate.
    DeviceId, 16, "device id"
}
id! {
    /// An MLS group (RFC 9420 §8.1 `group_id`): 16 random bytes, unguessable, because knowing it is enough to
    /// ask a broker about the traffic of the group.
    GroupId, 16, "group id"
}
id! {
    /// A message as people see it: derived from group, sender account and content, so the same message sealed
    /// twice has one id, and nobody can claim the id of somebody else's message.
    MessageId, 16, "message id"
}
id! {
    /// A file at the broker: 16 random bytes, unguessable, because knowing it is enough to read its ciphertext.
    FileId, 16, "file id"
}
id! {
    /// The `Nats-Msg-Id` of one publish: 16 random bytes. The window of the broker is stream-wide, so a
    /// guessable id could be squatted.
    PublishId, 16, "publish id"
}

impl AccountId {
    /// The id that belongs to an account key.
    pub fn of_key(account_key: &[u8; 32]) -> Self {
        Self(digest("cipher-chat/account/v1", &[account_key]))
    }
}

impl MessageId {
    /// Fewest characters by which a person may name a message.
    pub const PREFIX_CHARS: usize = 6;

    /// The smallest and the largest id whose text form begins with `prefix`, which has at least
    /// [`Self::PREFIX_CHARS`] characters and no other than those of an id.
    pub fn beginning_with(prefix: &str) -> Result<(Self, Self), InvalidId> {
        let invalid = || InvalidId { what: "message id: give it whole, or at least its first 6 characters" };
        let length = base32().encode_len(Self::LEN);
        if prefix.len() < Self::PREFIX_CHARS || prefix.len() > length {
            return Err(invalid());
        }
        let mut bits = prefix.bytes().flat_map(|symbol| {
            let value = base32().specification().symbols.bytes().position(|known| known == symbol);
            (0..5u8).rev().map(move |bit| value.map(|value| value >> bit & 1 == 1))
        });
        let (mut first, mut last) = ([0; Self::LEN], [0xff; Self::LEN]);
        for (low, high) in first.iter_mut().zip(&mut last) {
            for bit in (0..8u8).rev() {
                let Some(set) = bits.next() else { break };
                let mask = 1u8 << bit;
                if set.ok_or_else(invalid)? { *low |= mask } else { *high &= !mask }
            }
        }
        // The last character of a whole id stands for two bits that no id has.
        if bits.any(|bit| bit != Some(false)) {
            return Err(invalid());
        }
        Ok((Self(first), Self(last)))
    }

    /// The id of what a member says was another message: it is never the id of a message, whatever that member names.
    pub fn of_granted(group: &GroupId, giver: &AccountId, named: &Self) -> Self {
        let full = digest("cipher-chat/granted/v1", &[group.as_bytes(), giver.as_bytes(), &named.0]);
        let mut id = [0; 16];
        for (to, from) in id.iter_mut().zip(full) {
            *to = from;
        }
        Self(id)
    }

    /// The id of a message: everybody who can read it computes the same, nobody transmits it.
    pub fn of_content(group: &GroupId, sender: &AccountId, payload: &[u8]) -> Self {
        let full = digest("cipher-chat/message/v1", &[group.as_bytes(), sender.as_bytes(), payload]);
        let mut id = [0; 16];
        for (to, from) in id.iter_mut().zip(full) {
            *to = from;
        }
        Self(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_round_trips_and_is_a_safe_subject_token() {
        let id = GroupId::from_bytes([0xfe; 16]);
        let text = id.to_string();
        assert_eq!(text.len(), 26);
        assert!(text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()));
        assert_eq!(text.parse::<GroupId>(), Ok(id));
    }

    #[test]
    fn bad_text_is_refused() {
        for text in
            ["", "a", "A2", "*", ">", "a.b", "aaaaaaaaaaaaaaaaaaaaaaaaab", "zzzzzzzzzzzzzzzzzzzzzzzzzzz"]
        {
            assert!(text.parse::<GroupId>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_message_is_found_by_a_beginning_of_its_id() {
        let id =
            MessageId::from_bytes([0x5a, 0xc3, 0x99, 0x0f, 0xfe, 0x01, 0x80, 0x77, 9, 8, 7, 6, 5, 4, 3, 2]);
        let text = id.to_string();
        for length in MessageId::PREFIX_CHARS..=text.len() {
            let (first, last) = MessageId::beginning_with(&text[..length]).unwrap();
            assert!(first <= id && id <= last, "{length}");
            assert!(first.to_string().starts_with(&text[..length.min(25)]), "{length}");
        }
        assert_eq!(MessageId::beginning_with(&text), Ok((id, id)));
        let other = MessageId::beginning_with("aaaaaa").unwrap();
        assert!(!(other.0 <= id && id <= other.1));
        for bad in ["", "abcde", "ABCDEF", "abc.ef", "abcde1", &format!("{text}a")] {
            assert!(MessageId::beginning_with(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn message_id_depends_on_group_sender_and_content() {
        let (g, a) = (GroupId::from_bytes([1; 16]), AccountId::from_bytes([2; 32]));
        let id = MessageId::of_content(&g, &a, b"x");
        assert_ne!(id, MessageId::of_content(&GroupId::from_bytes([3; 16]), &a, b"x"));
        assert_ne!(id, MessageId::of_content(&g, &AccountId::from_bytes([4; 32]), b"x"));
        assert_ne!(id, MessageId::of_content(&g, &a, b"y"));
    }
}
