//! Requests about what was found against the registry.

use cipher_api::Reply;
use cipher_api::command::EvidenceCommand as E;

use crate::machine::Core;

impl Core {
    /// Shows what was found against the registry, or notes that a person has seen it.
    pub(crate) fn evidence_command(&mut self, command: &E) -> Reply {
        match command {
            E::List(_) => self.evidence(),
            E::Acknowledge(_) => self.acknowledge_evidence(),
            E::Head(_) => self.head_known(),
        }
    }
}
