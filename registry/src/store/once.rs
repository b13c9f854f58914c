//! What counts once: nonces of requests, and key packages that were ever brought as one-time packages.
//!
//! Each is kept until it would be refused for its age anyway, then forgotten.

use cipher_broker::time::Timestamp;
use redb::ReadableTable;

use crate::caller::NonceKey;
use crate::error::StoreError;
use crate::store::rows::Rows;

/// Rows forgotten per transaction at most: more would make somebody wait.
const SWEEP: usize = 1024;

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

/// Forgets some of what has expired, oldest first.
pub(crate) fn sweep(
    once: &mut Rows<'_, &'static [u8], ()>,
    expiry: &mut Rows<'_, (u64, &'static [u8]), ()>,
    now: Timestamp,
) -> Result<(), StoreError> {
    for _ in 0..SWEEP {
        let Some((due, key)) = expiry.first()?.map(|(row, _)| {
            let (due, key) = row.value();
            (due, key.to_vec())
        }) else {
            break;
        };
        if due >= now.as_millis() {
            break;
        }
        once.remove(key.as_slice())?;
        expiry.remove((due, key.as_slice()))?;
    }
    Ok(())
}

fn tagged(tag: u8, key: &[u8]) -> Vec<u8> {
    let mut tagged = Vec::with_capacity(key.len().saturating_add(1));
    tagged.push(tag);
    tagged.extend_from_slice(key);
    tagged
}
