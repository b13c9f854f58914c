//! Whose turn it is to do what any member may do.
//!
//! Members who leave, come back, ask to be let in, lost entries of the log: one commit or message of anybody is enough.
//! All members know the same order, from the group alone. The first does it at once, each next one a step later, in
//! case those before it are away. When two do it at once, the broker's fence lets one of the commits in.

use std::cmp::Reverse;
use std::time::Duration;

use cipher_broker::certificate::Kind;
use cipher_broker::time::Timestamp;

use crate::machine::Core;
use crate::state::live::Live;
use crate::state::roster::Leaf;

/// How much later each next one steps in: longer than a commit takes to come round.
pub(super) const STEP: Duration = Duration::from_millis(700);
/// Behind this many nobody waits longer.
const RANKS: usize = 20;

/// The own place in the order of those who may do it, from 0; `None` for a device that is not among them. `class` gives
/// what counts first, the smallest in front, or `None` for a leaf that takes no part; among equals people come before
/// bots, then those with the higher role, then the lower leaf.
pub(super) fn rank<K: Ord>(live: &Live, class: impl Fn(u32, &Leaf) -> Option<K>) -> Option<usize> {
    let mut order: Vec<_> = live
        .roster
        .iter()
        .filter_map(|(index, leaf)| {
            let role = Reverse(live.data.role_of(&leaf.account));
            Some((class(*index, leaf)?, leaf.kind == Kind::Bot, role, *index))
        })
        .collect();
    order.sort();
    let own = live.mls.own_leaf_index().u32();
    order.iter().position(|(.., index)| *index == own)
}

/// How long the one of a rank waits.
pub(super) fn after(step: Duration, rank: Option<usize>) -> Duration {
    let rank = rank.map_or(RANKS, |rank| rank.min(RANKS));
    step.saturating_mul(u32::try_from(rank).unwrap_or(u32::MAX))
}

impl Core {
    /// Whether a moment is there; else the core is woken then.
    pub(super) fn is_time(&mut self, at: Timestamp) -> bool {
        if self.run.now < at {
            self.run.wake_at(at);
        }
        self.run.now >= at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_next_one_waits_a_step_longer_and_nobody_for_ever() {
        for (rank, steps) in [(Some(0), 0), (Some(1), 1), (Some(20), 20), (Some(4_000), 20), (None, 20)] {
            assert_eq!(after(STEP, rank), STEP * steps, "{rank:?}");
        }
    }
}
