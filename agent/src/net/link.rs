//! Whether the broker can be reached: what everything that waits for it looks at.

use std::sync::atomic::{AtomicU64, Ordering};

use cipher_connection::Trouble;

/// How the connection stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reach {
    /// It was not reached yet, or is lost, and not every server has been tried since.
    Pending,
    /// Connected, for the n-th time.
    Up(u64),
    /// Not connected; attempts go on.
    Down(Trouble),
}

impl Reach {
    pub(crate) const fn is_up(&self) -> bool {
        matches!(self, Self::Up(_))
    }
}

/// For [`Reach::Up`]: a number that is larger each time.
pub(crate) fn generation() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}
