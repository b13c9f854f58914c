//! What members say: said and heard, kept, changed, shown, and what of it is unread; and the files that they attach.
//!
//! Doors:
//! - `arrived::Core::history_arrived` - another own device sends a message of the history
//! - `command::Core::message_command` - does what is asked of messages; `None` when the answer comes later
//! - `forget::Core::read_elsewhere` - another own device says what was read, or what is to be forgotten when
//! - `heard::CLOCK_AHEAD` - how far a sender's clock may be ahead of the broker's
//! - `heard::Core::said` - an application message was opened
//! - `send::Core::enqueue_content` - a message in exactly this content
//! - `send::Core::queued_reply` - the reply to a `send` whose message waits
//! - `run::Core::content_step` - what happens at each step
//! - `run::Run` - what this room remembers while the process runs
//! - `run::Run::retention_changed` - a group wants messages to be kept for another time
//! - `send::Core::say` - says something in a conversation; `ticket` is answered when the broker has it
//! - `send::Core::settle_message` - an own message has its place in the log
//! - `show::Core::message_view` - a stored message as people see it
//! - `unread::Core::recount` - counts again what was not read

pub(crate) mod arrived;
mod asked;
pub(crate) mod change;
mod command;
mod expiry;
mod file;
mod file_name;
pub(crate) mod forget;
mod grant;
mod granted;
pub(crate) mod heard;
mod look;
pub(crate) mod missing;
mod named;
mod notify;
mod query;
mod reached;
mod read;
pub(crate) mod receipt;
pub(crate) mod run;
mod search;
pub(crate) mod send;
pub(crate) mod show;
pub(crate) mod timeline;
pub(crate) mod unread;
mod words;
