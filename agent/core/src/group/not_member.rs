//! "You are no member any more": the answer to a device that asks to come back and has no leaf in the group, because the
//! change that removed it aged out of the log; and what the asking device makes of it.
//!
//! ```text
//! request of a device without a leaf ──by turns, any member that knows its account──► signed answer on the group's log
//!                                                                                              │
//!          nobody in the tree of the epoch it last followed ◄── whose word? ──┬── one who could remove it there
//!                         nothing                                             │          it asks no more
//!                                                                       any other member
//!                                             asks once a day; three days on, when nobody let it in, no more
//! ```
//! It is one member's word and shown as such. It takes away neither keys nor history nor what waits, and an invitation
//! that answers one of the requests, which stay in the log and with the members, brings back as ever. So a false answer
//! delays who would have been let in by nobody; who wants to know better says something in the group, and the
//! device asks once more.

use std::time::Duration;

use cipher_api::view::GroupState;
use cipher_api::{Notice, Result};
use cipher_broker::codec;
use cipher_broker::id::GroupId;
use cipher_broker::sign::{Purpose, Signed, wire_hash};
use cipher_broker::subject::Source;
use cipher_broker::time::Timestamp;
use cipher_broker::wire::envelope::Envelope;
use cipher_broker::wire::group::Role;
use cipher_broker::wire::rejoin::{NotMemberBody, RejoinBody};
use ed25519_dalek::SigningKey;
use openmls::prelude::LeafNodeIndex;

use crate::group::turn;
use crate::machine::Core;
use crate::state::live::Live;
use crate::state::{Denied, Post, Skip};

/// How long a device waits before it asks again, once a member said that it is out.
pub(super) const PAUSE: Duration = Duration::from_secs(24 * 3600);
/// How long the others have to let it in before the word of a member that could not have removed it ends the asking.
const DOUBT: Duration = Duration::from_secs(3 * 24 * 3600);
/// Devices that are remembered, per group, because they were told or are to be.
const OUTSIDERS: usize = 16;

/// What an answer is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weight {
    /// It says nothing about what was asked.
    None,
    /// Asking becomes rare.
    Slows,
    /// Asking ends.
    Ends,
}

/// An answer, reduced to what the rule speaks about.
#[derive(Debug, Clone, Copy)]
struct Answer {
    /// It names one of the requests of this device.
    asked: bool,
    /// The epoch that it speaks of is later than the last one that this device followed.
    later: bool,
    /// Who says it could remove this device, by the group data of that last one.
    could_remove: bool,
}

/// R-REJOIN-02: the word of a member of the epoch that this device last followed, about its very request and a later
/// epoch. Of one who could remove it there it ends the asking: a false one gains nothing. Of any other it makes the asking
/// rare, and ends it when nobody let the device in for three days.
fn weight(answer: Answer, first: Option<Timestamp>, now: Timestamp) -> Weight {
    if !answer.asked || !answer.later {
        Weight::None
    } else if answer.could_remove || first.is_some_and(|first| now.since(first) >= DOUBT) {
        Weight::Ends
    } else {
        Weight::Slows
    }
}

/// Whether the signature is that of the device that is named, by its leaf in this tree.
fn is_said_by(live: &Live, body: &NotMemberBody, signed: &Signed) -> bool {
    let named =
        |leaf: &crate::state::roster::Leaf| (leaf.account, leaf.device) == (body.account, body.device);
    let leaf = live.roster.iter().find(|(_, leaf)| named(leaf)).map(|(index, _)| *index);
    let member = leaf.and_then(|index| live.mls.member_at(LeafNodeIndex::new(index)));
    let key = member.and_then(|member| <[u8; 32]>::try_from(member.signature_key.as_slice()).ok());
    key.is_some_and(|key| signed.verified(&key, Purpose::NotMember).is_ok())
}

impl Core {
    /// Whether a device that is not in the group is told so: only one whose account was met before, and that stood
    /// where the group has gone on since.
    pub(super) fn may_be_told(&self, live: &Live, body: &RejoinBody) -> bool {
        body.epoch < live.epoch() && self.state.accounts.get(&body.account).is_some()
    }

    /// Makes room for one more that is to be told. None while so many wait to be.
    pub(super) fn room_for_outsider(&mut self, group: GroupId) -> bool {
        let rows = self.state.rejoins.iter().filter(|(_, row)| row.group == group);
        let mut told: Vec<(u64, Option<bool>)> =
            rows.filter(|(_, row)| row.outsider.is_some()).map(|(id, row)| (*id, row.outsider)).collect();
        if told.len() < OUTSIDERS {
            return true;
        }
        told.retain(|(_, told)| *told == Some(true));
        let Some((oldest, _)) = told.first() else {
            self.skip(Skip::Limit);
            return false;
        };
        self.state.rejoins.remove(oldest);
        true
    }

    /// Tells those who ask and are not in the group, when it is our turn: people first, and owners and admins of these.
    pub(super) fn answer_outsiders(&mut self, group: GroupId) -> Result<()> {
        let rows = self.state.rejoins.iter();
        let waiting: Vec<_> = rows
            .filter(|(_, row)| row.group == group && row.outsider == Some(false))
            .map(|(id, row)| (*id, row.clone()))
            .collect();
        // Behind the end of the log somebody may have let it in or answered already.
        let active = self.state.groups.get(&group).is_some_and(|row| row.state == GroupState::Active);
        if waiting.is_empty() || !active || !self.run.delivery.is_caught_up(&Source::Group(group)) {
            return Ok(());
        }
        let (rank, epoch, inside) = self.with_live(group, |_, live| {
            let rank = turn::rank(live, |_, _| Some(()));
            let is_in = |row: &crate::state::RejoinRow| {
                live.roster.values().any(|leaf| (leaf.account, leaf.device) == (row.account, row.device))
            };
            let inside: Vec<u64> = waiting.iter().filter(|(_, row)| is_in(row)).map(|(id, _)| *id).collect();
            Ok((rank, live.epoch(), inside))
        })?;
        for (id, row) in waiting {
            if inside.contains(&id) {
                self.state.rejoins.remove(&id);
                continue;
            }
            if !self.is_time(row.arrived.plus(turn::after(turn::STEP, rank))) {
                continue;
            }
            let identity = self.state.identity()?;
            let body = NotMemberBody {
                group,
                package: wire_hash(&row.key_package),
                account: identity.account,
                device: identity.device,
                epoch,
            };
            let key = SigningKey::from_bytes(&identity.device_seed);
            let answer = Signed::new(&key, Purpose::NotMember, codec::encode(&body));
            self.outsider_told(id);
            self.enqueue_post(group, Post::NotMember, codec::encode(&Envelope::NotMember(answer)));
        }
        Ok(())
    }

    /// Remembers that a device was told, so that the same request is not answered again.
    fn outsider_told(&mut self, id: u64) {
        if let Some(row) = self.state.rejoins.get_mut(&id) {
            row.outsider = Some(true);
            row.key_package.clear();
        }
    }

    /// Somebody says that a device which asked to come back is not in the group.
    pub(super) fn not_member_said(&mut self, group: GroupId, signed: &Signed) -> Result<()> {
        let Some(body) = codec::decode::<NotMemberBody>(&signed.body).ok().filter(|body| body.group == group)
        else {
            self.skip(Skip::Rejoin);
            return Ok(());
        };
        let own = self.state.own_id();
        let said = self.with_live(group, |_, live| {
            let role = live.data.role_of(&body.account);
            let outranks = role >= Role::Admin && (role == Role::Owner || role > live.data.role_of(&own));
            Ok(is_said_by(live, &body, signed).then_some(outranks || body.account == own))
        })?;
        let Some(could_remove) = said else {
            self.skip(Skip::Rejoin);
            return Ok(());
        };
        let answered = self.state.rejoins.iter().filter(|(_, row)| {
            row.group == group && row.outsider == Some(false) && wire_hash(&row.key_package) == body.package
        });
        for id in answered.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.outsider_told(id);
        }
        self.weigh_denial(group, &body, could_remove);
        Ok(())
    }

    fn weigh_denial(&mut self, group: GroupId, body: &NotMemberBody, could_remove: bool) {
        let now = self.run.now;
        let Some(row) = self.state.groups.get_mut(&group) else { return };
        let asked = row.asked_with(&body.package);
        let answer = Answer { asked, later: body.epoch > row.epoch, could_remove };
        let Some(lost) = row.lost.as_mut() else { return };
        let before = lost.denied.clone();
        let first = before.as_ref().map(|denied| denied.first);
        let over = match weight(answer, first, now) {
            Weight::None => return,
            Weight::Slows => before.as_ref().is_some_and(|denied| denied.over),
            Weight::Ends => true,
        };
        lost.denied = Some(Denied { by: body.account, first: first.unwrap_or(now), at: now, over });
        self.run.touched.insert(group);
        self.run.changed.insert(group);
        if before.is_some_and(|denied| denied.over == over) {
            return;
        }
        let (by, name) = (self.state.named(&body.account), self.state.conversation_name(&group));
        self.warn(Notice::PlaceDenied { group, name, by, over });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r_rejoin_02_a_word_ends_the_asking_only_of_who_could_remove_or_when_nobody_lets_in_for_days() {
        let now = Timestamp::from_millis(1_700_000_000_000);
        let answer = |asked, later, could_remove| Answer { asked, later, could_remove };
        for (answer, first, expected) in [
            (answer(false, true, true), None, Weight::None),
            (answer(true, false, true), None, Weight::None),
            (answer(true, true, true), None, Weight::Ends),
            (answer(true, true, false), None, Weight::Slows),
            (answer(true, true, false), Some(now.minus(DOUBT / 2)), Weight::Slows),
            (answer(true, true, false), Some(now.minus(DOUBT)), Weight::Ends),
            (answer(false, true, false), Some(now.minus(DOUBT)), Weight::None),
        ] {
            assert_eq!(weight(answer, first, now), expected, "{answer:?} {first:?}");
        }
    }
}
