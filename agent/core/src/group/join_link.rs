//! Links by which a group can be joined: making and revoking them, asking by one, letting in.

use cipher_broker::handle::Handle;
use serde::{Deserialize, Serialize};

use crate::command::Target;
use crate::core::Core;
use crate::error::{Result, not_built};
use crate::input::Ticket;
use crate::reply::Reply;

/// An own request to join.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct JoinRow {
    /// The link.
    #[serde(rename = "l")]
    pub link: String,
}

/// Somebody's request to join that waits for an answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct JoinRequestRow {
    /// The group.
    #[serde(rename = "g")]
    pub group: cipher_broker::id::GroupId,
}

impl Core {
    pub(crate) fn group_invite(
        &mut self,
        _ticket: Ticket,
        _target: &Target,
        _lifetime: u64,
        _uses: Option<u32>,
        _approval: bool,
    ) -> Result<Option<Reply>> {
        Err(not_built())
    }

    pub(crate) fn group_invites(&mut self, _target: &Target) -> Result<Reply> {
        Err(not_built())
    }

    pub(crate) fn group_invite_revoke(
        &mut self,
        _ticket: Ticket,
        _target: &Target,
        _link: &str,
    ) -> Result<Option<Reply>> {
        Err(not_built())
    }

    pub(crate) fn join_by_link(&mut self, _ticket: Ticket, _link: &str) -> Result<Option<Reply>> {
        Err(not_built())
    }

    pub(crate) fn group_requests(&mut self, _target: Option<&Target>) -> Result<Reply> {
        Err(not_built())
    }

    pub(crate) fn group_request_answer(
        &mut self,
        _ticket: Ticket,
        _target: &Target,
        _account: &str,
        _accept: bool,
    ) -> Result<Option<Reply>> {
        Err(not_built())
    }

    pub(crate) fn group_ban(
        &mut self,
        _ticket: Ticket,
        _target: &Target,
        _handles: &[Handle],
        _lift: bool,
    ) -> Result<Option<Reply>> {
        Err(not_built())
    }
}
