//! The side of the process that owns the profile.

use std::sync::Arc;
use std::time::Duration;

use cipher_core::{Command, CoreError, ErrorKind, Reply};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};

use crate::control::frame::{self, ANSWER_BYTES, Answer, FrameError, QUESTION_BYTES, Question};
use crate::control::socket;
use crate::runtime::listener::Events;
use crate::runtime::task::Tasks;
use crate::runtime::unsettled::Unsettled;

/// Visitors at once.
const VISITORS: usize = 64;
/// Open questions of one visitor.
const QUESTIONS: usize = 64;
/// Encoded answers that wait for one visitor.
const ANSWERS: usize = 64;
/// Longest wait for a connection that a visitor may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(600);
/// Pause after an error of `accept`, such as too many open files.
const PAUSE: Duration = Duration::from_millis(100);

/// What visitors are served: the session of this process. All clones mean the same one.
pub(crate) trait Served: Clone + Send + Sync + 'static {
    /// Asks the core.
    fn request(&self, command: Command) -> impl Future<Output = Result<Reply, CoreError>> + Send;

    /// Whether the broker is connected, after a wait at most as long as that.
    fn connected(&self, wait: Duration) -> impl Future<Output = bool> + Send;

    /// The servers that are used, without logins.
    fn server(&self) -> Option<String>;

    /// What is wrong with the broker.
    fn trouble(&self) -> Option<CoreError>;

    /// Events from now on.
    fn events(&self) -> Events;
}

/// Accepts visitors for ever, or until `session` gives none any more. `guests` counts those that want something done and
/// go again; a visitor that only listens on is none.
pub(crate) async fn accept<S: Served>(
    listener: UnixListener,
    session: impl Fn() -> Option<S>,
    tasks: Tasks,
    guests: Unsettled,
) {
    let room = Arc::new(Semaphore::new(VISITORS));
    loop {
        // Nobody closes it.
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) if socket::is_us(&stream) => {
                let Some(session) = session() else { return };
                let guest = Guest::new(&guests);
                tasks.spawn("visitor", async move {
                    visit(stream, session, guest).await;
                    drop(place);
                });
            }
            Ok(_) => tracing::warn!("another user tried the control socket"),
            Err(error) => {
                tracing::warn!(%error, "the control socket does not accept");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// A visitor that is waited for; not any more once this is gone.
#[derive(Debug)]
struct Guest(Unsettled);

impl Guest {
    fn new(guests: &Unsettled) -> Self {
        guests.add();
        Self(guests.clone())
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.0.done();
    }
}

async fn visit(stream: UnixStream, session: impl Served, guest: Guest) {
    let (from, to) = stream.into_split();
    let (answers, written) = mpsc::channel(ANSWERS);
    let asked = Tasks::default();
    let ended = tokio::select! {
        ended = listen(from, &session, &answers, &asked, guest) => ended,
        ended = write(to, written) => ended,
    };
    asked.end().await;
    if let FrameError::TooLarge(_) | FrameError::Malformed(_) = ended {
        tracing::warn!(error = %ended, "a visitor was turned away");
    }
}

async fn listen(
    mut from: OwnedReadHalf,
    session: &impl Served,
    answers: &mpsc::Sender<Vec<u8>>,
    asked: &Tasks,
    guest: Guest,
) -> FrameError {
    let mut guest = Some(guest);
    let room = Arc::new(Semaphore::new(QUESTIONS));
    let mut hears = false;
    loop {
        let question = match frame::read(&mut from, QUESTION_BYTES).await {
            Ok(question) => question,
            Err(error) => {
                drop(guest);
                return error;
            }
        };
        if let Question::Events = question {
            // Whoever listens on opens the profile itself when this process ends.
            guest = None;
            if !std::mem::replace(&mut hears, true) {
                asked.spawn("visitor events", events(session.clone(), answers.clone()));
            }
            continue;
        }
        // Nobody closes it.
        let place = Arc::clone(&room).acquire_owned().await;
        let (session, answers) = (session.clone(), answers.clone());
        asked.spawn("question", async move {
            if let Some(answer) = answer(&session, question).await {
                send(&answers, answer).await;
            }
            drop(place);
        });
    }
}

async fn answer(session: &impl Served, question: Question) -> Option<Answer> {
    match question {
        Question::Request { ticket, command } => {
            Some(Answer::Result { ticket, result: session.request(*command).await })
        }
        Question::Connected { ticket, wait_ms } => {
            let connected = session.connected(Duration::from_millis(wait_ms).min(LONGEST_WAIT)).await;
            let (server, trouble) = (session.server(), session.trouble());
            Some(Answer::Connected { ticket, connected, server, trouble })
        }
        Question::Events => None,
    }
}

async fn events(session: impl Served, answers: mpsc::Sender<Vec<u8>>) {
    let mut events = session.events();
    // Or the session would wait for itself to end.
    drop(session);
    while let Some(event) = events.next().await {
        if !send(&answers, Answer::Event(event)).await {
            return;
        }
    }
}

/// `false` when the visitor is gone.
async fn send(answers: &mpsc::Sender<Vec<u8>>, answer: Answer) -> bool {
    let frame = match (frame::encode(&answer, ANSWER_BYTES), &answer) {
        (Ok(frame), _) => frame,
        (Err(_), Answer::Result { ticket, .. }) => {
            let error =
                ErrorKind::Limit.because("the answer is too large to pass on").hint("ask for less at once");
            match frame::encode(&Answer::Result { ticket: *ticket, result: Err(error) }, ANSWER_BYTES) {
                Ok(frame) => frame,
                Err(_) => return true,
            }
        }
        (Err(_), Answer::Connected { .. } | Answer::Event(_)) => return true,
    };
    answers.send(frame).await.is_ok()
}

async fn write(mut to: OwnedWriteHalf, mut written: mpsc::Receiver<Vec<u8>>) -> FrameError {
    while let Some(frame) = written.recv().await {
        if let Err(error) = frame::write(&mut to, &frame).await {
            return error;
        }
    }
    FrameError::Ended(std::io::ErrorKind::BrokenPipe.into())
}
