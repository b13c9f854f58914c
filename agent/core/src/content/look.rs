//! Looking at single messages: one as it stands, the words that it had, a thread, what is pinned.

use std::cell::RefCell;

use cipher_api::command::message::MessageRef;
use cipher_api::view::{EditView, MessageView};
use cipher_api::{ErrorKind, Reply, Result, Target};
use cipher_broker::id::{GroupId, MessageId};
use cipher_broker::wire::content::Body;

use crate::content::named::Meant;
use crate::machine::Core;
use crate::state::{MessageRow, PinsRow, Place};

/// Behind everything.
const END: Place = (u64::MAX, u16::MAX);

impl Core {
    /// One message, with what waits here to change it.
    pub(super) fn message_show(&self, message: &MessageRef) -> Result<Reply> {
        let meant = self.meant(message)?;
        let view = self.meant_view(&meant).ok_or_else(gone)?;
        Ok(Reply::Message(Box::new(view)))
    }

    /// The words that it has and had, the first ones first.
    pub(super) fn message_edits(&self, message: &MessageRef) -> Result<Reply> {
        let meant = self.meant(message)?;
        let (_, row) = self.stands_or_waits(meant.group, &meant.id).ok_or_else(gone)?;
        // R-FORGET-06, R-CONTACT-02: what is due, or of a blocked account, is not shown, nor what it was before.
        if self.state.is_over(&meant.group, &row, self.run.now) || self.state.hides(&row) {
            return Ok(Reply::Edits(Vec::new()));
        }
        let edit = |text: String, at, current| EditView { message: meant.id, text, at, current };
        let before = row.versions.iter().map(|version| edit(version.text.clone(), version.sent_at, false));
        let mut edits: Vec<EditView> = before.collect();
        if row.is_words() && !row.deleted {
            let view = self.message_view(meant.group, Place::default(), &row);
            edits.push(edit(view.text, row.edited_at.unwrap_or(row.sent_at), true));
        }
        Ok(Reply::Edits(edits))
    }

    /// The message that began a thread, and what was said in it, oldest first.
    pub(super) fn message_thread(&self, message: &MessageRef) -> Result<Reply> {
        let meant = self.meant(message)?;
        let named = self.stands_or_waits(meant.group, &meant.id).ok_or_else(gone)?.1;
        let root = named.thread.unwrap_or(meant.id);
        let mut views: Vec<MessageView> = Vec::new();
        let begins = self.history.find(meant.group, &root, self.state.went_back(&meant.group))?;
        let shown = |row: &MessageRow| !self.state.hides(row);
        // What answers lies behind; of a beginning that is not here everything may.
        let from = begins.as_ref().map_or(Place::default(), |(place, _)| *place);
        if let Some((place, row)) = begins.filter(|(_, row)| row.is_shown() && shown(row)) {
            views.push(self.message_view(meant.group, place, &row));
        }
        let wanted = |row: &MessageRow| row.thread == Some(root) && row.is_shown() && shown(row);
        for (place, row) in self.history.between(&meant.group, (from, END), wanted)? {
            views.push(self.message_view(meant.group, place, &row));
        }
        let waits = self.run.delivery.rows_of(meant.group).filter_map(|row| self.queued_line(row));
        let waits = waits.filter(|view| view.thread == Some(root) || view.id == root);
        for view in waits.collect::<Vec<_>>() {
            if views.iter().all(|known| known.id != view.id) {
                views.push(view);
            }
        }
        self.show_waiting_changes(meant.group, &mut views);
        Ok(Reply::Messages(views))
    }

    /// What is pinned, in the order in which it was.
    pub(super) fn message_pins(&mut self, target: &Target) -> Result<Reply> {
        let found = self.resolve(target)?;
        let mut views = Vec::new();
        for group in self.conversations(target, found) {
            let mut pinned_here = Vec::new();
            for id in self.pins_of(group)? {
                let pinned = self.history.find(group, &id, self.state.went_back(&group))?;
                let pinned = pinned.filter(|(_, row)| !self.state.hides(row));
                pinned_here.extend(pinned.map(|(place, row)| self.message_view(group, place, &row)));
            }
            self.show_waiting_changes(group, &mut pinned_here);
            pinned_here.retain(|view| view.pinned_by.is_some());
            views.append(&mut pinned_here);
        }
        Ok(Reply::Messages(views))
    }

    /// The pinned messages. The first time somebody asks they are looked for; from then on they are known. One whose pin waits to be
    /// sent comes last.
    fn pins_of(&mut self, group: GroupId) -> Result<Vec<MessageId>> {
        if self.state.pins.get(&group).is_none() {
            let pins = RefCell::new(PinsRow::default());
            self.history.between(&group, (Place::default(), END), |row| {
                if let Some(pin) = row.pin.filter(|pin| !pin.removed) {
                    pins.borrow_mut().put(pin.position, row.id);
                }
                false
            })?;
            self.state.pins.insert(group, pins.into_inner());
        }
        let mut ids = self.state.pins.get(&group).map(PinsRow::ids).unwrap_or_default();
        for (_, content) in self.run.delivery.rows_of(group).filter_map(|row| self.queued(row)) {
            if let Body::Pin { of, removed: false } = content.body
                && !ids.contains(&of)
            {
                ids.push(of);
            }
        }
        Ok(ids)
    }

    fn meant_view(&self, meant: &Meant) -> Option<MessageView> {
        let view = match &meant.row {
            Some((place, row)) => self.message_view(meant.group, *place, row),
            None => {
                let mut rows = self.run.delivery.rows_of(meant.group);
                rows.find_map(|row| self.queued_line(row).filter(|view| view.id == meant.id))?
            }
        };
        let mut views = [view];
        self.show_waiting_changes(meant.group, &mut views);
        let [view] = views;
        Some(view)
    }
}

fn gone() -> cipher_api::Error {
    ErrorKind::NotFound.because("the message is not here any more")
}
