//! Losing the place in a group, and coming back.
//!
//! ```text
//! lost(why) ──log read to its end──► request on the group's log ──by turns, any member──► one commit: old leaf out, new in
//!     ▲  │ a commit that applies here: not lost after all                                        │ Welcome
//!     │  └─► place kept                                                                          ▼
//!     └───────────────────────────────── what waits is sealed anew ◄──────────── the copy of before is replaced
//! ```
//! Nothing that is not authenticated makes a device ask: it needs a gap in the log, or a commit that could not be
//! applied, and then a message that claims a later epoch. Being lost is soft: keys, history and what waits stay, and
//! a commit of somebody else that applies ends it, or behind a gap what `gap.rs` says. Nothing is sent meanwhile, because
//! nobody may be able to read it. How others serve it is `rejoin.rs`.

use std::time::Duration;

use cipher_api::view::{DeniedView, GroupEvent, GroupState, RecoveringView};
use cipher_api::{Notice, Result};
use cipher_broker::id::{GroupId, MessageId};
use cipher_broker::sign::{Purpose, Signed, wire_hash};
use cipher_broker::subject::Source;
use cipher_broker::time::Timestamp;
use cipher_broker::wire::envelope::{CommitPlace, Envelope};
use cipher_broker::wire::rejoin::{RejoinBody, RejoinRequest};
use cipher_broker::{codec, limit};
use ed25519_dalek::SigningKey;
use openmls::prelude::{KeyPackageBundle, MlsGroup, Welcome};
use openmls_traits::OpenMlsProvider;
use openmls_traits::storage::StorageProvider as _;
use serde_bytes::ByteBuf;
use tls_codec::Serialize as _;

use crate::group::copies::CopysWord;
use crate::group::not_member;
use crate::machine::Core;
use crate::state::live::{Live, mls_id};
use crate::state::position::{self, FIRST_ERA};
use crate::state::suite::suite_of;
use crate::state::{Author, GroupRow, Lost, MessageRow, OutboxKind, Post, RejoinRow, Why};

/// Own requests whose answer is still welcome.
const ASKED: usize = 4;

/// How long a device waits before it asks again when its person did not take an offer.
const DECLINED: Duration = Duration::from_secs(3600);

/// The next pause between two requests.
fn pause(times: u32) -> Duration {
    let doublings = times.saturating_sub(1).min(8).saturating_mul(2);
    limit::REJOIN_PAUSE.saturating_mul(1 << doublings).min(limit::REJOIN_PAUSE_MAX)
}

impl Core {
    /// This device lost its place in a group: it asks to come back, and what is sent meanwhile waits. Told once; does
    /// nothing for a group that it is not in, or is lost in already for a reason that weighs as much.
    pub(super) fn lost(&mut self, group: GroupId, why: Why) {
        let now = self.run.now;
        let stopped = self.state.meta.stopped;
        let Some(row) = self.state.groups.get_mut(&group) else { return };
        if stopped || !matches!(row.state, GroupState::Active | GroupState::Leaving) {
            return;
        }
        let known = row.lost.as_ref().map(|lost| lost.why);
        if known.is_some_and(|known| known.needs_new_keys() || !why.needs_new_keys()) {
            return;
        }
        let since = row.lost.as_ref().map_or(now, |lost| lost.since);
        row.lost = Some(Lost::noticed(why, since));
        let personal = row.personal;
        tracing::info!(group = group.short(), why = why.view().name(), "lost the place in a group");
        self.drop_own_rejoin(group);
        let waiting: Vec<u64> = self.run.delivery.rows_of(group).collect();
        for id in waiting {
            if let Some((ticket, _)) = self.run.waits.sends.remove(&id) {
                let reply = self.queued_reply(id);
                self.run.reply(ticket, reply);
            }
        }
        self.run.touched.insert(group);
        if personal {
            return;
        }
        self.run.changed.insert(group);
        if known.is_none() {
            let name = self.state.conversation_name(&group);
            self.warn(Notice::PlaceLost { group, name });
        }
    }

    /// Groups of stores of before that could not be followed: they come back like any others.
    pub(super) fn wake_stuck(&mut self) {
        for group in self.state.groups.keys() {
            let stuck = self.state.groups.get(&group).is_some_and(|row| row.state == GroupState::Stuck);
            if stuck && let Some(row) = self.state.groups.get_mut(&group) {
                row.state = GroupState::Active;
                row.lost = Some(Lost::noticed(Why::Unusable, Timestamp::default()));
            }
        }
    }

    /// Groups whose rows are damaged: OpenMLS and history know enough of them to come back.
    pub(super) fn wake_damaged(&mut self) -> Result<()> {
        for group in self.state.groups.damaged() {
            let Ok(Some(mls)) = MlsGroup::load(self.provider.storage(), &mls_id(&group)) else { continue };
            let (suite, live) = (mls.ciphersuite(), Live::of(mls)?);
            let latest = self.history.last(&group, 1, |_| true)?;
            let position = latest.first().map_or(position::of(FIRST_ERA, 0), |((position, _), _)| *position);
            let link = CommitPlace { sequence: position::sequence_of(position), hash: [0; 32] };
            let own = self.state.own_id();
            let others = live.roster.values().map(|leaf| leaf.account).find(|account| *account != own);
            let row = GroupRow {
                era: position::era_of(position),
                peer: others.filter(|_| live.data.direct),
                cursor: position,
                handshake: position,
                joined_at: position,
                read_to: Some(position),
                ..GroupRow::active(&live.data, suite.into(), live.epoch(), link)
            };
            self.groups.put(group, live);
            self.state.groups.insert(group, row);
            self.lost(group, Why::Damaged);
        }
        Ok(())
    }

    /// Whether everybody else left the epoch that this device stands in.
    pub(super) fn is_passed_by(&self, group: &GroupId) -> bool {
        let lost = self.state.groups.get(group).and_then(|row| row.lost.as_ref());
        lost.is_some_and(|lost| lost.is_passed_by(self.run.now))
    }

    /// A place that was given up turns out to be good: others are there as well.
    pub(super) fn place_is_good(&mut self, group: GroupId) {
        self.run.group.ahead.remove(&group);
        let Some(row) = self.state.groups.get(&group) else { return };
        if row.gap.is_none() && row.unsure.is_empty() && row.lost.is_none() {
            return;
        }
        let new_keys = row.lost.as_ref().is_some_and(|lost| lost.why.needs_new_keys());
        if let Some(row) = self.state.groups.get_mut(&group) {
            (row.gap, row.fresh, row.unsure) = (None, None, Vec::new());
            if new_keys {
                return;
            }
            row.lost = None;
        }
        self.drop_own_rejoin(group);
        self.run.touched.insert(group);
    }

    /// A log was read to its end. A message that claims a later epoch is a claim; it weighs when this device may have
    /// missed what leads there, or could not apply it.
    pub(super) fn look_for_place(&mut self, group: GroupId) -> Result<()> {
        let Some(row) = self.state.groups.get(&group) else { return Ok(()) };
        let member = matches!(row.state, GroupState::Active | GroupState::Leaving);
        let weighs = row.gap.is_some() || row.suspect == Some(row.epoch);
        if !member || row.lost.is_some() || !weighs {
            return Ok(());
        }
        let (epoch, gap, parked) = (row.epoch, row.gap.is_some(), row.parked);
        let ahead = self.run.group.ahead.get(&group).is_some_and(|claimed| *claimed > epoch);
        // What was parked by an earlier process claims a later epoch too, else it would not be there any more.
        if ahead || parked > 0 {
            self.lost(group, if gap { Why::Gap } else { Why::Unusable });
        }
        Ok(())
    }

    /// What is to be done in a group in which this device lost its place.
    pub(super) fn drive_lost(&mut self, group: GroupId) -> Result<()> {
        // The log may still bring it on, or show the answer.
        if !self.run.delivery.is_caught_up(&Source::Group(group)) {
            self.follow(Source::Group(group));
            return Ok(());
        }
        if self.is_out(&group)
            && self.state.groups.get(&group).is_some_and(|row| row.state == GroupState::Leaving)
        {
            return self.forget(group, GroupState::Left);
        }
        self.ask_to_return(group)?;
        self.drive_commits(group)
    }

    /// Whether this device was told, by a word that ends its asking, that it is no member any more.
    pub(super) fn is_out(&self, group: &GroupId) -> bool {
        let lost = self.state.groups.get(group).and_then(|row| row.lost.as_ref());
        lost.and_then(|lost| lost.denied.as_ref()).is_some_and(|denied| denied.over)
    }

    /// This device asks for a new place, however often it asked before.
    pub(super) fn ask_anew(&mut self, group: GroupId) {
        if let Some(row) = self.state.groups.get_mut(&group) {
            row.lost = None;
        }
        self.lost(group, Why::Replaced);
    }

    fn ask_to_return(&mut self, group: GroupId) -> Result<()> {
        let Some(row) = self.state.groups.get(&group) else { return Ok(()) };
        let Some(lost) = row.lost.clone() else { return Ok(()) };
        let (epoch, commit, number) = (row.epoch, row.link.hash, row.suite);
        if self.own_rejoins(group).next().is_some() || self.offer(&group).is_some() {
            return Ok(());
        }
        let due = lost.asked.plus(match &lost.denied {
            Some(denied) if denied.over => return Ok(()),
            Some(_) => not_member::PAUSE,
            None if lost.declined => pause(lost.times).max(DECLINED),
            None => pause(lost.times),
        });
        // Anybody's junk makes a device ask that is in doubt.
        let doubt = lost.why == Why::Gap && row.fresh.is_some();
        let due = if doubt { due.max(row.asked_at.plus(pause(1))) } else { due };
        if (lost.times > 0 || doubt) && self.run.now < due {
            self.run.wake_at(due);
            return Ok(());
        }
        let Some(suite) = suite_of(number) else { return Ok(()) };
        let key_package = self.make_key_package(suite, false)?;
        let package = wire_hash(&key_package);
        let identity = self.state.identity()?;
        let device_key = SigningKey::from_bytes(&identity.device_seed);
        let (account, device) = (identity.account, identity.device);
        let (copy, knew) = (self.signing_number(), self.last_word(&group));
        let body = RejoinBody {
            group,
            account,
            device,
            epoch,
            commit,
            package,
            new_keys: lost.why.needs_new_keys(),
            at: self.run.now,
            copy,
            knew,
        };
        let body = Signed::new(&device_key, Purpose::Rejoin, codec::encode(&body));
        let request = RejoinRequest { body, key_package: ByteBuf::from(key_package) };
        let now = self.run.now;
        if let Some(row) = self.state.groups.get_mut(&group) {
            row.asked.push(ByteBuf::from(package.to_vec()));
            let extra = row.asked.len().saturating_sub(ASKED);
            row.asked.drain(..extra);
            row.asked_at = row.asked_at.max(now);
            if let Some(lost) = &mut row.lost {
                (lost.asked, lost.declined) = (now, false);
                lost.times = lost.times.saturating_add(1);
            }
        }
        self.enqueue_post(group, Post::Rejoin, codec::encode(&Envelope::Rejoin(codec::encode(&request))));
        let again = now.plus(pause(lost.times.saturating_add(1)));
        self.run.wake_at(again);
        self.run.touched.insert(group);
        self.asked_siblings_in_vain(group)
    }

    fn own_rejoins(&self, group: GroupId) -> impl Iterator<Item = u64> + '_ {
        let rows = self.run.delivery.rows_of(group);
        rows.filter(|id| {
            matches!(self.state.outbox.get(id).map(|row| &row.kind), Some(OutboxKind::Post(Post::Rejoin)))
        })
    }

    /// Nothing more is asked by what was not sent yet.
    pub(super) fn drop_own_rejoin(&mut self, group: GroupId) {
        for id in self.own_rejoins(group).collect::<Vec<_>>() {
            self.dequeue(id);
        }
    }

    /// A request of this device lies in the log. One that it does not know, from before this process was awake, is of an
    /// earlier life of the profile: whoever serves it serves no other copy. Behind that it is another copy's word.
    pub(super) fn asked_before(&mut self, group: GroupId, request: &RejoinRow, position: u64) -> Result<()> {
        if self.asked_by_a_copy(&group, std::slice::from_ref(&request.body), position) {
            return self.stop_for_copy();
        }
        let package = wire_hash(&request.key_package);
        if self.state.groups.get(&group).is_some_and(|row| row.asked_with(&package)) {
            self.own_word_lies(group, position, request.at);
            return Ok(());
        }
        if !self.was_awake(&group, position)
            && let Some(row) = self.state.groups.get_mut(&group)
        {
            row.asked.insert(0, ByteBuf::from(package.to_vec()));
            row.asked.truncate(ASKED);
        }
        Ok(())
    }

    /// Whether this copy stops because of requests of this device, in the log or shown by a commit (R-COPY-01): what it asked
    /// itself, and what may be of before that, is no word of another copy. A request of before may be shown by anybody.
    pub(super) fn asked_by_a_copy(&mut self, group: &GroupId, requests: &[Signed], position: u64) -> bool {
        let (Some(own), Some(row)) = (&self.state.identity, self.state.groups.get(group)) else {
            return false;
        };
        let unknown = |body: &RejoinBody| {
            (body.account, body.device) == (own.account, own.device)
                && body.at > row.asked_at
                && !row.asked_with(&body.package)
        };
        let bodies = requests.iter().filter_map(|signed| codec::decode(&signed.body).ok());
        let unknown = bodies.filter(unknown);
        let words = unknown.map(|body| CopysWord { number: body.copy, knew: body.knew, at: Some(body.at) });
        for word in words.collect::<Vec<_>>() {
            if self.copy_spoke(*group, word, position) {
                return true;
            }
            self.tell_doubled(*group);
        }
        false
    }

    /// A commit serves these requests. If one of ours is among them its Welcome is on its way: a request that is made
    /// meanwhile would be served as well, and take the place away that the Welcome gives.
    pub(super) fn is_served(&mut self, group: GroupId, requests: &[Signed]) {
        let now = self.run.now;
        let Some(row) = self.state.groups.get_mut(&group) else { return };
        let ours = |signed: &Signed| {
            let body: Option<RejoinBody> = codec::decode(&signed.body).ok();
            body.is_some_and(|body| row.asked_with(&body.package))
        };
        if requests.iter().any(ours)
            && let Some(lost) = &mut row.lost
        {
            (lost.asked, lost.times) = (now, lost.times.max(1));
        }
    }

    /// Whether a Welcome was made for a key package with which this device asked to come back.
    pub(super) fn asked_back(&self, group: &GroupId, welcome: &Welcome) -> bool {
        let Some(row) = self.state.groups.get(group).filter(|row| !row.asked.is_empty()) else {
            return false;
        };
        welcome.secrets().iter().any(|secrets| {
            let found = self.provider.storage().key_package(&secrets.new_member());
            let Ok(Some(found)) = found else { return false };
            let package = KeyPackageBundle::key_package(&found).tls_serialize_detached();
            package.is_ok_and(|package| row.asked_with(&wire_hash(&package)))
        })
    }

    /// Tells that messages may be missing since then. This device's own word, at its place in the conversation.
    pub(super) fn missed_line(&mut self, group: GroupId, place: (u64, u16), since: Timestamp) {
        let Some(own) = &self.state.identity else { return };
        let fact = [group.as_bytes().as_slice(), b"missed", &place.0.to_be_bytes()].concat();
        let id = MessageId::of_content(&group, &own.account, &fact);
        let author = Author { account: own.account, device: own.device, kind: own.kind };
        let text = if since == Timestamp::default() { String::new() } else { since.to_string() };
        let row = MessageRow::event(id, author, self.run.now, GroupEvent::Missed, own.account, text);
        let view = Box::new(self.message_view(group, place, &row));
        self.history.insert(group, place, row);
        self.tell_message(place, view);
    }

    /// What people see of it.
    pub(super) fn recovering_view(&self, group: &GroupId) -> Option<RecoveringView> {
        let lost = self.state.groups.get(group)?.lost.as_ref()?;
        let denied = lost.denied.as_ref().map(|denied| DeniedView {
            account_id: denied.by,
            handle: self.state.handle_of(&denied.by),
            at: denied.at,
            over: denied.over,
        });
        let offered = self.offered_view(group);
        Some(RecoveringView {
            why: lost.why.view(),
            since: lost.since,
            asked: lost.times,
            denied,
            offered,
            declined: lost.declined,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::place::GONE_FOR_GOOD;

    #[test]
    fn r_rejoin_03_behind_the_commit_that_replaced_a_device_nothing_of_its_epoch_is_shown() {
        let now = Timestamp::from_millis(1_700_000_000_000);
        let passed = |why, since| Lost::noticed(why, since).is_passed_by(now);
        assert!(passed(Why::Replaced, now.minus(Duration::from_secs(60))));
        assert!(!passed(Why::Replaced, now.minus(GONE_FOR_GOOD)));
        for why in [Why::Gap, Why::Unusable, Why::OwnCommit, Why::Doubled, Why::LogWentBack] {
            assert!(!passed(why, now), "{why:?}: others may be in this epoch");
        }
    }

    #[test]
    fn pauses_between_two_requests_grow_up_to_a_quarter_of_a_day() {
        let seconds = [1, 2, 3, 4, 5, 6, 60].map(|times| pause(times).as_secs());
        assert_eq!(seconds, [30, 120, 480, 1920, 7680, 21600, 21600]);
    }
}
