//! Which type travels where.
//!
//! | subject | type |
//! |---|---|
//! | `chat.*.g.*.h`, `.a`, `chat.*.i.*`, `chat.*.t.*.*.*` | [`envelope::Envelope`] |
//! | inside an application message, sealed by MLS | [`content::Content`] |
//! | inside the GroupContext, agreed by all members | [`group::GroupData`] |
//! | `reg.v1.*` and its reply | [`registry::SignedRequest`], [`registry::SignedReply`] |

pub mod content;
pub mod envelope;
pub mod group;
pub mod refusal;
pub mod registry;
