//! A device link under way.

use cipher_api::view::HistoryPolicy;
use cipher_broker::id::DeviceId;
use cipher_broker::time::Timestamp;
use cipher_broker::wire::link::{LinkingReveal, rendezvous};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::state::State;

/// A link under way, or how the last one ended.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct LinkingRow {
    /// Its code.
    #[serde(rename = "c")]
    pub code: String,
    /// When it ends, by the own clock.
    #[serde(rename = "x")]
    pub expires: Timestamp,
    /// Position in the inbox of the code that this side reads.
    #[serde(rename = "p")]
    pub cursor: u64,
    #[serde(rename = "s")]
    pub side: Side,
    /// The last step of a side that is through, as it went, in case the broker loses it.
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    pub last: Option<ByteBuf>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) enum Side {
    /// This device wants to belong to an account.
    #[serde(rename = "n")]
    New(NewSide),
    /// This device lets another one in.
    #[serde(rename = "o")]
    Old(OldSide),
    /// It failed on the approving side: what to say to whoever confirms it all the same.
    #[serde(rename = "e")]
    Ended {
        #[serde(rename = "t")]
        trust: bool,
        #[serde(rename = "w")]
        why: String,
    },
    /// The approving side let this device in: asking again with the same code would only disturb it.
    #[serde(rename = "d")]
    Admitted(DeviceId),
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct NewSide {
    #[serde(rename = "k", with = "serde_bytes")]
    pub secret: [u8; 32],
    #[serde(rename = "d", with = "serde_bytes")]
    pub device_seed: [u8; 32],
    #[serde(rename = "r")]
    pub reveal: LinkingReveal,
    /// The steps as they went, encoded.
    #[serde(rename = "o", with = "serde_bytes")]
    pub offer: Vec<u8>,
    #[serde(rename = "a")]
    pub accept: Option<ByteBuf>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct OldSide {
    #[serde(rename = "h")]
    pub history: HistoryPolicy,
    #[serde(rename = "k", with = "serde_bytes")]
    pub secret: [u8; 32],
    #[serde(rename = "o")]
    pub offer: Option<ByteBuf>,
    #[serde(rename = "a")]
    pub accept: Option<ByteBuf>,
    #[serde(rename = "r")]
    pub reveal: Option<LinkingReveal>,
    /// The person said that the strings are equal.
    #[serde(rename = "y")]
    pub confirmed: bool,
}

impl std::fmt::Debug for LinkingRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LinkingRow").field("expires", &self.expires).finish_non_exhaustive()
    }
}

impl State {
    /// From where the log of the link is read; `None` when an inbox is another's.
    pub(crate) fn link_cursor(&self, inbox: &DeviceId) -> Option<u64> {
        let ours = self.link_inbox().filter(|ours| ours == inbox);
        ours.and(self.meta.link.as_ref()).map(|row| row.cursor)
    }

    /// Whether a log is that of the link under way.
    pub(crate) fn link_inbox(&self) -> Option<DeviceId> {
        let row = self.meta.link.as_ref()?;
        let (offers, answers) = rendezvous(&row.code);
        match &row.side {
            Side::New(_) => Some(answers),
            Side::Old(_) => Some(offers),
            Side::Ended { .. } | Side::Admitted(_) => None,
        }
    }

    /// Whether this profile has no account yet and offers itself to one.
    pub(crate) fn offers_itself(&self) -> bool {
        matches!(&self.meta.link, Some(LinkingRow { side: Side::New(_), .. })) && !self.registered()
    }
}
