//! What is kept of the events that were told.

use cipher_api::view::MessageState;
use cipher_broker::id::{GroupId, MessageId};
use cipher_broker::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::state::Place;

/// An event: what it was about, not what it said. So nothing is kept here that a person took back elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Fact {
    /// A message took its place.
    #[serde(rename = "m")]
    Message(GroupId, Place),
    /// The words of the message at this place changed.
    #[serde(rename = "c")]
    Changed(GroupId, Place),
    #[serde(rename = "s")]
    State(GroupId, MessageId, MessageState),
    #[serde(rename = "g")]
    Group(GroupId),
    /// A request to join, by its number.
    #[serde(rename = "j")]
    JoinRequest(u64),
    /// Evidence, by its number.
    #[serde(rename = "e")]
    Evidence(u64),
    /// A warning, and what has no row of its own: the event in JSON.
    #[serde(rename = "w")]
    Words(String),
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
