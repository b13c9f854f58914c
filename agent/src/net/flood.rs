//! When a log is looked at without bells: each costs more than the piece of junk that it announces.

use std::time::Duration;

use tokio::time::Instant;

/// How long the last word about junk counts.
pub(crate) const JUNK_COUNTS: Duration = Duration::from_secs(1);
/// So many pieces of junk in that time are a flood: the log is looked at without bells until there are half as many.
const FLOOD: u64 = 100;

/// Whether junk comes so fast that its bells cost more than looking without them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flood {
    /// Since when pieces are counted.
    since: Instant,
    pieces: u64,
    pub(crate) lasts: bool,
}

impl Flood {
    pub(crate) const fn new(now: Instant) -> Self {
        Self { since: now, pieces: 0, lasts: false }
    }

    /// Counts what came, and `junk` tells whether it is of no use. Whether that changed anything.
    pub(crate) fn came(&mut self, pieces: u64, junk: bool, now: Instant) -> bool {
        self.pieces = self.pieces.saturating_add(pieces);
        let before = self.lasts;
        if !before {
            self.lasts = junk && self.pieces >= FLOOD;
        }
        if now.duration_since(self.since) >= JUNK_COUNTS {
            if before {
                self.lasts = junk && self.pieces >= FLOOD / 2;
            }
            (self.since, self.pieces) = (now, 0);
        }
        self.lasts != before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// E13: a flood is looked at without bells; few pieces, or honest ones, are not.
    #[test]
    fn e13_bells_are_left_alone_while_junk_comes_fast_and_heard_again_behind_it() {
        let begun = Instant::now();
        let at = |ms: u64| begun + Duration::from_millis(ms);
        let mut flood = Flood::new(begun);
        assert!(!flood.came(500, false, at(100)), "honest messages, however many");
        assert!(!flood.came(0, false, at(1_000)));
        assert!(!flood.came(FLOOD - 1, true, at(1_900)) && !flood.came(0, true, at(2_000)), "a little junk");
        assert!(flood.came(FLOOD, true, at(2_100)) && flood.lasts);
        assert!(!flood.came(FLOOD / 2, true, at(3_000)) && !flood.came(FLOOD / 2, true, at(4_000)));
        assert!(flood.lasts, "it goes on at half that");
        assert!(flood.came(0, true, at(5_000)) && !flood.lasts, "it is over");
        assert!(flood.came(FLOOD, true, at(5_100)) && flood.came(FLOOD, false, at(6_100)));
        assert!(!flood.lasts, "what comes now is no junk");
    }
}
