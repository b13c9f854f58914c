//! What happens at each step.

use cipher_api::Result;

use crate::machine::Core;
use crate::machine::step::Step;

impl Core {
    /// What happens at each step.
    pub(crate) fn content_step(&mut self, step: Step) -> Result<()> {
        match step {
            Step::BatchEnds => self.say_receipts(),
            Step::Opened | Step::Connected { .. } | Step::Disconnected | Step::Tick | Step::BatchEnded => {
                Ok(())
            }
        }
    }
}
