//! What any front end does with a session, be it a command line, a screen or a protocol: no arguments are parsed here,
//! and nothing is printed.
//!
//! ```text
//! front end ──► profile (opens a session, asks it, undoes what failed)
//!    ▲            ▲    ▲      ▲
//!    │            │    │      └── bot_account   the account of a bot, and its owner's signature
//!    │            │    └───────── linking       a new machine, from both sides
//!    │            ├────────────── follow        each message once
//!    │            ├────────────── export        a conversation, page by page
//!    │            └────────────── backup        a profile as one sealed file, and back
//!    └── notice ◄── what is to be shown besides the result
//! ```
//! Errors are values ([`error`]); what a person is to do about one is said by the front end, which knows how.

pub mod backup;
pub mod bot_account;
pub mod download;
pub mod error;
pub mod export;
pub mod files;
pub mod follow;
pub mod linking;
pub(crate) mod new_file;
pub mod notice;
pub mod outgoing;
pub mod patience;
mod preview;
pub mod profile;
pub mod size;
pub mod upload;
