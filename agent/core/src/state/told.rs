//! What the person wants of a conversation for themselves: what it is called, and whether it is heard of.

use cipher_api::view::{GroupState, MutedView};
use cipher_broker::id::GroupId;
use cipher_broker::wire::sync::Muted;
use serde::{Deserialize, Serialize};

use crate::state::{GroupRow, State};

/// Groups that are not here whose told are kept, at a time.
const UNKNOWN: usize = 256;

/// What another own device told of a group that is not here yet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ToldRow {
    #[serde(rename = "al", default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    #[serde(rename = "mu", default, skip_serializing_if = "Option::is_none")]
    pub muted: Option<Muted>,
}

/// What takes a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// Groups that one is in: for what a person does on purpose.
    ByCurrent,
    /// Past ones too: what comes by itself does not take their place.
    ByAny,
}

impl State {
    /// Whether a name means another group here.
    pub(crate) fn is_taken(&self, name: &str, but: &GroupId, taken: Taken) -> bool {
        let past = |row: &GroupRow| matches!(row.state, GroupState::Left | GroupState::Removed);
        self.groups.iter().any(|(group, row)| {
            group != but
                && !row.direct
                && !row.personal
                && row.called() == name
                && (taken == Taken::ByAny || !past(row))
        })
    }

    /// Another own device says what is heard of a conversation.
    pub(crate) fn told_muted(&mut self, group: GroupId, muted: Option<Muted>) -> bool {
        match self.groups.get_mut(&group) {
            Some(row) if row.personal || row.muted == muted => false,
            Some(row) => {
                row.muted = muted;
                true
            }
            None => {
                self.unknown(group).muted = muted;
                false
            }
        }
    }

    /// Another own device says what a group is called. A name that means another group here stays that one's, and this one has
    /// its own again (R-NAME-02): so it is on the device that said so, once it hears of the other one.
    pub(crate) fn told_alias(&mut self, group: GroupId, alias: Option<String>) -> bool {
        let Some(row) = self.groups.get(&group) else {
            self.unknown(group).alias = alias;
            return false;
        };
        if row.direct || row.personal {
            return false;
        }
        let own = row.name.clone();
        let free = |name: &str| row.called() == name || !self.is_taken(name, &group, Taken::ByAny);
        let alias = match alias.filter(|alias| *alias != own && free(alias)) {
            Some(alias) => Some(alias),
            None if free(&own) => None,
            None => return false,
        };
        self.is_called(&group, alias)
    }

    fn is_called(&mut self, group: &GroupId, alias: Option<String>) -> bool {
        match self.groups.get_mut(group) {
            Some(row) if row.alias != alias => {
                row.alias = alias;
                true
            }
            Some(_) | None => false,
        }
    }

    /// A group that is called so here has its own name again, unless that means another one.
    pub(crate) fn loses_alias(&mut self, group: &GroupId, alias: &str) -> bool {
        let Some(row) = self.groups.get(group).filter(|row| row.alias.as_deref() == Some(alias)) else {
            return false;
        };
        !self.is_taken(&row.name, group, Taken::ByAny) && self.is_called(group, None)
    }

    /// A group came: what was told of it holds now.
    pub(crate) fn granted(&mut self, group: GroupId) {
        if !self.meta.told.contains_key(&group) {
            return;
        }
        if let Some(ToldRow { alias, muted }) = self.meta_mut().told.remove(&group) {
            if alias.is_some() {
                self.told_alias(group, alias);
            }
            if muted.is_some() {
                self.told_muted(group, muted);
            }
        }
    }

    fn unknown(&mut self, group: GroupId) -> &mut ToldRow {
        let told = &mut self.meta_mut().told;
        if told.len() >= UNKNOWN && !told.contains_key(&group) {
            told.pop_first();
        }
        told.entry(group).or_default()
    }
}

/// As a person sees it.
pub(crate) const fn muted_view(muted: Muted) -> MutedView {
    MutedView { until: muted.until, mentions: muted.mentions }
}
