//! The message that a person names, by its id or the beginning of it.

use cipher_api::command::message::MessageRef;
use cipher_api::{Advice, ErrorKind, Hint, Result, Target};
use cipher_broker::id::{GroupId, MessageId};

use crate::machine::Core;
use crate::state::{MessageRow, Place};

/// The message that a person named; without a row it waits in the outbox.
pub(super) struct Meant {
    pub group: GroupId,
    pub id: MessageId,
    pub row: Option<(Place, MessageRow)>,
}

/// What a person can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nameable {
    Messages,
    /// Events too, which have ids and can be given no other words.
    Lines,
}

impl Core {
    /// The one message that a whole id or a beginning of one names.
    pub(super) fn meant(&self, message: &MessageRef) -> Result<Meant> {
        self.named(message, Nameable::Messages)
    }

    /// The same of any line, events too.
    pub(super) fn line_meant(&self, message: &MessageRef) -> Result<Meant> {
        self.named(message, Nameable::Lines)
    }

    /// The message that is answered: a whole id is taken as it is, for what it names may not be here.
    pub(super) fn replied_to(&self, target: &Target, id: String) -> Result<MessageId> {
        let id = match id.parse() {
            Ok(id) => id,
            Err(_) => self.meant(&MessageRef { id, within: Some(target.clone()) })?.id,
        };
        // R-GRANT-07: others know what a member gave to this account by the id that it has for them.
        let groups = self.resolve(target).map(|group| self.conversations(target, group)).unwrap_or_default();
        for group in groups {
            let found = self.history.find(group, &id, self.state.went_back(&group))?;
            if let Some(of) = found.as_ref().and_then(|(_, row)| row.granted()) {
                return Ok(of.id);
            }
        }
        Ok(id)
    }

    fn named(&self, message: &MessageRef, what: Nameable) -> Result<Meant> {
        self.state.identity()?;
        let (first, last) = MessageId::beginning_with(&message.id)
            .map_err(|invalid| ErrorKind::Usage.because(invalid.to_string()))?;
        let groups = match &message.within {
            Some(target) => self.conversations(target, self.resolve(target)?),
            None => self.state.groups.iter().filter(|(_, row)| !row.personal).map(|(id, _)| *id).collect(),
        };
        let mut found = Vec::new();
        for group in groups {
            found.extend(self.named_in(group, (first, last), what)?);
        }
        match found.len() {
            0 => Err(ErrorKind::NotFound
                .because(format!("there is no message whose id begins with '{}'", message.id))
                .hint(Hint::MessageRead)),
            1 => Ok(found.swap_remove(0)),
            several => Err(ErrorKind::Usage
                .because(format!("{several} messages have ids that begin with '{}'", message.id))
                .hint(Advice::MoreOfId)),
        }
    }

    /// Messages of a conversation whose ids lie between two: in the log, in the outbox, or never delivered.
    fn named_in(
        &self,
        group: GroupId,
        (first, last): (MessageId, MessageId),
        what: Nameable,
    ) -> Result<Vec<Meant>> {
        let mut found = Vec::new();
        let mut ids = self.history.ids_between(&group, first, last)?;
        ids.sort();
        ids.dedup();
        for id in ids {
            // Changes and what devices tell each other have ids, and no line that a person sees.
            let row = self
                .history
                .find(group, &id, self.state.went_back(&group))?
                .filter(|(_, row)| row.is_shown());
            found.extend(row.map(|row| Meant { group, id, row: Some(row) }));
        }
        let waiting = self.run.delivery.rows_of(group);
        let waiting = waiting.filter_map(|row| self.queued(row));
        let waiting = waiting.filter(|(id, content)| (first..=last).contains(id) && content.body.has_line());
        for (id, _) in waiting.collect::<Vec<_>>() {
            if found.iter().all(|known| known.id != id) {
                found.push(Meant { group, id, row: None });
            }
        }
        if found.is_empty() {
            let has = |row: &MessageRow| row.failed || (what == Nameable::Lines && !row.is_said());
            let fits = |row: &MessageRow| has(row) && (first..=last).contains(&row.id);
            let failed = self.history.before(&group, (u64::MAX, u16::MAX), 2, fits)?;
            found.extend(failed.into_iter().map(|row| Meant { group, id: row.1.id, row: Some(row) }));
        }
        Ok(found)
    }
}
