//! What edits and deletions make of a message: a pure function, as `group/policy.rs` is for commits.
//!
//! Every member judges the same log in the same order, so everybody ends up with the same words, in whatever order the
//! pieces reached this device.

use cipher_broker::id::AccountId;
use cipher_broker::limit;

use crate::state::{Change, MessageRow, RowBody};

/// A change, as its place in the log and the MLS leaf of its sender show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Changing<'a> {
    /// The account of the sender.
    pub by: AccountId,
    /// Where it lies, see [`crate::state::position`].
    pub position: u64,
    pub change: Change,
    /// The words of an edit.
    pub text: &'a str,
}

/// The rule that keeps a change from having an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Without(pub &'static str);

/// Makes a message what the change says, or names the rule by which it stays as it is.
pub(super) fn apply(row: &mut MessageRow, changing: &Changing<'_>) -> Result<(), Without> {
    // R-CONTENT-01: a message is changed by the account that said it, from any of its devices, and by no other.
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
    }
    Ok(())
}

#[cfg(test)]
#[path = "timeline_test.rs"]
mod tests;
