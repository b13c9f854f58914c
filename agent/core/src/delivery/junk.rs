//! Junk on the subjects of a group: anybody with the site's login can publish it, and nobody else can use it.
//!
//! It is dropped by header or by the first decryption. What remains is its weight: a transaction for each cursor, a
//! look at the log for each bell, a fence that moves before the next message is published. So what changes nothing
//! is not written by itself, whoever reads the log is told that it may take its time, and while junk lies on the
//! handshake subject messages go without the fence: the log shows where they landed.

use std::time::Duration;

use cipher_broker::id::GroupId;
use cipher_broker::subject::Source;

use crate::effect::Effect;
use crate::machine::Core;
use crate::state::GroupRow;

/// How long after junk on a handshake subject a fence is not worth trying.
const DISPUTED: Duration = Duration::from_secs(10);

impl Core {
    /// The row of a group whose log was read on. A message that changed nothing is no reason for a transaction: read
    /// again after a crash, it changes nothing again.
    pub(crate) fn read_on(&mut self, group: GroupId, handshake: bool, junk: bool) -> Option<&mut GroupRow> {
        if junk && handshake {
            self.dispute(group);
        }
        self.run.delivery.junk.entry(group).and_modify(|only| *only &= junk).or_insert(junk);
        if junk && self.is_clean() {
            self.state.groups.later_mut(&group)
        } else {
            self.state.groups.get_mut(&group)
        }
    }

    /// A fence on this group's handshake subject was overtaken by junk.
    pub(super) fn dispute(&mut self, group: GroupId) {
        self.run.delivery.disputed.insert(group, self.run.now.plus(DISPUTED));
    }

    /// Whether junk moves the fence of a group.
    pub(super) fn is_disputed(&self, group: &GroupId) -> bool {
        self.run.delivery.disputed.get(group).is_some_and(|until| self.run.now < *until)
    }

    /// Readers of logs that brought nothing but junk may take their time, unless something of ours is to be found there.
    pub(super) fn tell_junk(&mut self) {
        for (group, only) in std::mem::take(&mut self.run.delivery.junk) {
            if only && !self.run.delivery.by_group.contains_key(&group) {
                self.run.effects.push(Effect::Junk { source: Source::Group(group) });
            }
        }
    }
}
