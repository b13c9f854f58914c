//! Which type travels where.
//!
//! | subject | type |
//! |---|---|
//! | `chat.*.g.*.h`, `.a`, `chat.*.i.*`, `chat.*.t.*.*.*` | [`envelope::Envelope`] |
//! | inside an application message, sealed by MLS | [`content::Content`] |
//! | inside that, between devices of one account | [`sync::SyncNote`] |
//! | `chat.*.i.*` of a rendezvous, while a device is linked | [`link::LinkingStep`] |
//! | `chat.*.g.*.a`, sealed under a link's key | [`join::JoinRequest`] |
//! | `eph.*.g.*`, sealed under the epoch's exporter | [`whisper::Whisper`] |
//! | `log.statements` | [`statement::LogEntry`] |
//! | inside the GroupContext, agreed by all members | [`group::GroupData`] |
//! | `reg.v1.*` and its reply | [`registry::SignedRequest`], [`registry::SignedReply`] |

pub mod content;
pub mod envelope;
pub mod group;
pub mod join;
pub mod link;
pub mod operator;
pub mod refusal;
pub mod registry;
pub mod rejoin;
pub mod statement;
pub mod sync;
pub mod whisper;
