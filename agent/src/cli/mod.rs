//! The command line.
//!
//! Commands turn words into `cipher_core::Command`s and replies into lines. What they are *not* for: deciding
//! anything about groups or messages, and printing; [`show::ui`] prints.
//!
//! ```text
//! run ──► tree ──► command ──► desk (the profile in use)
//!                    ├───────► input (what people type)
//!                    └───────► show (what people and scripts see)
//! ```
//! Reading order: [`run`], [`tree`], [`desk`], one file of [`command`], [`show::ui`].

pub mod command;
pub mod context;
pub mod desk;
pub mod exit;
pub mod input;
pub mod run;
pub mod show;
pub mod tree;

pub use run::main;
