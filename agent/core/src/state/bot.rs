//! How far bots are, and which of their conversations are next.

use cipher_broker::id::GroupId;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::state::Place;

/// How far a bot is in one conversation, and what it remembers of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BotRow {
    /// Everything before this position was handled.
    #[serde(rename = "c")]
    pub cursor: u64,
    /// And at this position everything up to this place. Stores of before places were counted have handled all there.
    #[serde(rename = "x", default = "all_of_it")]
    pub place: u16,
    #[serde(rename = "m")]
    pub memory: Option<ByteBuf>,
}

const fn all_of_it() -> u16 {
    u16::MAX
}

impl BotRow {
    /// The place behind which the bot goes on.
    pub(crate) const fn handled(&self) -> Place {
        (self.cursor, self.place)
    }
}

/// A conversation in which a bot has something to handle. Its key is its turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DueRow {
    /// Name of the bot.
    #[serde(rename = "b")]
    pub bot: String,
    #[serde(rename = "g")]
    pub group: GroupId,
}

#[cfg(test)]
mod tests {
    use super::*;
    use cipher_broker::codec;

    #[test]
    fn a_row_of_before_places_were_counted_has_handled_all_of_its_position() {
        #[derive(Serialize)]
        struct Before {
            c: u64,
            m: Option<ByteBuf>,
        }
        let bytes = codec::encode(&Before { c: 7, m: None });
        let row: BotRow = codec::decode(&bytes).unwrap();
        assert_eq!(row.handled(), (7, u16::MAX));
    }
}
