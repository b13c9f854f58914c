//! What is asked while the process runs, and asked again by the next one.

use std::collections::BTreeMap;

use cipher_broker::id::AccountId;
use cipher_broker::time::Timestamp;

use crate::input::Ticket;
use crate::registry::admission_work::AdmissionWork;
use crate::registry::lookup::Errand;
use crate::registry::question::{Question, QuestionReason, SILENCE};

/// What this room remembers. Nothing of it is needed to be correct after a restart.
#[derive(Debug, Default)]
pub(crate) struct Run {
    pub(super) questions: BTreeMap<u64, Question>,
    /// When the registry last answered one.
    pub(super) answered_at: Option<Timestamp>,
    pub(super) errands: BTreeMap<u64, Errand>,
    /// What the registry asks a newcomer to compute, while it is being computed.
    pub(super) admission: Option<AdmissionWork>,
    /// Not before this time the own key packages are counted again.
    pub(super) stock_at: Timestamp,
    /// When to count the own key packages again after that failed, and how often it did.
    pub(super) stock_again: Option<(Timestamp, u32)>,
    /// The registry reply that is being looked at.
    pub(super) reply: Option<Vec<u8>>,
}

impl Run {
    /// Questions without answer.
    pub(crate) fn questions(&self) -> impl ExactSizeIterator<Item = &Question> {
        self.questions.values()
    }

    /// Whether an account is looked up for a command.
    pub(crate) fn has_errands(&self) -> bool {
        !self.errands.is_empty()
    }

    /// Whether an account is asked for already.
    pub(crate) fn asks_for(&self, account: &AccountId) -> bool {
        let same = |question: &Question| matches!(&question.purpose, QuestionReason::Fetch { account: asked } if asked == account);
        self.questions.values().any(same)
    }

    /// When it may be said of a registry that owes something since then, and answers nothing else, that it is silent.
    pub(crate) fn silent_at(&self, since: Timestamp) -> Timestamp {
        self.answered_at.map_or(since, |answered| answered.max(since)).plus(SILENCE)
    }

    /// Commands that wait for the registry.
    pub(crate) fn into_tickets(self) -> impl Iterator<Item = Ticket> {
        let errands = self.errands.into_values().filter_map(|errand| errand.ticket);
        let questions = self.questions.into_values().filter_map(|question| question.ticket);
        errands.chain(questions).chain(self.admission.and_then(|work| work.ticket))
    }

    /// The reply that is being looked at, as it came.
    pub(crate) fn reply(&self) -> Option<&Vec<u8>> {
        self.reply.as_ref()
    }

    /// Not before this time the own key packages are counted again.
    pub(crate) const fn stock_at(&self) -> Timestamp {
        self.stock_at
    }

    /// The registry answered something then.
    #[cfg(test)]
    pub(crate) fn answers(&mut self, at: Timestamp) {
        self.answered_at = Some(at);
    }

    /// Nothing is asked any more.
    #[cfg(test)]
    pub(crate) fn forgets_questions(&mut self) {
        self.questions.clear();
    }
}
