//! Members, strangers and neighbours that do what they may not, and what it costs the others.

use std::time::Duration;

use bip39::Mnemonic;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use cipher_api::command::{account, contact, group, invite, message};
use cipher_api::view::{GroupState, JoinLinkView};
use cipher_api::{ErrorKind, Notice, Target, Who};
use cipher_broker::certificate::{CREDENTIAL_TYPE, CertificateBody, DeviceCertificate, Kind};
use cipher_broker::codec;
use cipher_broker::id::{AccountId, DeviceId, GroupId};
use cipher_broker::limit;
use cipher_broker::sign::{Purpose, Signed, wire_hash};
use cipher_broker::subject::Route;
use cipher_broker::wire::envelope::Envelope;
use cipher_broker::wire::group::GROUP_DATA_EXTENSION;
use cipher_broker::wire::join::{JoinRequest, JoinRequestBody, JoinTicket, link_id, link_key};
use cipher_broker::wire::registry::{PublicProfile, SignedProfile};
use cipher_broker::wire::statement::StatementKind;
use ed25519_dalek::SigningKey;
use openmls::prelude::{
    Capabilities, Ciphersuite, Credential, CredentialType, CredentialWithKey, ExtensionType, KeyPackage,
    Lifetime, ProtocolVersion,
};
use openmls_basic_credential::SignatureKeyPair;
use openmls_rust_crypto::OpenMlsRustCrypto;
use openmls_traits::types::SignatureScheme;
use serde_bytes::ByteBuf;
use tls_codec::Serialize as _;

use crate::support::log::Flavour;
use crate::support::oracle;
use crate::support::world::{World, send};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);
const SUITE: Ciphersuite = Ciphersuite::MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519;

fn world(names: &[&str]) -> World {
    World::of(1, Flavour::R1, names)
}

fn at(group: GroupId) -> Target {
    Target::Group(group)
}

fn warned(world: &World, who: &str, of: impl Fn(&Notice) -> bool) -> usize {
    world.notices(who).filter(|notice| of(notice)).count()
}

/// Somebody new, and the key of the account.
fn register_with_key(world: &mut World, name: &str) -> SigningKey {
    let index = world.arrive(name);
    let command =
        account::Register { handle: name.parse().unwrap(), name: name.into(), bot: None, invite_code: None };
    let phrase = world.run(index, command).unwrap().phrase.unwrap();
    world.settle();
    let seed = Mnemonic::parse(phrase).unwrap().to_entropy();
    SigningKey::from_bytes(seed.as_slice().try_into().unwrap())
}

fn account_of(key: &SigningKey) -> AccountId {
    AccountId::of_key(&key.verifying_key().to_bytes())
}

/// A device of an account, with the keys of a number.
fn certified(key: &SigningKey, n: u8, world: &World) -> DeviceCertificate {
    let account_key = key.verifying_key().to_bytes();
    let body = CertificateBody {
        account: AccountId::of_key(&account_key),
        account_key,
        device: DeviceId::from_bytes([n; 16]),
        device_key: SigningKey::from_bytes(&[n; 32]).verifying_key().to_bytes(),
        kind: Kind::Person,
        owner: None,
        not_before: world.now.minus(HOUR),
        not_after: world.now.plus(DAY * 90),
        serial: 1,
    };
    DeviceCertificate::sign(&body, key)
}

/// The account states something; it is in the stream at once.
fn states(world: &mut World, key: &SigningKey, claim: StatementKind, certificate: Option<DeviceCertificate>) {
    let account = account_of(key);
    let log = world.registry.log_of(account);
    let next = log.next(log.stamp(world.now), claim);
    let statement = Signed::new(key, Purpose::AccountStatement, codec::encode(&next));
    // Who recovers says anew what it is, by the device that it brings.
    let profile = certificate.as_ref().map(|certificate| {
        let body = certificate.verify().unwrap();
        let [n, ..] = *body.device.as_bytes();
        let key = SigningKey::from_bytes(&[n; 32]);
        let profile = PublicProfile { version: 9, ..PublicProfile::silent(account) };
        SignedProfile {
            device: body.device,
            profile: Signed::new(&key, Purpose::Profile, codec::encode(&profile)),
        }
    });
    let recovers = profile.filter(|_| matches!(next.claim, StatementKind::Recover { .. }));
    world.registry.state_with(account, statement, certificate, recovers);
    world.publish_statements();
}

/// What a leaf of these credentials can do.
fn able(credentials: &[CredentialType]) -> Capabilities {
    Capabilities::new(
        Some(&[ProtocolVersion::Mls10]),
        Some(&[SUITE]),
        Some(&[ExtensionType::Unknown(GROUP_DATA_EXTENSION), ExtensionType::LastResort]),
        Some(&[]),
        Some(credentials),
    )
}

/// A key package of the device with a number.
fn package(certificate: &DeviceCertificate, n: u8, capabilities: Capabilities, world: &World) -> Vec<u8> {
    let key = SigningKey::from_bytes(&[n; 32]);
    let public = key.verifying_key().to_bytes();
    let credential = CredentialWithKey {
        credential: Credential::new(CredentialType::Other(CREDENTIAL_TYPE), certificate.to_bytes()),
        signature_key: public.to_vec().into(),
    };
    let signer =
        SignatureKeyPair::from_raw(SignatureScheme::ED25519, key.to_bytes().to_vec(), public.to_vec());
    let lifetime = Lifetime::init(world.now.minus(HOUR).as_secs(), world.now.plus(DAY * 84).as_secs());
    let bundle = KeyPackage::builder()
        .leaf_node_capabilities(capabilities)
        .key_package_lifetime(lifetime)
        .mark_as_last_resort()
        .build(SUITE, &OpenMlsRustCrypto::default(), &signer, credential)
        .unwrap();
    bundle.key_package().tls_serialize_detached().unwrap()
}

/// A package that OpenMLS reads and will not add: its leaf does not list the type of its own credential.
fn unfit(certificate: &DeviceCertificate, n: u8, world: &World) -> Vec<u8> {
    package(certificate, n, able(&[CredentialType::Basic]), world)
}

/// From now on all that is to be had of an account is a package that cannot be added.
fn brings_unfit(world: &mut World, key: &SigningKey, n: u8) {
    let certificate = certified(key, n, world);
    let device = DeviceId::from_bytes([n; 16]);
    let claim = StatementKind::AddDevice { device, certificate: wire_hash(&certificate.to_bytes()) };
    states(world, key, claim, Some(certificate.clone()));
    let bad = unfit(&certificate, n, world);
    world.registry.shelve(account_of(key), device, bad);
}

/// A8: one of three cannot be added. It is named, the others are in, and nothing is made for nobody.
#[test]
fn a8_one_bad_key_package_keeps_nobody_else_out_and_is_named() {
    let mut world = world(&["alice", "carol", "dave"]);
    let key = register_with_key(&mut world, "mallory");
    brings_unfit(&mut world, &key, 9);
    let group = world.person("alice").creates("t", &["carol", "mallory", "dave"]);
    world.settle();
    assert_eq!(world.person("alice").members(group), ["alice", "carol", "dave"]);
    let left_out = |notice: &Notice| {
        matches!(notice, Notice::LeftOut { who, error, .. }
            if who == "@mallory" && error.message.contains("type of its own credential"))
    };
    assert_eq!(warned(&world, "alice", left_out), 1);
    for name in ["carol", "dave"] {
        world.person(name).accepts(group);
    }
    let error = world.person("alice").cannot(
        group::Create { name: "u".into(), with: vec!["mallory".parse().unwrap()], post_quantum: false },
        ErrorKind::Trust,
    );
    assert!(error.message.contains("@mallory"), "{error:?}");
    assert_eq!(world.person("alice").groups().len(), 1, "nothing is made that nobody wanted");
    oracle::judge(&mut world);
}

/// A8: the recovered device cannot be added; the revoked one goes all the same, by the hand of who may remove it.
#[test]
fn a8_r_commit_16_a_revoked_device_goes_though_the_recovered_one_cannot_be_added() {
    let mut world = world(&["alice", "carol"]);
    let key = register_with_key(&mut world, "bob");
    let group = world.group_of("ops", &["alice", "bob", "carol"]);
    world.settle();
    assert_eq!(world.person("alice").members(group), ["alice", "bob", "carol"]);
    let bob = world.index("bob");
    world.disconnect(bob);
    let certificate = certified(&key, 9, &world);
    let device = DeviceId::from_bytes([9; 16]);
    let claim = StatementKind::Recover { device, certificate: wire_hash(&certificate.to_bytes()) };
    let bad = unfit(&certificate, 9, &world);
    states(&mut world, &key, claim, Some(certificate));
    world.registry.shelve(account_of(&key), device, bad);
    for _ in 0..20 {
        world.settle();
        world.pass(Duration::from_secs(60));
    }
    world.settle();
    assert_eq!(world.person("alice").members(group), ["alice", "carol"]);
    assert_eq!(world.person("carol").members(group), ["alice", "carol"]);
}

fn invites(world: &mut World, who: &str, group: GroupId, approval: bool) -> JoinLinkView {
    let command = invite::Create { target: at(group), lifetime: 86_400, uses: None, approval };
    world.person(who).does(command)
}

fn requests(world: &mut World, who: &str, group: GroupId) -> Vec<String> {
    let views = world.person(who).does(invite::Requests { target: Some(at(group)) });
    views.into_iter().map(|view| view.handle).collect()
}

/// A request to join by an account and a device made on the spot.
fn made_up(link: &JoinLinkView, n: u16, world: &World) -> Vec<u8> {
    let ticket: JoinTicket = link.link.parse().unwrap();
    let mut seed = [7; 32];
    seed[..2].copy_from_slice(&n.to_be_bytes());
    let key = SigningKey::from_bytes(&seed);
    let certificate = certified(&key, 11, world);
    let credential = [CredentialType::Other(CREDENTIAL_TYPE)];
    let key_package = ByteBuf::from(package(&certificate, 11, able(&credential), world));
    let id = link_id(&ticket.secret);
    let body = JoinRequestBody { group: ticket.group, link: id, at: world.now, key_package };
    let device_key = SigningKey::from_bytes(&[11; 32]);
    let body = Signed::new(&device_key, Purpose::JoinRequest, codec::encode(&body));
    let request = codec::encode(&JoinRequest { certificate, body });
    let aad = [b"join".as_slice(), id.as_slice(), ticket.group.as_bytes()].concat();
    let mut nonce = [0; 24];
    nonce[..2].copy_from_slice(&n.to_be_bytes());
    let sealed = XChaCha20Poly1305::new((&link_key(&ticket.secret)).into())
        .encrypt(XNonce::from_slice(&nonce), Payload { msg: &request, aad: &aad })
        .unwrap();
    codec::encode(&Envelope::Join { link: *id, request: [nonce.as_slice(), &sealed].concat() })
}

/// F2: with a link in hand, keys that no registry knows do not come in, and are nobody's to approve.
#[test]
fn f2_r_link_06_keys_made_on_the_spot_are_not_let_in_by_a_link() {
    let mut world = world(&["alice", "bob", "carol"]);
    let group = world.group_of("ops", &["alice", "bob"]);
    let open = invites(&mut world, "alice", group, false);
    let asks = invites(&mut world, "alice", group, true);
    for (n, link) in [(1, &open), (2, &asks), (3, &open)] {
        let bytes = made_up(link, n, &world);
        world.log.inject(Route::Application(group), bytes);
    }
    world.person("alice").says(group, "a doorbell");
    world.settle();
    assert_eq!(world.person("alice").members(group), ["alice", "bob"]);
    assert!(requests(&mut world, "alice", group).is_empty());
    // Who is registered comes in as before.
    let _ = world.person("carol").does(invite::Join { link: open.link.clone() });
    world.settle();
    assert_eq!(world.person("bob").members(group), ["alice", "bob", "carol"]);
    // One whom the registry has lost, or never had, is told why.
    world.register("mallory");
    let mallory = world.registry.account("mallory");
    world.registry.vanish(mallory);
    let error = world.person("mallory").cannot(invite::Join { link: open.link }, ErrorKind::Refused);
    assert!(error.message.contains("do not find this account"), "{error:?}");
    oracle::judge(&mut world);
}

/// F2: whoever is in can be put out, with a handle or without.
#[test]
fn f2_a_member_is_removed_and_banned_by_its_account_id() {
    let mut world = world(&["alice", "bob", "mallory"]);
    let group = world.group_of("ops", &["alice", "bob", "mallory"]);
    world.settle();
    let mallory = world.registry.account("mallory");
    let who = vec![Who::Account(mallory)];
    world.person("alice").does(group::Remove { target: at(group), who: who.clone() });
    world.settle();
    assert_eq!(world.person("bob").members(group), ["alice", "bob"]);
    world.person("alice").does(group::Ban { target: at(group), who, lift: false });
    let link = invites(&mut world, "alice", group, false);
    let error = world.person("mallory").cannot(invite::Join { link: link.link }, ErrorKind::Refused);
    assert!(error.message.contains("banned"), "{error:?}");
    let nobody = vec![Who::Account(AccountId::from_bytes([5; 32]))];
    world.person("alice").cannot(group::Remove { target: at(group), who: nobody }, ErrorKind::NotFound);
    let text: Who = mallory.to_string().parse().unwrap();
    assert_eq!(text, Who::Account(mallory));
    assert_eq!("@mallory".parse::<Who>().unwrap(), Who::Handle("mallory".parse().unwrap()));
}

/// F3: a crowd of made-up askers; the one who is real is listed.
#[test]
fn f3_r_link_07_a_crowd_of_made_up_askers_hides_nobody() {
    let mut world = world(&["alice", "bob", "eve"]);
    let group = world.group_of("ops", &["alice", "bob"]);
    let link = invites(&mut world, "alice", group, true);
    let begun = world.now;
    let crowd = u16::try_from(limit::JOIN_REQUESTS + 10).unwrap();
    for n in 0..crowd {
        let bytes = made_up(&link, n, &world);
        world.log.inject(Route::Application(group), bytes);
    }
    let reply = world.person("eve").does(invite::Join { link: link.link });
    assert!(matches!(reply, invite::Joined::JoinPending { .. }), "{reply:?}");
    for _ in 0..8 {
        world.settle();
        world.pass(Duration::from_secs(5));
    }
    world.settle();
    assert_eq!(requests(&mut world, "alice", group), ["eve"]);
    let alice = world.registry.account("alice");
    let asked = world.registry.answered_to(alice, "fetch-account");
    let seconds = usize::try_from(world.now.since(begun).as_secs()).unwrap();
    let most = limit::UNKNOWN_ASKERS + seconds / 5 + 5;
    assert!(asked <= most, "{asked} look-ups in {seconds} s for a crowd that costs nothing");
    world.person("alice").does(invite::Answer { target: at(group), account: "eve".into(), accept: true });
    world.settle();
    assert_eq!(world.person("bob").members(group), ["alice", "bob", "eve"]);
}

/// F7: a neighbour puts something else on the subject of a tree, before and behind it.
#[test]
fn f7_junk_on_the_subject_of_a_tree_is_passed_over() {
    let mut world = world(&["alice", "bob"]);
    world.person("bob").disconnects();
    let group = world.person("alice").creates("ops", &["bob"]);
    world.settle();
    let epoch = world.person("alice").group(group).epoch;
    for junk in [vec![0], codec::encode(&Envelope::Tree(vec![7; 100]))] {
        world.log.inject(Route::Tree { group, epoch, piece: 0 }, junk);
    }
    world.person("bob").connects();
    world.settle();
    world.person("bob").accepts(group);
    world.settle();
    assert_eq!(world.person("bob").members(group), ["alice", "bob"]);
    oracle::judge(&mut world);
}

/// F7: a tree that never comes is told, with what to do.
#[test]
fn f7_a_tree_that_does_not_come_is_told_to_who_was_invited() {
    let mut world = world(&["alice", "bob"]);
    world.person("bob").disconnects();
    let group = world.person("alice").creates("ops", &["bob"]);
    world.settle();
    let epoch = world.person("alice").group(group).epoch;
    world.log.lose_all(&Route::Tree { group, epoch, piece: 0 });
    world.person("bob").connects();
    for _ in 0..12 {
        world.settle();
        world.pass(Duration::from_secs(30));
    }
    assert_eq!(warned(&world, "bob", |notice| matches!(notice, Notice::InvitationClosed { .. })), 1);
}

/// F8: an invitation whose commit the log does not hold leads nowhere, and nothing is said into it.
#[test]
fn f8_r_welcome_06_an_invitation_that_outlived_its_log_waits_for_a_member() {
    let mut world = World::long_ago(1, Flavour::R1, 80, &["alice", "bob"]);
    let group = world.person("alice").creates("ops", &["bob"]);
    world.settle();
    assert_eq!(world.person("bob").group(group).state, GroupState::Invited);
    world.person("alice").disconnects();
    world.pass(limit::RETENTION + DAY);
    let accept = group::Accept { target: at(group) };
    let _ = world.person("bob").asks(accept);
    world.person("bob").starts(send(group, "is anybody there"));
    world.churn(200);
    assert!(world.person("bob").group(group).recovering.is_some());
    assert_eq!(world.log.on(&Route::Application(group)).len(), 1, "nothing but the request to be let in");
    world.person("alice").connects();
    world.settle();
    assert_eq!(world.person("bob").group(group).recovering, None);
    assert_eq!(world.person("alice").sees(group, "is anybody there"), 1);
}

fn say(handle: &str, text: &str) -> message::Send {
    message::Send::new(Target::Account(handle.parse().unwrap()), text)
}

/// A9: what somebody else calls a group does not decide where `send deploys` goes.
#[test]
fn a9_r_name_02_a_name_never_silently_changes_its_meaning() {
    let mut world = world(&["alice", "bob", "mallory"]);
    let first = world.group_of("deploys", &["bob", "alice"]);
    world.person("mallory").does(say("alice", "hello"));
    world.settle();
    world.person("alice").does(contact::Accept { handle: "mallory".parse().unwrap() });
    world.settle();
    let second = world.person("mallory").creates("deploys", &["alice"]);
    world.settle();
    assert_eq!(world.person("alice").group(second).state, GroupState::Active, "it joined by itself");
    assert_eq!(world.person("alice").group(second).name, "deploys-2");
    let renamed = |notice: &Notice| matches!(notice, Notice::SameName { alias, .. } if alias == "deploys-2");
    assert_eq!(warned(&world, "alice", renamed), 1);
    let named = |name: &str| message::Send::new(Target::Name(name.into()), "t");
    world.person("alice").does(named("deploys"));
    world.settle();
    assert_eq!(world.person("bob").texts(first), ["t"]);
    assert!(world.person("mallory").texts(second).is_empty());
    // Put out of the first, the name still means that one.
    world.person("bob").removes(first, &["alice"]);
    world.settle();
    world.person("alice").cannot(named("deploys"), ErrorKind::Refused);
    assert!(world.person("mallory").texts(second).is_empty());
    // A rename by somebody else does not take it either; an alias is the person's.
    world.person("mallory").renames(second, "other");
    world.person("mallory").renames(second, "deploys");
    world.settle();
    assert_eq!(world.person("alice").group(second).name, "deploys-2");
    let alias = |name: &str| group::Alias { target: at(second), name: name.into() };
    world.person("alice").cannot(alias("deploys"), ErrorKind::Conflict);
    world.person("alice").does(alias("mallorys"));
    world.person("alice").does(named("mallorys"));
    world.settle();
    assert_eq!(world.person("mallory").texts(second), ["t"]);
    oracle::judge(&mut world);
}
