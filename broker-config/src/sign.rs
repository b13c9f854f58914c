//! Digests and signatures with domain separation: one label, one meaning.
//!
//! Every signature of ours is over `digest(label, parts)` where each part is preceded by its length, so no two
//! different inputs share bytes, and a signature made for one purpose verifies for no other.

use ed25519_dalek::{Signature, Signer, SigningKey, Verifier, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What a signature is for. The label is hashed in front of everything that is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// An account key certifies a device key.
    DeviceCertificate,
    /// A person's account key countersigns the certificate of a bot it owns.
    BotOwner,
    /// An account key signs a statement of the account log.
    AccountStatement,
    /// A device key signs the public profile of its account.
    Profile,
    /// A device key signs a request to the registry.
    RegistryRequest,
    /// The registry key signs a reply.
    RegistryReply,
    /// The registry key signs a head of the account log.
    TreeHead,
    /// The registry key signs a record of the log that the replicas of a registry follow.
    RegistryRecord,
    /// A device key signs a request to join a group by a link.
    JoinRequest,
    /// A device key signs what it whispers to a group.
    Whisper,
    /// A device key signs that it gives itself new keys in a group.
    NewKeys,
    /// A device key signs a request to come back into a group that it cannot follow.
    Rejoin,
    /// A device key signs that another device, which asks to come back into a group, is not in it any more.
    NotMember,
}

impl Purpose {
    const fn label(self) -> &'static str {
        match self {
            Self::DeviceCertificate => "cipher-chat/device-certificate/v1",
            Self::BotOwner => "cipher-chat/bot-owner/v1",
            Self::AccountStatement => "cipher-chat/account-statement/v1",
            Self::Profile => "cipher-chat/profile/v1",
            Self::RegistryRequest => "cipher-chat/registry-request/v1",
            Self::RegistryReply => "cipher-chat/registry-reply/v1",
            Self::TreeHead => "cipher-chat/tree-head/v1",
            Self::RegistryRecord => "cipher-chat/registry-record/v1",
            Self::JoinRequest => "cipher-chat/join-request/v1",
            Self::Whisper => "cipher-chat/whisper/v1",
            Self::NewKeys => "cipher-chat/new-keys/v1",
            Self::Rejoin => "cipher-chat/rejoin/v1",
            Self::NotMember => "cipher-chat/not-member/v1",
        }
    }
}

/// SHA-256 over a label and parts, each preceded by its length as a big-endian `u64`.
pub fn digest(label: &str, parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in std::iter::once(label.as_bytes()).chain(parts.iter().copied()) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// The SHA-256 of the bytes of a message on the wire, by which its sender knows it again.
pub fn wire_hash(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// A signature does not verify under the key it claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("signature does not verify")]
pub struct BadSignature;

/// Signs `message` for one purpose (Ed25519, RFC 8032).
pub fn sign(key: &SigningKey, purpose: Purpose, message: &[u8]) -> [u8; 64] {
    key.sign(&digest(purpose.label(), &[message])).to_bytes()
}

/// Verifies a signature made by [`sign`]. Small-order keys are refused (`verify_strict`).
pub fn verify(
    key: &[u8; 32],
    purpose: Purpose,
    message: &[u8],
    signature: &[u8],
) -> Result<(), BadSignature> {
    let key = VerifyingKey::from_bytes(key).map_err(|_| BadSignature)?;
    let signature = Signature::from_slice(signature).map_err(|_| BadSignature)?;
    let message = digest(purpose.label(), &[message]);
    if key.is_weak() {
        return Err(BadSignature);
    }
    key.verify(&message, &signature).map_err(|_| BadSignature)
}

/// Encoded bytes and the signature over exactly these bytes: nothing is re-encoded before it is verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// The encoded statement ([`crate::codec`]).
    #[serde(rename = "b", with = "serde_bytes")]
    pub body: Vec<u8>,
    /// The Ed25519 signature, 64 bytes.
    #[serde(rename = "s", with = "serde_bytes")]
    pub signature: Vec<u8>,
}

impl Signed {
    /// Signs encoded bytes for a purpose.
    pub fn new(key: &SigningKey, purpose: Purpose, body: Vec<u8>) -> Self {
        let signature = sign(key, purpose, &body).to_vec();
        Self { body, signature }
    }

    /// Gives the body only if the signature verifies.
    pub fn verified(&self, key: &[u8; 32], purpose: Purpose) -> Result<&[u8], BadSignature> {
        verify(key, purpose, &self.body, &self.signature)?;
        Ok(&self.body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_for_one_purpose_verifies_for_no_other() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let public = key.verifying_key().to_bytes();
        let signature = sign(&key, Purpose::Profile, b"m");
        assert_eq!(verify(&public, Purpose::Profile, b"m", &signature), Ok(()));
        assert_eq!(verify(&public, Purpose::RegistryRequest, b"m", &signature), Err(BadSignature));
        assert_eq!(verify(&public, Purpose::Profile, b"n", &signature), Err(BadSignature));
        assert_eq!(verify(&public, Purpose::Profile, b"m", &signature[..63]), Err(BadSignature));
    }

    #[test]
    fn parts_of_a_digest_cannot_be_shifted_into_each_other() {
        assert_ne!(digest("l", &[b"ab", b"c"]), digest("l", &[b"a", b"bc"]));
        assert_ne!(digest("l", &[b"ab"]), digest("la", &[b"b"]));
    }
}
