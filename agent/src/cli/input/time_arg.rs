//! Points in time as people write them: `2h`, `2026-08-01`, `2026-08-01T12:30:00Z`.

use std::str::FromStr;
use std::time::Duration;

use cipher_broker::time::Timestamp;

/// From when on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// So long before now.
    Ago(Duration),
    /// A point in time.
    At(Timestamp),
}

/// Why a text is not a point in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a time is like 90s, 30m, 2h, 7d, 2026-08-01 or 2026-08-01T12:30:00Z")]
pub struct InvalidTime;

impl Since {
    /// The point in time, seen from `now`.
    pub fn from(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Ago(time) => now.minus(time),
            Self::At(time) => time,
        }
    }
}

impl FromStr for Since {
    type Err = InvalidTime;

    fn from_str(text: &str) -> Result<Self, InvalidTime> {
        ago(text).map(Self::Ago).or_else(|| at(text).map(Self::At)).ok_or(InvalidTime)
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
    let count: u64 = digits(text.get(..text.len().checked_sub(1)?)?)?;
    count.checked_mul(seconds).map(Duration::from_secs)
}

/// RFC 3339; the time of day may be missing or short, and is UTC when no offset follows.
fn at(text: &str) -> Option<Timestamp> {
    let (date, time) = match text.split_once(['T', 't', ' ']) {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let [year, month, day] = parts(date, '-')?;
    if !(1970..=9999).contains(&year)
        || !(1..=12).contains(&month)
        || !(1..=days_in(year, month)).contains(&day)
    {
        return None;
    }
    let millis = days_since_epoch(year, month, day).checked_mul(86_400_000)?;
    let millis = match time {
        Some(time) => millis.checked_add_signed(time_of_day(time)?)?,
        None => millis,
    };
    Some(Timestamp::from_millis(millis))
}

/// Milliseconds since midnight UTC; an offset may make it negative or more than a day.
fn time_of_day(text: &str) -> Option<i64> {
    let (clock, offset) = match text.find(['Z', 'z', '+', '-']) {
        Some(at) => text.split_at(at),
        None => (text, "Z"),
    };
    let (clock, millis) = match clock.split_once('.') {
        Some((clock, fraction)) => {
            digits(fraction)?;
            let padded: String = fraction.chars().chain("000".chars()).take(3).collect();
            (clock, digits(&padded)?)
        }
        None => (clock, 0),
    };
    let [hours, minutes, seconds] = match clock.matches(':').count() {
        1 => parts(&format!("{clock}:00"), ':')?,
        _ => parts(clock, ':')?,
    };
    // 60 is a leap second.
    if hours > 23 || minutes > 59 || seconds > 60 {
        return None;
    }
    let local = i64::try_from(((hours * 60 + minutes) * 60 + seconds) * 1000 + millis).ok()?;
    let offset = match offset {
        "Z" | "z" => 0,
        _ => {
            let sign = if offset.starts_with('-') { -1 } else { 1 };
            let (hours, minutes) = offset.get(1..)?.split_once(':')?;
            let (hours, minutes) = (digits(hours)?, digits(minutes)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            sign * i64::try_from((hours * 60 + minutes) * 60_000).ok()?
        }
    };
    Some(local - offset)
}

fn parts(text: &str, between: char) -> Option<[u64; 3]> {
    let mut parts = text.split(between);
    let three = [digits(parts.next()?)?, digits(parts.next()?)?, digits(parts.next()?)?];
    parts.next().is_none().then_some(three)
}

fn digits(text: &str) -> Option<u64> {
    (!text.is_empty() && text.len() <= 9 && text.bytes().all(|b| b.is_ascii_digit()))
        .then(|| text.parse().ok())?
}

const fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

const fn days_in(year: u64, month: u64) -> u64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn days_since_epoch(year: u64, month: u64, day: u64) -> u64 {
    let years: u64 = (1970..year).map(|year| if is_leap(year) { 366 } else { 365 }).sum();
    let months: u64 = (1..month).map(|month| days_in(year, month)).sum();
    years + months + day - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_spans_and_points_in_time() {
        let now = Timestamp::from_millis(1_709_210_096_789);
        for (text, time) in [
            ("90s", "2024-02-29T12:33:26.789Z"),
            ("2h", "2024-02-29T10:34:56.789Z"),
            ("1w", "2024-02-22T12:34:56.789Z"),
            ("2024-02-29", "2024-02-29T00:00:00.000Z"),
            ("2024-02-29T12:34", "2024-02-29T12:34:00.000Z"),
            ("2024-02-29 12:34:56.7", "2024-02-29T12:34:56.700Z"),
            ("2024-02-29T12:34:56.789123Z", "2024-02-29T12:34:56.789Z"),
            ("2024-02-29T01:00:00+02:00", "2024-02-28T23:00:00.000Z"),
            ("2024-02-29T23:00:00-02:30", "2024-03-01T01:30:00.000Z"),
        ] {
            assert_eq!(text.parse::<Since>().expect(text).from(now).to_string(), time, "{text}");
        }
        assert_eq!("1000000w".parse::<Since>().expect("long").from(now), Timestamp::default());
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
            "99999999999s",
            "٢h",
        ] {
            assert!(text.parse::<Since>().is_err(), "{text}");
        }
    }
}
