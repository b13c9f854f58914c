//! Stored messages and events as people see them.

use cipher_api::Target;
use cipher_api::view::{Body, GroupEvent, MessageState, MessageView, ReactionView, SenderView, WhoView};
use cipher_broker::codec;
use cipher_broker::id::{DeviceId, GroupId, MessageId};
use cipher_broker::wire::content::{self, Content};

use crate::content::{file, missing};
use crate::machine::Core;
use crate::state::position::sequence_of;
use crate::state::{Author, MessageRow, OutboxKind, Place, RowBody};

impl Core {
    /// A stored message as people see it.
    pub(crate) fn message_view(&self, group: GroupId, place: Place, row: &MessageRow) -> MessageView {
        // Whichever of the own devices said it.
        let own = self.state.identity.as_ref().is_some_and(|own| own.account == row.account);
        let (state, receipts) = match (row.failed, own) {
            (true, _) => (MessageState::Failed, Vec::new()),
            (false, true) => self.reached(&group, place, row),
            (false, false) => (MessageState::Received, Vec::new()),
        };
        MessageView {
            id: row.id,
            group,
            seq: (!row.failed).then_some(sequence_of(place.0)),
            from: SenderView {
                handle: self.state.handle_of(&row.account),
                account_id: row.account,
                device_id: row.device,
                kind: row.sender_kind,
            },
            sent_at: row.sent_at,
            at: row.at,
            unread: self.is_unread(&group, place.0, row),
            body: self.body(row),
            text: self.sentence(row),
            state,
            receipts,
            failure: row.failure.map(|why| Box::new(why.error(&self.state.conversation_name(&group)))),
            reply_to: row.reply_to,
            hops: row.hops,
            edited: row.edited.is_some(),
            deleted: row.deleted,
            reactions: self.reactions(row),
            attachments: row.attachments.iter().map(file::view).collect(),
        }
    }

    /// What stands under a message, without what blocked accounts put there.
    fn reactions(&self, row: &MessageRow) -> Vec<ReactionView> {
        let own = self.state.identity.as_ref().map(|own| own.account);
        let standing = row.reactions.standing().into_iter();
        let views = standing.map(|(emoji, mut by)| {
            by.retain(|account| !self.state.blocks(account));
            ReactionView {
                emoji: emoji.to_owned(),
                own: by.iter().any(|account| Some(*account) == own),
                by: by.iter().map(|account| self.state.handle_of(account)).collect(),
            }
        });
        views.filter(|view| !view.by.is_empty()).collect()
    }

    fn body(&self, row: &MessageRow) -> Body {
        match row.body() {
            RowBody::Text => Body::Text,
            RowBody::Missing => Body::Missing(self.missing_views(&row.text)),
            RowBody::Unknown(kind) => Body::Unknown(kind.to_owned()),
            RowBody::Change(..) | RowBody::Silent => Body::Unknown(String::new()),
            RowBody::Event(event, who) => Body::Event {
                event,
                who: vec![WhoView { handle: self.state.handle_of(&who), account_id: who }],
            },
        }
    }

    /// System lines are stored as facts and become sentences when they are shown, when handles are known.
    fn sentence(&self, row: &MessageRow) -> String {
        let (event, who) = match row.body() {
            RowBody::Event(event, who) => (event, who),
            RowBody::Missing => return missing::sentence(&self.missing_views(&row.text)),
            RowBody::Text | RowBody::Unknown(_) | RowBody::Change(..) | RowBody::Silent => {
                return row.text.clone();
            }
        };
        let (actor, subject) = (self.state.handle_of(&row.account), self.state.handle_of(&who));
        match event {
            GroupEvent::Joined => format!("@{subject} joined"),
            GroupEvent::Added => format!("@{actor} added @{subject}"),
            GroupEvent::DeviceAdded if actor == subject => {
                format!("@{actor} added {}", self.device_text(&row.text, None))
            }
            GroupEvent::DeviceAdded => {
                format!("@{actor} brought {} back", self.device_text(&row.text, Some(&subject)))
            }
            GroupEvent::DeviceRemoved => {
                format!("{} was removed", self.device_text(&row.text, Some(&subject)))
            }
            GroupEvent::Removed => format!("@{actor} removed @{subject}"),
            GroupEvent::Left => format!("@{subject} left"),
            GroupEvent::Banned => format!("@{actor} banned @{subject}"),
            GroupEvent::Unbanned => format!("@{actor} lifted the ban of @{subject}"),
            GroupEvent::Link => format!("@{actor} made a link to join by"),
            GroupEvent::LinkRevoked => format!("@{actor} revoked a link to join by"),
            GroupEvent::Renamed => format!("@{actor} renamed the group to '{}'", row.text),
            GroupEvent::Role => format!("@{actor} made @{subject} {}", row.text),
            GroupEvent::Missed if row.text.is_empty() => "messages may be missing here".to_owned(),
            GroupEvent::Missed => {
                format!("messages since {} may be missing: this device could not read them", row.text)
            }
            GroupEvent::Other => format!("@{actor} changed something that this version has no word for"),
        }
    }

    /// The device of an event as a person knows it: own devices by their name, others by their id; earlier versions did
    /// not keep which one it was.
    fn device_text(&self, id: &str, whose: Option<&str>) -> String {
        let of = whose.map_or_else(String::new, |whose| format!(" of @{whose}"));
        let Ok(device) = id.parse::<DeviceId>() else { return format!("a device{of}") };
        let own = self.state.identity.as_ref();
        let name = own.and_then(|own| own.names.get(&device)).filter(|name| !name.is_empty());
        match name {
            Some(name) => format!("the device '{name}'{of}"),
            None => format!("the device {}{of}", device.short()),
        }
    }

    /// An own message that is not in the log yet; of an own change the message as it will be.
    pub(super) fn outbox_view(&self, row: u64) -> Option<MessageView> {
        let (id, content) = self.queued(row)?;
        self.queued_view(row, id, content)
    }

    /// The same, if it has a line of its own: no change, and nothing that the device says by itself.
    pub(super) fn queued_line(&self, row: u64) -> Option<MessageView> {
        let (id, content) = self.queued(row).filter(|(_, content)| content.body.has_line())?;
        self.queued_view(row, id, content)
    }

    /// An own message in the outbox.
    pub(super) fn queued(&self, row: u64) -> Option<(MessageId, Content)> {
        let OutboxKind::Message { content, id } = &self.state.outbox.get(&row)?.kind else { return None };
        Some((*id, codec::decode(content).ok()?))
    }

    fn queued_view(&self, row: u64, id: MessageId, content: Content) -> Option<MessageView> {
        let row = self.state.outbox.get(&row)?;
        let own = self.state.identity.as_ref()?;
        let stored = row.seal.as_ref().and_then(|seal| seal.stored_at);
        let author = Author { account: own.account, device: own.device, kind: own.kind };
        let change = match &content.body {
            content::Body::Edit { of, text } => Some((*of, text.clone(), false)),
            content::Body::Delete { of } => Some((*of, String::new(), true)),
            _ => None,
        };
        if let content::Body::Reaction { of, emoji, removed } = &content.body
            && let Ok(Some((place, message))) =
                self.history.find(row.group, of, self.state.went_back(&row.group))
        {
            let mut view = self.message_view(row.group, place, &message);
            show_reaction(&mut view, &self.state.handle_of(&own.account), emoji, *removed);
            view.state = MessageState::Queued;
            return Some(view);
        }
        let mut view = self.message_view(row.group, (0, 0), &MessageRow::said(id, author, content));
        if let Some((of, text, deleted)) = change {
            (view.id, view.body, view.text) = (of, Body::Text, text);
            (view.edited, view.deleted) = (!deleted, deleted);
        }
        view.state = if stored.is_some() { MessageState::Sent } else { MessageState::Queued };
        (view.seq, view.unread, view.receipts) = (None, false, Vec::new());
        Some(view)
    }

    /// What the person changed while the broker could not be reached is shown as it will be, and that it waits.
    pub(super) fn show_waiting_changes(&self, group: GroupId, views: &mut [MessageView]) {
        for row in self.run.delivery.rows_of(group) {
            let Some((id, content)) = self.queued(row) else { continue };
            let Some(of) = content.body.changes() else { continue };
            let Some(view) = views.iter_mut().find(|view| view.id == of) else { continue };
            if let content::Body::Reaction { emoji, removed, .. } = &content.body {
                show_reaction(view, &self.state.handle_of(&self.state.own_id()), emoji, *removed);
                continue;
            }
            let Some(change) = self.queued_view(row, id, content) else { continue };
            (view.edited, view.deleted) = (view.edited || change.edited, change.deleted);
            (view.text, view.state) = (change.text, change.state);
        }
    }

    /// The conversations that a target means, of which `found` is one. With an account that is every direct one that we
    /// are or were in: two people who write to each other for the first time at once make two, and one that somebody left is
    /// followed by another.
    pub(super) fn conversations(&self, target: &Target, found: GroupId) -> Vec<GroupId> {
        let Target::Account(handle) = target else { return vec![found] };
        let Some(account) = self.state.account_of(handle) else { return vec![found] };
        let with = self.state.groups.iter().filter(|(_, row)| row.direct && row.peer == Some(account));
        with.map(|(group, _)| *group).collect()
    }
}

/// An own reaction that waits, as it will be.
fn show_reaction(view: &mut MessageView, own: &str, emoji: &str, removed: bool) {
    let at = view.reactions.iter().position(|known| known.emoji == emoji);
    match (at, removed) {
        (None, true) => {}
        (None, false) => {
            let by = vec![own.to_owned()];
            view.reactions.push(ReactionView { emoji: emoji.to_owned(), by, own: true });
        }
        (Some(at), removed) => {
            let Some(known) = view.reactions.get_mut(at) else { return };
            known.by.retain(|by| by != own);
            known.own = !removed;
            if !removed {
                known.by.push(own.to_owned());
            } else if known.by.is_empty() {
                view.reactions.remove(at);
            }
        }
    }
}
