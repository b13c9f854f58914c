//! Holding the registry to its word: heads of the account log, its feed, evidence.
//!
//! Doors:
//! - `command::Core::evidence_command` - shows what was found against the registry, or notes that a person
//!   has seen it
//! - `evidence::Core::found` - keeps a finding and tells it, unless it is known and nobody took note of it
//!   yet
//! - `feed::Core::own_account_shown` - the registry shows the own account, and it continues what is known
//! - `feed::Core::refetch` - asks for known accounts again, a few at a time
//! - `feed::Core::statement_delivered` - the broker delivered one entry of the account log
//! - `head::Core::gossip` - the head to pass on with a message to a group, at most once per
//!   [`limit::GOSSIP_EVERY`]
//! - `head::Core::gossiped` - a fellow member passed on the head it accepted (gossip)
//! - `head::Core::hinted` - the registry hints that there is something to look at
//! - `head::Core::included` - judges whether a record is in the account log (R-KT-03)
//! - `head::Core::proof_refused` - the registry would not prove, and signed that
//! - `head::Core::proofs_shown` - the registry answered with proofs
//! - `head::Core::reply_head` - looks at the head of a reply
//! - `head::Core::watch_step` - what happens at each step
//! - `run::Run` - what this room remembers while the process runs
//! - `run::Run::stated` - whether this device stated it
//! - `run::Run::states` - this device states something

mod command;
pub(crate) mod evidence;
pub(crate) mod feed;
pub(crate) mod head;
pub(crate) mod run;
