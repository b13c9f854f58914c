//! How far others came with what was said: pure functions, as [`super::timeline`] is for changes of words.
//!
//! A receipt names messages. What of an own message stands follows from the places that these have here.

use cipher_api::view::MessageState;
use cipher_broker::time::Timestamp;

use crate::state::position::era_of;
use crate::state::{Reached, Stretch};

/// Stretches of one account and state that keep their times: beyond that the oldest are put together.
const TIMED: usize = 8;

/// What a receipt says, with the places that the messages it names have here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Claim {
    /// Where the receipt itself lies.
    pub position: u64,
    /// The broker's time of it.
    pub at: Timestamp,
    /// Where this device came into the conversation: what was said before is not judged here.
    pub joined: u64,
    /// The account told nothing of what lies up to here; 0 where it does not say so.
    pub behind: u64,
    pub delivered: Option<u64>,
    pub read: Option<u64>,
}

/// Takes what a receipt says; whether it says anything new. R-RECEIPT-04: what was reached stays so, whatever is claimed later.
pub(super) fn count(reached: &mut Reached, claim: &Claim) -> bool {
    // R-RECEIPT-05: an account reaches nothing of before it came, nor of before this device did, nor what it tells nothing of.
    let behind = reached.since.max(claim.joined).max(claim.behind);
    // R-RECEIPT-03: a receipt counts as far as the log goes, which is where it lies itself.
    let stretch = |to: u64| Stretch { behind, to: to.min(claim.position), at: Some(claim.at) };
    let mut new = false;
    if let Some(read) = claim.read {
        new |= reach(&mut reached.read, stretch(read));
    }
    if let Some(delivered) = claim.delivered {
        new |= reach(&mut reached.delivered, stretch(delivered));
    }
    new
}

/// What one account reached of an own message that stands or stood at these positions, and when it was told.
pub(super) fn of_message(reached: &Reached, places: &[u64]) -> Option<(MessageState, Option<Timestamp>)> {
    let first = |stretches: &[Stretch]| {
        let found = stretches.iter().find(|it| places.iter().any(|place| covers(it, *place)));
        found.map(|stretch| stretch.at)
    };
    // R-RECEIPT-06: what was read was delivered.
    if let Some(at) = first(&reached.read) {
        return Some((MessageState::Read, at));
    }
    first(&reached.delivered).map(|at| (MessageState::Delivered, at))
}

/// A place is reached by what was claimed in the same life of the log: in another one the order may be another.
fn covers(stretch: &Stretch, place: u64) -> bool {
    era_of(stretch.to) == era_of(place) && stretch.behind < place && place <= stretch.to
}

fn reach(stretches: &mut Vec<Stretch>, new: Stretch) -> bool {
    let known = |it: &Stretch| era_of(it.to) == era_of(new.to) && it.behind <= new.behind && it.to >= new.to;
    if new.to <= new.behind || stretches.iter().any(known) {
        return false;
    }
    stretches.push(new);
    while stretches.len() > TIMED && put_together(stretches) {}
    // Of so many lives of a log or memberships the first are forgotten.
    stretches.drain(..stretches.len().saturating_sub(TIMED));
    true
}

/// Makes one of the oldest two that touch each other; whether there were any.
fn put_together(stretches: &mut Vec<Stretch>) -> bool {
    let touch =
        |a: &Stretch, b: &Stretch| era_of(a.to) == era_of(b.to) && a.behind <= b.to && b.behind <= a.to;
    for at in 0..stretches.len() {
        let Some((first, later)) = stretches.get_mut(at..).and_then(<[Stretch]>::split_first_mut) else {
            break;
        };
        if let Some(other) = later.iter_mut().find(|other| touch(first, other)) {
            other.behind = other.behind.min(first.behind);
            (other.to, other.at) = (other.to.max(first.to), None);
            stretches.remove(at);
            return true;
        }
    }
    false
}

#[cfg(test)]
#[path = "reached_test.rs"]
mod tests;
