//! The life of a conversation.
//!
//! ```text
//! create ──► member (wishes) ──► commit (slot, race) ──┐
//! join   ──► receive (Delivered → judged → merged) ◄───┘──► history
//! send   ──► outbox (queued → sealed → published → seen in the log)
//! ```
//! Beside these: `facts` reduces a commit to what `policy` judges, `epoch` notes what it changed, `roster` proves who the
//! leaves are, `loaded` keeps groups in memory, `tree` seals ratchet trees for joiners, `show` turns rows into what
//! people see. `join_link`, `admission` and `join_request` are joining by a link. `refresh` keeps groups young,
//! `republish` puts a log that went back right, `doubled` is for one device that is there twice. `gap` is
//! what may have been missed, `lost` losing the place in a group and asking to come back, `missing` what no author says again;
//! `rejoin` serves who asks, `not_member` answers who was removed meanwhile, `offer` is of who lets back in and is not known.
//! `turn` tells whose turn it is to do what any member may.

mod admission;
mod alias;
mod commit;
mod copies;
mod create;
mod doubled;
mod epoch;
mod evidence;
mod facts;
mod gap;
mod join;
mod join_link;
mod join_request;
mod loaded;
mod lost;
mod member;
mod missing;
mod not_member;
mod offer;
mod own_bytes;
mod policy;
mod receive;
mod refresh;
mod rejoin;
mod republish;
pub(crate) mod roster;
mod send;
mod show;
pub(crate) mod tree;
pub(crate) mod turn;

pub(crate) use admission::JoinRequestRow;
pub use copies::stopped;
pub(crate) use copies::{CopysWords, WordRow};
pub(crate) use doubled::DoubledRow;
pub(crate) use evidence::Shown;
pub(crate) use gap::Fresh;
pub(crate) use join_request::{JoinRow, JoinWait};
pub(crate) use loaded::{Groups, Live};
pub(crate) use lost::Lost;
pub(crate) use missing::MissingRow;
pub(crate) use rejoin::RejoinRow;
pub(crate) use republish::BackRow;

#[cfg(test)]
#[path = "real_commits_test.rs"]
mod real_commits;
