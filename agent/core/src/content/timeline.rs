//! What changes make of a message: a pure function, as `group/policy.rs` is for commits.
//!
//! Every member judges the same log in the same order, so everybody ends up with the same words, emoji, pins and counts, in
//! whatever order the pieces reached this device.

use std::collections::BTreeSet;

use cipher_broker::emoji;
use cipher_broker::limit;
use cipher_broker::time::Timestamp;

use crate::state::mention;
use crate::state::{Change, MessageRow, PinRow, Reaction, RowBody, Version, Vote, WaitingChange};

/// Words that a message had before and that are kept: so many, and so many bytes of them.
const VERSIONS: usize = 32;
const VERSION_BYTES: usize = 64 * 1024;

/// The rule that keeps a change from having an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Without(pub &'static str);

impl Without {
    /// Whether what was said of the same later in the log stands in its place: its sender has nothing to wonder about.
    pub(super) fn is_outdone(self) -> bool {
        ["R-CONTENT-03", "R-CONTENT-11", "R-PINNED-03", "R-POLL-03"].contains(&self.0)
    }
}

/// Makes a message what the change says, or names the rule by which it stays as it is.
pub(super) fn apply(row: &mut MessageRow, change: &WaitingChange) -> Result<(), Without> {
    match change.change {
        Change::Edit => edit(row, change),
        Change::Delete => delete(row, change),
        Change::React => react(row, change, false),
        Change::Unreact => react(row, change, true),
        Change::Pin => pin(row, change, false),
        Change::Unpin => pin(row, change, true),
        Change::Vote => vote(row, change),
        Change::ClosePoll => close(row, change),
        Change::Expire => expire(row, change),
    }
}

/// An own device knows when it is to be forgotten.
fn expire(row: &mut MessageRow, change: &WaitingChange) -> Result<(), Without> {
    // R-FORGET-03: of several times the first counts, in whatever order they are told.
    let at = Timestamp::from_millis(change.position);
    if row.is_words() && row.expires(at) { Ok(()) } else { Err(Without("R-FORGET-03")) }
}

/// Words of a member that nobody took back.
fn words(row: &MessageRow, rule: &'static str) -> Result<(), Without> {
    if !row.is_words() {
        return Err(Without(rule));
    }
    // R-CONTENT-04: what was taken back stays so, whatever comes later.
    if row.deleted {
        return Err(Without("R-CONTENT-04"));
    }
    Ok(())
}

fn edit(row: &mut MessageRow, change: &WaitingChange) -> Result<(), Without> {
    // R-CONTENT-01: other words are given to a message by the account that said it, from any of its devices, and by no other.
    if row.account != change.account {
        return Err(Without("R-CONTENT-01"));
    }
    // R-CONTENT-02: words are changed, and no events; other words are given to a text only.
    words(row, "R-CONTENT-02")?;
    if row.body() != RowBody::Text {
        return Err(Without("R-CONTENT-02"));
    }
    // R-CONTENT-06: other words are as good as those of a message: some, and not too many.
    if change.text.trim().is_empty() || change.text.len() > limit::TEXT_BYTES {
        return Err(Without("R-CONTENT-06"));
    }
    // R-CONTENT-13: for as long as the group wants it, by the times that the author names.
    let late = |seconds: u32| change.sent_at.since(row.sent_at).as_secs() > u64::from(seconds);
    if change.powers.edit_seconds.is_some_and(late) {
        return Err(Without("R-CONTENT-13"));
    }
    let (position, sent_at) = (change.position, change.sent_at);
    // R-CONTENT-03: of several edits the last in the order of the log stands.
    match row.edited {
        Some(edited) if edited == position => return Err(Without("R-CONTENT-03")),
        Some(edited) if edited > position => {
            keep_version(row, Version { position, sent_at, text: change.text.clone() });
            return Err(Without("R-CONTENT-03"));
        }
        before => {
            let text = std::mem::replace(&mut row.text, change.text.clone());
            let written = row.edited_at.filter(|_| before.is_some()).unwrap_or(row.sent_at);
            keep_version(row, Version { position: before.unwrap_or(0), sent_at: written, text });
        }
    }
    row.mentions = mention::sound(&row.text, &change.mentions);
    (row.edited, row.edited_at) = (Some(position), Some(sent_at));
    Ok(())
}

/// R-CONTENT-14: the words that a message had before are kept, in the order of the log: the first ones and the latest, so many
/// and so many bytes of them.
fn keep_version(row: &mut MessageRow, version: Version) {
    let versions = &mut row.versions;
    if versions.iter().any(|known| known.position == version.position) {
        return;
    }
    versions.insert(versions.partition_point(|known| known.position < version.position), version);
    let bytes = |versions: &[Version]| versions.iter().map(|version| version.text.len()).sum::<usize>();
    while versions.len() > 1 && (versions.len() > VERSIONS || bytes(versions) > VERSION_BYTES) {
        versions.remove(1);
    }
}

fn delete(row: &mut MessageRow, change: &WaitingChange) -> Result<(), Without> {
    let own = row.account == change.account;
    // R-CONTENT-01, R-CONTENT-15: words are taken back by the account that said them, and by who may take back what others said
    // in the epoch in which it does so.
    if !own && !change.powers.delete {
        return Err(Without("R-CONTENT-01"));
    }
    words(row, "R-CONTENT-02")?;
    row.take_back();
    row.deleted_by = (!own).then_some(change.account);
    Ok(())
}

/// An emoji of any member, put under the message or taken away.
fn react(row: &mut MessageRow, change: &WaitingChange, removed: bool) -> Result<(), Without> {
    // R-CONTENT-09: words get reactions, whoever said them, and events do not.
    words(row, "R-CONTENT-09")?;
    let (account, emoji) = (change.account, change.text.as_str());
    // R-CONTENT-10: a reaction has the form of an emoji.
    if !emoji::has_form(emoji) {
        return Err(Without("R-CONTENT-10"));
    }
    match row.reactions.of(&account, emoji) {
        // R-CONTENT-11: an account has an emoji once; what it said of it last in the log stands.
        Some(known) if known.position >= change.position => return Err(Without("R-CONTENT-11")),
        Some(_) => {}
        // R-CONTENT-12: there is an end to how many.
        None => {
            let all = row.reactions.all();
            let own = all.iter().filter(|known| known.account == account).count();
            let kinds: BTreeSet<&str> = all.iter().map(|known| known.emoji.as_str()).collect();
            let is_new = !kinds.contains(emoji);
            if own >= limit::REACTIONS_OF_ACCOUNT || (is_new && kinds.len() >= limit::REACTIONS) {
                return Err(Without("R-CONTENT-12"));
            }
        }
    }
    row.reactions.put(Reaction { emoji: emoji.to_owned(), account, position: change.position, removed });
    Ok(())
}

fn pin(row: &mut MessageRow, change: &WaitingChange, removed: bool) -> Result<(), Without> {
    // R-PINNED-01: who pins is for the group to say, in the epoch in which a member does so.
    if !change.powers.pin {
        return Err(Without("R-PINNED-01"));
    }
    // R-PINNED-02: words are pinned, whoever said them, and events are not.
    words(row, "R-PINNED-02")?;
    // R-PINNED-03: what was said of it last in the log stands.
    if row.pin.is_some_and(|pin| pin.position >= change.position) {
        return Err(Without("R-PINNED-03"));
    }
    row.pin = Some(PinRow { account: change.account, position: change.position, removed });
    Ok(())
}

fn vote(row: &mut MessageRow, change: &WaitingChange) -> Result<(), Without> {
    // R-POLL-01: any member chooses of a poll that nobody took back, and of nothing else.
    words(row, "R-POLL-01")?;
    let Some(poll) = &mut row.poll else { return Err(Without("R-POLL-01")) };
    // R-POLL-02: answers that are there, each once, and one where one is asked for; none takes the vote back.
    let choices = &change.choices;
    let ascending = choices.is_sorted_by(|one, next| one < next);
    let there = choices.iter().all(|choice| usize::from(*choice) < poll.options.len());
    if !ascending || !there || (choices.len() > 1 && !poll.multiple) {
        return Err(Without("R-POLL-02"));
    }
    // R-POLL-04: what lies behind the close does not count.
    if poll.closed.is_some_and(|closed| closed <= change.position) {
        return Err(Without("R-POLL-04"));
    }
    let (account, position) = (change.account, change.position);
    // R-POLL-03: of several votes of an account the last in the log counts.
    let newest = !poll.votes().iter().any(|vote| vote.account == account && vote.position >= position);
    poll.put(Vote { account, position, choices: choices.clone() });
    if newest { Ok(()) } else { Err(Without("R-POLL-03")) }
}

fn close(row: &mut MessageRow, change: &WaitingChange) -> Result<(), Without> {
    // R-POLL-05: a poll is closed by the account that asked, or by who may take it back.
    if row.account != change.account && !change.powers.delete {
        return Err(Without("R-POLL-05"));
    }
    words(row, "R-POLL-01")?;
    let Some(poll) = &mut row.poll else { return Err(Without("R-POLL-01")) };
    // R-POLL-06: of several closes the first in the log counts.
    if poll.closed.is_some_and(|closed| closed <= change.position) {
        return Err(Without("R-POLL-06"));
    }
    poll.close(change.position);
    Ok(())
}

#[cfg(test)]
#[path = "timeline_test.rs"]
mod tests;
