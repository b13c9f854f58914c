//! Linking a device: both sides of the rendezvous, see [`cipher_broker::wire::link`] for the protocol. Here is what both
//! sides share: the row, the steps that come and go, and how a link ends.
//!
//! A row in the store is the state of either side; every step that leaves is an outbox row. So whoever is killed at
//! any point goes on where it stopped, with the same bytes. The row, with its secrets, goes when the link is over.
//!
//! The broker may lose steps that it acknowledged (E1, E2). So on each connection either side reads its inbox from the
//! beginning and says its own steps again: the same bytes twice are the same step. Who is through with it says the last
//! one again, until the code has expired.

mod code;
mod new_device;
mod old_device;

use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use cipher_api::{Error, ErrorKind, Hint, Result};
use cipher_broker::codec;
use cipher_broker::id::{AccountId, DeviceId, GroupId, PublishId};
use cipher_broker::limit;
use cipher_broker::subject::Source;
use cipher_broker::time::Timestamp;
use cipher_broker::wire::envelope::Envelope;
use cipher_broker::wire::link::{LinkingStep, admission_key, authentication_string, rendezvous};
use serde_bytes::ByteBuf;
use x25519_dalek::{PublicKey, StaticSecret};

use crate::input::{Delivered, Interest};
use crate::machine::Core;
use crate::machine::step::Step;
use crate::registry::question::Stating;
use crate::state::Skip;
use crate::state::{LinkingRow, OldSide, Side};
use crate::state::{OutboxKind, OutboxRow, Post, Seal};

const NONCE: usize = 24;

/// What both sides saw, which is what both strings and the admission's key come from.
struct Transcript {
    account: AccountId,
    offer: Vec<u8>,
    accept: Vec<u8>,
    reveal: Vec<u8>,
    shared: [u8; 32],
}

impl Transcript {
    fn string(&self, code: &str) -> String {
        authentication_string(code, &self.account, &self.offer, &self.accept, &self.reveal)
    }

    fn cipher(&self, code: &str) -> XChaCha20Poly1305 {
        let key = admission_key(&self.shared, code, &self.account, &self.offer, &self.accept, &self.reveal);
        XChaCha20Poly1305::new(&key.into())
    }
}

/// The key that two X25519 keys make together (RFC 7748 §6.1); `None` for a key that makes none.
fn shared(secret: &[u8; 32], theirs: &[u8; 32]) -> Option<[u8; 32]> {
    let shared = StaticSecret::from(*secret).diffie_hellman(&PublicKey::from(*theirs));
    shared.was_contributory().then(|| shared.to_bytes())
}

fn public(secret: &[u8; 32]) -> [u8; 32] {
    PublicKey::from(&StaticSecret::from(*secret)).to_bytes()
}

fn stale(theirs: Timestamp, ours: Timestamp) -> bool {
    ours.since(theirs) > limit::LINK_LIFETIME || theirs.since(ours) > limit::LINK_LIFETIME
}

/// Why a step is too old or from the future, in both clocks.
fn out_of_time(theirs: Timestamp, ours: Timestamp) -> Error {
    ErrorKind::Refused
        .because(format!(
            "this code has expired: the other machine's clock said {theirs}, this one's says {ours}, and a code \
             is good for 15 minutes"
        ))
        .hint(Hint::DeviceLinkAgain)
}

fn no_such_link() -> Error {
    ErrorKind::NotFound.because("no link with this code is under way here").hint(Hint::DeviceApprove)
}

fn unreachable() -> Error {
    ErrorKind::Unreachable.because("the broker cannot be reached; nothing was changed")
}

impl Core {
    /// Whether this profile is on its way into an account.
    pub(super) fn is_linking(&self) -> bool {
        matches!(self.state.meta.link, Some(LinkingRow { side: Side::New(_), .. }))
    }

    fn follow_link(&mut self) {
        if let Some(inbox) = self.state.link_inbox() {
            self.follow(Source::Inbox(inbox));
        }
        if let Some(row) = &self.state.meta.link {
            let expires = row.expires;
            self.run.wake_at(expires);
        }
    }

    /// What happens at each step.
    pub(crate) fn own_step(&mut self, step: Step) {
        match step {
            Step::Connected { .. } => self.resume_link(),
            Step::Tick => self.link_tick(),
            Step::BatchEnds => self.end_arriving(),
            Step::Opened | Step::Disconnected | Step::BatchEnded => {}
        }
    }

    /// After a reconnect or restart: goes on where it stopped.
    pub(super) fn resume_link(&mut self) {
        self.link_tick();
        if self.state.meta.link.is_some()
            && let Some(row) = &mut self.state.meta_mut().link
        {
            row.cursor = 0;
        }
        if self.state.link_inbox().is_some() || self.run.interest == Some(Interest::Everything) {
            self.post_steps_again();
        }
        self.follow_link();
        self.tell_compare();
        if let Some(LinkingRow { side: Side::Old(OldSide { confirmed: true, .. }), .. }) =
            &self.state.meta.link
        {
            self.begin_statement(Stating::Link, None, 0);
        }
    }

    /// The broker may have lost what was said before: the other side takes it as said once.
    fn post_steps_again(&mut self) {
        let Some(row) = self.state.meta.link.clone() else { return };
        let (offers, answers) = rendezvous(&row.code);
        let (inbox, steps) = match row.side {
            Side::New(new) => {
                let reveal = new.accept.is_some().then(|| new.reveal_step());
                (offers, [Some(new.offer), reveal])
            }
            Side::Old(old) => (answers, [old.accept.map(ByteBuf::into_vec), None]),
            Side::Ended { .. } | Side::Admitted(_) => (answers, [row.last.map(ByteBuf::into_vec), None]),
        };
        let place = GroupId::from_bytes(*inbox.as_bytes());
        let waits = self.run.delivery.rows_of(place).next().is_some();
        for step in steps.iter().flatten().filter(|_| !waits) {
            self.post_step(inbox, step);
        }
    }

    /// Time passed: what is too old ends, and who waits too long is told.
    pub(super) fn link_tick(&mut self) {
        let now = self.run.now;
        let Some(row) = &self.state.meta.link else { return };
        let expired = now >= row.expires;
        match &row.side {
            Side::New(_) if expired => {
                self.link_failed(ended(
                    false,
                    "the code has expired, nobody approved this device within 15 minutes",
                ));
            }
            Side::Old(old) if expired && !old.confirmed => {
                self.link_broken(false, "the code has expired");
            }
            Side::Ended { .. } | Side::Admitted(_) if expired => self.state.meta_mut().link = None,
            Side::Old(old) => {
                let found = old.offer.is_some();
                let Some((ticket, until)) = self.run.waits.link else { return };
                if now < until {
                    return self.run.wake_at(until);
                }
                self.run.waits.link = None;
                let error = if found {
                    ErrorKind::Unreachable
                        .because("the new machine does not answer")
                        .hint(Hint::DeviceLinkKeep)
                } else {
                    self.end_link();
                    ErrorKind::NotFound
                        .because("no machine offers itself under this code")
                        .hint(Hint::DeviceLinkCheck)
                };
                self.run.reply(ticket, Err(error));
            }
            Side::New(_) | Side::Ended { .. } | Side::Admitted(_) => {}
        }
    }

    /// A message in the inbox of a code. Anybody may have put it there.
    pub(crate) fn link_delivered(&mut self, delivered: &Delivered) -> Result<()> {
        let Some(mut row) = self.state.meta.link.clone() else { return Ok(()) };
        if delivered.sequence <= row.cursor {
            return Ok(());
        }
        row.cursor = delivered.sequence;
        self.state.meta_mut().link = Some(row.clone());
        self.link_tick();
        if self.state.link_inbox().is_none() {
            return Ok(());
        }
        let step = (delivered.bytes.len() <= limit::WELCOME_BYTES)
            .then(|| match codec::decode(&delivered.bytes) {
                Ok(Envelope::Link(bytes)) => {
                    codec::decode::<LinkingStep>(&bytes).ok().map(|step| (step, bytes))
                }
                _ => None,
            })
            .flatten();
        let Some((step, bytes)) = step else {
            self.skip(Skip::LinkStep);
            return Ok(());
        };
        match row.side.clone() {
            Side::New(new) => self.step_for_new(row, new, step, bytes),
            Side::Old(old) => self.step_for_old(row, old, step, bytes),
            Side::Ended { .. } | Side::Admitted(_) => Ok(()),
        }
    }

    /// A step goes to the other side, however often it has to be tried.
    fn post_step(&mut self, inbox: DeviceId, step: &[u8]) {
        let bytes = codec::encode(&Envelope::Link(step.to_vec()));
        let seal = Seal::new(0, bytes, PublishId::from_bytes(self.provider.bytes()));
        let kind = OutboxKind::Post(Post::Link { inbox });
        self.enqueue(OutboxRow::new(GroupId::from_bytes(*inbox.as_bytes()), kind, Some(seal)));
    }

    /// Steps that did not leave yet are not wanted any more.
    fn drop_steps(&mut self, inbox: DeviceId) {
        let place = GroupId::from_bytes(*inbox.as_bytes());
        for id in self.run.delivery.rows_of(place).collect::<Vec<_>>() {
            if matches!(
                self.state.outbox.get(&id).map(|row| &row.kind),
                Some(OutboxKind::Post(Post::Link { .. }))
            ) {
                self.dequeue(id);
            }
        }
    }

    /// This device is nobody's any more: it lets nobody in either.
    pub(crate) fn give_up_link(&mut self) {
        if let Some((ticket, _)) = self.run.waits.link.take() {
            self.run.reply(ticket, Err(no_such_link()));
        }
        self.end_link();
    }

    /// Forgets the link and its secrets.
    fn end_link(&mut self) {
        if let Some(inbox) = self.state.link_inbox() {
            self.unfollow(Source::Inbox(inbox));
        }
        if self.state.meta.link.is_some() {
            self.state.meta_mut().link = None;
        }
    }
}

/// The error of a link that ended on the approving side.
fn ended(trust: bool, why: &str) -> Error {
    let kind = if trust { ErrorKind::Trust } else { ErrorKind::Refused };
    kind.because(format!("the link was stopped: {why}; nothing was changed")).hint(Hint::DeviceLinkAgainThere)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_keys_agree_and_a_key_of_small_order_makes_none() {
        let (one, two) = ([7; 32], [9; 32]);
        assert_eq!(shared(&one, &public(&two)), shared(&two, &public(&one)));
        assert!(shared(&one, &public(&two)).is_some());
        assert_eq!(shared(&one, &[0; 32]), None);
    }
}
