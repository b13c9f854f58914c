//! A head of the account log that waits for its proof.

use cipher_broker::codec;
use cipher_broker::id::AccountId;
use cipher_broker::time::Timestamp;
use cipher_broker::transparency::{SignedHead, TreeHead};
use serde::{Deserialize, Serialize};

use crate::state::State;

/// A head that was shown and is not proven to fit the accepted one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct HeadRow {
    /// As signed.
    #[serde(rename = "h")]
    pub head: SignedHead,
    /// The fellow member who passed it on; `None` when the registry showed it here.
    #[serde(rename = "f", default)]
    pub from: Option<AccountId>,
    /// Since when it waits.
    #[serde(rename = "s")]
    pub since: Timestamp,
    /// A proof failed: it is evidence, and nothing is believed until it is proven after all.
    #[serde(rename = "d", default)]
    pub disputed: bool,
}

/// What a head says. For heads that were verified when they came.
pub(crate) fn head_of(signed: &SignedHead) -> Option<TreeHead> {
    codec::decode(&signed.body).ok()
}

impl State {
    pub(crate) fn registry_key(&self) -> Option<[u8; 32]> {
        self.meta.registry_key.as_ref().and_then(|key| key.as_slice().try_into().ok())
    }
}
