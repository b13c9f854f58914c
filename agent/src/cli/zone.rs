//! The days and hours of the person at hand: what is shown to people is told in them, what people type is read in them.
//!
//! JSON has UTC, whatever the machine says.

use std::sync::OnceLock;

use cipher_broker::time::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use crate::cli::show::safe_text::safe_text;

/// Where the person is, by the clock. Looked up when a time is told first: most commands tell none.
#[derive(Debug, Clone)]
pub struct Zone(OnceLock<TimeZone>);

impl Zone {
    /// Universal time; a `Z` behind each time says so.
    pub fn utc() -> Self {
        Self(TimeZone::UTC.into())
    }

    /// As `TZ` or else `/etc/localtime` says; universal time when neither names a place that is known here.
    pub const fn of_machine() -> Self {
        Self(OnceLock::new())
    }

    fn rules(&self) -> &TimeZone {
        self.0.get_or_init(|| {
            let zone = TimeZone::system();
            if zone.is_unknown() { TimeZone::UTC } else { zone }
        })
    }

    /// `2026-01-02 15:04` of an RFC 3339 time; what is none is shown as it is.
    pub fn minute(&self, time: &str) -> String {
        match time.parse() {
            Ok(at) => format!("{} {}", self.rules().to_datetime(at).date(), self.hour(at)),
            Err(_) => safe_text(time),
        }
    }

    /// `15:04` of the same.
    pub fn clock(&self, time: &str) -> String {
        time.parse().map_or_else(|_| safe_text(time), |at| self.hour(at))
    }

    /// A sentence of this agent in which words are times, with those of the person's clock.
    pub fn times_in(&self, sentence: &str) -> String {
        sentence.split(' ').map(|word| self.minute(word)).collect::<Vec<_>>().join(" ")
    }

    /// The day on which it was here.
    pub fn day(&self, time: &str) -> Option<Date> {
        time.parse().ok().map(|at: jiff::Timestamp| self.rules().to_datetime(at).date())
    }

    /// What the clock on the wall shows at a moment.
    pub fn here(&self, at: Timestamp) -> Option<DateTime> {
        let millis = i64::try_from(at.as_millis()).ok()?;
        Some(self.rules().to_datetime(jiff::Timestamp::from_millisecond(millis).ok()?))
    }

    /// The moment at which the clock on the wall shows this. Of an hour that comes twice it is the first one; an hour that
    /// is left out is read by the clock as it was before, so that 02:30 becomes 03:30. No time here is before 1970.
    pub fn moment(&self, here: DateTime) -> Timestamp {
        let millis = self.rules().to_timestamp(here).map_or(0, jiff::Timestamp::as_millisecond);
        Timestamp::from_millis(u64::try_from(millis).unwrap_or_default())
    }

    /// Hour and minute; where the clock shows the same twice that day, also which of the two it is.
    fn hour(&self, at: jiff::Timestamp) -> String {
        let here = self.rules().to_datetime(at);
        let clock = here.strftime("%H:%M");
        if *self.rules() == TimeZone::UTC {
            return format!("{clock}Z");
        }
        if self.rules().to_ambiguous_timestamp(here).is_ambiguous() {
            return at.to_zoned_datetime(self.rules().clone()).strftime("%H:%M%:z").to_string();
        }
        clock.to_string()
    }
}

#[cfg(test)]
pub(crate) const BERLIN: &str = "CET-1CEST,M3.5.0,M10.5.0/3";

#[cfg(test)]
impl Zone {
    /// By its rules: no machine has to know its name.
    pub(crate) fn by(rules: &str) -> Self {
        Self(TimeZone::posix(rules).expect("rules of POSIX").into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(rules: &str) -> Zone {
        Zone::by(rules)
    }

    #[test]
    fn a_time_is_shown_as_the_clock_on_the_wall_shows_it() {
        for (rules, time, shown) in [
            ("UTC0", "2026-08-01T14:00:00.000Z", "2026-08-01 14:00"),
            (BERLIN, "2026-08-01T14:00:59.999Z", "2026-08-01 16:00"),
            (BERLIN, "2026-12-31T23:30:00.000Z", "2027-01-01 00:30"),
            ("<+0545>-5:45", "2026-08-01T20:00:00.000Z", "2026-08-02 01:45"),
            ("EST5EDT,M3.2.0,M11.1.0", "2026-01-01T03:00:00.000Z", "2025-12-31 22:00"),
            // The clock goes from 02:00 to 03:00: there is no 02:30 that day.
            (BERLIN, "2026-03-29T00:59:00.000Z", "2026-03-29 01:59"),
            (BERLIN, "2026-03-29T01:00:00.000Z", "2026-03-29 03:00"),
            // It goes from 03:00 back to 02:00: 02:30 comes twice, and each says which it is.
            (BERLIN, "2026-10-25T00:30:00.000Z", "2026-10-25 02:30+02:00"),
            (BERLIN, "2026-10-25T01:30:00.000Z", "2026-10-25 02:30+01:00"),
            (BERLIN, "2026-10-25T02:00:00.000Z", "2026-10-25 03:00"),
            (BERLIN, "1970-01-01T00:00:00.000Z", "1970-01-01 01:00"),
            // What is no time, or later than any calendar has it, is shown as it is.
            (BERLIN, "9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"),
            (BERLIN, "\u{1b}[2J", "\\u{1b}[2J"),
        ] {
            assert_eq!(zone(rules).minute(time), shown, "{rules}");
        }
        assert_eq!(Zone::utc().minute("2026-08-01T14:00:00.000Z"), "2026-08-01 14:00Z");
        assert_eq!(Zone::utc().clock("2026-08-01T14:00:00.000Z"), "14:00Z");
    }

    #[test]
    fn a_day_begins_at_midnight_on_the_wall() {
        let late = "2026-08-01T22:30:00.000Z";
        assert_eq!(zone(BERLIN).day(late).map(|day| day.to_string()).as_deref(), Some("2026-08-02"));
        assert_eq!(Zone::utc().day(late).map(|day| day.to_string()).as_deref(), Some("2026-08-01"));
    }

    #[test]
    fn what_a_person_types_is_read_by_the_clock_on_the_wall() {
        for (rules, here, moment) in [
            (BERLIN, "2026-08-01", "2026-07-31T22:00:00.000Z"),
            (BERLIN, "2026-01-01T12:30", "2026-01-01T11:30:00.000Z"),
            // The hour that is left out, and the first of the two that are alike.
            (BERLIN, "2026-03-29T02:30", "2026-03-29T01:30:00.000Z"),
            (BERLIN, "2026-10-25T02:30", "2026-10-25T00:30:00.000Z"),
            ("<-03>3", "2026-08-01T21:00", "2026-08-02T00:00:00.000Z"),
        ] {
            let typed = zone(rules).moment(here.parse().expect(here));
            assert_eq!(typed.to_string(), moment, "{rules} {here}");
        }
        assert_eq!(zone(BERLIN).moment("1969-12-31".parse().expect("a day")), Timestamp::default());
    }
}
