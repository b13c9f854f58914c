//! Where the registry under test keeps its rows. The suite runs over any answerer: another store brings another file
//! with these functions (`#[path]` in a runner of its own) and changes no test.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use std::path::Path;

pub(crate) use cipher_registry::Answerer;
use cipher_registry::{Store, Terms};
use redb::backends::InMemoryBackend;

use crate::support::registry_key;

/// A new registry.
pub(crate) async fn desk_on(terms: Terms) -> Answerer {
    let store = Store::open(InMemoryBackend::new()).unwrap();
    Answerer::open(store, registry_key(), terms).unwrap()
}

/// A registry that keeps its rows in a folder: what a restart finds.
pub(crate) async fn desk_in(folder: &Path) -> Answerer {
    Answerer::open(Store::open_folder(folder).unwrap(), registry_key(), Terms::default()).unwrap()
}
