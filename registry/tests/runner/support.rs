//! A registry without a broker, and people who ask it.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot be set up fails")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cipher_broker::account_log::{AccountLog, leaf};
use cipher_broker::certificate::{CREDENTIAL_TYPE, CertificateBody, DeviceCertificate, Kind, Owner};
use cipher_broker::codec;
use cipher_broker::handle::Handle;
use cipher_broker::id::{AccountId, DeviceId};
use cipher_broker::sign::{self, Purpose, Signed, wire_hash};
use cipher_broker::time::Timestamp;
use cipher_broker::transparency::TreeHead;
use cipher_broker::wire::refusal::{Code, Refusal};
use cipher_broker::wire::registry::{
    AccountRecord, Answer, AppendStatement, ClaimedKeyPackage, CreateAccount, Operation, Outcome, Presence,
    PublicProfile, RequestBody, SignedProfile, open_reply, seal_request,
};
use cipher_broker::wire::statement::{Statement, StatementKind};
use cipher_registry::{Limits, RegistryKey, Terms};
use ed25519_dalek::{Signer as _, SigningKey};
use openmls::prelude::{
    Capabilities, Ciphersuite, Credential, CredentialType, CredentialWithKey, ExtensionType, KeyPackage,
    Lifetime,
};
use openmls_rust_crypto::OpenMlsRustCrypto;
use openmls_traits::signatures::{Signer, SignerError};
use openmls_traits::types::SignatureScheme;
use serde_bytes::ByteBuf;
use tls_codec::Serialize;

use crate::place::Answerer;
pub(crate) use crate::place::{desk_in, desk_on};

/// A moment far from the machine's clock, so that nothing can use that one by mistake.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(2_100_000_000_000);
pub(crate) const DAY: Duration = Duration::from_secs(86_400);
pub(crate) const HOUR: Duration = Duration::from_secs(3_600);
pub(crate) const SUITE: Ciphersuite = Ciphersuite::MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519;
pub(crate) const HYBRID: Ciphersuite = Ciphersuite::MLS_128_MLKEM768X25519_AES128GCM_SHA256_Ed25519;

pub(crate) fn registry_key() -> RegistryKey {
    RegistryKey::new(SigningKey::from_bytes(&[0xee; 32]))
}

pub(crate) async fn answerer() -> Answerer {
    desk_on(Terms::default()).await
}

pub(crate) async fn desk_with(limits: Limits) -> Answerer {
    desk_on(Terms { limits, ..Terms::default() }).await
}

/// Sends bytes to an endpoint; the reply must be the registry's, for this request.
pub(crate) async fn send(
    answerer: &Answerer,
    endpoint: &str,
    request: Vec<u8>,
    now: Timestamp,
) -> Result<Answer, Refusal> {
    let reply = answerer.answer(endpoint, request.clone().into(), now).await;
    let body = open_reply(&reply, &request, Some(&registry_key().public())).unwrap();
    assert_eq!(body.at, now);
    // Every reply shows a head, refusals too; whatever it proves leads to that head.
    let signed = body.head.unwrap();
    let head = TreeHead::open(&signed, &registry_key().public()).unwrap();
    if let Outcome::Answer(answer) = &body.outcome
        && let Answer::Account(record) = answer.as_ref()
    {
        let inclusion = record.inclusion.as_ref().unwrap();
        assert_eq!(inclusion.head, signed);
        let latest = leaf(record.statements.last().unwrap());
        assert_eq!(head.includes(inclusion.index, &latest, &inclusion.proof), Ok(()));
        AccountLog::replay(&record.statements, &record.certificates).unwrap();
    }
    match body.outcome {
        Outcome::Answer(answer) => Ok(*answer),
        Outcome::Refused(refusal) => Err(refusal),
    }
}

pub(crate) fn code<T>(outcome: Result<T, Refusal>) -> Option<Code> {
    outcome.err().map(|refusal| refusal.code)
}

/// An account with its first device.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) account_key: SigningKey,
    pub(crate) device_key: SigningKey,
    pub(crate) account: AccountId,
    pub(crate) device: DeviceId,
    pub(crate) handle: Handle,
    pub(crate) certificate: DeviceCertificate,
}

impl Person {
    pub(crate) fn new(handle: &str, seed: u8) -> Self {
        Self::with(handle, seed, Kind::Person, None)
    }

    /// A bot that says it belongs to `owner`; `countersign` is the account key that confirms it.
    pub(crate) fn bot(handle: &str, seed: u8, owner: &Self, countersign: Option<&SigningKey>) -> Self {
        let account_key = owner.account_key.verifying_key().to_bytes();
        let mut bot =
            Self::with(handle, seed, Kind::Bot, Some(Owner { account: owner.account, account_key }));
        if let Some(key) = countersign {
            let signature = sign::sign(key, Purpose::BotOwner, bot.certificate.body_bytes());
            bot.certificate = bot.certificate.countersigned(signature);
        }
        bot
    }

    /// One of many.
    pub(crate) fn numbered(n: u16) -> Self {
        let key = |label| SigningKey::from_bytes(&sign::digest(label, &[&n.to_be_bytes()]));
        let mut device = [0x77; 16];
        device[..2].copy_from_slice(&n.to_be_bytes());
        let (account, device_key) = (key("test/account"), key("test/device"));
        Self::made(&format!("number{n}"), account, device_key, device, Kind::Person, None)
    }

    fn with(handle: &str, seed: u8, kind: Kind, owner: Option<Owner>) -> Self {
        let account_key = SigningKey::from_bytes(&[seed; 32]);
        let device_key = SigningKey::from_bytes(&[seed ^ 0x80; 32]);
        Self::made(handle, account_key, device_key, [seed; 16], kind, owner)
    }

    fn made(
        handle: &str,
        account_key: SigningKey,
        device_key: SigningKey,
        device: [u8; 16],
        kind: Kind,
        owner: Option<Owner>,
    ) -> Self {
        let public = account_key.verifying_key().to_bytes();
        let body = CertificateBody {
            account: AccountId::of_key(&public),
            account_key: public,
            device: DeviceId::from_bytes(device),
            device_key: device_key.verifying_key().to_bytes(),
            kind,
            owner,
            not_before: NOW.minus(DAY),
            not_after: NOW.plus(DAY * 365),
            serial: 1,
        };
        Self {
            account: body.account,
            device: body.device,
            handle: handle.parse().unwrap(),
            certificate: DeviceCertificate::sign(&body, &account_key),
            account_key,
            device_key,
        }
    }

    /// A further device of the account, not stated yet.
    pub(crate) fn sibling(&self, seed: u8) -> Self {
        let mut body = self.certificate.verify().unwrap();
        let device_key = SigningKey::from_bytes(&[seed ^ 0x80; 32]);
        (body.device, body.device_key) =
            (DeviceId::from_bytes([seed; 16]), device_key.verifying_key().to_bytes());
        let certificate = DeviceCertificate::sign(&body, &self.account_key);
        Self { device: body.device, device_key, certificate, ..self.clone() }
    }

    /// What the registry has of the account.
    pub(crate) async fn record(&self, answerer: &Answerer) -> AccountRecord {
        match self.ask(answerer, Operation::FetchAccount { account: self.account }, NOW).await {
            Ok(Answer::Account(record)) => record,
            other => panic!("{other:?}"),
        }
    }

    /// The account's log, as `who` reads it from the registry.
    pub(crate) async fn log(&self, answerer: &Answerer) -> AccountLog {
        let record = self.record(answerer).await;
        AccountLog::replay(&record.statements, &record.certificates).unwrap().0
    }

    /// A request that appends a claim to a log.
    pub(crate) fn append(&self, log: &AccountLog, claim: StatementKind) -> AppendStatement {
        AppendStatement { statement: self.stated(&log.next(NOW, claim)), certificate: None, profile: None }
    }

    /// A request that adds a device.
    pub(crate) fn adding(&self, log: &AccountLog, new: &Self) -> AppendStatement {
        let certificate = wire_hash(&new.certificate.to_bytes());
        let append = self.append(log, StatementKind::AddDevice { device: new.device, certificate });
        AppendStatement { certificate: Some(new.certificate.clone()), ..append }
    }

    /// A request of a new device that recovers its account.
    pub(crate) fn recovering(&self, log: &AccountLog) -> AppendStatement {
        let certificate = wire_hash(&self.certificate.to_bytes());
        let append = self.append(log, StatementKind::Recover { device: self.device, certificate });
        let profile = Some(self.signed(&self.profile("back", 7)));
        AppendStatement { certificate: Some(self.certificate.clone()), profile, ..append }
    }

    pub(crate) async fn appends(
        &self,
        answerer: &Answerer,
        append: AppendStatement,
    ) -> Result<Answer, Refusal> {
        self.ask(answerer, Operation::AppendStatement(Box::new(append)), NOW).await
    }

    /// A second device, added by this one.
    pub(crate) async fn with_device(&self, answerer: &Answerer, seed: u8) -> Self {
        let (new, log) = (self.sibling(seed), self.log(answerer).await);
        assert_eq!(self.appends(answerer, self.adding(&log, &new)).await, Ok(Answer::Done));
        new
    }

    /// Revokes a device.
    pub(crate) async fn revokes(&self, answerer: &Answerer, device: DeviceId) -> Result<Answer, Refusal> {
        let log = self.log(answerer).await;
        self.appends(answerer, self.append(&log, StatementKind::RevokeDevice { device })).await
    }

    pub(crate) fn body(&self, operation: Operation, now: Timestamp) -> RequestBody {
        static NONCE: AtomicU64 = AtomicU64::new(0);
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&NONCE.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        RequestBody { nonce, issued_at: now, account: self.account, device: self.device, operation }
    }

    pub(crate) fn request(&self, operation: Operation, now: Timestamp) -> Vec<u8> {
        seal_request(&self.body(operation, now), &self.device_key)
    }

    pub(crate) async fn ask(
        &self,
        answerer: &Answerer,
        operation: Operation,
        now: Timestamp,
    ) -> Result<Answer, Refusal> {
        send(answerer, operation.name(), self.request(operation.clone(), now), now).await
    }

    pub(crate) fn statement(&self) -> Statement {
        let certificate = wire_hash(&self.certificate.to_bytes());
        let claim = StatementKind::Create { handle: self.handle.clone(), certificate };
        Statement { account: self.account, sequence: 0, previous: [0; 32], at: NOW, claim }
    }

    pub(crate) fn stated(&self, statement: &Statement) -> Signed {
        Signed::new(&self.account_key, Purpose::AccountStatement, codec::encode(statement))
    }

    pub(crate) fn profile(&self, name: &str, version: u64) -> PublicProfile {
        let (name, status) = (name.into(), String::new());
        PublicProfile { account: self.account, name, status, presence: Presence::Available, version }
    }

    pub(crate) fn signed(&self, profile: &PublicProfile) -> SignedProfile {
        let profile = Signed::new(&self.device_key, Purpose::Profile, codec::encode(profile));
        SignedProfile { device: self.device, profile }
    }

    pub(crate) fn creation(&self) -> CreateAccount {
        CreateAccount {
            statement: self.stated(&self.statement()),
            certificate: self.certificate.clone(),
            profile: self.signed(&self.profile("", 0)),
            ticket: None,
        }
    }

    pub(crate) fn create(&self) -> Operation {
        Operation::CreateAccount(Box::new(self.creation()))
    }

    /// The person after the account was created.
    pub(crate) async fn enrolled(self, answerer: &Answerer) -> Self {
        assert_eq!(self.ask(answerer, self.create(), NOW).await, Ok(Answer::Done));
        self
    }

    /// A key package of this device, valid between two moments.
    pub(crate) fn package(&self, suite: Ciphersuite, not_before: Timestamp, not_after: Timestamp) -> Vec<u8> {
        let bytes = self.certificate.to_bytes();
        let credential = Credential::new(CredentialType::Other(CREDENTIAL_TYPE), bytes);
        self.package_with(suite, credential, &self.device_key, not_before.as_secs(), not_after.as_secs())
    }

    pub(crate) fn package_with(
        &self,
        suite: Ciphersuite,
        credential: Credential,
        leaf_key: &SigningKey,
        not_before: u64,
        not_after: u64,
    ) -> Vec<u8> {
        let provider = OpenMlsRustCrypto::default();
        let capabilities = Capabilities::builder()
            .ciphersuites(vec![SUITE, HYBRID])
            .extensions(vec![ExtensionType::Unknown(0xF0A2)])
            .credentials(vec![CredentialType::Other(CREDENTIAL_TYPE), CredentialType::Basic])
            .build();
        let signature_key = leaf_key.verifying_key().to_bytes().to_vec().into();
        KeyPackage::builder()
            .key_package_lifetime(Lifetime::init(not_before, not_after))
            .leaf_node_capabilities(capabilities)
            .build(suite, &provider, &Leaf(leaf_key), CredentialWithKey { credential, signature_key })
            .unwrap()
            .key_package()
            .tls_serialize_detached()
            .unwrap()
    }

    /// A package as agents make them.
    pub(crate) fn usual_package(&self) -> Vec<u8> {
        self.package(SUITE, NOW.minus(HOUR), NOW.plus(DAY * 84))
    }

    pub(crate) async fn publish(
        &self,
        answerer: &Answerer,
        packages: Vec<Vec<u8>>,
    ) -> Result<Answer, Refusal> {
        self.publish_at(answerer, packages, None, NOW).await
    }

    pub(crate) async fn publish_at(
        &self,
        answerer: &Answerer,
        packages: Vec<Vec<u8>>,
        last_resort: Option<Vec<u8>>,
        now: Timestamp,
    ) -> Result<Answer, Refusal> {
        let one_time = packages.into_iter().map(ByteBuf::from).collect();
        let last_resort = last_resort.map(ByteBuf::from);
        self.ask(answerer, Operation::PublishKeyPackages { one_time, last_resort }, now).await
    }

    pub(crate) async fn claim(
        &self,
        answerer: &Answerer,
        whose: &Self,
    ) -> Result<Vec<ClaimedKeyPackage>, Refusal> {
        self.claim_at(answerer, whose, SUITE, NOW).await
    }

    pub(crate) async fn claim_at(
        &self,
        answerer: &Answerer,
        whose: &Self,
        suite: Ciphersuite,
        now: Timestamp,
    ) -> Result<Vec<ClaimedKeyPackage>, Refusal> {
        let claim = Operation::ClaimKeyPackages { account: whose.account, suite: suite.into(), device: None };
        match self.ask(answerer, claim, now).await? {
            Answer::KeyPackages(packages) => Ok(packages),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn stored_profile(&self, answerer: &Answerer) -> SignedProfile {
        match self.ask(answerer, Operation::FetchAccount { account: self.account }, NOW).await {
            Ok(Answer::Account(record)) => record.profile,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn stock(&self, answerer: &Answerer, now: Timestamp) -> (u32, bool) {
        match self.ask(answerer, Operation::CountKeyPackages, now).await {
            Ok(Answer::Stock { one_time, last_resort, .. }) => (one_time, last_resort),
            other => panic!("{other:?}"),
        }
    }
}

/// The operator of the registry.
pub(crate) fn operator() -> Person {
    let mut operator = Person::new("operator", 99);
    operator.device_key = registry_key().signer().clone();
    operator.account = AccountId::of_key(&registry_key().public());
    operator
}

/// An Ed25519 key as OpenMLS wants it.
struct Leaf<'a>(&'a SigningKey);

impl Signer for Leaf<'_> {
    fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, SignerError> {
        Ok(self.0.sign(payload).to_bytes().to_vec())
    }

    fn signature_scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}
