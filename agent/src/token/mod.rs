//! Tokens: what lets a program use a profile for some conversations and methods only, for a while.
//!
//! ```text
//! secret   the word that its holder shows; only its digest is kept
//! grant    what it is good for, and the refusals that say what it lacks
//! book     all grants of a profile
//! file     where they lie: sealed, beside the store
//! pass     a grant in use: looked up again whenever it is used, so that a revoked one ends at once
//! table    what each method asks of a token; what is not in it, no token gets
//! narrow   what its holder sees of answers and events
//! ```

pub mod book;
pub(crate) mod file;
pub mod grant;
pub(crate) mod narrow;
pub(crate) mod pass;
pub mod secret;
pub mod table;
