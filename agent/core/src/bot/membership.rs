//! The bot's own coming, which no commit that it reads tells it of: reading begins behind the one that let it in.

use cipher_api::Result;
use cipher_api::view::GroupEvent;
use cipher_broker::id::{GroupId, MessageId};

use crate::machine::Core;
use crate::state::MessageRow;
use crate::state::roster::Leaf;

impl Core {
    /// The log shows the commit that let the bot in: its coming stands at the place of that commit, by its maker.
    pub(crate) fn tell_let_in(&mut self, group: GroupId) -> Result<()> {
        let Some(row) = self.state.groups.get_mut(&group).filter(|row| row.let_in_by.is_some()) else {
            return Ok(());
        };
        let Some(by) = row.let_in_by.take() else { return Ok(()) };
        let (position, hash) = (row.joined_at, row.link.hash);
        let leaf = self.with_live(group, |_, live| {
            Ok(live.roster.values().find(|leaf| leaf.account == by).map(Leaf::author))
        })?;
        // A Welcome's maker is a member in its epoch (R-WELCOME-02).
        let Some(maker) = leaf else { return Ok(()) };
        let own = self.state.own_id();
        let fact = [group.as_bytes().as_slice(), &hash, own.as_bytes()].concat();
        let id = MessageId::of_content(&group, &by, &fact);
        let row = MessageRow::event(
            id,
            maker,
            self.run.group.entry_at(self.run.now),
            GroupEvent::Added,
            own,
            String::new(),
        );
        let view = Box::new(self.message_view(group, (position, 0), &row));
        self.history.insert(group, (position, 0), row);
        self.tell_message((position, 0), view);
        Ok(())
    }
}
