//! The device certificate: what an MLS leaf's credential (type [`CREDENTIAL_TYPE`]) carries.
//!
//! The account key signs "this device key is mine"; for bots the owner's account key signs the same bytes too.
//! Self-contained: whoever holds the bytes can check them without asking anybody, so the check may decide on
//! merging a commit.

use ed25519_dalek::SigningKey;
use serde::{Deserialize, Serialize};

use crate::codec::{self, DecodeError};
use crate::id::{AccountId, DeviceId};
use crate::limit;
use crate::sign::{self, BadSignature, Purpose};
use crate::time::Timestamp;

/// MLS credential type of our certificates, from the private-use range (RFC 9420 §17.5).
pub const CREDENTIAL_TYPE: u16 = 0xF0A1;

/// Person or bot. Everybody in a group sees it, because it is in the certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Kind {
    /// An account of a person.
    #[serde(rename = "person")]
    Person,
    /// An account of a bot, owned by a person.
    #[serde(rename = "bot")]
    Bot,
}

/// The owner of a bot.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Owner {
    /// Account of the owner.
    #[serde(rename = "a")]
    pub account: AccountId,
    /// Its account key; hashes to `account`.
    #[serde(rename = "k", with = "serde_bytes")]
    pub account_key: [u8; 32],
}

/// What is signed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CertificateBody {
    /// Account the device belongs to.
    #[serde(rename = "a")]
    pub account: AccountId,
    /// The account key; hashes to `account`.
    #[serde(rename = "k", with = "serde_bytes")]
    pub account_key: [u8; 32],
    /// The device.
    #[serde(rename = "d")]
    pub device: DeviceId,
    /// Ed25519 key of the device: MLS leaf signatures and registry requests.
    #[serde(rename = "s", with = "serde_bytes")]
    pub device_key: [u8; 32],
    /// Person or bot.
    #[serde(rename = "t")]
    pub kind: Kind,
    /// Owner, exactly for bots.
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// First moment of validity.
    #[serde(rename = "nb")]
    pub not_before: Timestamp,
    /// Last moment of validity. Only warns and limits sending: never decides on merging a commit.
    #[serde(rename = "na")]
    pub not_after: Timestamp,
    /// Grows with every certificate of the same device.
    #[serde(rename = "n")]
    pub serial: u64,
}

/// A certificate: the body's bytes and the signatures over exactly these bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DeviceCertificate {
    #[serde(rename = "b", with = "serde_bytes")]
    body: Vec<u8>,
    #[serde(rename = "s", with = "serde_bytes")]
    signature: Vec<u8>,
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none", with = "serde_bytes")]
    owner_signature: Option<Vec<u8>>,
}

/// Why a certificate is not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// The bytes are not a certificate.
    #[error("certificate cannot be decoded")]
    Decode(#[from] DecodeError),
    /// The account id is not the hash of the account key.
    #[error("certificate names an account that is not the hash of its key")]
    AccountMismatch,
    /// A signature does not verify.
    #[error("certificate signature does not verify")]
    Signature(#[from] BadSignature),
    /// A bot without owner, or a person with one.
    #[error("only bots have an owner, and every bot has one")]
    Owner,
    /// `not_after` is not after `not_before`.
    #[error("certificate validity ends before it begins")]
    Validity,
}

impl CertificateBody {
    /// When it was made, by the account's clock: validity begins [`limit::CLOCK_SKEW`] earlier.
    pub fn issued_at(&self) -> Timestamp {
        self.not_before.plus(limit::CLOCK_SKEW)
    }
}

impl DeviceCertificate {
    /// Signs a certificate with the account key, for a person.
    pub fn sign(body: &CertificateBody, account_key: &SigningKey) -> Self {
        let body = codec::encode(body);
        let signature = sign::sign(account_key, Purpose::DeviceCertificate, &body).to_vec();
        Self { body, signature, owner_signature: None }
    }

    /// Adds the owner's countersignature, for a bot.
    #[must_use]
    pub fn countersigned(mut self, owner_signature: [u8; 64]) -> Self {
        self.owner_signature = Some(owner_signature.to_vec());
        self
    }

    /// What an owner signs (with [`Purpose::BotOwner`]) to own the bot of this certificate.
    pub fn body_bytes(&self) -> &[u8] {
        &self.body
    }

    /// Reads and verifies a certificate from a credential's bytes.
    pub fn open(bytes: &[u8]) -> Result<CertificateBody, CertificateError> {
        codec::decode::<Self>(bytes)?.verify()
    }

    /// Verifies every signature and gives the body. Pure: no clock, no look-up.
    pub fn verify(&self) -> Result<CertificateBody, CertificateError> {
        let body: CertificateBody = codec::decode(&self.body)?;
        if AccountId::of_key(&body.account_key) != body.account {
            return Err(CertificateError::AccountMismatch);
        }
        if body.not_after <= body.not_before {
            return Err(CertificateError::Validity);
        }
        sign::verify(&body.account_key, Purpose::DeviceCertificate, &self.body, &self.signature)?;
        match (body.kind, &body.owner, &self.owner_signature) {
            (Kind::Person, None, None) => {}
            (Kind::Bot, Some(owner), Some(signature)) => {
                if AccountId::of_key(&owner.account_key) != owner.account {
                    return Err(CertificateError::AccountMismatch);
                }
                sign::verify(&owner.account_key, Purpose::BotOwner, &self.body, signature)?;
            }
            (Kind::Person | Kind::Bot, _, _) => return Err(CertificateError::Owner),
        }
        Ok(body)
    }

    /// The bytes that go into the credential.
    pub fn to_bytes(&self) -> Vec<u8> {
        codec::encode(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(key: &SigningKey, kind: Kind, owner: Option<Owner>) -> CertificateBody {
        let account_key = key.verifying_key().to_bytes();
        CertificateBody {
            account: AccountId::of_key(&account_key),
            account_key,
            device: DeviceId::from_bytes([1; 16]),
            device_key: [2; 32],
            kind,
            owner,
            not_before: Timestamp::from_millis(1),
            not_after: Timestamp::from_millis(2),
            serial: 1,
        }
    }

    #[test]
    fn a_signed_certificate_opens_and_a_changed_one_does_not() {
        let key = SigningKey::from_bytes(&[9; 32]);
        let body = body(&key, Kind::Person, None);
        let bytes = DeviceCertificate::sign(&body, &key).to_bytes();
        assert_eq!(DeviceCertificate::open(&bytes), Ok(body));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(DeviceCertificate::open(&changed).is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_foreign_key_cannot_certify_for_an_account() {
        let (mine, other) = (SigningKey::from_bytes(&[9; 32]), SigningKey::from_bytes(&[8; 32]));
        let certificate = DeviceCertificate::sign(&body(&mine, Kind::Person, None), &other);
        assert!(matches!(certificate.verify(), Err(CertificateError::Signature(_))));
    }

    #[test]
    fn a_bot_needs_its_owners_countersignature() {
        let (bot, ana) = (SigningKey::from_bytes(&[9; 32]), SigningKey::from_bytes(&[8; 32]));
        let ana_public = ana.verifying_key().to_bytes();
        let owner = Owner { account: AccountId::of_key(&ana_public), account_key: ana_public };
        let body = body(&bot, Kind::Bot, Some(owner));
        let certificate = DeviceCertificate::sign(&body, &bot);
        assert_eq!(certificate.verify(), Err(CertificateError::Owner));
        let own = sign::sign(&bot, Purpose::BotOwner, certificate.body_bytes());
        assert!(matches!(
            certificate.clone().countersigned(own).verify(),
            Err(CertificateError::Signature(_))
        ));
        let by_ana = sign::sign(&ana, Purpose::BotOwner, certificate.body_bytes());
        assert_eq!(certificate.countersigned(by_ana).verify(), Ok(body));
    }
}
