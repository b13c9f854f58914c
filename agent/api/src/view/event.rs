//! Events that a profile keeps.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::cursor::Cursor;
use crate::event::Event;

/// Events behind a cursor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventsView {
    /// Oldest first.
    pub events: Vec<KeptEvent>,
    /// Where the next page begins.
    pub next: Cursor,
    /// Whether there is one already.
    pub more: bool,
    /// So many events behind the cursor that was given are not kept any more.
    #[serde(default)]
    pub missed: u64,
    /// Whether the subscriber is known; without one, `false`.
    #[serde(default)]
    pub known: bool,
}

/// An event and its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeptEvent {
    /// Behind it.
    pub cursor: Cursor,
    /// What took place.
    pub event: Event,
}
