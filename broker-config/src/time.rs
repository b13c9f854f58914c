//! Points in time as the wire and the core know them.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z. There is no `now` here: whoever needs the time is told it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    /// From milliseconds since the Unix epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since the Unix epoch.
    pub const fn as_secs(self) -> u64 {
        self.0 / 1000
    }

    /// This much later; stays at the largest value instead of overflowing.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX)))
    }

    /// This much earlier; stays at zero instead of underflowing.
    #[must_use]
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(by.as_millis()).unwrap_or(u64::MAX)))
    }

    /// From RFC 3339 in UTC (`2026-11-28T23:09:30.123456789Z`), as a broker writes the time of a stored message; what
    /// is finer than a millisecond is cut off. `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let (date, clock) = text.strip_suffix('Z')?.split_once('T')?;
        let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
        let numbers = |text: &str, separator| {
            let mut parts = text.split(separator).map(|part| {
                let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
                digits.then(|| part.parse::<u64>().ok()).flatten()
            });
            let three = [parts.next()??, parts.next()??, parts.next()??];
            parts.next().is_none().then_some(three)
        };
        let ([year, month, day], [hour, minute, second]) = (numbers(date, '-')?, numbers(clock, ':')?);
        let fits = (1970..=9999).contains(&year)
            && (1..=12).contains(&month)
            && (1..=31).contains(&day)
            && hour < 24
            && minute < 60
            && second < 61;
        if !fits || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let ms: u64 = fraction.chars().chain("000".chars()).take(3).collect::<String>().parse().ok()?;
        let secs = days(year, month, day).saturating_mul(86_400);
        let secs = secs.saturating_add(hour.saturating_mul(3600)).saturating_add(minute.saturating_mul(60));
        Some(Self(secs.saturating_add(second).saturating_mul(1000).saturating_add(ms)))
    }

    /// How much later this is than `earlier`; zero if it is not.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// 9999-12-31T23:59:59.999Z.
const LAST_SHOWN: u64 = 253_402_300_799_999;

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with milliseconds, as `--json` prints it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // RFC 3339 has four digits for the year; a peer may say anything.
        let ms = self.0.min(LAST_SHOWN);
        let (days, millis) = (ms / 86_400_000, ms % 86_400_000);
        let (year, month, day) = civil(days);
        let (secs, ms) = (millis / 1000, millis % 1000);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{ms:03}Z",
            secs / 3600,
            secs / 60 % 60,
            secs % 60
        )
    }
}

/// Days since the epoch as a proleptic Gregorian date, for years 1970 and later.
fn civil(days: u64) -> (u64, u64, u64) {
    // Shifted so that a year starts in March: the leap day is then the last day of its year. A u64 of
    // milliseconds holds under 2^38 days, so none of this can overflow.
    let shifted = days.saturating_add(719_468);
    let era = shifted / 146_097;
    let doe = shifted % 146_097;
    let yoe = doe.saturating_sub(doe / 1460).saturating_add(doe / 36_524).saturating_sub(doe / 146_096) / 365;
    let start = yoe.saturating_mul(365).saturating_add(yoe / 4).saturating_sub(yoe / 100);
    let doy = doe.saturating_sub(start);
    let mp = doy.saturating_mul(5).saturating_add(2) / 153;
    let month_start = mp.saturating_mul(153).saturating_add(2) / 5;
    let day = doy.saturating_sub(month_start).saturating_add(1);
    let month = if mp < 10 { mp.saturating_add(3) } else { mp.saturating_sub(9) };
    let year = yoe.saturating_add(era.saturating_mul(400)).saturating_add(u64::from(month <= 2));
    (year, month, day)
}

/// The other way round, for a date that [`Timestamp::parse`] found within its bounds.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = year.saturating_sub(u64::from(month <= 2));
    let (era, yoe) = (year / 400, year % 400);
    let mp = month.saturating_add(9) % 12;
    let doy = mp.saturating_mul(153).saturating_add(2) / 5;
    let doy = doy.saturating_add(day).saturating_sub(1);
    let doe = yoe.saturating_mul(365).saturating_add(yoe / 4).saturating_sub(yoe / 100).saturating_add(doy);
    era.saturating_mul(146_097).saturating_add(doe).saturating_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_rfc_3339_in_utc() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_709_210_096_789, "2024-02-29T12:34:56.789Z"),
            (1_767_225_599_999, "2025-12-31T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(Timestamp::from_millis(millis).to_string(), text);
        }
    }

    #[test]
    fn reads_what_a_broker_writes_and_nothing_else() {
        for (text, millis) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T00:00:00.000Z", 951_782_400_000),
            ("2024-02-29T12:34:56.789123456Z", 1_709_210_096_789),
            ("2025-12-31T23:59:59.9Z", 1_767_225_599_900),
            ("2100-03-01T00:00:00.000Z", 4_107_542_400_000),
        ] {
            assert_eq!(Timestamp::parse(text), Some(Timestamp::from_millis(millis)), "{text}");
        }
        for junk in [
            "",
            "2024-02-29",
            "2024-02-29T12:34:56",
            "2024-02-29T12:34:56+01:00",
            "2024-13-01T00:00:00Z",
            "2024-02-29T24:00:00Z",
            "2024-02-29T12:34Z",
            "2024-02-29T12:34:56.x9Z",
            "+024-02-29T12:34:56Z",
            "1969-12-31T23:59:59Z",
            "2024-02-29-01T12:34:56Z",
        ] {
            assert_eq!(Timestamp::parse(junk), None, "{junk}");
        }
    }

    #[test]
    fn never_overflows() {
        let end = Timestamp::from_millis(u64::MAX);
        assert_eq!(end.plus(Duration::MAX), end);
        assert_eq!(Timestamp::default().minus(Duration::MAX), Timestamp::default());
        // F13: what a peer says of the time is still a time to whoever parses it.
        assert_eq!(end.to_string(), "9999-12-31T23:59:59.999Z");
    }
}
