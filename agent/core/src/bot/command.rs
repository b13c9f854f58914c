//! Requests about bots.

use cipher_api::command::{BotCommand as B, bot};
use cipher_api::{Reply, Result};

use crate::machine::Core;

impl Core {
    /// Does what a host of bots asks for.
    pub(crate) fn bot_command(&mut self, command: B) -> Result<Reply> {
        match command {
            B::Card(bot::Card {}) => self.owner_card(),
            B::Prepare(bot::Prepare { owner }) => self.prepare_bot(owner),
            B::Sign(bot::Sign { certificate }) => self.sign_bot(&certificate),
            B::Events(bot::Events { bot, limit, busy }) => self.bot_events(&bot, limit, &busy),
            B::Handled(handled) => self.bot_handled(handled),
        }
    }
}
