//! What is kept of the events that were told.

use std::collections::BTreeMap;

use cipher_api::view::MessageState;
use cipher_broker::id::{GroupId, MessageId};
use cipher_broker::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::state::Place;

/// An event: what it was about, not what it said. So nothing is kept here that a person took back elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fact {
    /// A message took its place.
    Message(GroupId, Place),
    /// The own message at this place is sent.
    Sent(GroupId, Place),
    /// The words of the message at this place changed.
    Changed(GroupId, Place),
    /// An own message moved on.
    State(GroupId, MessageId, MessageState),
    /// A group is new, changed or gone.
    Group(GroupId),
    /// A request to join, by its number.
    JoinRequest(u64),
    /// Evidence, by its number.
    Evidence(u64),
    /// A warning, and what has no row of its own: the event in JSON.
    Words(String),
}

/// The facts of one batch as they are stored. Most are of few conversations, whose ids are here once: every message that is
/// sent writes two of them.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct FactsRow {
    #[serde(rename = "g")]
    groups: Vec<GroupId>,
    #[serde(rename = "f")]
    facts: Vec<StoredFact>,
}

/// A [`Fact`]; the conversation by its place in the list of the row.
#[derive(Debug, Serialize, Deserialize)]
enum StoredFact {
    #[serde(rename = "m")]
    Message(usize, u64, u16),
    #[serde(rename = "d")]
    Sent(usize, u64, u16),
    #[serde(rename = "c")]
    Changed(usize, u64, u16),
    #[serde(rename = "s")]
    State(usize, MessageId, MessageState),
    #[serde(rename = "g")]
    Group(usize),
    #[serde(rename = "j")]
    JoinRequest(u64),
    #[serde(rename = "e")]
    Evidence(u64),
    #[serde(rename = "w")]
    Words(String),
}

impl FactsRow {
    /// As they are stored.
    pub(crate) fn of(facts: &[Fact]) -> Self {
        let mut groups: Vec<GroupId> = Vec::new();
        let mut known: BTreeMap<GroupId, usize> = BTreeMap::new();
        let mut place_of = |group: &GroupId| {
            *known.entry(*group).or_insert_with(|| {
                groups.push(*group);
                groups.len().saturating_sub(1)
            })
        };
        let facts = facts.iter().map(|fact| match fact {
            Fact::Message(group, at) => StoredFact::Message(place_of(group), at.0, at.1),
            Fact::Sent(group, at) => StoredFact::Sent(place_of(group), at.0, at.1),
            Fact::Changed(group, at) => StoredFact::Changed(place_of(group), at.0, at.1),
            Fact::State(group, id, state) => StoredFact::State(place_of(group), *id, *state),
            Fact::Group(group) => StoredFact::Group(place_of(group)),
            Fact::JoinRequest(number) => StoredFact::JoinRequest(*number),
            Fact::Evidence(number) => StoredFact::Evidence(*number),
            Fact::Words(json) => StoredFact::Words(json.clone()),
        });
        let facts = facts.collect();
        Self { groups, facts }
    }

    /// How many there are.
    pub(crate) const fn len(&self) -> usize {
        self.facts.len()
    }

    /// The facts; `None` where one cannot be read.
    pub(crate) fn facts(self) -> impl Iterator<Item = Option<Fact>> {
        let Self { groups, facts } = self;
        facts.into_iter().map(move |fact| {
            let group = |at: usize| groups.get(at).copied();
            Some(match fact {
                StoredFact::Message(at, position, behind) => Fact::Message(group(at)?, (position, behind)),
                StoredFact::Sent(at, position, behind) => Fact::Sent(group(at)?, (position, behind)),
                StoredFact::Changed(at, position, behind) => Fact::Changed(group(at)?, (position, behind)),
                StoredFact::State(at, id, state) => Fact::State(group(at)?, id, state),
                StoredFact::Group(at) => Fact::Group(group(at)?),
                StoredFact::JoinRequest(number) => Fact::JoinRequest(number),
                StoredFact::Evidence(number) => Fact::Evidence(number),
                StoredFact::Words(json) => Fact::Words(json),
            })
        })
    }
}

/// How far a named subscriber came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SubscriberRow {
    #[serde(rename = "c")]
    pub cursor: u64,
    /// When it said so last.
    #[serde(rename = "t")]
    pub at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;
    use cipher_broker::codec;

    #[test]
    fn facts_are_read_as_they_were_and_name_a_conversation_once() {
        let [ops, team] = [1, 2].map(|id| GroupId::from_bytes([id; 16]));
        let id = MessageId::from_bytes([9; 16]);
        let facts = [
            Fact::Message(ops, (7, 1)),
            Fact::Sent(team, (8, 0)),
            Fact::Changed(ops, (7, 1)),
            Fact::State(team, id, MessageState::Failed),
            Fact::Group(ops),
            Fact::JoinRequest(3),
            Fact::Evidence(4),
            Fact::Words("{}".into()),
        ];
        let bytes = codec::encode(&FactsRow::of(&facts));
        let row: FactsRow = codec::decode(&bytes).unwrap();
        assert_eq!((row.len(), row.groups.as_slice()), (facts.len(), [ops, team].as_slice()));
        assert_eq!(row.facts().collect::<Vec<_>>(), facts.map(Some));
        // A conversation that is not in the list costs its fact and no other.
        let lacking = FactsRow { groups: vec![ops], ..FactsRow::of(&[Fact::Group(ops), Fact::Group(team)]) };
        assert_eq!(lacking.facts().collect::<Vec<_>>(), [Some(Fact::Group(ops)), None]);
    }

    #[test]
    fn a_message_that_is_sent_costs_the_journal_less_than_forty_bytes() {
        let group = GroupId::from_bytes([1; 16]);
        let place = |n: u64| (crate::state::position::of(crate::state::position::FIRST_ERA, n), 0);
        let facts: Vec<Fact> =
            (0..64).flat_map(|n| [Fact::Sent(group, place(n)), Fact::Message(group, place(n))]).collect();
        let bytes = codec::encode(&FactsRow::of(&facts)).len();
        assert!(bytes < 64 * 40, "{bytes}");
    }
}
