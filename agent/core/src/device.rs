//! The devices of the own account: naming, revoking, and what the account's log says of them.

use crate::core::Core;
use crate::error::{Result, not_built};
use crate::input::Ticket;
use crate::reply::Reply;

impl Core {
    pub(crate) fn device_rename(&mut self, _device: &str, _name: String) -> Result<Reply> {
        Err(not_built())
    }

    pub(crate) fn device_revoke(&mut self, _ticket: Ticket, _device: &str) -> Result<Option<Reply>> {
        Err(not_built())
    }
}
