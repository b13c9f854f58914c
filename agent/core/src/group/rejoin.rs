//! Serving those who ask to come back (`lost.rs`).
//!
//! Whose turn it is to serve depends on rank and time only; when two serve at once their commits race. A member that is
//! where the asker is makes a fresh commit instead, which shows the asker that it lost nothing. Who was removed meanwhile
//! is told so (`not_member.rs`).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cipher_api::Result;
use cipher_broker::id::{DeviceId, GroupId};
use cipher_broker::sign::{Purpose, Signed, wire_hash};
use cipher_broker::subject::Source;
use cipher_broker::time::Timestamp;
use cipher_broker::wire::rejoin::{RejoinBody, RejoinRequest};
use cipher_broker::{codec, limit};
use openmls::prelude::{KeyPackage, LeafNodeIndex, StagedCommit};
use serde_bytes::ByteBuf;
use tls_codec::Serialize as _;

use crate::group::policy::Rejoin;
use crate::group::turn;
use crate::machine::Core;
use crate::state::live::Live;
use crate::state::{Joiner, Lost, RejoinRow, Skip, Why, roster};

/// How much later a member that is where the asker is does something about it: whoever is further on serves first.
const SAME_PLACE: Duration = Duration::from_secs(3);
/// How much later one that asks to come back itself serves another that is further behind: nobody else is there.
const LAST_HOPE: Duration = Duration::from_secs(60);
/// Most devices that one commit brings back.
const PER_COMMIT: usize = 20;
/// Bytes by which a commit names a request.
const ANSWERED: usize = 16;
/// Largest request: a key package, and what is around it.
const REQUEST_BYTES: usize = limit::KEY_PACKAGE_BYTES + 2 * 1024;

/// What a commit that serves requests contains.
#[derive(Debug, Default)]
pub(super) struct Readmission {
    pub adds: Vec<(KeyPackage, DeviceId)>,
    pub removes: Vec<u32>,
    pub shown: Vec<Signed>,
}

/// Where somebody stands who asks to come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AskerPlace {
    /// Behind us, or in need of new keys.
    Behind,
    /// Where we are.
    Here,
    /// Further on than we are, who are lost too.
    Ahead,
}

fn standing(here: (u64, [u8; 32]), lost: bool, row: &RejoinRow) -> AskerPlace {
    let theirs = (row.place.0, row.place.1.as_slice());
    if row.stands(here) {
        AskerPlace::Here
    } else if !lost || theirs < (here.0, here.1.as_slice()) {
        AskerPlace::Behind
    } else {
        AskerPlace::Ahead
    }
}

/// Whether the group took another way than this device: who is let in here would be beside it. Those who took that way may
/// be gone for good, all of them; others that are lost as well are served when nobody has brought this device on for days.
///
/// R-REJOIN-04: a device that was told by a member that it is in the group no more serves nobody there.
fn is_beside(lost: &Lost, now: Timestamp) -> bool {
    if lost.denied.is_some() {
        return true;
    }
    match lost.why {
        Why::LogWentBack | Why::OwnCommit | Why::Replaced => lost.is_recent(now),
        Why::Gap | Why::Unusable | Why::Doubled => false,
        // It knows no member.
        Why::Damaged => true,
    }
}

/// How long the one of this rank waits before it serves.
fn wait(standing: AskerPlace, lost: bool, rank: Option<usize>) -> Option<Duration> {
    let base = match (standing, lost) {
        (AskerPlace::Behind, false) => Duration::ZERO,
        (AskerPlace::Behind, true) => LAST_HOPE,
        (AskerPlace::Here, _) => SAME_PLACE,
        (AskerPlace::Ahead, _) => return None,
    };
    Some(base.saturating_add(turn::after(turn::STEP, rank)))
}

/// R-COMMIT-19: of the requests that a commit shows, those that verify under the key of a leaf that is there, with
/// the very key package that they name, for the same account, device and a certificate that is not older. A leaf that
/// has the package's key already was served.
pub(super) fn shown(live: &Live, staged: &StagedCommit, requests: &[Signed]) -> Vec<Rejoin> {
    let packages: BTreeMap<[u8; 32], KeyPackage> = match requests {
        [] => return Vec::new(),
        _ => staged
            .add_proposals()
            .filter_map(|add| {
                let package = add.add_proposal().key_package();
                Some((wire_hash(&package.tls_serialize_detached().ok()?), package.clone()))
            })
            .collect(),
    };
    let read = |signed: &Signed| {
        let named: RejoinBody = codec::decode(&signed.body).ok()?;
        let (index, old) = leaf_of(live, &named)?;
        verified(live, index, signed)?;
        let package = packages.get(&named.package)?;
        let new = roster::prove_leaf(package.leaf_node()).ok()?;
        let fits = named.group.as_bytes() == live.mls.group_id().as_slice()
            && (new.account, new.device) == (old.account, old.device)
            && new.serial >= old.serial
            && !has_key(live, index, package);
        fits.then_some(Rejoin { index, account: old.account, device: old.device })
    };
    requests.iter().filter_map(read).collect()
}

fn leaf_of<'a>(live: &'a Live, body: &RejoinBody) -> Option<(u32, &'a roster::Leaf)> {
    let ours = |leaf: &roster::Leaf| (leaf.account, leaf.device) == (body.account, body.device);
    live.roster.iter().find(|(_, leaf)| ours(leaf)).map(|(index, leaf)| (*index, leaf))
}

/// The signature of a request, under the key of the leaf that it wants to replace.
fn verified(live: &Live, index: u32, signed: &Signed) -> Option<()> {
    let member = live.mls.member_at(LeafNodeIndex::new(index))?;
    let key: [u8; 32] = member.signature_key.as_slice().try_into().ok()?;
    signed.verified(&key, Purpose::Rejoin).ok().map(|_| ())
}

/// Whether a leaf has the keys of this package already.
fn has_key(live: &Live, index: u32, package: &KeyPackage) -> bool {
    // Encoded, a key has its length in front.
    let Ok(key) = package.leaf_node().encryption_key().tls_serialize_detached() else { return false };
    let same = |have: Vec<u8>| !have.is_empty() && key.ends_with(&have);
    live.mls.member_at(LeafNodeIndex::new(index)).is_some_and(|member| same(member.encryption_key))
}

impl Core {
    /// Somebody asks to come back. R-REJOIN-01: a request is signed by the device of a leaf that is there, names this
    /// very group, and brings a key package of that device that could be added; of several the latest counts.
    pub(super) fn rejoin_asked(&mut self, group: GroupId, request: &[u8], position: u64) -> Result<()> {
        if request.len() > REQUEST_BYTES {
            self.skip(Skip::TooLarge);
            return Ok(());
        }
        let row = self.with_live(group, |core, live| Ok(core.read_rejoin(group, live, request)))?;
        let Some(row) = row else {
            self.skip(Skip::Rejoin);
            return Ok(());
        };
        let own = self.state.identity.as_ref().is_some_and(|own| own.device == row.device);
        if own {
            return self.asked_before(group, &row, position);
        }
        let of_group = self.state.rejoins.iter().filter(|(_, known)| known.group == group);
        let of_group: Vec<(u64, DeviceId, Timestamp)> =
            of_group.map(|(id, known)| (*id, known.device, known.at)).collect();
        match of_group.iter().find(|(_, device, _)| *device == row.device) {
            Some((_, _, at)) if *at >= row.at => return Ok(()),
            Some((id, ..)) => _ = self.state.rejoins.remove(id),
            None if of_group.len() >= limit::REJOIN_REQUESTS => {
                self.skip(Skip::Limit);
                return Ok(());
            }
            None => {}
        }
        if row.outsider.is_some() && !self.room_for_outsider(group) {
            return Ok(());
        }
        let id = self.state.next_id();
        self.state.rejoins.insert(id, row);
        self.run.touched.insert(group);
        Ok(())
    }

    fn read_rejoin(&self, group: GroupId, live: &Live, request: &[u8]) -> Option<RejoinRow> {
        let request: RejoinRequest = codec::decode(request).ok()?;
        let body: RejoinBody = codec::decode(&request.body.body).ok()?;
        let leaf = leaf_of(live, &body).map(|(index, _)| index);
        match leaf {
            Some(index) => verified(live, index, &request.body)?,
            // Of a stranger nothing more is looked at.
            None if !self.may_be_told(live, &body) => return None,
            None => {}
        }
        let (account, device) = (body.account, body.device);
        let joiner = Joiner { account, device, key_package: request.key_package.to_vec() };
        let fits = body.group == group
            && body.package == wire_hash(&request.key_package)
            && body.at <= self.run.now.plus(limit::CLOCK_SKEW);
        if !fits {
            return None;
        }
        let package = self.judge_key_package(&joiner, live.mls.ciphersuite().into()).ok()?;
        if leaf.is_none() {
            let key: [u8; 32] = package.leaf_node().signature_key().as_slice().try_into().ok()?;
            request.body.verified(&key, Purpose::Rejoin).ok()?;
        }
        Some(RejoinRow {
            group,
            account,
            device,
            place: (body.epoch, ByteBuf::from(body.commit.to_vec())),
            new_keys: body.new_keys,
            body: request.body,
            key_package: request.key_package,
            at: body.at,
            arrived: self.run.now,
            outsider: leaf.is_none().then_some(false),
        })
    }

    /// Requests of others that a commit names, so that the askers know it for later than these.
    pub(super) fn requests_known(&self, group: &GroupId) -> Vec<ByteBuf> {
        let rows = self.state.rejoins.iter().filter(|(_, row)| row.group == *group);
        rows.map(|(_, row)| row.name()).take(PER_COMMIT).collect()
    }

    /// A commit was merged. Who stood where it was made can follow it: a request that it names is served, and one that it
    /// does not name is of somebody who stands where it leads to, its maker as well. What its maker asked before for other
    /// reasons is over, or was asked by a copy of it that stops.
    pub(super) fn rejoins_followed(
        &mut self,
        group: GroupId,
        before: (u64, [u8; 32]),
        here: (u64, [u8; 32]),
        committer: Option<DeviceId>,
        answers: &[ByteBuf],
    ) {
        let of_group = self.state.rejoins.iter().filter(|(_, row)| row.group == group);
        let of_group: Vec<(u64, RejoinRow)> = of_group.map(|(id, row)| (*id, row.clone())).collect();
        let mut open = false;
        for (id, mut row) in of_group {
            let stood = row.stands(before);
            if stood && !answers.contains(&row.name()) {
                row.place = (here.0, ByteBuf::from(here.1.to_vec()));
                self.state.rejoins.insert(id, row);
            } else if stood || committer == Some(row.device) {
                self.state.rejoins.remove(&id);
                continue;
            }
            open = true;
        }
        if open {
            self.run.touched.insert(group);
        }
    }

    /// We are out of a group: its requests are others' matter.
    pub(super) fn drop_rejoins(&mut self, group: GroupId) {
        let of_group = self.state.rejoins.iter().filter(|(_, row)| row.group == group);
        for id in of_group.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.state.rejoins.remove(&id);
        }
    }

    /// Who is to be let back in by us, now: `None` when there is nothing to do or it is not our turn. An empty one is a
    /// fresh commit for those who are where we are.
    pub(super) fn readmission(
        &mut self,
        group: GroupId,
        leavers: &BTreeSet<u32>,
    ) -> Result<Option<Readmission>> {
        let rows = self.state.rejoins.iter().filter(|(_, row)| row.group == group && row.outsider.is_none());
        let rows: Vec<(u64, RejoinRow)> = rows.map(|(id, row)| (*id, row.clone())).collect();
        // Behind the end of the log somebody may have answered already.
        if rows.is_empty() || !self.run.delivery.is_caught_up(&Source::Group(group)) {
            return Ok(None);
        }
        let Some(row) = self.state.groups.get(&group) else { return Ok(None) };
        if row.lost.as_ref().is_some_and(|lost| is_beside(lost, self.run.now)) {
            return Ok(None);
        }
        let (here, lost) = ((row.epoch, row.link.hash), row.lost.is_some());
        let (over, due, rank) = self.with_live(group, |core, live| {
            let own = live.mls.own_leaf_index().u32();
            let (mut over, mut due) = (Vec::new(), Vec::new());
            for (id, row) in &rows {
                let joiner = row.joiner();
                let package = core.judge_key_package(&joiner, live.mls.ciphersuite().into()).ok();
                let leaf = live
                    .roster
                    .iter()
                    .find(|(_, leaf)| (leaf.account, leaf.device) == (row.account, row.device));
                let revoked = core.state.log_of(&row.account).is_some_and(|log| log.is_revoked(&row.device));
                match (leaf, package) {
                    (Some((index, _)), Some(package))
                        if !revoked && *index != own && !has_key(live, *index, &package) =>
                    {
                        if !leavers.contains(index) {
                            due.push((*id, *index, package));
                        }
                    }
                    _ => over.push(*id),
                }
            }
            let askers: BTreeSet<u32> = due.iter().map(|(_, index, _)| *index).collect();
            let rank =
                turn::rank(live, |index, _| (!leavers.contains(&index)).then_some(askers.contains(&index)));
            Ok((over, due, rank))
        })?;
        for id in over {
            self.state.rejoins.remove(&id);
        }
        let mut readmission = Readmission::default();
        let mut fresh = false;
        for (id, index, package) in due {
            let Some(row) = self.state.rejoins.get(&id) else { continue };
            let standing = standing(here, lost, row);
            let Some(wait) = wait(standing, lost, rank) else { continue };
            let (device, shown) = (row.device, row.body.clone());
            let at = row.arrived.plus(wait);
            if !self.is_time(at) {
                continue;
            }
            if standing == AskerPlace::Here {
                fresh = true;
            } else if readmission.adds.len() < PER_COMMIT {
                readmission.shown.push(shown);
                readmission.adds.push((package, device));
                readmission.removes.push(index);
            }
        }
        Ok((fresh || !readmission.adds.is_empty()).then_some(readmission))
    }

    /// What could not be committed would be tried for ever.
    pub(super) fn readmission_failed(&mut self, group: GroupId) {
        self.drop_rejoins(group);
        self.skip(Skip::Rejoin);
    }
}

/// By which a commit names a request with this key package, by its SHA-256.
pub(super) fn named(package: &[u8]) -> ByteBuf {
    ByteBuf::from(package.get(..ANSWERED).unwrap_or(package).to_vec())
}

impl RejoinRow {
    /// By which a commit names it.
    fn name(&self) -> ByteBuf {
        named(&wire_hash(&self.key_package))
    }

    /// Whether its sender can follow a commit that is made in this place.
    fn stands(&self, place: (u64, [u8; 32])) -> bool {
        !self.new_keys && self.place.0 == place.0 && self.place.1.as_slice() == place.1
    }

    fn joiner(&self) -> Joiner {
        Joiner { account: self.account, device: self.device, key_package: self.key_package.to_vec() }
    }
}

#[cfg(test)]
mod tests {
    use cipher_broker::id::AccountId;

    use super::*;
    use crate::state::Denied;

    fn row(epoch: u64, commit: u8, new_keys: bool) -> RejoinRow {
        RejoinRow {
            group: GroupId::from_bytes([1; 16]),
            account: AccountId::from_bytes([1; 32]),
            device: DeviceId::from_bytes([1; 16]),
            place: (epoch, ByteBuf::from(vec![commit; 32])),
            new_keys,
            body: Signed { body: Vec::new(), signature: Vec::new() },
            key_package: ByteBuf::new(),
            at: Timestamp::default(),
            arrived: Timestamp::default(),
            outsider: None,
        }
    }

    #[test]
    fn r_rejoin_04_who_was_told_that_it_is_in_the_group_no_more_serves_nobody() {
        let now = Timestamp::from_millis(1_700_000_000_000);
        let denied = |over| Denied { by: AccountId::from_bytes([1; 32]), first: now, at: now, over };
        for (why, denied, beside) in [
            (Why::Gap, None, false),
            (Why::Gap, Some(denied(true)), true),
            // Its person insists, so it asks once more; it serves nobody all the same.
            (Why::Gap, Some(denied(false)), true),
            (Why::Unusable, Some(denied(true)), true),
            (Why::LogWentBack, None, true),
        ] {
            let lost = Lost { denied, ..Lost::noticed(why, now) };
            assert_eq!(is_beside(&lost, now), beside, "{lost:?}");
        }
    }

    #[test]
    fn whoever_is_further_on_serves_first_and_two_who_are_lost_do_not_wait_for_each_other_for_ever() {
        let here = (7, [5; 32]);
        for (row, lost, expected, first) in [
            (row(3, 1, false), false, AskerPlace::Behind, Some(Duration::ZERO)),
            (row(7, 5, false), false, AskerPlace::Here, Some(SAME_PLACE)),
            (row(7, 5, true), false, AskerPlace::Behind, Some(Duration::ZERO)),
            (row(9, 1, false), false, AskerPlace::Behind, Some(Duration::ZERO)),
            (row(3, 1, false), true, AskerPlace::Behind, Some(LAST_HOPE)),
            (row(7, 4, false), true, AskerPlace::Behind, Some(LAST_HOPE)),
            (row(7, 6, false), true, AskerPlace::Ahead, None),
            (row(9, 1, false), true, AskerPlace::Ahead, None),
            (row(7, 5, false), true, AskerPlace::Here, Some(SAME_PLACE)),
        ] {
            assert_eq!(standing(here, lost, &row), expected, "{:?} {lost}", row.place);
            assert_eq!(wait(expected, lost, Some(0)), first, "{:?} {lost}", row.place);
        }
        assert_eq!(wait(AskerPlace::Behind, false, Some(2)), Some(turn::STEP * 2));
    }
}
