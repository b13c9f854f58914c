//! Taking an account over from its recovery phrase, when no other device is left.

use crate::core::Core;
use crate::error::{Result, not_built};
use crate::input::Ticket;
use crate::reply::Reply;

impl Core {
    pub(crate) fn device_recover(
        &mut self,
        _ticket: Ticket,
        _phrase: &str,
        _name: String,
    ) -> Result<Option<Reply>> {
        Err(not_built())
    }
}
