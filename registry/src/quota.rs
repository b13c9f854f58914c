//! How many key packages one account may take: fixed windows of an hour, counted in memory.
//!
//! A restart begins new windows. That is harmless: the limits keep one account from emptying the stock of others
//! within minutes, and restarts are the operator's.

use std::collections::HashMap;
use std::time::Duration;

use cipher_broker::id::AccountId;
use cipher_broker::time::Timestamp;

/// Length of a window.
const WINDOW: Duration = Duration::from_secs(3600);

/// Claims of key packages that one account may make in an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Against one and the same account.
    pub per_target: u32,
    /// In all.
    pub overall: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { per_target: 100, overall: 2_000 }
    }
}

/// Counters of the running windows.
#[derive(Debug)]
pub(crate) struct Quota {
    limits: Limits,
    windows: HashMap<(AccountId, Option<AccountId>), Window>,
    swept: Timestamp,
}

#[derive(Debug, Clone, Copy)]
struct Window {
    began: Timestamp,
    count: u32,
}

impl Quota {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, windows: HashMap::new(), swept: Timestamp::default() }
    }

    /// Counts one claim of `requester` against `target`, or says how long until one is possible again.
    pub(crate) fn spend(
        &mut self,
        requester: AccountId,
        target: AccountId,
        now: Timestamp,
    ) -> Result<(), Duration> {
        if now.since(self.swept) >= WINDOW {
            self.windows.retain(|_, window| window.runs(now));
            self.swept = now;
        }
        let keys =
            [((requester, Some(target)), self.limits.per_target), ((requester, None), self.limits.overall)];
        for (key, limit) in keys {
            if let Some(window) = self.windows.get(&key)
                && window.runs(now)
                && window.count >= limit
            {
                return Err(window.began.plus(WINDOW).since(now));
            }
        }
        for (key, _) in keys {
            let window = self.windows.entry(key).or_insert(Window { began: now, count: 0 });
            if !window.runs(now) {
                *window = Window { began: now, count: 0 };
            }
            window.count = window.count.saturating_add(1);
        }
        Ok(())
    }
}

impl Window {
    fn runs(self, now: Timestamp) -> bool {
        now < self.began.plus(WINDOW)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn who(n: u8) -> AccountId {
        AccountId::from_bytes([n; 32])
    }

    #[test]
    fn each_target_and_the_whole_have_their_limit_and_an_hour_later_all_is_new() {
        let mut quota = Quota::new(Limits { per_target: 2, overall: 3 });
        let at = |secs: u64| Timestamp::from_millis(secs * 1000);
        let table = [
            (1, 2, 0, true),
            (1, 2, 1, true),
            (1, 2, 2, false), // per target
            (1, 3, 2, true),
            (1, 3, 3, false), // overall
            (4, 2, 3, true),  // somebody else is not concerned
            (1, 2, 3599, false),
            (1, 2, 3600, true),
        ];
        for (requester, target, secs, allowed) in table {
            let spent = quota.spend(who(requester), who(target), at(secs));
            assert_eq!(spent.is_ok(), allowed, "{requester} {target} at {secs}");
        }
        let wait = quota.spend(who(1), who(2), at(3601)).and_then(|()| quota.spend(who(1), who(2), at(3602)));
        assert_eq!(wait, Err(Duration::from_secs(3598)));
    }

    #[test]
    fn windows_that_ended_are_forgotten() {
        let mut quota = Quota::new(Limits::default());
        for n in 0..100 {
            quota.spend(who(n), who(200), Timestamp::from_millis(0)).unwrap();
        }
        quota.spend(who(1), who(2), Timestamp::from_millis(3_600_000)).unwrap();
        assert_eq!(quota.windows.len(), 2);
    }
}
