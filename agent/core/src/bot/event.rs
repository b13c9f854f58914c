//! Bots inside the core: events behind a cursor, and outcomes that commit as one.
//!
//! A bot that failed sees the event again; a bot that answered cannot answer twice, because cursor, memory and
//! messages are in one transaction, and a repeated outcome finds the cursor already there.

use cipher_api::command::bot;
use cipher_api::view::{BotEventView, GroupState};
use cipher_api::{ErrorKind, Reply, Result};
use cipher_broker::id::GroupId;
use cipher_broker::wire::content;

use crate::machine::Core;

impl Core {
    pub(crate) fn bot_events(&mut self, bot: &str, limit: usize) -> Result<Reply> {
        let own = self.identity()?.account;
        let mut events = Vec::new();
        let active: Vec<GroupId> = self
            .state
            .groups
            .iter()
            .filter(|(_, row)| row.state == GroupState::Active && !row.personal)
            .map(|(group, _)| *group)
            .collect();
        for group in active {
            let row = self.history.bot(bot, &group)?;
            let joined = self.state.groups.get(&group).map_or(0, |row| row.joined_at);
            let cursor = row.as_ref().map_or(joined, |row| row.cursor.max(joined));
            let room = limit.saturating_sub(events.len());
            if room == 0 {
                break;
            }
            for (place, message) in self.history.after(&group, cursor, room)? {
                // Several lines of one commit share a sequence, and a cursor; the first speaks for all.
                if message.account == own || place.1 > 0 || self.hides(&message) {
                    continue;
                }
                let view = self.message_view(group, place, &message);
                let role = self.with_live(group, |_, live| Ok(live.data.role_of(&message.account)))?;
                let direct = self.state.groups.get(&group).is_some_and(|row| row.direct);
                events.push(BotEventView {
                    message: view,
                    position: place.0,
                    role,
                    memory: row.as_ref().and_then(|row| row.memory.as_ref()).map(|memory| memory.to_vec()),
                    group_name: self.conversation_name(&group),
                    direct,
                });
            }
        }
        Ok(Reply::BotEvents(events))
    }

    pub(crate) fn bot_handled(
        &mut self,
        bot: &str,
        group: GroupId,
        position: u64,
        say: Vec<bot::Say>,
        memory: Option<Vec<u8>>,
    ) -> Result<Reply> {
        self.identity()?;
        let row = self.history.bot(bot, &group)?;
        if row.as_ref().is_some_and(|row| row.cursor >= position) {
            return Ok(Reply::Done);
        }
        let active = self.state.groups.get(&group).is_some_and(|row| row.state == GroupState::Active);
        if active {
            for say in &say {
                if say.text.len() > cipher_broker::limit::TEXT_BYTES {
                    return Err(ErrorKind::Limit.because("a bot's answer is too long"));
                }
            }
            for say in say {
                let content = self.content(content::TEXT, say.text, say.reply_to, Some((say.salt, say.hops)));
                self.enqueue_message(group, &content)?;
            }
        }
        let memory = memory.or_else(|| row.and_then(|row| row.memory).map(serde_bytes::ByteBuf::into_vec));
        self.history.set_bot(bot, group, position, memory);
        Ok(Reply::Done)
    }
}
