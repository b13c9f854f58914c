//! The machine: opens the store, takes batches of inputs, gives effects.

use cipher_broker::time::Timestamp;
use redb::StorageBackend;
use std::path::Path;

use crate::effect::Effect;
use crate::error::Result;
use crate::input::Input;

/// What a core is told at start.
#[derive(Debug, Clone)]
pub struct Options {
    /// Seed of every random choice made outside of MLS itself. Must be unpredictable in production.
    pub seed: [u8; 32],
    /// Most loaded groups kept in memory.
    pub cached_groups: usize,
}

/// One profile's brain.
#[derive(Debug)]
pub struct Core {
    options: Options,
}

impl Core {
    /// Opens or creates the store of a profile. `ErrorKind::Locked` when another process has it open.
    pub fn open(path: &Path, options: Options) -> Result<Self> {
        let _ = path;
        Ok(Self { options })
    }

    /// Opens the store on any redb backend: memory for simulations, a faulty one for crash tests.
    pub fn open_on(backend: impl StorageBackend, options: Options) -> Result<Self> {
        let _ = backend;
        Ok(Self { options })
    }

    /// Repeats the effects that an earlier process left unfinished. Call once after opening.
    pub fn resume(&mut self, now: Timestamp) -> Result<Vec<Effect>> {
        let _ = (now, &self.options);
        Ok(Vec::new())
    }

    /// Handles a batch of inputs in one transaction and gives what is to be done now that it is committed.
    ///
    /// On error nothing of the batch happened, except that commands of the batch were answered with the error in
    /// the returned effects where that was possible; the caller re-sends `Connected` to start reading again.
    pub fn handle(&mut self, inputs: Vec<Input>, now: Timestamp) -> Result<Vec<Effect>> {
        let _ = (inputs, now);
        Ok(Vec::new())
    }
}
