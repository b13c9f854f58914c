//! When a message is to be forgotten: pure, as [`super::timeline`] is for its words.

use std::time::Duration;

use cipher_broker::limit;
use cipher_broker::time::Timestamp;

/// What is known of a message when it takes its place here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Arrival {
    /// When the broker stored it.
    pub at: Timestamp,
    pub now: Timestamp,
    /// Said by the own account.
    pub own: bool,
    /// This account is a bot.
    pub by_bot: bool,
    /// Its place was read already: another own device came before the message.
    pub read: bool,
}

/// R-FORGET-02: it is a second to 366 days, whatever its author says.
pub(super) fn bounded(seconds: u64) -> u64 {
    seconds.clamp(1, limit::EXPIRE_SECONDS)
}

/// R-FORGET-01: for the account that said it a message counts from when the broker stored it, for others from when it was
/// shown; who never reads it forgets it when the log has, and that time more. A bot reads what comes when it comes.
pub(super) fn begins(seconds: u64, arrival: &Arrival) -> Timestamp {
    let from = match arrival {
        Arrival { own: true, at, .. } | Arrival { by_bot: true, at, .. } => *at,
        Arrival { read: true, now, .. } => *now,
        Arrival { at, .. } => at.plus(limit::RETENTION),
    };
    from.plus(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn r_forget_01_the_author_counts_from_sending_and_others_from_reading() {
        let arrival = Arrival { at: at(100), now: at(130), own: false, by_bot: false, read: false };
        let after_retention = at(100).plus(limit::RETENTION).plus(Duration::from_secs(60));
        for (arrival, expected) in [
            (Arrival { own: true, ..arrival }, at(160)),
            (Arrival { by_bot: true, ..arrival }, at(160)),
            (Arrival { read: true, ..arrival }, at(190)),
            (Arrival { own: true, read: true, ..arrival }, at(160)),
            (arrival, after_retention),
        ] {
            assert_eq!(begins(60, &arrival), expected, "{arrival:?}");
        }
    }

    #[test]
    fn r_forget_02_a_time_has_an_end_and_a_beginning() {
        for (said, counts) in [
            (0, 1),
            (60, 60),
            (limit::EXPIRE_SECONDS + 1, limit::EXPIRE_SECONDS),
            (u64::MAX, limit::EXPIRE_SECONDS),
        ] {
            assert_eq!(bounded(said), counts);
        }
    }
}
