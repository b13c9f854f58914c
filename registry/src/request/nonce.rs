//! Nonces of requests that change nothing, remembered in memory.
//!
//! A request that changes something keeps its nonce in the store, in the transaction of its change
//! (`store/once.rs`), so that it can never be replayed, not even after a restart. Reading must not cost a disk
//! write: a restart forgets these nonces, and a replayed read tells nothing that the first one did not.

use std::collections::{HashSet, VecDeque};

use cipher_broker::time::Timestamp;

use crate::store::once::NonceKey;

/// Most nonces remembered; the oldest go first. About 16 MB when full.
const CAPACITY: usize = 100_000;

/// Nonces seen lately, oldest first.
#[derive(Debug, Default)]
pub(crate) struct RecentNonces {
    seen: HashSet<NonceKey>,
    order: VecDeque<(Timestamp, NonceKey)>,
}

impl RecentNonces {
    /// Notes a nonce until `expires`. `false`: it was there already.
    pub(crate) fn note(&mut self, key: NonceKey, expires: Timestamp, now: Timestamp) -> bool {
        while let Some((due, _)) = self.order.front() {
            if *due > now && self.order.len() < CAPACITY {
                break;
            }
            if let Some((_, old)) = self.order.pop_front() {
                self.seen.remove(&old);
            }
        }
        let fresh = self.seen.insert(key);
        if fresh {
            self.order.push_back((expires, key));
        }
        fresh
    }

    /// Forgets a nonce: nothing came of its request.
    pub(crate) fn forget(&mut self, key: &NonceKey) {
        self.seen.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn a_nonce_counts_once_until_it_expires() {
        let mut nonces = RecentNonces::default();
        assert!(nonces.note([1; 64], at(10), at(0)));
        assert!(!nonces.note([1; 64], at(10), at(9)));
        assert!(nonces.note([2; 64], at(19), at(9)));
        assert!(nonces.note([1; 64], at(20), at(10)));
    }

    #[test]
    fn memory_is_bounded() {
        let mut nonces = RecentNonces::default();
        for n in 0..(CAPACITY as u64 + 10) {
            let mut key = [0; 64];
            key[..8].copy_from_slice(&n.to_be_bytes());
            nonces.note(key, at(u64::MAX), at(0));
        }
        assert_eq!(nonces.order.len(), CAPACITY);
        assert_eq!(nonces.seen.len(), CAPACITY);
    }
}
