//! The end of a log that grows while it is read.

/// Where a log ended when it was asked to be read to its end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct End {
    /// Messages up to there; `None` before the first page.
    left: Option<u64>,
}

impl End {
    /// A page with so many messages came, and `pending` were said to follow. Whether the end is reached; the next one
    /// counts from then on.
    pub(super) fn reached(&mut self, messages: usize, pending: Option<u64>) -> bool {
        let read = u64::try_from(messages).unwrap_or(u64::MAX);
        self.left = match self.left {
            Some(left) => Some(left.saturating_sub(read)),
            None => pending,
        };
        let reached = self.left == Some(0);
        if reached {
            self.left = None;
        }
        reached
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// E13: who sends first reads a log to its end; a flood must not move that end away.
    #[test]
    fn e13_the_end_of_a_log_is_where_it_was_when_it_was_asked_for() {
        let mut end = End::default();
        assert!(!end.reached(500, Some(700)), "700 more, when the first page was read");
        assert!(!end.reached(500, Some(900)), "it grows by 700 with each page");
        assert!(end.reached(500, Some(1_100)));
        assert!(!end.reached(500, Some(1_300)), "and the next end is another one");
        assert!(!end.reached(500, None), "a page that broke off");
        assert!(!end.reached(500, Some(1_400)));
        assert!(end.reached(300, Some(0)));
        assert_eq!(end, End::default());
    }
}
