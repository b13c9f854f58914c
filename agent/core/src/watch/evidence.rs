//! What was found against the registry: kept, told once, and told again after a restart, because whoever writes
//! it to a file may have been killed before.

use cipher_api::view::{EvidenceKind, EvidenceView};
use cipher_api::{Event, Reply};
use cipher_broker::limit;
use cipher_broker::sign::{digest, wire_hash};
use serde_bytes::ByteBuf;

use crate::machine::Core;
use crate::state::evidence::{Exhibits, Finding};
use crate::state::{EvidenceRow, Fact, Skip};

/// Longer exhibits are kept by their hash: a registry must not fill the disk with what it is accused of.
const EXHIBIT_BYTES: usize = 128 * 1024;

impl Core {
    /// Keeps a finding and tells it, unless it is known and nobody took note of it yet. `about` tells findings of one kind
    /// apart.
    pub(crate) fn found(
        &mut self,
        kind: EvidenceKind,
        about: &[&[u8]],
        what: String,
        mut exhibits: Exhibits,
    ) -> bool {
        let parts: Vec<&[u8]> =
            std::iter::once(kind.name().as_bytes()).chain(about.iter().copied()).collect();
        let key = digest("cipher-chat/evidence/v1", &parts);
        let known = self.state.evidence.iter().find(|(_, row)| *row.key == key);
        if let Some((number, row)) = known.map(|(number, row)| (*number, row.clone())) {
            // Somebody took note of it, and it happens again.
            if row.acknowledged {
                let finding = Finding { at: self.run.now, ..row.finding };
                let view = Box::new(finding.view());
                self.state.evidence.insert(number, EvidenceRow { finding, acknowledged: false, ..row });
                self.tell(Fact::Evidence(number), Event::Evidence(view));
            }
            return row.acknowledged;
        }
        // The first findings say the most: those behind the bound are counted only.
        if self.state.evidence.len() >= limit::EVIDENCE {
            self.skip(Skip::Evidence);
            return false;
        }
        if let Some(reply) = self.run.registry.reply() {
            exhibits.push(("registry reply".into(), reply.clone()));
        }
        for (name, bytes) in &mut exhibits {
            if bytes.len() > EXHIBIT_BYTES {
                (*name, *bytes) = (format!("SHA-256 of {name}"), wire_hash(bytes).to_vec());
            }
        }
        tracing::warn!(kind = kind.name(), "evidence against the registry");
        let finding = Finding { kind, at: self.run.now, what, exhibits };
        let view = Box::new(finding.view());
        let number = self.state.evidence.iter().last().map_or(0, |(number, _)| number.saturating_add(1));
        self.state
            .evidence
            .insert(number, EvidenceRow { finding, key: ByteBuf::from(key), acknowledged: false });
        self.tell(Fact::Evidence(number), Event::Evidence(view));
        true
    }

    /// Tells everything again, once per process.
    pub(super) fn tell_evidence(&mut self) {
        if std::mem::replace(&mut self.run.watch.evidence_told, true) {
            return;
        }
        for view in self.open_evidence() {
            self.remind(Event::Evidence(Box::new(view)));
        }
    }

    /// What nobody took note of yet.
    fn open_evidence(&self) -> Vec<EvidenceView> {
        let open = self.state.evidence.iter().filter(|(_, row)| !row.acknowledged);
        open.map(|(_, row)| row.finding.view()).collect()
    }

    pub(super) fn evidence(&self) -> Reply {
        Reply::Evidence(self.open_evidence())
    }

    /// The person has taken note of everything that was found so far: it is told no more, and kept.
    pub(super) fn acknowledge_evidence(&mut self) -> Reply {
        let open = self.state.evidence.iter().filter(|(_, row)| !row.acknowledged);
        for (number, row) in open.map(|(number, row)| (*number, row.clone())).collect::<Vec<_>>() {
            self.state.evidence.insert(number, EvidenceRow { acknowledged: true, ..row });
        }
        Reply::Done
    }
}
