//! A new epoch began: rows, system lines, news.

use std::collections::BTreeSet;

use cipher_api::Result;
use cipher_api::view::{GroupEvent, GroupState};
use cipher_broker::id::{AccountId, GroupId, MessageId};
use cipher_broker::time::Timestamp;
use cipher_broker::wire::envelope::CommitPlace;
use cipher_broker::wire::group::{GroupData, Role};
use serde_bytes::ByteBuf;

use crate::group::join_link::link_name;
use crate::group::settings::differences;
use crate::machine::Core;
use crate::state::live::Live;
use crate::state::position::sequence_of;
use crate::state::roster::{self, Roster};
use crate::state::{MessageRow, Taken};

/// A commit that was merged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Merged<'a> {
    /// Leaf of its maker; `None` for one from outside.
    pub committer: Option<u32>,
    /// Its position.
    pub sequence: u64,
    pub hash: [u8; 32],
    /// Accounts that it takes out by their own wish.
    pub leavers: &'a BTreeSet<AccountId>,
    /// Requests to come back that it names.
    pub answers: &'a [ByteBuf],
    /// Its maker may itself have missed what the group did.
    pub doubt: bool,
}

impl Core {
    /// A commit was merged, own or other: rows, system lines, news. What became of the group, when it is over for this
    /// device.
    pub(super) fn epoch_began(
        &mut self,
        group: GroupId,
        live: &Live,
        old_roster: &Roster,
        old_data: &GroupData,
        Merged { committer, sequence, hash, leavers, answers, doubt }: Merged<'_>,
    ) -> Result<Option<GroupState>> {
        let lost = self.state.groups.get(&group).and_then(|row| row.slot.clone());
        if let Some(slot) = lost {
            // Another commit took the epoch: OpenMLS dropped ours when it merged; the intent tries again.
            self.dequeue(slot.row);
        }
        self.run.group.leave_seen.remove(&group);
        let mut doubled = None;
        let own = committer == Some(live.mls.own_leaf_index().u32());
        let before = self.state.groups.get(&group).map(|row| (row.epoch, row.link.hash));
        let (at, now) = (self.run.group.at, self.run.now);
        if own {
            self.own_epoch_began(group, live.epoch());
        } else {
            self.followed(group, live.epoch(), answers, doubt)?;
        }
        let (had, has) = (roster::accounts(old_roster), roster::accounts(&live.roster));
        if let Some(row) = self.state.groups.get_mut(&group) {
            row.slot = None;
            row.epoch = live.epoch();
            if !has.is_subset(&had) {
                row.newest = row.epoch;
            }
            row.link = CommitPlace { sequence: sequence_of(sequence), hash };
            row.commit_at = if at == Timestamp::default() { now } else { at };
            if own && live.roster.len() <= old_roster.len() {
                // It had a path; one that only adds may have none.
                row.keys_at = now;
            }
            row.proposals.clear();
            row.leave_epoch = None;
            row.suspect = None;
            doubled = row.doubled.take();
            if !row.direct {
                row.name.clone_from(&live.data.name);
            }
            row.retention_seconds = live.data.settings.retention_seconds;
        }
        if live.data.settings.retention_seconds != old_data.settings.retention_seconds {
            self.run.content.retention_changed();
        }
        if live.data.name != old_data.name {
            self.keep_names_apart(group, Taken::ByAny);
        }
        if let Some(doubled) = doubled {
            self.say_after_doubling(group, doubled)?;
        }
        if let Some(before) = before {
            let device = committer.and_then(|index| old_roster.get(&index)).map(|leaf| leaf.device);
            self.rejoins_followed(group, before, (live.epoch(), hash), device, answers);
        }
        self.requests_changed(group, old_data, &live.data);
        if live.data.personal {
            // Only own devices are in it and nobody sees it.
            self.run.touched.insert(group);
            return Ok(None);
        }
        let new = |account: &&AccountId| {
            let of = |roster: &Roster| {
                let leaves = roster.values().filter(|leaf| leaf.account == **account);
                leaves.map(|leaf| (leaf.device, leaf.certificate)).collect::<BTreeSet<_>>()
            };
            !had.contains(*account) || of(old_roster).is_disjoint(&of(&live.roster))
        };
        self.state.receipts_begin(group, has.iter().filter(new).copied(), sequence, &has);
        self.system_lines(
            group,
            live,
            (old_roster, old_data),
            (&had, &has, leavers),
            committer,
            (sequence, hash),
        )?;
        let others = has.iter().any(|account| *account != self.state.own_id());
        self.learn_members(has);
        self.reconcile_live(group, live);
        self.run.touched.insert(group);
        self.run.changed.insert(group);
        // The other side of a direct conversation has left for good: what is said to that account from now on starts anew.
        Ok((live.data.direct && !others).then_some(GroupState::Left))
    }

    /// Who came, went, was promoted, and what the group is called now.
    fn system_lines(
        &mut self,
        group: GroupId,
        live: &Live,
        (old_roster, old_data): (&Roster, &GroupData),
        (before, after, leavers): (&BTreeSet<AccountId>, &BTreeSet<AccountId>, &BTreeSet<AccountId>),
        committer: Option<u32>,
        (sequence, hash): (u64, [u8; 32]),
    ) -> Result<()> {
        let actor = committer.and_then(|index| old_roster.get(&index).or_else(|| live.roster.get(&index)));
        let Some(actor) = actor.cloned() else { return Ok(()) };
        let mut lines: Vec<(GroupEvent, AccountId, String)> = Vec::new();
        for account in after.difference(before) {
            lines.push((GroupEvent::Added, *account, String::new()));
        }
        for account in before.difference(after) {
            let event = if leavers.contains(account) { GroupEvent::Left } else { GroupEvent::Removed };
            lines.push((event, *account, String::new()));
        }
        if !live.data.personal {
            let devices = |roster: &Roster, account: &AccountId| {
                let ours = roster.values().filter(|leaf| leaf.account == *account);
                ours.map(|leaf| leaf.device).collect::<BTreeSet<_>>()
            };
            for account in after.intersection(before) {
                let (had, has) = (devices(old_roster, account), devices(&live.roster, account));
                lines.extend(
                    had.difference(&has).map(|gone| (GroupEvent::DeviceRemoved, *account, gone.to_string())),
                );
                lines.extend(
                    has.difference(&had).map(|new| (GroupEvent::DeviceAdded, *account, new.to_string())),
                );
            }
        }
        for account in live.data.banned.difference(&old_data.banned) {
            lines.push((GroupEvent::Banned, *account, String::new()));
        }
        for account in old_data.banned.difference(&live.data.banned) {
            lines.push((GroupEvent::Unbanned, *account, String::new()));
        }
        for id in live.data.links.keys().filter(|id| !old_data.links.contains_key(*id)) {
            lines.push((GroupEvent::Link, actor.account, link_name(id)));
        }
        let now = self.run.now;
        let revoked = old_data.links.iter().filter(|(_, link)| link.expires > now);
        for (id, _) in revoked.filter(|(id, _)| !live.data.links.contains_key(*id)) {
            lines.push((GroupEvent::LinkRevoked, actor.account, link_name(id)));
        }
        if live.data.name != old_data.name {
            lines.push((GroupEvent::Renamed, actor.account, live.data.name.clone()));
        }
        let settings = differences(&old_data.settings, &live.data.settings);
        lines.extend(settings.into_iter().map(|(event, text)| (event, actor.account, text)));
        for account in after.intersection(before) {
            let role = live.data.role_of(account);
            if role != old_data.role_of(account) {
                let name = match role {
                    Role::Member => "member",
                    Role::Admin => "admin",
                    Role::Owner => "owner",
                };
                lines.push((GroupEvent::Role, *account, name.into()));
            }
        }
        for (place, (event, who, text)) in (0u16..).zip(lines) {
            // By the commit's bytes: a log that went back gives its sequences again.
            let fact = [group.as_bytes().as_slice(), &hash, &place.to_be_bytes()].concat();
            let id = MessageId::of_content(&group, &actor.account, &fact);
            let row = MessageRow::event(
                id,
                actor.author(),
                self.run.group.entry_at(self.run.now),
                event,
                who,
                text,
            );
            let view = Box::new(self.message_view(group, (sequence, place), &row));
            self.history.insert(group, (sequence, place), row);
            self.tell_message((sequence, place), view);
        }
        Ok(())
    }
}
