//! What members said, as their leaves show it: kept, told, and nothing that a payload claims about itself believed.

use std::time::Duration;

use cipher_api::Result;
use cipher_api::view::ContactState;
use cipher_broker::id::{GroupId, MessageId};
use cipher_broker::time::Timestamp;
use cipher_broker::wire::content::{Body, Content};
use cipher_broker::{codec, limit};

use crate::content::file;
use crate::content::grant::Judged;
use crate::machine::Core;
use crate::state::live::Live;
use crate::state::{MessageRow, Powers, Skip};

/// Longest name of a kind, in bytes.
const KIND_BYTES: usize = 64;

/// How far a sender's clock may be ahead of the broker's.
pub(crate) const CLOCK_AHEAD: Duration = Duration::from_secs(600);

impl Core {
    /// An application message was opened.
    pub(crate) fn said(
        &mut self,
        group: GroupId,
        live: &Live,
        sender: Option<u32>,
        sequence: u64,
        payload: &[u8],
    ) -> Result<()> {
        // A11: who sent it is the leaf, never the payload.
        let Some(leaf) = sender.and_then(|index| live.roster.get(&index)).cloned() else {
            self.skip(Skip::Credential);
            return Ok(());
        };
        let Ok(mut content) = codec::decode::<Content>(payload) else {
            self.skip(Skip::Content);
            return Ok(());
        };
        if !is_within_limits(&content.body) {
            self.skip(Skip::Limit);
            return Ok(());
        }
        let id = MessageId::of_content(&group, &leaf.account, payload);
        if let Some(seen) = self.history.seen(&group, &id)? {
            self.shown_again(group, id, seen, sequence);
            self.skip(Skip::Repeat);
            return Ok(());
        }
        let personal = self.state.groups.get(&group).is_some_and(|row| row.personal);
        if let Body::Receipt(receipt) = &content.body
            && !personal
        {
            // Said twice it is worth no more, so nothing is kept of it but what it says.
            return self.receipt_came(group, &live.roster, leaf.account, sequence, receipt);
        }
        self.history.mark_seen(group, id, sequence);
        if let Some(head) = &content.head {
            self.gossiped(group, leaf.account, head);
        }
        match content.body {
            // R-SYNC-01: what changes this account's own state comes from its own devices, in their group.
            Body::Sync(data) if personal && self.state.is_sibling(&leaf) => {
                return self.told(leaf.device, &data);
            }
            Body::Sync(_) => {
                self.skip(Skip::Policy);
                return Ok(());
            }
            _ if personal => {
                self.skip(Skip::Policy);
                return Ok(());
            }
            _ if content.body.is_malformed() => {
                self.skip(Skip::Content);
                return Ok(());
            }
            _ => {}
        }
        content.attachments = file::counted(content.attachments);
        // F13: nobody says anything after the broker had it; what is parked meanwhile was there even before.
        let latest = self.run.group.delivered_at();
        if latest > Timestamp::default() {
            content.sent_at = content.sent_at.min(latest.plus(CLOCK_AHEAD));
        }
        self.state.came_after_all(group, &id);
        let powers = Powers::of(&live.data, &leaf.account);
        let entry_at = self.run.group.entry_at(self.run.now);
        let lacked = match &content.body {
            Body::HistoryGrant(grant) => {
                let by = (leaf.account, powers);
                let to_member = live.roster.values().any(|leaf| leaf.account == grant.to);
                let (judged, line) = self.grant_judged(group, by, to_member, grant, (id, entry_at));
                let counts = matches!(judged, Judged::Begins | Judged::GoesOn);
                if counts && grant.to == self.state.own_id() && !self.state.blocks(&leaf.account) {
                    self.grant_came(group, live, leaf.author(), powers, grant)?;
                }
                match line {
                    Some(line) => Some(line),
                    None => return Ok(()),
                }
            }
            Body::Missing(missing) => match self.told_missing(group, &leaf, missing)? {
                Some(lacked) => Some(lacked),
                None => return Ok(()),
            },
            _ => None,
        };
        let accepted = content.body == Body::ContactAccepted;
        let change = Self::waiting_change(id, leaf.account, sequence, &content, powers);
        let mut row = MessageRow::said(id, leaf.author(), content);
        if let Some(lacked) = lacked {
            row.text = lacked;
        }
        row.at = Some(entry_at);
        self.will_expire(group, (sequence, 0), &mut row, powers);
        if accepted {
            self.run.received = self.run.received.saturating_add(1);
            let direct = self.state.groups.get(&group).is_some_and(|row| row.direct);
            if direct && self.state.contact_state(&row.account) == Some(ContactState::Pending) {
                self.state.set_contact(&row.account, ContactState::Accepted);
            }
            return Ok(());
        }
        if let Some((of, change)) = change {
            // Its place is kept for bots; what people see is the message.
            self.run.received = self.run.received.saturating_add(1);
            // In effect or not, for bots: what waits for its message is told with that.
            row.edited = self.change_came(group, &change, of)?.counts();
            self.leaves_a_mark(&mut row);
            self.history.insert(group, (sequence, 0), row);
            return Ok(());
        }
        self.run.people.has_said(group, row.account);
        // One that was forgotten before it came is nothing to read.
        if self.state.hides(&row) || row.forgotten {
            self.history.insert(group, (sequence, 0), row);
            return self.change_arrived(group, (sequence, 0), &id);
        }
        self.run.received = self.run.received.saturating_add(1);
        let own = row.account == self.state.own_id();
        self.history.insert(group, (sequence, 0), row.clone());
        // D01: what was said on another own device does not show that anything was read there; it tells that itself.
        if !own {
            let named = u64::from(self.names_us(&row));
            if let Some(known) = self.state.groups.get_mut(&group)
                && known.read_to.is_none_or(|read_to| read_to < sequence)
            {
                known.unread = known.unread.saturating_add(1);
                known.mentions = known.mentions.saturating_add(named);
            }
        }
        // Counted by now: the event says of it what reading it would say.
        let view = Box::new(self.message_view(group, (sequence, 0), &row));
        if !own {
            self.receipt_due_soon(group);
        }
        self.tell_message((sequence, 0), view);
        self.change_arrived(group, (sequence, 0), &id)
    }
}

/// Whether nothing of it is larger than anybody may send.
fn is_within_limits(body: &Body) -> bool {
    let fits = match body {
        Body::Sync(data) => data.len() <= limit::SYNC_BYTES,
        Body::Unknown { data, .. } => data.as_ref().is_none_or(|data| data.len() <= limit::SYNC_BYTES),
        Body::HistoryGrant(grant) => grant.sealed.len() <= limit::GRANT_PIECE_BYTES,
        Body::Vote { choices, .. } => choices.len() <= limit::POLL_OPTIONS,
        Body::Text(_)
        | Body::Edit { .. }
        | Body::Delete { .. }
        | Body::Reaction { .. }
        | Body::Pin { .. }
        | Body::Poll { .. }
        | Body::PollClosed { .. }
        | Body::ContactAccepted
        | Body::Missing(_)
        | Body::Receipt(_) => true,
    };
    fits && body.text_bytes() <= limit::TEXT_BYTES && body.kind().len() <= KIND_BYTES
}
