//! The command line.
//!
//! Commands turn words into `cipher_api::Command`s and replies into lines. What they are *not* for: deciding
//! anything about groups or messages, and printing; [`show::ui`] prints.
//!
//! ```text
//! run ──► tree ──► command ──► app (the profile in use, and flows that any front end needs)
//!                    ├───────► input (what people type)
//!                    └───────► show (what people and scripts see)
//! ```
//! Reading order: [`run`], [`tree`], [`crate::app`], one file of [`command`], [`show::ui`].

pub mod command;
pub mod context;
pub mod exit;
pub mod input;
pub mod run;
pub mod show;
pub mod tree;

pub use run::main;
