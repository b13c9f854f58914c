//! A hostile member of a story: an account with keys of its own on raw OpenMLS. It joins groups, reads on like anybody, and
//! says what no agent says. It keeps no rules; what OpenMLS refuses stays refused.
//!
//! Whatever the rules of honest members let pass is put into the log as anybody's word; everything else is thrown there as
//! junk, so that the oracles know what may not count.

mod deeds;
mod provider;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use cipher_broker::certificate::{CREDENTIAL_TYPE, CertificateBody, DeviceCertificate, Kind};
use cipher_broker::codec;
use cipher_broker::id::{AccountId, DeviceId, GroupId};
use cipher_broker::limit;
use cipher_broker::sign::{Purpose, Signed, wire_hash};
use cipher_broker::subject::{Route, Source};
use cipher_broker::time::Timestamp;
use cipher_broker::wire::content::{Body, Content};
use cipher_broker::wire::envelope::{CommitPlace, Envelope, WelcomeNote};
use cipher_broker::wire::group::{GROUP_DATA_EXTENSION, GroupData, Role, Settings, TREE_KEY_EXTENSION};
use cipher_broker::wire::registry::{
    Answer, CreateAccount, Operation, Outcome, PublicProfile, RequestBody, SignedProfile, open_reply,
    seal_request,
};
use cipher_broker::wire::statement::{Statement, StatementKind};
use ed25519_dalek::SigningKey;
use openmls::group::{GroupContext, JoinBuilder, PastEpochDeletionPolicy, ProcessedWelcome};
use openmls::prelude::{
    Capabilities, Ciphersuite, Credential, CredentialType, CredentialWithKey, Extension, ExtensionType,
    Extensions, KeyPackage, KeyPackageIn, LeafNodeIndex, LeafNodeParameters, Lifetime, MlsGroup,
    MlsGroupCreateConfig, MlsGroupJoinConfig, MlsMessageBodyIn, MlsMessageIn, MlsMessageOut,
    ProcessedMessageContent, Proposal, ProtocolMessage, ProtocolVersion, RatchetTreeIn,
    RequiredCapabilitiesExtension, SenderRatchetConfiguration, UnknownExtension, Welcome,
};
use openmls_basic_credential::SignatureKeyPair;
use openmls_traits::OpenMlsProvider;
use openmls_traits::crypto::OpenMlsCrypto as _;
use openmls_traits::types::SignatureScheme;
use tls_codec::{DeserializeBytes, Serialize as _};

pub(crate) use deeds::DEEDS;
use provider::Provider;

use crate::support::dice::Dice;
use crate::support::registry::Fate;
use crate::support::world::World;

const SUITE: Ciphersuite = Ciphersuite::MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519;
const NONCE: usize = 24;
const HOUR: Duration = Duration::from_secs(3600);
/// By what name it is known.
pub(crate) const HANDLE: &str = "mallory";

/// A group as the hostile member has it.
struct Copy {
    id: GroupId,
    mls: MlsGroup,
    /// The last commit, as the next one has to name it.
    link: CommitPlace,
    cursor: u64,
    /// Its own commit that may count.
    own: Option<[u8; 32]>,
    /// What it sealed and kept.
    kept: Vec<Vec<u8>>,
}

/// The hostile member.
pub(crate) struct Mallory {
    dice: Dice,
    provider: Provider,
    signer: SignatureKeyPair,
    account: AccountId,
    device: DeviceId,
    certificate: DeviceCertificate,
    account_key: SigningKey,
    device_key: SigningKey,
    groups: Vec<Copy>,
    inbox: u64,
    /// What it did so far, by name.
    pub(crate) did: Vec<&'static str>,
}

/// A commit, and what whom it adds needs.
struct Packed {
    commit: Vec<u8>,
    welcome: Vec<u8>,
    key: [u8; 32],
}

/// What a commit changes.
#[derive(Default)]
struct Change {
    adds: Vec<KeyPackage>,
    removes: Vec<LeafNodeIndex>,
    data: Option<Vec<u8>>,
    leaf: Option<CredentialWithKey>,
    proposals: Vec<Proposal>,
}

fn join_config() -> MlsGroupJoinConfig {
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

fn capabilities() -> Capabilities {
    Capabilities::new(
        Some(&[ProtocolVersion::Mls10]),
        Some(&[SUITE]),
        Some(&[ExtensionType::Unknown(GROUP_DATA_EXTENSION), ExtensionType::LastResort]),
        Some(&[]),
        Some(&[CredentialType::Other(CREDENTIAL_TYPE)]),
    )
}

fn extensions(data: Vec<u8>) -> Extensions<GroupContext> {
    let required = RequiredCapabilitiesExtension::new(
        &[ExtensionType::Unknown(GROUP_DATA_EXTENSION)],
        &[],
        &[CredentialType::Other(CREDENTIAL_TYPE)],
    );
    Extensions::from_vec(vec![
        Extension::RequiredCapabilities(required),
        Extension::Unknown(GROUP_DATA_EXTENSION, UnknownExtension(data)),
    ])
    .unwrap()
}

fn aad_of(label: &[u8], group: &GroupId) -> Vec<u8> {
    [label, group.as_bytes()].concat()
}

fn seal(key: &[u8; 32], nonce: [u8; NONCE], label: &[u8], group: &GroupId, plain: &[u8]) -> Vec<u8> {
    let payload = Payload { msg: plain, aad: &aad_of(label, group) };
    let sealed = XChaCha20Poly1305::new(key.into()).encrypt(XNonce::from_slice(&nonce), payload).unwrap();
    [nonce.as_slice(), &sealed].concat()
}

fn open(key: &[u8; 32], label: &[u8], group: &GroupId, sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, sealed) = sealed.split_at_checked(NONCE)?;
    let payload = Payload { msg: sealed, aad: &aad_of(label, group) };
    XChaCha20Poly1305::new(key.into()).decrypt(XNonce::from_slice(nonce), payload).ok()
}

fn tree_label(epoch: u64) -> Vec<u8> {
    [b"tree".as_slice(), &epoch.to_be_bytes()].concat()
}

fn read_welcome(bytes: &[u8]) -> Option<Welcome> {
    match MlsMessageIn::tls_deserialize_exact_bytes(bytes).ok()?.extract() {
        MlsMessageBodyIn::Welcome(welcome) => Some(welcome),
        _ => None,
    }
}

fn enveloped(message: &MlsMessageOut) -> Vec<u8> {
    codec::encode(&Envelope::Message(message.to_bytes().unwrap()))
}

fn data_of(mls: &MlsGroup) -> GroupData {
    codec::decode(&mls.extensions().unknown(GROUP_DATA_EXTENSION).unwrap().0).unwrap()
}

/// Another memory with the same in it, and the group from there.
fn twin(provider: &Provider, mls: &MlsGroup) -> (Provider, MlsGroup) {
    let other = provider.twin();
    let copy = MlsGroup::load(other.storage(), mls.group_id()).unwrap().unwrap();
    (other, copy)
}

impl Mallory {
    /// Keys that nobody knows of yet.
    fn fresh(seed: u64, now: Timestamp) -> Self {
        let provider = Provider::new(seed);
        let random = || SigningKey::from_bytes(&provider.rand().array());
        let (account_key, device_key) = (random(), random());
        let public = account_key.verifying_key().to_bytes();
        let body = CertificateBody {
            account: AccountId::of_key(&public),
            account_key: public,
            device: DeviceId::from_bytes(provider.rand().array()),
            device_key: device_key.verifying_key().to_bytes(),
            kind: Kind::Person,
            owner: None,
            not_before: now.minus(HOUR),
            not_after: now.plus(limit::KEY_PACKAGE_LIFETIME),
            serial: 1,
        };
        let own = device_key.verifying_key().to_bytes().to_vec();
        Self {
            dice: Dice::new(seed ^ 0x6D61_6C6C),
            signer: SignatureKeyPair::from_raw(SignatureScheme::ED25519, device_key.to_bytes().to_vec(), own),
            provider,
            account: body.account,
            device: body.device,
            certificate: DeviceCertificate::sign(&body, &account_key),
            account_key,
            device_key,
            groups: Vec::new(),
            inbox: 0,
            did: Vec::new(),
        }
    }

    /// Registers, with one package that is never used up.
    pub(crate) fn arrives(world: &mut World) -> Self {
        let mallory = Self::fresh(world.seed, world.now);
        let create = Operation::CreateAccount(Box::new(mallory.creation(world.now)));
        let created = mallory.asks(world, create);
        assert!(created.is_some(), "the hostile member registers");
        world.publish_statements();
        let package = mallory.key_package(world.now, true).tls_serialize_detached().unwrap();
        world.registry.shelve(mallory.account, mallory.device, package);
        mallory
    }

    fn creation(&self, now: Timestamp) -> CreateAccount {
        let certificate = wire_hash(&self.certificate.to_bytes());
        let claim = StatementKind::Create { handle: HANDLE.parse().unwrap(), certificate };
        let statement = Statement { account: self.account, sequence: 0, previous: [0; 32], at: now, claim };
        let profile = PublicProfile { version: 1, ..PublicProfile::silent(self.account) };
        CreateAccount {
            statement: Signed::new(&self.account_key, Purpose::AccountStatement, codec::encode(&statement)),
            certificate: self.certificate.clone(),
            profile: SignedProfile {
                device: self.device,
                profile: Signed::new(&self.device_key, Purpose::Profile, codec::encode(&profile)),
            },
            ticket: None,
        }
    }

    fn asks(&self, world: &mut World, operation: Operation) -> Option<Answer> {
        let name = operation.name();
        let body = RequestBody {
            nonce: self.random(),
            issued_at: world.now,
            account: self.account,
            device: self.device,
            operation,
        };
        let request = seal_request(&body, &self.device_key);
        let reply = world.registry.ask(name, &request, world.now, Fate::Answered)?;
        match open_reply(&reply, &request, None).unwrap().outcome {
            Outcome::Answer(answer) => Some(*answer),
            Outcome::Refused(_) => None,
        }
    }

    fn random<const N: usize>(&self) -> [u8; N] {
        self.provider.rand().array()
    }

    fn credential(&self, certificate: &DeviceCertificate) -> CredentialWithKey {
        CredentialWithKey {
            credential: Credential::new(CredentialType::Other(CREDENTIAL_TYPE), certificate.to_bytes()),
            signature_key: self.device_key.verifying_key().to_bytes().to_vec().into(),
        }
    }

    /// A group of its own, with an id that may be another's.
    fn makes(&self, id: GroupId) -> MlsGroup {
        let data = GroupData {
            version: 1,
            name: "mallory's".into(),
            direct: false,
            personal: false,
            roles: [(self.account, Role::Owner)].into(),
            may_add: Role::Admin,
            may_rename: Role::Admin,
            may_resync: true,
            settings: Settings::default(),
            links: BTreeMap::new(),
            banned: BTreeSet::new(),
        };
        let config = MlsGroupCreateConfig::builder()
            .ciphersuite(SUITE)
            .capabilities(capabilities())
            .with_group_context_extensions(extensions(codec::encode(&data)))
            .padding_size(limit::PADDING_BYTES)
            .use_ratchet_tree_extension(false)
            .build();
        let id = openmls::group::GroupId::from_slice(id.as_bytes());
        let leaf = self.credential(&self.certificate);
        MlsGroup::new_with_group_id(&self.provider, &self.signer, &config, id, leaf).unwrap()
    }

    fn key_package(&self, now: Timestamp, last_resort: bool) -> KeyPackage {
        let until = now.plus(limit::KEY_PACKAGE_LIFETIME);
        let lifetime = Lifetime::init(now.minus(HOUR).as_secs(), until.as_secs());
        let mut builder =
            KeyPackage::builder().leaf_node_capabilities(capabilities()).key_package_lifetime(lifetime);
        if last_resort {
            builder = builder.mark_as_last_resort();
        }
        let bundle =
            builder.build(SUITE, &self.provider, &self.signer, self.credential(&self.certificate)).unwrap();
        bundle.key_package().clone()
    }

    /// The packages of somebody's devices, as anybody may take them.
    fn claimed(&self, world: &mut World, account: AccountId) -> Vec<KeyPackage> {
        let claim = Operation::ClaimKeyPackages { account, suite: SUITE.into(), device: None };
        let Some(Answer::KeyPackages(packages)) = self.asks(world, claim) else { return Vec::new() };
        let valid = |bytes: &[u8]| {
            let package = KeyPackageIn::tls_deserialize_exact_bytes(bytes).ok()?;
            package.validate(self.provider.crypto(), ProtocolVersion::Mls10).ok()
        };
        packages.iter().filter_map(|package| valid(&package.key_package)).collect()
    }

    // Reading like anybody.

    /// Takes every invitation and reads every log to its end.
    pub(crate) fn reads(&mut self, world: &World) {
        for mail in world.log.read(&Source::Inbox(self.device), self.inbox, u64::MAX, usize::MAX) {
            self.inbox = mail.sequence;
            if let Ok(Envelope::Welcome { welcome, note }) = codec::decode(&mail.bytes) {
                self.joins(world, &welcome, &note);
            }
        }
        for at in 0..self.groups.len() {
            self.reads_on(world, at);
        }
    }

    fn joins(&mut self, world: &World, welcome: &[u8], note: &[u8]) -> Option<()> {
        let welcome = read_welcome(welcome)?;
        // The package serves again and again; a first look must not use it up.
        let looked = self.provider.twin();
        let processed = ProcessedWelcome::new_from_welcome(&looked, &join_config(), welcome.clone()).ok()?;
        let info = processed.unverified_group_info();
        let id = GroupId::from_slice(info.group_id().as_slice()).ok()?;
        let epoch = info.epoch().as_u64();
        if self.groups.iter().any(|copy| copy.id == id && copy.mls.epoch().as_u64() >= epoch) {
            return None;
        }
        let key: [u8; 32] = info.extensions().unknown(TREE_KEY_EXTENSION)?.0.as_slice().try_into().ok()?;
        let note: WelcomeNote = codec::decode(&open(&key, b"note", &id, note)?).ok()?;
        let hashes: Vec<[u8; 32]> = note.hashes.iter().map(|hash| **hash).collect();
        let mut sealed = Vec::new();
        for piece in world.log.tree(id, epoch, note.pieces, &hashes)? {
            let Envelope::Tree(bytes) = codec::decode(&piece).ok()? else { return None };
            sealed.extend(bytes);
        }
        let tree = open(&key, &tree_label(epoch), &id, &sealed)?;
        let tree = RatchetTreeIn::tls_deserialize_exact_bytes(&tree).ok()?;
        if let Some(at) = self.groups.iter().position(|copy| copy.id == id) {
            let mut old = self.groups.remove(at);
            old.mls.delete(self.provider.storage()).unwrap();
        }
        let processed = ProcessedWelcome::new_from_welcome(&self.provider, &join_config(), welcome).ok()?;
        let staged = JoinBuilder::new(&self.provider, processed).with_ratchet_tree(tree).build().ok()?;
        let mls = staged.into_group(&self.provider).ok()?;
        let link = CommitPlace { sequence: note.commit_sequence, hash: note.commit_hash };
        self.groups.push(Copy { id, mls, cursor: note.commit_sequence, link, own: None, kept: Vec::new() });
        Some(())
    }

    fn reads_on(&mut self, world: &World, at: usize) {
        let Self { provider, groups, .. } = self;
        let copy = &mut groups[at];
        for stored in world.log.read(&Source::Group(copy.id), copy.cursor, u64::MAX, usize::MAX) {
            copy.cursor = stored.sequence;
            let hash = wire_hash(&stored.bytes);
            let Ok(Envelope::Message(bytes)) = codec::decode(&stored.bytes) else { continue };
            let Ok(MlsMessageBodyIn::PrivateMessage(message)) =
                MlsMessageIn::tls_deserialize_exact_bytes(&bytes).map(MlsMessageIn::extract)
            else {
                continue;
            };
            let message = ProtocolMessage::from(message);
            if copy.own == Some(hash) {
                // Whether everybody else took it: its own copy may be behind a commit that it could not follow.
                let outside = world.log.outside(copy.id);
                let landed = outside.iter().any(|m| m.sequence == stored.sequence && m.landed);
                if landed && message.epoch() == copy.mls.epoch() && copy.mls.pending_commit().is_some() {
                    copy.mls.merge_pending_commit(provider).unwrap();
                    copy.link = CommitPlace { sequence: stored.sequence, hash };
                }
                copy.own = None;
                continue;
            }
            let Ok(processed) = copy.mls.process_message(provider, message) else { continue };
            match processed.into_content() {
                ProcessedMessageContent::ProposalMessage(proposal) => {
                    copy.mls.store_pending_proposal(provider.storage(), *proposal).unwrap();
                }
                ProcessedMessageContent::StagedCommitMessage(staged) => {
                    copy.mls.merge_staged_commit(provider, *staged).unwrap();
                    copy.own = None;
                    copy.link = CommitPlace { sequence: stored.sequence, hash };
                }
                _ => {}
            }
        }
    }

    // Saying what nobody says.

    fn content(&self, world: &World, kind: &str, text: &str) -> Content {
        // Encoded it is the kind it names.
        let body = Body::Unknown { kind: kind.into(), text: text.into(), data: None, of: None };
        Content::new(self.random(), world.now, body)
    }

    fn sealed(&mut self, at: usize, aad: Vec<u8>, payload: &[u8]) -> Option<Vec<u8>> {
        let Self { provider, groups, signer, .. } = self;
        let mls = &mut groups[at].mls;
        mls.set_aad(aad);
        Some(enveloped(&mls.create_message(provider, signer, payload).ok()?))
    }

    /// Its account.
    pub(crate) const fn account(&self) -> AccountId {
        self.account
    }

    /// Chance, for what is said.
    pub(crate) fn salt(&self) -> [u8; 16] {
        self.random()
    }

    /// The devices of an account in a group, each with the key of its leaf.
    pub(crate) fn leaves_of(&self, group: GroupId, account: AccountId) -> Vec<(DeviceId, Vec<u8>)> {
        let copy = self.groups.iter().find(|copy| copy.id == group).unwrap();
        let proven = |member: openmls::prelude::Member| {
            let body = DeviceCertificate::open(member.credential.serialized_content()).ok()?;
            (body.account == account).then_some((body.device, member.encryption_key))
        };
        copy.mls.members().filter_map(proven).collect()
    }

    /// Seals something to a key, as HPKE does: the encapsulated secret, and what is sealed.
    pub(crate) fn seals_to(&self, key: &[u8], info: &[u8], aad: &[u8], plain: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let sealed = self.provider.crypto().hpke_seal(SUITE.hpke_config(), key, info, aad, plain).unwrap();
        (sealed.kem_output.as_slice().to_vec(), sealed.ciphertext.as_slice().to_vec())
    }

    /// Says exactly this in a group, by the epoch in which its own copy is.
    pub(crate) fn says_this(&mut self, world: &mut World, group: GroupId, content: &Content) {
        let at = self.groups.iter().position(|copy| copy.id == group).unwrap();
        let bytes = self.sealed(at, Vec::new(), &codec::encode(content)).unwrap();
        Self::says(world, Route::Application(group), bytes);
    }

    /// A commit of anything; the own copy stays as it is unless the commit is read where it counts.
    fn packed(&mut self, at: usize, note: Vec<u8>, change: Change) -> Option<Packed> {
        let key: [u8; 32] = self.random();
        let Self { provider, groups, signer, .. } = self;
        packed(provider, &mut groups[at].mls, signer, key, note, change)
    }

    /// Puts something into a log that honest members may take for what it is.
    fn says(world: &mut World, route: Route, bytes: Vec<u8>) {
        // It may be skipped all the same, once by everybody.
        world.log.junk += 1;
        world.log.inject(route, bytes);
    }

    /// Puts something where it does not belong. Nobody listens there: moved to its place by a stranger it would count.
    fn misplaces(world: &mut World, route: Route, bytes: Vec<u8>) {
        world.log.throw(route, bytes);
    }

    /// Puts something into a log that nobody may believe.
    fn lies(world: &mut World, route: Route, bytes: Vec<u8>) {
        world.log.heard.push((route, bytes.clone()));
        world.log.throw(route, bytes);
    }
}

fn packed(
    provider: &Provider,
    mls: &mut MlsGroup,
    signer: &SignatureKeyPair,
    key: [u8; 32],
    note: Vec<u8>,
    change: Change,
) -> Option<Packed> {
    mls.clear_pending_commit(provider.storage()).unwrap();
    mls.set_aad(note);
    let tree_key = Extension::Unknown(TREE_KEY_EXTENSION, UnknownExtension(key.to_vec()));
    let Change { adds, removes, data, leaf, proposals } = change;
    let mut builder = mls
        .commit_builder()
        .consume_proposal_store(false)
        .propose_adds(adds)
        .propose_removals(removes)
        .add_proposals(proposals);
    if let Some(data) = data {
        builder = builder.propose_group_context_extensions(extensions(data)).ok()?;
    }
    builder = match leaf {
        Some(leaf) => {
            builder.leaf_node_parameters(LeafNodeParameters::builder().with_credential_with_key(leaf).build())
        }
        None => builder.force_self_update(true),
    };
    let builder = builder.load_psks(provider.storage()).ok()?;
    let builder = builder.create_group_info_with_extensions([tree_key]).ok()?;
    let bundle = builder
        .build(provider.rand(), provider.crypto(), signer, |_| true)
        .ok()?
        .stage_commit(provider)
        .ok()?;
    let welcome = bundle.to_welcome_msg().map(|message| message.to_bytes().unwrap()).unwrap_or_default();
    Some(Packed { commit: enveloped(bundle.commit()), welcome, key })
}

/// An epoch as views show it.
fn authenticator(mls: &MlsGroup) -> String {
    mls.epoch_authenticator().as_slice().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
