//! Rows as people see them, and targets as people name them.

use std::collections::BTreeMap;

use cipher_api::view::{GroupState, GroupView, MemberView, SettingsView};
use cipher_api::{Error, ErrorKind, Hint, Reply, Result, Target};
use cipher_broker::handle::Handle;
use cipher_broker::id::GroupId;

use crate::group::settings::settings_view;
use crate::machine::Core;
use crate::state::GroupRow;
use crate::state::muted_view;

/// Members of an invitation that a list shows.
const LISTED: usize = 32;

impl Core {
    /// The conversation a person means. R-NAME-01: a name that fits two groups is refused, never guessed.
    pub(crate) fn resolve(&self, target: &Target) -> Result<GroupId> {
        self.state.identity()?;
        let known = |group: &GroupId| {
            self.state.groups.get(group).is_some_and(|row| !row.personal)
                || self.state.invites.get(group).is_some_and(|invite| self.state.is_shown(invite))
        };
        match target {
            Target::Group(group) if known(group) => Ok(*group),
            Target::Group(group) => Err(not_found(&group.to_string())),
            Target::Account(handle) => {
                let direct = self.state.account_of(handle).and_then(|account| {
                    self.state
                        .direct_with(&account)
                        .or_else(|| self.state.direct_invite_of(&account))
                        .or_else(|| self.past_direct_with(&account))
                });
                direct.ok_or_else(|| {
                    ErrorKind::NotFound
                        .because(format!("there is no conversation with @{handle} yet"))
                        .hint(Hint::MessageSend { handle: handle.clone() })
                })
            }
            Target::Name(name) => self.by_name(name),
        }
    }

    fn by_name(&self, name: &str) -> Result<GroupId> {
        let groups =
            self.state.groups.iter().filter(|(_, row)| !row.direct && !row.personal && row.called() == name);
        let (current, past): (Vec<_>, Vec<_>) =
            groups.partition(|(_, row)| !matches!(row.state, GroupState::Left | GroupState::Removed));
        let mut found: Vec<GroupId> = current.into_iter().map(|(group, _)| *group).collect();
        // An invitation never gets between a person and a group of theirs: anybody can make one of any name.
        if found.is_empty() {
            found = self.invited_by_name(name);
        }
        if found.is_empty() {
            found = past.into_iter().map(|(group, _)| *group).collect();
        }
        match found.as_slice() {
            [group] => Ok(*group),
            [] => Err(self.no_group_named(name)),
            several => Err(ErrorKind::Usage
                .because(format!("{} groups are named '{name}'", several.len()))
                .hint(Hint::GroupListIds)),
        }
    }

    /// D07: a handle without its `@` names a group, and there is none; nor does it match in another case.
    fn no_group_named(&self, name: &str) -> Error {
        let shown = |row: &&GroupRow| !row.direct && !row.personal;
        let rows = self.state.groups.iter().map(|(_, row)| row).filter(shown);
        let alike =
            rows.map(|row| row.name.as_str()).find(|known| known.to_lowercase() == name.to_lowercase());
        let error = not_found(name);
        match (alike, name.to_ascii_lowercase().parse::<Handle>()) {
            (Some(alike), _) => error.hint(Hint::GroupAlike { name: alike.into() }),
            (None, Ok(handle)) => error.hint(Hint::GroupOrHandle { handle }),
            (None, Err(_)) => error,
        }
    }

    /// Waiting invitations to groups of this name.
    pub(super) fn invited_by_name(&self, name: &str) -> Vec<GroupId> {
        let fits = |invite: &crate::state::InviteRow| {
            self.state.is_shown(invite)
                && invite.known.as_ref().is_some_and(|known| !known.direct && known.name == *name)
        };
        self.state.invites.iter().filter(|(_, invite)| fits(invite)).map(|(group, _)| *group).collect()
    }

    fn past_direct_with(&self, account: &cipher_broker::id::AccountId) -> Option<GroupId> {
        self.state
            .groups
            .iter()
            .find(|(_, row)| row.direct && row.peer == Some(*account))
            .map(|(group, _)| *group)
    }

    pub(super) fn group_reply(&mut self, group: GroupId) -> Result<Reply> {
        Ok(Reply::Group(Box::new(self.group_view(group)?)))
    }

    pub(super) fn group_show(&mut self, target: &Target) -> Result<Reply> {
        let group = self.resolve(target)?;
        self.group_reply(group)
    }

    pub(super) fn group_list(&mut self) -> Result<Reply> {
        self.state.identity()?;
        let groups = self.state.groups.iter().filter(|(_, row)| !row.personal);
        let invites = self.state.invites.iter().filter(|(_, invite)| self.state.is_shown(invite));
        let mut ids: Vec<GroupId> =
            groups.map(|(group, _)| *group).chain(invites.map(|(group, _)| *group)).collect();
        ids.sort();
        ids.dedup();
        let mut views = Vec::new();
        for group in ids {
            // An invitation says what it likes: listing counts, and does not look at thousands of members.
            let invited = self.invite_view(&group, LISTED);
            views.push(invited.map_or_else(|| self.group_view(group), Ok)?);
        }
        Ok(Reply::Groups(views))
    }

    /// A group as a person sees it.
    pub(crate) fn group_view(&mut self, group: GroupId) -> Result<GroupView> {
        if let Some(view) = self.invite_view(&group, usize::MAX) {
            return Ok(view);
        }
        let row = self.state.groups.get(&group).ok_or_else(|| not_found(&group.to_string()))?.clone();
        let mut view = GroupView {
            id: group,
            name: self.state.conversation_name(&group),
            epoch: row.epoch,
            members: Vec::new(),
            accounts: 0,
            direct: row.direct,
            unread: row.unread,
            mentions: row.mentions,
            state: row.state,
            invited_by: None,
            suite: row.suite,
            authenticator: String::new(),
            banned: Vec::new(),
            links: 0,
            recovering: self.recovering_view(&group),
            settings: SettingsView::default(),
            muted: row
                .muted
                .filter(|muted| muted.until.is_none_or(|until| self.run.now < until))
                .map(muted_view),
        };
        if self.state.is_member(&group) {
            self.with_live(group, |core, live| {
                view.members = core.members(live);
                view.accounts = view.members.len();
                view.banned = live.data.banned.iter().map(|account| core.state.handle_of(account)).collect();
                view.links = live.data.links.len();
                view.settings = settings_view(&live.data.settings);
                let code = live.mls.epoch_authenticator().as_slice();
                view.authenticator = code.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
                Ok(())
            })?;
        }
        Ok(view)
    }

    fn members(&self, live: &crate::state::live::Live) -> Vec<MemberView> {
        let warning = self.name_warnings();
        let mut members: BTreeMap<_, MemberView> = BTreeMap::new();
        for leaf in live.roster.values() {
            let member = members.entry(leaf.account).or_insert_with(|| MemberView {
                handle: self.state.handle_of(&leaf.account),
                account_id: leaf.account,
                role: live.data.role_of(&leaf.account),
                kind: leaf.kind,
                devices: 0,
                owner: leaf.owner.as_ref().map(|owner| self.state.handle_of(owner)),
                trust: self.state.accounts.get(&leaf.account).map(|row| row.trust),
                warning: warning(&leaf.account),
            });
            member.devices = member.devices.saturating_add(1);
        }
        let mut members: Vec<MemberView> = members.into_values().collect();
        members.sort_by(|a, b| b.role.cmp(&a.role).then_with(|| a.handle.cmp(&b.handle)));
        members
    }

    fn invite_view(&self, group: &GroupId, most: usize) -> Option<GroupView> {
        let invite = self.state.invites.get(group).filter(|invite| self.state.is_shown(invite))?;
        let known = invite.known.as_ref()?;
        let inviter = self.state.handle_of(&known.inviter);
        let warning = self.name_warnings();
        // The inviter first: it is what a person decides by.
        let by = known.members.iter().filter(|member| member.0 == known.inviter);
        let others = known.members.iter().filter(|member| member.0 != known.inviter);
        let members = by.chain(others).take(most).map(|(account, role, kind, devices)| MemberView {
            handle: self.state.handle_of(account),
            account_id: *account,
            role: *role,
            kind: *kind,
            devices: *devices as usize,
            owner: None,
            trust: self.state.accounts.get(account).map(|row| row.trust),
            warning: warning(account),
        });
        Some(GroupView {
            id: *group,
            name: if known.direct { format!("@{inviter}") } else { known.name.clone() },
            epoch: invite.epoch,
            members: members.collect(),
            accounts: known.members.len(),
            direct: known.direct,
            unread: 0,
            mentions: 0,
            state: GroupState::Invited,
            invited_by: inviter.parse().ok(),
            suite: known.suite,
            authenticator: String::new(),
            banned: Vec::new(),
            links: 0,
            recovering: None,
            settings: SettingsView::default(),
            muted: None,
        })
    }

    /// A conversation as one types it into a command: its name if that is plain and means this one only, else its id.
    /// What somebody else called a group must not act in a command that is copied to a shell.
    pub(super) fn typed(&self, group: &GroupId) -> Target {
        let name = self.state.conversation_name(group);
        let word = name.strip_prefix('@').unwrap_or(&name);
        let plain = word.starts_with(|c: char| c.is_ascii_alphanumeric())
            && word.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
        let meant = |target: &Target| self.resolve(target).is_ok_and(|found| found == *group);
        let named = Target::parse(&name).ok().filter(|target| plain && meant(target));
        named.unwrap_or(Target::Group(*group))
    }
}

pub(super) fn not_found(name: &str) -> Error {
    ErrorKind::NotFound.because(format!("there is no group '{name}' here")).hint(Hint::GroupList)
}
