//! The life of a conversation.
//!
//! ```text
//! create ──► member (wishes) ──► commit (slot, race) ──┐
//! join   ──► receive (Delivered → judged → merged) ◄───┘──► history
//! send   ──► outbox (queued → sealed → published → seen in the log)
//! ```
//! `facts` reduces a commit to what `policy` judges, `epoch` notes what it changed, `roster` proves who the leaves are, `loaded` keeps groups in memory,
//! `join_link`, `admission` and `join_request` are joining by a link,
//! `doubled` is for one device that is there twice, `republish` puts a log that went back right, `refresh` keeps groups
//! young, `rejoin` is losing the place in a group and coming back, `not_member` is the answer to who was removed meanwhile, `tree` seals ratchet trees for joiners, `turn` tells whose turn it is to do what any member may, `show` turns rows into what people see.

mod admission;
mod alias;
mod commit;
mod create;
mod doubled;
mod epoch;
mod evidence;
mod facts;
mod join;
mod join_link;
mod join_request;
mod loaded;
mod member;
mod not_member;
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
pub(crate) use doubled::{DoubledRow, stopped};
pub(crate) use evidence::Shown;
pub(crate) use join_request::{JoinRow, JoinWait};
pub(crate) use loaded::{Groups, Live};
pub(crate) use rejoin::{Lost, RejoinRow};
pub(crate) use republish::BackRow;

#[cfg(test)]
#[path = "real_commits_test.rs"]
mod real_commits;
