//! Which logs are read, how far, and who waits until they were.

use std::collections::BTreeSet;
use std::time::Duration;

use cipher_broker::subject::Source;
use cipher_broker::time::Timestamp;

use crate::core::Core;
use crate::effect::Effect;
use crate::error::{ErrorKind, Result};
use crate::input::{Interest, Ticket};
use crate::reply::Reply;

/// A `sync` that is not done.
#[derive(Debug)]
pub(crate) struct SyncWait {
    pub(super) ticket: Ticket,
    waiting: BTreeSet<Source>,
    received_before: u64,
    deadline: Timestamp,
}

/// How long a `sync` waits for an answering but slow deployment.
const SYNC_DEADLINE: Duration = Duration::from_secs(20);

impl Core {
    pub(super) fn sync(&mut self, ticket: Ticket) -> Result<Option<Reply>> {
        self.identity()?;
        if !self.run.connected {
            return Err(ErrorKind::Unreachable
                .because("the broker cannot be reached")
                .hint("check --server and that the broker runs"));
        }
        if self.run.interest != Some(Interest::Everything) {
            self.connected(Interest::Everything)?;
        }
        let waiting = self.run.following.clone();
        for source in &waiting {
            self.run.effects.push(Effect::Fetch { source: *source, sequence: 0 });
        }
        self.run.syncs.push(SyncWait {
            ticket,
            waiting,
            received_before: self.run.received,
            deadline: self.run.now.plus(SYNC_DEADLINE),
        });
        Ok(None)
    }

    pub(super) fn finish_syncs(&mut self) {
        if self.run.syncs.is_empty() {
            return;
        }
        let tree_missing =
            self.state.invites.iter().any(|(_, invite)| invite.known.is_none() && invite.attempts < 3);
        let idle = self.run.questions.is_empty()
            && self.run.errands.is_empty()
            && self.state.outbox.len() == 0
            && !tree_missing;
        let (now, queued) = (self.run.now, self.state.outbox.len());
        for wait in std::mem::take(&mut self.run.syncs) {
            if (wait.waiting.is_empty() && idle) || now >= wait.deadline {
                let received = self.run.received.saturating_sub(wait.received_before);
                self.reply(wait.ticket, Ok(Reply::Synced { received, queued: queued as u64 }));
            } else {
                self.wake_at(wait.deadline);
                self.run.syncs.push(wait);
            }
        }
    }

    pub(super) fn caught_up(&mut self, source: Source, sequence: u64) -> Result<()> {
        self.run.caught_up.insert(source);
        for wait in &mut self.run.syncs {
            wait.waiting.remove(&source);
        }
        if let Source::Group(group) = source {
            self.settle_doubts(group, sequence);
            self.run.touched.insert(group);
        }
        Ok(())
    }

    /// Starts reading a log from where the store stands.
    pub(crate) fn follow(&mut self, source: Source) {
        let after = match source {
            Source::Group(group) => self.state.groups.get(&group).map_or(0, |row| row.cursor),
            Source::Inbox(inbox) => self.link_cursor(&inbox).unwrap_or(self.state.meta.inbox_cursor),
            // Before the first head nothing of it matters here.
            Source::Log => match self.state.meta.log_cursor {
                Some(cursor) => cursor,
                None => return,
            },
            _ => return,
        };
        if self.run.connected && self.run.following.insert(source) {
            self.run.caught_up.remove(&source);
            for wait in &mut self.run.syncs {
                wait.waiting.insert(source);
            }
            self.run.effects.push(Effect::Follow { source, after });
        }
    }

    /// Makes sure that a log is read at least up to a sequence that is known to exist.
    pub(crate) fn want(&mut self, source: Source, sequence: u64) {
        if !self.run.connected {
            return;
        }
        self.follow(source);
        self.run.effects.push(Effect::Fetch { source, sequence });
    }

    pub(crate) fn unfollow(&mut self, source: Source) {
        self.run.caught_up.remove(&source);
        for wait in &mut self.run.syncs {
            wait.waiting.remove(&source);
        }
        if self.run.following.remove(&source) {
            self.run.effects.push(Effect::Unfollow { source });
        }
    }
}
