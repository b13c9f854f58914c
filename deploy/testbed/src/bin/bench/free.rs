//! Storage for the raw baseline: everything in memory, and nothing at all per message.
//!
//! OpenMLS hands the whole message-secrets store of a group to its storage with every message. A baseline that
//! serialised it would measure that and flatter us; this one drops it.

use openmls_rust_crypto::{MemoryStorage, RustCrypto};
use openmls_traits::OpenMlsProvider;
use openmls_traits::storage::{CURRENT_VERSION, StorageProvider, traits};

/// Crypto as the core uses it, storage that costs nothing per message.
#[derive(Debug, Default)]
pub(crate) struct Free {
    crypto: RustCrypto,
    storage: FreeStorage,
}

/// Memory, and no message secrets.
#[derive(Debug, Default)]
pub(crate) struct FreeStorage(MemoryStorage);

impl OpenMlsProvider for Free {
    type CryptoProvider = RustCrypto;
    type RandProvider = RustCrypto;
    type StorageProvider = FreeStorage;

    fn storage(&self) -> &FreeStorage {
        &self.storage
    }
    fn crypto(&self) -> &RustCrypto {
        &self.crypto
    }
    fn rand(&self) -> &RustCrypto {
        &self.crypto
    }
}

const V: u16 = CURRENT_VERSION;

/// Methods that go to memory unchanged.
macro_rules! as_in_memory {
    ($(fn $name:ident[$($g:ident: $bound:ident),*]($($a:ident: $t:ty),*) -> $r:ty;)*) => {
        $(
            fn $name<$($g: traits::$bound<V>),*>(&self, $($a: $t),*) -> Result<$r, Self::Error> {
                self.0.$name::<$($g),*>($($a),*)
            }
        )*
    };
}

impl StorageProvider<V> for FreeStorage {
    type Error = <MemoryStorage as StorageProvider<V>>::Error;

    fn write_message_secrets<G: traits::GroupId<V>, A: traits::MessageSecrets<V>>(
        &self,
        _group_id: &G,
        _message_secrets: &A,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    as_in_memory! {
        fn write_mls_join_config[G: GroupId, A: MlsGroupJoinConfig](group_id: &G, config: &A) -> ();
        fn append_own_leaf_node[G: GroupId, A: LeafNode](group_id: &G, leaf_node: &A) -> ();
        fn queue_proposal[G: GroupId, A: ProposalRef, B: QueuedProposal](group_id: &G, proposal_ref: &A, proposal: &B) -> ();
        fn write_tree[G: GroupId, A: TreeSync](group_id: &G, tree: &A) -> ();
        fn write_interim_transcript_hash[G: GroupId, A: InterimTranscriptHash](group_id: &G, interim_transcript_hash: &A) -> ();
        fn write_context[G: GroupId, A: GroupContext](group_id: &G, group_context: &A) -> ();
        fn write_confirmation_tag[G: GroupId, A: ConfirmationTag](group_id: &G, confirmation_tag: &A) -> ();
        fn write_group_state[G: GroupState, A: GroupId](group_id: &A, group_state: &G) -> ();
        fn write_resumption_psk_store[G: GroupId, A: ResumptionPskStore](group_id: &G, resumption_psk_store: &A) -> ();
        fn write_own_leaf_index[G: GroupId, A: LeafNodeIndex](group_id: &G, own_leaf_index: &A) -> ();
        fn write_group_epoch_secrets[G: GroupId, A: GroupEpochSecrets](group_id: &G, group_epoch_secrets: &A) -> ();
        fn write_signature_key_pair[G: SignaturePublicKey, A: SignatureKeyPair](public_key: &G, signature_key_pair: &A) -> ();
        fn write_encryption_key_pair[G: EncryptionKey, A: HpkeKeyPair](public_key: &G, key_pair: &A) -> ();
        fn write_encryption_epoch_key_pairs[G: GroupId, A: EpochKey, B: HpkeKeyPair](group_id: &G, epoch: &A, leaf_index: u32, key_pairs: &[B]) -> ();
        fn write_key_package[G: HashReference, A: KeyPackage](hash_ref: &G, key_package: &A) -> ();
        fn write_psk[G: PskId, A: PskBundle](psk_id: &G, psk: &A) -> ();
        fn mls_group_join_config[G: GroupId, A: MlsGroupJoinConfig](group_id: &G) -> Option<A>;
        fn own_leaf_nodes[G: GroupId, A: LeafNode](group_id: &G) -> Vec<A>;
        fn queued_proposal_refs[G: GroupId, A: ProposalRef](group_id: &G) -> Vec<A>;
        fn queued_proposals[G: GroupId, A: ProposalRef, B: QueuedProposal](group_id: &G) -> Vec<(A, B)>;
        fn tree[G: GroupId, A: TreeSync](group_id: &G) -> Option<A>;
        fn group_context[G: GroupId, A: GroupContext](group_id: &G) -> Option<A>;
        fn interim_transcript_hash[G: GroupId, A: InterimTranscriptHash](group_id: &G) -> Option<A>;
        fn confirmation_tag[G: GroupId, A: ConfirmationTag](group_id: &G) -> Option<A>;
        fn group_state[G: GroupState, A: GroupId](group_id: &A) -> Option<G>;
        fn message_secrets[G: GroupId, A: MessageSecrets](group_id: &G) -> Option<A>;
        fn resumption_psk_store[G: GroupId, A: ResumptionPskStore](group_id: &G) -> Option<A>;
        fn own_leaf_index[G: GroupId, A: LeafNodeIndex](group_id: &G) -> Option<A>;
        fn group_epoch_secrets[G: GroupId, A: GroupEpochSecrets](group_id: &G) -> Option<A>;
        fn signature_key_pair[G: SignaturePublicKey, A: SignatureKeyPair](public_key: &G) -> Option<A>;
        fn encryption_key_pair[G: HpkeKeyPair, A: EncryptionKey](public_key: &A) -> Option<G>;
        fn encryption_epoch_key_pairs[G: GroupId, A: EpochKey, B: HpkeKeyPair](group_id: &G, epoch: &A, leaf_index: u32) -> Vec<B>;
        fn key_package[G: HashReference, A: KeyPackage](hash_ref: &G) -> Option<A>;
        fn psk[G: PskBundle, A: PskId](psk_id: &A) -> Option<G>;
        fn remove_proposal[G: GroupId, A: ProposalRef](group_id: &G, proposal_ref: &A) -> ();
        fn delete_own_leaf_nodes[G: GroupId](group_id: &G) -> ();
        fn delete_group_config[G: GroupId](group_id: &G) -> ();
        fn delete_tree[G: GroupId](group_id: &G) -> ();
        fn delete_confirmation_tag[G: GroupId](group_id: &G) -> ();
        fn delete_group_state[G: GroupId](group_id: &G) -> ();
        fn delete_context[G: GroupId](group_id: &G) -> ();
        fn delete_interim_transcript_hash[G: GroupId](group_id: &G) -> ();
        fn delete_message_secrets[G: GroupId](group_id: &G) -> ();
        fn delete_all_resumption_psk_secrets[G: GroupId](group_id: &G) -> ();
        fn delete_own_leaf_index[G: GroupId](group_id: &G) -> ();
        fn delete_group_epoch_secrets[G: GroupId](group_id: &G) -> ();
        fn clear_proposal_queue[G: GroupId, A: ProposalRef](group_id: &G) -> ();
        fn delete_signature_key_pair[G: SignaturePublicKey](public_key: &G) -> ();
        fn delete_encryption_key_pair[G: EncryptionKey](public_key: &G) -> ();
        fn delete_encryption_epoch_key_pairs[G: GroupId, A: EpochKey](group_id: &G, epoch: &A, leaf_index: u32) -> ();
        fn delete_key_package[G: HashReference](hash_ref: &G) -> ();
        fn delete_psk[G: PskId](psk_id: &G) -> ();
    }
}
