//! Linking a new machine to an account: what happens on it, and on a machine that is in the account.
//!
//! ```text
//! new machine   [`Arrival`]   code ──► compare ──► linked ──► history ──► arrived
//! old machine   [`Approval`]  compare ──► answer of the person ──► sending ──► through
//! ```

use std::time::Duration;

use cipher_api::command::{account, device};
use cipher_api::view::{AccountView, DeviceView, HistoryPolicy, LinkCodeView, LinkCompareView, StatusView};
use cipher_api::{Error, ErrorKind, Event, LinkEvent};
use tokio::time::{Interval, MissedTickBehavior};

use crate::app::error::{ProfileError, Result};
use crate::app::notice::FrontEnd;
use crate::app::profile::OpenProfile;
use crate::session::{Events, Need};

/// How often is looked whether everything is through, besides the news of it.
const LOOK: Duration = Duration::from_millis(500);

/// A step of the new machine.
#[derive(Debug)]
pub enum Step {
    /// This is the code to approve.
    Code(LinkCodeView),
    /// Both sides know what to compare; the old machine is told whether it is the same.
    Compare(LinkCompareView),
    /// This device is the account's now.
    Linked {
        /// The account.
        handle: String,
    },
    /// It was not let in, or not in time: this is the last step.
    Failed(Error),
    /// History arrives.
    History(Progress),
    /// Groups and history are here: this is the last step.
    Arrived {
        /// The account.
        account: Box<AccountView>,
        /// How many groups it is in.
        groups: usize,
    },
}

/// How far something is that takes a while, in messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Those that are through.
    pub done: u64,
    /// All of them.
    pub total: u64,
}

/// A new machine on its way into an account.
#[derive(Debug)]
pub struct Arrival<'a> {
    /// The profile that becomes one of the account.
    pub profile: OpenProfile<'a>,
    events: Events,
    /// What the machine calls itself.
    name: String,
    stage: Stage,
    look: Interval,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Begun,
    Offered,
    Arriving,
}

impl<'a> Arrival<'a> {
    /// Opens the profile in force for it, or goes on where it was interrupted.
    pub async fn begin(front: &'a dyn FrontEnd, name: String) -> Result<Self> {
        let profile = OpenProfile::fresh_or_arriving(front).await?;
        let events = profile.session.events();
        Ok(Self { profile, events, name, stage: Stage::Begun, look: looks() })
    }

    /// Waits for the next step.
    pub async fn next(&mut self) -> Result<Step> {
        if self.stage == Stage::Begun {
            self.profile.reach().await?;
            if !self.profile.status().await?.registered {
                let name = self.name.clone();
                let code = self.profile.ask(device::Link { name }).await?;
                self.stage = Stage::Offered;
                return Ok(Step::Code(code));
            }
            self.stage = Stage::Arriving;
        }
        if self.stage == Stage::Offered { self.approved().await } else { self.arriving().await }
    }

    async fn approved(&mut self) -> Result<Step> {
        loop {
            match self.events.next().await {
                Some(Event::Link { step: LinkEvent::Compare(compare) }) => return Ok(Step::Compare(compare)),
                Some(Event::Link { step: LinkEvent::Linked { handle } }) => {
                    self.stage = Stage::Arriving;
                    return Ok(Step::Linked { handle });
                }
                Some(Event::Link { step: LinkEvent::Failed { error } }) => return Ok(Step::Failed(error)),
                Some(_) => {}
                None => return Err(ended(&self.profile)),
            }
        }
    }

    async fn arriving(&mut self) -> Result<Step> {
        let here = |status: &StatusView| !status.arriving;
        if let Some(progress) = through(&self.profile, &mut self.events, &mut self.look, here).await? {
            return Ok(Step::History(progress));
        }
        // What the broker has for this device by now.
        self.profile.settle().await;
        let account = self.profile.ask(account::Show {}).await?;
        let groups = self.profile.status().await?.groups;
        Ok(Step::Arrived { account: Box::new(account), groups })
    }
}

/// A new machine that is let in by one of the account.
#[derive(Debug)]
pub struct Approval<'a> {
    /// The profile of the account.
    pub profile: OpenProfile<'a>,
    events: Events,
    code: String,
    look: Interval,
}

impl<'a> Approval<'a> {
    /// Opens the profile in force for it, and brings it up to date.
    pub async fn begin(front: &'a dyn FrontEnd, code: String) -> Result<Self> {
        let profile = OpenProfile::open(front, Need::Everything).await?;
        profile.online().await?;
        let events = profile.session.events();
        profile.refresh().await?;
        Ok(Self { profile, events, code, look: looks() })
    }

    /// Waits for the new machine: what both sides show, to be compared by the person.
    pub async fn compare(&self, history: HistoryPolicy) -> Result<LinkCompareView> {
        let command = device::Approve { code: self.code.clone(), history };
        self.profile.ask(command).await
    }

    /// Says whether both sides show the same. The new device is let in, or `None` is.
    pub async fn answer(&self, equal: bool) -> Result<Option<DeviceView>> {
        let command = device::Confirm { code: self.code.clone(), equal };
        self.profile.ask(command).await
    }

    /// Waits until everything for the new device has left; until then it gives how far that is.
    pub async fn sending(&mut self) -> Result<Option<Progress>> {
        let sent = |status: &StatusView| status.sending.is_empty() && status.outbox == 0;
        through(&self.profile, &mut self.events, &mut self.look, sent).await
    }
}

/// Whether this can be a code at all: eight of the letters and digits that codes are made of, or taken for.
pub fn is_code(text: &str) -> bool {
    let text = text.trim();
    let text = text.strip_prefix("cipher-chat:link/").unwrap_or(text);
    let letters: Vec<char> = text.chars().filter(|letter| !matches!(letter, '-' | ' ')).collect();
    letters.len() == 8
        && letters.iter().all(|letter| letter.is_ascii_alphanumeric() && !matches!(letter, 'u' | 'U'))
}

/// Whether a person typed what is shown here: only the digits count.
pub fn is_same(shown: &LinkCompareView, typed: &str) -> bool {
    digits(typed) == digits(&shown.string)
}

fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

/// Waits until the core says that it is through, which is `None`, or how far it is.
async fn through(
    profile: &OpenProfile<'_>,
    events: &mut Events,
    look: &mut Interval,
    is: impl Fn(&StatusView) -> bool,
) -> Result<Option<Progress>> {
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(Event::Progress { done, total }) => return Ok(Some(Progress { done, total })),
                Some(Event::Link { step: LinkEvent::Failed { error } }) => return Err(error.into()),
                Some(Event::Stopped { error }) => return Err(profile.blamed(error)),
                Some(event @ (Event::Evidence(_) | Event::Warning { .. } | Event::Connection { .. })) => profile.hear(&event),
                Some(_) => {}
                None => return Err(ended(profile)),
            },
            _ = look.tick() => {
                if is(&profile.status().await?) {
                    return Ok(None);
                }
            }
        }
    }
}

/// Looks that were missed, while a person compared, are not made up for.
fn looks() -> Interval {
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    look
}

/// Nothing is heard any more: of the process that had the profile open, or of our own core.
fn ended(profile: &OpenProfile<'_>) -> ProfileError {
    if profile.session.is_remote() {
        return ProfileError::OwnerEnded;
    }
    ErrorKind::Bug.because("the session ended by itself").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_no_code_is_seen() {
        for code in ["4k7x-m2pq", "4K7XM2PQ", " 4k7x m2pq ", "cipher-chat:link/4k7x-m2pq", "OIL0-1111"] {
            assert!(is_code(code), "{code}");
        }
        for code in ["", "garbage", "4k7x", "4k7x-m2pqq", "4k7x-m2pu", "cipher-chat:join/4k7x-m2pq"] {
            assert!(!is_code(code), "{code}");
        }
    }

    #[test]
    fn only_digits_are_compared() {
        for typed in ["123 4567", "1234567", " 123-4567\n"] {
            assert_eq!(digits(typed), "1234567");
        }
        assert_ne!(digits("123 4568"), "1234567");
    }
}
