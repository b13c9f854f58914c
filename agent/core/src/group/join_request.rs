//! Asking to join a group by a link, and what comes of it.
//!
//! The request survives restarts. Its key package is fresh, and its private part is written in the same transaction
//! as the request, so whatever Welcome comes can be opened.

use std::time::Duration;

use cipher_api::{Advice, ErrorKind, Hint, Notice, Reply, Result};
use cipher_broker::certificate::DeviceCertificate;
use cipher_broker::id::GroupId;
use cipher_broker::sign::{Purpose, Signed, wire_hash};
use cipher_broker::time::Timestamp;
use cipher_broker::wire::envelope::Envelope;
use cipher_broker::wire::group::{GroupData, JoinLinkId};
use cipher_broker::wire::join::{JoinRefusal, JoinRequest, JoinRequestBody, JoinTicket, link_id, link_key};
use cipher_broker::{codec, limit};
use ed25519_dalek::SigningKey;
use serde_bytes::ByteBuf;

use crate::group::admission::{label, refusal_error, refusal_label};
use crate::group::tree;
use crate::input::{Interest, Ticket};
use crate::machine::Core;
use crate::state::suite::suite_of;
use crate::state::{JoinRow, OutboxKind, Post, Skip, Taken};

/// How long a `join` waits to be let in before it says that it waits.
const PATIENCE: Duration = Duration::from_secs(10);
/// A request is made anew after this time while nobody answers: its key package can be added for 39 days
/// ([`limit::KEY_PACKAGE_LIFETIME`] without [`limit::KEY_PACKAGE_MIN_REMAINING`]), and the log keeps it for 45.
const RENEW_AFTER: Duration = limit::REFRESH_AFTER;

/// A `join` that was not answered yet.
#[derive(Debug)]
pub(crate) struct JoinWait {
    pub ticket: Ticket,
    pub group: GroupId,
    deadline: Timestamp,
}

/// Links of a group whose id is that of their secret: what shows that an invitation is into the group asked for.
pub(super) fn proven_links(data: &GroupData) -> Vec<JoinLinkId> {
    let proven = data.links.iter().filter(|(id, link)| link_id(&link.secret) == **id);
    proven.map(|(id, _)| *id).collect()
}

impl Core {
    pub(super) fn join_by_link(&mut self, ticket: Ticket, link: &str) -> Result<Option<Reply>> {
        self.state.identity()?;
        let link: JoinTicket = link.parse().map_err(|_| {
            ErrorKind::Misuse
                .because("this is not a link to a group, or some of its letters got lost or changed")
                .hint(Advice::JoinLinkForm)
        })?;
        let group = link.group;
        if self.state.is_member(&group) {
            return self.group_reply(group).map(Some);
        }
        if link.expires <= self.run.now {
            return Err(refusal_error(JoinRefusal::Expired));
        }
        if let Some(known) = self.state.invites.get(&group).and_then(|invite| invite.known.as_ref()) {
            if !known.links.contains(&link_id(&link.secret)) {
                return Err(ErrorKind::Refused
                    .because("an invitation to this group waits for an answer")
                    .hint(Hint::GroupAccept { group: group.into() }));
            }
            self.join(group)?;
            self.keep_names_apart(group, Taken::ByAny);
            return self.group_reply(group).map(Some);
        }
        if !self.run.connected {
            return Err(ErrorKind::Unreachable
                .because("the broker cannot be reached; nobody was asked")
                .hint(Advice::CheckBroker));
        }
        if self.run.interest != Some(Interest::Everything) {
            // The answer comes to the inbox.
            self.connected(Interest::Everything)?;
        }
        let asked =
            self.state.joins.get(&group).is_some_and(|row| {
                row.ticket.secret == link.secret && row.at.plus(RENEW_AFTER) > self.run.now
            });
        if !asked {
            self.ask_to_join(&link)?;
        }
        let deadline = self.run.now.plus(PATIENCE);
        self.run.waits.joins.push(JoinWait { ticket, group, deadline });
        Ok(None)
    }

    /// Makes the request and puts it on its way.
    fn ask_to_join(&mut self, link: &JoinTicket) -> Result<()> {
        let group = link.group;
        let suite = suite_of(link.suite).ok_or_else(|| {
            ErrorKind::Misuse
                .because("the group of this link uses a cipher suite that this version does not know")
                .hint(Advice::UpdateAgent)
        })?;
        self.drop_join(group);
        let key_package = ByteBuf::from(self.make_key_package(suite, false)?);
        let identity = self.state.identity()?;
        let certificate: DeviceCertificate = codec::decode(&identity.certificate)
            .map_err(|_| ErrorKind::Storage.because("the own certificate on disk is damaged"))?;
        let device_key = SigningKey::from_bytes(&identity.device_seed);
        let (id, at) = (link_id(&link.secret), self.run.now);
        let body = JoinRequestBody { group, link: id, at, key_package };
        let body = Signed::new(&device_key, Purpose::JoinRequest, codec::encode(&body));
        let request = codec::encode(&JoinRequest { certificate, body });
        let key = link_key(&link.secret);
        let sealed = tree::seal(&key, self.provider.bytes(), &label(&id), &group, &request)?;
        let row = JoinRow { ticket: link.clone(), request: wire_hash(&sealed), at };
        self.state.joins.insert(group, row);
        let bytes = codec::encode(&Envelope::Join { link: *id, request: sealed });
        self.enqueue_post(group, Post::Join, bytes);
        Ok(())
    }

    /// Somebody says that we stay out. R-LINK-05: it counts for the very request it names, under the link's key.
    pub(super) fn join_refused(&mut self, link: JoinLinkId, sealed: &[u8]) -> Result<()> {
        let asked = self.state.joins.iter().find(|(_, row)| link_id(&row.ticket.secret) == link);
        let Some((group, row)) = asked.map(|(group, row)| (*group, row.clone())) else {
            self.skip(Skip::Join);
            return Ok(());
        };
        let (key, label) = (link_key(&row.ticket.secret), refusal_label(&link, &row.request));
        let opened = tree::open(&key, &label, &group, sealed).ok();
        let Some(refusal) = opened.and_then(|bytes| codec::decode::<JoinRefusal>(&bytes).ok()) else {
            self.skip(Skip::Join);
            return Ok(());
        };
        self.drop_join(group);
        self.tell_join_ended(group, refusal);
        Ok(())
    }

    fn tell_join_ended(&mut self, group: GroupId, refusal: JoinRefusal) {
        let error = refusal_error(refusal);
        let waits = std::mem::take(&mut self.run.waits.joins);
        let (ours, others): (Vec<_>, Vec<_>) = waits.into_iter().partition(|wait| wait.group == group);
        self.run.waits.joins = others;
        if ours.is_empty() {
            // Its name is known only to who was in it: a link says none.
            let name = self.state.conversation_name(&group);
            self.warn(Notice::JoinEnded { group, name, error: Box::new(error.clone()) });
        }
        for wait in ours {
            self.run.reply(wait.ticket, Err(error.clone()));
        }
    }

    /// The request is over: nothing of it is sent any more. Its key package stays: one member may have refused while
    /// another let us in, and that invitation must be one that can be opened.
    fn drop_join(&mut self, group: GroupId) {
        self.state.joins.remove(&group);
        for id in self.run.delivery.rows_of(group).collect::<Vec<_>>() {
            if matches!(self.state.outbox.get(&id).map(|row| &row.kind), Some(OutboxKind::Post(Post::Join))) {
                self.dequeue(id);
            }
        }
    }

    /// The request lies where members find it. Where a person has to approve there is nothing to wait for.
    pub(crate) fn join_request_stored(&mut self, group: GroupId) {
        let approval = self.state.joins.get(&group).is_some_and(|row| row.ticket.approval);
        for wait in self.run.waits.joins.iter_mut().filter(|wait| approval && wait.group == group) {
            wait.deadline = self.run.now;
        }
    }

    /// Asks anew where the members could soon not use the old request any more. The link is the same, so who has let us
    /// in meanwhile is found all the same.
    pub(super) fn renew_joins(&mut self) -> Result<()> {
        let hears = self.run.connected && self.run.interest == Some(Interest::Everything);
        if !hears || self.state.is_revoked() {
            return Ok(());
        }
        for group in self.state.joins.keys() {
            let Some(row) = self.state.joins.get(&group) else { continue };
            let (due, over) = (row.at.plus(RENEW_AFTER), row.ticket.expires <= self.run.now);
            if over || self.state.is_member(&group) || self.state.invites.get(&group).is_some() {
                continue;
            }
            if self.run.now < due {
                self.run.wake_at(due);
            } else {
                tracing::debug!("a request to join grew old and is made anew");
                let ticket = row.ticket.clone();
                self.ask_to_join(&ticket)?;
            }
        }
        Ok(())
    }

    /// Answers who waited long enough, or is in; ends requests whose link is over.
    pub(super) fn finish_joins(&mut self) -> Result<()> {
        let now = self.run.now;
        for group in self.state.joins.keys() {
            if self.state.is_member(&group) {
                self.drop_join(group);
            } else if self.state.joins.get(&group).is_some_and(|row| row.ticket.expires <= now)
                && self.state.invites.get(&group).is_none()
            {
                self.drop_join(group);
                self.tell_join_ended(group, JoinRefusal::Expired);
            }
        }
        for wait in std::mem::take(&mut self.run.waits.joins) {
            let JoinWait { ticket, group, deadline } = wait;
            if self.state.is_member(&group) {
                let reply = self.group_reply(group);
                self.run.reply(ticket, reply);
            } else if now >= deadline {
                let approval = self.state.joins.get(&group).is_some_and(|row| row.ticket.approval);
                self.run.reply(ticket, Ok(Reply::JoinPending { group, approval }));
            } else {
                self.run.wake_at(deadline);
                self.run.waits.joins.push(wait);
            }
        }
        Ok(())
    }
}
