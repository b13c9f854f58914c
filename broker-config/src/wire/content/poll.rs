//! The answers of a poll.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::limit;

/// The answers of a poll. The question is the text of the message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Poll {
    /// What there is to choose from, in the order in which it is shown.
    #[serde(rename = "o")]
    pub options: Vec<String>,
    /// Whether an account may choose several.
    #[serde(rename = "m", default, skip_serializing_if = "std::ops::Not::not")]
    pub multiple: bool,
}

impl Poll {
    /// Whether there is something to choose: from 2 to [`limit::POLL_OPTIONS`] answers, each with words, none too long
    /// ([`limit::POLL_OPTION_BYTES`]), no two alike.
    pub fn is_sound(&self) -> bool {
        let alike: BTreeSet<&str> = self.options.iter().map(|option| option.trim()).collect();
        (2..=limit::POLL_OPTIONS).contains(&self.options.len())
            && alike.len() == self.options.len()
            && self
                .options
                .iter()
                .all(|option| !option.trim().is_empty() && option.len() <= limit::POLL_OPTION_BYTES)
    }

    /// Bytes of the answers.
    pub(super) fn bytes(&self) -> usize {
        self.options.iter().map(String::len).sum()
    }
}
