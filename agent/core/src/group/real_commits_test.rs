//! The attack cases on real bytes: a hostile member with a raw MLS library, and what our rules make of its commits.
//!
//! OpenMLS accepts each of these commits; `facts` and `authorize` are what refuses them.

use std::collections::{BTreeMap, BTreeSet};

use cipher_broker::certificate::{CREDENTIAL_TYPE, CertificateBody, DeviceCertificate, Kind};
use cipher_broker::id::{AccountId, DeviceId};
use cipher_broker::time::Timestamp;
use cipher_broker::wire::group::{GroupData, Role, Settings};
use ed25519_dalek::SigningKey;
use openmls::prelude::{
    Credential, CredentialType, CredentialWithKey, KeyPackage, KeyPackageBundle, LeafNodeParameters,
    MlsGroup, MlsGroupCreateConfig, MlsMessageBodyIn, MlsMessageIn, MlsMessageOut, ProcessedMessageContent,
    ProtocolMessage, Sender, StagedWelcome,
};
use openmls_basic_credential::SignatureKeyPair;
use openmls_rust_crypto::OpenMlsRustCrypto;
use openmls_traits::types::SignatureScheme;
use tls_codec::DeserializeBytes;

use super::create::{extensions, join_config};
use super::facts;
use super::policy::{Committer, authorize};
use super::welcome::judge_welcome;
use crate::state::live::group_data;
use crate::state::roster;
use crate::state::suite::{SUITE, capabilities};

/// Somebody with a raw MLS library.
struct Raw {
    provider: OpenMlsRustCrypto,
    signer: SignatureKeyPair,
    credential: CredentialWithKey,
    account: AccountId,
}

fn raw(n: u8) -> Raw {
    let (account_key, device_key) =
        (SigningKey::from_bytes(&[n; 32]), SigningKey::from_bytes(&[n + 100; 32]));
    let public = account_key.verifying_key().to_bytes();
    let body = CertificateBody {
        account: AccountId::of_key(&public),
        account_key: public,
        device: DeviceId::from_bytes([n; 16]),
        device_key: device_key.verifying_key().to_bytes(),
        kind: Kind::Person,
        owner: None,
        not_before: Timestamp::from_millis(1),
        not_after: Timestamp::from_millis(u64::MAX),
        serial: 1,
    };
    let device_public = device_key.verifying_key().to_bytes().to_vec();
    Raw {
        provider: OpenMlsRustCrypto::default(),
        signer: SignatureKeyPair::from_raw(
            SignatureScheme::ED25519,
            device_key.to_bytes().to_vec(),
            device_public.clone(),
        ),
        credential: with_credential(DeviceCertificate::sign(&body, &account_key).to_bytes(), device_public),
        account: body.account,
    }
}

fn with_credential(bytes: Vec<u8>, key: Vec<u8>) -> CredentialWithKey {
    CredentialWithKey {
        credential: Credential::new(CredentialType::Other(CREDENTIAL_TYPE), bytes),
        signature_key: key.into(),
    }
}

impl Raw {
    fn key_package(&self) -> KeyPackage {
        self.key_package_as(self.credential.clone())
    }

    fn key_package_as(&self, credential: CredentialWithKey) -> KeyPackage {
        let bundle: KeyPackageBundle = KeyPackage::builder()
            .leaf_node_capabilities(capabilities())
            .build(SUITE, &self.provider, &self.signer, credential)
            .unwrap();
        bundle.key_package().clone()
    }
}

fn data(owner: AccountId) -> GroupData {
    GroupData {
        version: GroupData::VERSION,
        name: "team".into(),
        direct: false,
        roles: BTreeMap::from([(owner, Role::Owner)]),
        may_add: Role::Admin,
        may_rename: Role::Admin,
        may_resync: true,
        settings: Settings::default(),
        personal: false,
        links: BTreeMap::new(),
        banned: BTreeSet::new(),
    }
}

/// Alice owns a group with Mallory in it.
fn scene() -> (Raw, MlsGroup, Raw, MlsGroup) {
    let (alice, mallory) = (raw(1), raw(2));
    let config = MlsGroupCreateConfig::builder()
        .ciphersuite(SUITE)
        .capabilities(capabilities())
        .with_group_context_extensions(extensions(&data(alice.account)).unwrap())
        .use_ratchet_tree_extension(true)
        .build();
    let mut hers = MlsGroup::new(&alice.provider, &alice.signer, &config, alice.credential.clone()).unwrap();
    let (_, welcome, _) = hers.add_members(&alice.provider, &alice.signer, &[mallory.key_package()]).unwrap();
    hers.merge_pending_commit(&alice.provider).unwrap();
    let MlsMessageBodyIn::Welcome(welcome) = read(&welcome) else { panic!("a Welcome") };
    let theirs = StagedWelcome::new_from_welcome(&mallory.provider, &join_config(), welcome, None)
        .unwrap()
        .into_group(&mallory.provider)
        .unwrap();
    (alice, hers, mallory, theirs)
}

fn read(message: &MlsMessageOut) -> MlsMessageBodyIn {
    MlsMessageIn::tls_deserialize_exact_bytes(&message.to_bytes().unwrap()).unwrap().extract()
}

/// What Alice's rules say of a commit.
fn judged(alice: &Raw, hers: MlsGroup, commit: &MlsMessageOut) -> Result<(), &'static str> {
    let mut live = crate::state::live::Live {
        roster: roster::of_group(&hers).unwrap(),
        data: group_data(hers.extensions()).unwrap(),
        mls: hers,
    };
    let message: ProtocolMessage = match read(commit) {
        MlsMessageBodyIn::PrivateMessage(message) => message.into(),
        _ => panic!("an encrypted handshake"),
    };
    let processed = live.mls.process_message(&alice.provider, message).expect("OpenMLS accepts it");
    let sender = match processed.sender() {
        Sender::Member(index) => Committer::Member(index.u32()),
        _ => Committer::Outsider,
    };
    let ProcessedMessageContent::StagedCommitMessage(staged) = processed.into_content() else {
        panic!("a commit")
    };
    let facts = facts::facts(&live, &staged, sender, &[]);
    authorize(&live.roster, &live.data, &facts).map_err(|refused| refused.rule)
}

#[test]
fn an_honest_self_update_passes_on_real_bytes() {
    let (alice, hers, mallory, mut theirs) = scene();
    let update =
        theirs.self_update(&mallory.provider, &mallory.signer, LeafNodeParameters::default()).unwrap();
    assert_eq!(judged(&alice, hers, &update.into_commit()), Ok(()));
}

/// M27: Mallory's new leaf carries Alice's credential; OpenMLS stages it, the rules refuse it.
#[test]
fn m27_a_stolen_credential_in_a_path_is_refused_on_real_bytes() {
    let (alice, hers, mallory, mut theirs) = scene();
    let stolen = CredentialWithKey {
        credential: alice.credential.credential.clone(),
        signature_key: mallory.credential.signature_key.clone(),
    };
    let leaf = LeafNodeParameters::builder().with_credential_with_key(stolen).build();
    let update = theirs.self_update(&mallory.provider, &mallory.signer, leaf).unwrap();
    assert_eq!(judged(&alice, hers, &update.into_commit()), Err("R-COMMIT-02"));
}

/// M30: a mere member adds somebody.
#[test]
fn m30_an_add_by_a_mere_member_is_refused_on_real_bytes() {
    let (alice, hers, mallory, mut theirs) = scene();
    let (commit, _, _) =
        theirs.add_members(&mallory.provider, &mallory.signer, &[raw(3).key_package()]).unwrap();
    assert_eq!(judged(&alice, hers, &commit), Err("R-COMMIT-03"));
}

/// M29: a leaf with somebody else's certificate and an own key.
#[test]
fn m29_an_add_with_a_copied_certificate_is_refused_on_real_bytes() {
    let (alice, hers, mallory, mut theirs) = scene();
    let carol = raw(3);
    let copied = CredentialWithKey {
        credential: carol.credential.credential,
        signature_key: raw(4).credential.signature_key,
    };
    let package = raw(4).key_package_as(copied);
    let (commit, _, _) = theirs.add_members(&mallory.provider, &mallory.signer, &[package]).unwrap();
    assert_eq!(judged(&alice, hers, &commit), Err("R-COMMIT-03"));
}

/// M30: a mere member removes the owner.
#[test]
fn m30_a_removal_by_a_mere_member_is_refused_on_real_bytes() {
    let (alice, hers, mallory, mut theirs) = scene();
    let owner = hers.own_leaf_index();
    let (commit, _, _) = theirs.remove_members(&mallory.provider, &mallory.signer, &[owner]).unwrap();
    // Judged by a third member would be the same; the removed one judges first.
    assert_eq!(judged(&alice, hers, &commit), Err("R-COMMIT-05"));
}

/// M30, M32: a mere member makes itself owner, lowers the version, or drops the group data.
#[test]
fn m30_m32_group_data_changed_by_a_mere_member_is_refused_on_real_bytes() {
    for change in 0..3 {
        let (alice, hers, mallory, mut theirs) = scene();
        let mut after = data(alice.account);
        match change {
            0 => _ = after.roles.insert(mallory.account, Role::Owner),
            1 => after.version = 0,
            _ => after.name = "mine".into(),
        }
        let (commit, _, _) = theirs
            .update_group_context_extensions(&mallory.provider, extensions(&after).unwrap(), &mallory.signer)
            .unwrap();
        assert_eq!(judged(&alice, hers, &commit), Err("R-COMMIT-06"), "change {change}");
    }
}

/// R-CRED-01 to R-CRED-03 on a leaf.
#[test]
fn r_cred_01_r_cred_02_r_cred_03_a_leaf_proves_its_identity() {
    let ana = raw(5);
    let key = ana.credential.signature_key.as_slice();
    assert!(roster::prove(&ana.credential.credential, key).is_ok());
    let other = raw(6);
    assert!(
        roster::prove(&ana.credential.credential, other.credential.signature_key.as_slice()).is_err(),
        "R-CRED-03"
    );
    let bytes = ana.credential.credential.serialized_content().to_vec();
    let basic = Credential::new(CredentialType::Basic, bytes.clone());
    assert!(roster::prove(&basic, key).is_err(), "R-CRED-01");
    let mut changed = bytes;
    let last = changed.len() - 1;
    changed[last] ^= 1;
    let changed = Credential::new(CredentialType::Other(CREDENTIAL_TYPE), changed);
    assert!(roster::prove(&changed, key).is_err(), "R-CRED-02");
}

/// What Bob's rules say of a Welcome to a group that somebody made with these extensions, under this credential.
fn invited(
    maker: &Raw,
    credential: CredentialWithKey,
    with_data: bool,
) -> Result<AccountId, crate::state::Skip> {
    let owner = with_data.then_some(maker.account);
    facts_of(maker, credential, owner).map(|facts| facts.inviter)
}

/// F8: who may not add invites nobody, as far as the group data in the Welcome says.
#[test]
fn f8_r_welcome_05_an_inviter_that_may_not_add_is_seen() {
    let ana = raw(1);
    let seen = |owner| facts_of(&ana, ana.credential.clone(), Some(owner)).map(|facts| facts.beyond_role);
    assert_eq!(seen(ana.account), Ok(false));
    assert_eq!(seen(raw(2).account), Ok(true));
}

fn facts_of(
    maker: &Raw,
    credential: CredentialWithKey,
    owner: Option<AccountId>,
) -> Result<crate::state::InviteFacts, crate::state::Skip> {
    let bob = raw(9);
    let builder = MlsGroupCreateConfig::builder()
        .ciphersuite(SUITE)
        .capabilities(capabilities())
        .use_ratchet_tree_extension(true);
    let config = match owner {
        Some(owner) => builder.with_group_context_extensions(extensions(&data(owner)).unwrap()).build(),
        None => builder.build(),
    };
    let mut group = MlsGroup::new(&maker.provider, &maker.signer, &config, credential).unwrap();
    let (_, welcome, _) = group.add_members(&maker.provider, &maker.signer, &[bob.key_package()]).unwrap();
    let MlsMessageBodyIn::Welcome(welcome) = read(&welcome) else { panic!("a Welcome") };
    let staged = StagedWelcome::new_from_welcome(&bob.provider, &join_config(), welcome, None)
        .expect("OpenMLS accepts it");
    judge_welcome(&bob.account, &staged, Vec::new())
}

/// K03: a Welcome into a tree with a leaf that does not prove itself, or a group without data, is no invitation.
#[test]
fn r_welcome_01_r_welcome_02_r_welcome_03_k03_a_welcome_is_judged_by_its_whole_tree() {
    let mallory = raw(7);
    assert_eq!(invited(&mallory, mallory.credential.clone(), true), Ok(mallory.account), "R-WELCOME-02");
    let copied = CredentialWithKey {
        credential: raw(1).credential.credential,
        signature_key: mallory.credential.signature_key.clone(),
    };
    assert_eq!(invited(&mallory, copied, true), Err(crate::state::Skip::Credential), "R-WELCOME-01");
    assert_eq!(
        invited(&mallory, mallory.credential.clone(), false),
        Err(crate::state::Skip::Welcome),
        "R-WELCOME-03"
    );
}

/// K03: a genuine GroupInfo with somebody else's tree is no invitation.
#[test]
fn k03_a_welcome_with_a_foreign_tree_is_refused_on_real_bytes() {
    let (alice, mallory, bob) = (raw(1), raw(7), raw(9));
    let make = |maker: &Raw| {
        let config = MlsGroupCreateConfig::builder()
            .ciphersuite(SUITE)
            .capabilities(capabilities())
            .with_group_context_extensions(extensions(&data(maker.account)).unwrap())
            .build();
        MlsGroup::new(&maker.provider, &maker.signer, &config, maker.credential.clone()).unwrap()
    };
    let (mut hers, mut theirs) = (make(&alice), make(&mallory));
    let package = bob.key_package();
    let (_, welcome, _) =
        hers.add_members(&alice.provider, &alice.signer, std::slice::from_ref(&package)).unwrap();
    hers.merge_pending_commit(&alice.provider).unwrap();
    theirs.add_members(&mallory.provider, &mallory.signer, &[package]).unwrap();
    theirs.merge_pending_commit(&mallory.provider).unwrap();
    let MlsMessageBodyIn::Welcome(welcome) = read(&welcome) else { panic!("a Welcome") };
    let foreign = theirs.export_ratchet_tree().into();
    let staged = StagedWelcome::new_from_welcome(&bob.provider, &join_config(), welcome, Some(foreign));
    assert!(staged.is_err(), "OpenMLS compares the tree hash");
}

/// K10: a second leaf with a signature key that is in the group cannot be added, nor is it merged.
#[test]
fn k10_a_signature_key_is_in_a_group_once() {
    let (alice, mut hers, mallory, _) = scene();
    let again = hers.add_members(&alice.provider, &alice.signer, &[mallory.key_package()]);
    assert!(again.is_err(), "{again:?}");
}
