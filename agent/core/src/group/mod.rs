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
pub(crate) mod show;
pub(crate) mod tree;
pub(crate) mod turn;
mod welcome;

pub(crate) use evidence::Shown;
pub(crate) use join_request::JoinWait;

#[cfg(test)]
#[path = "real_commits_test.rs"]
mod real_commits;
