//! The command line: one file per command, each an `Args` whose doc comment is its help, then `run`.
//!
//! Commands turn words into `cipher_core::Command`s and replies into lines. What they are *not* for: deciding
//! anything about groups or messages, and printing; [`ui`] prints.
//!
//! Reading order: [`run`], [`tree`], [`desk`], one command, [`ui`].

pub mod ask;
pub mod audit;
pub mod bot;
pub mod completions;
pub mod config;
pub mod contact;
pub mod demo;
pub mod desk;
pub mod device;
pub mod doctor;
pub mod exit;
pub mod follow;
pub mod group;
pub mod human;
pub mod join;
pub mod line;
pub mod link;
pub mod profile;
pub mod qr;
pub mod read;
pub mod register;
pub mod rows;
pub mod run;
pub mod safe_text;
pub mod send;
pub mod since;
pub mod sync;
pub mod tail;
pub mod tree;
pub mod trust;
pub mod ui;
pub mod up;
pub mod whoami;

pub use run::main;
