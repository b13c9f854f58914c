//! Presence: whispered to groups, never stored, never logged.
//!
//! A process that follows everything whispers to its groups: when it connects, when its presence changes, and about
//! once a minute. What it hears counts for [`FRESH`]. Whoever chose `offline` whispers it once and then is silent.
//! Nothing here writes to the store: strangers who shout on an ephemeral subject cost a failed decryption each.

use std::collections::BTreeMap;
use std::time::Duration;

use cipher_api::view::{ContactState, GroupState};
use cipher_api::{ErrorKind, Event, Result};
use cipher_broker::certificate::Kind;
use cipher_broker::id::{AccountId, DeviceId, GroupId};
use cipher_broker::sign::{Purpose, Signed};
use cipher_broker::time::Timestamp;
use cipher_broker::wire::registry::Presence;
use cipher_broker::wire::whisper::{EXPORTER_LABEL, SignedWhisper, Whisper, WhisperBody};
use cipher_broker::{codec, limit};
use ed25519_dalek::SigningKey;
use openmls::prelude::LeafNodeIndex;
use openmls_traits::OpenMlsProvider;

use crate::effect::Effect;
use crate::group::tree;
use crate::input::Interest;
use crate::machine::Core;
use crate::machine::step::Step;

/// Without a sign of the person for this long, it is away.
const IDLE: Duration = Duration::from_secs(300);
/// Shortest and longest time between two rounds of whispers.
const ROUND: (Duration, Duration) = (Duration::from_secs(45), Duration::from_secs(75));
/// How long a whisper counts: one may get lost.
const FRESH: Duration = Duration::from_secs(160);
/// A whisper older than this by its sender's clock is not taken: it was held back.
const OLDEST: Duration = Duration::from_secs(180);
/// Who was listening for this long and heard nothing knows that nobody is there.
const LISTENED: Duration = Duration::from_secs(90);
/// Groups whispered to in one round.
const GROUPS_PER_ROUND: usize = 200;
/// Groups that one batch may load from disk for it.
const LOADS_PER_BATCH: usize = 16;
/// Devices in a group above which nobody whispers: everybody would hear everybody.
const LARGEST_GROUP: usize = 500;
/// Every whisper has this many bytes inside its seal, so that its length does not tell the presence.
const PADDED: usize = 512;

/// What is known of presence, in this process.
#[derive(Debug, Default)]
pub(super) struct Presences {
    /// The last sign of the person.
    pub(super) active_at: Option<Timestamp>,
    /// Since when everything is followed.
    listening_since: Option<Timestamp>,
    /// When the next round of whispers is.
    next_round: Option<Timestamp>,
    /// Where the round under way goes on: behind this group.
    behind: Option<GroupId>,
    /// What was whispered last.
    told: Option<Presence>,
    keys: BTreeMap<GroupId, Keyring>,
    heard: BTreeMap<AccountId, BTreeMap<DeviceId, Heard>>,
}

/// The whisper key of a group in an epoch; none for a group that is too large, or where we are alone.
struct Keyring {
    epoch: u64,
    key: Option<[u8; 32]>,
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyring").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

/// The latest whisper of a device.
#[derive(Debug, Clone, Copy)]
struct Heard {
    presence: Presence,
    at: Timestamp,
    until: Timestamp,
}

impl Presences {
    /// What the devices of an account say together: a wish for quiet first, then whoever is there.
    fn of(&self, account: &AccountId) -> Option<Presence> {
        let rank = |presence: &Presence| match presence {
            Presence::Busy => 3,
            Presence::Available => 2,
            Presence::Away => 1,
            Presence::Offline => 0,
        };
        self.heard.get(account)?.values().map(|heard| heard.presence).max_by_key(rank)
    }
}

impl Core {
    /// What happens at each step.
    pub(crate) fn people_step(&mut self, step: Step) -> Result<()> {
        match step {
            Step::Opened => {}
            Step::Connected { whole } => {
                self.run.people.unnamed_asked_at = None;
                if whole {
                    self.begin_listening();
                    self.refresh_unknown_accounts();
                    self.ask_unnamed();
                }
            }
            Step::Disconnected => {
                self.stop_listening();
                self.nobody_types();
            }
            Step::Tick => self.ask_unnamed(),
            Step::BatchEnds => {
                self.drive_presence()?;
                self.end_typing();
            }
            Step::BatchEnded => {
                if let Some(due) = self.people_due().filter(|due| *due > self.run.now) {
                    self.run.wake_at(due);
                }
            }
        }
        Ok(())
    }

    /// Everything is followed from now on. Whoever starts that is taken to be here.
    fn begin_listening(&mut self) {
        let now = self.run.now;
        let presence = &mut self.run.people.presence;
        presence.active_at.get_or_insert(now);
        presence.listening_since = Some(now);
        presence.next_round = None;
        presence.behind = None;
    }

    /// Without a connection nothing is known of anybody.
    fn stop_listening(&mut self) {
        let presence = &mut self.run.people.presence;
        presence.listening_since = None;
        presence.told = None;
        presence.heard.clear();
    }

    /// What others are told: the person's choice, or away when nothing shows that it is here.
    pub(super) fn own_presence(&self) -> Option<Presence> {
        let own = self.state.identity.as_ref()?;
        let idle = own.kind == Kind::Person
            && self.run.people.presence.active_at.is_none_or(|at| self.run.now.since(at) >= IDLE);
        Some(match own.profile.presence {
            Presence::Available if idle => Presence::Away,
            chosen => chosen,
        })
    }

    /// Presence of another account as it is shown: what it whispers; `offline` when nothing is heard of it while we
    /// listen; its own word in its profile while we do not.
    pub(super) fn presence_of(&self, account: &AccountId, chosen: Presence) -> Presence {
        let heard = &self.run.people.presence;
        let listened = heard.listening_since.is_some_and(|since| self.run.now.since(since) >= LISTENED);
        match heard.of(account) {
            _ if self.state.contact_state(account) == Some(ContactState::Blocked) => Presence::Offline,
            Some(presence) => presence,
            None if listened => Presence::Offline,
            None => chosen,
        }
    }

    /// Forgets what is not fresh, and whispers when it is time.
    fn drive_presence(&mut self) -> Result<()> {
        let listens = self.run.connected && self.run.interest == Some(Interest::Everything);
        let Some(own) = self.own_presence().filter(|_| listens && self.state.registered()) else {
            return Ok(());
        };
        if self.run.people.presence.listening_since.is_none() {
            self.begin_listening();
        }
        self.forget_stale();
        let now = self.run.now;
        let due = self.run.people.presence.next_round.is_none_or(|at| at <= now);
        if due || self.run.people.presence.told != Some(own) {
            // Silence begins with the word that it does.
            let silent = matches!(self.run.people.presence.told, None | Some(Presence::Offline));
            if own == Presence::Offline && silent {
                self.schedule_round();
                self.run.people.presence.told = Some(own);
            } else if self.whisper_round(own)? {
                self.run.people.presence.told = Some(own);
            }
        }
        if let Some(at) = self.run.people.presence.next_round {
            self.run.wake_at(at);
        }
        if own == Presence::Available
            && let Some(active) = self.run.people.presence.active_at
            && self.state.identity.as_ref().is_some_and(|own| own.kind == Kind::Person)
        {
            self.run.wake_at(active.plus(IDLE));
        }
        Ok(())
    }

    fn schedule_round(&mut self) {
        let (least, most) = ROUND;
        let [jitter] = self.provider.bytes();
        let spread = (most.saturating_sub(least).saturating_mul(u32::from(jitter)))
            .checked_div(256)
            .unwrap_or_default();
        self.run.people.presence.next_round = Some(self.run.now.plus(least.saturating_add(spread)));
    }

    /// Whispers to the groups; `false` when many have to be loaded for it, and it goes on in the next batch.
    fn whisper_round(&mut self, presence: Presence) -> Result<bool> {
        let behind = self.run.people.presence.behind.take();
        let active =
            self.state.groups.iter().filter(|(_, row)| row.state == GroupState::Active && !row.personal);
        let groups: Vec<(GroupId, u64)> = active.map(|(group, row)| (*group, row.epoch)).collect();
        self.run.people.presence.keys.retain(|known, _| groups.iter().any(|(group, _)| group == known));
        let mut loads = 0usize;
        let later = groups.iter().filter(|(group, _)| behind.is_none_or(|behind| *group > behind));
        for (group, epoch) in later.take(GROUPS_PER_ROUND) {
            if self.run.people.presence.keys.get(group).is_none_or(|known| known.epoch != *epoch) {
                loads = loads.saturating_add(1);
                if loads > LOADS_PER_BATCH {
                    self.run.people.presence.next_round = Some(self.run.now.plus(Duration::from_millis(200)));
                    return Ok(false);
                }
            }
            self.whisper(*group, *epoch, presence, false)?;
            self.run.people.presence.behind = Some(*group);
        }
        // A round that did not come to the last group goes on there next time.
        let last = groups.last().map(|(group, _)| *group);
        if self.run.people.presence.behind == last || groups.len() <= GROUPS_PER_ROUND {
            self.run.people.presence.behind = None;
        }
        self.schedule_round();
        Ok(true)
    }

    /// Whispers to a group.
    pub(super) fn whisper(
        &mut self,
        group: GroupId,
        epoch: u64,
        presence: Presence,
        typing: bool,
    ) -> Result<()> {
        let Some(key) = self.whisper_key(group, epoch)? else { return Ok(()) };
        let own = self.state.identity()?;
        let device = own.device;
        let signer = SigningKey::from_bytes(&own.device_seed);
        let body = codec::encode(&WhisperBody { group, at: self.run.now, presence, typing });
        let signed = SignedWhisper { device, body: Signed::new(&signer, Purpose::Whisper, body) };
        let Some(plain) = pad(&codec::encode(&signed)) else { return Ok(()) };
        let sealed = tree::seal(&key, self.provider.bytes(), &label(epoch), &group, &plain)?;
        let bytes = codec::encode(&Whisper { epoch, sealed });
        self.run.effects.push(Effect::Whisper { group, bytes });
        Ok(())
    }

    /// The key of a group's whispers in its epoch (RFC 9420 §8.5).
    fn whisper_key(&mut self, group: GroupId, epoch: u64) -> Result<Option<[u8; 32]>> {
        if let Some(known) = self.run.people.presence.keys.get(&group)
            && known.epoch == epoch
        {
            return Ok(known.key);
        }
        let key = self.with_live(group, |core, live| {
            if live.roster.len() > LARGEST_GROUP || live.roster.len() < 2 {
                return Ok(None);
            }
            let secret = live.mls.export_secret(core.provider.crypto(), EXPORTER_LABEL, group.as_bytes(), 32);
            let failed = |error| ErrorKind::Bug.because_of("a whisper key cannot be derived", error);
            Ok(<[u8; 32]>::try_from(secret.map_err(failed)?).ok())
        })?;
        self.run.people.presence.keys.insert(group, Keyring { epoch, key });
        Ok(key)
    }

    /// Somebody whispers, or shouts: nothing of it is trusted before it was opened and verified.
    pub(crate) fn whispered(&mut self, group: GroupId, bytes: &[u8]) -> Result<()> {
        let active =
            self.state.groups.get(&group).filter(|row| row.state == GroupState::Active && !row.personal);
        let Some(epoch) = active.map(|row| row.epoch).filter(|_| bytes.len() <= limit::WHISPER_BYTES) else {
            return Ok(());
        };
        let Some(Whisper { sealed, .. }) =
            codec::decode::<Whisper>(bytes).ok().filter(|whisper| whisper.epoch == epoch)
        else {
            return Ok(());
        };
        let Some(key) = self.whisper_key(group, epoch)? else { return Ok(()) };
        let Some(signed) = tree::open(&key, &label(epoch), &group, &sealed)
            .ok()
            .and_then(|plain| codec::decode::<SignedWhisper>(unpad(&plain)?).ok())
        else {
            return Ok(());
        };
        // R-WHISPER-01: it is the word of a leaf of this group in this epoch.
        let speaker = self.with_live(group, |_, live| {
            let found = live.roster.iter().find(|(_, leaf)| leaf.device == signed.device);
            Ok(found.and_then(|(index, leaf)| {
                let key = live.mls.member_at(LeafNodeIndex::new(*index))?.signature_key;
                Some((leaf.account, <[u8; 32]>::try_from(key).ok()?))
            }))
        })?;
        let Some((account, leaf_key)) = speaker else { return Ok(()) };
        let body = signed.body.verified(&leaf_key, Purpose::Whisper).ok();
        let body = body.and_then(|body| codec::decode::<WhisperBody>(body).ok());
        if let Some(body) = body.filter(|body| body.group == group) {
            let typing = body.typing;
            if self.heard(account, signed.device, &body) && typing {
                return self.types(group, account);
            }
        }
        Ok(())
    }

    /// R-WHISPER-02: newer than the last, not held back for long, and not from the future.
    fn heard(&mut self, account: AccountId, device: DeviceId, body: &WhisperBody) -> bool {
        let now = self.run.now;
        let blocked = self.state.contact_state(&account) == Some(ContactState::Blocked);
        if account == self.state.own_id()
            || blocked
            || now.since(body.at) > OLDEST
            || body.at > now.plus(limit::CLOCK_SKEW)
        {
            return false;
        }
        let before = self.run.people.presence.of(&account);
        let devices = self.run.people.presence.heard.entry(account).or_default();
        if devices.get(&device).is_some_and(|last| last.at >= body.at) {
            return false;
        }
        devices.insert(device, Heard { presence: body.presence, at: body.at, until: now.plus(FRESH) });
        self.tell_presence(account, before);
        true
    }

    fn forget_stale(&mut self) {
        let now = self.run.now;
        let stale = |devices: &BTreeMap<DeviceId, Heard>| devices.values().any(|heard| heard.until <= now);
        let accounts = self.run.people.presence.heard.iter().filter(|(_, devices)| stale(devices));
        for account in accounts.map(|(account, _)| *account).collect::<Vec<_>>() {
            let before = self.run.people.presence.of(&account);
            if let Some(devices) = self.run.people.presence.heard.get_mut(&account) {
                devices.retain(|_, heard| heard.until > now);
            }
            self.tell_presence(account, before);
            self.run.people.presence.heard.retain(|_, devices| !devices.is_empty());
        }
    }

    fn tell_presence(&mut self, account: AccountId, before: Option<Presence>) {
        let shown = |presence: Option<Presence>| presence.unwrap_or(Presence::Offline);
        let presence = shown(self.run.people.presence.of(&account));
        if presence != shown(before) {
            self.notify(Event::Presence { handle: self.state.handle_of(&account), account, presence });
        }
    }
}

fn label(epoch: u64) -> Vec<u8> {
    [b"whisper".as_slice(), &epoch.to_be_bytes()].concat()
}

/// Two bytes of length, the bytes, zeros.
fn pad(plain: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(plain.len()).ok()?;
    let mut padded = [length.to_be_bytes().as_slice(), plain].concat();
    (padded.len() <= PADDED).then(|| {
        padded.resize(PADDED, 0);
        padded
    })
}

fn unpad(padded: &[u8]) -> Option<&[u8]> {
    let (length, rest) = padded.split_first_chunk::<2>()?;
    rest.get(..usize::from(u16::from_be_bytes(*length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_whisper_is_equally_long_and_reads_back() {
        for length in [0, 1, 200, PADDED - 2] {
            let plain = vec![7; length];
            let padded = pad(&plain).unwrap();
            assert_eq!((padded.len(), unpad(&padded)), (PADDED, Some(plain.as_slice())));
        }
        assert_eq!(pad(&[0; PADDED - 1]), None);
        for bytes in [&[][..], &[1], &[0, 9, 1], &[255, 255, 0]] {
            assert_eq!(unpad(bytes), None, "{bytes:?}");
        }
    }
}
