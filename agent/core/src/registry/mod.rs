//! What this device asks of the registry: signed questions, look-ups, key packages, admission work.
//!
//! Doors:
//! - `key_package::Core::ask_stock` - asks how many packages are left, once per connection and once a day
//! - `key_package::Core::judge_key_package` - judges somebody's key package before it is used
//! - `key_package::Core::last_resort_used` - a group was joined by the last resort, which others may have too
//! - `key_package::Core::make_key_package` - makes a key package, and keeps its private part
//! - `key_package::Core::publish_key_packages` - makes packages for both suites and asks the registry to take
//!   them
//! - `lookup::Core::begin_errand` - looks these handles up, and then does what the goal says
//! - `lookup::Goal` - what is done with the people who are looked up
//! - `question::Core::answered` - the registry answered a question, or did not
//! - `question::Core::ask` - asks the registry; the answer comes back to the room that the purpose names
//! - `question::Core::registry_step` - what happens at each step
//! - `question::QuestionReason` - why a question was asked
//! - `question::Question` - a question without answer
//! - `question::SILENCE` - how long a registry says nothing before whoever only looks goes on without it
//! - `question::Stating` - what a statement of the own account is for
//! - `run::Run` - what this room remembers while the process runs
//! - `run::Run::asks_for` - whether an account is asked for already
//! - `run::Run::has_errands` - whether an account is looked up for a command
//! - `run::Run::into_tickets` - the commands that wait for the registry
//! - `run::Run::questions` - questions without answer
//! - `run::Run::reply` - the reply that is being looked at, as it came
//! - `run::Run::silent_at` - when it may be said of a registry that owes something since then, and answers
//!   nothing else, that it is silent
//! - `run::Run::stock_at` - not before this time the own key packages are counted again

pub(crate) mod admission_work;
pub(crate) mod key_package;
pub(crate) mod lookup;
pub(crate) mod question;
pub(crate) mod run;
