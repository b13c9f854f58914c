//! Answers a request: its bytes in, bytes of a signed reply out. Knows nothing of NATS.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use cipher_broker::certificate::{CertificateBody, Kind};
use cipher_broker::codec;
use cipher_broker::id::DeviceId;
use cipher_broker::limit;
use cipher_broker::sign::wire_hash;
use cipher_broker::time::Timestamp;
use cipher_broker::transparency::Inclusion;
use cipher_broker::wire::operator::{OperatorAnswer, OperatorRequest, Quotas};
use cipher_broker::wire::refusal::{Code, Refusal};
use cipher_broker::wire::registry::{
    AccountRecord, Answer, CreateAccount, Operation, Outcome, ReplyBody, RequestBody, SignedRequest,
    seal_reply,
};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use crate::caller::{self, Caller, CallerProof, CallerRole};
use crate::error::{OpError, StoreError};
use crate::hint::Hints;
use crate::key::RegistryKey;
use crate::op::{
    append_statement, claim_key_packages, count_key_packages, create_account, fetch_account, operate,
    publish_key_packages, resolve, set_profile,
};
use crate::request::in_flight::{self, InFlight, Part};
use crate::request::nonce::RecentNonces;
use crate::request::quota::Quota;
use crate::store::{Store, View, account, log, once};
use crate::terms::{Admission, Limits, Terms};
use crate::tree::Tree;
use crate::write::job::{NotDone, internal};
use crate::write::operation::Write;
use crate::write::single::{self, moments};
use crate::write::writer::Writer;

/// Answers requests. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Answerer {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    tree: Arc<Tree>,
    writer: Writer,
    key: RegistryKey,
    admission: Admission,
    quota: Mutex<Quota>,
    recent: Mutex<RecentNonces>,
    hints: Hints,
    in_flight: InFlight,
}

/// What is known after the part that needs no writing.
enum Examined {
    Answered(Answer),
    Write(Write, Caller),
}

impl Answerer {
    /// An answerer on an open store.
    pub fn open(store: Store, key: RegistryKey, terms: Terms) -> Result<Self, StoreError> {
        let tree = Arc::new(Tree::load(&store, key.clone())?);
        let (writer, thread) = single::start(store.clone(), Arc::clone(&tree))?;
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(moments(thread));
        }
        Ok(Self::over(store, tree, writer, key, terms))
    }

    /// An answerer on a store that has its writer already.
    pub(crate) fn over(
        store: Store,
        tree: Arc<Tree>,
        writer: Writer,
        key: RegistryKey,
        terms: Terms,
    ) -> Self {
        let quota = Mutex::new(Quota::new(terms.limits));
        let (admission, recent, hints) = (terms.admission, Mutex::default(), Hints::default());
        let in_flight = InFlight::default();
        Self {
            inner: Arc::new(Inner { store, tree, writer, key, admission, quota, recent, hints, in_flight }),
        }
    }

    /// Answers a request that came in for `operation`. Whatever the bytes are, there is a signed reply.
    ///
    /// Must be called on a Tokio runtime. Checking and reading run on its blocking threads, writing on the
    /// store's.
    pub async fn answer(&self, operation: &str, request: Bytes, now: Timestamp) -> Vec<u8> {
        let hash = wire_hash(&request);
        let reply = self.decide(operation, request, now, async || true).await;
        reply.unwrap_or_else(|| self.inner.sign(hash, Err(internal()), now))
    }

    /// The same for a replica of the registry. `None`: it does not write and nothing may be said.
    ///
    /// `newest`: whether what the rows said was the latest. Asked before anything is said that comes from reading alone;
    /// what is written proves it by lying in the log. The same bytes that come again while they are worked on wait for
    /// the same answer.
    pub(crate) async fn decide(
        &self,
        operation: &str,
        request: Bytes,
        now: Timestamp,
        newest: impl AsyncFnOnce() -> bool,
    ) -> Option<Vec<u8>> {
        let hash = wire_hash(&request);
        match self.inner.in_flight.join(hash) {
            Part::Wait(told) => in_flight::told(told).await,
            Part::Work(work) => {
                let reply = self.work(operation, request, hash, now, newest).await;
                work.done(reply.as_ref());
                reply
            }
        }
    }

    async fn work(
        &self,
        operation: &str,
        request: Bytes,
        hash: [u8; 32],
        now: Timestamp,
        newest: impl AsyncFnOnce() -> bool,
    ) -> Option<Vec<u8>> {
        let (inner, of, bytes) = (Arc::clone(&self.inner), operation.to_owned(), request.clone());
        let examined = tokio::task::spawn_blocking(move || inner.examine(&of, &bytes, now)).await;
        if !matches!(examined, Ok(Ok(Examined::Write(..)))) && !newest().await {
            self.inner.forget(operation, &request, now);
            return None;
        }
        let outcome = match examined {
            Ok(Ok(Examined::Answered(answer))) => Ok(answer),
            Ok(Ok(Examined::Write(write, caller))) => {
                let nonce = caller.nonce;
                match self.inner.writer.submit(write, caller, now).await {
                    Ok(change) => {
                        self.inner.hints.tell(change.hints, now);
                        Ok(change.answer)
                    }
                    Err(NotDone::Refused(refusal)) => Err(refusal),
                    Err(NotDone::Withheld) => {
                        self.inner.recent().forget(&nonce);
                        return None;
                    }
                }
            }
            Ok(Err(OpError::Refused(refusal))) => Err(refusal),
            Ok(Err(OpError::Store(error))) => {
                tracing::error!(%error, "the store cannot be read");
                Err(internal())
            }
            Err(_) => {
                tracing::error!("examining a request ended in a panic");
                Err(internal())
            }
        };
        Some(self.inner.sign(hash, outcome, now))
    }

    /// The public key under which replies verify.
    pub fn registry_key(&self) -> [u8; 32] {
        self.inner.key.public()
    }

    /// Resolves when the store failed and nothing can be written any more.
    pub async fn failure(&self) {
        self.inner.writer.failure().await;
    }

    /// Number of committed entries of the account log, and whenever it grows.
    pub fn log_size(&self) -> watch::Receiver<u64> {
        self.inner.tree.watch()
    }

    /// Committed entries of the account log from a position on (each an encoded
    /// [`cipher_broker::wire::statement::LogEntry`]), at most so many.
    pub fn log_entries(&self, from: u64, most: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        log::entries(&self.inner.store.view(), from, most)
    }

    /// Devices that should be told to look at their account and stock. The first who asks gets them.
    pub fn hints(&self) -> Option<mpsc::Receiver<DeviceId>> {
        self.inner.hints.take()
    }
}

impl Inner {
    fn recent(&self) -> MutexGuard<'_, RecentNonces> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing was said to a request: it may come again. Only who signed it can make that so.
    fn forget(&self, endpoint: &str, request: &[u8], now: Timestamp) {
        let Ok((signed, body)) = read(endpoint, request) else { return };
        let standing = caller::identify(&signed, &body, &self.store.view(), &self.key.public(), now);
        if let Ok(
            CallerProof::Newcomer(caller, _) | CallerProof::Known(caller) | CallerProof::Operator(caller),
        ) = standing
        {
            self.recent().forget(&caller.nonce);
        }
    }

    fn examine(&self, endpoint: &str, request: &[u8], now: Timestamp) -> Result<Examined, OpError> {
        let (signed, body) = read(endpoint, request)?;
        let view = self.store.view();
        let standing = caller::identify(&signed, &body, &view, &self.key.public(), now)?;
        if body.operation.writes()
            && let CallerProof::Newcomer(caller, _)
            | CallerProof::Known(caller)
            | CallerProof::Operator(caller) = &standing
        {
            // R-REG-20: who lost the reply is told the same again.
            match once::answered(&view.answers, &caller.nonce, &caller.request, now)? {
                Some(Outcome::Answer(answer)) => return Ok(Examined::Answered(*answer)),
                Some(Outcome::Refused(refusal)) => return Err(refusal.into()),
                None => {}
            }
        }
        match (standing, body.operation) {
            (CallerProof::Anyone, Operation::Ping) => Ok(Examined::Answered(Answer::Done)),
            (CallerProof::Anyone, Operation::Admission) => {
                Ok(Examined::Answered(Answer::Admission(self.admission.policy())))
            }
            (CallerProof::Newcomer(caller, certificate), Operation::CreateAccount(create)) => {
                if account::by_id(&view.accounts, &caller.account)?.is_none() {
                    self.fresh(&caller, now)?;
                    self.admit(&create, &certificate, now)?;
                }
                let new = create_account::check(*create, *certificate)?;
                Ok(Examined::Write(Write::CreateAccount(Box::new(new)), caller))
            }
            (CallerProof::Newcomer(caller, _), Operation::AppendStatement(append))
            | (CallerProof::Known(caller), Operation::AppendStatement(append)) => {
                let append = append_statement::check(*append)?;
                Ok(Examined::Write(Write::AppendStatement(Box::new(append)), caller))
            }
            (
                CallerProof::Newcomer(caller, _) | CallerProof::Known(caller),
                Operation::OpenRecovery { .. },
            ) => {
                self.fresh(&caller, now)?;
                self.quota().look_up(caller.account, now)?;
                let record = fetch_account::run(&caller.account, &view)?;
                self.account(record, &view, now)
            }
            (CallerProof::Known(caller), operation) => self.examine_known(operation, caller, &view, now),
            (CallerProof::Operator(caller), operation) => {
                self.examine_operator(operation, caller, &view, now)
            }
            (CallerProof::Anyone | CallerProof::Newcomer(..), _) => Err(unknown().into()),
        }
    }

    /// What a device of an account asks.
    fn examine_known(
        &self,
        operation: Operation,
        caller: Caller,
        view: &View,
        now: Timestamp,
    ) -> Result<Examined, OpError> {
        match operation {
            Operation::ClaimKeyPackages { account, suite, device } => {
                let devices = account::devices(&view.devices, &account)?;
                if devices.is_empty() {
                    return Err(claim_key_packages::nobody().into());
                }
                // Before it is counted: somebody who replays a claim must not use up the quota of who made it.
                self.fresh(&caller, now)?;
                self.quota().claim(caller.account, account, now)?;
                let wanted = claim_key_packages::Wanted { account, suite, device };
                claim_key_packages::warm(&wanted, devices, view)?;
                Ok(Examined::Write(Write::ClaimKeyPackages(wanted), caller))
            }
            Operation::PublishKeyPackages { one_time, last_resort } => {
                let packages = publish_key_packages::check(&one_time, last_resort.as_ref(), &caller, now)?;
                Ok(Examined::Write(Write::PublishKeyPackages(packages), caller))
            }
            Operation::SetProfile(profile) => {
                let profile = set_profile::check(profile, &caller, view)?;
                Ok(Examined::Write(Write::SetProfile(profile), caller))
            }
            Operation::CountKeyPackages => {
                self.fresh(&caller, now)?;
                Ok(Examined::Answered(count_key_packages::run(&caller, view, now)?))
            }
            reading => self.examine_reading(reading, &caller, view, now),
        }
    }

    /// What devices and the operator may read.
    fn examine_reading(
        &self,
        operation: Operation,
        caller: &Caller,
        view: &View,
        now: Timestamp,
    ) -> Result<Examined, OpError> {
        match operation {
            Operation::FetchAccount { account } => {
                self.fresh(caller, now)?;
                if caller.role == CallerRole::Device && account != caller.account {
                    self.quota().look_up(caller.account, now)?;
                }
                self.account(fetch_account::run(&account, view)?, view, now)
            }
            Operation::Resolve { handle } => {
                self.fresh(caller, now)?;
                if caller.role == CallerRole::Device {
                    self.quota().look_up(caller.account, now)?;
                }
                self.account(resolve::run(&handle, view)?, view, now)
            }
            Operation::ProveConsistency { sizes } => {
                self.fresh(caller, now)?;
                Ok(Examined::Answered(self.prove(&sizes, now)?))
            }
            _ if caller.role == CallerRole::Operator => {
                Err(Code::Denied.because("the operator may look and order, not act as an account").into())
            }
            _ => Err(unknown().into()),
        }
    }

    /// What the operator asks.
    fn examine_operator(
        &self,
        operation: Operation,
        caller: Caller,
        view: &View,
        now: Timestamp,
    ) -> Result<Examined, OpError> {
        let Operation::Operate(order) = operation else {
            return self.examine_reading(operation, &caller, view, now);
        };
        let order = match order {
            OperatorRequest::Block(handle) => operate::OperatorOrder::Block(handle),
            OperatorRequest::Unblock(handle) => operate::OperatorOrder::Unblock(handle),
            OperatorRequest::Bury(handle) => operate::OperatorOrder::Bury(handle),
            OperatorRequest::Inspect(whom) => {
                self.fresh(&caller, now)?;
                let mut inspection = operate::inspect(&whom, view, now)?;
                inspection.record.inclusion = Some(self.inclusion(&inspection.record, view, now)?);
                let answer = OperatorAnswer::Inspection(Box::new(inspection));
                return Ok(Examined::Answered(Answer::Operator(answer)));
            }
            OperatorRequest::Quotas => {
                self.fresh(&caller, now)?;
                let Limits { per_target, overall, look_ups, registrations } = self.quota().limits();
                let quotas = Quotas {
                    claims_per_target: per_target,
                    claims_overall: overall,
                    look_ups,
                    registrations,
                    admission: self.admission.policy(),
                };
                return Ok(Examined::Answered(Answer::Operator(OperatorAnswer::Quotas(quotas))));
            }
            _ => return Err(unknown().into()),
        };
        Ok(Examined::Write(Write::Operate(order), caller))
    }

    /// Whether somebody new may come. Bots come by their owner's signature: their certificate has it, and that the
    /// owner has an account is looked at where the bot is written.
    fn admit(
        &self,
        create: &CreateAccount,
        certificate: &CertificateBody,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        if certificate.kind == Kind::Person {
            self.admission.admit(create.ticket.as_ref(), &self.key.public(), &certificate.account)?;
        }
        self.quota().register(now)
    }

    /// The answer that shows an account: with the proof that its latest statement is in the account log.
    fn account(&self, mut record: AccountRecord, view: &View, now: Timestamp) -> Result<Examined, OpError> {
        record.inclusion = Some(self.inclusion(&record, view, now)?);
        Ok(Examined::Answered(Answer::Account(record)))
    }

    fn inclusion(&self, record: &AccountRecord, view: &View, now: Timestamp) -> Result<Inclusion, OpError> {
        let index = log::latest(view, &record.account)?.ok_or(StoreError::Row("latest"))?;
        Ok(self.tree.prove(index, now).ok_or(StoreError::Stopped)?)
    }

    fn prove(&self, sizes: &[u64], now: Timestamp) -> Result<Answer, Refusal> {
        let most = limit::PROOFS_PER_REQUEST;
        if sizes.len() > most {
            return Err(Code::TooLarge.because(format!("one request asks for at most {most} proofs")));
        }
        match self.tree.prove_prefixes(sizes, now) {
            Ok((head, proofs)) => Ok(Answer::Consistency { head, proofs }),
            Err((size, present)) => Err(Code::NotFound.because(format!(
                "the account log has {present} entries and never had {size}: this registry has lost some"
            ))),
        }
    }

    /// Uses up the nonce of a request that changes nothing, or of one that is counted.
    fn fresh(&self, caller: &Caller, now: Timestamp) -> Result<(), Refusal> {
        if self.recent().note(caller.nonce, Caller::nonce_expires(now), now) {
            Ok(())
        } else {
            Err(Code::Replayed.because("this request was made before"))
        }
    }

    fn quota(&self) -> MutexGuard<'_, Quota> {
        self.quota.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sign(&self, request: [u8; 32], outcome: Result<Answer, Refusal>, now: Timestamp) -> Vec<u8> {
        // R-REG-07: one reply shows one head, the one that its proofs lead to.
        let head = match &outcome {
            Ok(Answer::Account(record)) => record.inclusion.as_ref().map(|inclusion| &inclusion.head),
            Ok(Answer::Consistency { head, .. }) => Some(head),
            _ => None,
        };
        let head = Some(head.cloned().unwrap_or_else(|| self.tree.head(now)));
        let outcome = match outcome {
            Ok(answer) => Outcome::Answer(Box::new(answer)),
            Err(refusal) => Outcome::Refused(refusal),
        };
        let body = ReplyBody { request, at: now, registry_key: self.key.public(), outcome, head };
        seal_reply(&body, self.key.signer())
    }
}

fn unknown() -> Refusal {
    Code::Malformed.because("this registry does not know the operation")
}

/// Reads a request; nothing in it is verified yet.
fn read(endpoint: &str, request: &[u8]) -> Result<(SignedRequest, RequestBody), Refusal> {
    if request.len() > limit::REGISTRY_BYTES {
        return Err(Code::TooLarge.because(format!("a request has at most {} bytes", limit::REGISTRY_BYTES)));
    }
    let malformed = |error| Code::Malformed.because(format!("the request cannot be read: {error}"));
    let signed: SignedRequest = codec::decode(request).map_err(malformed)?;
    let body: RequestBody = codec::decode(&signed.body).map_err(malformed)?;
    if body.operation.name() != endpoint {
        return Err(Code::Malformed.because("the request is for another operation than its subject"));
    }
    Ok((signed, body))
}
