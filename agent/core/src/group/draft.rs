//! What a commit is to contain: one function for each wish of a person, judged against the group as it is now.

use std::collections::BTreeSet;

use cipher_api::{ErrorKind, Hint, Result};
use cipher_broker::id::{AccountId, DeviceId, GroupId};
use cipher_broker::limit;
use cipher_broker::sign::Signed;
use cipher_broker::wire::group::{GroupData, JoinLink, JoinLinkId, Role};
use openmls::prelude::{KeyPackage, LeafNodeIndex};

use crate::group::admission::{admissible, refusal_error};
use crate::machine::Core;
use crate::state::live::Live;
use crate::state::{Joiner, Wish, roster};

/// What a commit is to contain.
#[derive(Default)]
pub(super) struct Draft {
    pub adds: Vec<KeyPackage>,
    pub joiners: Vec<DeviceId>,
    pub removes: Vec<LeafNodeIndex>,
    pub data: Option<GroupData>,
    /// Statements of accounts that allow what the own role does not.
    pub evidence: Vec<Signed>,
    /// Requests to come back that it serves.
    pub rejoins: Vec<Signed>,
    /// New keys for the own leaf, whatever else it does.
    pub rotate: bool,
}

impl Draft {
    /// New keys for the own leaf, and nothing else.
    fn rotation() -> Self {
        Self { rotate: true, ..Self::default() }
    }
}

/// A draft while it is made.
struct Drafting<'a> {
    core: &'a Core,
    group: GroupId,
    live: &'a Live,
    /// Leaves that asked to leave: their own proposals remove them, and a second removal would be invalid.
    leavers: &'a BTreeSet<u32>,
    /// Accounts in the group.
    accounts: BTreeSet<AccountId>,
    draft: Draft,
    /// The group data as it is to be.
    data: GroupData,
    /// There is something to commit although the draft holds nothing: the proposals of the leavers.
    by_proposals: bool,
}

impl Core {
    /// What a wish means in the group as it is now; `None` when there is nothing left to do.
    pub(super) fn draft(
        &self,
        group: GroupId,
        live: &Live,
        wish: Option<&Wish>,
        leavers: &BTreeSet<u32>,
    ) -> Result<Option<Draft>> {
        let mut drafting = Drafting {
            core: self,
            group,
            live,
            leavers,
            accounts: roster::accounts(&live.roster),
            draft: Draft::default(),
            data: live.data.clone(),
            by_proposals: false,
        };
        match wish {
            None => drafting.by_proposals = !leavers.is_empty(),
            Some(Wish::Refresh) => return Ok(self.needs_refresh(&group).then(Draft::rotation)),
            Some(Wish::Rotate) => return Ok(Some(Draft::rotation())),
            Some(Wish::Add(joiners)) => drafting.add(joiners)?,
            Some(Wish::Remove(accounts)) => drafting.remove(accounts),
            Some(Wish::Rename(name)) => drafting.data.name.clone_from(name),
            Some(Wish::Settings(change)) => change.apply(&mut drafting.data.settings),
            Some(Wish::Devices { joiners }) => drafting.devices(joiners),
            Some(Wish::Link { id, link: Some(link) }) => drafting.link(*id, link)?,
            Some(Wish::Link { id, link: None }) => _ = drafting.data.links.remove(id),
            Some(Wish::Admit { link, joiner }) => drafting.admit(link, joiner)?,
            Some(Wish::Ban { accounts, lift: true }) => {
                drafting.data.banned.retain(|account| !accounts.contains(account));
            }
            Some(Wish::Ban { accounts, lift: false }) => drafting.ban(accounts),
            Some(Wish::Role(account, role)) => drafting.role(account, *role)?,
        }
        Ok(drafting.done())
    }
}

impl Drafting<'_> {
    fn done(mut self) -> Option<Draft> {
        let changes = self.data != self.live.data;
        let wanted =
            changes || self.by_proposals || !self.draft.adds.is_empty() || !self.draft.removes.is_empty();
        self.draft.data = changes.then_some(self.data);
        wanted.then_some(self.draft)
    }

    fn add(&mut self, joiners: &[Joiner]) -> Result<()> {
        let devices: BTreeSet<_> =
            self.live.roster.values().map(|leaf| (leaf.account, leaf.device)).collect();
        for joiner in joiners.iter().filter(|joiner| !devices.contains(&(joiner.account, joiner.device))) {
            self.must_not_be_banned(&joiner.account)?;
            let known = self.accounts.contains(&joiner.account);
            self.add_one(joiner)?;
            if !known {
                self.forget_role(&joiner.account);
            }
        }
        if self.live.roster.len().saturating_add(self.draft.adds.len()) > limit::MEMBERS {
            return Err(ErrorKind::Limit.because(format!("a group has at most {} devices", limit::MEMBERS)));
        }
        Ok(())
    }

    fn add_one(&mut self, joiner: &Joiner) -> Result<()> {
        let suite = self.live.mls.ciphersuite().into();
        self.draft.adds.push(self.core.judge_key_package(joiner, suite)?);
        self.draft.joiners.push(joiner.device);
        Ok(())
    }

    /// A role of an earlier membership. Only an owner may change roles; for anybody else's commit the rules ignore it.
    fn forget_role(&mut self, account: &AccountId) {
        if self.live.data.role_of(&self.core.state.own_id()) == Role::Owner {
            self.data.roles.remove(account);
        }
    }

    fn remove(&mut self, accounts: &[AccountId]) {
        let gone = self.remove_leaves(accounts);
        self.by_proposals = !gone.is_empty();
        for account in gone {
            self.forget_role(&account);
        }
    }

    /// Removes the leaves of accounts; which of the accounts are in the group.
    fn remove_leaves(&mut self, accounts: &[AccountId]) -> BTreeSet<AccountId> {
        let mut gone = BTreeSet::new();
        for (index, leaf) in self.live.roster.iter().filter(|(_, leaf)| accounts.contains(&leaf.account)) {
            gone.insert(leaf.account);
            if !self.leavers.contains(index) {
                self.draft.removes.push(LeafNodeIndex::new(*index));
            }
        }
        gone
    }

    fn devices(&mut self, joiners: &[Joiner]) {
        let changes = self.core.device_changes(self.live, joiners, self.leavers);
        for (package, device) in changes.adds {
            self.draft.adds.push(package);
            self.draft.joiners.push(device);
        }
        self.draft.removes.extend(changes.removes.into_iter().map(LeafNodeIndex::new));
        self.draft.evidence = changes.evidence;
    }

    fn link(&mut self, id: JoinLinkId, link: &JoinLink) -> Result<()> {
        let now = self.core.run.now;
        self.data.links.retain(|_, link| link.expires > now);
        if self.data.links.len() >= limit::JOIN_LINKS {
            return Err(ErrorKind::Limit
                .because(format!("a group has at most {} links", limit::JOIN_LINKS))
                .hint(Hint::InviteRevoke { group: self.core.typed(&self.group) }));
        }
        self.data.links.insert(id, link.clone());
        Ok(())
    }

    fn admit(&mut self, id: &JoinLinkId, joiner: &Joiner) -> Result<()> {
        if self.accounts.contains(&joiner.account) {
            return Ok(());
        }
        admissible(&self.live.data, id, &joiner.account, self.core.run.now).map_err(refusal_error)?;
        self.add_one(joiner)?;
        self.forget_role(&joiner.account);
        if let Some(uses) = self.data.links.get_mut(id).and_then(|link| link.uses.as_mut()) {
            *uses = uses.saturating_sub(1);
        }
        Ok(())
    }

    fn ban(&mut self, accounts: &[AccountId]) {
        self.remove_leaves(accounts);
        for account in accounts {
            self.data.banned.insert(*account);
            self.forget_role(account);
        }
    }

    fn role(&mut self, account: &AccountId, role: Role) -> Result<()> {
        if !self.accounts.contains(account) {
            return Err(ErrorKind::NotFound.because("the account is not a member of this group any more"));
        }
        match role {
            Role::Member => self.data.roles.remove(account),
            Role::Admin | Role::Owner => self.data.roles.insert(*account, role),
        };
        Ok(())
    }

    /// R-COMMIT-18 in words, before the commit is made.
    fn must_not_be_banned(&self, account: &AccountId) -> Result<()> {
        if !self.live.data.banned.contains(account) {
            return Ok(());
        }
        let handle = self.core.state.handle_of(account);
        Err(ErrorKind::Refused
            .because(format!("@{handle} is banned from this group"))
            .hint(Hint::GroupUnban { group: self.core.typed(&self.group), who: handle }))
    }
}
