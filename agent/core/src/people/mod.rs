//! Accounts as this device knows them: pinned keys, contacts, verification, presence, who is writing.
//!
//! Doors:
//! - `account::Core::account_not_shown` - the registry did not show an account that was asked for
//! - `account::Core::account_shown` - the registry showed an account that was asked for
//! - `account::Core::handle_shown` - the registry showed the account that a handle belongs to
//! - `account::Core::learn` - asks for accounts that are not known
//! - `account::Core::learn_members` - asks for fellow members whose handle is not known, until the registry
//!   has answered for each
//! - `account::Core::profile_view` - what is shown of another account
//! - `account::Core::show_profile` - shows what an account says of itself, as the registry has it now
//! - `account::bad_record` - the registry gave a record that cannot be right
//! - `command::Core::contact_command` - does what is asked of contacts; `None` when the answer comes later
//! - `contact::Core::accept_direct` - joins a direct conversation and tells its maker so, in it
//! - `contact::Core::accept_request` - the person accepts a request
//! - `contact::Core::change_contact` - moves an account to another contact state, with all that follows from
//!   a block or its end
//! - `contact::Core::decline_invitation` - drops an invitation because the person said so
//! - `contact::Core::invitation_declined` - another own device dropped an invitation
//! - `contact::Core::receive_invitation` - what becomes of an invitation whose maker is known now
//! - `contact::Core::show_invitations` - tells of invitations that can be shown now, and marks who opened a
//!   direct conversation as having asked
//! - `found::Core::person_found` - the person was found, with the key packages that the goal needs
//! - `look_alike::Core::name_warnings` - the same for many accounts
//! - `presence::Core::people_step` - what happens at each step
//! - `presence::Core::whispered` - a member whispered its presence
//! - `run::Run` - what this room remembers while the process runs
//! - `run::Run::has_said` - an account said something in a conversation
//! - `run::Run::note_person` - some commands show that a person is here
//! - `typing::Core::typing` - the person is writing something

pub(crate) mod account;
mod command;
pub(crate) mod contact;
mod found;
pub(crate) mod look_alike;
pub(crate) mod presence;
pub(crate) mod run;
pub(crate) mod typing;
pub(crate) mod verification;
