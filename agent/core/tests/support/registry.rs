//! The registry in memory: the same answers as the real one, from whatever this test wants it to be.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use cipher_broker::account_log::{self, AccountLog, LogError};
use cipher_broker::certificate::DeviceCertificate;
use cipher_broker::codec;
use cipher_broker::handle::Handle;
use cipher_broker::id::{AccountId, DeviceId};
use cipher_broker::limit;
use cipher_broker::sign::{Purpose, Signed, wire_hash};
use cipher_broker::time::Timestamp;
use cipher_broker::transparency::{Inclusion, MerkleLog, SignedHead, TreeHead};
use cipher_broker::wire::refusal::{Code, Refusal};
use cipher_broker::wire::registry::{
    AccountRecord, AdmissionPolicy, AdmissionProof, Answer, AppendStatement, ClaimedKeyPackage,
    CreateAccount, Operation, Outcome, PublicProfile, ReplyBody, RequestBody, SignedProfile, SignedRequest,
    admission_work, seal_reply,
};
use cipher_broker::wire::statement::LogEntry;
use ed25519_dalek::SigningKey;

/// The code that admits newcomers where one is asked for.
pub(crate) const CODE: &str = "let-me-in";

/// The suites that every device keeps key packages of.
const SUITES: [u16; 2] = [0x0003, 0x004F];

/// What becomes of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is answered.
    Answered,
    /// It never arrives.
    NoReply,
    /// It is done, and the reply gets lost.
    LostReply,
    /// The reply is signed by somebody else.
    Forged,
    /// The reply answers another request.
    Foreign,
    /// The reply is noise.
    Noise,
    /// The reply is changed on its way.
    Tampered,
    /// The registry says it failed.
    Internal,
}

/// What a registry may lie about.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lies {
    /// Nobody is there.
    pub(crate) down: bool,
    /// A certificate that is shown among an account's, though the account never stated it.
    pub(crate) ghost: Option<(AccountId, DeviceCertificate)>,
    /// Records as they once were, shown instead of what they are, with a good proof of what they say.
    pub(crate) frozen: BTreeMap<AccountId, AccountRecord>,
    /// Records come without proof that the log holds them.
    pub(crate) no_inclusion: bool,
    /// Records come with a proof of something else.
    pub(crate) bad_inclusion: bool,
    /// Proofs between heads do not hold.
    pub(crate) bad_proofs: bool,
    /// Proofs between heads are refused, like this.
    pub(crate) no_proofs: Option<Code>,
    /// Heads are signed by this key.
    pub(crate) head_key: Option<[u8; 32]>,
    /// Replies show no head.
    pub(crate) no_head: bool,
    /// Heads are this old.
    pub(crate) stale_by: Duration,
    /// One-time packages are handed out again and again.
    pub(crate) again: bool,
    /// These callers are answered by that other registry, which has the same key.
    pub(crate) others: BTreeSet<AccountId>,
    pub(crate) other: Option<Box<Registry>>,
}

/// Packages of one device and suite.
#[derive(Debug, Clone, Default)]
struct Shelf {
    /// Each with when it came.
    one_time: VecDeque<(Timestamp, Vec<u8>)>,
    last_resort: Option<Vec<u8>>,
}

/// The registry.
#[derive(Debug, Clone)]
pub(crate) struct Registry {
    key: SigningKey,
    accounts: BTreeMap<AccountId, AccountRecord>,
    handles: BTreeMap<Handle, AccountId>,
    devices: BTreeMap<(AccountId, DeviceId), [u8; 32]>,
    shelves: BTreeMap<(AccountId, DeviceId, u16), Shelf>,
    nonces: BTreeSet<(DeviceId, [u8; 16])>,
    logs: BTreeMap<AccountId, AccountLog>,
    /// Where the latest statement of an account lies in the log.
    latest: BTreeMap<AccountId, u64>,
    /// Where each statement lies in it.
    places: BTreeMap<[u8; 32], u64>,
    pub(crate) tree: MerkleLog,
    /// Entries of the account log that are not in the stream yet.
    pub(crate) unpublished: Vec<LogEntry>,
    /// Devices that are to be told to look at their account.
    pub(crate) hints: Vec<DeviceId>,
    brought: BTreeSet<[u8; 32]>,
    /// What becomes of the next requests of an operation.
    pub(crate) fates: VecDeque<(&'static str, Fate)>,
    /// Whoever asks for the packages of the first gets those of the second, under the first's device id.
    pub(crate) swapped: Option<(AccountId, AccountId)>,
    pub(crate) lies: Lies,
    /// Whether it goes on handing out packages of revoked devices.
    pub(crate) keeps_revoked: bool,
    /// Whether old packages and wrong clocks are refused.
    pub(crate) strict: bool,
    /// How far its clock is ahead.
    pub(crate) ahead: Duration,
    /// How far it is behind, or says that it is.
    pub(crate) behind: Duration,
    /// What newcomers must bring.
    pub(crate) admission: AdmissionPolicy,
    /// Requests that were answered, by operation.
    pub(crate) answered: BTreeMap<&'static str, usize>,
    /// The same by who asked.
    asked_by: BTreeMap<(AccountId, &'static str), usize>,
}

type Result<T> = std::result::Result<T, Refusal>;

impl Registry {
    pub(crate) fn new(key: [u8; 32]) -> Self {
        Self {
            key: SigningKey::from_bytes(&key),
            accounts: BTreeMap::new(),
            handles: BTreeMap::new(),
            devices: BTreeMap::new(),
            shelves: BTreeMap::new(),
            nonces: BTreeSet::new(),
            logs: BTreeMap::new(),
            latest: BTreeMap::new(),
            places: BTreeMap::new(),
            tree: MerkleLog::default(),
            unpublished: Vec::new(),
            hints: Vec::new(),
            brought: BTreeSet::new(),
            fates: VecDeque::new(),
            swapped: None,
            lies: Lies::default(),
            keeps_revoked: false,
            strict: true,
            ahead: Duration::ZERO,
            behind: Duration::ZERO,
            admission: AdmissionPolicy::Open,
            answered: BTreeMap::new(),
            asked_by: BTreeMap::new(),
        }
    }

    /// Plans what becomes of the next request of an operation.
    pub(crate) fn next(&mut self, operation: &'static str, fate: Fate) {
        self.fates.push_back((operation, fate));
    }

    /// Requests of an operation that an account was answered.
    pub(crate) fn answered_to(&self, account: AccountId, operation: &'static str) -> usize {
        self.asked_by.get(&(account, operation)).copied().unwrap_or(0)
    }

    /// The account behind a handle.
    pub(crate) fn account(&self, handle: &str) -> AccountId {
        self.handles[&handle.parse::<Handle>().unwrap()]
    }

    /// The log of an account as the registry has it.
    pub(crate) fn account_log(&self, handle: &str) -> &AccountLog {
        &self.logs[&self.account(handle)]
    }

    /// One-time packages left, over all suites and devices of an account.
    pub(crate) fn stock(&self, account: AccountId) -> usize {
        self.of(account).map(|(_, shelf)| shelf.one_time.len()).sum()
    }

    fn of(&self, account: AccountId) -> impl Iterator<Item = (&(AccountId, DeviceId, u16), &Shelf)> {
        self.shelves.iter().filter(move |((whose, ..), _)| *whose == account)
    }

    /// Takes one-time packages away until `left` are there per device and suite.
    pub(crate) fn drain(&mut self, account: AccountId, left: usize) {
        for ((whose, ..), shelf) in &mut self.shelves {
            if *whose == account {
                shelf.one_time.truncate(left);
            }
        }
    }

    /// Takes every one-time package of one suite away.
    pub(crate) fn drain_suite(&mut self, account: AccountId, suite: u16) {
        for ((whose, _, which), shelf) in &mut self.shelves {
            if *whose == account && *which == suite {
                shelf.one_time.clear();
            }
        }
    }

    /// Last resorts of an account, over all suites and devices.
    pub(crate) fn last_resorts(&self, account: AccountId) -> Vec<Vec<u8>> {
        self.of(account).filter_map(|(_, shelf)| shelf.last_resort.clone()).collect()
    }

    /// Puts one package on a device's shelf, in place of everything of the account.
    pub(crate) fn shelve(&mut self, account: AccountId, device: DeviceId, package: Vec<u8>) {
        self.empty(account);
        let shelf = Shelf { one_time: VecDeque::new(), last_resort: Some(package.clone()) };
        self.shelves.insert((account, device, suite_of(&package)), shelf);
    }

    /// An account is not known here any more, as if it had never registered.
    pub(crate) fn vanish(&mut self, account: AccountId) {
        self.accounts.remove(&account);
        self.handles.retain(|_, whose| *whose != account);
    }

    /// Takes every package away, the last resorts too.
    pub(crate) fn empty(&mut self, account: AccountId) {
        self.shelves.retain(|(whose, ..), _| *whose != account);
    }

    /// Points a handle at another account.
    pub(crate) fn remap(&mut self, handle: &str, account: AccountId) {
        let handle: Handle = handle.parse().unwrap();
        self.handles.insert(handle.clone(), account);
        self.accounts.get_mut(&account).unwrap().handle = handle;
    }

    /// Forgets who has a handle, so that somebody else can claim it.
    pub(crate) fn release(&mut self, handle: &str) {
        self.handles.remove(&handle.parse().unwrap());
    }

    /// Hands out the packages of an account under another device of it.
    pub(crate) fn restock(&mut self, account: AccountId, device: DeviceId) {
        let all: Vec<_> = self.of(account).map(|((_, _, suite), shelf)| (*suite, shelf.clone())).collect();
        self.shelves.extend(all.into_iter().map(|(suite, shelf)| ((account, device, suite), shelf)));
    }

    /// Gives a handle to an account.
    pub(crate) fn hand(&mut self, account: AccountId, handle: &str) {
        self.handles.insert(handle.parse().unwrap(), account);
    }

    /// From now on an account is shown like this, with a good proof of its latest statement.
    pub(crate) fn show(&mut self, record: AccountRecord) {
        let latest = record.statements.last().unwrap();
        if let std::collections::btree_map::Entry::Vacant(place) =
            self.places.entry(account_log::leaf(latest))
        {
            place.insert(self.tree.size());
            self.tree.push(account_log::leaf(latest));
        }
        self.lies.frozen.insert(record.account, record);
    }

    /// The record of an account, as it is.
    pub(crate) fn record_of(&self, account: AccountId) -> AccountRecord {
        self.accounts[&account].clone()
    }

    /// The log of an account, as it is.
    pub(crate) fn log_of(&self, account: AccountId) -> AccountLog {
        self.logs[&account].clone()
    }

    /// An account states something, by whoever has its key.
    pub(crate) fn state(
        &mut self,
        account: AccountId,
        statement: Signed,
        certificate: Option<DeviceCertificate>,
    ) {
        self.state_with(account, statement, certificate, None);
    }

    /// The same, with what a recovered account says of itself.
    pub(crate) fn state_with(
        &mut self,
        account: AccountId,
        statement: Signed,
        certificate: Option<DeviceCertificate>,
        profile: Option<SignedProfile>,
    ) {
        let append = AppendStatement { statement, certificate, profile };
        self.append(&account, append).unwrap();
    }

    /// From now on these accounts see another registry, which is the same today.
    pub(crate) fn split(&mut self, others: &[AccountId]) -> &mut Self {
        let twin = Box::new(self.clone());
        self.lies.others = others.iter().copied().collect();
        self.lies.other.insert(twin)
    }

    /// One request; `None` when no reply comes.
    pub(crate) fn ask(
        &mut self,
        operation: &str,
        request: &[u8],
        now: Timestamp,
        fate: Fate,
    ) -> Option<Vec<u8>> {
        if self.lies.down {
            return None;
        }
        if let Some(other) = &mut self.lies.other
            && let Ok(signed) = codec::decode::<SignedRequest>(request)
            && let Ok(body) = codec::decode::<RequestBody>(&signed.body)
            && self.lies.others.contains(&body.account)
        {
            let reply = other.ask(operation, request, now, fate);
            // What is stated there never comes into the stream.
            other.unpublished.clear();
            return reply;
        }
        let planned = self.fates.iter().position(|(name, _)| *name == operation);
        let fate = planned.and_then(|at| self.fates.remove(at)).map_or(fate, |(_, fate)| fate);
        let now = now.plus(self.ahead).minus(self.behind);
        let outcome = match fate {
            Fate::NoReply => return None,
            Fate::Internal => Err(Code::Internal.because("the registry failed; nothing was changed")),
            Fate::Answered
            | Fate::LostReply
            | Fate::Forged
            | Fate::Foreign
            | Fate::Noise
            | Fate::Tampered => self.answer(operation, request, now),
        };
        let reply = |hash: [u8; 32], key: &SigningKey| {
            let outcome = match &outcome {
                Ok(answer) => Outcome::Answer(Box::new(answer.clone())),
                Err(refusal) => Outcome::Refused(refusal.clone()),
            };
            let head = (!self.lies.no_head).then(|| self.head(now));
            let registry_key = key.verifying_key().to_bytes();
            seal_reply(&ReplyBody { request: hash, at: now, registry_key, outcome, head }, key)
        };
        match fate {
            Fate::Answered | Fate::Internal => Some(reply(wire_hash(request), &self.key)),
            Fate::Forged => Some(reply(wire_hash(request), &SigningKey::from_bytes(&[66; 32]))),
            Fate::Foreign => Some(reply(wire_hash(b"another request"), &self.key)),
            Fate::Noise => Some(b"not a reply".to_vec()),
            Fate::Tampered => {
                let mut bytes = reply(wire_hash(request), &self.key);
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                Some(bytes)
            }
            Fate::LostReply | Fate::NoReply => None,
        }
    }

    /// Why a device may not ask.
    fn stranger(&self, account: &AccountId, device: &DeviceId) -> Refusal {
        if self.logs.get(account).is_some_and(|log| log.is_revoked(device)) {
            return Code::Revoked.because("the account revoked this device");
        }
        Code::Denied.because("this registry does not know the calling device")
    }

    fn answer(&mut self, operation: &str, request: &[u8], now: Timestamp) -> Result<Answer> {
        // What is too old to be added is neither counted nor handed out.
        let kept = limit::KEY_PACKAGE_LIFETIME - limit::KEY_PACKAGE_MIN_REMAINING;
        for shelf in self.shelves.values_mut() {
            while shelf.one_time.front().is_some_and(|(came, _)| came.plus(kept) < now) {
                shelf.one_time.pop_front();
            }
        }
        assert!(request.len() <= limit::REGISTRY_BYTES, "a request of {} bytes", request.len());
        let malformed = |_| Code::Malformed.because("the request cannot be read");
        let signed: SignedRequest = codec::decode(request).map_err(malformed)?;
        let body: RequestBody = codec::decode(&signed.body).map_err(malformed)?;
        assert_eq!(body.operation.name(), operation, "the core names the operation it asks");
        let apart = body.issued_at.since(now).max(now.since(body.issued_at));
        if self.strict && apart > limit::REQUEST_WINDOW {
            return Err(Code::ClockSkew.because(format!("yours says {}, ours {now}", body.issued_at)));
        }
        let key = match &body.operation {
            Operation::Ping | Operation::Admission => None,
            Operation::OpenRecovery { certificate } => Some(certificate.verify().unwrap().device_key),
            Operation::AppendStatement(append)
                if append
                    .certificate
                    .as_ref()
                    .is_some_and(|new| new.verify().unwrap().device == body.device) =>
            {
                Some(append.certificate.as_ref().unwrap().verify().unwrap().device_key)
            }
            Operation::CreateAccount(create) => {
                let certificate =
                    create.certificate.verify().map_err(|error| Code::Denied.because(error.to_string()))?;
                assert_eq!((certificate.account, certificate.device), (body.account, body.device));
                Some(certificate.device_key)
            }
            _ => Some(
                *self
                    .devices
                    .get(&(body.account, body.device))
                    .ok_or_else(|| self.stranger(&body.account, &body.device))?,
            ),
        };
        if let Some(key) = key {
            signed
                .verified(&key, Purpose::RegistryRequest)
                .map_err(|_| Code::Denied.because("the request is not signed by the device"))?;
            if !self.nonces.insert((body.device, body.nonce)) {
                return Err(Code::Replayed.because("this request was made before"));
            }
        }
        *self.answered.entry(body.operation.name()).or_default() += 1;
        *self.asked_by.entry((body.account, body.operation.name())).or_default() += 1;
        let (account, device) = (body.account, body.device);
        match body.operation {
            Operation::Ping => Ok(Answer::Done),
            Operation::CreateAccount(create) => self.create(&account, &device, *create),
            Operation::PublishKeyPackages { one_time, last_resort } => {
                assert!(one_time.len() <= limit::KEY_PACKAGES_PER_REQUEST);
                if self.of(account).all(|((_, whose, _), _)| *whose != device) {
                    let log = &self.logs[&account];
                    self.hints.extend(log.active().map(|(other, _)| *other).filter(|other| *other != device));
                }
                for package in one_time {
                    if self.brought.insert(wire_hash(&package)) {
                        let shelf = self.shelves.entry((account, device, suite_of(&package))).or_default();
                        shelf.one_time.push_back((now, package.into_vec()));
                    }
                }
                if let Some(package) = last_resort {
                    let shelf = self.shelves.entry((account, device, suite_of(&package))).or_default();
                    shelf.last_resort = Some(package.into_vec());
                }
                Ok(Answer::Done)
            }
            Operation::CountKeyPackages => {
                let shelf = |suite| self.shelves.get(&(account, device, suite));
                let left = |suite| shelf(suite).map_or(0, |shelf| shelf.one_time.len());
                let suites = SUITES.map(|suite| (suite, u32::try_from(left(suite)).unwrap()));
                Ok(Answer::Stock {
                    one_time: suites.iter().map(|(_, left)| left).sum(),
                    last_resort: SUITES
                        .iter()
                        .all(|suite| shelf(*suite).is_some_and(|shelf| shelf.last_resort.is_some())),
                    suites: suites.into(),
                })
            }
            Operation::ClaimKeyPackages { account, suite, device } => self.claim(account, suite, device),
            Operation::Resolve { handle } => {
                let account = self.handles.get(&handle);
                let account =
                    account.ok_or_else(|| Code::NotFound.because(format!("nobody is @{handle}")))?;
                Ok(Answer::Account(self.record(account, now)))
            }
            Operation::FetchAccount { account } => {
                if !self.accounts.contains_key(&account) {
                    return Err(Code::NotFound.because("no such account"));
                }
                Ok(Answer::Account(self.record(&account, now)))
            }
            Operation::SetProfile(signed) => {
                let new = self.profile(&account, &signed)?;
                let record = self.accounts.get_mut(&account).unwrap();
                let old: PublicProfile = codec::decode(&record.profile.profile.body).unwrap();
                if record.profile != signed && new.version <= old.version {
                    return Err(Code::Denied.because("the profile's version must grow"));
                }
                record.profile = signed;
                Ok(Answer::Done)
            }
            Operation::AppendStatement(append) => self.append(&account, *append),
            Operation::OpenRecovery { certificate } => {
                assert_eq!(certificate.verify().unwrap().account, account);
                if !self.accounts.contains_key(&account) {
                    return Err(Code::NotFound.because("no account has this recovery phrase"));
                }
                Ok(Answer::Account(self.record(&account, now)))
            }
            Operation::ProveConsistency { sizes } => {
                assert!(sizes.len() <= limit::PROOFS_PER_REQUEST);
                if let Some(code) = self.lies.no_proofs {
                    return Err(code.because("no proofs today"));
                }
                let prove = |size: &u64| {
                    let mut proof = self.tree.prove_consistency(*size)?;
                    if let Some(byte) = proof.first_mut().filter(|_| self.lies.bad_proofs) {
                        *byte ^= 1;
                    }
                    Some(proof.into())
                };
                let proofs: Option<Vec<_>> = sizes.iter().map(prove).collect();
                let proofs = proofs.ok_or_else(|| Code::NotFound.because("the log never was that long"))?;
                Ok(Answer::Consistency { head: self.head(now), proofs })
            }
            Operation::Admission => Ok(Answer::Admission(self.admission)),
            _ => Err(Code::Malformed.because("unknown operation")),
        }
    }

    /// The head of the account log as it is now.
    pub(crate) fn head(&self, at: Timestamp) -> SignedHead {
        let key = self.lies.head_key.map_or_else(|| self.key.clone(), |key| SigningKey::from_bytes(&key));
        let registry_key = key.verifying_key().to_bytes();
        let at = at.minus(self.lies.stale_by);
        TreeHead { registry_key, size: self.tree.size(), root: self.tree.root(), at }.sign(&key)
    }

    fn record(&self, account: &AccountId, now: Timestamp) -> AccountRecord {
        let mut record = self.accounts[account].clone();
        let mut index = self.latest[account];
        if let Some(frozen) = self.lies.frozen.get(account) {
            record = frozen.clone();
            let latest = account_log::leaf(record.statements.last().unwrap());
            index = *self.places.get(&latest).unwrap();
        }
        if let Some((_, ghost)) = self.lies.ghost.as_ref().filter(|(whose, _)| whose == account) {
            record.certificates.push(ghost.clone());
        }
        let other = if self.lies.bad_inclusion { index.saturating_sub(1) } else { index };
        let proof = self.tree.prove_inclusion(other).unwrap();
        record.inclusion =
            (!self.lies.no_inclusion).then(|| Inclusion { head: self.head(now), index, proof });
        record
    }

    fn publish(&mut self, account: AccountId, entry: LogEntry) {
        self.latest.insert(account, self.tree.size());
        self.places.insert(account_log::leaf(&entry.statement), self.tree.size());
        self.tree.push(account_log::leaf(&entry.statement));
        self.unpublished.push(entry);
    }

    fn append(&mut self, account: &AccountId, append: AppendStatement) -> Result<Answer> {
        let AppendStatement { statement, certificate, profile } = append;
        let log = self.logs.get_mut(account).ok_or_else(|| Code::NotFound.because("no such account"))?;
        if log.statements().last() == Some(&statement) {
            return Ok(Answer::Done);
        }
        log.append(&statement, certificate.as_ref()).map_err(|error| match error {
            LogError::Order => Code::StaleStatement.because(error.to_string()),
            _ => Code::Denied.because(error.to_string()),
        })?;
        let log = log.clone();
        if let Some(certificate) = &certificate {
            let body = certificate.verify().unwrap();
            self.devices.insert((*account, body.device), body.device_key);
        }
        let signed = profile.map(|profile| self.profile(account, &profile).map(|_| profile)).transpose()?;
        self.devices.retain(|(whose, device), _| whose != account || log.is_active(device));
        let keeps = self.keeps_revoked;
        self.shelves.retain(|(whose, device, _), _| keeps || whose != account || log.is_active(device));
        let record = self.accounts.get_mut(account).unwrap();
        record.statements = log.statements().to_vec();
        record.certificates.extend(certificate.clone());
        record.certificates.retain(|certificate| log.is_active(&certificate.verify().unwrap().device));
        if let Some(profile) = signed {
            record.profile = profile;
        }
        if !log.is_active(&record.profile.device) {
            return Err(Code::Denied.because("the profile is signed by a device that is revoked by this"));
        }
        self.publish(*account, LogEntry { statement, certificate });
        Ok(Answer::Done)
    }

    fn profile(&self, account: &AccountId, signed: &SignedProfile) -> Result<PublicProfile> {
        let key = self.devices.get(&(*account, signed.device));
        let key = key.ok_or_else(|| Code::Denied.because("a profile of a foreign device"))?;
        let body = signed
            .profile
            .verified(key, Purpose::Profile)
            .map_err(|_| Code::Denied.because("the profile is not signed by its device"))?;
        let profile: PublicProfile =
            codec::decode(body).map_err(|_| Code::Malformed.because("the profile cannot be read"))?;
        if profile.account == *account { Ok(profile) } else { Err(Code::Denied.because("a foreign profile")) }
    }

    fn create(&mut self, account: &AccountId, device: &DeviceId, create: CreateAccount) -> Result<Answer> {
        let CreateAccount { statement, certificate, profile, ticket } = create;
        let body = certificate.verify().unwrap();
        let log = AccountLog::begin(&statement, &certificate)
            .map_err(|error| Code::Denied.because(error.to_string()))?;
        assert_eq!(log.account(), *account);
        let handle = log.handle().clone();
        if let Some(existing) = self.accounts.get(account) {
            return if existing.handle == handle && existing.certificates == [certificate] {
                Ok(Answer::Done)
            } else {
                Err(Code::AccountExists.because("the account exists otherwise"))
            };
        }
        let key = self.key.verifying_key().to_bytes();
        let admitted = match (self.admission, ticket) {
            (AdmissionPolicy::Open, _) => true,
            (AdmissionPolicy::Code, Some(AdmissionProof::Code(code))) => code == CODE,
            (AdmissionPolicy::Work(bits), Some(AdmissionProof::Work(number))) => {
                admission_work(&key, account, number) >= u32::from(bits)
            }
            _ => false,
        };
        if !admitted {
            return Err(Code::Admission.because("a newcomer must bring something else"));
        }
        if self.handles.contains_key(&handle) {
            return Err(Code::HandleTaken.because(format!("@{handle} belongs to another account")));
        }
        if body.owner.is_some_and(|owner| !self.accounts.contains_key(&owner.account)) {
            return Err(Code::NotFound.because("the owner has no account here"));
        }
        self.devices.insert((*account, *device), body.device_key);
        if let Err(refusal) = self.profile(account, &profile) {
            self.devices.remove(&(*account, *device));
            return Err(refusal);
        }
        self.handles.insert(handle.clone(), *account);
        let record = AccountRecord {
            handle,
            account: *account,
            statements: vec![statement.clone()],
            certificates: vec![certificate.clone()],
            profile,
            inclusion: None,
        };
        self.accounts.insert(*account, record);
        self.logs.insert(*account, log);
        self.publish(*account, LogEntry { statement, certificate: Some(certificate) });
        Ok(Answer::Done)
    }

    fn claim(&mut self, account: AccountId, suite: u16, only: Option<DeviceId>) -> Result<Answer> {
        if !self.accounts.contains_key(&account) {
            return Err(Code::NotFound.because("there is no account with this id"));
        }
        let from = self.swapped.filter(|(victim, _)| *victim == account).map_or(account, |(_, other)| other);
        let named = self.devices.keys().find(|(whose, _)| *whose == account).unwrap().1;
        let mut taken = Vec::new();
        for ((whose, device, which), shelf) in &mut self.shelves {
            if *whose != from || *which != suite || only.is_some_and(|only| only != *device) {
                continue;
            }
            let device = if from == account { *device } else { named };
            let again =
                shelf.one_time.front().filter(|_| self.lies.again).map(|(_, package)| package.clone());
            let mut next = || shelf.one_time.pop_front().map(|(_, package)| package);
            if let Some(key_package) = again.or_else(&mut next) {
                taken.push(ClaimedKeyPackage { device, key_package, last_resort: false });
            } else if let Some(key_package) = shelf.last_resort.clone() {
                taken.push(ClaimedKeyPackage { device, key_package, last_resort: true });
            }
        }
        if taken.is_empty() {
            return Err(Code::NoKeyPackage.because("no device of the account has a key package left"));
        }
        Ok(Answer::KeyPackages(taken))
    }
}

/// The cipher suite of an encoded key package (RFC 9420 §10): behind two bytes of version.
fn suite_of(package: &[u8]) -> u16 {
    u16::from_be_bytes([package[2], package[3]])
}
