//! One device that is there twice: bytes in a log that name it and that this store never sealed.
//!
//! A profile that was restored from a backup, or copied, has the keys of the other one, and would seal different bytes
//! with the same keys: others open the first and drop the second. A member of the group can also seal such bytes, to
//! use up keys of ours (OpenMLS does not look who wrote what names ourselves). In both cases the same helps:
//!
//! ```text
//! our name, our epoch, unknown bytes ──► nothing is sent ──► a commit with new keys for our leaf ──► new epoch
//!                                                                       │                     what was said behind
//!                                            signed by the device key   │                     the unknown bytes is
//!                                                                       ▼                     said again
//!               another copy that is awake sees it: it stops (exit code 7), or asks to come back, and then this one stops
//! ```
//! Which of the two it is says `copies.rs`.
//!
//! The signature is of random bytes too, which the store that made it remembers: a member that seals in our name, with a
//! broker that withholds our commit, could else show us our own signature as another copy's. It cannot name the commit it
//! is in, since it is part of what that one authenticates, and what names ourselves opens for nobody here.
//!
//! Bytes that were sealed here are known by their print (`ledger.rs`): repeats of them are nothing, nor are copies in
//! which somebody without keys changed a bit. Bytes of an older
//! epoch open for nobody.

use std::time::Duration;

use cipher_api::{Notice, Result};
use cipher_broker::codec;
use cipher_broker::id::GroupId;
use cipher_broker::sign::{self, Purpose};
use cipher_broker::wire::envelope::CommitNote;
use ed25519_dalek::SigningKey;
use serde_bytes::ByteBuf;

use crate::group::copies::CopysWord;
use crate::machine::Core;
use crate::state::live::Live;
use crate::state::{DoubledRow, Print, Why, Wish};

/// Own words about new keys that are known again, per group. Each is good in its own epoch only.
const HEALED: usize = 16;
/// How often the person is told at most.
const TELL_EVERY: Duration = Duration::from_secs(3600);

impl Core {
    /// Bytes that name us as their sender, in our epoch, and do not wait in the outbox.
    pub(super) fn own_again(
        &mut self,
        group: GroupId,
        live: &mut Live,
        handshake: bool,
        (hash, print): (&[u8; 32], Option<&Print>),
        aad: &[u8],
        position: u64,
    ) -> Result<()> {
        // Without a print nothing names anybody. A copy of ours that somebody changed has the same one as ours.
        let Some(print) = print else { return Ok(()) };
        if let Some(sent) = self.sealed_here(group, print, position)? {
            self.history.date(group, position, self.run.group.delivered_at)?;
            if let Some(row) = self.state.groups.get_mut(&group)
                && row.unseen == Some(position)
                && sent.is(hash)
            {
                row.unseen = None;
            }
            return Ok(());
        }
        if self.waits_with(group, print) {
            return Ok(());
        }
        if handshake {
            return self.own_handshake_unknown(group, live, aad, position);
        }
        let epoch = live.epoch();
        let Some(row) = self.state.groups.get_mut(&group).filter(|row| row.doubled.is_none()) else {
            return Ok(());
        };
        row.doubled = Some(DoubledRow { epoch, position });
        self.wish_new_keys(group)?;
        self.tell_doubled(group);
        Ok(())
    }

    /// A commit or proposal in our name that was not made here. That it is ours is a claim of any member, unless the device key
    /// signed that it gives itself new keys: then another copy of this store is at work, and one of the two stops. Else everybody but us may have gone on behind it, and nobody could open a commit that we made in this
    /// epoch, because its key was used up: it would be a branch of our own. So others are asked where they are first.
    fn own_handshake_unknown(
        &mut self,
        group: GroupId,
        live: &mut Live,
        aad: &[u8],
        position: u64,
    ) -> Result<()> {
        let epoch = live.epoch();
        let identity = self.state.identity()?;
        let key = SigningKey::from_bytes(&identity.device_seed).verifying_key().to_bytes();
        let own = self.state.groups.get(&group).map(|row| row.healed.clone()).unwrap_or_default();
        // R-COPY-02: what this store signed itself is no word of another copy, whatever commit carries it.
        let word = codec::decode::<CommitNote>(aad).ok().and_then(|note| {
            let (nonce, signature) = note.healing()?;
            let message = CommitNote::new_keys(&group, epoch, nonce);
            let ours = own.iter().any(|own| own.as_slice() == nonce);
            sign::verify(&key, Purpose::NewKeys, &message, signature).ok()?;
            (!ours).then(|| CopysWord::read(nonce))
        });
        if word.is_some_and(|word| self.copy_spoke(group, word, position)) {
            return self.stop_for_copy();
        }
        self.tell_doubled(group);
        self.suspect(group, epoch);
        self.drop_slot(group, live)?;
        self.lost(group, Why::OwnCommit);
        Ok(())
    }

    fn wish_new_keys(&mut self, group: GroupId) -> Result<()> {
        let wished = |row: &crate::state::IntentRow| row.group == group && matches!(row.wish, Wish::Rotate);
        if !self.state.intents.iter().any(|(_, row)| wished(row)) {
            self.wish(group, Wish::Rotate, None)?;
        }
        self.run.touched.insert(group);
        Ok(())
    }

    /// The device key's word that this commit gives the own leaf new keys, because of bytes that are not ours; also in every
    /// commit to a group that nobody else is in, where it is all that another copy can go by.
    pub(super) fn new_keys_signature(&mut self, group: &GroupId, epoch: u64, alone: bool) -> Result<ByteBuf> {
        if !alone && self.state.groups.get(group).is_none_or(|row| row.doubled.is_none()) {
            return Ok(ByteBuf::new());
        }
        let key = SigningKey::from_bytes(&self.state.identity()?.device_seed);
        let random = self.provider.bytes();
        let word = CopysWord { number: self.signing_number(), knew: self.last_word(group), at: None };
        let nonce = word.written(random);
        if let Some(row) = self.state.groups.get_mut(group) {
            row.healed.push(ByteBuf::from(nonce.to_vec()));
            let extra = row.healed.len().saturating_sub(HEALED);
            row.healed.drain(..extra);
        }
        let signature = sign::sign(&key, Purpose::NewKeys, &CommitNote::new_keys(group, epoch, &nonce));
        Ok(ByteBuf::from([nonce.as_slice(), &signature].concat()))
    }

    /// The keys are new: what was said behind bytes that used the old ones up may have been read by nobody.
    pub(super) fn say_after_doubling(&mut self, group: GroupId, doubled: DoubledRow) -> Result<()> {
        let behind = |sent: &crate::state::SentRow| sent.position > doubled.position;
        self.say_again(group, |sent| sent.epoch == doubled.epoch && behind(sent)).map(drop)
    }

    pub(super) fn tell_doubled(&mut self, group: GroupId) {
        let now = self.run.now;
        let told = self.state.meta.doubled.map(|(_, told)| told);
        let due = told.is_none_or(|told| now >= told.plus(TELL_EVERY));
        let told = if due { now } else { told.unwrap_or(now) };
        self.state.meta_mut().doubled = Some((now, told));
        if due {
            let name = self.state.conversation_name(&group);
            self.warn(Notice::Doubled { group, name });
        }
    }
}
