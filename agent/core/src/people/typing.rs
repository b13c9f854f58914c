//! Who is writing something: whispered as presence is, believed for some seconds, never stored.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cipher_api::{Event, Reply, Result, Target};
use cipher_broker::certificate::Kind;
use cipher_broker::id::{AccountId, GroupId};
use cipher_broker::time::Timestamp;
use cipher_broker::wire::registry::Presence;

use crate::machine::Core;

/// Shortest time between two whispers that the person types.
const AGAIN: Duration = Duration::from_secs(3);
/// How long one counts: one may get lost.
const COUNTS: Duration = Duration::from_secs(7);
/// Who types at a time, as far as is remembered.
const MOST: usize = 256;

/// What is known of it, in this process.
#[derive(Debug, Default)]
pub(super) struct Typings {
    /// When it was whispered last that the person types.
    told: BTreeMap<GroupId, Timestamp>,
    /// Who types, until when.
    heard: BTreeMap<(GroupId, AccountId), Timestamp>,
    /// Who of them has said something since the last step.
    said: BTreeSet<(GroupId, AccountId)>,
}

impl Typings {
    pub(super) fn said(&mut self, group: GroupId, account: AccountId) {
        if self.heard.contains_key(&(group, account)) {
            self.said.insert((group, account));
        }
    }
}

impl Core {
    /// The person is writing something: members who listen are told, where they would be told what it read.
    pub(crate) fn typing(&mut self, target: &Target) -> Result<Reply> {
        self.state.identity()?;
        let group = self.resolve(target)?;
        self.state.must_be_active(group)?;
        self.state.must_reach_peer(&group)?;
        let now = self.run.now;
        let told = self.run.people.typings.told.get(&group).copied();
        let just_now = told.is_some_and(|at| at <= now && now.since(at) < AGAIN);
        // Whoever wants to be taken for offline types unseen.
        let presence = self.own_presence().filter(|presence| *presence != Presence::Offline);
        let Some(presence) = presence.filter(|_| self.run.connected && !just_now) else {
            return Ok(Reply::Done);
        };
        // R-WHISPER-03. A bot has no receipts to exchange; that it is at work is told to as few.
        let bot = self.state.identity()?.kind == Kind::Bot;
        if (bot || self.state.receipts_on())
            && self.with_live(group, |core, live| Ok(core.state.exchanges_receipts(&live.roster)))?
            && let Some(epoch) = self.state.groups.get(&group).map(|row| row.epoch)
        {
            self.run.people.typings.told.insert(group, now);
            self.whisper(group, epoch, presence, true)?;
        }
        Ok(Reply::Done)
    }

    /// A member whispers that it is writing something.
    pub(super) fn types(&mut self, group: GroupId, account: AccountId) -> Result<()> {
        // R-WHISPER-03: from a bot too, with which nobody exchanges receipts. Whoever is not to be seen does not see.
        if !self.state.receipts_on()
            || self.own_presence() == Some(Presence::Offline)
            || !self.with_live(group, |core, live| Ok(core.state.is_confidential(&live.roster)))?
        {
            return Ok(());
        }
        let until = self.run.now.plus(COUNTS);
        let heard = &mut self.run.people.typings.heard;
        if heard.len() >= MOST && !heard.contains_key(&(group, account)) {
            return Ok(());
        }
        if heard.insert((group, account), until).is_none() {
            self.tell_typing(group, account, true);
        }
        Ok(())
    }

    /// R-WHISPER-04: it counts for some seconds, or until the account has said something there.
    pub(super) fn end_typing(&mut self) {
        if self.run.people.typings.heard.is_empty() {
            return;
        }
        let now = self.run.now;
        let said = std::mem::take(&mut self.run.people.typings.said);
        let heard = self.run.people.typings.heard.iter();
        let ended = heard.filter(|(who, until)| **until <= now || said.contains(*who));
        for (group, account) in ended.map(|(who, _)| *who).collect::<Vec<_>>() {
            self.run.people.typings.heard.remove(&(group, account));
            self.tell_typing(group, account, false);
        }
        if let Some(until) = self.run.people.typings.heard.values().min() {
            self.run.wake_at(*until);
        }
    }

    /// Without a connection nothing is known of anybody.
    pub(super) fn nobody_types(&mut self) {
        let heard = std::mem::take(&mut self.run.people.typings.heard);
        for (group, account) in heard.into_keys() {
            self.tell_typing(group, account, false);
        }
    }

    fn tell_typing(&mut self, group: GroupId, account: AccountId, typing: bool) {
        self.notify(Event::Typing { group, handle: self.state.handle_of(&account), account, typing });
    }
}
