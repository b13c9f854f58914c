//! A key in a page of its own that is kept out of the swap.
//!
//! Locking goes by pages, and unlocking a page unlocks all that lies in it: so each such key has a page alone. That suits
//! the few keys that live long; the many of a store would use up the memory that a user may lock (often 8 MiB).

use std::sync::Once;

use region::LockGuard;
use zeroize::Zeroize as _;

use crate::Key;

/// The page size of most machines. Where pages are larger two keys may share one, and the second to be dropped is
/// unlocked with the first.
#[repr(align(4096))]
struct Page([u8; Key::LEN]);

/// A key in locked memory, or in plain memory where the system refuses.
pub(crate) struct Locked {
    // In this order: what is given back must not be locked any more.
    _guard: Option<LockGuard>,
    page: Box<Page>,
}

impl Locked {
    pub(crate) fn new(bytes: &[u8; Key::LEN]) -> Self {
        let mut page = Box::new(Page([0; Key::LEN]));
        let guard = region::lock(page.0.as_ptr(), size_of::<Page>());
        page.0.copy_from_slice(bytes);
        if let Err(error) = &guard {
            static TOLD: Once = Once::new();
            TOLD.call_once(|| tracing::debug!(%error, "keys may be swapped: the system locks no memory"));
        }
        Self { _guard: guard.ok(), page }
    }

    pub(crate) fn expose(&self) -> &[u8; Key::LEN] {
        &self.page.0
    }

    #[cfg(test)]
    pub(crate) const fn is_locked(&self) -> bool {
        self._guard.is_some()
    }
}

impl Clone for Locked {
    fn clone(&self) -> Self {
        Self::new(self.expose())
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        self.page.0.zeroize();
    }
}
