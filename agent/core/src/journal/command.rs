//! Requests about events.

use std::collections::BTreeSet;

use cipher_api::command::EventCommand as E;
use cipher_api::command::event::{Acknowledge, List};
use cipher_api::reply::Done;
use cipher_api::view::{EventsView, KeptEvent};
use cipher_api::{Advice, Cursor, Error, ErrorKind, Reply, Result};

use crate::machine::Core;
use crate::state::{Fact, SubscriberRow};

/// Events that are given at once.
const PAGE: usize = 1024;
/// Longest name of a subscriber.
const NAME_BYTES: usize = 64;

impl Core {
    /// Gives events behind a cursor, or notes what a subscriber has.
    pub(crate) fn event_command(&mut self, command: E) -> Result<Reply> {
        match command {
            E::List(list) => self.events(list).map(Reply::from),
            E::Acknowledge(acknowledge) => self.acknowledge_events(acknowledge).map(Reply::from),
        }
    }

    fn events(&mut self, List { after, subscriber, limit }: List) -> Result<EventsView> {
        let stands = match &subscriber {
            Some(name) => self.journal.subscriber(named(name)?).map(|row| row.cursor),
            None => None,
        };
        let after = after.map(|cursor| cursor.0).or(stands).unwrap_or_else(|| self.journal.last());
        self.is_one_of_ours(after)?;
        let page = self.journal.behind(after, limit.min(PAGE))?;
        // Of a group only how it is now can be told: once is enough.
        let mut groups = BTreeSet::new();
        let mut events = Vec::new();
        for (number, fact) in page.facts.into_iter().rev() {
            if let Fact::Group(group) = &fact
                && !groups.insert(*group)
            {
                continue;
            }
            events.extend(self.tell_again(fact)?.map(|event| KeptEvent { cursor: Cursor(number), event }));
        }
        events.reverse();
        Ok(EventsView {
            events,
            next: Cursor(page.next),
            more: page.next < self.journal.last(),
            missed: page.missed,
            known: stands.is_some(),
        })
    }

    fn acknowledge_events(&mut self, Acknowledge { subscriber, cursor }: Acknowledge) -> Result<Done> {
        let stands = self.journal.subscriber(named(&subscriber)?).map(|row| row.cursor);
        self.is_one_of_ours(cursor.0)?;
        if stands.is_none_or(|stands| stands < cursor.0) {
            let row = SubscriberRow { cursor: cursor.0, at: self.run.now };
            if !self.journal.moved(subscriber, row) {
                return Err(ErrorKind::Limit.because(
                    "as many subscribers as are kept have names already: one that says nothing for 30 days gives its place up",
                ));
            }
        }
        Ok(Done {})
    }

    /// A cursor of another profile, or of a later state of this one, of which this is an earlier copy.
    fn is_one_of_ours(&self, cursor: u64) -> Result<()> {
        if cursor <= self.journal.last() {
            return Ok(());
        }
        Err(ErrorKind::NotFound
            .because(format!(
                "the cursor {cursor} is not one of this profile, whose last event has {}: it was put back to an earlier state, \
                 or the cursor is of another one",
                self.journal.last()
            ))
            .hint(Advice::BeginWithoutCursor))
    }
}

fn named(name: &str) -> Result<&str, Error> {
    if name.is_empty() || name.len() > NAME_BYTES || name.chars().any(char::is_control) {
        let why = format!("the name of a subscriber has 1 to {NAME_BYTES} bytes, and no control characters");
        return Err(ErrorKind::Usage.because(why));
    }
    Ok(name)
}
