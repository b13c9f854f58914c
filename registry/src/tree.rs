//! The account log as a tree: heads and proofs. Holds committed entries only: the writer grows it after a commit
//! and before anybody is answered, so no reply shows a head that a power cut could take back.

use std::fmt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cipher_broker::limit;
use cipher_broker::time::Timestamp;
use cipher_broker::transparency::{Inclusion, MerkleLog, SignedHead, TreeHead};
use serde_bytes::ByteBuf;
use tokio::sync::watch;

use crate::error::StoreError;
use crate::key::RegistryKey;
use crate::store::{Store, log};

/// How long a reader waits for the writer, which has committed an entry already, to show it in the tree: it is
/// the next thing that it does.
const CATCH_UP: Duration = Duration::from_secs(5);

/// The tree of what is committed.
pub(crate) struct Tree {
    key: RegistryKey,
    state: Mutex<State>,
    grown: Condvar,
    size: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    log: MerkleLog,
    /// The head shown to everybody, when it was signed, and of which size it is.
    head: Option<(u64, Timestamp, SignedHead)>,
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tree({} entries)", self.state().log.size())
    }
}

impl Tree {
    /// Built from all that the store has committed.
    pub(crate) fn load(store: &Store, key: RegistryKey) -> Result<Self, StoreError> {
        let mut state = State::default();
        log::leaves(&store.view(), |leaf| state.log.push(leaf))?;
        let size = watch::Sender::new(state.log.size());
        Ok(Self { key, state: Mutex::new(state), grown: Condvar::new(), size })
    }

    /// Adds leaves that were committed, in the order of the log.
    pub(crate) fn grow(&self, leaves: &[[u8; 32]]) {
        if leaves.is_empty() {
            return;
        }
        let mut state = self.state();
        for leaf in leaves {
            state.log.push(*leaf);
        }
        self.size.send_replace(state.log.size());
        drop(state);
        self.grown.notify_all();
    }

    /// Tells how large the log is, and whenever it grew.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.size.subscribe()
    }

    /// The latest head: signed again when the log grew or the last one is older than
    /// [`limit::HEAD_REFRESH`].
    pub(crate) fn head(&self, now: Timestamp) -> SignedHead {
        self.state().head(&self.key, now)
    }

    /// Proof that the entry at `index`, which is committed, is in the log. `None`: the writer ended without
    /// showing it.
    pub(crate) fn prove(&self, index: u64, now: Timestamp) -> Option<Inclusion> {
        let state = self.state();
        let short = |state: &mut State| index >= state.log.size();
        let (mut state, waited) =
            self.grown.wait_timeout_while(state, CATCH_UP, short).unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            return None;
        }
        let proof = state.log.prove_inclusion(index)?;
        Some(Inclusion { head: state.head(&self.key, now), index, proof })
    }

    /// Proofs that logs of these sizes are prefixes of the log as it is. `Err`: the first size that is above
    /// the present one, and that one.
    pub(crate) fn prove_prefixes(
        &self,
        sizes: &[u64],
        now: Timestamp,
    ) -> Result<(SignedHead, Vec<ByteBuf>), (u64, u64)> {
        let mut state = self.state();
        let mut proofs = Vec::with_capacity(sizes.len());
        for size in sizes {
            let proof = state.log.prove_consistency(*size).ok_or_else(|| (*size, state.log.size()))?;
            proofs.push(ByteBuf::from(proof));
        }
        Ok((state.head(&self.key, now), proofs))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn head(&mut self, key: &RegistryKey, now: Timestamp) -> SignedHead {
        let size = self.log.size();
        if let Some((of, at, head)) = &self.head
            && *of == size
            && now.since(*at) < limit::HEAD_REFRESH
        {
            return head.clone();
        }
        // Clocks of machines go back; the times of heads of one log do not.
        let at = self.head.as_ref().map_or(now, |(_, at, _)| now.max(*at));
        let head =
            TreeHead { registry_key: key.public(), size, root: self.log.root(), at }.sign(key.signer());
        self.head = Some((size, at, head.clone()));
        head
    }
}
