//! Telling what happens, and telling it again.

use cipher_api::view::{MessageState, MessageView};
use cipher_api::{Cursor, Event, Notice, Result, Target};
use cipher_broker::id::GroupId;

use crate::effect::Effect;
use crate::machine::Core;
use crate::state::{Fact, Place};

impl Core {
    /// Tells an event, and keeps it if it is one of those that are kept.
    pub(crate) fn notify(&mut self, event: Event) {
        let fact = match &event {
            Event::State { group, id, state } => Some(Fact::State(*group, *id, *state)),
            Event::Group(view) => Some(Fact::Group(view.id)),
            Event::Warning { .. } | Event::Stopped { .. } => {
                serde_json::to_string(&event).ok().map(Fact::Words)
            }
            // Told with what they are about.
            Event::Message(_) | Event::Changed { .. } | Event::JoinRequest(_) | Event::Evidence(_) => None,
            // Of use only to who listens at the time.
            Event::Link { .. } | Event::Progress { .. } | Event::Presence { .. } | Event::Typing { .. } => {
                None
            }
            // Not of the core.
            Event::Connection { .. } | Event::Missed { .. } | Event::Unknown(_) => None,
        };
        match fact {
            Some(fact) => self.tell(fact, event),
            None => self.remind(event),
        }
    }

    /// Tells that a message or an observation took its place.
    pub(crate) fn tell_message(&mut self, place: Place, view: Box<MessageView>) {
        self.tell(Fact::Message(view.group, place), Event::Message(view));
    }

    /// Tells something that a person should know.
    pub(crate) fn warn(&mut self, notice: Notice) {
        self.notify(Event::Warning { notice });
    }

    /// Tells an event that can be told again from a fact.
    pub(crate) fn tell(&mut self, fact: Fact, event: Event) {
        let cursor = Some(Cursor(self.journal.note(fact)));
        self.run.effects.push(Effect::Notify { cursor, event });
    }

    /// Tells an event that has its place in the journal already, or that needs none.
    pub(crate) fn remind(&mut self, event: Event) {
        self.run.effects.push(Effect::Notify { cursor: None, event });
    }

    /// The event of a fact, as the store has it now; `None` when it is gone.
    pub(super) fn tell_again(&mut self, fact: Fact) -> Result<Option<Event>> {
        Ok(match fact {
            Fact::Message(group, place) => self.message_at(group, place)?.map(Event::Message),
            Fact::Changed(group, place) => self.message_at(group, place)?.map(Event::changed),
            Fact::Sent(group, place) => {
                let state = MessageState::Sent;
                self.message_at(group, place)?.map(|message| Event::State { group, id: message.id, state })
            }
            Fact::State(group, id, state) => Some(Event::State { group, id, state }),
            Fact::Group(group) => {
                let view = self
                    .resolve(&Target::Group(group))
                    .ok()
                    .map(|group| self.group_view(group))
                    .transpose()?;
                view.map(|view| Event::Group(Box::new(view)))
            }
            Fact::JoinRequest(number) => {
                let open = self.state.join_requests.get(&number).filter(|row| !row.key_package.is_empty());
                open.map(|row| Event::JoinRequest(Box::new(self.request_view(row))))
            }
            Fact::Evidence(number) => {
                let open = self.state.evidence.get(&number).filter(|row| !row.acknowledged);
                open.map(|row| Event::Evidence(Box::new(row.finding.view())))
            }
            Fact::Words(json) => serde_json::from_str(&json).ok(),
        })
    }

    fn message_at(&self, group: GroupId, place: Place) -> Result<Option<Box<MessageView>>> {
        let row = self.history.at(&group, place)?.filter(|row| row.is_shown() && !self.state.hides(row));
        Ok(row.map(|row| Box::new(self.message_view(group, place, &row))))
    }
}
