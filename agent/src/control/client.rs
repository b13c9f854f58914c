//! The side of a visitor: a session that another process runs.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cipher_core::{Command, CoreError, ErrorKind, Reply, Ticket};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot, watch};

use crate::control::frame::{self, ANSWER_BYTES, Answer, QUESTION_BYTES, Question};
use crate::control::socket;
use crate::profile::Profile;
use crate::runtime::listener::{Events, Listeners};
use crate::runtime::task::Tasks;
use crate::runtime::ticket::Tickets;

/// How long the owner of a profile may take to say that it is there.
const GREETING: Duration = Duration::from_secs(5);

/// A connection to the process that owns the profile.
#[derive(Debug)]
pub(crate) struct Remote {
    shared: Arc<Shared>,
    questions: mpsc::UnboundedSender<Vec<u8>>,
    hears: AtomicBool,
    over: watch::Receiver<bool>,
    tasks: Tasks,
}

#[derive(Debug, Default)]
struct Shared {
    tickets: Tickets,
    listeners: Listeners,
    next: AtomicU64,
    connected: Mutex<HashMap<u64, oneshot::Sender<bool>>>,
    /// What the owner last said of its connection.
    said: Mutex<Said>,
}

/// What the process that has the profile open says of its connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Said {
    /// The servers, without logins.
    pub(crate) server: Option<String>,
    /// Why they cannot be reached.
    pub(crate) trouble: Option<CoreError>,
}

impl Remote {
    /// Connects; `None` when nobody serves the profile, or only until a moment ago.
    pub(crate) async fn connect(profile: &Profile) -> Result<Option<Self>, CoreError> {
        let Some(remote) = socket::connect(profile).await?.map(Self::over) else { return Ok(None) };
        // Whoever answers waits for us before it ends.
        let greeted = tokio::time::timeout(GREETING, remote.asked(Duration::ZERO)).await;
        Ok(matches!(greeted, Ok(Some(_))).then_some(remote))
    }

    fn over(stream: UnixStream) -> Self {
        let (from, to) = stream.into_split();
        let shared = Arc::new(Shared::default());
        let (questions, wanted) = mpsc::unbounded_channel();
        let (ended, over) = watch::channel(false);
        let tasks = Tasks::default();
        tasks.spawn("control questions", write(to, wanted));
        tasks.spawn("control answers", listen(from, Arc::clone(&shared), ended));
        Self { shared, questions, hears: AtomicBool::new(false), over, tasks }
    }

    pub(crate) async fn request(&self, command: Command) -> Result<Reply, CoreError> {
        let (Ticket(ticket), answer) = self.shared.tickets.open()?;
        let question = Question::Request { ticket, command: Box::new(command) };
        let frame = frame::encode(&question, QUESTION_BYTES)
            .map_err(|error| ErrorKind::Limit.because(format!("the command cannot be passed on: {error}")))?;
        self.questions.send(frame).map_err(|_| gone())?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Passes a command on without waiting for its answer.
    pub(crate) fn mention(&self, command: Command) {
        if let Ok((Ticket(ticket), _)) = self.shared.tickets.open()
            && let Ok(frame) =
                frame::encode(&Question::Request { ticket, command: Box::new(command) }, QUESTION_BYTES)
        {
            // If the other side is gone, so is whoever it was for.
            drop(self.questions.send(frame));
        }
    }

    pub(crate) async fn connected(&self, wait: Duration) -> bool {
        self.asked(wait).await.unwrap_or(false)
    }

    /// What the owner of the profile last said of its connection.
    pub(crate) fn said(&self) -> Said {
        self.shared.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn asked(&self, wait: Duration) -> Option<bool> {
        let (sender, answer) = oneshot::channel();
        let ticket = self.shared.next.fetch_add(1, Ordering::Relaxed);
        self.shared.connected.lock().unwrap_or_else(PoisonError::into_inner).insert(ticket, sender);
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let asked = frame::encode(&Question::Connected { ticket, wait_ms }, QUESTION_BYTES)
            .is_ok_and(|frame| self.questions.send(frame).is_ok());
        if asked { answer.await.ok() } else { None }
    }

    pub(crate) fn events(&self) -> Events {
        let events = self.shared.listeners.listen();
        if !self.hears.swap(true, Ordering::AcqRel)
            && let Ok(frame) = frame::encode(&Question::Events, QUESTION_BYTES)
        {
            // If the other side is gone, the events end at once.
            drop(self.questions.send(frame));
        }
        events
    }

    /// Waits until the other process ends.
    pub(crate) async fn ended(&self) {
        drop(self.over.clone().wait_for(|over| *over).await);
    }

    pub(crate) async fn close(&self) {
        self.tasks.end().await;
        self.shared.end();
    }
}

impl Shared {
    fn end(&self) {
        self.tickets.end(gone());
        self.listeners.end();
        self.connected.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn on(&self, answer: Answer) {
        match answer {
            Answer::Result { ticket, result } => self.tickets.answer(Ticket(ticket), result),
            Answer::Event(event) => self.listeners.tell(&event),
            Answer::Connected { ticket, connected, server, trouble } => {
                *self.said.lock().unwrap_or_else(PoisonError::into_inner) = Said { server, trouble };
                let waiting = self.connected.lock().unwrap_or_else(PoisonError::into_inner).remove(&ticket);
                if let Some(waiting) = waiting {
                    // Whoever asked may have lost patience.
                    let _ = waiting.send(connected);
                }
            }
        }
    }
}

async fn write(mut to: OwnedWriteHalf, mut wanted: mpsc::UnboundedReceiver<Vec<u8>>) {
    while let Some(frame) = wanted.recv().await {
        if frame::write(&mut to, &frame).await.is_err() {
            return;
        }
    }
}

async fn listen(mut from: OwnedReadHalf, shared: Arc<Shared>, over: watch::Sender<bool>) {
    loop {
        match frame::read(&mut from, ANSWER_BYTES).await {
            Ok(answer) => shared.on(answer),
            Err(error) => {
                tracing::debug!(%error, "the process that owns the profile is gone");
                shared.end();
                over.send_replace(true);
                return;
            }
        }
    }
}

/// Whether this is the error of a command whose process ended, and not of the command.
pub(crate) fn is_gone(error: &CoreError) -> bool {
    error.kind == ErrorKind::Locked && error.message == gone().message
}

/// The error of everything that was under way when the owner of the profile ended.
fn gone() -> CoreError {
    ErrorKind::Locked
        .because("the process that had this profile open ended before it answered")
        .hint("look whether it was done, and run the command again if not")
}
