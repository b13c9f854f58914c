//! What conversations are called here. A name never silently changes its meaning (R-NAME-02): who names a group, or
//! makes one that this account joins by itself, does not decide what is meant by a word that is typed here.

use cipher_api::view::GroupState;
use cipher_api::{ErrorKind, Hint, Notice, Reply, Result, Target};
use cipher_broker::id::GroupId;
use cipher_broker::limit;

use crate::group::create::check_name;
use crate::machine::Core;
use crate::state::GroupRow;

/// What takes a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// Groups that one is in: for what a person does on purpose.
    ByCurrent,
    /// Past ones too: what comes by itself does not take their place.
    ByAny,
}

impl Core {
    /// R-NAME-02: a group whose name means another one here gets another name here, and the person is told.
    pub(super) fn keep_names_apart(&mut self, group: GroupId, taken: Taken) {
        let Some(row) = self.state.groups.get(&group) else { return };
        let name = row.called().to_owned();
        if row.direct || row.personal || !self.is_taken(&name, &group, taken) {
            return;
        }
        let short: String = name.chars().take(limit::GROUP_NAME_CHARS.saturating_sub(8)).collect();
        let free = (2_u32..)
            .map(|n| format!("{short}-{n}"))
            .find(|alias| !self.is_taken(alias, &group, Taken::ByAny));
        let Some(alias) = free else { return };
        if let Some(row) = self.state.groups.get_mut(&group) {
            row.alias = Some(alias.clone());
        }
        self.warn(Notice::SameName { group, name, alias });
    }

    /// Whether a name means another group.
    fn is_taken(&self, name: &str, but: &GroupId, taken: Taken) -> bool {
        let past = |row: &GroupRow| matches!(row.state, GroupState::Left | GroupState::Removed);
        self.state.groups.iter().any(|(group, row)| {
            group != but
                && !row.direct
                && !row.personal
                && row.called() == name
                && (taken == Taken::ByAny || !past(row))
        })
    }

    /// Gives a group a name of one's own, here only; an empty one brings its own name back.
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
        if self.is_taken(&called, &group, Taken::ByAny) {
            return Err(ErrorKind::Conflict
                .because(format!("there is a group called '{called}' here already"))
                .hint(Hint::GroupListNames));
        }
        if let Some(row) = self.state.groups.get_mut(&group) {
            row.alias = alias.filter(|alias| *alias != row.name);
        }
        self.group_reply(group)
    }
}
