//! What took place, for programs that come again.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::cursor::Cursor;

/// Events behind a cursor, oldest first. What they tell of is shown as it is now: a message that was taken back since has no
/// words any more, and what is gone since is passed over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// The cursor of the last event that was handled; `null`: where the named subscriber stands, else the end, which gives no
    /// events and the cursor to begin with.
    pub after: Option<Cursor>,
    /// Whose cursor counts when `after` is `null`.
    pub subscriber: Option<String>,
    /// At most this many.
    #[serde(default = "page")]
    pub limit: usize,
}

/// Events of one page, when not said.
const fn page() -> usize {
    64
}

impl Default for List {
    fn default() -> Self {
        Self { after: None, subscriber: None, limit: page() }
    }
}

/// A named subscriber handled everything up to a cursor: the profile keeps that for it. An earlier cursor than before changes
/// nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Acknowledge {
    /// Its name.
    pub subscriber: String,
    /// Of the last event that it handled.
    pub cursor: Cursor,
}
