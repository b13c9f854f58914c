//! History for a device that was just linked.

use crate::core::Core;

use serde::{Deserialize, Serialize};

/// How far the history for a device is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TransferRow {
    /// Messages sent so far.
    #[serde(rename = "n")]
    pub done: u64,
}

impl Core {
    /// Whether this new device still waits for groups or history.
    pub(crate) fn arriving(&self) -> bool {
        false
    }
}
