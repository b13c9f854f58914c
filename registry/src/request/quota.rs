//! How much may be asked: fixed windows of an hour, counted in memory, spent before anything is written.
//!
//! A restart begins new windows. That is harmless: the limits keep one account from emptying the stock of others
//! within minutes, and restarts are the operator's.

use std::collections::HashMap;
use std::time::Duration;

use cipher_broker::id::AccountId;
use cipher_broker::time::Timestamp;
use cipher_broker::wire::refusal::{Code, Refusal};

use crate::terms::Limits;

/// Length of a window.
const WINDOW: Duration = Duration::from_secs(3600);

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Counter {
    ClaimsAgainst(AccountId, AccountId),
    Claims(AccountId),
    LookUps(AccountId),
    Registrations,
}

/// Counters of the running windows.
#[derive(Debug)]
pub(crate) struct Quota {
    limits: Limits,
    windows: HashMap<Counter, Window>,
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

    /// The limits in force.
    pub(crate) const fn limits(&self) -> Limits {
        self.limits
    }

    /// R-REG-06: counts one claim of `requester` against `target`. An account's own devices are not counted: they
    /// join each other to its groups.
    pub(crate) fn claim(
        &mut self,
        requester: AccountId,
        target: AccountId,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        if requester == target {
            return Ok(());
        }
        let Limits { per_target, overall, .. } = self.limits;
        let counters =
            [(Counter::ClaimsAgainst(requester, target), per_target), (Counter::Claims(requester), overall)];
        self.spend(&counters, "too many key packages taken", now)
    }

    /// Counts one look-up.
    pub(crate) fn look_up(&mut self, requester: AccountId, now: Timestamp) -> Result<(), Refusal> {
        self.spend(&[(Counter::LookUps(requester), self.limits.look_ups)], "too many look-ups", now)
    }

    /// Counts one new account.
    pub(crate) fn register(&mut self, now: Timestamp) -> Result<(), Refusal> {
        self.spend(&[(Counter::Registrations, self.limits.registrations)], "too many new accounts", now)
    }

    /// Counts one in every window, or in none and says how long until it is possible again.
    fn spend(&mut self, counters: &[(Counter, u32)], what: &str, now: Timestamp) -> Result<(), Refusal> {
        if now.since(self.swept) >= WINDOW {
            self.windows.retain(|_, window| window.runs(now));
            self.swept = now;
        }
        for (counter, limit) in counters {
            if let Some(window) = self.windows.get(counter)
                && window.runs(now)
                && window.count >= *limit
            {
                let minutes = window.began.plus(WINDOW).since(now).as_secs().div_ceil(60);
                return Err(Code::Quota.because(format!("{what}; again possible in {minutes} minutes")));
            }
        }
        for (counter, _) in counters {
            let window = self.windows.entry(*counter).or_insert(Window { began: now, count: 0 });
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

    const fn at(secs: u64) -> Timestamp {
        Timestamp::from_millis(secs * 1000)
    }

    #[test]
    fn each_target_and_the_whole_have_their_limit_and_an_hour_later_all_is_new() {
        let mut quota = Quota::new(Limits { per_target: 2, overall: 3, ..Limits::default() });
        let table = [
            (1, 2, 0, true),
            (1, 2, 1, true),
            (1, 2, 2, false), // per target
            (1, 1, 2, true),  // own devices are not counted
            (1, 3, 2, true),
            (1, 3, 3, false), // overall
            (4, 2, 3, true),  // somebody else is not concerned
            (1, 2, 3599, false),
            (1, 2, 3600, true),
        ];
        for (requester, target, secs, allowed) in table {
            let spent = quota.claim(who(requester), who(target), at(secs));
            assert_eq!(spent.is_ok(), allowed, "{requester} {target} at {secs}");
        }
        quota.claim(who(1), who(2), at(3601)).unwrap();
        let refusal = quota.claim(who(1), who(2), at(3602)).unwrap_err();
        assert_eq!(refusal.message, "too many key packages taken; again possible in 60 minutes");
    }

    #[test]
    fn look_ups_count_per_account_and_registrations_for_all_together() {
        let mut quota = Quota::new(Limits { look_ups: 1, registrations: 2, ..Limits::default() });
        assert!(quota.look_up(who(1), at(0)).is_ok());
        assert!(quota.look_up(who(1), at(1)).is_err());
        assert!(quota.look_up(who(2), at(1)).is_ok());
        assert!(quota.register(at(1)).is_ok());
        assert!(quota.register(at(1)).is_ok());
        assert_eq!(quota.register(at(1)).unwrap_err().code, Code::Quota);
        assert!(quota.register(at(3601)).is_ok());
    }

    #[test]
    fn windows_that_ended_are_forgotten() {
        let mut quota = Quota::new(Limits::default());
        for n in 0..100 {
            quota.claim(who(n), who(200), at(0)).unwrap();
        }
        quota.claim(who(1), who(2), at(3600)).unwrap();
        assert_eq!(quota.windows.len(), 2);
    }
}
