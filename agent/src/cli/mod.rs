//! The command line.
//!
//! Commands turn words into `cipher_api::Command`s and replies into lines. What they are *not* for: deciding
//! anything about groups or messages, and printing; [`show::ui`] prints.
//!
//! ```text
//! a shell ──► complete (what a word may go on with)
//! run ──► tree ──► command ──► app (the profile in use, and flows that any front end needs)
//!                    ├───────► input (what people type)
//!                    └───────► show (what people and scripts see)
//! ```
//! Both have [`zone`]: what a person's clock shows.
//!
//! Reading order: [`run`], [`tree`], [`crate::app`], one file of [`command`], [`show::ui`].

pub mod command;
mod complete;
pub mod context;
pub mod exit;
pub mod input;
pub mod run;
pub mod show;
pub mod tree;
pub mod zone;

pub use run::main;
