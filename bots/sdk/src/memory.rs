//! What a bot remembers about one conversation. Saved by the host in one step with the actions of an event.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use cipher_broker::time::Timestamp;

/// Largest memory of a conversation: it is written anew with every event that the bot handles.
pub const MEMORY_BYTES: usize = 64 * 1024;

/// Memory of one conversation: values by name, and how many answers were given lately.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    values: BTreeMap<String, Value>,
    #[serde(default, skip_serializing_if = "Answers::is_none")]
    answers: Answers,
}

/// Answers in the current minute; one more than allowed once something was left without an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Answers {
    since: Timestamp,
    given: u32,
}

impl Answers {
    fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// Why an event could not be handled. The host saves nothing of it but the position, and tells the owner.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Failure {
    /// A bot in another process broke the rules of the pipe, or said itself that it failed.
    #[error("the bot's process: {reason}")]
    Process {
        /// What it did, or said.
        reason: String,
    },
    /// The stored memory is not what this build of the bot expects. It is left as it is.
    #[error("memory `{name}` cannot be read: {reason}")]
    Unreadable {
        /// Name of the argument that asked for it; empty for the memory as a whole.
        name: String,
        /// What the decoder said.
        reason: String,
    },
    /// A value cannot be stored.
    #[error("memory `{name}` cannot be written: {reason}")]
    Unwritable {
        /// Name of the argument; empty for the memory as a whole.
        name: String,
        /// Why.
        reason: String,
    },
}

impl Memory {
    /// Reads what [`Memory::to_bytes`] wrote; nothing at all is a conversation the bot knows nothing about.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Failure> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        serde_json::from_slice(bytes)
            .map_err(|e| Failure::Unreadable { name: String::new(), reason: e.to_string() })
    }

    /// The bytes the host stores, JSON.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Failure> {
        let failed = |reason| Failure::Unwritable { name: String::new(), reason };
        let bytes = serde_json::to_vec(self).map_err(|e| failed(e.to_string()))?;
        if bytes.len() > MEMORY_BYTES {
            return Err(failed(format!("{} bytes are more than {MEMORY_BYTES}", bytes.len())));
        }
        Ok(bytes)
    }

    /// The value of a name; the default if there is none yet.
    pub fn value<T: DeserializeOwned + Default>(&self, name: &str) -> Result<T, Failure> {
        self.values.get(name).map_or_else(
            || Ok(T::default()),
            |value| {
                T::deserialize(value)
                    .map_err(|e| Failure::Unreadable { name: name.into(), reason: e.to_string() })
            },
        )
    }

    /// Keeps a value under a name.
    pub fn keep<T: Serialize>(&mut self, name: &str, value: &T) -> Result<(), Failure> {
        let value = serde_json::to_value(value)
            .map_err(|e| Failure::Unwritable { name: name.into(), reason: e.to_string() })?;
        self.values.insert(name.into(), value);
        Ok(())
    }

    /// How many more answers may be given at this time, of `budget` a minute.
    pub(crate) fn answers_left(&self, budget: u32, at: Timestamp) -> u32 {
        budget.saturating_sub(if self.is_new_minute(at) { 0 } else { self.answers.given })
    }

    /// Notes that answers were given.
    pub(crate) fn note_answers(&mut self, given: usize, at: Timestamp) {
        if given == 0 {
            return;
        }
        if self.is_new_minute(at) {
            self.answers = Answers { since: at, given: 0 };
        }
        self.answers.given = self.answers.given.saturating_add(u32::try_from(given).unwrap_or(u32::MAX));
    }

    /// Notes that something is left without an answer because `budget` is used up. Whether it is the first thing.
    pub(crate) fn note_held_back(&mut self, budget: u32) -> bool {
        let first = self.answers.given <= budget;
        self.answers.given = budget.saturating_add(1);
        first
    }

    fn is_new_minute(&self, at: Timestamp) -> bool {
        at.since(self.answers.since) >= Duration::from_secs(60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_comes_back_from_its_bytes_and_unknown_types_are_left_alone() {
        let mut memory = Memory::default();
        memory.keep("score", &7_i64).unwrap();
        let again = Memory::from_bytes(&memory.to_bytes().unwrap()).unwrap();
        assert_eq!(again, memory);
        assert_eq!(again.value::<i64>("score"), Ok(7));
        assert_eq!(again.value::<i64>("other"), Ok(0));
        assert!(matches!(again.value::<Vec<String>>("score"), Err(Failure::Unreadable { .. })));
        assert!(Memory::from_bytes(b"junk").is_err());
    }

    #[test]
    fn memory_that_grows_without_end_is_refused() {
        let mut memory = Memory::default();
        memory.keep("log", &"x".repeat(MEMORY_BYTES)).unwrap();
        assert!(matches!(memory.to_bytes(), Err(Failure::Unwritable { .. })));
    }

    #[test]
    fn the_budget_is_per_minute_and_time_that_runs_backwards_gives_nothing() {
        let (start, later) = (Timestamp::from_millis(600_000), Timestamp::from_millis(660_000));
        let mut memory = Memory::default();
        memory.note_answers(2, start);
        assert_eq!(memory.answers_left(2, start), 0);
        assert_eq!(memory.answers_left(2, Timestamp::from_millis(1)), 0);
        assert_eq!(memory.answers_left(2, later), 2);
        assert!(memory.note_held_back(2), "the first that gets no answer");
        assert!(!memory.note_held_back(2));
        assert_eq!(memory.answers_left(2, start), 0);
        assert_eq!(memory.answers_left(2, later), 2);
        memory.note_answers(2, later);
        assert!(memory.note_held_back(2), "and the first of the next minute");
    }
}
