//! Requests about groups and the links to them.

use cipher_api::command::{GroupCommand as G, InviteCommand as I, group, invite};
use cipher_api::{Reply, Result};
use cipher_broker::wire::sync::Muted;

use crate::input::Ticket;
use crate::machine::Core;

impl Core {
    /// Does what is asked of groups; `None` when the answer comes later.
    pub(crate) fn group_command(&mut self, ticket: Ticket, command: G) -> Result<Option<Reply>> {
        match command {
            G::Create(group::Create { name, with, post_quantum }) => {
                self.group_create(ticket, name, with, post_quantum)
            }
            G::List(group::List {}) => self.group_list().map(Some),
            G::Show(group::Show { target }) => self.group_show(&target).map(Some),
            G::Accept(group::Accept { target }) => self.group_accept(&target).map(Some),
            G::Decline(group::Decline { target }) => self.group_decline(&target).map(Some),
            G::Add(group::Add { target, handles }) => self.group_add(ticket, &target, handles),
            G::Remove(group::Remove { target, who }) => self.group_remove(ticket, &target, &who),
            G::Rename(group::Rename { target, name }) => self.group_rename(ticket, &target, name),
            G::Alias(group::Alias { target, name }) => self.group_alias(&target, &name).map(Some),
            G::Set(set) => self.group_set(ticket, set),
            G::Mute(group::Mute { target, until, mentions }) => {
                self.group_mute(&target, Some(Muted { until, mentions })).map(Some)
            }
            G::Unmute(group::Unmute { target }) => self.group_mute(&target, None).map(Some),
            G::SetRole(group::SetRole { target, who, role }) => self.group_role(ticket, &target, &who, role),
            G::Leave(group::Leave { target }) => self.group_leave(ticket, &target),
            G::Ban(group::Ban { target, who, lift }) => self.group_ban(ticket, &target, &who, lift),
        }
    }

    /// Does what is asked of links and requests to join; `None` when the answer comes later.
    pub(crate) fn invite_command(&mut self, ticket: Ticket, command: I) -> Result<Option<Reply>> {
        match command {
            I::Create(invite::Create { target, lifetime, uses, approval }) => {
                self.group_invite(ticket, &target, lifetime, uses, approval)
            }
            I::List(invite::List { target }) => self.group_invites(&target).map(Some),
            I::Revoke(invite::Revoke { target, link }) => self.group_invite_revoke(ticket, &target, &link),
            I::Join(invite::Join { link }) => self.join_by_link(ticket, &link),
            I::Requests(invite::Requests { target }) => self.group_requests(target.as_ref()).map(Some),
            I::Answer(invite::Answer { target, account, accept }) => {
                self.group_request_answer(ticket, &target, &account, accept)
            }
        }
    }
}
