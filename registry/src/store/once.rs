//! What counts once: nonces of requests, and key packages that were ever brought as one-time packages. Each is kept
//! until it would be refused for its age anyway, then forgotten.
//!
//! What became of a request that writes is kept for a minute: who lost the reply asks again with the same bytes and
//! is told the same, so nothing is handed out in vain.

use std::time::Duration;

use cipher_broker::codec;
use cipher_broker::time::Timestamp;
use cipher_broker::wire::registry::Outcome;
use redb::ReadableTable;
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::store::Txn;
use crate::store::rows::Rows;

/// How long what became of a request is kept. A minute of the busiest registry is some hundred megabytes.
pub(crate) const ANSWER_KEPT: Duration = Duration::from_secs(60);

/// When a request was issued, its nonce, and whose it is: somebody else's nonce cannot be used up. The time comes first,
/// so that what is noted of requests that come together lies together, and goes together.
pub(crate) type NonceKey = [u8; 64];

/// What became of a request.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    /// SHA-256 of the signed body.
    #[serde(rename = "q", with = "serde_bytes")]
    request: [u8; 32],
    #[serde(rename = "t")]
    until: Timestamp,
    #[serde(rename = "o")]
    outcome: Outcome,
}

/// What the caller was told when it asked exactly this before, within a minute. `request`: SHA-256 of the signed body.
pub(crate) fn answered(
    answers: &impl ReadableTable<&'static [u8; 64], &'static [u8]>,
    nonce: &NonceKey,
    request: &[u8; 32],
    now: Timestamp,
) -> Result<Option<Outcome>, StoreError> {
    let Some(row) = answers.get(nonce)? else { return Ok(None) };
    let kept: Kept = codec::decode(row.value()).map_err(|_| StoreError::Row("answer"))?;
    Ok((&kept.request == request && now < kept.until).then_some(kept.outcome))
}

/// Keeps what became of a request. `request`: SHA-256 of the signed body.
pub(crate) fn keep(
    txn: &mut Txn<'_>,
    nonce: &NonceKey,
    request: [u8; 32],
    outcome: Outcome,
    now: Timestamp,
) -> Result<(), StoreError> {
    let until = now.plus(ANSWER_KEPT);
    let kept = codec::encode(&Kept { request, until, outcome });
    txn.answers.insert(nonce, kept.as_slice())?;
    txn.expiry.insert((until.as_millis(), tagged(ANSWER, nonce).as_slice()), ())?;
    Ok(())
}

const ANSWER: u8 = b'a';

/// The key of a nonce.
pub(crate) fn nonce(nonce: &NonceKey) -> Vec<u8> {
    tagged(b'n', nonce)
}

/// The key of a key package with this hash.
pub(crate) fn key_package(hash: &[u8; 32]) -> Vec<u8> {
    tagged(b'k', hash)
}

/// Whether it was noted before.
pub(crate) fn seen(once: &Rows<'_, &'static [u8], ()>, key: &[u8]) -> Result<bool, StoreError> {
    Ok(once.get(key)?.is_some())
}

/// Notes it until a time.
pub(crate) fn note(
    once: &mut Rows<'_, &'static [u8], ()>,
    expiry: &mut Rows<'_, (u64, &'static [u8]), ()>,
    key: &[u8],
    until: Timestamp,
) -> Result<(), StoreError> {
    once.insert(key, ())?;
    expiry.insert((until.as_millis(), key), ())?;
    Ok(())
}

/// Forgets some of what has expired, oldest first: at most so many rows, because somebody waits.
pub(crate) fn sweep(txn: &mut Txn<'_>, now: Timestamp, most: usize) -> Result<(), StoreError> {
    for _ in 0..most {
        let Some((due, key)) = txn.expiry.first()?.map(|(row, _)| {
            let (due, key) = row.value();
            (due, key.to_vec())
        }) else {
            break;
        };
        if due >= now.as_millis() {
            break;
        }
        match key.split_first().map(|(tag, nonce)| (*tag, <&NonceKey>::try_from(nonce))) {
            Some((ANSWER, Ok(nonce))) => drop(txn.answers.remove(nonce)?),
            _ => drop(txn.once.remove(key.as_slice())?),
        }
        txn.expiry.remove((due, key.as_slice()))?;
    }
    Ok(())
}

fn tagged(tag: u8, key: &[u8]) -> Vec<u8> {
    let mut tagged = Vec::with_capacity(key.len().saturating_add(1));
    tagged.push(tag);
    tagged.extend_from_slice(key);
    tagged
}
