//! What happens to every room, whatever it holds.

use cipher_api::Result;

use crate::machine::Core;

/// A step of the machine. Each room has one function for all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The rows were read from the store.
    Opened,
    /// The broker is there; `whole` when everything of a registered account is followed on this connection.
    Connected { whole: bool },
    /// The broker is gone.
    Disconnected,
    /// Time went by.
    Tick,
    /// The inputs of a batch were taken: what they touched is brought forward.
    BatchEnds,
    /// That was done: whoever waited for it is answered. The batch is committed next.
    BatchEnded,
}

impl Core {
    /// Delivery is first: what others want of a connection needs the logs to be followed.
    pub(super) fn step(&mut self, step: Step) -> Result<()> {
        self.delivery_step(step)?;
        self.registry_step(step)?;
        self.watch_step(step);
        // Before groups: what it says leaves with the batch.
        self.content_step(step)?;
        self.group_step(step)?;
        self.people_step(step)?;
        self.own_step(step);
        self.bot_step(step)
    }
}
