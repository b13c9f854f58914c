//! How a log is known again: a mark beside each cursor, and what it means when the log does not show it.
//!
//! ```text
//! Follow { after, mark } ──► the reader reads from `after` on ──► the entry is there as it was: reading goes on
//!                                    │ it is not
//!                                    ▼
//!                            Displaced { another, stream } ──► went_back()? ──no──► Follow again, without a mark
//!                                                                    │ yes
//!                                                                    └──► a new era: Follow from the beginning
//! ```
//! Reading the entry at the cursor once more costs no round trip: it is the first of the page that is read anyway.
//! Nothing is sent into a log before it was read to its end once on this connection, so a log that went back is
//! noticed before anything is said on top of it.

use std::time::Duration;

use cipher_api::{Notice, Result};
use cipher_broker::id::GroupId;
use cipher_broker::limit;
use cipher_broker::subject::Source;
use cipher_broker::time::Timestamp;

use crate::input::{Displaced, StreamState};
use crate::machine::Core;
use crate::state::{BackRow, IncidentRow, Mark};

/// How much younger than the retention an entry must be to be missed. Clocks and deletions are not exact.
const LEEWAY: Duration = Duration::from_secs(2 * 24 * 3600);

/// What is noticed within this time is one incident: it is told once.
const INCIDENT: Duration = Duration::from_secs(600);

/// R-LOG-01: whether a log that does not show its mark behind `after` has gone back. It has when another entry lies
/// there, when its stream ends before, was made after the marked entry was stored, or lost an entry that is too
/// young to have been removed by age and was not let go by an operator who made room. Else reading goes on.
fn went_back(mark: &Mark, after: u64, another: bool, stream: Option<&StreamState>, now: Timestamp) -> bool {
    let last = stream.map(|stream| stream.last);
    let made = stream.and_then(|stream| stream.created);
    let kept = stream.and_then(|stream| stream.max_age).unwrap_or(limit::RETENTION);
    let young = kept.is_zero() || mark.at.plus(kept.saturating_sub(LEEWAY)) > now;
    let kept_on = let_go(mark, stream).is_none();
    another
        || last.is_some_and(|last| last < after)
        || made.is_some_and(|made| made > mark.at)
        || (young && kept_on)
}

/// Until when an operator let go of messages, if the marked entry is among them.
fn let_go(mark: &Mark, stream: Option<&StreamState>) -> Option<Timestamp> {
    stream.and_then(|stream| stream.let_go).filter(|until| mark.at <= *until)
}

impl Core {
    /// A log does not show what was read last of it. The reader waits to be told how to go on.
    pub(super) fn displaced(&mut self, displaced: &Displaced) -> Result<()> {
        let Displaced { source, after, another, stream, .. } = displaced;
        let (mark, known) = (self.state.mark_of(source), self.state.after(source));
        let back = known == Some(*after)
            && mark.is_some_and(|mark| went_back(&mark, *after, *another, stream.as_ref(), self.run.now));
        if back {
            tracing::warn!(source = ?source, after, "a log went back");
            match source {
                Source::Group(group) => self.log_went_back(*group),
                Source::Inbox(_) => {
                    // What it said is handled; what is said again is known again by what it is.
                    let meta = self.state.meta_mut();
                    (meta.inbox_cursor, meta.inbox_mark) = (0, None);
                    self.incident(|_| {});
                    if !std::mem::replace(&mut self.run.delivery.reposted, true) {
                        // Others' inboxes are as likely to have lost what was in them.
                        self.repost(None)?;
                    }
                }
                _ => {}
            }
        }
        if let (false, Source::Group(group)) = (back, source) {
            self.run.delivery.gone.insert(*group);
            if let Some(until) = mark.and_then(|mark| let_go(&mark, stream.as_ref())) {
                self.room_was_made(until);
            }
        }
        if let Some(after) = self.state.after(source) {
            self.begin_reading(*source, after, None);
        }
        Ok(())
    }

    /// Told once a connection: who was away does not get what went, and the broker's word for it is all there is.
    fn room_was_made(&mut self, until: Timestamp) {
        if std::mem::replace(&mut self.run.delivery.room_told, true) {
            return;
        }
        self.warn(Notice::RoomMade { until });
    }

    /// Notes what the broker lost, and tells it once per incident.
    pub(crate) fn incident(&mut self, note: impl FnOnce(&mut IncidentRow)) {
        let now = self.run.now;
        let known = self.state.meta.incident;
        let same = known.is_some_and(|known| known.at.plus(INCIDENT) > now && known.at <= now);
        let mut incident =
            known.filter(|_| same).unwrap_or(IncidentRow { at: now, ..IncidentRow::default() });
        note(&mut incident);
        self.state.meta_mut().incident = Some(incident);
        if !same {
            self.warn(Notice::LogLost);
        }
    }

    /// The log of a group is not the one that was read: a new era begins.
    pub(super) fn log_went_back(&mut self, group: GroupId) {
        let Some(row) = self.state.groups.get_mut(&group) else { return };
        row.era = row.era.saturating_add(1);
        (row.mark, row.unseen) = (None, None);
        row.back = Some(BackRow::default());
        self.forget_places(group);
        self.run.delivery.went_back(&group);
        self.run.group.went_back(&group);
        self.incident(|incident| incident.conversations = incident.conversations.saturating_add(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    #[test]
    fn r_log_01_a_log_went_back_unless_age_took_the_last_entry_that_was_read() {
        let stored = Timestamp::from_millis(1_700_000_000_000);
        let mark = Mark::of(stored, b"entry");
        let stream = |last, created: Timestamp| StreamState {
            last,
            created: Some(created),
            max_age: None,
            let_go: None,
        };
        let old = stream(9, stored.minus(DAY));
        let (soon, late) = (stored.plus(DAY), stored.plus(limit::RETENTION).plus(DAY));
        let case = |another, stream: Option<&StreamState>, now| went_back(&mark, 7, another, stream, now);
        assert!(case(true, None, soon), "another entry lies there");
        assert!(case(false, Some(&stream(6, stored.minus(DAY))), late), "the stream ends before");
        assert!(
            case(false, Some(&stream(9, stored.plus(DAY))), late),
            "the stream was made anew and has grown"
        );
        assert!(case(false, Some(&old), soon), "it was emptied");
        assert!(!case(false, Some(&old), late), "age took it");
        assert!(!case(false, None, late), "nobody may say where the stream stands, and age explains it");
        let short = StreamState { max_age: Some(3 * DAY), ..old };
        assert!(!case(false, Some(&short), stored.plus(2 * DAY)), "the operator keeps less than we expect");
        let room = |until| StreamState { let_go: Some(until), ..old };
        assert!(!case(false, Some(&room(stored)), soon), "an operator made room");
        assert!(case(false, Some(&room(stored.minus(DAY))), soon), "what was stored later was not let go");
        assert!(case(true, Some(&room(stored)), soon), "another entry at its place is no room that was made");
        assert!(
            case(false, Some(&StreamState { last: 6, ..room(stored) }), soon),
            "room gives no sequence again"
        );
        let for_ever = StreamState { max_age: Some(Duration::ZERO), ..old };
        assert!(case(false, Some(&for_ever), late), "what is kept for ever has not gone by age");
    }

    #[test]
    fn a_mark_knows_its_entry_by_time_size_and_beginning() {
        let at = Timestamp::from_millis(5);
        let long = vec![7; 9_000];
        let mark = Mark::of(at, &long);
        assert_eq!(mark, Mark::of(at, &long));
        assert_ne!(mark, Mark::of(Timestamp::from_millis(6), &long));
        assert_ne!(mark, Mark::of(at, &long[..8_999]));
        let mut other = long;
        other[3] = 8;
        assert_ne!(mark, Mark::of(at, &other));
    }
}
