//! A member gives another one messages of before it came.
//!
//! ```text
//! history grant ─► may one? ─► what is here, as it stands ─► pieces, each under a key of its own ─► outbox ─► the log
//!                                      sealed to the leaves of who gets them, when the piece is ─┘
//! a piece in the log ─► judge ─► the first of a grant: a line for every member      in `granted`: what is opened and kept
//! ```
//!
//! Every piece says what the line says, so none of them waits for another one, in whatever order they come.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::Duration;

use cipher_api::command::history::Grant;
use cipher_api::view::GroupEvent;
use cipher_api::{Advice, ErrorKind, Hint, Reply, Result};
use cipher_broker::id::{AccountId, GroupId, MessageId};
use cipher_broker::time::Timestamp;
use cipher_broker::wire::content::{Attachment, Body, Content, GrantedMessage, GrantedOf, HistoryGrant};
use cipher_broker::{codec, limit};
use cipher_seal::Key;
use rand_core::OsRng;
use serde_bytes::ByteArray;

use crate::content::heard::CLOCK_AHEAD;
use crate::input::Ticket;
use crate::machine::Core;
use crate::state::history::stretch::{End, Verdict};
use crate::state::{Begun, GrantLine, GrantsRow, MessageRow, Place, Powers, RowBody, Skip, position};

/// Bytes of messages in one piece, about: a single long message may be more.
const PIECE_BYTES: usize = 96 * 1024;
/// What sealing makes of a piece at most, beside its messages.
const SEALING_BYTES: usize = 1024;

/// What is judged of a piece, and by what: nothing else decides.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece<'a> {
    pub giver: AccountId,
    /// What the group lets the giver do in the epoch of the piece.
    pub powers: Powers,
    /// Whether the account that is to get the messages is a member in that epoch.
    pub to_member: bool,
    pub grant: &'a HistoryGrant,
    /// When the broker stored it.
    pub at: Timestamp,
    /// What came of the grant before.
    pub begun: Option<&'a Begun>,
}

/// What a piece is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judged {
    /// The first one of a grant that came.
    Begins,
    /// Another one of a grant that every member was told of.
    GoesOn,
    /// The first one of a grant that may not be, and the rule by which: told as that, and nothing is kept.
    Refused(&'static str),
    /// Nothing.
    Nothing(Skip),
}

/// Judges a piece as every member does.
pub(super) fn judge(piece: &Piece<'_>) -> Judged {
    let Piece { giver, powers, to_member, grant, at, begun } = piece;
    // R-GRANT-03: there is an end to how much, and nothing of it is said after it was given.
    let count = usize::try_from(grant.count).unwrap_or(usize::MAX);
    let sound = (1..=limit::GRANT_MESSAGES).contains(&count)
        && grant.piece < grant.pieces
        && usize::from(grant.pieces) <= limit::GRANT_PIECES
        && grant.keys.len() <= limit::DEVICES_PER_ACCOUNT
        && grant.sealed.len() <= limit::GRANT_PIECE_BYTES
        && grant.from <= grant.until
        && grant.until <= at.plus(CLOCK_AHEAD)
        && grant.to != *giver;
    if !sound {
        return Judged::Nothing(Skip::Limit);
    }
    // R-GRANT-01: who gives is for the group to say, in the epoch in which a member does so.
    // R-GRANT-02: only a member gets something.
    let refused = match (powers.grant, to_member) {
        (false, _) => Some("R-GRANT-01"),
        (true, false) => Some("R-GRANT-02"),
        (true, true) => None,
    };
    match (begun, refused) {
        // R-GRANT-06: all pieces say what every member was told when the first of them came.
        (Some(begun), None) if begun.pieces == grant.pieces && begun.says == GrantLine::of(grant, false) => {
            Judged::GoesOn
        }
        (Some(_), _) => Judged::Nothing(Skip::Policy),
        (None, Some(rule)) => Judged::Refused(rule),
        (None, None) => Judged::Begins,
    }
}

impl Core {
    /// Gives a member messages of before it came. Answered with the line that tells of it, once the last piece is in the log.
    pub(super) fn grant_history(&mut self, ticket: Ticket, asked: &Grant) -> Result<Option<Reply>> {
        self.state.identity()?;
        check_amount(asked)?;
        let group = self.resolve(&asked.target)?;
        self.state.must_be_active(group)?;
        if self.state.groups.get(&group).is_some_and(|row| row.direct || row.personal) {
            return Err(ErrorKind::Refused.because("nobody joins a direct conversation later"));
        }
        let name = self.state.conversation_name(&group);
        let stranger = || {
            ErrorKind::NotFound
                .because(format!("{} is not a member of '{name}'", asked.who))
                .hint(Hint::GroupShow { group: asked.target.clone() })
        };
        let to = self.state.account_by(&asked.who).ok_or_else(stranger)?;
        let own = self.state.own_id();
        if to == own {
            return Err(
                ErrorKind::Usage.because("one gives history to others; own devices have it from each other")
            );
        }
        if !self.has_member(group, &to)? {
            return Err(stranger());
        }
        let may = self.with_live(group, |_, live| Ok(Powers::of(&live.data, &own).grant))?;
        if !may {
            return Err(ErrorKind::Refused
                .because(format!("'{name}' does not let you give members messages of before they came"))
                .hint(Advice::AskAdmin));
        }
        if !self.run.connected || self.state.is_lost(&group) {
            return Err(ErrorKind::Unreachable
                .because("history is given while the broker can be reached; nothing was given")
                .hint(Advice::CheckBroker));
        }
        let messages = self.to_grant(group, &to, asked)?;
        let (Some(first), Some(last)) = (messages.first(), messages.last()) else {
            return Err(ErrorKind::NotFound.because(format!(
                "there is nothing to give: this device has no message of before {} came",
                asked.who
            )));
        };
        let times = messages.iter().map(said_at);
        let (from, until) =
            (times.clone().min().unwrap_or(first.sent_at), times.max().unwrap_or(last.sent_at));
        let row = self.enqueue_grant(group, to, &messages, (from, until))?;
        self.sent_or_queued(ticket, group, row)
    }

    /// Puts all pieces into the outbox; the row of the last one.
    fn enqueue_grant(
        &mut self,
        group: GroupId,
        to: AccountId,
        messages: &[GrantedMessage],
        (from, until): (Timestamp, Timestamp),
    ) -> Result<u64> {
        let pieces = pieces(messages);
        self.state.must_have_room(pieces.len())?;
        let (id, count) =
            (ByteArray::new(self.provider.bytes()), u32::try_from(messages.len()).unwrap_or(u32::MAX));
        let number = u16::try_from(pieces.len()).unwrap_or(u16::MAX);
        let mut sending = BTreeMap::new();
        let mut last = 0;
        for (piece, messages) in (0..).zip(&pieces) {
            let key: [u8; 32] = self.provider.bytes();
            let own = self.state.own_id();
            let place = HistoryGrant::place(&group, &own, &id, piece);
            let sealing =
                Key::from_slice(&key).ok_or_else(|| ErrorKind::Bug.because("a key of 32 bytes is none"))?;
            let sealed = cipher_seal::seal(&sealing, &place, &codec::encode(messages), &mut OsRng).into();
            sending.insert((id, piece), ByteArray::new(key));
            let keys = Vec::new();
            let grant = HistoryGrant { id, to, count, from, until, piece, pieces: number, keys, sealed };
            let content = self.content(Body::HistoryGrant(grant), None);
            last = self.enqueue_message(group, &content)?;
        }
        let mut row = self.state.grants.get(&group).cloned().unwrap_or_default();
        if self.run.delivery.rows_of(group).count() <= pieces.len() {
            // Of pieces that never got into the log.
            row.sending.clear();
        }
        row.sending.append(&mut sending);
        self.state.grants.insert(group, row);
        Ok(last)
    }

    /// R-GRANT-04: the latest messages of before the account came, oldest first: what this device has itself, as it stands.
    fn to_grant(&self, group: GroupId, to: &AccountId, asked: &Grant) -> Result<Vec<GrantedMessage>> {
        let came = |row: &MessageRow| matches!(row.body(), RowBody::Event(GroupEvent::Added | GroupEvent::Joined, who) if who == *to);
        let last = self.history.last(&group, 1, came)?;
        let Some((came_at, _)) = last.first() else { return Ok(Vec::new()) };
        let now = self.run.now;
        let since = asked.age_seconds.map(|seconds| now.minus(Duration::from_secs(seconds)));
        let most =
            asked.last.map_or(limit::GRANT_MESSAGES, |last| usize::try_from(last).unwrap_or(usize::MAX));
        let judge = |_: Place, row: &MessageRow| {
            let young = since.is_none_or(|since| row.at.unwrap_or(row.sent_at) >= since);
            if young && self.may_be_given(&group, row) { Verdict::Take } else { Verdict::Pass }
        };
        let bounds = (Bound::Unbounded, Bound::Excluded(*came_at));
        let rows = self.history.stretch(&group, bounds, End::Newest, most, judge)?;
        let era = self.state.groups.get(&group).map_or(0, |row| row.era);
        let (mut found, mut bytes) = (Vec::new(), 0usize);
        for (place, row) in rows {
            let message = self.as_granted(&row, place, era);
            let size = codec::encode(&message).len();
            if size.saturating_add(SEALING_BYTES) > limit::GRANT_PIECE_BYTES {
                continue;
            }
            bytes = bytes.saturating_add(size);
            if bytes > limit::GRANT_BYTES {
                break;
            }
            found.push(message);
        }
        found.reverse();
        Ok(found)
    }

    /// R-GRANT-04: words of a member that stand here, that this device read itself, and that do not disappear.
    fn may_be_given(&self, group: &GroupId, row: &MessageRow) -> bool {
        let words = match row.body() {
            RowBody::Text => !row.text.is_empty() || !row.attachments.is_empty(),
            RowBody::Poll => true,
            RowBody::Grant
            | RowBody::Granted(_)
            | RowBody::Missing
            | RowBody::Unknown(_)
            | RowBody::Change(..)
            | RowBody::Silent
            | RowBody::Event(..) => false,
        };
        let disappears = row.expire.is_some() || row.expires_at.is_some();
        words
            && !disappears
            && !row.deleted
            && !row.failed
            && !self.state.hides(row)
            && !self.state.is_over(group, row, self.run.now)
    }

    fn as_granted(&self, row: &MessageRow, place: Place, era: u16) -> GrantedMessage {
        let (sequence, ago) = position::told(place.0, era);
        let mut text = self.words(row);
        for option in row.poll.iter().flat_map(|poll| &poll.options) {
            text.push_str("\n- ");
            text.push_str(option);
        }
        GrantedMessage {
            of: GrantedOf {
                id: row.id,
                account: row.account,
                kind: row.sender_kind,
                reply_to: row.reply_to,
                edited: row.edited.is_some(),
            },
            sequence,
            ago,
            sent_at: row.sent_at,
            at: row.at,
            text,
            forwarded: row.forwarded,
            // Previews would take the room of words.
            attachments: row
                .attachments
                .iter()
                .map(|file| Attachment { preview: None, ..file.clone() })
                .collect(),
        }
    }

    /// A piece took its place in the log: what it is, and the line that tells of its grant if it is the first.
    pub(super) fn grant_judged(
        &mut self,
        group: GroupId,
        (giver, powers): (AccountId, Powers),
        to_member: bool,
        grant: &HistoryGrant,
        (line, at): (MessageId, Timestamp),
    ) -> (Judged, Option<String>) {
        let mut row: GrantsRow = self.state.grants.get(&group).cloned().unwrap_or_default();
        let begun = row.begun(&giver, &grant.id);
        let judged = judge(&Piece { giver, powers, to_member, grant, at, begun });
        let refused = match judged {
            Judged::Begins => false,
            Judged::Refused(rule) => {
                tracing::debug!(rule, group = group.short(), "a grant of history is refused");
                true
            }
            Judged::GoesOn => return (judged, None),
            Judged::Nothing(class) => {
                self.skip(class);
                return (judged, None);
            }
        };
        let says = GrantLine::of(grant, refused);
        row.begin(Begun { giver, id: grant.id, line, says, pieces: grant.pieces });
        self.state.grants.insert(group, row);
        (judged, Some(says.to_text()))
    }

    /// An own piece has its place in the log: the line of its grant if it is the first.
    pub(super) fn own_grant_line(
        &mut self,
        group: GroupId,
        content: &Content,
        powers: Powers,
        line: MessageId,
    ) -> Option<String> {
        let Body::HistoryGrant(grant) = &content.body else { return None };
        if let Some(row) = self.state.grants.get_mut(&group) {
            row.sending.remove(&(grant.id, grant.piece));
        }
        let (own, now) = (self.state.own_id(), self.run.now);
        // Who gets it was a member when it was sealed, or the giver may not.
        self.grant_judged(group, (own, powers), true, grant, (line, now)).1
    }

    /// The line that tells of the grant of an own piece.
    pub(super) fn line_of_grant(
        &self,
        group: GroupId,
        grant: &HistoryGrant,
    ) -> Result<Option<(Place, MessageRow)>> {
        let row = self.state.grants.get(&group);
        let begun = row.and_then(|row| row.begun(&self.state.own_id(), &grant.id));
        match begun {
            Some(begun) => self.history.find(group, &begun.line, self.state.went_back(&group)),
            None => Ok(None),
        }
    }
}

fn said_at(message: &GrantedMessage) -> Timestamp {
    message.at.unwrap_or(message.sent_at)
}

fn check_amount(asked: &Grant) -> Result<()> {
    let most = limit::GRANT_MESSAGES;
    match (asked.last, asked.age_seconds) {
        (Some(0), None) | (None, Some(0)) => {
            Err(ErrorKind::Usage.because("one message, or a second, is the least that is given"))
        }
        (Some(last), None) if last > most as u64 => {
            Err(ErrorKind::Limit.because(format!("{most} messages are given at once at most")))
        }
        (Some(_), None) | (None, Some(_)) => Ok(()),
        (Some(_), Some(_)) | (None, None) => {
            Err(ErrorKind::Usage.because("one says how many messages, or of how long a time: one of the two"))
        }
    }
}

/// Messages in the order in which they come, as many to a piece as fit.
fn pieces(messages: &[GrantedMessage]) -> Vec<Vec<GrantedMessage>> {
    let mut pieces: Vec<Vec<GrantedMessage>> = Vec::new();
    let mut bytes = usize::MAX;
    for message in messages {
        let size = codec::encode(message).len();
        bytes = bytes.saturating_add(size);
        match pieces.last_mut() {
            Some(piece) if bytes <= PIECE_BYTES => piece.push(message.clone()),
            _ => {
                pieces.push(vec![message.clone()]);
                bytes = size;
            }
        }
    }
    pieces
}

#[cfg(test)]
#[path = "grant_test.rs"]
mod tests;
