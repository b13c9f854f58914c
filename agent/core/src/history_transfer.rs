//! History for a device that was just linked.

use serde::{Deserialize, Serialize};

/// How far the history for a device is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TransferRow {
    /// Messages sent so far.
    #[serde(rename = "n")]
    pub done: u64,
}
