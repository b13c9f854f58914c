//! A place in a group, offered to a device that lost its own by somebody whom it did not know as a member there.
//!
//! A profile that was restored from before anybody else was in its group knows nobody who could let it back in; nor does
//! a device that put out the very member who answers, in a branch that nobody else followed. Nothing that it has proves
//! such an offer: anybody who reads its request could make a group of their own under the same id. So the person decides,
//! who knows who belongs there. While one is open this device asks no more, and a later invitation takes its place.

use std::collections::BTreeSet;

use cipher_api::view::OfferedView;
use cipher_api::{Advice, Error, ErrorKind, Hint, Notice, Reply, Result};
use cipher_broker::id::{AccountId, GroupId};

use crate::machine::Core;
use crate::state::InviteRow;

/// Accounts whose offers of one place a person is told of; the last one is shown in any case.
const TOLD: usize = 8;

/// Who made an invitation into a group that this device lost its place in.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Welcomer {
    /// A member of the epoch that this device last followed, or the other one of a direct conversation.
    pub member: bool,
    /// The account that owns this bot.
    pub owner: bool,
    /// The invitation answers a request of this device to come back.
    pub asked: bool,
    /// This device is a bot's: nobody is there to ask.
    pub bot: bool,
}

/// What such an invitation is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OfferUse {
    /// It brings this device back.
    Returns,
    /// The person is asked.
    Offered,
    /// Nothing yet: the log may show more.
    Waits,
}

impl Welcomer {
    /// R-WELCOME-07: a known member brings a device back that lost its place, and the owner a bot. Of anybody else an
    /// answer to its request is an offer to the person.
    pub(super) const fn standing(self) -> OfferUse {
        if self.member || (self.bot && self.owner) {
            OfferUse::Returns
        } else if self.asked && !self.bot {
            OfferUse::Offered
        } else {
            OfferUse::Waits
        }
    }
}

impl Core {
    /// The offer that the person was told of, if this device still is without its place.
    pub(super) fn offer(&self, group: &GroupId) -> Option<&InviteRow> {
        let open = |invite: &&InviteRow| invite.offered && invite.told && self.state.is_lost(group);
        if self.state.meta.stopped {
            return None;
        }
        self.state.invites.get(group).filter(open)
    }

    /// Somebody offers a place. Like any invitation it is shown once the registry said who that is.
    pub(super) fn offered(&mut self, group: GroupId) {
        if self.state.meta.stopped {
            // It is the other copy's.
            self.state.invites.remove(&group);
            return;
        }
        let Some(invite) = self.state.invites.get_mut(&group) else { return };
        let Some(known) = invite.known.as_ref().filter(|_| !invite.offered) else { return };
        let inviter = known.inviter;
        invite.offered = true;
        self.learn(BTreeSet::from([inviter]));
        self.show_offers();
    }

    /// Asks the person, once for each offer.
    pub(crate) fn show_offers(&mut self) {
        let known = |invite: &InviteRow| {
            let inviter = invite.known.as_ref().map(|known| known.inviter);
            inviter.filter(|inviter| self.state.accounts.get(inviter).is_some())
        };
        let new = self.state.invites.iter().filter(|(_, invite)| invite.offered && !invite.told);
        let new: Vec<_> = new.filter_map(|(group, invite)| Some((*group, known(invite)?))).collect();
        for (group, inviter) in new {
            if let Some(invite) = self.state.invites.get_mut(&group) {
                invite.told = true;
            }
            self.run.changed.insert(group);
            if !self.tells_of(group, inviter) {
                continue;
            }
            let (by, name, target) =
                (self.state.named(&inviter), self.state.conversation_name(&group), self.typed(&group));
            self.warn(Notice::PlaceOffered { group, name, target, by });
        }
    }

    /// Whether the person is told of an offer: of each account once, and of a few accounts only. Anybody who reads the log
    /// can make one after another.
    fn tells_of(&mut self, group: GroupId, inviter: AccountId) -> bool {
        let Some(lost) = self.state.groups.get_mut(&group).and_then(|row| row.lost.as_mut()) else {
            return false;
        };
        lost.offered_by.len() < TOLD && lost.offered_by.insert(inviter)
    }

    /// Nobody offers a place that was lost.
    pub(super) fn no_offer(&self, group: GroupId) -> Error {
        let name = self.state.conversation_name(&group);
        ErrorKind::NotFound
            .because(format!("nobody offers this device its place in '{name}' yet"))
            .hint(Hint::DoctorOffer)
    }

    /// The person believes who offers it.
    pub(super) fn take_offer(&mut self, group: GroupId) -> Result<Reply> {
        self.come_back(group)?;
        if self.state.is_lost(&group) {
            return Err(ErrorKind::Refused
                .because("this offer cannot be used any more")
                .hint(Advice::OfferComesAgain));
        }
        self.group_reply(group)
    }

    /// Who leaves while it knows of nobody else there is heard by nobody: for whoever offers the place it would stay a member.
    pub(super) fn leaves_unheard(&self, group: &GroupId, by: &str) -> Error {
        ErrorKind::Refused
            .because(format!(
                "@{by} says that others are in this group: they would not hear that you left it"
            ))
            .hint(Hint::GroupAcceptThenLeave { group: self.typed(group), by: by.into() })
    }

    /// The person does not take it: this device asks again an hour later.
    pub(super) fn refuse_offer(&mut self, group: GroupId) {
        self.state.invites.remove(&group);
        let now = self.run.now;
        if let Some(lost) = self.state.groups.get_mut(&group).and_then(|row| row.lost.as_mut()) {
            (lost.asked, lost.declined) = (now, true);
        }
        self.run.touched.insert(group);
        self.run.changed.insert(group);
    }

    /// What people see of it.
    pub(super) fn offered_view(&self, group: &GroupId) -> Option<OfferedView> {
        let invite = self.offer(group)?;
        let account_id = invite.known.as_ref()?.inviter;
        Some(OfferedView { account_id, handle: self.state.handle_of(&account_id), at: invite.received_at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r_welcome_07_only_a_known_member_or_a_bots_owner_brings_a_device_back_without_asking() {
        let by = |member, owner, asked, bot| Welcomer { member, owner, asked, bot }.standing();
        for (standing, expected) in [
            (by(true, false, false, false), OfferUse::Returns),
            (by(true, false, true, true), OfferUse::Returns),
            (by(false, true, true, true), OfferUse::Returns),
            (by(false, false, true, true), OfferUse::Waits),
            (by(false, false, true, false), OfferUse::Offered),
            (by(false, false, false, false), OfferUse::Waits),
        ] {
            assert_eq!(standing, expected);
        }
    }
}
