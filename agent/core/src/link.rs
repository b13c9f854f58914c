//! Linking a device: both sides of the rendezvous.

use serde::{Deserialize, Serialize};

use crate::core::Core;
use crate::error::{Result, not_built};
use crate::input::Ticket;
use crate::reply::Reply;
use crate::view::HistoryPolicy;

/// A link under way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LinkRow {
    /// Its code.
    #[serde(rename = "c")]
    pub code: String,
}

impl Core {
    pub(crate) fn device_link(&mut self, _name: String) -> Result<Reply> {
        Err(not_built())
    }

    pub(crate) fn device_approve(
        &mut self,
        _ticket: Ticket,
        _code: &str,
        _history: HistoryPolicy,
    ) -> Result<Option<Reply>> {
        Err(not_built())
    }

    pub(crate) fn device_confirm(
        &mut self,
        _ticket: Ticket,
        _code: &str,
        _equal: bool,
    ) -> Result<Option<Reply>> {
        Err(not_built())
    }
}
