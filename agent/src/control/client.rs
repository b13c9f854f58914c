//! The side of a visitor: a session that another process runs.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cipher_api::rpc::{
    self, Call, Capability, Connection, Frame, Hello, Id, News, Notification, Subscribe, Token, Welcome,
};
use cipher_api::{Advice, Command, Cursor, Error, ErrorKind, Hint, Request};
use serde_json::Value;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot, watch};

use crate::control::line::{self, ANSWER_BYTES, CALL_BYTES};
use crate::control::{PROGRAM, socket};
use crate::profile::Profile;
use crate::runtime::listener::{Events, Listeners};
use crate::runtime::task::Tasks;
use crate::token::secret::Secret;

/// How long the owner of a profile may take to say that it is there.
const GREETING: Duration = Duration::from_secs(5);

/// A connection to the process that owns the profile.
#[derive(Debug)]
pub(crate) struct Remote {
    shared: Arc<Shared>,
    calls: mpsc::UnboundedSender<Vec<u8>>,
    hears: AtomicBool,
    over: watch::Receiver<bool>,
    tasks: Tasks,
}

#[derive(Debug, Default)]
struct Shared {
    last: AtomicU64,
    open: Mutex<Open>,
    listeners: Listeners,
    /// Whether the owner follows all conversations.
    follows: AtomicBool,
    /// What the owner last said of its connection.
    said: Mutex<Said>,
    /// The cursor that came last: an event that the profile does not keep comes with the one before its own.
    told: Mutex<Option<Cursor>>,
}

/// Calls that wait for an answer.
#[derive(Debug, Default)]
struct Open {
    calls: HashMap<u64, oneshot::Sender<Result<Value, Error>>>,
    /// Set once no answer will come any more.
    over: bool,
}

/// What the process that has the profile open says of its connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Said {
    /// The servers, without logins.
    pub(crate) server: Option<String>,
    /// Why they cannot be reached.
    pub(crate) trouble: Option<Error>,
}

/// What is found at the control socket of a profile.
#[derive(Debug)]
pub(crate) enum Found {
    /// No process serves the profile, or only until a moment ago.
    Nobody,
    /// A process that does not answer a greeting: it is about to end, or it speaks something else.
    Mute,
    /// A process that serves it.
    Owner(Remote),
}

impl Remote {
    /// Connects and says hello. An error when the other side speaks another version.
    pub(crate) async fn connect(profile: &Profile) -> Result<Found, Error> {
        let Some(stream) = socket::connect(profile).await? else { return Ok(Found::Nobody) };
        let remote = Self::over(stream);
        // Whoever answers waits for us before it ends.
        let hello = Hello { version: rpc::VERSION, client: PROGRAM.into(), token: None };
        let greeted = async {
            let welcome = remote.ask(&hello).await?;
            let follows = welcome.capabilities.contains(&Capability::Follows);
            remote.shared.follows.store(follows, Ordering::Relaxed);
            // Which servers it uses: for what is told of them later.
            remote.connected(Duration::ZERO).await;
            Ok(())
        };
        match tokio::time::timeout(GREETING, greeted).await {
            Ok(Ok(())) => Ok(Found::Owner(remote)),
            Ok(Err(error)) if !is_gone(&error) => Err(error),
            Ok(Err(_)) | Err(_) => Ok(Found::Mute),
        }
    }

    fn over(stream: UnixStream) -> Self {
        let (from, to) = stream.into_split();
        let shared = Arc::new(Shared::default());
        let (calls, wanted) = mpsc::unbounded_channel();
        let (ended, over) = watch::channel(false);
        let tasks = Tasks::default();
        tasks.spawn("control calls", write(to, wanted));
        tasks.spawn("control answers", listen(from, Arc::clone(&shared), ended));
        Self { shared, calls, hears: AtomicBool::new(false), over, tasks }
    }

    /// Asks the process that owns the profile.
    pub(crate) async fn ask<R: Request>(&self, request: &R) -> Result<R::Reply, Error> {
        let (id, answer) = self.shared.begin()?;
        let call = Call::new(Id::Number(id), request).map_err(unwritten)?;
        let line = line::encode(&call, CALL_BYTES)
            .map_err(|error| ErrorKind::Limit.because_of("the request cannot be passed on", error))?;
        self.calls.send(line).map_err(|_| gone())?;
        let result = answer.await.unwrap_or_else(|_| Err(gone()))?;
        serde_json::from_value(result).map_err(|error| {
            ErrorKind::Bug
                .because_of(format_args!("the answer to {} cannot be read", R::METHOD), error)
                .hint(Advice::ProgramsDiffer)
        })
    }

    /// Passes a command on without waiting for its answer.
    pub(crate) fn mention(&self, command: &Command) {
        let call =
            |params| Call { jsonrpc: rpc::JsonRpc::Two, id: None, method: command.method().into(), params };
        if let Ok(params) = command.params()
            && let Ok(line) = line::encode(&call(params), CALL_BYTES)
        {
            // If the other side is gone, so is what it was for.
            drop(self.calls.send(line));
        }
    }

    pub(crate) async fn connected(&self, wait: Duration) -> bool {
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let Ok(answer) = self.ask(&Connection { wait_ms }).await else { return false };
        *lock(&self.shared.said) = Said { server: answer.server, trouble: answer.trouble };
        answer.connected
    }

    /// Whether the owner of the profile follows all conversations.
    pub(crate) fn follows(&self) -> bool {
        self.shared.follows.load(Ordering::Relaxed)
    }

    /// What the owner of the profile last said of its connection.
    pub(crate) fn said(&self) -> Said {
        lock(&self.shared.said).clone()
    }

    pub(crate) fn events(&self) -> Events {
        let events = self.shared.listeners.listen();
        if !self.hears.swap(true, Ordering::AcqRel)
            && let Ok((id, _)) = self.shared.begin()
            && let Ok(call) = Call::new(Id::Number(id), &Subscribe::default())
            && let Ok(line) = line::encode(&call, CALL_BYTES)
        {
            // If the other side is gone, the events end at once.
            drop(self.calls.send(line));
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
    /// A new call and where its answer arrives; or why there will be none.
    fn begin(&self) -> Result<(u64, oneshot::Receiver<Result<Value, Error>>), Error> {
        let mut open = lock(&self.open);
        if open.over {
            return Err(gone());
        }
        let (answer, arrives) = oneshot::channel();
        let id = self.last.fetch_add(1, Ordering::Relaxed);
        open.calls.insert(id, answer);
        Ok((id, arrives))
    }

    fn end(&self) {
        let mut open = lock(&self.open);
        open.over = true;
        open.calls.clear();
        drop(open);
        self.listeners.end();
    }

    fn on(&self, frame: Frame) {
        let (id, result) = match frame {
            Frame::Notification(Notification { news: News::Event(told), .. }) => {
                let before = lock(&self.told).replace(told.cursor);
                let kept = (before != Some(told.cursor)).then_some(told.cursor);
                return self.listeners.tell_at(kept, &told.event);
            }
            Frame::Notification(Notification { news: News::UpToDate { cursor, .. }, .. }) => {
                lock(&self.told).replace(cursor);
                return;
            }
            Frame::Result { id, result, .. } => (id, Ok(result)),
            Frame::Error { id, error, .. } => (id, Err(error.into())),
        };
        let Id::Number(id) = id else { return };
        if let Some(waiting) = lock(&self.open).calls.remove(&id) {
            // The caller may have lost patience.
            drop(waiting.send(result));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn write(mut to: OwnedWriteHalf, mut wanted: mpsc::UnboundedReceiver<Vec<u8>>) {
    while let Some(line) = wanted.recv().await {
        if line::write(&mut to, &line).await.is_err() {
            return;
        }
    }
}

async fn listen(from: OwnedReadHalf, shared: Arc<Shared>, over: watch::Sender<bool>) {
    let mut from = BufReader::new(from);
    let why = loop {
        let line = match line::read(&mut from, ANSWER_BYTES).await {
            Ok(line) => line,
            Err(error) => break error.to_string(),
        };
        match serde_json::from_slice(&line) {
            Ok(frame) => shared.on(frame),
            // A kind of news that this version does not know.
            Err(error) => {
                tracing::debug!(%error, "a line of the process that owns the profile is passed over");
            }
        }
    };
    tracing::debug!(why, "the process that owns the profile is gone");
    shared.end();
    over.send_replace(true);
}

/// Whether this is the error of a request whose process ended, and not of the request.
pub(crate) fn is_gone(error: &Error) -> bool {
    *error == gone()
}

/// The error of everything that was under way when the owner of the profile ended.
fn gone() -> Error {
    ErrorKind::Locked
        .because("the process that had this profile open ended before it answered")
        .hint(Advice::LookWhetherDone)
}

fn unwritten(error: serde_json::Error) -> Error {
    ErrorKind::Bug.because_of("a request cannot be written as JSON", error)
}

/// Passes lines on between a visitor and the process that has the profile open, until one of them ends. A token is shown
/// before the visitor can say anything, so that it can do no more than that.
pub(crate) async fn pass_on(
    profile: &Profile,
    token: Option<&Secret>,
    mut from: impl AsyncRead + Send + Unpin,
    mut to: impl AsyncWrite + Send + Unpin,
) -> Result<(), Error> {
    let Some(stream) = socket::connect(profile).await? else { return Err(gone()) };
    let (answers, mut calls) = stream.into_split();
    let mut answers = BufReader::new(answers);
    if let Some(token) = token {
        show(token, &mut answers, &mut calls).await?;
    }
    let there = async {
        let end = copy(&mut BufReader::new(&mut from), &mut calls).await;
        if end == End::From {
            drop(calls.shutdown().await);
        }
        end
    };
    let back = copy(&mut answers, &mut to);
    tokio::pin!(there, back);
    let (mut said, mut said_all) = (false, false);
    loop {
        tokio::select! {
            // What cannot be said to a process that is gone is not all that there was to say.
            end = &mut there, if !said => (said, said_all) = (true, end == End::From),
            // The last answers come after the last call; whoever does not read them any more is done too.
            end = &mut back => return if said_all || end == End::To { Ok(()) } else { Err(gone()) },
        }
    }
}

/// Which side of a copy ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    From,
    To,
}

/// Passes on what comes, as it comes. A process that was killed may leave an error behind instead of an end.
async fn copy(from: &mut (impl AsyncBufRead + Unpin), to: &mut (impl AsyncWrite + Unpin)) -> End {
    loop {
        let Ok(some) = from.fill_buf().await else { return End::From };
        if some.is_empty() {
            return End::From;
        }
        if to.write_all(some).await.is_err() || to.flush().await.is_err() {
            return End::To;
        }
        let passed = some.len();
        from.consume(passed);
    }
}

/// Whether a process has the profile open and takes a token; its refusal if it does not take it.
pub(crate) async fn takes(profile: &Profile, token: &Secret) -> Result<bool, Error> {
    let Some(stream) = socket::connect(profile).await? else { return Ok(false) };
    let (answers, mut calls) = stream.into_split();
    match show(token, &mut BufReader::new(answers), &mut calls).await {
        Err(error) if is_gone(&error) => Ok(false),
        shown => shown.map(|()| true),
    }
}

/// Says hello with a token.
async fn show(
    token: &Secret,
    answers: &mut BufReader<OwnedReadHalf>,
    calls: &mut OwnedWriteHalf,
) -> Result<(), Error> {
    let shown = try_show(token, answers, calls);
    tokio::time::timeout(GREETING, shown).await.unwrap_or_else(|_| Err(gone()))
}

async fn try_show(
    token: &Secret,
    answers: &mut BufReader<OwnedReadHalf>,
    calls: &mut OwnedWriteHalf,
) -> Result<(), Error> {
    let hello = Hello { version: rpc::VERSION, client: PROGRAM.into(), token: Some(Token(token.reveal())) };
    let call = Call::new(Id::Number(0), &hello).map_err(unwritten)?;
    let line = line::encode(&call, CALL_BYTES).map_err(|_| gone())?;
    line::write(calls, &line).await.map_err(|_| gone())?;
    let answer = line::read(answers, ANSWER_BYTES).await.map_err(|_| gone())?;
    match serde_json::from_slice(&answer) {
        Ok(Frame::Error { error, .. }) => Err(error.into()),
        Ok(Frame::Result { result, .. }) => match serde_json::from_value::<Welcome>(result) {
            Ok(Welcome { token: Some(_), .. }) => Ok(()),
            // It would let the program do everything.
            Ok(_) | Err(_) => Err(ErrorKind::Refused
                .because(
                    "the process that has this profile open is of an older version, which knows no tokens",
                )
                .hint(Hint::text("stop it, and start it again with this version"))),
        },
        Ok(Frame::Notification(_)) | Err(_) => Err(gone()),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;
    use crate::control::socket::ServedSocket;

    /// Passes lines on to an owner that is what `owner` makes of the connection.
    async fn passed_on(said: &[u8], owner: impl AsyncFnOnce(UnixStream)) -> Result<(), Error> {
        let home = tempfile::tempdir().unwrap();
        let profile = Profile::new(home.path(), "ana").unwrap();
        profile.prepare().unwrap();
        let listener = ServedSocket::default().bind(&profile).unwrap();
        let (mut program, ours) = tokio::io::duplex(64);
        let (from, to) = tokio::io::split(ours);
        program.write_all(said).await.unwrap();
        let served = async {
            owner(listener.accept().await.unwrap().0).await;
            // It goes on saying something to whoever is there no more.
            while program.write_all(b"more\n").await.is_ok() {}
        };
        tokio::select! {
            passed = pass_on(&profile, None, from, to) => passed,
            () = served => panic!("the program is served no more and not told"),
        }
    }

    #[tokio::test]
    async fn an_owner_that_was_killed_is_no_end_of_the_program_whatever_it_was_saying() {
        // With something unread the socket gives an error instead of an end.
        let unread = passed_on(b"{}\n", async |stream| stream.readable().await.unwrap()).await;
        assert_eq!(unread, Err(gone()));
        let read = passed_on(b"{}\n", async |mut stream| _ = stream.read_u8().await.unwrap()).await;
        assert_eq!(read, Err(gone()));
    }
}
