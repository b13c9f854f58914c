//! What edits, deletions and reactions make of a message: a pure function, as `group/policy.rs` is for commits.
//!
//! Every member judges the same log in the same order, so everybody ends up with the same words, in whatever order the
//! pieces reached this device.

use std::collections::BTreeSet;

use cipher_broker::emoji;
use cipher_broker::id::AccountId;
use cipher_broker::limit;

use crate::state::{Change, MessageRow, Reaction, RowBody};

/// A change, as its place in the log and the MLS leaf of its sender show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Changing<'a> {
    /// The account of the sender.
    pub by: AccountId,
    /// Where it lies, see [`crate::state::position`].
    pub position: u64,
    pub change: Change,
    /// The words of an edit; the emoji of a reaction.
    pub text: &'a str,
}

/// The rule that keeps a change from having an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Without(pub &'static str);

/// Makes a message what the change says, or names the rule by which it stays as it is.
pub(super) fn apply(row: &mut MessageRow, changing: &Changing<'_>) -> Result<(), Without> {
    if let Some(removed) = changing.change.reacts() {
        return react(row, changing, removed);
    }
    // R-CONTENT-01: words are changed by the account that said them, from any of its devices, and by no other.
    if row.account != changing.by {
        return Err(Without("R-CONTENT-01"));
    }
    // R-CONTENT-02: words are changed, and no events; other words are given to a text only.
    let editable = row.body() == RowBody::Text;
    if !row.is_words() || (changing.change == Change::Edit && !editable) {
        return Err(Without("R-CONTENT-02"));
    }
    // R-CONTENT-04: what was taken back stays so, whatever comes later.
    if row.deleted {
        return Err(Without("R-CONTENT-04"));
    }
    match changing.change {
        Change::Delete => row.take_back(),
        Change::Edit => {
            // R-CONTENT-06: other words are as good as those of a message: some, and not too many.
            if changing.text.trim().is_empty() || changing.text.len() > limit::TEXT_BYTES {
                return Err(Without("R-CONTENT-06"));
            }
            // R-CONTENT-03: of several edits the last in the order of the log stands.
            if row.edited.is_some_and(|edited| edited >= changing.position) {
                return Err(Without("R-CONTENT-03"));
            }
            changing.text.clone_into(&mut row.text);
            row.edited = Some(changing.position);
        }
        Change::React | Change::Unreact => {}
    }
    Ok(())
}

/// An emoji of any member, put under the message or taken away.
fn react(row: &mut MessageRow, changing: &Changing<'_>, removed: bool) -> Result<(), Without> {
    // R-CONTENT-09: words get reactions, whoever said them, and events do not.
    if !row.is_words() {
        return Err(Without("R-CONTENT-09"));
    }
    if row.deleted {
        return Err(Without("R-CONTENT-04"));
    }
    // R-CONTENT-10: a reaction has the form of an emoji.
    if !emoji::has_form(changing.text) {
        return Err(Without("R-CONTENT-10"));
    }
    match row.reactions.of(&changing.by, changing.text) {
        // R-CONTENT-11: an account has an emoji once; what it said of it last in the log stands.
        Some(known) if known.position >= changing.position => return Err(Without("R-CONTENT-11")),
        Some(_) => {}
        // R-CONTENT-12: there is an end to how many.
        None => {
            let all = row.reactions.all();
            let own = all.iter().filter(|known| known.account == changing.by).count();
            let kinds: BTreeSet<&str> = all.iter().map(|known| known.emoji.as_str()).collect();
            let is_new = !kinds.contains(changing.text);
            if own >= limit::REACTIONS_OF_ACCOUNT || (is_new && kinds.len() >= limit::REACTIONS) {
                return Err(Without("R-CONTENT-12"));
            }
        }
    }
    let (emoji, position) = (changing.text.to_owned(), changing.position);
    row.reactions.put(Reaction { emoji, account: changing.by, position, removed });
    Ok(())
}

#[cfg(test)]
#[path = "timeline_test.rs"]
mod tests;
