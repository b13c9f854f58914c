//! What this room remembers while the process runs, and what happens at each step.

use std::collections::BTreeSet;

use cipher_api::Result;
use cipher_broker::id::GroupId;
use cipher_broker::time::Timestamp;

use crate::machine::Core;
use crate::machine::step::Step;

/// What this room remembers. Nothing of it is needed to be correct after a restart.
#[derive(Debug, Default)]
pub(crate) struct Run {
    /// When the next message is to be forgotten, if any; `None` while that was not looked for.
    pub(super) next_expiry: Option<Option<Timestamp>>,
    /// When the next message is older than its group keeps any, if any; `None` while that was not looked for.
    pub(super) next_retention: Option<Option<Timestamp>>,
    /// Conversations in which a receipt may be due; their rows say so.
    pub(super) receipts_due: BTreeSet<GroupId>,
}

impl Run {
    /// A group wants messages to be kept for another time.
    pub(crate) const fn retention_changed(&mut self) {
        self.next_retention = None;
    }
}

impl Core {
    /// What happens at each step.
    pub(crate) fn content_step(&mut self, step: Step) -> Result<()> {
        match step {
            Step::BatchEnds => {
                self.forget_due()?;
                self.forget_old()?;
                self.say_receipts()
            }
            Step::Opened => {
                (self.run.content.next_expiry, self.run.content.next_retention) = (None, None);
                let due = self.state.groups.iter().filter(|(_, row)| row.receipt_due.is_some());
                self.run.content.receipts_due = due.map(|(group, _)| *group).collect();
                Ok(())
            }
            Step::Connected { .. } | Step::Disconnected | Step::Tick | Step::BatchEnded => Ok(()),
        }
    }
}
