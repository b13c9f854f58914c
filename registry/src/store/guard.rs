//! Panics of redb over a damaged file.
//!
//! redb looks at every page after an end that was not in order, and trusts a file that was closed in order: over one whose
//! bytes were changed since it may panic. While the store is opened that is an error like any other damage.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use redb::{Builder, Database, DatabaseError};

use crate::error::StoreError;

thread_local! {
    static IS_WATCHED: Cell<bool> = const { Cell::new(false) };
}

/// Opens a database and makes it ready. A panic means another attempt, with a look at every page; a second one is damage.
pub(super) fn opened<T>(
    builder: &mut Builder,
    database: impl Fn(&Builder) -> Result<Database, DatabaseError>,
    ready: impl Fn(Database) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    if let Some(opened) = watched(|| ready(database(builder)?)) {
        return opened;
    }
    tracing::warn!("the database could not be opened as it is: every page is looked at");
    builder.set_check_integrity_on_open(true);
    watched(|| ready(database(builder)?)).unwrap_or_else(|| {
        let why = redb::Error::Corrupted("its pages make no sense".into());
        Err(StoreError::Damaged(Box::new(why)))
    })
}

/// Does some work; `None` if it panicked, which is not told.
fn watched<T>(work: impl FnOnce() -> T) -> Option<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let others = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            // A thread that ends has no such mark any more.
            if IS_WATCHED.try_with(Cell::get).unwrap_or(false) {
                tracing::debug!(what = %info, "the work with the store was given up");
            } else {
                others(info);
            }
        }));
    });
    IS_WATCHED.set(true);
    let done = panic::catch_unwind(AssertUnwindSafe(work));
    IS_WATCHED.set(false);
    done.ok()
}
