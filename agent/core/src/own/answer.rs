//! What becomes of questions about the own account and its devices that the registry answered.

use cipher_api::{Error, ErrorKind, Result};
use cipher_broker::wire::registry::Answer;

use crate::input::Ticket;
use crate::machine::Core;
use crate::registry::question::QuestionReason;

impl Core {
    /// An answer came. One that does not fit its question is refused.
    pub(crate) fn own_answered(
        &mut self,
        purpose: QuestionReason,
        answer: Answer,
        ticket: Option<Ticket>,
    ) -> Result<()> {
        match (purpose, answer) {
            (QuestionReason::Register { .. }, Answer::Done) => self.registration_done(ticket),
            (QuestionReason::SetProfile(profile), Answer::Done) => self.profile_done(profile, ticket),
            (QuestionReason::OwnAccount { what, tries }, Answer::Account(record)) => {
                self.own_account_fetched(what, tries, &record, ticket)
            }
            (QuestionReason::State { what, append, .. }, Answer::Done) => self.stated(what, &append, ticket),
            (QuestionReason::OpenRecovery { name, tries }, Answer::Account(record)) => {
                self.recovery_opened(name, tries, &record, ticket)
            }
            (QuestionReason::Recover { name, log, append, .. }, Answer::Done) => {
                self.recovery_stated(name, *log, &append, ticket)
            }
            _ => Err(ErrorKind::Trust.because("the registry gave an answer that does not fit the question")),
        }
    }

    /// No answer came, or a refusal. Gives whether that is dealt with: then nobody is told of it.
    pub(crate) fn own_answer_failed(
        &mut self,
        purpose: &QuestionReason,
        ticket: Option<Ticket>,
        error: &Error,
    ) -> Result<bool> {
        self.registration_failed(purpose, error);
        Ok(self.statement_failed(purpose, ticket, error) || self.recovery_failed(purpose, ticket, error)?)
    }
}
