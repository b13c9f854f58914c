//! What a registry asks of newcomers, brought: a code that somebody gave, or work that is done here.
//!
//! The work is done in pieces, one per batch, so that nothing else waits for it.

use std::time::Duration;

use cipher_api::{Advice, ErrorKind, Result};
use cipher_broker::wire::registry::{AdmissionPolicy, AdmissionProof, admission_work};

use crate::input::Ticket;
use crate::machine::Core;

/// Numbers tried in one batch: some ten milliseconds.
const PIECE: u64 = 1 << 15;
/// Most work that is done for a registry, in bits: about a minute.
const MOST_BITS: u8 = 26;
/// Numbers tried before giving up, as a multiple of the expected count: the chance to find none is e^-16.
const PATIENCE_BITS: u32 = 4;

/// Work under way.
#[derive(Debug)]
pub(super) struct AdmissionWork {
    bits: u8,
    registry_key: [u8; 32],
    next: u64,
    /// Who waits to be registered.
    pub ticket: Option<Ticket>,
}

impl Core {
    /// The registry told what a newcomer must bring.
    pub(super) fn admission_known(&mut self, policy: AdmissionPolicy, ticket: Option<Ticket>) -> Result<()> {
        match policy {
            AdmissionPolicy::Work(bits) if bits <= MOST_BITS => {
                let key = self.state.meta.registry_key.as_ref();
                let registry_key = key
                    .and_then(|key| key.as_slice().try_into().ok())
                    .ok_or_else(|| ErrorKind::Bug.because("the registry's key is not known"))?;
                self.run.registry.admission = Some(AdmissionWork { bits, registry_key, next: 0, ticket });
                self.work_for_admission();
                Ok(())
            }
            AdmissionPolicy::Work(bits) => Err(ErrorKind::Limit
                .because(format!(
                    "the registry asks newcomers for {bits} bits of work; this agent does {MOST_BITS} at most"
                ))
                .hint(Advice::AskRegistryOperator)),
            AdmissionPolicy::Code => Err(ErrorKind::Refused
                .because("the registry admits newcomers with an invite code only")
                .hint(self.how_with_code())),
            AdmissionPolicy::Closed => Err(ErrorKind::Refused
                .because("the registry admits nobody new")
                .hint(Advice::AskRegistryOperator)),
            _ => Err(ErrorKind::Refused
                .because("the registry did not say what it asks of newcomers")
                .hint(Advice::TryOrAskRegistryOperator)),
        }
    }

    /// Does one piece of the work, if there is any, and asks to go on.
    pub(super) fn work_for_admission(&mut self) {
        let account = self.state.own_id();
        let Some(work) = &mut self.run.registry.admission else { return };
        let wanted = u32::from(work.bits);
        let end = work.next.saturating_add(PIECE);
        let found =
            (work.next..end).find(|number| admission_work(&work.registry_key, &account, *number) >= wanted);
        work.next = end;
        let given_up = work.next >> wanted.saturating_add(PATIENCE_BITS) > 0 && work.next > PIECE;
        if found.is_none() && !given_up {
            // The next batch: whatever else waits comes first.
            self.run.wake_at(self.run.now.plus(Duration::from_millis(1)));
            return;
        }
        let ticket = self.run.registry.admission.take().and_then(|work| work.ticket);
        let asked = match found {
            Some(number) => self.ask_to_register(Some(AdmissionProof::Work(number)), ticket),
            None => Err(ErrorKind::Limit.because("the work that the registry asks for was not found")),
        };
        if let (Err(error), Some(ticket)) = (asked, ticket) {
            self.run.reply(ticket, Err(error));
        }
    }
}
