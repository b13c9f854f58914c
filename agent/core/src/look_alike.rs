//! Display names that look like somebody else's.

use cipher_broker::id::AccountId;

use crate::core::Core;

impl Core {
    /// What a person should know of an account's names before believing them.
    pub(crate) fn name_warning(&self, _account: &AccountId) -> Option<String> {
        None
    }
}
