//! Giving a backup, part by part. A part is made of rows as they are between two batches, and the place where the next one
//! goes on is all that is remembered, by the caller. So a profile that is in use can be backed up, however large it is,
//! and nothing has to be taken back when the caller goes away.
//!
//! Rows that change meanwhile are in the parts as they were at one moment or the other. Bots come last, so that whatever
//! a bot had answered when its place was read, a restored bot does not answer again.

use cipher_api::command::device::BackupPart as Part;
use cipher_api::{ErrorKind, Reply, Result};
use cipher_broker::codec;
use cipher_broker::id::{AccountId, GroupId, MessageId};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::machine::Core;
use crate::state::{
    BackupAccount, BackupBot, BackupGroup, BackupMessage, BackupPart, MessageRow, Place, roster,
};

/// Bytes of a part, about: a single row may be more.
const PART_BYTES: usize = 256 * 1024;
/// Groups in one part: each is loaded for its members.
const GROUPS: usize = 32;

/// Where a backup goes on: behind a row.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Behind {
    #[serde(rename = "s")]
    row: Row,
    /// Messages so far.
    #[serde(rename = "n")]
    messages: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum Row {
    #[serde(rename = "p")]
    Accounts(Option<AccountId>),
    #[serde(rename = "g")]
    Groups(Option<GroupId>),
    #[serde(rename = "c")]
    Changes(Option<(GroupId, MessageId)>),
    #[serde(rename = "v")]
    Evidence(Option<u64>),
    #[serde(rename = "m")]
    Messages(Option<(GroupId, Place)>),
    #[serde(rename = "b")]
    Bots(Option<ByteBuf>),
    #[serde(rename = "e")]
    End,
}

impl Core {
    /// The next part.
    pub(super) fn device_backup(&mut self, behind: Option<&[u8]>) -> Result<Reply> {
        self.state.identity()?;
        let total = self.history.count()?;
        let Some(behind) = behind else {
            let part = BackupPart::Account(Box::new(self.backup_account()?));
            let next = Behind { row: Row::Accounts(None), messages: 0 };
            return Ok(reply(&part, Some(&next), 0, total));
        };
        let Behind { mut row, mut messages } = codec::decode(behind)
            .map_err(|_| ErrorKind::Misuse.because("this is no place at which a backup goes on"))?;
        let (part, next) = loop {
            // What is behind the last row of a table begins the next one.
            row = match row {
                Row::Accounts(behind) => {
                    let rows = page(self.state.accounts.iter(), behind);
                    match rows.last().map(|(account, _)| *account) {
                        Some(last) => break (BackupPart::Accounts(rows), Row::Accounts(Some(last))),
                        None => Row::Groups(None),
                    }
                }
                Row::Groups(behind) => {
                    let ids = self.state.groups.keys().into_iter();
                    let ids: Vec<GroupId> =
                        ids.filter(|id| behind.is_none_or(|behind| *id > behind)).take(GROUPS).collect();
                    match ids.last().copied() {
                        Some(last) => {
                            let groups = ids.into_iter().filter_map(|id| self.backup_group(id)).collect();
                            break (BackupPart::Groups(groups), Row::Groups(Some(last)));
                        }
                        None => Row::Changes(None),
                    }
                }
                Row::Changes(behind) => {
                    let rows = page(self.state.changes.iter(), behind);
                    match rows.last().map(|(key, _)| *key) {
                        Some(last) => {
                            let rows = rows.into_iter().map(|((group, id), row)| (group, id, row)).collect();
                            break (BackupPart::Changes(rows), Row::Changes(Some(last)));
                        }
                        None => Row::Evidence(None),
                    }
                }
                Row::Evidence(behind) => {
                    let rows = page(self.state.evidence.iter(), behind);
                    match rows.last().map(|(number, _)| *number) {
                        Some(last) => break (BackupPart::Evidence(rows), Row::Evidence(Some(last))),
                        None => Row::Messages(None),
                    }
                }
                Row::Messages(behind) => {
                    let rows = self.history.everything_behind(behind, PART_BYTES)?;
                    match rows.last().map(|(group, place, _)| (*group, *place)) {
                        Some(last) => {
                            let rows = self.backup_messages(rows);
                            messages = messages.saturating_add(rows.len() as u64);
                            break (BackupPart::Messages(rows), Row::Messages(Some(last)));
                        }
                        None => Row::Bots(None),
                    }
                }
                Row::Bots(behind) => {
                    let rows = self.history.bots_behind(behind.as_deref().map(Vec::as_slice), PART_BYTES)?;
                    match rows.last().map(|(key, ..)| ByteBuf::from(key.clone())) {
                        Some(last) => {
                            let rows = rows.into_iter();
                            let bots = rows.map(|(_, bot, group, row)| BackupBot { bot, group, row });
                            break (BackupPart::Bots(bots.collect()), Row::Bots(Some(last)));
                        }
                        None => Row::End,
                    }
                }
                Row::End => return Ok(reply(&BackupPart::End { messages }, None, messages, messages)),
            };
        };
        Ok(reply(&part, Some(&Behind { row: next, messages }), messages, total.max(messages)))
    }

    fn backup_account(&self) -> Result<BackupAccount> {
        let (own, meta) = (self.state.identity()?, &self.state.meta);
        Ok(BackupAccount {
            at: self.run.now,
            handle: own.handle.clone().ok_or_else(|| ErrorKind::Bug.because("an account has no handle"))?,
            seed: own.account_seed,
            device: own.device,
            kind: own.kind,
            owner: own.owner.clone(),
            profile: own.profile.clone(),
            log: own.log.clone(),
            names: own.names.clone(),
            phrase_due: own.phrase_due,
            registry_key: meta.registry_key.clone(),
            head: meta.head.clone(),
            heads: meta.heads.clone(),
            doubt: meta.doubt,
            log_cursor: meta.log_cursor,
            log_gap: meta.log_gap,
            own_place: meta.own_place,
            request_policy: meta.request_policy,
            receipts: meta.receipts,
            blocked_contacts: meta.blocked_contacts.clone(),
            answers: meta.answers.clone(),
        })
    }

    /// A group and who is in it; `None` for that of the own devices, which a new device is brought into or makes anew.
    fn backup_group(&mut self, group: GroupId) -> Option<BackupGroup> {
        let row = self.state.groups.get(&group).filter(|row| !row.personal)?.clone();
        let members = if self.state.is_member(&group) {
            let (own, was_loaded) = (self.state.own_id(), self.groups.has(&group));
            let members = self.with_live(group, |_, live| {
                let others = roster::accounts(&live.roster).into_iter().filter(|account| *account != own);
                Ok(others.collect())
            });
            if !was_loaded {
                self.groups.remove(&group);
            }
            // A group whose keys are damaged: who invites into it, the person is asked about.
            members.unwrap_or_default()
        } else {
            row.members_then.clone()
        };
        Some(BackupGroup::of(group, &row, members))
    }

    fn backup_messages(&self, rows: Vec<(GroupId, Place, MessageRow)>) -> Vec<BackupMessage> {
        let personal = |group: &GroupId| self.state.groups.get(group).is_some_and(|row| row.personal);
        let rows = rows.into_iter().filter(|(group, ..)| !personal(group));
        rows.map(|(group, place, mut row)| {
            // R-BACKUP-01: what was sealed with the keys of this device is no business of another one.
            row.sealed = None;
            // R-FORGET-06: nor is what is due kept anywhere else.
            if self.state.is_over(&group, &row, self.run.now) {
                row.forget();
            }
            BackupMessage { group, place, row }
        })
        .collect()
    }
}

fn reply(part: &BackupPart, next: Option<&Behind>, done: u64, total: u64) -> Reply {
    Part { part: codec::encode(part), next: next.map(codec::encode), done, total }.into()
}

/// Rows behind one of them, until they have the bytes of a part.
fn page<'r, K: Ord + Copy + 'r, V: Clone + Serialize + 'r>(
    rows: impl Iterator<Item = (&'r K, &'r V)>,
    behind: Option<K>,
) -> Vec<(K, V)> {
    let (mut found, mut bytes) = (Vec::new(), 0usize);
    for (key, row) in rows.filter(|(key, _)| behind.is_none_or(|behind| **key > behind)) {
        found.push((*key, row.clone()));
        bytes = bytes.saturating_add(codec::encode(row).len());
        if bytes >= PART_BYTES {
            break;
        }
    }
    found
}

#[cfg(test)]
#[path = "backup_test.rs"]
mod tests;
