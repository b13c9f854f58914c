//! Who is in a group: every leaf with the identity its certificate proves.

use crate::state::Author;
use std::collections::{BTreeMap, BTreeSet};

use cipher_broker::certificate::{CREDENTIAL_TYPE, CertificateBody, DeviceCertificate, Kind};
use cipher_broker::id::{AccountId, DeviceId};
use cipher_broker::sign::wire_hash;
use cipher_broker::time::Timestamp;
use openmls::prelude::{Credential, CredentialType, LeafNode, MlsGroup};

/// What a leaf's certificate proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Leaf {
    pub account: AccountId,
    pub device: DeviceId,
    pub kind: Kind,
    pub owner: Option<AccountId>,
    pub serial: u64,
    /// The account key that signed the certificate: what the account's statements verify under.
    pub account_key: [u8; 32],
    /// SHA-256 of the encoded certificate: what statements name it by.
    pub certificate: [u8; 32],
    /// When the certificate was made, by the account's clock.
    pub issued_at: Timestamp,
}

impl Leaf {
    /// As the author of what it says or does.
    pub(crate) const fn author(&self) -> Author {
        Author { account: self.account, device: self.device, kind: self.kind }
    }
}

/// All leaves, by index (RFC 9420 §4.1).
pub(crate) type Roster = BTreeMap<u32, Leaf>;

/// Whose leaves these are.
pub(crate) fn accounts(roster: &Roster) -> BTreeSet<AccountId> {
    roster.values().map(|leaf| leaf.account).collect()
}

/// A leaf whose credential proves nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadLeaf(pub String);

/// Checks a credential against the signature key of its leaf: R-CRED-01 (type), R-CRED-02 (certificate verifies),
/// R-CRED-03 (certified key is the leaf's key).
pub(crate) fn prove(credential: &Credential, signature_key: &[u8]) -> Result<Leaf, BadLeaf> {
    // R-CRED-01
    if credential.credential_type() != CredentialType::Other(CREDENTIAL_TYPE) {
        return Err(BadLeaf("credential type is not a device certificate".into()));
    }
    // R-CRED-02
    let bytes = credential.serialized_content();
    let body = DeviceCertificate::open(bytes).map_err(|e| BadLeaf(e.to_string()))?;
    // R-CRED-03
    if body.device_key != *signature_key {
        return Err(BadLeaf("certificate is for another key than the leaf's".into()));
    }
    Ok(leaf(body, wire_hash(bytes)))
}

/// The same for a leaf node.
pub(crate) fn prove_leaf(node: &LeafNode) -> Result<Leaf, BadLeaf> {
    prove(node.credential(), node.signature_key().as_slice())
}

fn leaf(body: CertificateBody, certificate: [u8; 32]) -> Leaf {
    Leaf {
        account: body.account,
        device: body.device,
        kind: body.kind,
        issued_at: body.issued_at(),
        account_key: body.account_key,
        certificate,
        owner: body.owner.map(|owner| owner.account),
        serial: body.serial,
    }
}

/// The roster of a group whose leaves were all judged when they came in.
pub(crate) fn of_group(group: &MlsGroup) -> Result<Roster, BadLeaf> {
    group
        .members()
        .map(|member| Ok((member.index.u32(), prove(&member.credential, &member.signature_key)?)))
        .collect()
}
