//! One file per command: an `Args` whose doc comment is its help, then `run`. `link` is a part of `device`, `demo` of
//! `up`, and `follow` of `read` and `tail`.

pub mod audit;
pub mod backup;
pub mod bot;
pub mod completions;
pub mod config;
pub mod contact;
pub mod daemon;
pub mod demo;
pub mod device;
pub mod doctor;
pub mod download;
pub mod edit;
pub mod follow;
pub mod forward;
pub mod group;
pub mod join;
pub mod link;
pub mod pin;
pub mod poll;
pub mod profile;
pub mod react;
pub mod read;
pub mod register;
pub mod rpc;
pub mod schema;
pub mod search;
pub mod send;
pub mod slot;
pub mod sync;
pub mod tail;
pub mod thread;
pub mod token;
pub mod up;
pub mod whoami;
