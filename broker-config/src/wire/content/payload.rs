//! One message, and the map it travels as.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::codec;
use crate::id::MessageId;
use crate::time::Timestamp;
use crate::transparency::SignedHead;
use crate::wire::content::{Attachment, Body, kind};

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Payload", into = "Payload")]
pub struct Content {
    /// 16 random bytes (for bots: derived from the event that caused the message), so that equal texts have
    /// different ids.
    pub salt: [u8; 16],
    /// When the sender says it was written.
    pub sent_at: Timestamp,
    /// The message this one answers.
    pub reply_to: Option<MessageId>,
    /// How many bots in a row led to this message; people send 0. Bots do not answer above a bound.
    pub hops: u8,
    /// What it is.
    pub body: Body,
    /// Gossip: the latest head of the account log that the sender accepted. The registry cannot rewrite it here.
    pub head: Option<SignedHead>,
    /// Files that it names, in the sender's order; the text may be empty then. Only a text has some.
    pub attachments: Vec<Attachment>,
}

/// The map on the wire. Each kind uses the fields it needs, so that a build that does not know a kind still keeps its
/// text, its bytes and the message it is about.
#[derive(Serialize, Deserialize)]
struct Payload {
    #[serde(rename = "s", with = "serde_bytes")]
    salt: [u8; 16],
    #[serde(rename = "t")]
    sent_at: Timestamp,
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    reply_to: Option<MessageId>,
    #[serde(rename = "hop", default, skip_serializing_if = "is_zero")]
    hops: u8,
    #[serde(rename = "k")]
    kind: String,
    #[serde(rename = "x", default, skip_serializing_if = "String::is_empty")]
    text: String,
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    data: Option<ByteBuf>,
    #[serde(rename = "g", default, skip_serializing_if = "Option::is_none")]
    head: Option<SignedHead>,
    /// The message that an edit, a deletion or a reaction is about.
    #[serde(rename = "of", default, skip_serializing_if = "Option::is_none")]
    of: Option<MessageId>,
    #[serde(rename = "f", default, skip_serializing_if = "Vec::is_empty")]
    attachments: Vec<Attachment>,
}

impl From<Payload> for Content {
    fn from(payload: Payload) -> Self {
        let Payload { salt, sent_at, reply_to, hops, kind, text, data, head, of, attachments } = payload;
        Self { salt, sent_at, reply_to, hops, body: body(kind, text, data, of), head, attachments }
    }
}

impl From<Content> for Payload {
    fn from(content: Content) -> Self {
        let Content { salt, sent_at, reply_to, hops, body, head, attachments } = content;
        let kind = body.kind().to_owned();
        let (text, data, of) = match body {
            Body::Text(text) => (text, None, None),
            Body::Edit { of, text } => (text, None, Some(of)),
            Body::Delete { of } => (String::new(), None, Some(of)),
            Body::Reaction { of, emoji, removed: _ } => (emoji, None, Some(of)),
            Body::ContactAccepted => (String::new(), None, None),
            Body::Sync(data) => (String::new(), Some(ByteBuf::from(data)), None),
            Body::Missing(missing) => (String::new(), Some(ByteBuf::from(codec::encode(&missing))), None),
            Body::Receipt(receipt) => (String::new(), Some(ByteBuf::from(codec::encode(&receipt))), None),
            Body::Unknown { kind: _, text, data, of } => (text, data, of),
        };
        Self { salt, sent_at, reply_to, hops, kind, text, data, head, of, attachments }
    }
}

/// The kind that these fields make; a known kind that lacks one of its fields is no such thing.
fn body(kind: String, text: String, data: Option<ByteBuf>, of: Option<MessageId>) -> Body {
    match (kind.as_str(), data, of) {
        (kind::TEXT, _, _) => Body::Text(text),
        (kind::EDIT, _, Some(of)) => Body::Edit { of, text },
        (kind::DELETE, _, Some(of)) => Body::Delete { of },
        (kind::REACTION, _, Some(of)) => Body::Reaction { of, emoji: text, removed: false },
        (kind::REACTION_REMOVED, _, Some(of)) => Body::Reaction { of, emoji: text, removed: true },
        (kind::CONTACT_ACCEPTED, _, _) => Body::ContactAccepted,
        (kind::SYNC, Some(data), _) => Body::Sync(data.into_vec()),
        (kind::MISSING, Some(data), of) => match codec::decode(&data) {
            Ok(missing) => Body::Missing(missing),
            Err(_) => Body::Unknown { kind, text, data: Some(data), of },
        },
        (kind::RECEIPT, Some(data), of) => match codec::decode(&data) {
            Ok(receipt) => Body::Receipt(receipt),
            Err(_) => Body::Unknown { kind, text, data: Some(data), of },
        },
        (_, data, of) => Body::Unknown { kind, text, data, of },
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(n: &u8) -> bool {
    *n == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(body: Body) -> Content {
        let sent_at = Timestamp::from_millis(1_700_000_000_000);
        Content { salt: [7; 16], sent_at, reply_to: None, hops: 0, body, head: None, attachments: Vec::new() }
    }

    #[test]
    fn what_this_build_does_not_know_is_kept_as_it_came() {
        let of = Some(MessageId::from_bytes([3; 16]));
        for body in [
            Body::Unknown { kind: "poll".into(), text: "tea?".into(), data: Some(ByteBuf::from([1])), of },
            Body::Unknown { kind: kind::EDIT.into(), text: "of nothing".into(), data: None, of: None },
            Body::Unknown { kind: kind::SYNC.into(), text: String::new(), data: None, of: None },
            Body::Unknown {
                kind: kind::MISSING.into(),
                text: String::new(),
                data: Some(ByteBuf::from([9])),
                of,
            },
        ] {
            let content = content(body);
            assert_eq!(codec::decode::<Content>(&codec::encode(&content)).as_ref(), Ok(&content));
        }
    }

    #[test]
    fn every_known_kind_comes_back_as_it_went() {
        let of = MessageId::from_bytes([3; 16]);
        for body in [
            Body::Text("hello".into()),
            Body::Edit { of, text: "hello!".into() },
            Body::Delete { of },
            Body::Reaction { of, emoji: "👍".into(), removed: false },
            Body::Reaction { of, emoji: "👍".into(), removed: true },
            Body::ContactAccepted,
            Body::Sync(vec![1, 2]),
            Body::Missing(crate::wire::content::Missing { of: Vec::new() }),
            Body::Receipt(crate::wire::content::Receipt { delivered: Some(of), read: None }),
        ] {
            let content = content(body);
            assert_eq!(codec::decode::<Content>(&codec::encode(&content)).as_ref(), Ok(&content));
        }
    }
}
