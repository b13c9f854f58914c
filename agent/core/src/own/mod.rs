//! The own account: identity, devices, linking, recovery, backups, and what own devices tell each other.
//!
//! Doors:
//! - `answer::Core::own_answer_failed` - no answer came, or a refusal
//! - `answer::Core::own_answered` - an answer came
//! - `command::Core::account_command` - does what is asked of the own account; `None` when the answer comes
//!   later
//! - `command::Core::device_command` - does what is asked of own devices; `None` when the answer comes later
//! - `device::Core::may_still` - refuses what a revoked or stopped device may not do any more
//! - `device::Core::own_log_changed` - what follows when the own log grew
//! - `device::Core::this_device_is_revoked` - the account revoked this device (R-DEV-03)
//! - `device::active_only` - the certificates of active devices, each once
//! - `history_transfer::Core::drive_transfers` - puts the next chunks into the outbox, for every new device
//!   that is in the group of the own devices
//! - `identity::Core::ask_to_register` - asks the registry for the account that this profile has made, with
//!   what admits a newcomer if that is known
//! - `identity::Core::make_identity` - makes keys, once
//! - `linking::Core::give_up_link` - this device is nobody's any more
//! - `linking::Core::link_delivered` - a message in the inbox of a code
//! - `linking::Core::own_step` - what happens at each step
//! - `sync::Core::asked_siblings_in_vain` - this device asked often enough to come back into the group of own
//!   devices
//! - `sync::Core::join_personal` - another own device made this one a member of the group of own devices
//! - `sync::Core::tell_accounts` - tells own devices how this account sees others; with `contacts`, whether
//!   they are contacts of it too
//! - `sync::Core::tell_devices` - tells the other own devices, if there are any
//! - `sync::Core::told` - another own device told something
//! - `sync::Core::told_by_us` - what we told ourselves is in the log now

mod answer;
mod backup;
mod command;
pub(crate) mod device;
pub(crate) mod history_transfer;
pub(crate) mod identity;
pub(crate) mod linking;
pub(crate) mod recovery;
mod restore;
pub(crate) mod sync;
