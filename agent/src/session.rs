//! A profile in use: by this process, or by another one of ours through its control socket. Callers see no
//! difference.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cipher_api::{Ask, Command, Error, ErrorKind, Event, Hint, Notice, Reply};
use cipher_connection::Trouble;
use cipher_core::{Input, Interest};
use cipher_seal::Key;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixListener;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

pub use crate::net::settings::{Login, NetworkSettings};
pub use crate::runtime::listener::Events;
pub use cipher_connection::{First, Tls};

use crate::control::client::{self, Found, Remote};
use crate::control::server::{self, Door, Served};
use crate::control::socket::ServedSocket;
use crate::evidence::{Alarm, Alarms};
use crate::net::connect::{self, Network};
use crate::net::jitter;
use crate::net::link::Reach;
use crate::profile::Profile;
use crate::runtime::listener::Listeners;
use crate::runtime::mailbox::Mailbox;
use crate::runtime::task::Tasks;
use crate::runtime::ticket::Tickets;
use crate::runtime::timer;
use crate::runtime::unsettled::Unsettled;
use crate::runtime::worker::{Effects, Worker};
use crate::session::effect::{Hands, Online};
use crate::telemetry;
use crate::token::book::Book;
use crate::token::file;
use crate::token::pass::Pass;
use crate::token::secret::Secret;
use crate::unlock::Unlocking;

mod effect;

/// How long to wait for a profile that another process holds without serving it: longer than a one-shot command
/// may take when the registry is silent.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);
/// Pauses between attempts, doubling.
const SHORTEST_PAUSE: Duration = Duration::from_millis(4);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
/// How often in a row a process that has the profile open may leave a greeting unanswered: it may be about to end.
const MUTE: u32 = 3;
/// How long closing waits for other commands that are being served, new ones among them, and how long for the last.
const GUEST_PATIENCE: Duration = Duration::from_secs(10);
const LAST_GUEST_PATIENCE: Duration = Duration::from_secs(5);
/// How long closing waits for what is in flight.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);

/// What a caller needs of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Nothing.
    Local,
    /// Deliver what is queued, read what that needs.
    Outbox,
    /// Follow all groups.
    Everything,
}

/// What a broker says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    /// Version of nats-server.
    pub version: String,
    /// Whether JetStream is enabled.
    pub jetstream: bool,
    /// Whether TLS is in use.
    pub encrypted: bool,
    /// Whether all its servers are on this machine.
    pub loopback: bool,
}

/// A profile in use. Cheap to clone; all clones mean the same session.
#[derive(Debug, Clone)]
pub struct Session {
    inner: Arc<Inner>,
}

#[derive(Debug)]
enum Inner {
    Local(Box<Local>),
    Remote(Remote),
}

#[derive(Debug)]
struct Local {
    profile: Profile,
    book: Book,
    mailbox: Arc<Mailbox>,
    tickets: Arc<Tickets>,
    listeners: Arc<Listeners>,
    network: Option<Network>,
    /// Whether all conversations are followed.
    follows: bool,
    unsettled: Unsettled,
    /// Publisher, readers, questions.
    tasks: Tasks,
    /// Who accepts connections of the control socket, those connections, and how many of them are to be waited for.
    accepting: Tasks,
    visitors: Tasks,
    guests: Unsettled,
    claim: ServedSocket,
    /// True once the core is gone and its store closed.
    over: watch::Receiver<bool>,
    alarms: Alarms,
    worker: Mutex<Option<Worker>>,
}

impl Session {
    /// Opens the profile's store in this process, or speaks to the process of ours that has it open.
    pub async fn open(
        profile: &Profile,
        unlocking: &Unlocking,
        network: NetworkSettings,
        need: Need,
    ) -> Result<Self, Error> {
        if let Found::Owner(remote) = Remote::connect(profile).await? {
            return Ok(Self { inner: Arc::new(Inner::Remote(remote)) });
        }
        profile.prepare()?;
        let (mailbox, tasks, unsettled) =
            (Arc::new(Mailbox::default()), Tasks::default(), Unsettled::default());
        let interest = match need {
            Need::Local => None,
            Need::Outbox => Some(Interest::Outbox),
            Need::Everything => Some(Interest::Everything),
        };
        // The connection is made while the store is opened.
        let (violations, violated) = mpsc::unbounded_channel();
        let connection = match interest {
            Some(interest) => {
                Some(Network::start(&network, interest, Arc::clone(&mailbox), violations, &tasks)?)
            }
            None => None,
        };
        let (worker, effects, key) = match open_store(profile, unlocking, &mailbox).await {
            Ok(Opened::Here(worker, effects, key)) => (worker, effects, key),
            Ok(Opened::Elsewhere(remote)) => {
                tasks.end().await;
                return Ok(Self { inner: Arc::new(Inner::Remote(remote)) });
            }
            Err(error) => {
                tasks.end().await;
                return Err(error);
            }
        };
        let (tickets, listeners) = (Arc::new(Tickets::default()), Arc::new(Listeners::default()));
        let alarms = Alarms::new(profile.clone());
        let hands = Hands {
            alarms: alarms.clone(),
            mailbox: Arc::clone(&mailbox),
            tickets: Arc::clone(&tickets),
            listeners: Arc::clone(&listeners),
            online: connection
                .clone()
                .map(|network| Online::start(network, &mailbox, violated, unsettled.clone(), tasks.clone())),
            wake: None,
        };
        let (ended, over) = watch::channel(false);
        // Not one of `tasks`: it ends by itself, after everything the core wanted done was started.
        Tasks::default().spawn("effects", effect::run(effects, hands, ended));
        let local = Local {
            profile: profile.clone(),
            book: Book::of_owner(profile, key),
            mailbox,
            tickets,
            listeners,
            network: connection,
            follows: need == Need::Everything,
            unsettled,
            tasks,
            accepting: Tasks::default(),
            visitors: Tasks::default(),
            guests: Unsettled::default(),
            claim: ServedSocket::default(),
            over,
            alarms,
            worker: Mutex::new(Some(worker)),
        };
        if let Some(network) = &local.network {
            local.tasks.spawn("connection news", tell(network.clone(), Arc::clone(&local.listeners)));
        }
        let session = Self { inner: Arc::new(Inner::Local(Box::new(local))) };
        session.serve();
        Ok(session)
    }

    /// Whether another process has the store open.
    pub fn is_remote(&self) -> bool {
        matches!(*self.inner, Inner::Remote(_))
    }

    /// The connection, if it is this process that has the store open and uses the network.
    pub(crate) fn network(&self) -> Option<Network> {
        match &*self.inner {
            Inner::Local(local) => local.network.clone(),
            Inner::Remote(_) => None,
        }
    }

    /// The tokens, if it is this process that has the store open.
    pub(crate) fn book(&self) -> Option<&Book> {
        match &*self.inner {
            Inner::Local(local) => Some(&local.book),
            Inner::Remote(_) => None,
        }
    }

    /// Whether the process that has the store open follows all conversations.
    pub fn follows(&self) -> bool {
        match &*self.inner {
            Inner::Local(local) => local.follows,
            Inner::Remote(remote) => remote.follows(),
        }
    }

    /// Waits until the broker is connected, at most `timeout`. False when it cannot be reached, at once when that
    /// is known; attempts go on in the background.
    pub async fn connected(&self, timeout: Duration) -> bool {
        let waiting = async {
            match &*self.inner {
                Inner::Local(local) => match &local.network {
                    Some(network) => network.settled().await,
                    None => false,
                },
                Inner::Remote(remote) => remote.connected(timeout).await,
            }
        };
        tokio::time::timeout(timeout, waiting).await.unwrap_or(false)
    }

    /// What is wrong with the broker, as an error to show: why it cannot be reached, or that it takes nothing more.
    /// `None` while nothing is, and while it is tried. In a remote session, as it was when last asked for.
    pub fn trouble(&self) -> Option<Error> {
        let local = match &*self.inner {
            Inner::Local(local) => local,
            Inner::Remote(remote) => return remote.said().trouble,
        };
        let network = local.network.as_ref()?;
        match &*network.link.borrow() {
            Reach::Down(why) => Some(connect::unreachable(&network.servers, why)),
            Reach::Up(_) => network.grievance(),
            Reach::Pending => None,
        }
    }

    /// The servers that are used, without logins: those of the process that has the profile open.
    pub fn server(&self) -> Option<String> {
        match &*self.inner {
            Inner::Local(local) => local.network.as_ref().map(|network| network.servers.to_string()),
            Inner::Remote(remote) => remote.said().server,
        }
    }

    /// The broker it is connected to; `None` while it is not, and in a remote session.
    pub fn broker(&self) -> Option<Broker> {
        let Inner::Local(local) = &*self.inner else { return None };
        let network = local.network.as_ref().filter(|network| network.link.borrow().is_up())?;
        let info = network.client_now()?.try_server_info()?;
        Some(Broker {
            version: info.version,
            jetstream: info.jetstream,
            encrypted: network.servers.secure() || info.tls_required,
            loopback: network.servers.loopback(),
        })
    }

    /// Tells everybody who listens to this session something a person should know.
    pub(crate) fn warn(&self, notice: Notice) {
        if let Inner::Local(local) = &*self.inner {
            let event = Event::Warning { notice };
            local.alarms.note(&event);
            local.listeners.tell(&event);
        }
    }

    /// What a person must hear since the last call. Only the process that owns the profile finds something; others
    /// hear of it by [`Session::events`].
    pub fn alarms(&self) -> Vec<Alarm> {
        match &*self.inner {
            Inner::Local(local) => local.alarms.take(),
            Inner::Remote(_) => Vec::new(),
        }
    }

    /// Tells the core something and does not wait for its answer.
    pub(crate) fn mention(&self, command: impl Into<Command>) {
        let command = Box::new(command.into());
        match &*self.inner {
            Inner::Local(local) => {
                if let Ok((ticket, _)) = local.tickets.open() {
                    local.mailbox.push(Input::Command { ticket, command });
                }
            }
            Inner::Remote(remote) => remote.mention(&command),
        }
    }

    /// Asks the core. Waits as long as it takes: callers set their own limit.
    pub async fn ask<R: Ask>(&self, request: R) -> Result<R::Reply, Error> {
        match &*self.inner {
            Inner::Local(local) => local.request(request.into()).await.and_then(R::reply),
            Inner::Remote(remote) => remote.ask(&request).await,
        }
    }

    /// Events from now on.
    pub fn events(&self) -> Events {
        match &*self.inner {
            Inner::Local(local) => local.listeners.listen(),
            Inner::Remote(remote) => remote.events(),
        }
    }

    /// Speaks the protocol of the control socket over other lines until they end; with a token, no more of it than that is
    /// for. An error when the process that has the store open, and is not this one, ends before, or the token does.
    pub async fn speak(
        &self,
        profile: &Profile,
        token: Option<&Secret>,
        from: impl AsyncRead + Send + Unpin,
        to: impl AsyncWrite + Send + Unpin,
    ) -> Result<(), Error> {
        match &*self.inner {
            Inner::Local(local) => {
                let pass = token.map(|token| Pass::of(&local.book, token, timer::now())).transpose()?;
                server::serve(from, to, self.clone(), Door::Own, pass, None).await
            }
            Inner::Remote(_) => client::pass_on(profile, token, from, to).await,
        }
    }

    /// Serves programs that show a token on a socket of their own, until the session is closed. Only the process that has the
    /// store open can.
    pub fn serve_tokens(&self, path: &Path) -> Result<(), Error> {
        let Inner::Local(local) = &*self.inner else {
            return Err(not_ours());
        };
        let listener = local.claim.bind_for_tokens(path)?;
        self.accept(local, listener, Door::Token);
        Ok(())
    }

    /// Waits until the session is closed; in a remote session, until the process that owns the profile ends.
    pub async fn ended(&self) {
        match &*self.inner {
            Inner::Local(local) => drop(local.over.clone().wait_for(|over| *over).await),
            Inner::Remote(remote) => remote.ended().await,
        }
    }

    /// Serves the profile to other processes of ours from now on. One without network is too short to be visited, and
    /// could not do what others want.
    fn serve(&self) {
        let Inner::Local(local) = &*self.inner else { return };
        if local.network.is_none() {
            return;
        }
        match local.claim.bind(&local.profile) {
            Ok(listener) => self.accept(local, listener, Door::Own),
            Err(error) => {
                tracing::warn!(kind = error.kind.name(), "the profile is not served to other processes");
                telemetry::causes(&error);
            }
        }
    }

    fn accept(&self, local: &Local, listener: UnixListener, door: Door) {
        // Or the session would wait for itself to end.
        let inner = Arc::downgrade(&self.inner);
        let session = move || Some(Self { inner: inner.upgrade()? });
        let served = server::accept(listener, door, session, local.visitors.clone(), local.guests.clone());
        local.accepting.spawn("control socket", served);
    }

    /// Waits for what is in flight, a short while, and ends. The store is closed when this returns; other clones
    /// of the session get errors from then on.
    pub async fn close(self) {
        let local = match &*self.inner {
            Inner::Local(local) => local,
            Inner::Remote(remote) => return remote.close().await,
        };
        // Who is served is served to the end. Before the store is free for others the socket goes, so that nobody finds
        // one without anyone behind it.
        drop(tokio::time::timeout(GUEST_PATIENCE, local.guests.none()).await);
        local.claim.release();
        local.accepting.end().await;
        drop(tokio::time::timeout(LAST_GUEST_PATIENCE, local.guests.none()).await);
        local.visitors.end().await;
        if local.network.as_ref().is_some_and(|network| network.link.borrow().is_up()) {
            // What has no outcome by then is in the store and goes on next time.
            drop(tokio::time::timeout(CLOSE_PATIENCE, local.unsettled.none()).await);
        }
        local.tickets.end(closed());
        local.mailbox.close();
        // The sender lives until the core is gone, or is dropped because it is.
        drop(local.over.clone().wait_for(|over| *over).await);
        let worker = local.worker.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(worker) = worker {
            worker.join();
        }
        local.tasks.end().await;
    }
}

impl Local {
    async fn request(&self, command: Command) -> Result<Reply, Error> {
        let (ticket, answer) = self.tickets.open()?;
        self.mailbox.push(Input::Command { ticket, command: Box::new(command) });
        answer.await.unwrap_or_else(|_| Err(closed()))
    }
}

impl Served for Session {
    async fn request(&self, command: Command) -> Result<Reply, Error> {
        match &*self.inner {
            Inner::Local(local) => local.request(command).await,
            Inner::Remote(_) => Err(not_ours()),
        }
    }

    async fn connected(&self, wait: Duration) -> bool {
        Self::connected(self, wait).await
    }

    fn server(&self) -> Option<String> {
        Self::server(self)
    }

    fn trouble(&self) -> Option<Error> {
        Self::trouble(self)
    }

    fn follows(&self) -> bool {
        Self::follows(self)
    }

    fn events(&self) -> Events {
        Self::events(self)
    }

    fn tokens(&self) -> Result<Book, Error> {
        self.book().cloned().ok_or_else(not_ours)
    }
}

/// Tells everybody who listens when the connection is gone, why, and when it is back.
async fn tell(network: Network, listeners: Arc<Listeners>) {
    let mut link = network.link.clone();
    let mut lost: Option<Trouble> = None;
    loop {
        let now = link.borrow_and_update().clone();
        let news = match now {
            // A further reason is news if it is one that a person has to end.
            Reach::Down(why) if lost.as_ref().is_none_or(|told| !why.passing() && *told != why) => {
                let told = Some(why.to_string());
                lost = Some(why);
                Some(told)
            }
            Reach::Up(_) if lost.take().is_some() => Some(None),
            Reach::Down(_) | Reach::Up(_) | Reach::Pending => None,
        };
        if let Some(lost) = news {
            listeners.tell(&Event::Connection { server: network.servers.to_string(), lost });
        }
        if link.changed().await.is_err() {
            return;
        }
    }
}

enum Opened {
    Here(Worker, Effects, Key),
    Elsewhere(Remote),
}

/// Opens the store. While another process has it: speaks to it if it serves, else waits for it to end.
async fn open_store(
    profile: &Profile,
    unlocking: &Unlocking,
    mailbox: &Arc<Mailbox>,
) -> Result<Opened, Error> {
    let until = Instant::now() + LOCK_PATIENCE;
    let mut pause = SHORTEST_PAUSE;
    let mut mute = 0;
    loop {
        match Worker::start(profile.clone(), unlocking.clone(), Arc::clone(mailbox), file::PURPOSE).await {
            Ok((worker, effects, key)) => return Ok(Opened::Here(worker, effects, key)),
            Err(error) if error.kind == ErrorKind::Locked && Instant::now() < until => {}
            Err(error) if error.kind == ErrorKind::Locked => {
                return Err(error.hint(Hint::text(
                    "another cipher-chat process uses this profile and does not share it; wait for it to end, or stop it",
                )));
            }
            Err(error) => return Err(error),
        }
        tokio::time::sleep(jitter::jittered(pause)).await;
        pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
        match Remote::connect(profile).await? {
            Found::Owner(remote) => return Ok(Opened::Elsewhere(remote)),
            Found::Mute if mute >= MUTE => return Err(mute_owner()),
            Found::Mute => mute += 1,
            Found::Nobody => mute = 0,
        }
    }
}

/// A process that has the profile open and does not answer a greeting speaks something else than this one.
fn mute_owner() -> Error {
    ErrorKind::Locked
        .because("the process that has this profile open is of an older version, which does not understand this one")
        .hint(Hint::text("stop it, and start it again with this version"))
}

fn not_ours() -> Error {
    ErrorKind::Bug.because("only the process that has a profile open serves it")
}

/// Whether a request was under way when the session ended: what it asked for may have been done.
pub(crate) fn is_over(error: &Error) -> bool {
    client::is_gone(error) || *error == closed()
}

fn closed() -> Error {
    ErrorKind::Misuse.because("the session is closed")
}
