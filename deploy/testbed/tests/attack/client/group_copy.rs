//! A hostile member's copy of a group: it joins and reads like anybody, and says what no agent would.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use cipher_broker::certificate::CREDENTIAL_TYPE;
use cipher_broker::codec;
use cipher_broker::id::{DeviceId, GroupId};
use cipher_broker::limit;
use cipher_broker::sign::wire_hash;
use cipher_broker::subject::{Route, Source};
use cipher_broker::time::Timestamp;
use cipher_broker::wire::content::{Body, Content, kind};
use cipher_broker::wire::envelope::{CommitNote, CommitPlace, Envelope, WelcomeNote};
use cipher_broker::wire::group::{GROUP_DATA_EXTENSION, GroupData, TREE_KEY_EXTENSION};
use openmls::group::{GroupContext, JoinBuilder, PastEpochDeletionPolicy, ProcessedWelcome};
use openmls::prelude::{
    CredentialType, CredentialWithKey, Extension, ExtensionType, Extensions, KeyPackage, LeafNodeIndex,
    LeafNodeParameters, MlsGroup, MlsGroupCreateConfig, MlsGroupJoinConfig, MlsMessageBodyIn, MlsMessageIn,
    MlsMessageOut, ProcessedMessageContent, Proposal, ProtocolMessage, RatchetTreeIn,
    RequiredCapabilitiesExtension, SenderRatchetConfiguration, UnknownExtension, Welcome,
};
use openmls_traits::OpenMlsProvider;
use serde_bytes::ByteArray;
use testbed::{Failure, Result, ensure, wait};
use tls_codec::{DeserializeBytes, Serialize};

use super::identity::SUITE;
use super::{Identity, Line, failed};

const NONCE: usize = 24;

/// A group as one hostile member has it.
pub(crate) struct GroupCopy {
    /// The group.
    pub(crate) id: GroupId,
    /// Its state.
    pub(crate) mls: MlsGroup,
    /// The last commit, as the next one has to name it.
    pub(crate) link: CommitPlace,
    cursor: u64,
    own: Vec<[u8; 32]>,
}

/// An invitation before it is sent: what a commit that adds somebody leaves to be posted.
pub(crate) struct Packed {
    /// The commit, enveloped.
    pub(crate) commit: Vec<u8>,
    welcome: Vec<u8>,
    key: [u8; 32],
}

/// What a commit changes; a new leaf key always.
#[derive(Default)]
pub(crate) struct Change {
    /// Who comes.
    pub(crate) adds: Vec<KeyPackage>,
    /// Which leaves go.
    pub(crate) removes: Vec<LeafNodeIndex>,
    /// Anything else.
    pub(crate) proposals: Vec<Proposal>,
    /// Another credential for the own leaf.
    pub(crate) leaf: Option<CredentialWithKey>,
}

/// What a group is run with, like everybody's.
pub(crate) fn join_config() -> MlsGroupJoinConfig {
    MlsGroupJoinConfig::builder()
        .padding_size(limit::PADDING_BYTES)
        .set_past_epoch_deletion_policy(PastEpochDeletionPolicy::default())
        .sender_ratchet_configuration(SenderRatchetConfiguration::new(
            limit::RATCHET_OUT_OF_ORDER,
            limit::RATCHET_FORWARD,
        ))
        .use_ratchet_tree_extension(false)
        .build()
}

/// The extensions of a group with this data.
fn extensions(data: Vec<u8>) -> Result<Extensions<GroupContext>> {
    let required = RequiredCapabilitiesExtension::new(
        &[ExtensionType::Unknown(GROUP_DATA_EXTENSION)],
        &[],
        &[CredentialType::Other(CREDENTIAL_TYPE)],
    );
    Extensions::from_vec(vec![
        Extension::RequiredCapabilities(required),
        Extension::Unknown(GROUP_DATA_EXTENSION, UnknownExtension(data)),
    ])
    .map_err(failed)
}

/// Seals for a group under a key and a label. The nonce comes first.
pub(crate) fn seal(
    key: &[u8; 32],
    nonce: [u8; NONCE],
    label: &[u8],
    group: &GroupId,
    plain: &[u8],
) -> Result<Vec<u8>> {
    let aad = [label, group.as_bytes()].concat();
    let cipher = XChaCha20Poly1305::new(key.into());
    let sealed = cipher.encrypt(XNonce::from_slice(&nonce), Payload { msg: plain, aad: &aad });
    Ok([nonce.as_slice(), &sealed.map_err(failed)?].concat())
}

fn open(key: &[u8; 32], label: &[u8], group: &GroupId, sealed: &[u8]) -> Result<Vec<u8>> {
    let (nonce, sealed) = sealed.split_at_checked(NONCE).ok_or_else(|| failed("too short"))?;
    let aad = [label, group.as_bytes()].concat();
    let cipher = XChaCha20Poly1305::new(key.into());
    cipher.decrypt(XNonce::from_slice(nonce), Payload { msg: sealed, aad: &aad }).map_err(failed)
}

fn tree_label(epoch: u64) -> Vec<u8> {
    [b"tree".as_slice(), &epoch.to_be_bytes()].concat()
}

fn read_welcome(bytes: &[u8]) -> Result<Welcome> {
    match MlsMessageIn::tls_deserialize_exact_bytes(bytes)?.extract() {
        MlsMessageBodyIn::Welcome(welcome) => Ok(welcome),
        other => Err(failed(other)),
    }
}

/// An MLS message in the envelope of stored subjects.
pub(crate) fn enveloped(message: &MlsMessageOut) -> Result<Vec<u8>> {
    Ok(codec::encode(&Envelope::Message(message.to_bytes().map_err(failed)?)))
}

impl GroupCopy {
    /// Makes a group with only its maker in it.
    pub(crate) fn made(by: &Identity, data: Vec<u8>, leaf: CredentialWithKey) -> Result<Self> {
        let id = GroupId::from_bytes(by.random()?);
        let config = MlsGroupCreateConfig::builder()
            .ciphersuite(SUITE)
            .capabilities(Identity::capabilities())
            .with_group_context_extensions(extensions(data)?)
            .padding_size(limit::PADDING_BYTES)
            .use_ratchet_tree_extension(false)
            .build();
        let mls_id = openmls::group::GroupId::from_slice(id.as_bytes());
        let mls = MlsGroup::new_with_group_id(&by.provider, &by.signer, &config, mls_id, leaf);
        let link = CommitPlace { sequence: 0, hash: [0; 32] };
        Ok(Self { id, mls: mls.map_err(failed)?, link, cursor: 0, own: Vec::new() })
    }

    /// Joins by the last invitation on the inbox.
    pub(crate) fn joined(by: &Identity, line: &Line) -> Result<Self> {
        let mail =
            wait::until("an invitation to the hostile client", || line.last(&Route::Inbox(by.device)).ok())?;
        let Envelope::Welcome { welcome, note } = codec::decode(&mail.bytes)? else {
            return testbed::fail("what lies on the inbox is no Welcome");
        };
        let processed =
            ProcessedWelcome::new_from_welcome(&by.provider, &join_config(), read_welcome(&welcome)?);
        let processed = processed.map_err(failed)?;
        let info = processed.unverified_group_info();
        let id = GroupId::from_slice(info.group_id().as_slice())?;
        let epoch = info.epoch().as_u64();
        let key = info.extensions().unknown(TREE_KEY_EXTENSION).ok_or_else(|| failed("no key"))?;
        let key: [u8; 32] = key.0.as_slice().try_into().map_err(failed)?;
        let note: WelcomeNote = codec::decode(&open(&key, b"note", &id, &note)?)?;
        let mut sealed = Vec::new();
        for piece in 0..note.pieces {
            let Envelope::Tree(bytes) =
                codec::decode(&line.last(&Route::Tree { group: id, epoch, piece })?.bytes)?
            else {
                return testbed::fail("what lies on the tree's subject is no tree");
            };
            sealed.extend(bytes);
        }
        let tree = open(&key, &tree_label(epoch), &id, &sealed)?;
        let tree = RatchetTreeIn::tls_deserialize_exact_bytes(&tree)?;
        let staged = JoinBuilder::new(&by.provider, processed).with_ratchet_tree(tree).build();
        let mls = staged.map_err(failed)?.into_group(&by.provider).map_err(failed)?;
        let link = CommitPlace { sequence: note.commit_sequence, hash: note.commit_hash };
        let mut copy = Self { id, mls, cursor: note.commit_sequence, link, own: Vec::new() };
        copy.reads(by, line)?;
        Ok(copy)
    }

    /// Where commits and proposals lie.
    pub(crate) fn handshakes(&self) -> Route {
        Route::Handshake(self.id)
    }

    /// Where messages lie.
    pub(crate) fn messages(&self) -> Route {
        Route::Application(self.id)
    }

    /// What all members agree on.
    pub(crate) fn data(&self) -> Result<GroupData> {
        let data = self.mls.extensions().unknown(GROUP_DATA_EXTENSION);
        Ok(codec::decode(&data.ok_or_else(|| failed("no group data"))?.0)?)
    }

    /// Reads on to the end of the log; gives the texts of others. What does not open is passed over, as everybody does.
    pub(crate) fn reads(&mut self, by: &Identity, line: &Line) -> Result<Vec<String>> {
        let mut texts = Vec::new();
        for stored in line.log(Source::Group(self.id), self.cursor)? {
            self.cursor = stored.sequence;
            let hash = wire_hash(&stored.bytes);
            let (Ok(Envelope::Message(bytes)), false) =
                (codec::decode(&stored.bytes), self.own.contains(&hash))
            else {
                continue;
            };
            let Ok(MlsMessageBodyIn::PrivateMessage(message)) =
                MlsMessageIn::tls_deserialize_exact_bytes(&bytes).map(MlsMessageIn::extract)
            else {
                continue;
            };
            let Ok(processed) = self.mls.process_message(&by.provider, ProtocolMessage::from(message)) else {
                continue;
            };
            match processed.into_content() {
                ProcessedMessageContent::ApplicationMessage(message) => {
                    if let Ok(Content { body: Body::Text(text), .. }) = codec::decode(&message.into_bytes()) {
                        texts.push(text);
                    }
                }
                ProcessedMessageContent::StagedCommitMessage(staged) => {
                    self.mls.clear_pending_proposals(by.provider.storage()).map_err(failed)?;
                    self.mls.merge_staged_commit(&by.provider, *staged).map_err(failed)?;
                    self.link = CommitPlace { sequence: stored.sequence, hash };
                }
                _ => {}
            }
        }
        Ok(texts)
    }

    /// A message as an agent fills it, of any kind: encoded it is the kind that it names.
    pub(crate) fn content(by: &Identity, kind: &str, text: &str) -> Result<Content> {
        let body = Body::Unknown { kind: kind.into(), text: text.into(), data: None, of: None };
        Ok(Content::new(by.random()?, wait::now(), body))
    }

    /// Seals any bytes as an application message.
    pub(crate) fn seals(&mut self, by: &Identity, payload: &[u8]) -> Result<Vec<u8>> {
        self.mls.set_aad(Vec::new());
        enveloped(&self.mls.create_message(&by.provider, &by.signer, payload).map_err(failed)?)
    }

    /// Seals a text as an agent would.
    pub(crate) fn seals_text(&mut self, by: &Identity, text: &str) -> Result<Vec<u8>> {
        let content = Self::content(by, kind::TEXT, text)?;
        self.seals(by, &codec::encode(&content))
    }

    /// Says something; gives the sequence.
    pub(crate) fn says(&mut self, by: &Identity, line: &Line, content: &Content) -> Result<u64> {
        let bytes = self.seals(by, &codec::encode(content))?;
        line.store(&self.messages(), bytes)
    }

    /// Says a text; gives the sequence.
    pub(crate) fn says_text(&mut self, by: &Identity, line: &Line, text: &str) -> Result<u64> {
        let content = Self::content(by, kind::TEXT, text)?;
        self.says(by, line, &content)
    }

    /// A commit that adds nobody; not merged, not sent.
    pub(crate) fn commits(&mut self, by: &Identity, change: Change) -> Result<Vec<u8>> {
        Ok(self.packs(by, change)?.commit)
    }

    /// A commit of anything, with what whom it adds needs; not merged, not sent.
    pub(crate) fn packs(&mut self, by: &Identity, change: Change) -> Result<Packed> {
        self.forgets(by)?;
        self.mls.set_aad(codec::encode(&CommitNote::after(&self.link, Vec::new())));
        let key: [u8; 32] = by.random()?;
        let tree_key = Extension::Unknown(TREE_KEY_EXTENSION, UnknownExtension(key.to_vec()));
        let Change { adds, removes, proposals, leaf } = change;
        let mut builder =
            self.mls.commit_builder().propose_adds(adds).propose_removals(removes).add_proposals(proposals);
        builder = match leaf {
            Some(leaf) => builder
                .leaf_node_parameters(LeafNodeParameters::builder().with_credential_with_key(leaf).build()),
            None => builder.force_self_update(true),
        };
        let builder = builder.load_psks(by.provider.storage()).map_err(failed)?;
        let builder = builder.create_group_info_with_extensions([tree_key]).map_err(failed)?;
        let bundle = builder
            .build(by.provider.rand(), by.provider.crypto(), &by.signer, |_| true)
            .map_err(failed)?
            .stage_commit(&by.provider)
            .map_err(failed)?;
        let welcome = bundle.to_welcome_msg().map(|message| message.to_bytes()).transpose();
        let welcome = welcome.map_err(failed)?.unwrap_or_default();
        Ok(Packed { commit: enveloped(bundle.commit())?, welcome, key })
    }

    /// A commit that puts other data in place of the group's; not merged, not sent.
    pub(crate) fn commits_data(&mut self, by: &Identity, data: Vec<u8>) -> Result<Vec<u8>> {
        self.commits_extensions(by, extensions(data)?)
    }

    /// The same with any extensions.
    pub(crate) fn commits_extensions(
        &mut self,
        by: &Identity,
        extensions: Extensions<GroupContext>,
    ) -> Result<Vec<u8>> {
        self.forgets(by)?;
        self.mls.set_aad(codec::encode(&CommitNote::after(&self.link, Vec::new())));
        let changed = self.mls.update_group_context_extensions(&by.provider, extensions, &by.signer);
        enveloped(&changed.map_err(failed)?.0)
    }

    /// Forgets a commit that was made and the proposals it knows.
    pub(crate) fn forgets(&mut self, by: &Identity) -> Result {
        self.mls.clear_pending_commit(by.provider.storage()).map_err(failed)?;
        self.mls.clear_pending_proposals(by.provider.storage()).map_err(failed)
    }

    /// Sends a commit that was made, and takes it for good: the own copy goes on as if everybody had merged it.
    pub(crate) fn sends_and_merges(&mut self, by: &Identity, line: &Line, commit: Vec<u8>) -> Result<u64> {
        let hash = wire_hash(&commit);
        let sequence = line.store(&self.handshakes(), commit)?;
        self.merges(by, sequence, hash)?;
        Ok(sequence)
    }

    /// Takes the commit that was made for the group's.
    pub(crate) fn merges(&mut self, by: &Identity, sequence: u64, hash: [u8; 32]) -> Result {
        self.mls.merge_pending_commit(&by.provider).map_err(failed)?;
        self.own.push(hash);
        self.link = CommitPlace { sequence, hash };
        Ok(())
    }

    /// Posts tree and Welcomes of a commit that was merged here, wherever its commit went.
    pub(crate) fn invites(
        &self,
        by: &Identity,
        line: &Line,
        packed: &Packed,
        devices: &[DeviceId],
    ) -> Result {
        let (tree, welcomes) = self.invitation(by, packed, devices)?;
        for (route, bytes) in tree.into_iter().chain(welcomes) {
            line.store(&route, bytes)?;
        }
        Ok(())
    }

    /// The same, not sent: the pieces of the tree, and the Welcomes.
    #[expect(clippy::type_complexity, reason = "two lists of what lies where")]
    pub(crate) fn invitation(
        &self,
        by: &Identity,
        packed: &Packed,
        devices: &[DeviceId],
    ) -> Result<(Vec<(Route, Vec<u8>)>, Vec<(Route, Vec<u8>)>)> {
        let epoch = self.mls.epoch().as_u64();
        let tree = self.mls.export_ratchet_tree().tls_serialize_detached()?;
        let sealed = seal(&packed.key, by.random()?, &tree_label(epoch), &self.id, &tree)?;
        let pieces: Vec<_> = (0_u32..)
            .zip(sealed.chunks(limit::TREE_CHUNK_BYTES))
            .map(|(piece, bytes)| {
                let route = Route::Tree { group: self.id, epoch, piece };
                (route, codec::encode(&Envelope::Tree(bytes.to_vec())))
            })
            .collect();
        ensure(!packed.welcome.is_empty(), || "the commit adds nobody".into())?;
        let note = WelcomeNote {
            commit_sequence: self.link.sequence,
            commit_hash: self.link.hash,
            pieces: u32::try_from(pieces.len()).map_err(failed)?,
            hashes: pieces.iter().map(|(_, bytes)| ByteArray::new(wire_hash(bytes))).collect(),
            text: String::new(),
            commit_at: Timestamp::default(),
            doubt: false,
        };
        let mut welcomes = Vec::new();
        for device in devices {
            let note = seal(&packed.key, by.random()?, b"note", &self.id, &codec::encode(&note))?;
            let bytes = codec::encode(&Envelope::Welcome { welcome: packed.welcome.clone(), note });
            welcomes.push((Route::Inbox(*device), bytes));
        }
        Ok((pieces, welcomes))
    }

    /// Fails unless the copy is in the same world as this authenticator, which `group show` told.
    pub(crate) fn is_in_step_with(&self, shown: &serde_json::Value) -> Result {
        let epoch = shown.get("epoch").and_then(serde_json::Value::as_u64);
        ensure(epoch == Some(self.mls.epoch().as_u64()), || {
            format!("the hostile copy is in epoch {}: {shown}", self.mls.epoch().as_u64())
        })
    }
}

/// The packages a target's devices have at the registry, as anybody may take them.
pub(crate) fn claimed(
    by: &Identity,
    line: &Line,
    account: cipher_broker::id::AccountId,
) -> Result<Vec<KeyPackage>> {
    use cipher_broker::wire::registry::{Answer, Operation};
    use openmls::prelude::{KeyPackageIn, ProtocolVersion};
    let claim = Operation::ClaimKeyPackages { account, suite: SUITE.into(), device: None };
    let Answer::KeyPackages(packages) = by.does(line, &claim)? else {
        return Err(Failure::new("the registry gives no key packages"));
    };
    packages
        .iter()
        .map(|package| {
            let package = KeyPackageIn::tls_deserialize_exact_bytes(&package.key_package)?;
            package.validate(by.provider.crypto(), ProtocolVersion::Mls10).map_err(failed)
        })
        .collect()
}
