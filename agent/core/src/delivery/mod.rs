//! The way of bytes into a log and out of it: the outbox and what becomes of each publish, which logs are
//! followed, their marks, junk, and waiting until all of that is done.
//!
//! Doors:
//! - `following::Core::begin_reading` - reads a log from there on
//! - `following::Core::delivery_input` - takes what the broker brought
//! - `following::Core::delivery_step` - what happens at each step
//! - `following::Core::follow` - starts reading a log from where the store stands
//! - `following::Core::is_displaced` - reads a log anew that is known to have gone back
//! - `following::Core::unfollow` - reads a log no more
//! - `following::Core::want` - makes sure that a log is read at least up to a sequence that is known to exist
//! - `junk::Core::read_on` - gives the row of a group whose log was read on
//! - `log_mark::Core::incident` - notes what the broker lost, and tells it once per incident
//! - `outbox::Core::delivery_due` - when something that waits can be tried again, or its sender is told that
//!   it waits
//! - `outbox::Core::dequeue` - takes a row out of the outbox
//! - `outbox::Core::drive_messages` - publishes queued messages
//! - `outbox::Core::drive_posts` - publishes trees first, and Welcomes when the trees are stored
//! - `outbox::Core::enqueue` - puts a row into the outbox, and gives its number
//! - `outbox::Core::nothing_leaves` - ends what waits, because of what became of this device
//! - `outbox::Core::publish_commit` - publishes the pending commit, compare-and-set on the last handshake
//!   sequence that was handled
//! - `outbox::Core::publish_plain` - publishes a row's bytes without a fence, unless they are on their way or
//!   it is not time yet
//! - `outbox::Core::reseal` - gives a row new bytes, or takes them away
//! - `outbox::OutboxEnd` - why nothing of what waits leaves any more
//! - `outcome::Core::own_echo` - the log shows bytes of ours
//! - `run::Run` - what this room remembers while the process runs
//! - `run::Run::after_abort` - what the next batch goes on with when this one is lost
//! - `run::Run::begins` - a group was made here
//! - `run::Run::broker_at` - the latest time by which the broker stored anything that was read since the
//!   start
//! - `run::Run::follows` - whether a log is being read
//! - `run::Run::groups_with_rows` - conversations for which something waits in the outbox
//! - `run::Run::has_commit` - a commit of a group was seen
//! - `run::Run::has_lost_entries` - whether age took the entry at our cursor from the log of a group
//! - `run::Run::has_no_commit` - whether the handshake subject of a group is empty, because retention took
//!   the last commit away
//! - `run::Run::is_behind` - a log is known to hold more than was read of it
//! - `run::Run::is_caught_up` - whether a log was read to its end since the connection came up
//! - `run::Run::is_read` - whether a log was read to its end once since the connection came up
//! - `run::Run::notes_lost_entries` - the same, once: it is noted now
//! - `run::Run::row_with` - the outbox row whose sealed bytes have this hash
//! - `run::Run::rows_of` - outbox rows of a conversation, in the order in which they were queued
//! - `run::Run::went_back` - the log of a group went back
//! - `sync::Core::status_command` - tells how everything stands, or waits until it is up to date
//! - `sync::SyncWait` - a `sync` that is not done

mod following;
pub(crate) mod junk;
pub(crate) mod log_mark;
pub(crate) mod outbox;
mod outcome;
pub(crate) mod run;
pub(crate) mod sync;
