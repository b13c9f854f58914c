//! Where OpenMLS keeps its state: an overlay in memory in front of the `mls` table.
//!
//! OpenMLS writes many rows per operation and the whole message-secrets store per message. All of it lands in the
//! overlay and goes to disk once per batch, in the batch's transaction ([`Overlay::flush`]). The message secrets
//! of a group are not even serialised before that: the write is noted, and [`Overlay::take_dirty`] names the
//! groups whose secrets must be written once, now.
//!
//! A *trial* is a second overlay that can be thrown away: OpenMLS consumes the key package of a Welcome before it
//! has looked at it, and a refused invitation must not cost the key package.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap};

use cipher_api::Result;
use openmls::prelude::MlsGroup;
use openmls_traits::storage::{CURRENT_VERSION, Entity, StorageProvider, traits};
use openmls_traits::types::HpkePrivateKey;
use rmp_serde::config::BytesMode;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::store::seal::is_damage;
use crate::store::sealed::Writing;
use crate::store::{Store, table};

/// What kind of row a key names. Never renumber: these bytes are on disk.
mod label {
    pub(super) const MLS_JOIN_CONFIG: u8 = 1;
    pub(super) const TREE: u8 = 2;
    pub(super) const INTERIM_TRANSCRIPT_HASH: u8 = 3;
    pub(super) const CONTEXT: u8 = 4;
    pub(super) const CONFIRMATION_TAG: u8 = 5;
    pub(super) const GROUP_STATE: u8 = 6;
    pub(super) const MESSAGE_SECRETS: u8 = 7;
    pub(super) const RESUMPTION: u8 = 8;
    pub(super) const OWN_LEAF_INDEX: u8 = 9;
    pub(super) const GROUP_EPOCH_SECRETS: u8 = 10;
    pub(super) const OWN_LEAF_NODES: u8 = 11;
    pub(super) const PROPOSAL_REFS: u8 = 12;
    pub(super) const PROPOSAL: u8 = 13;
    pub(super) const SIGNATURE_KEY_PAIR: u8 = 14;
    pub(super) const ENCRYPTION_KEY_PAIR: u8 = 15;
    pub(super) const EPOCH_KEY_PAIRS: u8 = 16;
    pub(super) const KEY_PACKAGE: u8 = 17;
    pub(super) const PSK: u8 = 18;
}

type Rows = HashMap<Vec<u8>, Option<Vec<u8>>>;

/// The overlay.
#[derive(Debug)]
pub(crate) struct Overlay {
    store: Store,
    rows: RefCell<Rows>,
    trial: RefCell<Option<Rows>>,
    dirty: RefCell<BTreeSet<Vec<u8>>>,
    deferring: Cell<bool>,
}

/// Why the overlay failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OverlayError {
    /// The store failed, or a value of it does not open.
    #[error(transparent)]
    Store(#[from] cipher_api::Error),
    /// A row could not be written as MessagePack.
    #[error("encoding: {0}")]
    Encode(#[from] rmp_serde::encode::Error),
    /// A row on disk is not what OpenMLS expects.
    #[error("decoding: {0}")]
    Decode(#[from] rmp_serde::decode::Error),
}

impl OverlayError {
    /// Whether what lies on the disk is wrong, and not the disk.
    pub(crate) fn is_damage(&self) -> bool {
        match self {
            Self::Store(error) => is_damage(error),
            Self::Decode(_) => true,
            Self::Encode(_) => false,
        }
    }
}

/// Named fields and raw bytes: survives added fields, and byte vectors stay one byte a byte.
pub(crate) fn encode(value: &impl Serialize) -> Result<Vec<u8>, OverlayError> {
    let mut bytes = Vec::with_capacity(256);
    value.serialize(
        &mut rmp_serde::Serializer::new(&mut bytes).with_struct_map().with_bytes(BytesMode::ForceAll),
    )?;
    Ok(bytes)
}

pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, OverlayError> {
    Ok(T::deserialize(&mut rmp_serde::Deserializer::from_read_ref(bytes))?)
}

fn key(label: u8, key: &impl Serialize) -> Result<Vec<u8>, OverlayError> {
    let mut bytes = vec![label];
    key.serialize(&mut rmp_serde::Serializer::new(&mut bytes).with_bytes(BytesMode::ForceAll))?;
    Ok(bytes)
}

/// The keys of a leaf as OpenMLS stores them: it gives the secret one to nobody.
#[derive(Debug, Serialize, serde::Deserialize)]
struct LeafKeys {
    public_key: Wrapped<tls_codec::VLBytes>,
    private_key: Wrapped<HpkePrivateKey>,
}

#[derive(Debug, Serialize, serde::Deserialize)]
struct Wrapped<T> {
    key: T,
}

impl Entity<V> for LeafKeys {}
impl traits::HpkeKeyPair<V> for LeafKeys {}

impl Overlay {
    /// What opens what is sealed to the own leaf of a group as it is now; `None` when it is not there.
    pub(crate) fn leaf_secret(&self, group: &MlsGroup) -> Result<Option<HpkePrivateKey>, OverlayError> {
        let own = group.own_leaf_index();
        let Some(member) = group.member_at(own) else { return Ok(None) };
        let pairs: Vec<LeafKeys> =
            self.encryption_epoch_key_pairs(group.group_id(), &group.epoch(), own.u32())?;
        let leaf = pairs.into_iter().find(|pair| pair.public_key.key.as_slice() == member.encryption_key);
        Ok(leaf.map(|pair| pair.private_key.key))
    }

    pub(crate) fn new(store: Store) -> Self {
        Self {
            store,
            rows: RefCell::default(),
            trial: RefCell::default(),
            dirty: RefCell::default(),
            deferring: Cell::new(true),
        }
    }

    /// From here on writes are provisional, until [`Overlay::end_trial`].
    pub(crate) fn begin_trial(&self) {
        *self.trial.borrow_mut() = Some(Rows::new());
        self.deferring.set(false);
    }

    /// Keeps or forgets what was written since [`Overlay::begin_trial`].
    pub(crate) fn end_trial(&self, keep: bool) {
        self.deferring.set(true);
        if let Some(trial) = self.trial.borrow_mut().take()
            && keep
        {
            self.rows.borrow_mut().extend(trial);
        }
    }

    /// Forgets what is kept under the id of a group, readable or not.
    pub(crate) fn forget_group(&self, group: &openmls::group::GroupId) -> Result<(), OverlayError> {
        (label::MLS_JOIN_CONFIG..=label::PROPOSAL_REFS).try_for_each(|label| self.delete(label, group))
    }

    /// Forgets everything that was not flushed.
    pub(crate) fn discard(&self) {
        self.rows.borrow_mut().clear();
        self.dirty.borrow_mut().clear();
        self.trial.borrow_mut().take();
        self.deferring.set(true);
    }

    /// Whether a flush would write anything.
    pub(crate) fn is_clean(&self) -> bool {
        self.rows.borrow().is_empty() && self.dirty.borrow().is_empty()
    }

    /// The keys of groups whose message secrets changed and are not written yet; they are written through from
    /// now on, until the next [`Overlay::flush`].
    pub(crate) fn take_dirty(&self) -> BTreeSet<Vec<u8>> {
        self.deferring.set(false);
        std::mem::take(&mut *self.dirty.borrow_mut())
    }

    /// The key under which a group appears in [`Overlay::take_dirty`].
    pub(crate) fn dirty_key(group: &openmls::group::GroupId) -> Vec<u8> {
        key(label::MESSAGE_SECRETS, group).unwrap_or_default()
    }

    /// Writes everything into a transaction. The overlay stays until [`Overlay::flushed`], so that a failed
    /// commit loses nothing but itself.
    pub(crate) fn flush(&self, writing: &Writing<'_>) -> Result<()> {
        let mut mls = writing.table(table::MLS)?;
        for (key, value) in self.rows.borrow().iter() {
            match value {
                Some(value) => mls.put(key, value)?,
                None => mls.remove(key)?,
            }
        }
        Ok(())
    }

    /// The transaction is committed: the overlay is empty again.
    pub(crate) fn flushed(&self) {
        self.rows.borrow_mut().clear();
        self.deferring.set(true);
    }

    fn put(&self, key: Vec<u8>, value: Option<Vec<u8>>) {
        let mut trial = self.trial.borrow_mut();
        match trial.as_mut() {
            Some(trial) => trial.insert(key, value),
            None => self.rows.borrow_mut().insert(key, value),
        };
    }

    fn bytes(&self, key: &[u8]) -> Result<Option<Vec<u8>>, OverlayError> {
        if let Some(value) = self.trial.borrow().as_ref().and_then(|trial| trial.get(key)) {
            return Ok(value.clone());
        }
        if let Some(value) = self.rows.borrow().get(key) {
            return Ok(value.clone());
        }
        Ok(self.store.table(table::MLS)?.get(key)?.map(|value| value.to_vec()))
    }

    fn write(&self, label: u8, id: &impl Serialize, value: &impl Serialize) -> Result<(), OverlayError> {
        self.put(key(label, id)?, Some(encode(value)?));
        Ok(())
    }

    fn read<T: DeserializeOwned>(&self, label: u8, id: &impl Serialize) -> Result<Option<T>, OverlayError> {
        self.bytes(&key(label, id)?)?.map(|bytes| decode(&bytes)).transpose()
    }

    fn delete(&self, label: u8, id: &impl Serialize) -> Result<(), OverlayError> {
        self.put(key(label, id)?, None);
        Ok(())
    }

    /// Serialised members of a list row, so that appending needs no type of its elements.
    fn list(&self, key: &[u8]) -> Result<Vec<serde_bytes::ByteBuf>, OverlayError> {
        self.bytes(key)?.map_or_else(|| Ok(Vec::new()), |bytes| decode(&bytes))
    }
}

const V: u16 = CURRENT_VERSION;

impl StorageProvider<V> for Overlay {
    type Error = OverlayError;

    fn write_mls_join_config<G: traits::GroupId<V>, T: traits::MlsGroupJoinConfig<V>>(
        &self,
        group: &G,
        value: &T,
    ) -> Result<(), OverlayError> {
        self.write(label::MLS_JOIN_CONFIG, group, value)
    }

    fn mls_group_join_config<G: traits::GroupId<V>, T: traits::MlsGroupJoinConfig<V>>(
        &self,
        group: &G,
    ) -> Result<Option<T>, OverlayError> {
        self.read(label::MLS_JOIN_CONFIG, group)
    }

    fn delete_group_config<G: traits::GroupId<V>>(&self, group: &G) -> Result<(), OverlayError> {
        self.delete(label::MLS_JOIN_CONFIG, group)
    }

    fn write_tree<G: traits::GroupId<V>, T: traits::TreeSync<V>>(
        &self,
        group: &G,
        value: &T,
    ) -> Result<(), OverlayError> {
        self.write(label::TREE, group, value)
    }

    fn tree<G: traits::GroupId<V>, T: traits::TreeSync<V>>(
        &self,
        group: &G,
    ) -> Result<Option<T>, OverlayError> {
        self.read(label::TREE, group)
    }

    fn delete_tree<G: traits::GroupId<V>>(&self, group: &G) -> Result<(), OverlayError> {
        self.delete(label::TREE, group)
    }

    fn write_interim_transcript_hash<G: traits::GroupId<V>, T: traits::InterimTranscriptHash<V>>(
        &self,
        group: &G,
        value: &T,
    ) -> Result<(), OverlayError> {
        self.write(label::INTERIM_TRANSCRIPT_HASH, group, value)
    }

    fn interim_transcript_hash<G: traits::GroupId<V>, T: traits::InterimTranscriptHash<V>>(
        &self,
        group: &G,
    ) -> Result<Option<T>, OverlayError> {
        self.read(label::INTERIM_TRANSCRIPT_HASH, group)
    }

    fn delete_interim_transcript_hash<G: traits::GroupId<V>>(&self, group: &G) -> Result<(), OverlayError> {
        self.delete(label::INTERIM_TRANSCRIPT_HASH, group)
    }

    fn write_context<G: traits::GroupId<V>, T: traits::GroupContext<V>>(
        &self,
        group: &G,
        value: &T,
    ) -> Result<(), OverlayError> {
        self.write(label::CONTEXT, group, value)
    }

    fn group_context<G: traits::GroupId<V>, T: traits::GroupContext<V>>(
        &self,
        group: &G,
    ) -> Result<Option<T>, OverlayError> {
        self.read(label::CONTEXT, group)
    }

    fn delete_context<G: traits::GroupId<V>>(&self, group: &G) -> Result<(), OverlayError> {
        self.delete(label::CONTEXT, group)
    }

    fn write_confirmation_tag<G: traits::GroupId<V>, T: traits::ConfirmationTag<V>>(
        &self,
        group: &G,
        value: &T,
    ) -> Result<(), OverlayError> {
        self.write(label::CONFIRMATION_TAG, group, value)
    }

    fn confirmation_tag<G: traits::GroupId<V>, T: traits::ConfirmationTag<V>>(
        &self,
        group: &G,
    ) -> Result<Option<T>, OverlayError> {
        self.read(label::CONFIRMATION_TAG, group)
    }

    fn delete_confirmation_tag<G: traits::GroupId<V>>(&self, group: &G) -> Result<(), OverlayError> {
        self.delete(label::CONFIRMATION_TAG, group)
    }

    fn write_group_state<T: traits::GroupState<V>, G: traits::GroupId<V>>(
        &self,
        group: &G,
        value: &T,
    ) -> Result<(), OverlayError> {
        self.write(label::GROUP_STATE, group, value)
    }

    fn group_state<T: traits::GroupState<V>, G: traits::GroupId<V>>(
        &self,
        group: &G,
    ) -> Result<Option<T>, OverlayError> {
        self.read(label::GROUP_STATE, group)
    }

    fn delete_group_state<G: traits::GroupId<V>>(&self, group: &G) -> Result<(), OverlayError> {
        self.delete(label::GROUP_STATE, group)
    }

    fn write_resumption_psk_store<G: traits::GroupId<V>, T: traits::ResumptionPskStore<V>>(
        &self,
        group: &G,
        value: &T,
    ) -> Result<(), OverlayError> {
        self.write(label::RESUMPTION, group, value)
    }

    fn resumption_psk_store<G: traits::GroupId<V>, T: traits::ResumptionPskStore<V>>(
        &self,
        group: &G,
    ) -> Result<Option<T>, OverlayError> {
        self.read(label::RESUMPTION, group)
    }

    fn delete_all_resumption_psk_secrets<G: traits::GroupId<V>>(
        &self,
        group: &G,
    ) -> Result<(), OverlayError> {
        self.delete(label::RESUMPTION, group)
    }

    fn write_own_leaf_index<G: traits::GroupId<V>, T: traits::LeafNodeIndex<V>>(
        &self,
        group: &G,
        value: &T,
    ) -> Result<(), OverlayError> {
        self.write(label::OWN_LEAF_INDEX, group, value)
    }

    fn own_leaf_index<G: traits::GroupId<V>, T: traits::LeafNodeIndex<V>>(
        &self,
        group: &G,
    ) -> Result<Option<T>, OverlayError> {
        self.read(label::OWN_LEAF_INDEX, group)
    }

    fn delete_own_leaf_index<G: traits::GroupId<V>>(&self, group: &G) -> Result<(), OverlayError> {
        self.delete(label::OWN_LEAF_INDEX, group)
    }

    fn write_group_epoch_secrets<G: traits::GroupId<V>, T: traits::GroupEpochSecrets<V>>(
        &self,
        group: &G,
        value: &T,
    ) -> Result<(), OverlayError> {
        self.write(label::GROUP_EPOCH_SECRETS, group, value)
    }

    fn group_epoch_secrets<G: traits::GroupId<V>, T: traits::GroupEpochSecrets<V>>(
        &self,
        group: &G,
    ) -> Result<Option<T>, OverlayError> {
        self.read(label::GROUP_EPOCH_SECRETS, group)
    }

    fn delete_group_epoch_secrets<G: traits::GroupId<V>>(&self, group: &G) -> Result<(), OverlayError> {
        self.delete(label::GROUP_EPOCH_SECRETS, group)
    }

    fn write_message_secrets<G: traits::GroupId<V>, T: traits::MessageSecrets<V>>(
        &self,
        group: &G,
        value: &T,
    ) -> Result<(), OverlayError> {
        if self.deferring.get() {
            self.dirty.borrow_mut().insert(key(label::MESSAGE_SECRETS, group)?);
            return Ok(());
        }
        self.write(label::MESSAGE_SECRETS, group, value)
    }

    fn message_secrets<G: traits::GroupId<V>, T: traits::MessageSecrets<V>>(
        &self,
        group: &G,
    ) -> Result<Option<T>, OverlayError> {
        self.read(label::MESSAGE_SECRETS, group)
    }

    fn delete_message_secrets<G: traits::GroupId<V>>(&self, group: &G) -> Result<(), OverlayError> {
        self.dirty.borrow_mut().remove(&key(label::MESSAGE_SECRETS, group)?);
        self.delete(label::MESSAGE_SECRETS, group)
    }

    fn append_own_leaf_node<G: traits::GroupId<V>, T: traits::LeafNode<V>>(
        &self,
        group: &G,
        value: &T,
    ) -> Result<(), OverlayError> {
        let key = key(label::OWN_LEAF_NODES, group)?;
        let mut list = self.list(&key)?;
        list.push(encode(value)?.into());
        self.put(key, Some(encode(&list)?));
        Ok(())
    }

    fn own_leaf_nodes<G: traits::GroupId<V>, T: traits::LeafNode<V>>(
        &self,
        group: &G,
    ) -> Result<Vec<T>, OverlayError> {
        self.list(&key(label::OWN_LEAF_NODES, group)?)?.iter().map(|bytes| decode(bytes)).collect()
    }

    fn delete_own_leaf_nodes<G: traits::GroupId<V>>(&self, group: &G) -> Result<(), OverlayError> {
        self.delete(label::OWN_LEAF_NODES, group)
    }

    fn queue_proposal<G: traits::GroupId<V>, R: traits::ProposalRef<V>, P: traits::QueuedProposal<V>>(
        &self,
        group: &G,
        reference: &R,
        proposal: &P,
    ) -> Result<(), OverlayError> {
        let refs = key(label::PROPOSAL_REFS, group)?;
        let mut list = self.list(&refs)?;
        let encoded = encode(reference)?;
        if !list.iter().any(|known| **known == encoded) {
            list.push(encoded.into());
        }
        self.put(refs, Some(encode(&list)?));
        self.write(label::PROPOSAL, &(group, reference), proposal)
    }

    fn queued_proposal_refs<G: traits::GroupId<V>, R: traits::ProposalRef<V>>(
        &self,
        group: &G,
    ) -> Result<Vec<R>, OverlayError> {
        self.list(&key(label::PROPOSAL_REFS, group)?)?.iter().map(|bytes| decode(bytes)).collect()
    }

    fn queued_proposals<G: traits::GroupId<V>, R: traits::ProposalRef<V>, P: traits::QueuedProposal<V>>(
        &self,
        group: &G,
    ) -> Result<Vec<(R, P)>, OverlayError> {
        let mut queued = Vec::new();
        for reference in self.queued_proposal_refs::<G, R>(group)? {
            if let Some(proposal) = self.read(label::PROPOSAL, &(group, &reference))? {
                queued.push((reference, proposal));
            }
        }
        Ok(queued)
    }

    fn remove_proposal<G: traits::GroupId<V>, R: traits::ProposalRef<V>>(
        &self,
        group: &G,
        reference: &R,
    ) -> Result<(), OverlayError> {
        let refs = key(label::PROPOSAL_REFS, group)?;
        let mut list = self.list(&refs)?;
        let encoded = encode(reference)?;
        list.retain(|known| **known != encoded);
        self.put(refs, Some(encode(&list)?));
        self.delete(label::PROPOSAL, &(group, reference))
    }

    fn clear_proposal_queue<G: traits::GroupId<V>, R: traits::ProposalRef<V>>(
        &self,
        group: &G,
    ) -> Result<(), OverlayError> {
        for reference in self.queued_proposal_refs::<G, R>(group)? {
            self.delete(label::PROPOSAL, &(group, &reference))?;
        }
        self.delete(label::PROPOSAL_REFS, group)
    }

    fn write_encryption_epoch_key_pairs<
        G: traits::GroupId<V>,
        E: traits::EpochKey<V>,
        T: traits::HpkeKeyPair<V>,
    >(
        &self,
        group: &G,
        epoch: &E,
        leaf: u32,
        pairs: &[T],
    ) -> Result<(), OverlayError> {
        self.write(label::EPOCH_KEY_PAIRS, &(group, epoch, leaf), &pairs)
    }

    fn encryption_epoch_key_pairs<
        G: traits::GroupId<V>,
        E: traits::EpochKey<V>,
        T: traits::HpkeKeyPair<V>,
    >(
        &self,
        group: &G,
        epoch: &E,
        leaf: u32,
    ) -> Result<Vec<T>, OverlayError> {
        Ok(self.read(label::EPOCH_KEY_PAIRS, &(group, epoch, leaf))?.unwrap_or_default())
    }

    fn delete_encryption_epoch_key_pairs<G: traits::GroupId<V>, E: traits::EpochKey<V>>(
        &self,
        group: &G,
        epoch: &E,
        leaf: u32,
    ) -> Result<(), OverlayError> {
        self.delete(label::EPOCH_KEY_PAIRS, &(group, epoch, leaf))
    }

    fn write_signature_key_pair<K: traits::SignaturePublicKey<V>, T: traits::SignatureKeyPair<V>>(
        &self,
        id: &K,
        value: &T,
    ) -> Result<(), OverlayError> {
        self.write(label::SIGNATURE_KEY_PAIR, id, value)
    }

    fn signature_key_pair<K: traits::SignaturePublicKey<V>, T: traits::SignatureKeyPair<V>>(
        &self,
        id: &K,
    ) -> Result<Option<T>, OverlayError> {
        self.read(label::SIGNATURE_KEY_PAIR, id)
    }

    fn delete_signature_key_pair<K: traits::SignaturePublicKey<V>>(
        &self,
        id: &K,
    ) -> Result<(), OverlayError> {
        self.delete(label::SIGNATURE_KEY_PAIR, id)
    }

    fn write_encryption_key_pair<K: traits::EncryptionKey<V>, T: traits::HpkeKeyPair<V>>(
        &self,
        id: &K,
        value: &T,
    ) -> Result<(), OverlayError> {
        self.write(label::ENCRYPTION_KEY_PAIR, id, value)
    }

    fn encryption_key_pair<T: traits::HpkeKeyPair<V>, K: traits::EncryptionKey<V>>(
        &self,
        id: &K,
    ) -> Result<Option<T>, OverlayError> {
        self.read(label::ENCRYPTION_KEY_PAIR, id)
    }

    fn delete_encryption_key_pair<K: traits::EncryptionKey<V>>(&self, id: &K) -> Result<(), OverlayError> {
        self.delete(label::ENCRYPTION_KEY_PAIR, id)
    }

    fn write_key_package<K: traits::HashReference<V>, T: traits::KeyPackage<V>>(
        &self,
        id: &K,
        value: &T,
    ) -> Result<(), OverlayError> {
        self.write(label::KEY_PACKAGE, id, value)
    }

    fn key_package<K: traits::HashReference<V>, T: traits::KeyPackage<V>>(
        &self,
        id: &K,
    ) -> Result<Option<T>, OverlayError> {
        self.read(label::KEY_PACKAGE, id)
    }

    fn delete_key_package<K: traits::HashReference<V>>(&self, id: &K) -> Result<(), OverlayError> {
        self.delete(label::KEY_PACKAGE, id)
    }

    fn write_psk<K: traits::PskId<V>, T: traits::PskBundle<V>>(
        &self,
        id: &K,
        value: &T,
    ) -> Result<(), OverlayError> {
        self.write(label::PSK, id, value)
    }

    fn psk<T: traits::PskBundle<V>, K: traits::PskId<V>>(&self, id: &K) -> Result<Option<T>, OverlayError> {
        self.read(label::PSK, id)
    }

    fn delete_psk<K: traits::PskId<V>>(&self, id: &K) -> Result<(), OverlayError> {
        self.delete(label::PSK, id)
    }
}
