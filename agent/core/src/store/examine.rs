//! Looking at everything: what a store lost, and whether it is whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use cipher_api::Result;
use cipher_seal::Unlock;

use crate::store::Store;
use crate::store::guard::watched;
use crate::store::open::{given_up, looked_through, opening};
use crate::store::place::Place;
use crate::store::salvage::salvage;
use crate::store::seal::is_damage;
use crate::store::table;

/// What a look at every value found.
#[derive(Debug, Default)]
pub struct Examined {
    /// Values that open.
    pub values: u64,
    /// Values that do not, by the name of their table.
    pub damaged: BTreeMap<&'static str, u64>,
    /// Whether the file was damaged, and what could be read of it is in a new one now.
    pub mended: bool,
}

/// Opens the store of a profile, opens every value of it, and has redb look at every page. The error says what is wrong with
/// a store of which no more can be told. `ErrorKind::Locked` when another process has it open.
pub fn examine(
    place: impl Place + 'static,
    unlock: impl FnOnce() -> Result<Unlock>,
    seed: [u8; 32],
) -> Result<Examined> {
    let store = Store::open(Box::new(place), unlock, seed)?;
    let mut found = store.guarded(|| store.read_all());
    if store.is_torn() {
        store.guarded(|| store.reopen())?;
        found = store.guarded(|| store.read_all());
    }
    let found = found?;
    store.close();
    let place = store.shared_place();
    let looked = match watched(|| looked_through(place, &Arc::default()).map(drop)) {
        Ok(Ok(())) => return Ok(found),
        Ok(Err(error)) => opening(place.as_ref(), error),
        Err(panic) => given_up(place.as_ref(), panic),
    };
    // redb has found what nobody had come upon, and does not open the file any more.
    salvage(place, true).map_err(|_| looked)?;
    store.guarded(|| store.reopen())?;
    store.guarded(|| store.read_all())
}

impl Store {
    /// Opens every value. Damage is noted and told like any other.
    pub(super) fn read_all(&self) -> Result<Examined> {
        let mut found = Examined { mended: self.is_mended(), ..Examined::default() };
        for table in table::ALL {
            for row in self.table(*table)?.rows()? {
                match row?.value() {
                    Ok(_) => found.values = found.values.saturating_add(1),
                    Err(error) if is_damage(&error) && table.name != table::META.name => {
                        let count: &mut u64 = found.damaged.entry(table.name).or_default();
                        *count = count.saturating_add(1);
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(found)
    }
}
