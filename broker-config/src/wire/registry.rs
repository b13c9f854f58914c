//! Requests to the registry and its replies. Both are signed end to end: the broker that carries them, and NATS
//! permissions, are never the authority.

use std::collections::BTreeMap;

use ed25519_dalek::SigningKey;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::certificate::DeviceCertificate;
use crate::codec;
use crate::handle::Handle;
use crate::id::{AccountId, DeviceId};
use crate::sign::{Purpose, Signed, digest, wire_hash};
use crate::time::Timestamp;
use crate::transparency::{Inclusion, SignedHead};
use crate::wire::operator::{OperatorAnswer, OperatorRequest};
use crate::wire::refusal::Refusal;

/// A signed [`RequestBody`], encoded: what travels on `reg.v1.<operation>`. Signed by the device key named in
/// the body ([`Purpose::RegistryRequest`]).
pub type SignedRequest = Signed;

/// A signed [`ReplyBody`], encoded. Signed by the registry key ([`Purpose::RegistryReply`]).
pub type SignedReply = Signed;

/// What is signed by the caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestBody {
    /// 16 random bytes, used once.
    #[serde(rename = "n", with = "serde_bytes")]
    pub nonce: [u8; 16],
    /// The caller's clock. Must be within [`crate::limit::REQUEST_WINDOW`] of the registry's.
    #[serde(rename = "t")]
    pub issued_at: Timestamp,
    /// The calling account.
    #[serde(rename = "a")]
    pub account: AccountId,
    /// The calling device; its registered key signs. For [`Operation::CreateAccount`] and [`Operation::Ping`] the
    /// key in the request itself.
    #[serde(rename = "d")]
    pub device: DeviceId,
    /// What is asked.
    #[serde(rename = "o")]
    pub operation: Operation,
}

/// What can be asked. [`Operation::name`] is the last token of the subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Operation {
    /// Is the registry there, what time does it have, what is its key? Signed by any key.
    #[serde(rename = "ping")]
    Ping,
    /// Creates an account with its first device and claims its handle, all or nothing. Repeating it with the
    /// same account, handle and certificate succeeds, so that a lost reply costs nothing.
    #[serde(rename = "create-account")]
    CreateAccount(Box<CreateAccount>),
    /// Adds key packages to the stock of the calling device.
    #[serde(rename = "publish-key-packages")]
    PublishKeyPackages {
        /// One-time packages (TLS-encoded `KeyPackage`).
        #[serde(rename = "p")]
        one_time: Vec<ByteBuf>,
        /// Replaces the package handed out when no other is left.
        #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
        last_resort: Option<ByteBuf>,
    },
    /// How many key packages of the calling device are left.
    #[serde(rename = "count-key-packages")]
    CountKeyPackages,
    /// Takes one key package of every device of an account. Each one-time package goes to one taker, ever.
    #[serde(rename = "claim-key-packages")]
    ClaimKeyPackages {
        /// Whose.
        #[serde(rename = "a")]
        account: AccountId,
        /// Cipher suite wanted (RFC 9420 §17.1).
        #[serde(rename = "s")]
        suite: u16,
        /// Only of this device; of every device when absent.
        #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
        device: Option<DeviceId>,
    },
    /// The account behind a handle.
    #[serde(rename = "resolve")]
    Resolve {
        /// The handle.
        #[serde(rename = "h")]
        handle: Handle,
    },
    /// The account with an id.
    #[serde(rename = "fetch-account")]
    FetchAccount {
        /// The account.
        #[serde(rename = "a")]
        account: AccountId,
    },
    /// Replaces the profile of the calling account.
    #[serde(rename = "set-profile")]
    SetProfile(SignedProfile),
    /// Appends a statement to the log of the calling account: a further device, a revocation, a recovery.
    /// Repeating it with the same statement succeeds. A recovery is asked for by the new device itself.
    #[serde(rename = "append-statement")]
    AppendStatement(Box<AppendStatement>),
    /// The own account, asked for by a device it certified but that is not registered: the first step of a
    /// recovery.
    #[serde(rename = "open-recovery")]
    OpenRecovery {
        /// Certificate of the asking device.
        #[serde(rename = "c")]
        certificate: DeviceCertificate,
    },
    /// Proves that heads of the account log of these sizes are prefixes of the log as it is now.
    #[serde(rename = "prove-consistency")]
    ProveConsistency {
        /// Sizes of earlier heads, at most [`crate::limit::PROOFS_PER_REQUEST`]; 0 and the present size have
        /// empty proofs.
        #[serde(rename = "f")]
        sizes: Vec<u64>,
    },
    /// What a registration must bring. Signed by any key, like a ping.
    #[serde(rename = "admission")]
    Admission,
    /// What only the operator may ask: signed with the registry's own key.
    #[serde(rename = "operate")]
    Operate(OperatorRequest),
}

/// What every operation is called and whether it writes, once for all that derives from it. An operation that is
/// missing here does not compile.
macro_rules! operations {
    ($($variant:pat => $name:literal, $writes:literal;)*) => {
        impl Operation {
            /// Every operation's name, in the order of the enum: the endpoints of the micro service.
            pub const NAMES: [&'static str; [$($name),*].len()] = [$($name),*];

            /// The last token of the subject.
            pub const fn name(&self) -> &'static str {
                match self { $($variant => $name),* }
            }

            /// Whether it may write. A replica of the registry hands it on at once to the one that writes.
            pub const fn writes(&self) -> bool {
                match self { $($variant => $writes),* }
            }

            /// The same of an operation that is known by its name only.
            pub fn name_writes(name: &str) -> bool {
                match name {
                    $($name => $writes,)*
                    _ => false,
                }
            }
        }
    };
}

operations! {
    Self::Ping => "ping", false;
    Self::CreateAccount(_) => "create-account", true;
    Self::PublishKeyPackages { .. } => "publish-key-packages", true;
    Self::CountKeyPackages => "count-key-packages", false;
    Self::ClaimKeyPackages { .. } => "claim-key-packages", true;
    Self::Resolve { .. } => "resolve", false;
    Self::FetchAccount { .. } => "fetch-account", false;
    Self::SetProfile(_) => "set-profile", true;
    Self::AppendStatement(_) => "append-statement", true;
    Self::OpenRecovery { .. } => "open-recovery", false;
    Self::ProveConsistency { .. } => "prove-consistency", false;
    Self::Admission => "admission", false;
    Self::Operate(_) => "operate", true;
}

/// A new account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateAccount {
    /// The first statement of the account's log: a [`Statement`](crate::wire::statement::Statement) signed by the account key
    /// ([`Purpose::AccountStatement`]).
    #[serde(rename = "s")]
    pub statement: Signed,
    /// Certificate of the first device.
    #[serde(rename = "c")]
    pub certificate: DeviceCertificate,
    /// First profile, signed by that device.
    #[serde(rename = "p")]
    pub profile: SignedProfile,
    /// What the registry asks of newcomers, see [`AdmissionPolicy`].
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<AdmissionProof>,
}

/// What admits a newcomer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum AdmissionProof {
    /// A code that the operator gave.
    #[serde(rename = "c")]
    Code(String),
    /// A number that makes [`admission_work`] small enough.
    #[serde(rename = "w")]
    Work(u64),
}

/// What a registry asks of newcomers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum AdmissionPolicy {
    /// Nothing.
    #[serde(rename = "open")]
    Open,
    /// A code from the operator.
    #[serde(rename = "code")]
    Code,
    /// Work: [`admission_work`] must begin with this many zero bits.
    #[serde(rename = "work")]
    Work(u8),
    /// Nobody new.
    #[serde(rename = "closed")]
    Closed,
}

/// Leading zero bits of the work for an account. Bound to registry and account, so that it cannot be reused.
pub fn admission_work(registry_key: &[u8; 32], account: &AccountId, number: u64) -> u32 {
    let parts: [&[u8]; 3] = [registry_key, account.as_bytes(), &number.to_be_bytes()];
    let hash = digest("cipher-chat/admission-work/v1", &parts);
    let zeros = hash.iter().take_while(|byte| **byte == 0).count();
    let partial = hash.get(zeros).map_or(0, |byte| byte.leading_zeros());
    u32::try_from(zeros).unwrap_or(u32::MAX).saturating_mul(8).saturating_add(partial)
}

/// A statement to append.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppendStatement {
    /// The statement, signed by the account key.
    #[serde(rename = "s")]
    pub statement: Signed,
    /// Certificate of the device that it adds, for claims that add one.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<DeviceCertificate>,
    /// A new profile, when the statement revokes the device that signed the present one.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<SignedProfile>,
}

/// What an account tells everybody about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicProfile {
    /// The account; binds the signature to it.
    #[serde(rename = "a")]
    pub account: AccountId,
    /// Display name; may be empty.
    #[serde(rename = "n")]
    pub name: String,
    /// Status text; may be empty.
    #[serde(rename = "s")]
    pub status: String,
    /// Presence the person chose.
    #[serde(rename = "p")]
    pub presence: Presence,
    /// Grows with every change; the registry keeps the highest only.
    #[serde(rename = "v")]
    pub version: u64,
}

impl PublicProfile {
    /// Of an account that said nothing about itself yet.
    pub const fn silent(account: AccountId) -> Self {
        Self {
            account,
            name: String::new(),
            status: String::new(),
            presence: Presence::Available,
            version: 0,
        }
    }
}

/// Presence as chosen by a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Presence {
    /// Can be reached.
    #[default]
    #[serde(rename = "available")]
    Available,
    /// Not at the terminal.
    #[serde(rename = "away")]
    Away,
    /// Does not want to be disturbed.
    #[serde(rename = "busy")]
    Busy,
    /// Does not say.
    #[serde(rename = "offline")]
    Offline,
}

/// A [`PublicProfile`] signed by a device of the account ([`Purpose::Profile`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedProfile {
    /// Device whose key signs.
    #[serde(rename = "d")]
    pub device: DeviceId,
    /// The signed profile.
    #[serde(rename = "p")]
    pub profile: Signed,
}

impl SignedProfile {
    /// Stands for a profile that the registry does not have: it was rebuilt from the account log, which holds no
    /// profiles. The account brings it back by setting it. `device` is an active device.
    pub const fn unknown(device: DeviceId) -> Self {
        Self { device, profile: Signed { body: Vec::new(), signature: Vec::new() } }
    }

    /// Whether this is [`SignedProfile::unknown`]: nothing was said, and nothing is signed.
    pub const fn is_unknown(&self) -> bool {
        self.profile.body.is_empty() && self.profile.signature.is_empty()
    }
}

/// What is signed by the registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplyBody {
    /// SHA-256 of the request's bytes: a reply answers exactly one request.
    #[serde(rename = "q", with = "serde_bytes")]
    pub request: [u8; 32],
    /// The registry's clock.
    #[serde(rename = "t")]
    pub at: Timestamp,
    /// The registry's public key: pinned by agents at first contact.
    #[serde(rename = "k", with = "serde_bytes")]
    pub registry_key: [u8; 32],
    /// The answer.
    #[serde(rename = "o")]
    pub outcome: Outcome,
    /// The latest head of the account log: every contact shows it, so that a registry that went back in time is
    /// noticed at once.
    #[serde(rename = "h", default, skip_serializing_if = "Option::is_none")]
    pub head: Option<SignedHead>,
}

/// Answer or refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The answer.
    #[serde(rename = "ok")]
    Answer(Box<Answer>),
    /// The refusal.
    #[serde(rename = "no")]
    Refused(Refusal),
}

/// What the registry can answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Answer {
    /// It is done; nothing else to tell (ping, create account, set profile).
    #[serde(rename = "done")]
    Done,
    /// The account asked for.
    #[serde(rename = "account")]
    Account(AccountRecord),
    /// Stock of the calling device.
    #[serde(rename = "stock")]
    Stock {
        /// One-time packages left, of all suites.
        #[serde(rename = "n")]
        one_time: u32,
        /// Whether every suite has a last-resort package.
        #[serde(rename = "l")]
        last_resort: bool,
        /// The same by cipher suite: one may run out while another is untouched.
        #[serde(rename = "s", default, skip_serializing_if = "BTreeMap::is_empty")]
        suites: BTreeMap<u16, u32>,
    },
    /// One key package of each device that had one.
    #[serde(rename = "packages")]
    KeyPackages(Vec<ClaimedKeyPackage>),
    /// Proofs against `head`, in the order of the sizes asked for.
    #[serde(rename = "consistency")]
    Consistency {
        /// The head that the proofs lead to.
        #[serde(rename = "h")]
        head: SignedHead,
        /// One proof per size (RFC 9162 §2.1.4).
        #[serde(rename = "p")]
        proofs: Vec<ByteBuf>,
    },
    /// What newcomers must bring.
    #[serde(rename = "admission")]
    Admission(AdmissionPolicy),
    /// What the operator asked for.
    #[serde(rename = "operator")]
    Operator(OperatorAnswer),
}

/// What the registry keeps of an account. Nothing in it is taken on the registry's word: the certificates and
/// the statement verify under the account key, which hashes to the account id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountRecord {
    /// Handle that maps to the account.
    #[serde(rename = "h")]
    pub handle: Handle,
    /// The account.
    #[serde(rename = "a")]
    pub account: AccountId,
    /// Log of statements, oldest first.
    #[serde(rename = "s")]
    pub statements: Vec<Signed>,
    /// Certificates of its active devices.
    #[serde(rename = "c")]
    pub certificates: Vec<DeviceCertificate>,
    /// Latest profile, signed by an active device; [`SignedProfile::unknown`] when the registry lost it.
    #[serde(rename = "p")]
    pub profile: SignedProfile,
    /// Proof that the account's latest statement is in the account log.
    #[serde(rename = "i", default, skip_serializing_if = "Option::is_none")]
    pub inclusion: Option<Inclusion>,
}

/// A key package that was handed out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimedKeyPackage {
    /// The device it belongs to.
    #[serde(rename = "d")]
    pub device: DeviceId,
    /// TLS-encoded `KeyPackage` (RFC 9420 §10).
    #[serde(rename = "k", with = "serde_bytes")]
    pub key_package: Vec<u8>,
    /// Whether it is the last-resort package, which others may get too.
    #[serde(rename = "l")]
    pub last_resort: bool,
}

/// Encodes and signs a request; gives its bytes.
pub fn seal_request(body: &RequestBody, device_key: &SigningKey) -> Vec<u8> {
    codec::encode(&SignedRequest::new(device_key, Purpose::RegistryRequest, codec::encode(body)))
}

/// Encodes and signs a reply; gives its bytes.
pub fn seal_reply(body: &ReplyBody, registry_key: &SigningKey) -> Vec<u8> {
    codec::encode(&SignedReply::new(registry_key, Purpose::RegistryReply, codec::encode(body)))
}

/// Why a reply is not the registry's answer to our request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// The bytes are not a reply.
    #[error("registry reply cannot be decoded")]
    Decode(#[from] codec::DecodeError),
    /// Not signed by the key it names, or by another than the pinned one.
    #[error("registry reply is not signed by the known registry key")]
    Signature,
    /// Answers another request.
    #[error("registry reply belongs to another request")]
    OtherRequest,
}

/// Opens a reply to `request`. With no `pinned` key the key in the reply is used: the caller pins it.
pub fn open_reply(bytes: &[u8], request: &[u8], pinned: Option<&[u8; 32]>) -> Result<ReplyBody, ReplyError> {
    let signed: SignedReply = codec::decode(bytes)?;
    let body: ReplyBody = codec::decode(&signed.body)?;
    let key = pinned.unwrap_or(&body.registry_key);
    if *key != body.registry_key || signed.verified(key, Purpose::RegistryReply).is_err() {
        return Err(ReplyError::Signature);
    }
    if body.request != wire_hash(request) {
        return Err(ReplyError::OtherRequest);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// N09, K-class: a reply counts only for its own request and under the pinned key.
    #[test]
    fn n09_a_forged_or_foreign_reply_is_refused() {
        let (registry, rogue) = (SigningKey::from_bytes(&[1; 32]), SigningKey::from_bytes(&[2; 32]));
        let pinned = registry.verifying_key().to_bytes();
        let reply = |key: &SigningKey| {
            let body = ReplyBody {
                request: wire_hash(b"mine"),
                at: Timestamp::from_millis(1),
                registry_key: key.verifying_key().to_bytes(),
                outcome: Outcome::Answer(Box::new(Answer::Done)),
                head: None,
            };
            seal_reply(&body, key)
        };
        assert!(open_reply(&reply(&registry), b"mine", Some(&pinned)).is_ok());
        assert_eq!(open_reply(&reply(&registry), b"other", Some(&pinned)), Err(ReplyError::OtherRequest));
        assert_eq!(open_reply(&reply(&rogue), b"mine", Some(&pinned)), Err(ReplyError::Signature));
        assert!(open_reply(b"junk", b"mine", Some(&pinned)).is_err());
    }
}
