use super::*;
use crate::state::position::{FIRST_ERA, of};

fn place(sequence: u64) -> u64 {
    of(FIRST_ERA, sequence)
}

fn later(sequence: u64) -> u64 {
    of(FIRST_ERA + 1, sequence)
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

fn claim(position: u64, delivered: Option<u64>, read: Option<u64>) -> Claim {
    Claim { position, at: at(position & 0xff), joined: place(0), behind: 0, delivered, read }
}

fn states(reached: &Reached, places: &[u64]) -> Vec<Option<MessageState>> {
    places.iter().map(|place| of_message(reached, &[*place]).map(|(state, _)| state)).collect()
}

const D: Option<MessageState> = Some(MessageState::Delivered);
const R: Option<MessageState> = Some(MessageState::Read);

#[test]
fn r_receipt_03_a_receipt_counts_up_to_the_message_it_names_and_as_far_as_the_log_goes() {
    let mut reached = Reached::default();
    assert!(count(&mut reached, &claim(place(9), Some(place(5)), Some(place(3)))));
    let all = [1, 3, 4, 5, 6].map(place);
    assert_eq!(states(&reached, &all), [R, R, D, D, None]);
    // What comes later is not claimed by who could not know of it.
    assert!(count(&mut reached, &claim(place(9), None, Some(place(1_000)))));
    assert_eq!(states(&reached, &[9, 10].map(place)), [R, None]);
    // In another life of the log the same sequences are other messages.
    assert_eq!(states(&reached, &[later(2)]), [None]);
    assert!(count(&mut reached, &claim(later(7), None, Some(later(2)))));
    assert_eq!(states(&reached, &[later(2), later(3), place(10)]), [R, None, None]);
    assert_eq!(of_message(&reached, &[later(3), place(4)]).map(|it| it.0), R, "where it was said first");
}

#[test]
fn r_receipt_04_what_was_reached_stays_so_in_whatever_order_receipts_come() {
    let claims = [
        (8, Some(4), None),
        (9, Some(2), Some(1)),
        (12, Some(10), Some(6)),
        (13, None, Some(2)),
        (14, Some(3), None),
    ];
    let claims = claims
        .map(|(at, d, r): (u64, Option<u64>, Option<u64>)| claim(place(at), d.map(place), r.map(place)));
    let all: Vec<u64> = (1..=12).map(place).collect();
    let mut in_order = Reached::default();
    let mut before = states(&in_order, &all);
    for claim in &claims {
        count(&mut in_order, claim);
        let now = states(&in_order, &all);
        let rank = |state: &Option<MessageState>| [None, D, R].iter().position(|known| known == state);
        assert!(before.iter().zip(&now).all(|(before, now)| rank(before) <= rank(now)), "{before:?} {now:?}");
        before = now;
    }
    let mut backwards = Reached::default();
    for claim in claims.iter().rev() {
        count(&mut backwards, claim);
    }
    assert_eq!(states(&backwards, &all), before);
    assert!(!count(&mut backwards, &claims[2]), "it says nothing new");
}

#[test]
fn r_receipt_05_an_account_reaches_nothing_of_before_it_came() {
    let mut reached = Reached { since: place(5), ..Reached::default() };
    count(&mut reached, &claim(place(9), Some(place(8)), Some(place(6))));
    assert_eq!(states(&reached, &[4, 5, 6, 7].map(place)), [None, None, R, D]);
    // It went and came back: what it reached before stays, what was said meanwhile is not its.
    reached.since = place(20);
    count(&mut reached, &claim(place(30), None, Some(place(25))));
    assert_eq!(states(&reached, &[6, 8, 9, 20, 21, 25].map(place)), [R, D, None, None, R, R]);
    // The same of this device: what was said before it came is not judged.
    let mut late = Reached::default();
    let claim = Claim { joined: place(7), ..claim(place(9), Some(place(8)), None) };
    count(&mut late, &claim);
    assert_eq!(states(&late, &[7, 8].map(place)), [None, D]);
}

#[test]
fn r_receipt_06_what_was_read_was_delivered() {
    let mut reached = Reached::default();
    count(&mut reached, &claim(place(9), None, Some(place(4))));
    assert_eq!(states(&reached, &[4].map(place)), [R]);
    assert_eq!(of_message(&reached, &[place(4)]), Some((MessageState::Read, Some(at(9)))));
}

#[test]
fn many_receipts_are_put_together_and_lose_their_times_and_nothing_else() {
    let mut reached = Reached::default();
    for n in 1..=200 {
        count(&mut reached, &claim(place(n + 1), Some(place(n)), None));
    }
    assert_eq!(reached.delivered.len(), TIMED);
    assert_eq!(of_message(&reached, &[place(3)]), Some((MessageState::Delivered, None)));
    assert_eq!(of_message(&reached, &[place(200)]), Some((MessageState::Delivered, Some(at(201)))));
    assert!((1..=200).all(|n| of_message(&reached, &[place(n)]).is_some()));
}

/// R-RECEIPT-05: what an account tells nothing of it did not reach, whenever it says that it read what follows.
#[test]
fn r_receipt_05_what_an_account_tells_nothing_of_is_not_reached() {
    let mut reached = Reached::default();
    assert!(count(&mut reached, &claim(place(3), None, Some(place(2)))));
    let again = Claim { behind: place(5), ..claim(place(9), Some(place(8)), Some(place(7))) };
    assert!(count(&mut reached, &again));
    let state = |at: u64| of_message(&reached, &[place(at)]).map(|found| found.0);
    let (read, delivered) = (Some(MessageState::Read), Some(MessageState::Delivered));
    let states = [1, 2, 3, 4, 5, 6, 7, 8, 9].map(state);
    assert_eq!(states, [read, read, None, None, None, read, read, delivered, None]);
    // It is told again of the same, and of nothing: nothing of it is new.
    assert!(!count(&mut reached, &again));
    assert!(!count(&mut reached, &Claim { behind: place(8), ..again }));
}
