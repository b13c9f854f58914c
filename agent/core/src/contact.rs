//! Contacts: ask, accept, decline, remove, block; and who may ask.

use cipher_broker::handle::Handle;

use crate::core::Core;
use crate::error::{Result, not_built};
use crate::input::Ticket;
use crate::reply::Reply;
use crate::view::RequestPolicy;

impl Core {
    pub(crate) fn set_request_policy(&mut self, policy: RequestPolicy) -> Result<Reply> {
        self.state.meta_mut().request_policy = policy;
        Ok(Reply::Done)
    }

    pub(crate) fn contact_decline(&mut self, _handle: &Handle) -> Result<Reply> {
        Err(not_built())
    }

    pub(crate) fn contact_remove(&mut self, _handle: &Handle) -> Result<Reply> {
        Err(not_built())
    }

    pub(crate) fn contact_block(&mut self, _ticket: Ticket, _handle: Handle) -> Result<Option<Reply>> {
        Err(not_built())
    }

    pub(crate) fn contact_unblock(&mut self, _handle: &Handle) -> Result<Reply> {
        Err(not_built())
    }
}
