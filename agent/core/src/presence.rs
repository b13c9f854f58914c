//! Presence: whispered to groups, never stored.

use cipher_broker::id::GroupId;

use crate::core::Core;
use crate::error::Result;
use crate::reply::Reply;

impl Core {
    pub(crate) fn person_active(&mut self) -> Result<Reply> {
        Ok(Reply::Done)
    }

    pub(crate) fn whispered(&mut self, _group: GroupId, _bytes: &[u8]) -> Result<()> {
        Ok(())
    }
}
