//! Messages of before this account came, as another member gave them: opened, and kept as that member's word.

use cipher_api::Result;
use cipher_broker::id::{AccountId, GroupId, MessageId};
use cipher_broker::time::Timestamp;
use cipher_broker::wire::content::{GRANT_INFO, GrantKey, GrantedMessage, HistoryGrant};
use cipher_broker::{codec, limit};
use cipher_seal::Key;
use openmls_traits::OpenMlsProvider as _;
use openmls_traits::crypto::OpenMlsCrypto as _;
use openmls_traits::types::HpkeCiphertext;

use crate::content::{expiry, file};
use crate::machine::Core;
use crate::state::live::Live;
use crate::state::{Author, Change, GroupRow, MessageRow, Powers, Skip, WaitingChange, position};

/// Accounts for which the registry is asked because a piece names them: a giver can name as many as it likes.
const LEARNED: usize = 32;

impl Core {
    /// A piece that is for this account.
    pub(super) fn grant_came(
        &mut self,
        group: GroupId,
        live: &Live,
        giver: Author,
        powers: Powers,
        grant: &HistoryGrant,
    ) -> Result<()> {
        let Some(opened) = self.open_grant(group, live, &giver.account, grant)? else {
            self.skip(Skip::Decrypt);
            return Ok(());
        };
        // R-GRANT-03: no piece has more than its grant says.
        let most = usize::try_from(grant.count).unwrap_or(usize::MAX).min(limit::GRANT_MESSAGES);
        if opened.len() > most {
            self.skip(Skip::Limit);
            return Ok(());
        }
        let members =
            live.roster.values().map(|leaf| leaf.account).collect::<std::collections::BTreeSet<_>>();
        let named: std::collections::BTreeSet<AccountId> = opened
            .iter()
            .map(|message| message.of.account)
            .filter(|account| !members.contains(account))
            .collect();
        self.learn(named.into_iter().take(LEARNED));
        for message in opened {
            self.keep_granted(group, giver, powers, message)?;
        }
        Ok(())
    }

    /// R-GRANT-05: what is sealed in a piece, by the key of the own leaf; `None` where it is not for this device, or does not
    /// open.
    fn open_grant(
        &self,
        group: GroupId,
        live: &Live,
        giver: &AccountId,
        grant: &HistoryGrant,
    ) -> Result<Option<Vec<GrantedMessage>>> {
        let device = self.state.identity()?.device;
        let Some(GrantKey { kem, sealed, .. }) = grant.keys.iter().find(|key| key.device == device) else {
            return Ok(None);
        };
        let secret = self.provider.storage().leaf_secret(&live.mls);
        let Some(secret) = secret.map_err(crate::state::live::store_failed)? else { return Ok(None) };
        let sealed = HpkeCiphertext { kem_output: kem.to_vec().into(), ciphertext: sealed.to_vec().into() };
        let bound = HistoryGrant::place_of_key(&group, giver, &grant.id, grant.piece, &device);
        let suite = live.mls.ciphersuite().hpke_config();
        let key = self.provider.crypto().hpke_open(suite, &sealed, &secret, GRANT_INFO, &bound);
        let Some(key) = key.ok().and_then(|key| Key::from_slice(&key)) else { return Ok(None) };
        let place = HistoryGrant::place(&group, giver, &grant.id, grant.piece);
        let Ok(opened) = cipher_seal::open(&key, &place, &grant.sealed) else { return Ok(None) };
        Ok(codec::decode(&opened).ok())
    }

    /// Keeps one message as the giver's word, if a rule does not say otherwise: then it costs itself.
    fn keep_granted(
        &mut self,
        group: GroupId,
        giver: Author,
        powers: Powers,
        mut message: GrantedMessage,
    ) -> Result<()> {
        let now = self.run.now;
        let Some(here) = self.state.groups.get(&group) else { return Ok(()) };
        let Some((position, ends)) = stands(here, &message, now) else {
            self.skip(Skip::Policy);
            return Ok(());
        };
        message.attachments = file::counted(std::mem::take(&mut message.attachments));
        let bytes = message.text.len();
        if bytes > limit::TEXT_BYTES || (message.text.is_empty() && message.attachments.is_empty()) {
            self.skip(Skip::Limit);
            return Ok(());
        }
        // R-GRANT-08: what this account has itself stays as it is, and what was given once is not given again.
        let (named, author) = (message.of.id, message.of.account);
        let id = MessageId::of_granted(&group, &giver.account, &named);
        if self.history.seen(&group, &named)?.is_some() || self.history.seen(&group, &id)?.is_some() {
            return Ok(());
        }
        // R-GRANT-09: nor comes back what its author took back meanwhile.
        let waiting = self.state.changes.get(&(group, named)).into_iter().flat_map(|row| &row.waiting);
        if waiting.into_iter().any(|change| takes_back(change, &author)) {
            return Ok(());
        }
        // R-GRANT-08: nobody says anything that was said later than when this account came.
        message.sent_at = message.sent_at.min(ends);
        message.at = Some(message.at.unwrap_or(message.sent_at).min(ends));
        let mut row = MessageRow::granted_by(giver, &group, message);
        // A place of the log has one message: nobody says two things of one, and what several say alike stands once.
        let said = |known: &MessageRow| {
            let words = (&known.text, &known.attachments) == (&row.text, &row.attachments);
            known.account == giver.account || (known.granted() == row.granted() && words)
        };
        if self.history.granted_at(&group, position, said)?.is_some() {
            return Ok(());
        }
        let Some(place) = self.history.room_for_granted(&group, position)? else {
            self.skip(Skip::Limit);
            return Ok(());
        };
        // R-GRANT-09: what the group lets go of is let go of here too. It counts from now, for it is shown with what was read.
        if let Some(seconds) = powers.expire_seconds {
            row.expire = Some(expiry::bounded(seconds.into()));
            row.expires(now.plus(std::time::Duration::from_secs(seconds.into())));
        }
        let retention = here.retention_seconds;
        row.expires_at = row.expires_at.into_iter().chain(retention.map(|kept| row.kept_until(kept))).min();
        if row.is_due(now) {
            return Ok(());
        }
        // R-GRANT-10: there is an end to what one member gives.
        let mut grants = self.state.grants.get(&group).cloned().unwrap_or_default();
        let kept = grants.kept.get(&giver.account).copied().unwrap_or_default();
        let Some(kept) = kept.with(bytes) else {
            self.skip(Skip::Limit);
            return Ok(());
        };
        grants.kept.insert(giver.account, kept);
        self.state.grants.insert(group, grants);
        if let Some(here) = self.state.groups.get_mut(&group) {
            // Who sets a time later looks at it too.
            here.kept_from = here.kept_from.min(position.saturating_sub(1));
        }
        self.history.mark_seen(group, id, position);
        self.history.insert(group, place, row);
        Ok(())
    }

    /// R-GRANT-09: a message was taken back that this account has by the word of others only.
    pub(super) fn granted_taken_back(
        &mut self,
        group: GroupId,
        of: MessageId,
        change: &WaitingChange,
    ) -> Result<()> {
        if change.change != Change::Delete {
            return Ok(());
        }
        let Some(grants) = self.state.grants.get(&group) else { return Ok(()) };
        let givers: Vec<AccountId> = grants.kept.keys().copied().collect();
        for giver in givers {
            let id = MessageId::of_granted(&group, &giver, &of);
            let found = self.history.find(group, &id, false)?;
            let author = found.as_ref().and_then(|(_, row)| row.granted()).map(|of| of.account);
            if let (Some((place, row)), Some(author)) = (found, author)
                && takes_back(change, &author)
            {
                self.forget_message(group, place, row)?;
            }
        }
        Ok(())
    }

    /// R-GRANT-08: a message came that this account had by the word of others only.
    pub(super) fn came_itself(&mut self, group: GroupId, position: u64, id: &MessageId) -> Result<()> {
        if self.state.grants.get(&group).is_none() {
            return Ok(());
        }
        let same = |row: &MessageRow| row.granted().is_some_and(|of| of.id == *id);
        while let Some((place, row)) = self.history.granted_at(&group, position, same)? {
            self.forget_message(group, place, row)?;
        }
        Ok(())
    }
}

/// R-GRANT-08: the position that a granted message has, which is before this device came, and the latest time that it can
/// have.
fn stands(here: &GroupRow, message: &GrantedMessage, now: Timestamp) -> Option<(u64, Timestamp)> {
    let position = position::of(here.era.checked_sub(message.ago)?, message.sequence);
    let fits = message.sequence > 0 && position::sequence_of(message.sequence) == message.sequence;
    let ends = here.let_in_at.unwrap_or(now).min(now);
    (fits && position < here.joined_at).then_some((position, ends))
}

/// Whether a change takes back what this account is said to have said.
fn takes_back(change: &WaitingChange, author: &AccountId) -> bool {
    change.change == Change::Delete && (change.account == *author || change.powers.delete)
}

#[cfg(test)]
mod tests {
    use cipher_broker::id::AccountId;

    use super::*;

    #[test]
    fn r_grant_09_a_deletion_counts_by_its_author_or_by_who_may_delete() {
        let [ana, ben] = [1, 2].map(|id| AccountId::from_bytes([id; 32]));
        let id = MessageId::from_bytes([1; 16]);
        let change = |account, change, delete| WaitingChange {
            powers: Powers { delete, ..Powers::default() },
            ..WaitingChange::new(id, account, 7, change)
        };
        assert!(takes_back(&change(ana, Change::Delete, false), &ana));
        assert!(!takes_back(&change(ben, Change::Delete, false), &ana));
        assert!(takes_back(&change(ben, Change::Delete, true), &ana));
        assert!(!takes_back(&change(ana, Change::Edit, true), &ana));
    }
}
