//! The group of the own devices, and what they tell each other in it.

use cipher_broker::id::DeviceId;

use crate::core::Core;
use crate::error::Result;
use crate::view::HistoryPolicy;

impl Core {
    /// The registry has a device that this one admitted: makes the group of the own devices if there is none, and
    /// notes what history the new one gets.
    pub(crate) fn device_admitted(&mut self, _device: DeviceId, _history: HistoryPolicy) -> Result<()> {
        Ok(())
    }
}
