//! `authorize`: whether an ordered commit may be merged.
//!
//! A pure function of group state and commit: no clock, no registry, no local setting. Every member must come to
//! the same answer, else honest members fork (RFC 9420 §14, §16.12). OpenMLS checks signatures and the tree; it
//! does not bind credentials to people nor know roles, so this does. Rules carry the ids of `docs/RULES.md`.

use std::collections::BTreeSet;

use cipher_broker::id::{AccountId, DeviceId};
use cipher_broker::limit;
use cipher_broker::wire::group::{GroupData, JoinLink, JoinLinkId, Role, Settings};
use cipher_broker::wire::join::link_id;

use crate::group::evidence::ShownStatement;
use crate::state::name::{is_group_name, is_topic};
use crate::state::roster::{self, Leaf, Roster};

/// What a commit does, reduced to what rules speak about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CommitFacts {
    /// Who made it.
    pub sender: Committer,
    /// Devices it adds, each with what its certificate proves.
    pub adds: Vec<Result<Leaf, String>>,
    /// Leaves it removes: index and who proposed it.
    pub removes: Vec<(u32, Proposer)>,
    /// By-reference updates: leaf index and the new leaf.
    pub updates: Vec<(u32, Result<Leaf, String>)>,
    /// The new leaf of the committer, when the commit has a path.
    pub path: Option<Result<Leaf, String>>,
    /// Group data afterwards; `None` when it is missing or malformed.
    pub data_after: Option<GroupData>,
    /// Whether anything else in the GroupContext extensions changed.
    pub other_extensions_changed: bool,
    /// Whether GroupContext extensions were proposed by somebody else than the committer.
    pub foreign_extensions_proposal: bool,
    /// Name of a proposal type that is never allowed here, if there is one.
    pub forbidden: Option<&'static str>,
    /// What the commit shows of its accounts' statements, verified.
    pub evidence: Vec<ShownStatement>,
    /// Requests to come back that it serves, verified: the key package that each names is among the adds.
    pub rejoins: Vec<Rejoin>,
}

impl CommitFacts {
    /// R-COMMIT-19: whether a leaf goes only to come back at once by its own device's wish.
    fn comes_back(&self, index: u32, leaf: &Leaf) -> bool {
        let asked = self.rejoins.iter().any(|rejoin| {
            rejoin.index == index && (rejoin.account, rejoin.device) == (leaf.account, leaf.device)
        });
        asked
            && self.removes.contains(&(index, Proposer::Committer))
            && self.adds.iter().flatten().any(|new| (new.account, new.device) == (leaf.account, leaf.device))
    }

    /// Accounts whose removal is their own wish.
    pub(super) fn leavers(&self, roster: &Roster) -> BTreeSet<AccountId> {
        let asked = self.removes.iter().filter(|(index, proposer)| *proposer == Proposer::Member(*index));
        asked.filter_map(|(index, _)| roster.get(index).map(|leaf| leaf.account)).collect()
    }
}

/// A device that asked to come back, signed by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rejoin {
    /// Its leaf until now.
    pub index: u32,
    pub account: AccountId,
    pub device: DeviceId,
}

/// Who made a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Committer {
    /// A member.
    Member(u32),
    /// Somebody outside, by an external commit.
    Outsider,
}

/// Who proposed something that a commit contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proposer {
    /// The committer itself, in the commit.
    Committer,
    /// A member, by reference.
    Member(u32),
    /// Anybody else.
    Other,
}

/// Why a commit is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    /// Rule of `docs/RULES.md`.
    pub rule: &'static str,
    /// One sentence.
    pub reason: String,
}

fn refuse<T>(rule: &'static str, reason: impl Into<String>) -> Result<T, Refused> {
    Err(Refused { rule, reason: reason.into() })
}

/// Judges a commit. `Ok` means: merge it.
pub(super) fn authorize(roster: &Roster, data: &GroupData, facts: &CommitFacts) -> Result<(), Refused> {
    // R-COMMIT-07: no PSK, ReInit, external init by members, custom or unknown proposals.
    if let Some(name) = facts.forbidden {
        return refuse("R-COMMIT-07", format!("proposals of type {name} are not used here"));
    }
    let sender = match facts.sender {
        Committer::Outsider => return resync(roster, data, facts),
        Committer::Member(index) => match roster.get(&index) {
            Some(leaf) => leaf,
            // R-COMMIT-01: a commit comes from a member.
            None => return refuse("R-COMMIT-01", "the committer is not a member"),
        },
    };
    same_device("R-COMMIT-02", sender, facts.path.as_ref())?;
    for (index, leaf) in &facts.updates {
        let Some(old) = roster.get(index) else {
            return refuse("R-COMMIT-08", "an update is for an empty leaf");
        };
        same_device("R-COMMIT-08", old, Some(leaf))?;
    }
    let role = data.role_of(&sender.account);
    removes(roster, data, sender, role, facts)?;
    adds(roster, data, sender, role, facts)?;
    group_data(roster, data, role, facts)?;
    settings(data, role, facts)?;
    links(roster, data, sender, role, facts)?;
    bans(roster, data, role, facts)
}

/// R-COMMIT-02 and R-COMMIT-08: a leaf is only ever replaced by a leaf of the same account and device, with a
/// valid certificate that is not older.
fn same_device(rule: &'static str, old: &Leaf, new: Option<&Result<Leaf, String>>) -> Result<(), Refused> {
    match new {
        None => Ok(()),
        Some(Err(reason)) => refuse(rule, reason.clone()),
        Some(Ok(new)) if (new.account, new.device) != (old.account, old.device) => {
            refuse(rule, "a member tries to take another identity")
        }
        Some(Ok(new)) if new.serial < old.serial => refuse(rule, "a member shows an older certificate"),
        Some(Ok(_)) => Ok(()),
    }
}

/// R-COMMIT-05, R-COMMIT-13, R-COMMIT-16, R-COMMIT-19: who may remove whom.
fn removes(
    roster: &Roster,
    data: &GroupData,
    sender: &Leaf,
    role: Role,
    facts: &CommitFacts,
) -> Result<(), Refused> {
    let leavers = facts.leavers(roster);
    for (index, proposer) in &facts.removes {
        let Some(target) = roster.get(index) else {
            return refuse("R-COMMIT-05", "a removed leaf is empty");
        };
        let by_itself = match proposer {
            // A leaf that asked for it may be removed by anybody, with every leaf of its account: that is how members
            // leave.
            Proposer::Member(by) => by == index,
            Proposer::Committer => target.account == sender.account || leavers.contains(&target.account),
            Proposer::Other => return refuse("R-COMMIT-05", "a removal was proposed from outside"),
        };
        let outranks = role >= Role::Admin && (role == Role::Owner || role > data.role_of(&target.account));
        let by_committer = *proposer == Proposer::Committer;
        // R-COMMIT-19: anybody lets a device that lost its place come back, showing that it asked.
        if by_itself || (by_committer && outranks) || facts.comes_back(*index, target) {
            continue;
        }
        // R-COMMIT-13: anybody may remove a device that its own account revoked, showing that it did.
        let shown: Vec<&ShownStatement> =
            facts.evidence.iter().filter(|shown| shown.revokes(target)).collect();
        if !by_committer || shown.is_empty() {
            return refuse("R-COMMIT-05", "the committer's role does not allow to remove this member");
        }
        if !shown.iter().any(|shown| stays(roster, facts, target, shown)) {
            return refuse("R-COMMIT-16", "a recovered account would be put out of the group");
        }
    }
    Ok(())
}

/// R-COMMIT-16: a recovery that somebody else carries out brings the account's new device too, unless another of its
/// leaves stays, or the account revoked the recovered device since. Else anybody could put the account out with it.
fn stays(roster: &Roster, facts: &CommitFacts, target: &Leaf, shown: &ShownStatement) -> bool {
    let Some(recovered) = shown.recovered() else { return true };
    let removed = |index: &u32| facts.removes.iter().any(|(removed, _)| removed == index);
    let ours = |leaf: &Leaf| leaf.account == target.account;
    roster.iter().any(|(index, leaf)| ours(leaf) && !removed(index))
        || facts.adds.iter().flatten().any(ours)
        || facts.evidence.iter().any(|shown| shown.names(&target.account, &recovered))
}

/// R-COMMIT-14: a recovered account comes back by anybody who is there, with exactly the device that its recovery
/// names, if it has or had until this commit a leaf that did not ask to leave.
fn returns(roster: &Roster, facts: &CommitFacts, leaf: &Leaf) -> bool {
    let left = |index: &u32| facts.removes.contains(&(*index, Proposer::Member(*index)));
    facts.evidence.iter().any(|shown| shown.brings(leaf))
        && roster.iter().any(|(index, old)| old.account == leaf.account && !left(index))
}

/// R-COMMIT-03, R-COMMIT-04, R-COMMIT-10, R-COMMIT-11, R-COMMIT-12, R-COMMIT-14, R-COMMIT-15: who may add whom.
fn adds(
    roster: &Roster,
    data: &GroupData,
    sender: &Leaf,
    role: Role,
    facts: &CommitFacts,
) -> Result<(), Refused> {
    let removed: BTreeSet<u32> = facts.removes.iter().map(|(index, _)| *index).collect();
    let staying = || roster.iter().filter(|(index, _)| !removed.contains(index)).map(|(_, leaf)| leaf);
    let mut devices: BTreeSet<(AccountId, DeviceId)> = staying().map(|l| (l.account, l.device)).collect();
    let accounts: BTreeSet<AccountId> = staying().map(|l| l.account).collect();
    let present = roster::accounts(roster);
    let mut added = BTreeSet::new();
    for add in &facts.adds {
        let leaf = match add {
            Ok(leaf) => leaf,
            Err(reason) => return refuse("R-COMMIT-03", reason.clone()),
        };
        // R-COMMIT-18: nobody brings a banned account back, not even in the commit that lifts the ban.
        let banned = |data: &GroupData| data.banned.contains(&leaf.account);
        if banned(data) || facts.data_after.as_ref().is_some_and(banned) {
            return refuse("R-COMMIT-18", "the account is banned from this group");
        }
        // R-COMMIT-15: a personal group has the devices of one account.
        if data.personal && present.iter().any(|account| *account != leaf.account) {
            return refuse("R-COMMIT-15", "nobody else can be added to the group of somebody's own devices");
        }
        let same = |old: &Leaf| (old.account, old.device) == (leaf.account, leaf.device);
        if returns(roster, facts, leaf) {
            // R-COMMIT-14: nobody's role is asked for.
        } else if roster.iter().any(|(index, old)| same(old) && facts.comes_back(*index, old)) {
            // R-COMMIT-19: nor here: who is in the group stays the same.
        } else if accounts.contains(&leaf.account) {
            // R-COMMIT-04: a further device of an account comes from that account or an admin.
            if leaf.account != sender.account && role < Role::Admin {
                return refuse("R-COMMIT-04", "only its account or an admin may add a further device");
            }
        } else {
            if role < data.may_add {
                return refuse("R-COMMIT-03", "the committer's role does not allow to add members");
            }
            // R-COMMIT-12: a role left over from earlier membership comes back by an owner only.
            let after = facts.data_after.as_ref().unwrap_or(data);
            if after.role_of(&leaf.account) > Role::Member && role < Role::Owner {
                return refuse("R-COMMIT-12", "only an owner may add an account that holds a role");
            }
            added.insert(leaf.account);
        }
        // R-COMMIT-10: each device once.
        if !devices.insert((leaf.account, leaf.device)) {
            return refuse("R-COMMIT-10", "a device would be in the group twice");
        }
    }
    if facts.adds.len() > limit::ADDS_PER_COMMIT || devices.len() > limit::MEMBERS {
        return refuse("R-COMMIT-10", "the group or the commit would be too large");
    }
    // R-COMMIT-11: a direct conversation is its maker and one other account, for ever, each with all its devices.
    if data.direct
        && !added.is_empty()
        && (present.len() > 1 || accounts.len().saturating_add(added.len()) > 2)
    {
        return refuse("R-COMMIT-11", "nobody can be added to a direct conversation");
    }
    Ok(())
}

/// R-COMMIT-06: what may change in the group data, and by whom.
fn group_data(roster: &Roster, data: &GroupData, role: Role, facts: &CommitFacts) -> Result<(), Refused> {
    const RULE: &str = "R-COMMIT-06";
    let Some(after) = &facts.data_after else {
        return refuse(RULE, "the group data is missing or malformed");
    };
    if facts.other_extensions_changed {
        return refuse(RULE, "extensions other than the group data were changed");
    }
    if after == data {
        return Ok(());
    }
    if facts.foreign_extensions_proposal {
        return refuse(RULE, "group data can only be changed by the committer itself");
    }
    if after.version < data.version {
        return refuse(RULE, "the version of the group data was lowered");
    }
    if after.direct != data.direct {
        return refuse(RULE, "a group cannot turn into a direct conversation or back");
    }
    // R-COMMIT-15
    if after.personal != data.personal {
        return refuse("R-COMMIT-15", "a group cannot turn into one of somebody's own devices or back");
    }
    if after.name != data.name {
        if role < data.may_rename {
            return refuse(RULE, "the committer's role does not allow to rename");
        }
        // R-NAME-03
        if data.direct || !is_group_name(&after.name) {
            return refuse(RULE, "the new name is not one that a group can have");
        }
    }
    let powers = |d: &GroupData| (d.roles.clone(), d.may_add, d.may_rename, d.may_resync, d.version);
    if powers(after) != powers(data) {
        if role < Role::Owner {
            return refuse(RULE, "only an owner may change roles and policy");
        }
        let members = roster::accounts(roster);
        if !after.roles.iter().any(|(account, role)| *role == Role::Owner && members.contains(account)) {
            return refuse(RULE, "a group keeps at least one owner");
        }
    }
    Ok(())
}

/// R-COMMIT-20: what a group is about is for those who may rename it, what it wants of messages for admins. The two of a
/// direct conversation are equal there, and have neither topic nor ranks.
fn settings(data: &GroupData, role: Role, facts: &CommitFacts) -> Result<(), Refused> {
    const RULE: &str = "R-COMMIT-20";
    let Some(after) = facts.data_after.as_ref().filter(|after| after.settings != data.settings) else {
        return Ok(());
    };
    let (topic, had) = (&after.settings.topic, &data.settings.topic);
    if topic != had && (role < data.may_rename || !is_topic(topic)) {
        return refuse(
            RULE,
            "the committer's role does not allow this topic, or it is none that a group can have",
        );
    }
    let wants = |settings: &Settings| Settings { topic: String::new(), ..settings.clone() };
    if data.direct {
        let Settings { topic, may_delete, may_pin, may_grant, .. } = &after.settings;
        if !topic.is_empty() || may_delete.is_some() || may_pin.is_some() || may_grant.is_some() {
            return refuse(RULE, "a direct conversation has neither topic nor ranks");
        }
    } else if wants(&after.settings) != wants(&data.settings) && role < Role::Admin {
        return refuse(RULE, "only an admin may change what the group wants of messages");
    }
    Ok(())
}

/// R-COMMIT-17: links to join by come from who may add, go by who may add or an admin, and change in nothing but
/// how often they may still be used: downwards, with the accounts that the same commit adds.
fn links(
    roster: &Roster,
    data: &GroupData,
    sender: &Leaf,
    role: Role,
    facts: &CommitFacts,
) -> Result<(), Refused> {
    const RULE: &str = "R-COMMIT-17";
    let Some(after) = facts.data_after.as_ref().filter(|after| after.links != data.links) else {
        return Ok(());
    };
    if data.direct || data.personal {
        return refuse(RULE, "nobody joins this conversation by a link");
    }
    if after.links.len() > limit::JOIN_LINKS {
        return refuse(RULE, "the group would have too many links");
    }
    if data.links.keys().any(|id| !after.links.contains_key(id)) && role < data.may_add && role < Role::Admin
    {
        return refuse(RULE, "the committer's role does not allow to revoke a link");
    }
    let present = roster::accounts(roster);
    let newcomers: BTreeSet<AccountId> =
        facts.adds.iter().flatten().map(|leaf| leaf.account).filter(|a| !present.contains(a)).collect();
    let mut used = 0u64;
    for (id, link) in &after.links {
        used = used.saturating_add(match data.links.get(id) {
            None if role < data.may_add => {
                return refuse(RULE, "the committer's role does not allow to make a link");
            }
            None if !is_sound(id, link, sender) => return refuse(RULE, "a new link is not what it must be"),
            None => 0,
            Some(before) => match uses_taken(before, link) {
                Some(taken) => u64::from(taken),
                None => return refuse(RULE, "a link was changed"),
            },
        });
    }
    if used > newcomers.len() as u64 {
        return refuse(RULE, "a link was used without letting anybody in");
    }
    Ok(())
}

/// Whether a link that a commit makes is found by its secret, is its maker's, and can be used.
fn is_sound(id: &JoinLinkId, link: &JoinLink, maker: &Leaf) -> bool {
    link_id(&link.secret) == *id && link.by == maker.account && link.uses != Some(0)
}

/// By how much a link's uses went down; `None` when they went up or anything else changed.
fn uses_taken(before: &JoinLink, after: &JoinLink) -> Option<u32> {
    let same = JoinLink { uses: before.uses, ..after.clone() } == *before;
    match (before.uses, after.uses) {
        _ if !same => None,
        (Some(before), Some(after)) => before.checked_sub(after),
        (None, None) => Some(0),
        _ => None,
    }
}

/// R-COMMIT-18: an admin bans whom it outranks and who is not in the group afterwards, an owner anybody; an admin
/// lifts a ban. Who is banned is added by nobody (see [`adds`]).
fn bans(roster: &Roster, data: &GroupData, role: Role, facts: &CommitFacts) -> Result<(), Refused> {
    const RULE: &str = "R-COMMIT-18";
    let Some(after) = facts.data_after.as_ref().filter(|after| after.banned != data.banned) else {
        return Ok(());
    };
    if role < Role::Admin {
        return refuse(RULE, "the committer's role does not allow to ban or to lift a ban");
    }
    if data.direct || data.personal {
        return refuse(RULE, "nobody is banned from this conversation");
    }
    if after.banned.len() > limit::BANNED {
        return refuse(RULE, "the group would have too many banned accounts");
    }
    let removed: BTreeSet<u32> = facts.removes.iter().map(|(index, _)| *index).collect();
    for account in after.banned.difference(&data.banned) {
        if role < Role::Owner && data.role_of(account) >= role {
            return refuse(RULE, "the committer's role does not allow to ban this account");
        }
        if roster.iter().any(|(index, leaf)| leaf.account == *account && !removed.contains(index)) {
            return refuse(RULE, "a banned account would stay in the group");
        }
    }
    Ok(())
}

/// R-COMMIT-09: an external commit only brings one's own leaf back, where the group allows it.
fn resync(roster: &Roster, data: &GroupData, facts: &CommitFacts) -> Result<(), Refused> {
    const RULE: &str = "R-COMMIT-09";
    let leaf = match &facts.path {
        Some(Ok(leaf)) => leaf,
        Some(Err(reason)) => return refuse(RULE, reason.clone()),
        None => return refuse(RULE, "an external commit without a leaf"),
    };
    let [(removed, _)] = facts.removes.as_slice() else {
        return refuse(RULE, "an external commit may only replace its own leaf");
    };
    let same = roster.get(removed).is_some_and(|old| {
        (old.account, old.device) == (leaf.account, leaf.device) && leaf.serial >= old.serial
    });
    if !data.may_resync || !same || !facts.adds.is_empty() || !facts.updates.is_empty() {
        return refuse(RULE, "an external commit may only replace its own leaf, where the group allows it");
    }
    if facts.data_after.as_ref() != Some(data) || facts.other_extensions_changed {
        return refuse(RULE, "an external commit may not change the group data");
    }
    Ok(())
}

#[cfg(test)]
#[path = "policy_test.rs"]
mod tests;
