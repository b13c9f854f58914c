//! Questions to the registry: asked by effect, answered by input, signed both ways.
//!
//! They live in memory only. Each can be derived again from rows: an unregistered identity registers again with
//! the same bytes, a low stock is counted again, an unknown account is asked for again.

use std::time::Duration;

use cipher_api::{Advice, Error, ErrorKind, Hint, Result};
use cipher_broker::account_log::{self, AccountLog};
use cipher_broker::handle::Handle;
use cipher_broker::id::{AccountId, DeviceId, GroupId};
use cipher_broker::time::Timestamp;
use cipher_broker::transparency::SignedHead;
use cipher_broker::wire::refusal::{Code, Refusal};
use cipher_broker::wire::registry::{
    Answer, AppendStatement, Operation, Outcome, PublicProfile, RequestBody, open_reply, seal_request,
};
use ed25519_dalek::SigningKey;
use serde_bytes::ByteBuf;

use crate::effect::Effect;
use crate::input::{NoReply, QuestionId, Ticket};
use crate::machine::step::Step;
use crate::machine::{Core, fatal};
use crate::state::{head_of, stopped};

/// How long a registry says nothing before whoever only looks goes on without it.
pub(crate) const SILENCE: Duration = Duration::from_secs(2);

/// A question without answer.
#[derive(Debug)]
pub(crate) struct Question {
    pub ticket: Option<Ticket>,
    pub purpose: QuestionReason,
    /// When it was asked.
    pub asked: Timestamp,
    request: Vec<u8>,
}

/// Why it was asked.
#[derive(Debug, Clone)]
pub(crate) enum QuestionReason {
    /// To register; `bare` while nothing is brought that admits a newcomer.
    Register { bare: bool },
    /// To know what a newcomer must bring.
    Admission,
    /// To change the own profile.
    SetProfile(PublicProfile),
    /// To refill with so many one-time packages.
    PublishKeyPackages { one_time: u32 },
    /// To replace a last resort of this suite that was used.
    RenewLastResort(u16),
    /// To know the stock.
    Count,
    /// To show or add somebody: an errand waits.
    Resolve { errand: u64, handle: Handle },
    /// To add somebody: an errand waits.
    Claim { errand: u64, account: AccountId },
    /// To state something: first the own account as it is.
    OwnAccount { what: Stating, tries: u32 },
    /// To state it.
    State { what: Stating, append: Box<AppendStatement>, tries: u32 },
    /// To take the account over: first what it is.
    OpenRecovery { name: String, tries: u32 },
    /// To take it over.
    Recover { name: String, log: Box<AccountLog>, append: Box<AppendStatement>, tries: u32 },
    /// To bring a device into a group.
    ClaimDevice { group: GroupId, account: AccountId, device: DeviceId },
    /// To learn the handle of a fellow member, or what a known account stated since.
    Fetch { account: AccountId },
    /// To know that these heads are beginnings of one log; the accepted one is first. Who passed them on, if
    /// somebody did.
    Prove { heads: Vec<(SignedHead, Option<AccountId>)> },
}

impl Core {
    /// What happens at each step.
    pub(crate) fn registry_step(&mut self, step: Step) -> Result<()> {
        match step {
            Step::Connected { whole } => {
                self.run.registry.stock_again = None;
                if whole {
                    self.ask_stock();
                    self.renew_last_resorts()?;
                }
            }
            Step::Tick => {
                self.work_for_admission();
                self.stock_tick();
            }
            Step::Opened | Step::Disconnected | Step::BatchEnds | Step::BatchEnded => {}
        }
        Ok(())
    }

    /// Asks. The answer comes back through [`Core::answered`].
    pub(crate) fn ask(&mut self, operation: Operation, purpose: QuestionReason, ticket: Option<Ticket>) {
        let Some(identity) = &self.state.identity else { return };
        let name = operation.name();
        if let Operation::AppendStatement(append) = &operation {
            self.run.watch.states(account_log::leaf(&append.statement));
        }
        let body = RequestBody {
            nonce: self.provider.bytes(),
            issued_at: self.run.now,
            account: identity.account,
            device: identity.device,
            operation,
        };
        let request = seal_request(&body, &SigningKey::from_bytes(&identity.device_seed));
        let question = self.run.volatile_id();
        self.run.effects.push(Effect::Ask {
            question: QuestionId(question),
            operation: name,
            bytes: request.clone(),
        });
        self.run
            .registry
            .questions
            .insert(question, Question { ticket, purpose, asked: self.run.now, request });
    }

    /// The registry answered a question, or did not.
    pub(crate) fn answered(&mut self, id: u64, outcome: Result<Vec<u8>, NoReply>) -> Result<()> {
        let Some(question) = self.run.registry.questions.remove(&id) else { return Ok(()) };
        if outcome.is_ok() {
            self.run.registry.answered_at = Some(self.run.now);
        }
        self.run.registry.reply = outcome.as_ref().ok().cloned();
        let done = self.answered_by(question, outcome);
        self.run.registry.reply = None;
        done
    }

    fn answered_by(&mut self, question: Question, outcome: Result<Vec<u8>, NoReply>) -> Result<()> {
        let outcome =
            outcome.map_err(|NoReply| unreachable()).and_then(|bytes| self.open_answer(&bytes, &question));
        let wants_admission = matches!(question.purpose, QuestionReason::Register { bare: true })
            && matches!(&outcome, Ok(Outcome::Refused(refusal)) if refusal.code == Code::Admission);
        let answer = outcome.and_then(|outcome| match outcome {
            Outcome::Answer(answer) => Ok(*answer),
            Outcome::Refused(refusal) => Err(self.refused(&refusal)),
        });
        let ticket = question.ticket;
        let purpose = question.purpose.clone();
        let errand = match &question.purpose {
            QuestionReason::Resolve { errand, .. } | QuestionReason::Claim { errand, .. } => Some(*errand),
            _ => None,
        };
        if let Some(errand) = errand
            && self.state.meta.stopped
        {
            // What was asked for it would only wait: another copy of this profile goes on.
            self.fail_errand(errand, stopped());
            return Ok(());
        }
        let result = match answer {
            Ok(answer) => self.use_answer(question, answer),
            Err(error) => Err(error),
        };
        match result {
            Ok(()) => Ok(()),
            Err(error) if fatal(&error) => Err(error),
            Err(_) if wants_admission => {
                self.ask(Operation::Admission, QuestionReason::Admission, ticket);
                Ok(())
            }
            Err(error) => {
                if self.own_answer_failed(&purpose, ticket, &error)?
                    || self.claim_failed(&purpose)
                    || self.stock_failed(&purpose)
                {
                    return Ok(());
                }
                if let QuestionReason::Claim { errand, account } = &purpose
                    && self.claim_in_vain(*errand, *account, &error)?
                {
                    return Ok(());
                }
                if let QuestionReason::Fetch { account } = &purpose {
                    self.account_not_shown(*account, &error);
                }
                if let Some(errand) = errand {
                    self.fail_errand(errand, error);
                } else if let Some(ticket) = ticket {
                    self.run.reply(ticket, Err(error));
                }
                Ok(())
            }
        }
    }

    fn open_answer(&mut self, bytes: &[u8], question: &Question) -> Result<Outcome> {
        let pinned = self.state.registry_key();
        let body = open_reply(bytes, &question.request, pinned.as_ref()).map_err(|error| {
            ErrorKind::Trust
                .because_of("an answer was not from the known registry", error)
                .hint(Advice::RegistryKeyReplaced)
        })?;
        if pinned.is_none() {
            self.state.meta_mut().registry_key = Some(ByteBuf::from(body.registry_key));
        }
        self.note_skew(body.at);
        let fits = self.reply_head(&body);
        match &body.outcome {
            // What was said of accounts depends on their log; the rest does not.
            Outcome::Answer(answer) if matches!(**answer, Answer::Account(_) | Answer::KeyPackages(_)) => {
                fits?;
            }
            Outcome::Answer(_) => {}
            Outcome::Refused(refusal) => {
                if let QuestionReason::Prove { heads } = &question.purpose {
                    let size = body.head.as_ref().and_then(head_of).map(|head| head.size);
                    self.proof_refused(heads, refusal, size);
                }
                if refusal.code == Code::Revoked {
                    self.this_device_is_revoked();
                }
                if refusal.code == Code::NotFound && !matches!(question.purpose, QuestionReason::Prove { .. })
                {
                    // Who is not there may have been there in the log that is not shown any more.
                    fits?;
                }
                if refusal.code == Code::ClockSkew {
                    return Err(clocks_apart(self.run.now, body.at));
                }
            }
        }
        Ok(body.outcome)
    }

    /// Keeps the clock difference, when it is worth telling.
    fn note_skew(&mut self, at: Timestamp) {
        let difference = i128::from(at.as_millis()).saturating_sub(i128::from(self.run.now.as_millis()));
        let difference = i64::try_from(difference).unwrap_or(i64::MAX);
        let known = self.state.meta.clock_skew_ms;
        if known.is_none_or(|known| known.abs_diff(difference) > 5_000) {
            self.state.meta_mut().clock_skew_ms = Some(difference);
        }
    }

    fn use_answer(&mut self, question: Question, answer: Answer) -> Result<()> {
        match (question.purpose, answer) {
            (QuestionReason::Admission, Answer::Admission(policy)) => {
                self.admission_known(policy, question.ticket)
            }
            (QuestionReason::PublishKeyPackages { one_time }, Answer::Done) => {
                self.stock_grew(one_time);
                Ok(())
            }
            (QuestionReason::RenewLastResort(suite), Answer::Done | Answer::Stock { .. }) => {
                self.state.meta_mut().used_last_resorts.remove(&suite);
                Ok(())
            }
            (QuestionReason::Count, Answer::Stock { one_time, last_resort, suites }) => {
                self.stock_known(one_time, last_resort, &suites)
            }
            (QuestionReason::Resolve { errand, handle }, Answer::Account(record)) => {
                let account = self.handle_shown(&handle, &record)?;
                self.errand_resolved(errand, account)
            }
            (QuestionReason::Prove { heads }, Answer::Consistency { head, proofs }) => {
                self.proofs_shown(&heads, &head, &proofs)
            }
            (QuestionReason::Claim { errand, account }, Answer::KeyPackages(packages)) => {
                let packages = self.usable(&account, packages)?;
                self.errand_claimed(errand, account, packages)
            }
            (QuestionReason::Fetch { account }, Answer::Account(record)) => {
                self.account_shown(account, &record)
            }
            (QuestionReason::ClaimDevice { group, account, device }, Answer::KeyPackages(packages)) => {
                self.device_claimed(group, account, device, packages)
            }
            (purpose, answer) => self.own_answered(purpose, answer, question.ticket),
        }
    }

    /// A refusal in the words and exit codes of the agent.
    fn refused(&self, refusal: &Refusal) -> Error {
        let error = refused(refusal);
        if refusal.code == Code::Admission { error.hint(self.how_with_code()) } else { error }
    }

    /// What a newcomer without an invite code can do.
    pub(super) fn how_with_code(&self) -> Hint {
        let handle = self.state.identity.as_ref().and_then(|own| own.handle.clone());
        Hint::AccountRegisterWithCode { handle }
    }
}

fn unreachable() -> Error {
    ErrorKind::Unreachable.because("the registry does not answer").hint(Advice::CheckRegistry)
}

/// G10: whose clock is wrong, a person sees by both times.
pub(super) fn clocks_apart(ours: Timestamp, theirs: Timestamp) -> Error {
    ErrorKind::Refused
        .because(format!(
            "the clocks are too far apart for the registry: this machine's says {ours}, the registry's {theirs}"
        ))
        .hint(Advice::SetClock)
}

/// Kind and hint of a refusal.
fn refused(refusal: &Refusal) -> Error {
    let kind = match refusal.code {
        Code::HandleTaken | Code::AccountExists => ErrorKind::Conflict,
        Code::NotFound => ErrorKind::NotFound,
        Code::NoKeyPackage | Code::Quota | Code::TooLarge => ErrorKind::Limit,
        Code::Denied | Code::ClockSkew | Code::Replayed | Code::Malformed => ErrorKind::Refused,
        Code::Revoked | Code::Blocked | Code::Admission => ErrorKind::Refused,
        Code::StaleStatement => ErrorKind::Conflict,
        Code::BadKeyPackage => ErrorKind::Trust,
        Code::Internal => ErrorKind::Unreachable,
    };
    let hint = match refusal.code {
        Code::HandleTaken => Advice::ChooseHandle,
        Code::AccountExists => Advice::RegisteredElsewhere,
        Code::NotFound => Advice::CheckHandle,
        Code::NoKeyPackage => Advice::AccountMustRefill,
        Code::Quota => Advice::WaitAndTry,
        Code::TooLarge => Advice::SendLess,
        Code::ClockSkew => Advice::SetClock,
        Code::Denied => Advice::DeviceMayNot,
        Code::Replayed | Code::Internal => Advice::TryAgain,
        Code::Malformed => Advice::VersionsDiffer,
        Code::BadKeyPackage => Advice::UpdateAgent,
        Code::Revoked => Advice::DeviceRevoked,
        Code::Blocked => Advice::AskRegistryOperator,
        Code::Admission => Advice::AskInviteCode,
        Code::StaleStatement => Advice::TryAgainAccountChanged,
    };
    kind.because(refusal.message.clone()).hint(hint)
}

/// What a statement of the own account is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stating {
    /// A device goes.
    Revoke(DeviceId),
    /// The device of the link under way comes.
    Link,
    /// Nothing: the account is only looked at.
    Nothing,
}
