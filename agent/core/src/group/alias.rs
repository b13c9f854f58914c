//! What conversations are called here. A name never silently changes its meaning (R-NAME-02): who names a group, or
//! makes one that this account joins by itself, does not decide what is meant by a word that is typed here.

use cipher_api::{ErrorKind, Hint, Notice, Reply, Result, Target};
use cipher_broker::id::GroupId;
use cipher_broker::limit;
use cipher_broker::wire::sync::{Muted, SyncNote};

use crate::group::create::check_name;
use crate::machine::Core;
use crate::state::Taken;

impl Core {
    /// R-NAME-02: a group whose name means another one here gets another name here, and the person is told.
    pub(super) fn keep_names_apart(&mut self, group: GroupId, taken: Taken) {
        let Some(row) = self.state.groups.get(&group) else { return };
        let name = row.called().to_owned();
        if row.direct || row.personal || !self.state.is_taken(&name, &group, taken) {
            return;
        }
        let short: String = name.chars().take(limit::GROUP_NAME_CHARS.saturating_sub(8)).collect();
        let free = (2_u32..)
            .map(|n| format!("{short}-{n}"))
            .find(|alias| !self.state.is_taken(alias, &group, Taken::ByAny));
        let Some(alias) = free else { return };
        if let Some(row) = self.state.groups.get_mut(&group) {
            row.alias = Some(alias.clone());
        }
        self.run.changed.insert(group);
        self.warn(Notice::SameName { group, name, alias });
    }

    /// Gives a group a name of one's own, on all own devices; an empty one brings its own name back.
    pub(super) fn group_alias(&mut self, target: &Target, name: &str) -> Result<Reply> {
        let group = self.resolve(target)?;
        let Some(row) = self.state.groups.get(&group) else {
            return Err(ErrorKind::Refused
                .because("this is an invitation that was not accepted yet")
                .hint(Hint::GroupAccept { group: group.into() }));
        };
        if row.direct {
            return Err(ErrorKind::Refused.because("a direct conversation is called by the other's handle"));
        }
        let alias = if name.is_empty() { None } else { Some(name.to_owned()) };
        if alias.is_some() {
            check_name(name)?;
        }
        let called = alias.clone().unwrap_or_else(|| row.name.clone());
        if self.state.is_taken(&called, &group, Taken::ByAny) {
            return Err(ErrorKind::Conflict
                .because(format!("there is a group called '{called}' here already"))
                .hint(Hint::GroupListNames));
        }
        if let Some(row) = self.state.groups.get_mut(&group) {
            row.alias = alias.filter(|alias| *alias != row.name);
        }
        // Other front ends of this device call it so from now on.
        self.run.changed.insert(group);
        self.tell_devices(&SyncNote::Called { group, name: name.to_owned() })?;
        self.group_reply(group)
    }

    /// What of a conversation is told to the person, on all own devices; `None`: everything.
    pub(super) fn group_mute(&mut self, target: &Target, muted: Option<Muted>) -> Result<Reply> {
        let group = self.resolve(target)?;
        if self.state.groups.get(&group).is_none() {
            return Err(ErrorKind::Refused
                .because("this is an invitation that was not accepted yet")
                .hint(Hint::GroupAccept { group: group.into() }));
        }
        if muted.and_then(|muted| muted.until).is_some_and(|until| until <= self.run.now) {
            return Err(ErrorKind::Usage.because("the time until which it is muted is over"));
        }
        if self.state.told_muted(group, muted) {
            self.run.changed.insert(group);
            self.tell_devices(&SyncNote::Muted { group, muted })?;
        }
        self.group_reply(group)
    }
}
