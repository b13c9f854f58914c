//! A client that is none of ours: its keys, its connection, and its copies of groups.
//!
//! It keeps no rules. What the registry or OpenMLS would refuse stays refused; everything else it can say.

mod group_copy;
mod identity;
mod line;

pub(crate) use group_copy::{Change, GroupCopy, claimed, enveloped, join_config, seal};
pub(crate) use identity::{Identity, SUITE};
pub(crate) use line::Line;

/// An error of a library, as a failure of the scene.
#[track_caller]
pub(crate) fn failed(error: impl std::fmt::Debug) -> testbed::Failure {
    testbed::Failure::new(format!("the hostile client's own library refused: {error:?}"))
}
