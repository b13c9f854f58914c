//! Linking a device: a rendezvous on two inboxes that derive from a short code.
//!
//! ```text
//! new device N                                            existing device A
//!   Offer { commitment }            ──► inbox of the code ──►
//!                                   ◄── Accept { A's key, nonce } ◄──   (N's side inbox)
//!   Reveal { N's key, nonce, … }    ──►                              A checks the commitment
//!        both show the same short authentication string; a person compares
//!                                   ◄── Admit, sealed ◄──
//! ```
//! The code only finds the other side. Whoever sits in between would have to find keys whose string collides,
//! with one try: N is committed to its key before it sees A's (a SAS protocol as in ZRTP, RFC 6189 §4.4.1.1).

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::certificate::DeviceCertificate;
use crate::handle::Handle;
use crate::id::{AccountId, DeviceId};
use crate::sign::{Signed, digest};
use crate::time::Timestamp;
use crate::wire::registry::PublicProfile;

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum LinkingStep {
    /// N begins. The hash of the [`LinkingReveal`] that follows.
    #[serde(rename = "o")]
    Offer {
        /// SHA-256 of the encoded reveal.
        #[serde(rename = "c", with = "serde_bytes")]
        commitment: [u8; 32],
        /// When, by N's clock: the other side takes no offer that is older than a link lives.
        #[serde(rename = "t", default, skip_serializing_if = "is_zero")]
        at: Timestamp,
    },
    /// A answers.
    #[serde(rename = "a")]
    Accept {
        /// A's X25519 key, made for this.
        #[serde(rename = "k", with = "serde_bytes")]
        key: [u8; 32],
        /// 16 random bytes.
        #[serde(rename = "n", with = "serde_bytes")]
        nonce: [u8; 16],
        /// The account that N is to belong to, and its handle, for N to show. A claim until the strings are equal.
        #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
        account: Option<(AccountId, Handle)>,
        /// When, by A's clock.
        #[serde(rename = "t", default, skip_serializing_if = "is_zero")]
        at: Timestamp,
    },
    /// N shows what it was committed to.
    #[serde(rename = "r")]
    Reveal(LinkingReveal),
    /// A admits N: a sealed [`LinkingGrant`].
    #[serde(rename = "w")]
    Admit(#[serde(with = "serde_bytes")] Vec<u8>),
    /// The person said that the strings differ, or gave up.
    #[serde(rename = "x")]
    Cancel,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(at: &Timestamp) -> bool {
    *at == Timestamp::default()
}

/// What N is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkingReveal {
    /// N's X25519 key, made for this.
    #[serde(rename = "k", with = "serde_bytes")]
    pub key: [u8; 32],
    /// 16 random bytes.
    #[serde(rename = "n", with = "serde_bytes")]
    pub nonce: [u8; 16],
    /// The device id it chose.
    #[serde(rename = "d")]
    pub device: DeviceId,
    /// Its Ed25519 device key, to be certified.
    #[serde(rename = "s", with = "serde_bytes")]
    pub device_key: [u8; 32],
    /// What the machine calls itself; only shown to the account's own devices.
    #[serde(rename = "m")]
    pub name: String,
}

/// What N becomes. Sealed under the key that both agreed on.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkingGrant {
    /// The handle.
    #[serde(rename = "h")]
    pub handle: Handle,
    /// The account key's seed: every device of an account can approve, revoke and own bots.
    #[serde(rename = "a", with = "serde_bytes")]
    pub account_seed: [u8; 32],
    /// N's certificate.
    #[serde(rename = "c")]
    pub certificate: DeviceCertificate,
    /// Every statement of the account's log, the one that adds N included.
    #[serde(rename = "s")]
    pub statements: Vec<Signed>,
    /// Certificates of the account's active devices.
    #[serde(rename = "cs")]
    pub certificates: Vec<DeviceCertificate>,
    /// The registry's key as the account pinned it.
    #[serde(rename = "r")]
    pub registry_key: ByteBuf,
    /// The profile.
    #[serde(rename = "p")]
    pub profile: PublicProfile,
    /// Names that the person gave to the devices.
    #[serde(rename = "n")]
    pub names: Vec<(DeviceId, String)>,
    /// Size of the account log now: N follows it from there.
    #[serde(rename = "l")]
    pub log_size: u64,
    /// When.
    #[serde(rename = "t")]
    pub at: Timestamp,
    /// The device that lets N in, and sends it its history.
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    pub by: Option<DeviceId>,
}

impl std::fmt::Debug for LinkingGrant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LinkingGrant").field("handle", &self.handle).finish_non_exhaustive()
    }
}

/// The two inboxes of a code: the one A reads first, and the one N reads.
pub fn rendezvous(code: &str) -> (DeviceId, DeviceId) {
    let half = |label: &str| {
        let hash = digest(label, &[code.as_bytes()]);
        let mut id = [0; 16];
        for (to, from) in id.iter_mut().zip(hash) {
            *to = from;
        }
        DeviceId::from_bytes(id)
    };
    (half("cipher-chat/link-offer/v1"), half("cipher-chat/link-answer/v1"))
}

/// The key under which [`LinkingStep::Admit`] is sealed: both X25519 keys, the code and everything that was exchanged go
/// into it, so it opens nowhere but in this one conversation.
pub fn admission_key(
    shared: &[u8; 32],
    code: &str,
    account: &AccountId,
    offer: &[u8],
    accept: &[u8],
    reveal: &[u8],
) -> [u8; 32] {
    let parts: [&[u8]; 6] = [shared, code.as_bytes(), account.as_bytes(), offer, accept, reveal];
    digest("cipher-chat/link-admission/v1", &parts)
}

/// What both sides show: seven digits over everything that was exchanged. One in ten million tries of somebody in
/// between succeeds, and each try is seen by a person.
pub fn authentication_string(
    code: &str,
    account: &AccountId,
    offer: &[u8],
    accept: &[u8],
    reveal: &[u8],
) -> String {
    let hash =
        digest("cipher-chat/link-sas/v1", &[code.as_bytes(), account.as_bytes(), offer, accept, reveal]);
    let [a, b, c, d, e, f, g, h, ..] = hash;
    let number = u64::from_be_bytes([a, b, c, d, e, f, g, h]) % 10_000_000;
    format!("{:03} {:04}", number / 10_000, number % 10_000)
}
