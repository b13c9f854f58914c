//! One message, and the map it travels as.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::codec;
use crate::id::MessageId;
use crate::time::Timestamp;
use crate::transparency::SignedHead;
use crate::wire::content::{Attachment, Body, Mention, Poll, kind};

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
    /// How many seconds after it was read it is to be forgotten, by everybody.
    pub expire: Option<u64>,
    /// The accounts that its text names, in the order of the text.
    pub mentions: Vec<Mention>,
    /// The message that began the thread in which it stands.
    pub thread: Option<MessageId>,
    /// Whether the words are somebody else's, passed on.
    pub forwarded: bool,
}

impl Content {
    /// A message that says so much and no more.
    pub const fn new(salt: [u8; 16], sent_at: Timestamp, body: Body) -> Self {
        Self {
            salt,
            sent_at,
            reply_to: None,
            hops: 0,
            body,
            head: None,
            attachments: Vec::new(),
            mentions: Vec::new(),
            thread: None,
            forwarded: false,
            expire: None,
        }
    }
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
    /// The message that a change is about: other words, an emoji, a vote.
    #[serde(rename = "of", default, skip_serializing_if = "Option::is_none")]
    of: Option<MessageId>,
    #[serde(rename = "f", default, skip_serializing_if = "Vec::is_empty")]
    attachments: Vec<Attachment>,
    #[serde(rename = "m", default, skip_serializing_if = "Vec::is_empty")]
    mentions: Vec<Mention>,
    #[serde(rename = "th", default, skip_serializing_if = "Option::is_none")]
    thread: Option<MessageId>,
    #[serde(rename = "fw", default, skip_serializing_if = "std::ops::Not::not")]
    forwarded: bool,
    #[serde(rename = "ex", default, skip_serializing_if = "Option::is_none")]
    expire: Option<u64>,
}

impl From<Payload> for Content {
    fn from(payload: Payload) -> Self {
        let Payload {
            salt,
            sent_at,
            reply_to,
            hops,
            kind,
            text,
            data,
            head,
            of,
            attachments,
            mentions,
            thread,
            forwarded,
            expire,
        } = payload;
        let body = body(kind, text, data, of);
        Self { salt, sent_at, reply_to, hops, body, head, attachments, mentions, thread, forwarded, expire }
    }
}

impl From<Content> for Payload {
    fn from(content: Content) -> Self {
        let Content {
            salt,
            sent_at,
            reply_to,
            hops,
            body,
            head,
            attachments,
            mentions,
            thread,
            forwarded,
            expire,
        } = content;
        let kind = body.kind().to_owned();
        let (text, data, of) = match body {
            Body::Text(text) => (text, None, None),
            Body::Edit { of, text } => (text, None, Some(of)),
            Body::Delete { of } | Body::Pin { of, removed: _ } | Body::PollClosed { of } => {
                (String::new(), None, Some(of))
            }
            Body::Reaction { of, emoji, removed: _ } => (emoji, None, Some(of)),
            Body::Poll { question, poll } => (question, Some(ByteBuf::from(codec::encode(&poll))), None),
            Body::Vote { of, choices } => (String::new(), Some(ByteBuf::from(choices)), Some(of)),
            Body::ContactAccepted => (String::new(), None, None),
            Body::Sync(data) => (String::new(), Some(ByteBuf::from(data)), None),
            Body::Missing(missing) => (String::new(), Some(ByteBuf::from(codec::encode(&missing))), None),
            Body::Receipt(receipt) => (String::new(), Some(ByteBuf::from(codec::encode(&receipt))), None),
            Body::HistoryGrant(grant) => (String::new(), Some(ByteBuf::from(codec::encode(&grant))), None),
            Body::Unknown { kind: _, text, data, of } => (text, data, of),
        };
        Self {
            salt,
            sent_at,
            reply_to,
            hops,
            kind,
            text,
            data,
            head,
            of,
            attachments,
            mentions,
            thread,
            forwarded,
            expire,
        }
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
        (kind::PIN, _, Some(of)) => Body::Pin { of, removed: false },
        (kind::UNPIN, _, Some(of)) => Body::Pin { of, removed: true },
        (kind::POLL, Some(data), of) => match codec::decode::<Poll>(&data) {
            Ok(poll) if poll.is_sound() && !text.trim().is_empty() => Body::Poll { question: text, poll },
            Ok(_) | Err(_) => Body::Unknown { kind, text, data: Some(data), of },
        },
        (kind::VOTE, Some(data), Some(of)) => Body::Vote { of, choices: data.into_vec() },
        (kind::POLL_CLOSED, _, Some(of)) => Body::PollClosed { of },
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
        (kind::HISTORY_GRANT, Some(data), of) => match codec::decode(&data) {
            Ok(grant) => Body::HistoryGrant(grant),
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
        Content::new([7; 16], sent_at, body)
    }

    #[test]
    fn what_this_build_does_not_know_is_kept_as_it_came() {
        let of = Some(MessageId::from_bytes([3; 16]));
        for body in [
            Body::Unknown { kind: "dance".into(), text: "tea?".into(), data: Some(ByteBuf::from([1])), of },
            Body::Unknown {
                kind: kind::POLL.into(),
                text: "tea?".into(),
                data: Some(ByteBuf::from([1])),
                of,
            },
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
            Body::Pin { of, removed: false },
            Body::Pin { of, removed: true },
            Body::Poll {
                question: "tea?".into(),
                poll: Poll { options: vec!["yes".into(), "no".into()], multiple: true },
            },
            Body::Vote { of, choices: vec![0, 1] },
            Body::Vote { of, choices: vec![] },
            Body::PollClosed { of },
            Body::ContactAccepted,
            Body::Sync(vec![1, 2]),
            Body::Missing(crate::wire::content::Missing { of: Vec::new() }),
            Body::Receipt(crate::wire::content::Receipt { delivered: Some(of), read: None, behind: None }),
            Body::HistoryGrant(crate::wire::content::HistoryGrant {
                id: serde_bytes::ByteArray::new([4; 16]),
                to: crate::id::AccountId::from_bytes([5; 32]),
                count: 2,
                from: Timestamp::from_millis(1),
                until: Timestamp::from_millis(2),
                piece: 0,
                pieces: 1,
                keys: Vec::new(),
                sealed: ByteBuf::from([6; 20]),
            }),
        ] {
            let content = content(body);
            assert_eq!(codec::decode::<Content>(&codec::encode(&content)).as_ref(), Ok(&content));
        }
    }

    #[test]
    fn a_poll_has_something_to_choose() {
        let poll = |options: &[&str]| Poll {
            options: options.iter().map(|option| (*option).to_owned()).collect(),
            multiple: false,
        };
        let long = "x".repeat(crate::limit::POLL_OPTION_BYTES + 1);
        let many: Vec<String> = (0..=crate::limit::POLL_OPTIONS).map(|n| n.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        for (options, sound) in [
            (&["yes", "no"][..], true),
            (&["yes"], false),
            (&[], false),
            (&["yes", " "], false),
            (&["yes", " yes"], false),
            (&["yes", &long], false),
            (&many[..many.len() - 1], true),
            (&many, false),
        ] {
            assert_eq!(poll(options).is_sound(), sound, "{options:?}");
        }
    }
}
