//! Who is in a group: every leaf with the identity its certificate proves.

use std::collections::BTreeMap;

use cipher_broker::certificate::{CREDENTIAL_TYPE, CertificateBody, DeviceCertificate, Kind};
use cipher_broker::id::{AccountId, DeviceId};
use openmls::prelude::{Credential, CredentialType, LeafNode, MlsGroup};

/// What a leaf's certificate proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Leaf {
    pub account: AccountId,
    pub device: DeviceId,
    pub kind: Kind,
    pub owner: Option<AccountId>,
    pub serial: u64,
}

/// All leaves, by index (RFC 9420 §4.1).
pub(crate) type Roster = BTreeMap<u32, Leaf>;

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
    let body =
        DeviceCertificate::open(credential.serialized_content()).map_err(|e| BadLeaf(e.to_string()))?;
    // R-CRED-03
    if body.device_key != *signature_key {
        return Err(BadLeaf("certificate is for another key than the leaf's".into()));
    }
    Ok(leaf(body))
}

/// The same for a leaf node.
pub(crate) fn prove_leaf(node: &LeafNode) -> Result<Leaf, BadLeaf> {
    prove(node.credential(), node.signature_key().as_slice())
}

fn leaf(body: CertificateBody) -> Leaf {
    Leaf {
        account: body.account,
        device: body.device,
        kind: body.kind,
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
