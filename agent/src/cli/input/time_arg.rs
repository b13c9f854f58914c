//! Points in time as people write them: `2h`, `today`, `yesterday 14:00`, `2026-08-01`, `2026-08-01T12:30:00Z`.

use std::str::FromStr;
use std::time::Duration;

use cipher_broker::time::Timestamp;
use jiff::civil::{DateTime, Time};
use jiff::{Span, Timestamp as Instant};

use crate::cli::zone::Zone;

/// A point in time, as it was typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// So far from now.
    Span(Duration),
    /// With its offset from universal time.
    At(Timestamp),
    /// By the person's clock.
    Here(DateTime),
    /// So many days from today, by the person's clock.
    Day(i64, Time),
}

/// From when on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Since(Moment);

/// Why a text is not a point in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a time is like 90s, 30m, 2h, 7d, today, yesterday 14:00, 2026-08-01, 2026-08-01 12:30 or 2026-08-01T12:30:00Z"
)]
pub struct InvalidTime;

impl Since {
    /// The point in time, seen from `now`; what names no offset is meant by the clock of `zone`.
    pub fn from(self, now: Timestamp, zone: &Zone) -> Timestamp {
        self.0.seen(now, zone).unwrap_or_else(|span| now.minus(span))
    }
}

/// Until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Until(Moment);

/// Why a text is not a time to come.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a time to come is like 30m, 8h, 7d, tomorrow, tomorrow 09:00, today 18:00, 2026-08-01 or 2026-08-01T12:30:00Z"
)]
pub struct InvalidUntil;

impl Until {
    /// The point in time, seen from `now`; what names no offset is meant by the clock of `zone`.
    pub fn from(self, now: Timestamp, zone: &Zone) -> Timestamp {
        self.0.seen(now, zone).unwrap_or_else(|span| now.plus(span))
    }
}

impl FromStr for Until {
    type Err = InvalidUntil;

    fn from_str(text: &str) -> Result<Self, InvalidUntil> {
        moment(text, &[("today", 0), ("tomorrow", 1)]).map(Self).ok_or(InvalidUntil)
    }
}

impl Moment {
    /// The point in time; of a span the span, which goes forwards or back.
    fn seen(self, now: Timestamp, zone: &Zone) -> Result<Timestamp, Duration> {
        Ok(match self {
            Self::Span(span) => return Err(span),
            Self::At(at) => at,
            Self::Here(here) => zone.moment(here),
            Self::Day(days, time) => {
                let today = zone.here(now).map(DateTime::date).unwrap_or_default();
                zone.moment(today.saturating_add(Span::new().days(days)).to_datetime(time))
            }
        })
    }
}

impl FromStr for Since {
    type Err = InvalidTime;

    fn from_str(text: &str) -> Result<Self, InvalidTime> {
        moment(text, &[("today", 0), ("yesterday", -1)]).map(Self).ok_or(InvalidTime)
    }
}

/// How long something is good: `90s`, `30m`, `12h`, `7d`, `2w`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime(Duration);

/// Why a text is not a length of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a length of time is like 90s, 30m, 12h, 7d or 2w")]
pub struct InvalidLifetime;

impl Lifetime {
    /// As it is.
    pub const fn duration(self) -> Duration {
        self.0
    }

    /// In whole seconds.
    pub const fn as_secs(self) -> u64 {
        self.0.as_secs()
    }
}

impl FromStr for Lifetime {
    type Err = InvalidLifetime;

    fn from_str(text: &str) -> Result<Self, InvalidLifetime> {
        ago(text).filter(|time| !time.is_zero()).map(Self).ok_or(InvalidLifetime)
    }
}

fn ago(text: &str) -> Option<Duration> {
    let seconds: u64 = match text.chars().last()? {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return None,
    };
    let count = text.get(..text.len().checked_sub(1)?)?;
    let count: u64 =
        (count.len() <= 9 && count.bytes().all(|b| b.is_ascii_digit())).then(|| count.parse().ok())??;
    count.checked_mul(seconds).map(Duration::from_secs)
}

/// A span, a day by its name with a time of day or without, or a date: RFC 3339, whose time of day and offset may be
/// missing.
fn moment(text: &str, days: &[(&str, i64)]) -> Option<Moment> {
    if let Some(span) = ago(text) {
        return Some(Moment::Span(span));
    }
    let (word, time) = text.split_once(' ').map_or((text, None), |(word, time)| (word, Some(time)));
    if let Some((_, days)) = days.iter().find(|(name, _)| word.eq_ignore_ascii_case(name)) {
        let time = time.map_or(Some(Time::midnight()), |time| time.trim().parse().ok())?;
        return Some(Moment::Day(*days, time));
    }
    // What names a zone as well is not what people type, and could contradict itself.
    if text.contains('[') {
        return None;
    }
    if let Ok(at) = text.parse::<Instant>() {
        return Some(Moment::At(Timestamp::from_millis(u64::try_from(at.as_millisecond()).ok()?)));
    }
    text.parse().ok().filter(|here: &DateTime| here.year() >= 1970).map(Moment::Here)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::zone::BERLIN;

    #[test]
    fn reads_spans_and_points_in_time() {
        let now = Timestamp::from_millis(1_709_210_096_789);
        for (text, utc, berlin) in [
            ("90s", "2024-02-29T12:33:26.789Z", None),
            ("2h", "2024-02-29T10:34:56.789Z", None),
            ("1w", "2024-02-22T12:34:56.789Z", None),
            ("2024-02-29", "2024-02-29T00:00:00.000Z", Some("2024-02-28T23:00:00.000Z")),
            ("2024-02-29T12:34", "2024-02-29T12:34:00.000Z", Some("2024-02-29T11:34:00.000Z")),
            ("2024-02-29 12:34:56.7", "2024-02-29T12:34:56.700Z", Some("2024-02-29T11:34:56.700Z")),
            ("2024-08-01", "2024-08-01T00:00:00.000Z", Some("2024-07-31T22:00:00.000Z")),
            ("2024-02-29T12:34:56.789123Z", "2024-02-29T12:34:56.789Z", None),
            ("2024-02-29T01:00:00+02:00", "2024-02-28T23:00:00.000Z", None),
            ("2024-02-29T23:00:00-02:30", "2024-03-01T01:30:00.000Z", None),
            ("today", "2024-02-29T00:00:00.000Z", Some("2024-02-28T23:00:00.000Z")),
            ("Yesterday", "2024-02-28T00:00:00.000Z", Some("2024-02-27T23:00:00.000Z")),
            ("yesterday 14:00", "2024-02-28T14:00:00.000Z", Some("2024-02-28T13:00:00.000Z")),
            ("today 08:15:30", "2024-02-29T08:15:30.000Z", Some("2024-02-29T07:15:30.000Z")),
        ] {
            let since = text.parse::<Since>().expect(text);
            assert_eq!(since.from(now, &Zone::utc()).to_string(), utc, "{text}");
            assert_eq!(since.from(now, &Zone::by(BERLIN)).to_string(), berlin.unwrap_or(utc), "{text}");
        }
        assert_eq!("1000000w".parse::<Since>().expect("long").from(now, &Zone::utc()), Timestamp::default());
    }

    #[test]
    fn a_day_is_one_of_the_person_also_when_it_has_23_or_25_hours() {
        // Half past midnight in Berlin is still the day before in universal time.
        for (now, text, moment) in [
            ("2026-08-01T22:30:00Z", "today", "2026-08-01T22:00:00.000Z"),
            ("2026-03-29T20:00:00Z", "today", "2026-03-28T23:00:00.000Z"),
            ("2026-03-29T20:00:00Z", "today 02:30", "2026-03-29T01:30:00.000Z"),
            ("2026-03-30T12:00:00Z", "yesterday 12:00", "2026-03-29T10:00:00.000Z"),
            ("2026-10-25T20:00:00Z", "today 02:30", "2026-10-25T00:30:00.000Z"),
            ("2026-10-26T12:00:00Z", "yesterday", "2026-10-24T22:00:00.000Z"),
        ] {
            let now = Timestamp::parse(now).expect(now);
            let since = text.parse::<Since>().expect(text);
            assert_eq!(since.from(now, &Zone::by(BERLIN)).to_string(), moment, "{text}");
        }
    }

    #[test]
    fn a_time_to_come_is_read_forwards() {
        let now = Timestamp::from_millis(1_709_210_096_789);
        for (text, berlin) in [
            ("8h", "2024-02-29T20:34:56.789Z"),
            ("tomorrow", "2024-02-29T23:00:00.000Z"),
            ("tomorrow 09:00", "2024-03-01T08:00:00.000Z"),
            ("today 18:00", "2024-02-29T17:00:00.000Z"),
            ("2024-07-01", "2024-06-30T22:00:00.000Z"),
        ] {
            let until = text.parse::<Until>().expect(text).from(now, &Zone::by(BERLIN));
            assert_eq!(until.to_string(), berlin, "{text}");
        }
        for text in ["yesterday", "soon", "", "-1h"] {
            assert!(text.parse::<Until>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_lifetime_is_a_length_of_time_and_not_nothing() {
        assert_eq!("7d".parse::<Lifetime>().map(Lifetime::as_secs), Ok(604_800));
        assert_eq!("90s".parse::<Lifetime>().map(Lifetime::as_secs), Ok(90));
        for text in ["0s", "0d", "", "7", "-1d", "2026-08-01", "99999999999999999999s"] {
            assert_eq!(text.parse::<Lifetime>(), Err(InvalidLifetime), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_time() {
        for text in [
            "",
            "h",
            "2",
            "-2h",
            "2x",
            "2023-02-29",
            "2024-13-01",
            "1969-12-31",
            "2024-01-01T24:00",
            "2024-01-01T1",
            "2024-1-1T00:00:00+1",
            "now",
            "tomorrow",
            "yesterday 25:00",
            "yesterday noon",
            "todayish",
            "2024-02-29T12:30[Europe/Berlin]",
            "-002024-02-29",
            "99999999999s",
            "٢h",
        ] {
            assert!(text.parse::<Since>().is_err(), "{text}");
        }
    }
}
