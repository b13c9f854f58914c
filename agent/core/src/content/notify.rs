//! Whether a message is worth telling a person at once: a pure function, as `timeline.rs` is for what messages become.
//!
//! Front ends decide how it is told; whether it is, all of them and all own devices decide alike.

use cipher_broker::time::Timestamp;
use cipher_broker::wire::sync::Muted;

/// A message, as this agent knows it: nothing of it is what its sender says of its importance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, and a rule asks for it")]
pub(super) struct Said {
    /// One of the own devices said it.
    pub own: bool,
    /// A blocked account said it.
    pub blocked: bool,
    /// Words that stand and were not shown yet.
    pub unread: bool,
    /// It names this account.
    pub names_us: bool,
    /// Of a bot that answers: whether it answers this account.
    pub bot_answers_us: Option<bool>,
}

/// The rule that keeps a message from being told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Silent(pub &'static str);

/// Whether a message is told, or the rule by which it is not.
pub(super) fn notifies(said: Said, muted: Option<Muted>, now: Timestamp) -> Result<(), Silent> {
    // R-NOTIFY-01: nobody is told their own words.
    if said.own {
        return Err(Silent("R-NOTIFY-01"));
    }
    // R-NOTIFY-02: what a blocked account says is told to nobody.
    if said.blocked {
        return Err(Silent("R-NOTIFY-02"));
    }
    // R-NOTIFY-03: only words that a person reads and has not read, here or on another own device: no change of any, no
    // event, nothing that was taken back.
    if !said.unread {
        return Err(Silent("R-NOTIFY-03"));
    }
    // R-NOTIFY-04: a bot's answer to another account is for that account.
    if said.bot_answers_us == Some(false) && !said.names_us {
        return Err(Silent("R-NOTIFY-04"));
    }
    // R-NOTIFY-05: a time that is over mutes nothing any more.
    let Some(muted) = muted.filter(|muted| muted.until.is_none_or(|until| now < until)) else {
        return Ok(());
    };
    // R-NOTIFY-06: a muted conversation is silent, except for what names this account where that was asked for.
    if muted.mentions && said.names_us { Ok(()) } else { Err(Silent("R-NOTIFY-06")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: Said =
        Said { own: false, blocked: false, unread: true, names_us: false, bot_answers_us: None };
    const NAMED: Said = Said { names_us: true, ..WORDS };

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn rule(said: Said, muted: Option<Muted>) -> &'static str {
        notifies(said, muted, at(100)).map_or_else(|silent| silent.0, |()| "told")
    }

    #[test]
    fn r_notify_01_r_notify_02_r_notify_03_whose_words_they_are() {
        assert_eq!(rule(WORDS, None), "told");
        assert_eq!(rule(Said { own: true, ..NAMED }, None), "R-NOTIFY-01");
        assert_eq!(rule(Said { blocked: true, ..NAMED }, None), "R-NOTIFY-02");
        assert_eq!(rule(Said { unread: false, ..NAMED }, None), "R-NOTIFY-03");
    }

    #[test]
    fn r_notify_04_a_bots_answer_is_for_who_asked() {
        assert_eq!(rule(Said { bot_answers_us: Some(false), ..WORDS }, None), "R-NOTIFY-04");
        assert_eq!(rule(Said { bot_answers_us: Some(true), ..WORDS }, None), "told");
        assert_eq!(rule(Said { bot_answers_us: Some(false), ..NAMED }, None), "told");
    }

    #[test]
    fn r_notify_05_r_notify_06_what_is_muted_and_until_when() {
        let muted = |until: Option<u64>, mentions| Some(Muted { until: until.map(at), mentions });
        for (until, mentions, plain, named) in [
            (None, false, "R-NOTIFY-06", "R-NOTIFY-06"),
            (None, true, "R-NOTIFY-06", "told"),
            (Some(101), false, "R-NOTIFY-06", "R-NOTIFY-06"),
            (Some(101), true, "R-NOTIFY-06", "told"),
            (Some(100), false, "told", "told"),
            (Some(1), true, "told", "told"),
        ] {
            let muted = muted(until, mentions);
            assert_eq!((rule(WORDS, muted), rule(NAMED, muted)), (plain, named), "{muted:?}");
        }
    }
}
