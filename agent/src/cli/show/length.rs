//! Lengths of time as people say them.

/// Each unit with its seconds, the longest first.
const UNITS: [(u64, &str); 4] = [(86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second")];

/// `15 minutes`, `1 day 12 hours`: exactly so long.
pub fn in_words(seconds: u64) -> String {
    let mut left = seconds;
    let mut words = Vec::new();
    for (unit, name) in UNITS {
        let count = left / unit;
        left %= unit;
        match count {
            0 => {}
            1 => words.push(format!("1 {name}")),
            count => words.push(format!("{count} {name}s")),
        }
    }
    if words.is_empty() { "0 seconds".into() } else { words.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_is_said_as_people_say_it() {
        for (seconds, words) in [
            (0, "0 seconds"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "1 minute"),
            (90, "1 minute 30 seconds"),
            (900, "15 minutes"),
            (3600, "1 hour"),
            (129_600, "1 day 12 hours"),
            (31_622_400, "366 days"),
        ] {
            assert_eq!(in_words(seconds), words);
        }
    }
}
