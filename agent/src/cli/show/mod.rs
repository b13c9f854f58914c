//! How things look, to people and to scripts.
//!
//! ```text
//! a command ──► ui ──► line (one JSON object)            with --json
//!                └───► human, trust ──► paint, rows       for people; every text of a peer passes safe_text
//!                             └──► markdown              what members say, where there are colours
//! read, tail ──► page ──► ui                               a conversation, day by day
//! export ──► ui                                           a conversation as a page of its own
//! hint, notice: words for errors and notices of the library below
//! ```

#[cfg(feature = "desktop")]
pub mod desktop;
pub mod export;
pub mod file;
pub mod group;
pub mod hint;
pub mod hit;
pub mod human;
pub mod length;
pub mod line;
pub mod markdown;
pub mod notice;
pub mod page;
pub mod paint;
pub mod poll;
pub mod qr;
pub mod rows;
pub mod safe_text;
pub mod trust;
pub mod typed;
pub mod ui;
