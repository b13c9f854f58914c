//! Messages of before it came that members give to this account, and what is said of that in a conversation.

use std::collections::{BTreeMap, VecDeque};

use cipher_api::{ErrorKind, Result};
use cipher_broker::id::{AccountId, DeviceId, GroupId, MessageId};
use cipher_broker::time::Timestamp;
use cipher_broker::wire::content::{Body, Content, GRANT_INFO, GrantKey, HistoryGrant};
use cipher_broker::{codec, limit};
use openmls::prelude::LeafNodeIndex;
use openmls_traits::OpenMlsProvider as _;
use openmls_traits::crypto::OpenMlsCrypto as _;
use serde::{Deserialize, Serialize};
use serde_bytes::{ByteArray, ByteBuf};

use crate::state::State;
use crate::state::live::Live;
use crate::store::provider::Provider;

/// What is known of grants in a group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GrantsRow {
    /// The latest grants, each by its first piece that came.
    #[serde(rename = "g", default, skip_serializing_if = "VecDeque::is_empty")]
    pub begun: VecDeque<Begun>,
    /// How much is kept of what each member gave to this account.
    #[serde(rename = "k", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub kept: BTreeMap<AccountId, Kept>,
    /// Keys of own pieces that are not in the log yet: they are sealed when the piece is, to the leaves of its epoch.
    #[serde(rename = "s", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sending: BTreeMap<(ByteArray<16>, u16), ByteArray<32>>,
}

/// A grant of which a piece came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Begun {
    #[serde(rename = "a")]
    pub giver: AccountId,
    #[serde(rename = "i")]
    pub id: ByteArray<16>,
    /// The message whose line tells of it.
    #[serde(rename = "m")]
    pub line: MessageId,
    #[serde(rename = "s")]
    pub says: GrantLine,
    #[serde(rename = "q")]
    pub pieces: u16,
}

/// What is kept of one member's word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    #[serde(rename = "n")]
    pub messages: u32,
    #[serde(rename = "b")]
    pub bytes: u64,
}

impl Kept {
    /// R-GRANT-10: the same with one message more, if there is room for it.
    pub(crate) fn with(self, bytes: usize) -> Option<Self> {
        let messages = self.messages.saturating_add(1);
        let bytes = self.bytes.saturating_add(bytes as u64);
        let fits =
            messages as usize <= limit::GRANTED_OF_GIVER && bytes <= limit::GRANTED_BYTES_OF_GIVER as u64;
        fits.then_some(Self { messages, bytes })
    }
}

/// Grants of a group that are known by their pieces: of more the latest.
const KNOWN: usize = 64;

impl GrantsRow {
    /// The grant of an account by the name that its pieces have.
    pub(crate) fn begun(&self, giver: &AccountId, id: &ByteArray<16>) -> Option<&Begun> {
        self.begun.iter().find(|begun| begun.giver == *giver && begun.id == *id)
    }

    pub(crate) fn begin(&mut self, begun: Begun) {
        if self.begun.len() >= KNOWN {
            self.begun.pop_front();
        }
        self.begun.push_back(begun);
    }
}

impl State {
    /// R-GRANT-05: the content of an own piece as it is sealed in this epoch, with its key for each device that gets it; `None`
    /// for all other content. Leaves change: a piece that is sealed again is for those that are there then.
    pub(crate) fn keyed_for(
        &self,
        group: GroupId,
        live: &Live,
        content: &[u8],
        provider: &Provider,
    ) -> Result<Option<Vec<u8>>> {
        let Some(row) = self.grants.get(&group).filter(|row| !row.sending.is_empty()) else {
            return Ok(None);
        };
        let Ok(mut content) = codec::decode::<Content>(content) else { return Ok(None) };
        let Body::HistoryGrant(grant) = &mut content.body else { return Ok(None) };
        let Some(key) = row.sending.get(&(grant.id, grant.piece)) else { return Ok(None) };
        let suite = live.mls.ciphersuite();
        grant.keys.clear();
        for (device, leaf) in leaves_of(live, &grant.to).into_iter().take(limit::DEVICES_PER_ACCOUNT) {
            let bound = HistoryGrant::place_of_key(&group, &self.own_id(), &grant.id, grant.piece, &device);
            let sealed =
                provider.crypto().hpke_seal(suite.hpke_config(), &leaf, GRANT_INFO, &bound, key.as_slice());
            let sealed =
                sealed.map_err(|error| ErrorKind::Bug.because_of("a key could not be sealed", error))?;
            grant.keys.push(GrantKey {
                device,
                kem: ByteBuf::from(sealed.kem_output.as_slice()),
                sealed: ByteBuf::from(sealed.ciphertext.as_slice()),
            });
        }
        Ok(Some(codec::encode(&content)))
    }
}

/// The devices of an account that are in a group, with the keys of their leaves.
fn leaves_of(live: &Live, account: &AccountId) -> Vec<(DeviceId, Vec<u8>)> {
    let leaves = live.roster.iter().filter(|(_, leaf)| leaf.account == *account);
    let key =
        |index: &u32| live.mls.member_at(LeafNodeIndex::new(*index)).map(|member| member.encryption_key);
    leaves.filter_map(|(index, leaf)| Some((leaf.device, key(index)?))).collect()
}

/// What the line of a grant says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GrantLine {
    #[serde(rename = "a")]
    pub to: AccountId,
    #[serde(rename = "n")]
    pub count: u32,
    #[serde(rename = "f")]
    pub from: Timestamp,
    #[serde(rename = "u")]
    pub until: Timestamp,
    /// The group did not let it.
    #[serde(rename = "r", default, skip_serializing_if = "std::ops::Not::not")]
    pub refused: bool,
}

impl GrantLine {
    pub(crate) fn of(grant: &HistoryGrant, refused: bool) -> Self {
        Self { to: grant.to, count: grant.count, from: grant.from, until: grant.until, refused }
    }

    /// As the row of the line keeps it.
    pub(crate) fn to_text(self) -> String {
        let Self { to, count, from, until, refused } = self;
        format!("{to}:{count}:{}:{}:{}", from.as_millis(), until.as_millis(), u8::from(refused))
    }

    pub(crate) fn of_text(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let mut next = || parts.next();
        let to = next()?.parse().ok()?;
        let count = next()?.parse().ok()?;
        let from = Timestamp::from_millis(next()?.parse().ok()?);
        let until = Timestamp::from_millis(next()?.parse().ok()?);
        Some(Self { to, count, from, until, refused: next()? == "1" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_a_grant_comes_back_as_it_was_kept() {
        for refused in [false, true] {
            let line = GrantLine {
                to: AccountId::from_bytes([7; 32]),
                count: 40,
                from: Timestamp::from_millis(1),
                until: Timestamp::from_millis(951_782_400_000),
                refused,
            };
            assert_eq!(GrantLine::of_text(&line.to_text()), Some(line));
        }
        for text in ["", "alice:1:2:3:0", ":::", "1"] {
            assert_eq!(GrantLine::of_text(text), None, "{text}");
        }
    }

    #[test]
    fn r_grant_10_what_one_member_gave_is_bounded_by_number_and_bytes() {
        let mut kept = Kept::default();
        for _ in 0..limit::GRANTED_OF_GIVER {
            kept = kept.with(1).unwrap();
        }
        assert_eq!(kept.with(1), None);
        assert_eq!(Kept::default().with(limit::GRANTED_BYTES_OF_GIVER + 1), None);
        assert!(Kept::default().with(limit::GRANTED_BYTES_OF_GIVER).is_some());
    }

    #[test]
    fn of_many_grants_the_latest_are_known() {
        let mut row = GrantsRow::default();
        let begun = |n: u8| Begun {
            giver: AccountId::from_bytes([1; 32]),
            id: ByteArray::new([n; 16]),
            line: MessageId::from_bytes([n; 16]),
            says: GrantLine {
                to: AccountId::from_bytes([2; 32]),
                count: 1,
                from: Timestamp::default(),
                until: Timestamp::default(),
                refused: false,
            },
            pieces: 1,
        };
        for n in 0..=64 {
            row.begin(begun(n));
        }
        let known = |n: u8| row.begun(&AccountId::from_bytes([1; 32]), &ByteArray::new([n; 16])).is_some();
        assert_eq!((row.begun.len(), known(0), known(1), known(64)), (KNOWN, false, true, true));
        assert!(row.begun(&AccountId::from_bytes([3; 32]), &ByteArray::new([64; 16])).is_none());
    }
}
