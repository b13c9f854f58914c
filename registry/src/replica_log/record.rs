//! A record of the log: the rows that one transaction changed, chained to the record before and signed.
//!
//! The broker keeps the log and is not trusted with it: a record that it made, moved or left out is noticed.

use cipher_broker::codec;
use cipher_broker::sign::{Purpose, Signed, wire_hash};
use serde::{Deserialize, Serialize};

use crate::key::RegistryKey;
use crate::replica_log::position::ReplicaId;
use crate::store::rows::Change;

/// One message of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Position in the stream, from 1.
    #[serde(rename = "q")]
    pub(crate) sequence: u64,
    /// SHA-256 of the record before; of the first one: of the rows that the replicas had before it.
    #[serde(rename = "p", with = "serde_bytes")]
    pub(crate) previous: [u8; 32],
    /// Who wrote it.
    #[serde(rename = "w")]
    pub(crate) writer: ReplicaId,
    /// Number of the reign: grows by one with every record that takes over.
    #[serde(rename = "e")]
    pub(crate) term: u64,
    /// The rows. None: a writer takes over, when the term is a new one; else nothing changed, and the record only proves that
    /// its writer knew everything.
    #[serde(rename = "c", default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) changes: Vec<Change>,
}

/// Why a message of the log is not the next record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RecordError {
    /// Not signed by our key.
    #[error(
        "a record of the log is not signed by this registry's key: every replica needs the same registry.key"
    )]
    Key,
    /// Cannot be read.
    #[error("a record of the log cannot be read: a newer version may have written it")]
    Malformed,
    /// Not the next.
    #[error("the log is not the one that this replica has followed, or records of it were lost or changed")]
    Order,
    /// The first record was written on other rows.
    #[error(
        "the log was begun on other data than this folder holds: begin with an empty folder or with a copy of \
         another replica's"
    )]
    Base,
}

impl Record {
    /// Encodes and signs; gives the bytes to publish.
    pub(crate) fn seal(&self, key: &RegistryKey) -> Vec<u8> {
        codec::encode(&Signed::new(key.signer(), Purpose::RegistryRecord, codec::encode(self)))
    }

    /// Opens what lies at `sequence` of the log.
    pub(crate) fn open(bytes: &[u8], sequence: u64, key: &RegistryKey) -> Result<Self, RecordError> {
        let signed: Signed = codec::decode(bytes).map_err(|_| RecordError::Malformed)?;
        let body = signed.verified(&key.public(), Purpose::RegistryRecord).map_err(|_| RecordError::Key)?;
        let record: Self = codec::decode(body).map_err(|_| RecordError::Malformed)?;
        if record.sequence == sequence { Ok(record) } else { Err(RecordError::Order) }
    }
}

/// What the record behind these bytes must name.
pub(crate) fn hash(bytes: &[u8]) -> [u8; 32] {
    wire_hash(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::SigningKey;

    #[test]
    fn a_record_counts_at_its_place_under_its_key_and_unchanged() {
        let key = RegistryKey::new(SigningKey::from_bytes(&[1; 32]));
        let other = RegistryKey::new(SigningKey::from_bytes(&[2; 32]));
        let change = Change { table: "t".into(), key: vec![1].into(), value: Some(vec![2; 9].into()) };
        let record = Record {
            sequence: 7,
            previous: [3; 32],
            writer: ReplicaId::random(),
            term: 2,
            changes: vec![change],
        };
        let bytes = record.seal(&key);
        assert_eq!(Record::open(&bytes, 7, &key).as_ref(), Ok(&record));
        assert_eq!(Record::open(&bytes, 8, &key), Err(RecordError::Order));
        assert_eq!(Record::open(&bytes, 7, &other), Err(RecordError::Key));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(Record::open(&changed, 7, &key).is_err(), "byte {at}");
        }
    }
}
