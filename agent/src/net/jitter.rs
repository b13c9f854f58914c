//! Jitter: what many do after the same pause, they do not do at the same moment.

use std::time::Duration;

use rand_core::{OsRng, RngCore};

/// The time, give or take a quarter.
pub(crate) fn jittered(time: Duration) -> Duration {
    let quarter = time / 4;
    time - quarter + quarter.saturating_mul(OsRng.next_u32() % 1024) / 512
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
