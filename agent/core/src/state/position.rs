//! Where something stands in a group's log, as this store counts: which life of the log, and the sequence there.
//!
//! A stream that was restored from an older copy, emptied or made anew gives its sequences out a second time. So a
//! sequence names an entry only together with its *era*: how often this store has seen the log go back. A position
//! has the era in its upper 16 bits and the broker's sequence in the lower 48; positions of one store only grow, so
//! they order history, and nothing that is kept under one is overwritten by a later era. Eras are counted by each
//! store for itself and never leave it; what travels is the broker's sequence.
//!
//! Bots get positions as JSON numbers, and many readers of JSON keep 53 bits of one: the first 2,047 eras fit.

/// Bits of a position that are the broker's sequence: at ten thousand messages a second they last fourteen years.
const SEQUENCE_BITS: u32 = 42;

/// The era in which this version begins a group. Not 0, so that a device that was linked later has room for the
/// earlier eras of the history it is given. Stores of before eras were counted are in era 0.
pub(crate) const FIRST_ERA: u16 = 0x100;

/// The position of a sequence in an era.
pub(crate) const fn of(era: u16, sequence: u64) -> u64 {
    ((era as u64) << SEQUENCE_BITS) | sequence_of(sequence)
}

/// The broker's sequence of a position.
pub(crate) const fn sequence_of(position: u64) -> u64 {
    position & ((1 << SEQUENCE_BITS) - 1)
}

/// The era of a position.
pub(crate) fn era_of(position: u64) -> u16 {
    u16::try_from(position >> SEQUENCE_BITS).unwrap_or(u16::MAX)
}

/// A position as another own device is told it, which counts eras for itself: the sequence, and how many eras lie between it and
/// `era`, the one that the log is in here.
pub(crate) fn told(position: u64, era: u16) -> (u64, u16) {
    (sequence_of(position), era.saturating_sub(era_of(position)))
}

/// A position that another own device told.
pub(crate) const fn heard((sequence, ago): (u64, u16), era: u16) -> u64 {
    of(era.saturating_sub(ago), sequence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reader_of_json_keeps_a_position() {
        let last = of((1 << 11) - 1, (1 << SEQUENCE_BITS) - 1);
        assert!(last < 1 << f64::MANTISSA_DIGITS, "{last} is rounded where numbers are floating point");
    }

    #[test]
    fn a_later_era_lies_behind_every_sequence_of_an_earlier_one() {
        assert!(of(1, 1) > of(0, (1 << SEQUENCE_BITS) - 1));
        for (era, sequence) in [(0, 0), (0, 7), (FIRST_ERA, 7), (u16::MAX, (1 << SEQUENCE_BITS) - 1)] {
            let position = of(era, sequence);
            assert_eq!((era_of(position), sequence_of(position)), (era, sequence));
        }
        assert_eq!(of(0, 12), 12, "stores of before eras were counted open as they are");
    }
}
