//! Random numbers of the network half: tokens nobody can guess, and jitter.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rand_core::{OsRng, RngCore};

/// 26 characters that nobody can guess, safe in a subject.
pub(crate) fn token() -> String {
    let mut bytes = [0; 16];
    OsRng.fill_bytes(&mut bytes);
    data_encoding::BASE32_NOPAD.encode(&bytes).to_ascii_lowercase()
}

/// The time, give or take a quarter.
pub(crate) fn jittered(time: Duration) -> Duration {
    let quarter = time / 4;
    time - quarter + quarter.saturating_mul(OsRng.next_u32() % 1024) / 512
}

/// A number that is larger each time.
pub(crate) fn generation() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_stays_near() {
        for _ in 0..1000 {
            let time = jittered(Duration::from_millis(1000)).as_millis();
            assert!((750..=1250).contains(&time), "{time}");
        }
    }
}
