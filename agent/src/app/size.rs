//! Sizes of files, as people say them.

/// A size as people say it.
pub fn in_words(bytes: u64) -> String {
    const KIB: u64 = 1024;
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < KIB {
        return format!("{bytes} bytes");
    }
    let mut whole = bytes;
    let mut tenths = 0;
    let mut unit = "";
    for name in UNITS {
        if whole < KIB {
            break;
        }
        tenths = (whole % KIB) * 10 / KIB;
        whole /= KIB;
        unit = name;
    }
    if tenths == 0 { format!("{whole} {unit}") } else { format!("{whole}.{tenths} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_said_as_people_say_it() {
        for (bytes, words) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1 KiB"),
            (1536, "1.5 KiB"),
            (100 * 1024 * 1024, "100 MiB"),
            (120_000_000, "114.4 MiB"),
            (3 << 30, "3 GiB"),
            (u64::MAX, "16777215.9 TiB"),
        ] {
            assert_eq!(in_words(bytes), words);
        }
    }
}
