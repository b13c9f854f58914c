//! Commits that nobody wishes for: time wears a group out.
//!
//! Retention takes the last commit of a quiet group away, and with it what shows a device that was away that the group
//! went on without it. So a group gets a fresh one long before, by one member's turn. And every device gives its own
//! leaf new keys at least every four weeks, so that what was sealed to old ones stays closed (RFC 9420 §16.6).

use std::time::Duration;

use cipher_api::Result;
use cipher_api::view::GroupState;
use cipher_broker::id::GroupId;
use cipher_broker::limit;
use cipher_broker::subject::Source;
use cipher_broker::time::Timestamp;

use crate::group::turn;
use crate::input::Interest;
use crate::machine::Core;
use crate::state::{GroupRow, Wish};

/// How often it is looked for groups that need a commit, and for key packages that grew old.
const LOOK_EVERY: Duration = Duration::from_secs(3600);
/// The first look comes when the logs were read.
const FIRST_LOOK: Duration = Duration::from_secs(15);
/// A device gives a group no more than one in this time, whatever its clock says.
const AT_MOST_EVERY: Duration = Duration::from_secs(86_400);

/// What of a group is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    /// A new leaf of this device.
    Keys,
    /// A fresh commit, by whose turn it is.
    Commit {
        /// Since when.
        since: Timestamp,
    },
}

fn due(row: &GroupRow, now: Timestamp) -> Option<Due> {
    let resting = now.since(row.keys_at) < AT_MOST_EVERY;
    // Not known of groups of older stores, nor when the commit was gone before it was seen here.
    let last = row.commit_at.max(row.keys_at);
    let since = last.plus(limit::REFRESH_AFTER);
    if resting || row.state != GroupState::Active || row.lost.is_some() || row.slot.is_some() {
        None
    } else if needs_keys(row, now) {
        Some(Due::Keys)
    } else if since <= now {
        Some(Due::Commit { since })
    } else {
        None
    }
}

/// Whether it is this device's own commit that is needed: its keys are old, or something may have been missed, and who
/// follows it shows that nothing was (R-GAP-01).
fn needs_keys(row: &GroupRow, now: Timestamp) -> bool {
    let in_doubt = row.gap.is_some_and(|gap| row.epoch > gap) && row.fresh.is_none();
    in_doubt || now.since(row.keys_at) >= limit::LEAF_LIFETIME
}

impl Core {
    /// Looks again soon after a connection is there.
    pub(super) fn begin_refreshing(&mut self) {
        let at = self.run.now.plus(FIRST_LOOK);
        self.run.group.refresh_at = at;
        self.run.wake_at(at);
    }

    /// Gives groups that need it a fresh commit, a few a minute, and brings key packages that grew old.
    pub(super) fn refresh_groups(&mut self) -> Result<()> {
        let now = self.run.now;
        let runs = self.run.connected && self.run.interest == Some(Interest::Everything);
        if !runs || !self.state.registered() || self.state.is_revoked() {
            return Ok(());
        }
        if now < self.run.group.refresh_at {
            let at = self.run.group.refresh_at;
            self.run.wake_at(at);
            return Ok(());
        }
        let mut next = now.plus(LOOK_EVERY);
        if now >= self.run.registry.stock_at() {
            self.ask_stock();
        }
        self.renew_invitations()?;
        self.old_doubts_end();
        let minute = Duration::from_secs(60);
        self.run.group.refreshed.retain(|at| now.since(*at) < minute);
        for group in self.state.groups.keys() {
            let Some(due) = self.state.groups.get(&group).and_then(|row| due(row, now)) else { continue };
            // Behind the end of the log somebody may have done it.
            if !self.run.delivery.is_caught_up(&Source::Group(group)) {
                continue;
            }
            if self.run.group.refreshed.len() >= limit::REFRESHES_PER_MINUTE {
                next = next.min(now.plus(minute));
                break;
            }
            let was_loaded = self.groups.has(&group);
            let (rank, alone) = self.with_live(group, |_, live| {
                Ok((turn::rank(live, |_, _| Some(())), live.roster.len() == 1))
            })?;
            if !was_loaded {
                self.groups.remove(&group);
            }
            let ours = match due {
                Due::Keys => true,
                Due::Commit { since } => since.plus(turn::after(limit::REFRESH_TURN, rank)) <= now,
            };
            let wanted = self.state.intents.iter().any(|(_, intent)| {
                intent.group == group && matches!(intent.wish, Wish::Refresh | Wish::Rotate)
            });
            if alone || !ours || wanted {
                continue;
            }
            self.run.group.refreshed.push(now);
            self.intend(group, Wish::Refresh, None);
        }
        self.run.group.refresh_at = next;
        self.run.wake_at(next);
        Ok(())
    }

    /// Whether a group still needs what was noted for it: somebody else's commit may have come first.
    pub(super) fn needs_refresh(&self, group: &GroupId) -> bool {
        self.state.groups.get(group).is_some_and(|row| {
            let now = self.run.now;
            let last = row.commit_at.max(row.keys_at);
            needs_keys(row, now) || last.plus(limit::REFRESH_AFTER) <= now
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cipher_broker::wire::envelope::CommitPlace;
    use cipher_broker::wire::group::{GroupData, Role, Settings};
    use std::collections::{BTreeMap, BTreeSet};

    const fn days(n: u64) -> Duration {
        Duration::from_secs(n * 86_400)
    }

    #[test]
    fn a_quiet_group_is_refreshed_long_before_its_last_commit_is_gone_and_a_leaf_every_four_weeks() {
        let data = GroupData {
            version: 1,
            name: "ops".into(),
            direct: false,
            roles: BTreeMap::new(),
            may_add: Role::Admin,
            may_rename: Role::Admin,
            may_resync: true,
            settings: Settings::default(),
            personal: false,
            links: BTreeMap::new(),
            banned: BTreeSet::new(),
        };
        let begun = Timestamp::from_millis(1_700_000_000_000);
        let row = |commit, keys| GroupRow {
            commit_at: begun.plus(days(commit)),
            keys_at: begun.plus(days(keys)),
            ..GroupRow::active(&data, 3, 7, CommitPlace { sequence: 1, hash: [0; 32] })
        };
        let at = |day| begun.plus(days(day));
        assert_eq!(due(&row(0, 0), at(21)), None);
        assert_eq!(due(&row(0, 0), at(22)), Some(Due::Commit { since: at(22) }));
        assert_eq!(due(&row(20, 0), at(27)), None, "somebody else's commit was fresh");
        assert_eq!(due(&row(20, 0), at(28)), Some(Due::Keys), "it did not renew our leaf");
        assert_eq!(due(&row(0, 30), at(30)), None, "at most one a day, whatever clocks say");
        let lost = crate::state::Lost::noticed(crate::state::Why::Gap, begun);
        assert_eq!(
            due(&GroupRow { lost: Some(lost), ..row(0, 0) }, at(40)),
            None,
            "it has no place to do it from"
        );
        // The last turn comes with retention far away.
        let last = limit::REFRESH_AFTER + turn::after(limit::REFRESH_TURN, None);
        assert!(last + days(7) < limit::RETENTION);
    }
}
