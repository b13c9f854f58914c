//! Looking at everything: what a store lost, whether it is whole, and what it holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use cipher_api::Result;
use cipher_seal::Unlock;

use crate::store::Store;
use crate::store::guard::watched;
use crate::store::open::{FILE, given_up, is_damaged, look_through, opening};
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

/// Has redb look at every page of the store of a profile, then opens every value of it. The error says what is wrong with a store of
/// which no more can be told: it stays as it was, and opens if it did before. `ErrorKind::Locked` when another process has
/// it open.
pub fn examine(
    place: impl Place + 'static,
    unlock: impl FnOnce() -> Result<Unlock>,
    seed: [u8; 32],
) -> Result<Examined> {
    values(place, unlock, seed, |_, _| ())
}

/// The same; hands every value that opens to the caller, with the name of its table: what can be read by who has the keys.
pub fn values(
    place: impl Place + 'static,
    unlock: impl FnOnce() -> Result<Unlock>,
    seed: [u8; 32],
    each: impl FnMut(&'static str, &[u8]),
) -> Result<Examined> {
    let place: Arc<dyn Place> = Arc::new(place);
    if place.length(FILE).is_ok_and(|length| length.is_some_and(|length| length > 0)) {
        let damage = match watched(|| look_through(place.as_ref())) {
            Ok(Ok(())) => None,
            Ok(Err(error)) if is_damaged(&error) => Some(opening(place.as_ref(), error)),
            Ok(Err(error)) => return Err(opening(place.as_ref(), error)),
            Err(panic) => Some(given_up(place.as_ref(), panic)),
        };
        if let Some(damage) = damage {
            salvage(&place, false).map_err(|_| damage)?;
        }
    }
    let store = Store::open(place, unlock, seed)?;
    store.guarded(|| store.read_all(each))
}

impl Store {
    /// Opens every value. Damage is noted and told like any other.
    pub(super) fn read_all(&self, mut each: impl FnMut(&'static str, &[u8])) -> Result<Examined> {
        let mut found = Examined { mended: self.is_mended(), ..Examined::default() };
        for table in table::ALL {
            for row in self.table(*table)?.rows()? {
                match row?.value() {
                    Ok(value) => {
                        each(table.name, &value);
                        found.values = found.values.saturating_add(1);
                    }
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
