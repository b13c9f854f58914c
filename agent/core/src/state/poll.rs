//! The answers of a poll, and who chose which.

use std::collections::BTreeSet;

use cipher_broker::id::AccountId;
use cipher_broker::wire::content::Poll;
use cipher_broker::wire::sync::{SyncPoll, SyncVote};
use serde::{Deserialize, Serialize};

use crate::state::fitting::fitting;
use crate::state::position;

/// Votes of one account that are kept: the close of the poll, which says which of them counts, may come late.
const VOTES_OF_ACCOUNT: usize = 8;
/// Bytes of a vote between own devices, beside its choices, at most.
const SYNC_BYTES: usize = 64;

/// A poll.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PollRow {
    #[serde(rename = "o")]
    pub options: Vec<String>,
    #[serde(rename = "m", default, skip_serializing_if = "std::ops::Not::not")]
    pub multiple: bool,
    /// In the order of the log.
    #[serde(rename = "v", default, skip_serializing_if = "Vec::is_empty")]
    votes: Vec<Vote>,
    /// Where the first close lies in the log.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<u64>,
}

/// What an account chose, once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Vote {
    #[serde(rename = "a")]
    pub account: AccountId,
    /// Where it lies in the log.
    #[serde(rename = "p")]
    pub position: u64,
    /// Numbers of the answers; none: the vote was taken back.
    #[serde(rename = "c", with = "serde_bytes")]
    pub choices: Vec<u8>,
}

impl PollRow {
    pub(crate) fn new(poll: Poll) -> Self {
        Self { options: poll.options, multiple: poll.multiple, votes: Vec::new(), closed: None }
    }

    /// Keeps a vote.
    pub(crate) fn put(&mut self, vote: Vote) {
        let account = vote.account;
        self.votes.retain(|known| known.account != account || known.position != vote.position);
        let behind = self.votes.partition_point(|known| known.position <= vote.position);
        self.votes.insert(behind, vote);
        let own = self.votes.iter().filter(|known| known.account == account).count();
        if own > VOTES_OF_ACCOUNT
            && let Some(oldest) = self.votes.iter().position(|known| known.account == account)
        {
            self.votes.remove(oldest);
        }
    }

    /// Takes no votes that lie behind this place.
    pub(crate) fn close(&mut self, position: u64) {
        self.closed = Some(position);
        self.votes.retain(|vote| vote.position < position);
    }

    /// What each account chose last, in the order of the log, without those that took their vote back.
    pub(crate) fn counted(&self) -> Vec<&Vote> {
        let mut known = BTreeSet::new();
        let last = self.votes.iter().rev().filter(|vote| known.insert(vote.account));
        let mut counted: Vec<&Vote> = last.filter(|vote| !vote.choices.is_empty()).collect();
        counted.reverse();
        counted
    }

    /// All votes that are kept.
    pub(crate) fn votes(&self) -> &[Vote] {
        &self.votes
    }

    /// For another own device, with as many of the latest votes as so many bytes hold. Eras are counted by each store for itself.
    pub(crate) fn to_sync(&self, era: u16, room: usize) -> SyncPoll {
        let needs = |vote: &&Vote| SYNC_BYTES.saturating_add(vote.choices.len());
        let fits = fitting(self.votes.iter().rev(), room, needs);
        let votes = fits.map(|vote| SyncVote {
            account: vote.account,
            place: position::told(vote.position, era),
            choices: vote.choices.clone(),
        });
        SyncPoll {
            options: self.options.clone(),
            multiple: self.multiple,
            votes: votes.collect(),
            closed: self.closed.map(|closed| position::told(closed, era)),
        }
    }

    /// From another own device. `era` is that of the log here.
    pub(crate) fn from_sync(poll: SyncPoll, era: u16) -> Self {
        let SyncPoll { options, multiple, votes, closed } = poll;
        let closed = closed.map(|place| position::heard(place, era));
        let mut row = Self { options, multiple, votes: Vec::new(), closed };
        for SyncVote { account, place, choices } in votes {
            row.put(Vote { account, position: position::heard(place, era), choices });
        }
        row
    }
}
