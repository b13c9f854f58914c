//! Open requests: who waits for which answer.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use cipher_api::{Error, Reply};
use cipher_core::Ticket;
use tokio::sync::oneshot;

/// The answer to one request.
pub(crate) type Answer = Result<Reply, Error>;

/// All open requests of a session.
#[derive(Debug, Default)]
pub(crate) struct Tickets {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last: u64,
    open: HashMap<u64, oneshot::Sender<Answer>>,
    /// Set once nobody will answer any more.
    over: Option<Error>,
}

impl Tickets {
    /// A new ticket and where its answer arrives; or why there will be none.
    pub(crate) fn open(&self) -> Result<(Ticket, oneshot::Receiver<Answer>), Error> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = &state.over {
            return Err(error.clone());
        }
        let (answer, arrives) = oneshot::channel();
        state.last += 1;
        let ticket = state.last;
        state.open.insert(ticket, answer);
        Ok((Ticket(ticket), arrives))
    }

    /// Gives the answer to whoever waits for it.
    pub(crate) fn answer(&self, ticket: Ticket, answer: Answer) {
        let waiting = self.state.lock().unwrap_or_else(PoisonError::into_inner).open.remove(&ticket.0);
        if let Some(waiting) = waiting {
            // Nobody listens if the caller lost patience.
            drop(waiting.send(answer));
        }
    }

    /// Answers everything with an error, now and in future.
    pub(crate) fn end(&self, error: Error) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, waiting) in state.open.drain() {
            drop(waiting.send(Err(error.clone())));
        }
        state.over.get_or_insert(error);
    }
}
