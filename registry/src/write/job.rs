//! One request of the thread that writes: it changes all that it changes, or nothing, and counts once.

use cipher_broker::time::Timestamp;
use cipher_broker::wire::refusal::{Code, Refusal};
use cipher_broker::wire::registry as wire;
use tokio::sync::oneshot;

use crate::caller::{self, Caller};
use crate::error::{OpError, StoreError};
use crate::op::change::Change;
use crate::store::{Txn, once};
use crate::write::operation::Write;

/// Rows forgotten per request at most: it makes two that expire, so that those who wait behind a long idle time do not
/// pay for all of it at once.
const SWEEP: usize = 4;

/// What became of a request.
pub(crate) type Outcome = Result<Change, NotDone>;

/// Who waits, and what they will be told.
pub(crate) type Answers = Vec<(oneshot::Sender<Outcome>, Outcome)>;

/// Why nothing was changed.
#[derive(Debug)]
pub(crate) enum NotDone {
    /// The caller is told why.
    Refused(Refusal),
    /// This replica of the registry is not the one that writes: nothing is said.
    Withheld,
}

impl From<Refusal> for NotDone {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// A checked request and who waits for it.
#[derive(Debug)]
pub(crate) struct Job {
    write: Write,
    caller: Caller,
    now: Timestamp,
    done: oneshot::Sender<Outcome>,
}

impl Job {
    pub(super) const fn new(
        write: Write,
        caller: Caller,
        now: Timestamp,
        done: oneshot::Sender<Outcome>,
    ) -> Self {
        Self { write, caller, now, done }
    }

    /// About as many bytes as the rows that it writes.
    pub(crate) const fn weight(&self) -> usize {
        self.caller.bytes
    }

    /// Tells what became of it. Nobody may be waiting any more.
    pub(crate) fn finish(self, outcome: Outcome) {
        let _ = self.done.send(outcome);
    }
}

/// Forgets what has expired by the time of a request.
pub(crate) fn sweep(tables: &mut Txn<'_>, job: &Job) -> Result<(), StoreError> {
    once::sweep(tables, job.now, SWEEP)
}

/// Runs one request. On an error of the store its caller, and everybody else in the transaction, is told that the
/// registry failed: whoever waits learns it by the end of the wait.
pub(crate) fn run_job(
    job: Job,
    tables: &mut Txn<'_>,
) -> Result<(oneshot::Sender<Outcome>, Outcome), StoreError> {
    let Job { write, caller, now, done } = job;
    match apply(write, &caller, tables, now) {
        Ok(change) => Ok((done, Ok(change))),
        Err(OpError::Refused(refusal)) => Ok((done, Err(refusal.into()))),
        Err(OpError::Store(error)) => Err(error),
    }
}

/// One write. Uses up the nonce in the transaction of the change: neither can exist without the other. A refused
/// request uses it up too. Exactly the same request within a minute is told the same again.
pub(crate) fn apply(
    write: Write,
    caller: &Caller,
    txn: &mut Txn<'_>,
    now: Timestamp,
) -> Result<Change, OpError> {
    let nonce = once::nonce(&caller.nonce);
    if once::seen(&txn.once, &nonce)? {
        return match once::answered(&txn.answers, &caller.nonce, &caller.request, now)? {
            Some(wire::Outcome::Answer(answer)) => Ok((*answer).into()),
            Some(wire::Outcome::Refused(refusal)) => Err(refusal.into()),
            None => Err(Code::Replayed.because("this request was made before").into()),
        };
    }
    once::note(&mut txn.once, &mut txn.expiry, &nonce, Caller::nonce_expires(now))?;
    let result =
        caller::admitted(caller, &txn.revoked, &txn.blocked).and_then(|()| write.run(caller, txn, now));
    let outcome = match &result {
        Ok(change) => wire::Outcome::Answer(Box::new(change.answer.clone())),
        Err(OpError::Refused(refusal)) => wire::Outcome::Refused(refusal.clone()),
        Err(OpError::Store(_)) => return result,
    };
    once::keep(txn, &caller.nonce, caller.request, outcome, now)?;
    result
}

/// What a caller is told about our own trouble.
pub(crate) fn internal() -> Refusal {
    Code::Internal.because("the registry failed; nothing was changed")
}
