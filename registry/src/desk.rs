//! The desk: bytes of a request in, bytes of a signed reply out. Knows nothing of NATS.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use cipher_broker::codec;
use cipher_broker::limit;
use cipher_broker::sign::wire_hash;
use cipher_broker::time::Timestamp;
use cipher_broker::wire::refusal::{Code, Refusal};
use cipher_broker::wire::registry::{
    Answer, Operation, Outcome, ReplyBody, RequestBody, SignedRequest, seal_reply,
};

use crate::caller::{self, Caller, Standing};
use crate::error::{OpError, StoreError};
use crate::key::RegistryKey;
use crate::nonce::RecentNonces;
use crate::op::write::Write;
use crate::op::{
    count_key_packages, create_account, fetch_account, publish_key_packages, resolve, set_profile,
};
use crate::quota::{Limits, Quota};
use crate::store::Store;
use crate::store::writer::{Writer, internal};

/// Answers requests. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Desk {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    writer: Writer,
    key: RegistryKey,
    recent: Mutex<RecentNonces>,
}

/// What is known after the part that needs no writing.
enum Examined {
    Answered(Answer),
    Write(Write, Caller),
}

impl Desk {
    /// A desk on an open store.
    pub fn open(store: Store, key: RegistryKey, limits: Limits) -> Result<Self, StoreError> {
        let writer = Writer::start(store.clone(), Quota::new(limits))?;
        let recent = Mutex::default();
        Ok(Self { inner: Arc::new(Inner { store, writer, key, recent }) })
    }

    /// Answers a request that came in for `operation`. Whatever the bytes are, there is a signed reply.
    ///
    /// Must be called on a Tokio runtime. Checking and reading run on its blocking threads, writing on the
    /// store's.
    pub async fn answer(&self, operation: &str, request: Bytes, now: Timestamp) -> Vec<u8> {
        let hash = wire_hash(&request);
        let (inner, operation) = (Arc::clone(&self.inner), operation.to_owned());
        let examined = tokio::task::spawn_blocking(move || inner.examine(&operation, &request, now)).await;
        let outcome = match examined {
            Ok(Ok(Examined::Answered(answer))) => Ok(answer),
            Ok(Ok(Examined::Write(write, caller))) => self.inner.writer.submit(write, caller, now).await,
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
        self.inner.sign(hash, outcome, now)
    }

    /// The public key under which replies verify.
    pub fn registry_key(&self) -> [u8; 32] {
        self.inner.key.public()
    }

    /// Resolves when the store failed and nothing can be written any more.
    pub async fn failure(&self) {
        self.inner.writer.failure().await;
    }
}

impl Inner {
    fn examine(&self, endpoint: &str, request: &[u8], now: Timestamp) -> Result<Examined, OpError> {
        let (signed, body) = read(endpoint, request)?;
        let view = self.store.view()?;
        let standing = caller::identify(&signed, &body, &view, &self.key.public(), now)?;
        let unknown = || Code::Malformed.because("this registry does not know the operation");
        let (write, caller) = match (standing, body.operation) {
            (Standing::Anyone, Operation::Ping) => return Ok(Examined::Answered(Answer::Done)),
            (Standing::Newcomer(caller, certificate), Operation::CreateAccount(create)) => {
                (Write::CreateAccount(Box::new(create_account::check(*create, *certificate)?)), caller)
            }
            (Standing::Known(caller), Operation::ClaimKeyPackages { account, suite, device: _ }) => {
                (Write::ClaimKeyPackages { account, suite }, caller)
            }
            (Standing::Known(caller), Operation::PublishKeyPackages { one_time, last_resort }) => {
                let packages = publish_key_packages::check(&one_time, last_resort.as_ref(), &caller, now)?;
                (Write::PublishKeyPackages(packages), caller)
            }
            (Standing::Known(caller), Operation::SetProfile(profile)) => {
                (Write::SetProfile(set_profile::check(profile, &caller, &view)?), caller)
            }
            (Standing::Known(caller), reading) => {
                self.fresh(&caller, now)?;
                return Ok(Examined::Answered(match reading {
                    Operation::CountKeyPackages => count_key_packages::run(&caller, &view, now)?,
                    Operation::FetchAccount { account } => fetch_account::run(&account, &view)?,
                    Operation::Resolve { handle } => resolve::run(&handle, &view)?,
                    _ => return Err(unknown().into()),
                }));
            }
            (Standing::Anyone | Standing::Newcomer(..), _) => return Err(unknown().into()),
        };
        Ok(Examined::Write(write, caller))
    }

    /// Uses up the nonce of a request that changes nothing.
    fn fresh(&self, caller: &Caller, now: Timestamp) -> Result<(), Refusal> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.note(caller.nonce_key(), Caller::nonce_expires(now), now) {
            Ok(())
        } else {
            Err(Code::Replayed.because("this request was made before"))
        }
    }

    fn sign(&self, request: [u8; 32], outcome: Result<Answer, Refusal>, now: Timestamp) -> Vec<u8> {
        let outcome = match outcome {
            Ok(answer) => Outcome::Answer(Box::new(answer)),
            Err(refusal) => Outcome::Refused(refusal),
        };
        let body = ReplyBody { request, at: now, registry_key: self.key.public(), outcome, head: None };
        seal_reply(&body, self.key.signer())
    }
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
