//! The side of the process that owns the profile.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use cipher_api::command::event;
use cipher_api::reply::Done;
use cipher_api::rpc::{
    self, Call, Capability, Connected, Connection, Fault, Frame, Hello, Id, Subscribe, Subscribed, Token,
    Unsubscribe, Welcome,
};
use cipher_api::{Advice, Command, Error, ErrorKind, Hint, Reply, Request, schema};
use serde::Serialize;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, BufReader};
use tokio::net::UnixListener;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;

use crate::control::access::Access;
use crate::control::line::{self, ANSWER_BYTES, CALL_BYTES, LineError};
use crate::control::misread::{self, InJson, Misread};
use crate::control::subscription::{self, Start};
use crate::control::{PROGRAM, elder, socket};
use crate::runtime::listener::Events;
use crate::runtime::task::Tasks;
use crate::runtime::timer;
use crate::runtime::unsettled::Unsettled;
use crate::telemetry;
use crate::token::book::Book;
use crate::token::grant::Grant;
use crate::token::pass::Pass;

/// Visitors at once.
const VISITORS: usize = 64;
/// Open calls of one visitor.
const CALLS: usize = 64;
/// Lines that wait for one visitor.
const LINES: usize = 64;
/// Subscriptions of one visitor.
const SUBSCRIPTIONS: usize = 16;
/// Longest wait for a connection that a visitor may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(600);
/// How long answers may take that a visitor waits for who says no more.
const LAST_ANSWERS: Duration = Duration::from_secs(60);
/// How long a visitor of a door that asks for a token may take to show one, and the longest line until then, bytes.
const TOKEN_PATIENCE: Duration = Duration::from_secs(10);
const TOKEN_LINE_BYTES: usize = 64 * 1024;
/// How often it is looked whether the token of a quiet connection is good still.
const GLANCE: Duration = Duration::from_secs(1);
/// Pause after an error of `accept`, such as too many open files.
const PAUSE: Duration = Duration::from_millis(100);

/// What visitors are served: the session of this process. All clones mean the same one.
pub(crate) trait Served: Clone + Send + Sync + 'static {
    /// Asks the core.
    fn request(&self, command: Command) -> impl Future<Output = Result<Reply, Error>> + Send;

    /// Whether the broker is connected, after a wait at most as long as that.
    fn connected(&self, wait: Duration) -> impl Future<Output = bool> + Send;

    /// The servers that are used, without logins.
    fn server(&self) -> Option<String>;

    /// What is wrong with the broker.
    fn trouble(&self) -> Option<Error>;

    /// Whether all conversations are followed.
    fn follows(&self) -> bool;

    /// Events from now on.
    fn events(&self) -> Events;

    /// The tokens of the profile.
    fn tokens(&self) -> Result<Book, Error>;
}

/// By which way a visitor comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// For processes of the same user: whoever could open it could open the store.
    Own,
    /// For any process that can open it and shows a token.
    Token,
}

/// Accepts visitors for ever, or until `session` gives none any more. `guests` counts those that want something done and
/// go again; a visitor that only listens on is none.
pub(crate) async fn accept<S: Served>(
    listener: UnixListener,
    door: Door,
    session: impl Fn() -> Option<S>,
    tasks: Tasks,
    guests: Unsettled,
) {
    let room = Arc::new(Semaphore::new(VISITORS));
    loop {
        // Nobody closes it.
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) if door == Door::Token || socket::is_us(&stream) => {
                let Some(session) = session() else { return };
                // A program that was given a token keeps nobody waiting.
                let guest = (door == Door::Own).then(|| Guest::new(&guests));
                tasks.spawn("visitor", async move {
                    let (from, to) = stream.into_split();
                    drop(serve(from, to, session, door, None, guest).await);
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
pub(crate) struct Guest(Unsettled);

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

/// Serves one visitor until it goes; an error when its token ended before. With a pass it was shown a token on its behalf.
pub(crate) async fn serve(
    from: impl AsyncRead + Send + Unpin,
    mut to: impl AsyncWrite + Send + Unpin,
    session: impl Served,
    door: Door,
    pass: Option<Pass>,
    guest: Option<Guest>,
) -> Result<(), Error> {
    let mut from = BufReader::new(from);
    // One of an older version has no token.
    if door == Door::Own {
        match from.fill_buf().await {
            Ok([first, ..]) if elder::is_one(*first) => {
                tracing::warn!("a visitor of an older version was turned away");
                drop(elder::answer(&mut from, &mut to, &too_old()).await);
                return Ok(());
            }
            Ok(_) => {}
            Err(_) => return Ok(()),
        }
    }
    let (lines, written) = mpsc::channel(LINES);
    let mut visit = Visit {
        access: Access::new(session, pass),
        door,
        shown_until: Instant::now() + TOKEN_PATIENCE,
        lines,
        asked: Tasks::default(),
        room: Arc::new(Semaphore::new(CALLS)),
        guest,
        greeted: false,
        subscriptions: HashMap::new(),
        last: 0,
    };
    let asked = visit.asked.clone();
    let written = write(to, written);
    tokio::pin!(written);
    let (ended, hears) = tokio::select! {
        ended = visit.listen(from) => (ended, true),
        ended = &mut written => (Ended::Gone(ended), false),
    };
    for (_, subscription) in visit.subscriptions.drain() {
        subscription.end().await;
    }
    // Who says no more may still wait for answers, as a script does that ends its input. They are all there once no call
    // holds a sender.
    drop(visit);
    if hears {
        drop(tokio::time::timeout(LAST_ANSWERS, written).await);
    }
    asked.end().await;
    match ended {
        Ended::Over(error) => return Err(error),
        Ended::Gone(LineError::TooLong(most)) => {
            tracing::warn!(most, "a visitor with too long a line was turned away");
        }
        Ended::Gone(_) => {}
    }
    Ok(())
}

/// Why a visitor is not served any more.
#[derive(Debug)]
enum Ended {
    /// It is gone.
    Gone(LineError),
    /// It may not be served any more.
    Over(Error),
}

/// One visitor.
struct Visit<S> {
    access: Access<S>,
    door: Door,
    /// When it must have shown a token, if it has to.
    shown_until: Instant,
    lines: mpsc::Sender<Vec<u8>>,
    asked: Tasks,
    room: Arc<Semaphore>,
    guest: Option<Guest>,
    /// Whether it said hello.
    greeted: bool,
    /// Its subscriptions, each with what ends it.
    subscriptions: HashMap<u64, Tasks>,
    last: u64,
}

impl<S: Served> Visit<S> {
    async fn listen(&mut self, mut from: BufReader<impl AsyncRead + Unpin>) -> Ended {
        loop {
            let most = if self.welcome() { CALL_BYTES } else { TOKEN_LINE_BYTES };
            let came = tokio::select! {
                came = line::read(&mut from, most) => came,
                error = self.over() => {
                    send(&self.lines, Frame::answer(Id::Null, Err(error.clone().into()))).await;
                    self.guest = None;
                    return Ended::Over(error);
                }
            };
            let line = match came {
                Ok(line) => line,
                Err(error) => {
                    if let LineError::TooLong(_) = error {
                        let fault = Fault::of_frame(Fault::INVALID_REQUEST, error.to_string());
                        send(&self.lines, Frame::answer(Id::Null, Err(fault))).await;
                    }
                    self.guest = None;
                    return Ended::Gone(error);
                }
            };
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            match read(&line) {
                Ok(call) => self.call(call).await,
                Err(answer) => _ = send(&self.lines, *answer).await,
            }
        }
    }

    /// Whether it came by a door that asks for nothing, or has shown what it asks for.
    const fn welcome(&self) -> bool {
        matches!(self.door, Door::Own) || self.access.pass().is_some()
    }

    /// R-TOKEN-04, R-TOKEN-06: waits until its token is over, or until it took too long to show one.
    async fn over(&self) -> Error {
        if !self.welcome() {
            tokio::time::sleep_until(self.shown_until).await;
            return no_token();
        }
        if self.access.pass().is_none() {
            return std::future::pending().await;
        }
        loop {
            tokio::time::sleep(GLANCE).await;
            if let Err(error) = self.access.grant() {
                return error;
            }
        }
    }

    async fn call(&mut self, call: Call) {
        let result = match &*call.method {
            // Both begin something that only their answer explains.
            Hello::METHOD | Subscribe::METHOD if call.id.is_none() => {
                let why = format!("{} has an answer: give it an id", call.method);
                let fault = Fault::of_frame(Fault::INVALID_REQUEST, why);
                send(&self.lines, Frame::answer(Id::Null, Err(fault))).await;
                return;
            }
            Hello::METHOD => self.hello(call.params),
            _ if !self.greeted => {
                Err(Fault::of_frame(Fault::INVALID_REQUEST, "the first request of a connection is hello"))
            }
            Subscribe::METHOD => {
                if let Some(id) = call.id {
                    self.subscribe(id, call.params).await;
                }
                return;
            }
            Unsubscribe::METHOD => self.unsubscribe(call.params).await,
            _ => return self.begin(call).await,
        };
        if let Some(id) = call.id {
            send(&self.lines, Frame::answer(id, result)).await;
        }
    }

    /// Answers when it is done; others are taken meanwhile.
    async fn begin(&self, call: Call) {
        // Nobody closes it.
        let place = Arc::clone(&self.room).acquire_owned().await;
        let (access, lines) = (self.access.clone(), self.lines.clone());
        self.asked.spawn("call", async move {
            let Call { id, method, params, .. } = call;
            let result = answer(&access, &method, params).await;
            if let Some(id) = id {
                send(&lines, Frame::answer(id, result)).await;
            }
            drop(place);
        });
    }

    fn hello(&mut self, params: Value) -> Result<Value, Fault> {
        let Hello { version, client, token } = params_of(params)?;
        if version != rpc::VERSION {
            return Err(other_version(version, &client).into());
        }
        if let Some(Token(word)) = token {
            self.show(Pass::show(&self.access.session.tokens()?, &word, timer::now())?)?;
        }
        // R-TOKEN-06: this door serves nothing before.
        if !self.welcome() {
            return Err(no_token().into());
        }
        let grant = self.access.grant()?;
        self.greeted = true;
        let known = |method: &&str| grant.as_ref().is_none_or(|grant| may_call(grant, method));
        result_of(&Welcome {
            version: rpc::VERSION,
            agent: PROGRAM.into(),
            capabilities: [Capability::Resume, Capability::Acknowledge, Capability::Tokens]
                .into_iter()
                .chain(self.access.session.follows().then_some(Capability::Follows))
                .collect(),
            methods: schema::methods().filter(known).map(Into::into).collect(),
            token: grant.map(|grant| grant.view()),
        })
    }

    /// R-TOKEN-07: a connection may become less, and never more: its token is that of its first hello.
    fn show(&mut self, pass: Pass) -> Result<(), Error> {
        match self.access.pass() {
            Some(now) if now.is(&pass) => Ok(()),
            Some(_) => Err(ErrorKind::Refused.because("this connection has another token; begin a new one")),
            None if self.greeted => Err(ErrorKind::Refused
                .because("a token is shown in the first hello of a connection; begin a new one")),
            None => {
                self.access.confine(pass);
                Ok(())
            }
        }
    }

    /// Answered before the first of its events.
    async fn subscribe(&mut self, id: Id, params: Value) {
        let begun = self.begin_subscription(params).await;
        let (result, start) = match begun {
            Ok((subscribed, start)) => (result_of(&subscribed), Some((subscribed.subscription, start))),
            Err(fault) => (Err(fault), None),
        };
        send(&self.lines, Frame::answer(id, result)).await;
        let Some((subscription, start)) = start else { return };
        // A visitor that listens on opens the profile itself when this process ends.
        self.guest = None;
        let tasks = Tasks::default();
        tasks.spawn("visitor events", start.tell(self.lines.clone()));
        self.subscriptions.insert(subscription, tasks);
    }

    async fn begin_subscription(&mut self, params: Value) -> Result<(Subscribed, Start<S>), Fault> {
        let subscribe = params_of(params)?;
        if self.subscriptions.len() >= SUBSCRIPTIONS {
            let most = format!("a connection has at most {SUBSCRIPTIONS} subscriptions");
            return Err(ErrorKind::Limit.because(most).into());
        }
        self.last += 1;
        Ok(subscription::begin(&self.access, self.last, subscribe).await?)
    }

    async fn unsubscribe(&mut self, params: Value) -> Result<Value, Fault> {
        let Unsubscribe { subscription } = params_of(params)?;
        let Some(tasks) = self.subscriptions.remove(&subscription) else {
            return Err(ErrorKind::NotFound
                .because(format!("there is no subscription {subscription}"))
                .into());
        };
        tasks.end().await;
        result_of(&Done {})
    }
}

/// Reads a call; the answer to one that is none names its id if it has one.
fn read(line: &[u8]) -> Result<Call, Box<Frame>> {
    let answer = |id, code, why: &str| Box::new(Frame::answer(id, Err(Fault::of_frame(code, why))));
    let value: Value = serde_json::from_slice(line).map_err(|error| {
        answer(Id::Null, Fault::PARSE, &format!("the line is not one JSON object: {error}"))
    })?;
    let id = value.get("id").and_then(|id| serde_json::from_value(id.clone()).ok()).unwrap_or(Id::Null);
    let bad = |code, why: &str| answer(id.clone(), code, why);
    if value.is_array() {
        return Err(bad(Fault::INVALID_REQUEST, "batches are not taken: one request per line"));
    }
    if value.get("params").is_some_and(Value::is_array) {
        return Err(bad(Fault::INVALID_PARAMS, "parameters are given by name"));
    }
    if value.get("id").is_some_and(|id| !matches!(id, Value::String(_) | Value::Null) && !id.is_u64()) {
        let why = "id: a string or a whole number, 0 or more, is expected";
        return Err(bad(Fault::INVALID_REQUEST, why));
    }
    misread::read(value)
        .map_err(|error| bad(Fault::INVALID_REQUEST, &format!("this is no JSON-RPC 2.0 request: {error}")))
}

async fn answer(access: &Access<impl Served>, method: &str, params: Value) -> Result<Value, Fault> {
    if method == Connection::METHOD {
        let Connection { wait_ms } = params_of(params)?;
        let grant = access.may(method)?;
        let session = &access.session;
        let connected = session.connected(Duration::from_millis(wait_ms).min(LONGEST_WAIT)).await;
        // Where the broker is does not belong to a conversation.
        let (server, trouble) =
            if grant.is_some() { (None, None) } else { (session.server(), session.trouble()) };
        return result_of(&Connected { connected, server, trouble });
    }
    let Some(command) = Command::read(method, params, InJson) else {
        return Err(Fault::of_frame(Fault::NO_METHOD, format!("{PROGRAM} has no method {method}")));
    };
    let command = command.map_err(|error| bad_params(method, &error))?;
    let reply = access.request(command).await.inspect_err(|error| telemetry::causes(error))?;
    Ok(Command::result(method, reply)?)
}

/// Whether the holder of a token may call a method: of the protocol, or one that its token names.
fn may_call(grant: &Grant, method: &str) -> bool {
    match method {
        Hello::METHOD => true,
        Subscribe::METHOD => grant.may(event::List::METHOD).is_ok(),
        _ => grant.may(method).is_ok(),
    }
}

/// For a visitor of a door that asks for a token.
fn no_token() -> Error {
    ErrorKind::Refused
        .because("this socket serves programs that show a token in hello, and no others")
        .hint(Hint::TokenCreateAnew { name: "NAME".into() })
}

fn params_of<R: Request>(params: Value) -> Result<R, Fault> {
    misread::read(params).map_err(|error| bad_params(R::METHOD, &error))
}

fn bad_params(method: &str, error: &Misread) -> Fault {
    Fault::of_frame(Fault::INVALID_PARAMS, format!("{method}: {error}"))
}

fn result_of(result: &impl Serialize) -> Result<Value, Fault> {
    serde_json::to_value(result)
        .map_err(|error| ErrorKind::Bug.because_of("an answer cannot be written as JSON", error).into())
}

/// Versions that differ: which of the two programs to update.
fn other_version(theirs: u32, client: &str) -> Error {
    let client = if client.is_empty() { "the client" } else { client };
    let ours = rpc::VERSION;
    let older = if theirs < ours { client } else { PROGRAM };
    ErrorKind::Refused.because(format!(
        "{PROGRAM}, which has this profile open, speaks version {ours} of the protocol, and {client} version {theirs}: \
         update {older}, and start it again"
    ))
}

/// What a client of before version 1 is told.
fn too_old() -> String {
    format!(
        "{PROGRAM} has this profile open and speaks version {} of the protocol, which this program does not: update it, or \
         stop the other one",
        rpc::VERSION
    )
}

/// `false` when the visitor is gone.
pub(super) async fn send(lines: &mpsc::Sender<Vec<u8>>, frame: Frame) -> bool {
    let line = match (line::encode(&frame, ANSWER_BYTES), frame) {
        (Ok(line), _) => line,
        (Err(_), Frame::Result { id, .. }) => {
            let error =
                ErrorKind::Limit.because("the answer is too large to pass on").hint(Advice::AskForLess);
            match line::encode(&Frame::answer(id, Err(error.into())), ANSWER_BYTES) {
                Ok(line) => line,
                Err(_) => return true,
            }
        }
        (Err(_), Frame::Error { .. } | Frame::Notification(_)) => return true,
    };
    lines.send(line).await.is_ok()
}

async fn write(mut to: impl AsyncWrite + Unpin, mut written: mpsc::Receiver<Vec<u8>>) -> LineError {
    while let Some(line) = written.recv().await {
        if let Err(error) = line::write(&mut to, &line).await {
            return error;
        }
    }
    LineError::Ended(std::io::ErrorKind::BrokenPipe.into())
}

#[cfg(test)]
#[path = "server_test.rs"]
mod tests;
