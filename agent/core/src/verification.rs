//! Safety numbers, and what follows from comparing them.

use cipher_broker::handle::Handle;

use crate::core::Core;
use crate::error::{Result, not_built};
use crate::input::Ticket;
use crate::reply::Reply;

impl Core {
    pub(crate) fn contact_verify(
        &mut self,
        _ticket: Ticket,
        _handle: Handle,
        _code: Option<String>,
    ) -> Result<Option<Reply>> {
        Err(not_built())
    }

    pub(crate) fn contact_trust(&mut self, _handle: &Handle) -> Result<Reply> {
        Err(not_built())
    }
}
