//! The life of a conversation.
//!
//! ```text
//! create ──► member (wishes) ──► commit (slot, race) ──┐
//! join   ──► receive (Delivered → judged → merged) ◄───┘──► history
//! send   ──► outbox (queued → sealed → published → seen in the log)
//! ```
//! `drive` brings a group forward, whatever is to be done in it. Beside these: `facts` reduces a commit to
//! what `policy` judges, `epoch` notes what it changed, `roster` proves who the leaves are, `loaded` lends
//! groups out of memory, `tree` seals ratchet trees for joiners, `show` turns rows into what people see.
//! `join_link`, `admission` and `join_request` are joining by a link. `refresh` keeps groups young,
//! `republish` puts a log that went back right, `doubled` is for one device that is there twice. `gap` is
//! what may have been missed, `lost` losing the place in a group and asking to come back, `missing` what no
//! author says again; `rejoin` serves who asks, `not_member` answers who was removed meanwhile, `offer` is of
//! who lets back in and is not known. `device_repair` brings devices in and takes them out as their accounts
//! say. `turn` tells whose turn it is to do what any member may.
//!
//! Doors:
//! - `admission::Core::asker_looked_up` - the registry has answered for an account
//! - `admission::Core::request_view` - a request to join as a person sees it
//! - `command::Core::group_command` - does what is asked of groups; `None` when the answer comes later
//! - `command::Core::invite_command` - does what is asked of links and requests to join; `None` when the
//!   answer comes later
//! - `commit::Core::commit_refused` - the broker will never take our commit
//! - `commit::Core::own_commit_won` - the log shows our own commit, in its epoch
//! - `copies::Core::device_resume` - the person says that this copy goes on (R-COPY-03)
//! - `copies::Core::put_in_log` - the broker stored something for this process
//! - `create::Core::make_group` - makes a group with only this device in it
//! - `create::Core::make_personal_group` - makes the group in which own devices talk
//! - `create::Core::members_found` - members to be were found, with their key packages
//! - `device_repair::Core::claim_failed` - the registry gave no key package of a device that has to come
//! - `device_repair::Core::claim_now` - the registry hints that something of the own account changed
//! - `device_repair::Core::device_claimed` - a key package of a device that has to come is here
//! - `drive::Core::group_caught_up` - a log was read to its end; `everything` when every log was, and another
//!   copy of this store said something
//! - `drive::Core::group_step` - what happens at each step
//! - `evidence::ShownStatement` - a statement that verifies under the account key of a leaf
//! - `gap::Core::note_unsure` - an own message found its place in an epoch that may be over
//! - `join::Core::join` - becomes a member
//! - `join::Core::tree_fetched` - the pieces of a ratchet tree came, or are known not to be there
//! - `join_request::Core::join_request_stored` - a request to join lies where members find it
//! - `join_request::JoinWait` - a `join` that was not answered yet
//! - `loaded::Core::with_live` - works on a loaded group
//! - `member::Core::begin_leaving` - goes, as soon as the broker can be reached
//! - `member::Core::drop_intents` - gives up everything wanted in a group
//! - `member::Core::has_member` - whether an account is in a group
//! - `member::Core::leave_too` - another own device left a group for the account
//! - `member::Core::wish` - notes an intent; the group is driven before the batch ends
//! - `offer::Core::show_offers` - asks the person about each offer to come back, once
//! - `own_bytes::Core::forget_sealed` - the words of a message are let go of
//! - `own_bytes::Core::keep_said` - an own message lies in the log
//! - `own_bytes::Core::keep_sealed` - bytes that were sealed here, do not wait any more, and are not to be
//!   said again
//! - `receive::Core::delivered` - the broker delivered one stored message
//! - `receive::Core::waits_to_be_confirmed` - a log was read to its end, and the commit that let us in is not
//!   in it
//! - `republish::Core::repost` - sends the invitations again that a log or an inbox lost
//! - `run::Run` - what this room remembers while the process runs
//! - `run::Run::account_changed` - an account's log grew
//! - `run::Run::delivered_at` - when the broker stored what was delivered last
//! - `run::Run::entry_at` - when the broker stored the log entry that is being handled
//! - `run::Run::has_copies` - whether another copy of this store said anything
//! - `run::Run::may_be_coming` - whether a device may still have to come into a group
//! - `run::Run::went_back` - the log of a group went back
//! - `show::Core::group_view` - a group as a person sees it
//! - `show::Core::resolve` - the conversation a person means
//! - `tree::DoesNotOpen` - why something sealed does not open
//! - `tree::open` - opens what `tree::seal` made
//! - `tree::seal` - seals under XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha), bound to a label and a group

pub(crate) mod admission;
pub(crate) mod alias;
mod command;
pub(crate) mod commit;
pub(crate) mod copies;
pub(crate) mod create;
pub(crate) mod device_repair;
pub(crate) mod doubled;
mod draft;
mod drive;
pub(crate) mod epoch;
pub(crate) mod evidence;
pub(crate) mod facts;
pub(crate) mod gap;
mod incoming;
pub(crate) mod join;
pub(crate) mod join_link;
pub(crate) mod join_request;
mod loaded;
pub(crate) mod lost;
pub(crate) mod member;
mod missing;
pub(crate) mod not_member;
pub(crate) mod offer;
pub(crate) mod own_bytes;
pub(crate) mod policy;
pub(crate) mod receive;
pub(crate) mod refresh;
pub(crate) mod rejoin;
pub(crate) mod republish;
pub(crate) mod run;
mod settings;
pub(crate) mod show;
pub(crate) mod tree;
pub(crate) mod turn;
mod welcome;

pub(crate) use evidence::ShownStatement;
pub(crate) use join_request::JoinWait;

#[cfg(test)]
#[path = "real_commits_test.rs"]
mod real_commits;
