//! What people and bots say: the payload inside an MLS application message (RFC 9420 §6).
//!
//! Semantics follow the IETF MIMI content format (draft-ietf-mimi-content): the id is derived from content, sender
//! and room and never transmitted; the sender is the MLS leaf, so no author field exists.
//!
//! The kinds are closed in Rust ([`Body`]) and open on the wire: a kind that this build does not know is kept as
//! [`Body::Unknown`] with all that it carries.

mod attachment;
mod body;
mod grant;
mod mention;
mod missing;
mod payload;
mod poll;
mod receipt;

pub use self::attachment::{Attachment, Preview, chunks};
pub use self::body::{Body, kind};
pub use self::grant::{GRANT_INFO, GrantKey, GrantedMessage, GrantedOf, HistoryGrant};
pub use self::mention::Mention;
pub use self::missing::{Missing, MissingOf};
pub use self::payload::Content;
pub use self::poll::Poll;
pub use self::receipt::Receipt;
