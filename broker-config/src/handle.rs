//! Handles: the names people type. An alias that the registry maps to an account, never part of MLS trust.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A handle: `[a-z0-9][a-z0-9_.-]{2,31}`. ASCII only, so two handles that look alike are alike.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Handle(String);

/// Why a text is not a handle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a handle has 3 to 32 characters of a-z, 0-9, '_', '.', '-' and starts with a letter or digit")]
pub struct InvalidHandle;

impl Handle {
    /// The handle without a leading `@`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Handle {
    type Err = InvalidHandle;

    /// Accepts the handle with or without a leading `@`.
    fn from_str(text: &str) -> Result<Self, InvalidHandle> {
        let text = text.strip_prefix('@').unwrap_or(text);
        let first = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let rest = |c: char| first(c) || matches!(c, '_' | '.' | '-');
        if (3..=32).contains(&text.len()) && text.starts_with(first) && text.chars().all(rest) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidHandle)
        }
    }
}

impl TryFrom<String> for Handle {
    type Error = InvalidHandle;
    fn try_from(text: String) -> Result<Self, InvalidHandle> {
        if text.starts_with('@') { Err(InvalidHandle) } else { text.parse() }
    }
}

impl From<Handle> for String {
    fn from(handle: Handle) -> Self {
        handle.0
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Handle {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Handle".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "A handle, without its '@'.",
            "pattern": "^[a-z0-9][a-z0-9_.-]{2,31}$",
        })
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "@{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_the_documented_grammar() {
        for text in ["abc", "0ps", "a_b.c-d", "@alice", &"a".repeat(32)] {
            assert!(text.parse::<Handle>().is_ok(), "{text}");
        }
    }

    /// G07: no confusables, no invisible characters, no upper case.
    #[test]
    fn g07_refuses_look_alikes_and_unicode_tricks() {
        let long = "a".repeat(33);
        for text in [
            "",
            "ab",
            ".abc",
            "-abc",
            "Alice",
            "аlice",
            "al\u{200d}ice",
            "ａlice",
            "a\u{202e}bc",
            "@@abc",
            "a b",
            &long,
        ] {
            assert!(text.parse::<Handle>().is_err(), "{text}");
        }
    }
}
