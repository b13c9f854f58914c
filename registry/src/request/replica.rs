//! A replica answers a request: from the rows that are here, or by handing it on to the replica that writes.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use async_nats::{Client, Request, Subscriber};
use bytes::Bytes;
use cipher_broker::limit;
use cipher_broker::time::Timestamp;
use cipher_broker::wire::registry::Operation;
use futures::StreamExt;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::clock;
use crate::error::{Error, StoreError};
use crate::key::RegistryKey;
use crate::replica::election::{self, Election};
use crate::replica::freshness::Freshness;
use crate::replica::health::Health;
use crate::replica::tail::Tail;
use crate::replica_log::log::{Log, LogName};
use crate::replica_log::position::ReplicaId;
use crate::replica_log::record::Record;
use crate::request::answer::Answerer;
use crate::store::Store;
use crate::terms::Terms;
use crate::tree::Tree;
use crate::write::replicated::{Engine, State};
use crate::write::writer::Writer;

/// How long an answer is tried for: nobody waits longer ([`limit::REQUEST_TIMEOUT`]).
const TRIES: Duration = limit::REQUEST_TIMEOUT.saturating_sub(Duration::from_millis(250));
/// How long the writer is waited for before it is asked again: as long as it takes to find another one.
const HANDED_ON: Duration = Duration::from_millis(1_500);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(25);
/// One replica of the registry. Cheap to clone; it ends with the last one.
#[derive(Debug, Clone)]
pub struct Replica {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    answerer: Answerer,
    log: Log,
    id: ReplicaId,
    fresh: Freshness,
    known: watch::Receiver<u64>,
    state: watch::Receiver<State>,
    stop: watch::Sender<bool>,
    // Ended with the replica.
    _tasks: JoinSet<()>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The thread may be waiting for the broker.
        self.stop.send_replace(true);
    }
}

impl Replica {
    /// Brings a replica up: its thread, and what reads the log and keeps watch. It has caught up with the log as it
    /// was when it began, and its key has been compared with the log's.
    pub async fn open(
        store: Store,
        key: RegistryKey,
        terms: Terms,
        client: Client,
        name: LogName,
    ) -> Result<Self, Error> {
        let log = Log::new(client.clone(), name);
        let broken = |reason: String| Error::Replica(reason.into());
        let last = log.last().await.map_err(broken)?;
        if last > 0 {
            // Also when there is nothing to catch up with.
            let bytes = log.get(last).await.map_err(broken)?;
            let bytes = bytes.ok_or_else(|| Error::Replica("the end of the log cannot be read".into()))?;
            Record::open(&bytes, last, &key).map_err(|error| Error::Replica(error.into()))?;
        }
        let id = ReplicaId::random();
        let (stop, stopped) = watch::channel(false);
        let tree = Arc::new(Tree::load(&store, key.clone())?);
        let (engine, state) =
            Engine::load(store.clone(), Arc::clone(&tree), key.clone(), log.clone(), id, stopped)?;
        let applied = state.borrow().position.applied;
        if last < applied {
            return Err(Error::LogLost(format!(
                "the log at the broker ends at {last}, this replica has followed it to {applied}: the broker lost \
                 records"
            )));
        }
        let alone = election::nobody_runs(&log).await;
        let subscribe = async |rest: &str| {
            let subject = log.name().subject(rest);
            log.client().subscribe(subject).await.map_err(|error| Error::Replica(error.into()))
        };
        let (live, heard, asked) =
            (subscribe("live").await?, subscribe("writer").await?, subscribe("who").await?);
        let handed = subscribe(&format!("write.{id}.*")).await?;
        let inspected = subscribe("health").await?;
        let (writer, inputs) = Writer::spawn(move |waiting| engine.run(waiting).is_ok())?;
        let answerer = Answerer::over(store, tree, writer, key, terms);
        let (known_to, known) = watch::channel(last);
        let (fresh, asking) = Freshness::new(log.clone(), state.clone(), known_to);
        let tail = Tail {
            log: log.clone(),
            live,
            inputs: inputs.clone(),
            state: state.clone(),
            known: known.clone(),
            sent: applied,
        };
        let election = Election { log: log.clone(), id, alone, heard, asked, inputs, state: state.clone() };
        let mut tasks = JoinSet::new();
        tasks.spawn(asking);
        tasks.spawn(tail.run());
        let mut seen = state.clone();
        let here = seen.wait_for(|state| state.position.applied >= last || state.broken.is_some());
        match here.await.map(|state| state.broken.clone()) {
            Ok(None) => {}
            Ok(Some(broken)) => return Err(broken.into()),
            Err(_) => return Err(Error::Store(StoreError::Stopped)),
        }
        tasks.spawn(election.run());
        let replica = Self {
            inner: Arc::new_cyclic(|inner| {
                tasks.spawn(handed_on(inner.clone(), handed));
                tasks.spawn(tell_health(inner.clone(), inspected));
                Inner { answerer, log: log.clone(), id, fresh, known, state, stop, _tasks: tasks }
            }),
        };
        Ok(replica)
    }

    /// Answers a request, wherever it can be answered. `None`: nobody can say in time what became of it; whoever
    /// asks again with the same bytes learns it.
    pub async fn answer(&self, operation: &str, request: Bytes, now: Timestamp) -> Option<Vec<u8>> {
        let deadline = Instant::now().checked_add(TRIES)?;
        while Instant::now() < deadline {
            let State { position, leading, broken } = self.inner.state.borrow().clone();
            if broken.is_some() {
                return None;
            }
            let reply = if leading || !Operation::name_writes(operation) {
                self.answer_here(operation, request.clone(), now, deadline).await
            } else {
                self.hand_on(position.writer, operation, request.clone(), deadline).await
            };
            if reply.is_some() {
                return reply;
            }
            // Another one may write soon.
            let mut state = self.inner.state.clone();
            state.borrow_and_update();
            let _ = tokio::time::timeout(PAUSE, state.changed()).await;
        }
        None
    }

    /// Answers from the rows that are here, when they are all.
    async fn answer_here(
        &self,
        operation: &str,
        request: Bytes,
        now: Timestamp,
        deadline: Instant,
    ) -> Option<Vec<u8>> {
        let (answerer, fresh) = (&self.inner.answerer, &self.inner.fresh);
        if !Operation::name_writes(operation) {
            return if fresh.wait(deadline).await {
                answerer.decide(operation, request, now, async || true).await
            } else {
                None
            };
        }
        // What is written is proven by the log. What is not, like a refusal: everything that came meanwhile was written
        // by this one, so nobody knew more when the rows were read.
        let reign = self.reign()?;
        let newest = async || fresh.wait(deadline).await && self.reign() == Some(reign);
        answerer.decide(operation, request, now, newest).await
    }

    /// The reign of this replica, while it writes.
    fn reign(&self) -> Option<u64> {
        let state = self.inner.state.borrow();
        state.leading.then_some(state.position.term)
    }

    async fn hand_on(
        &self,
        writer: ReplicaId,
        operation: &str,
        request: Bytes,
        deadline: Instant,
    ) -> Option<Vec<u8>> {
        let subject = self.inner.log.name().subject(format_args!("write.{writer}.{operation}"));
        let left = deadline.checked_duration_since(Instant::now())?;
        let request = Request::new().payload(request).timeout(Some(left.min(HANDED_ON)));
        let reply = self.inner.log.client().send_request(subject, request).await.ok()?;
        // An empty one: it does not write any more.
        (!reply.payload.is_empty()).then(|| reply.payload.to_vec())
    }

    /// Whether it writes.
    pub fn writes(&self) -> bool {
        self.inner.state.borrow().leading
    }

    /// Waits until it writes, or does not.
    pub async fn until(&self, writes: bool) {
        let mut state = self.inner.state.clone();
        // An error means that the thread ended: it never will.
        if state.wait_for(|state| state.leading == writes).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Whether it has all that the log has now.
    pub(crate) async fn is_fresh(&self) -> bool {
        let deadline = Instant::now().checked_add(TRIES);
        match deadline {
            Some(deadline) => self.inner.fresh.wait(deadline).await,
            None => false,
        }
    }

    /// How it is.
    pub fn health(&self) -> Health {
        let State { position, leading, .. } = self.inner.state.borrow().clone();
        Health {
            replica: self.inner.id.to_string(),
            writes: leading,
            term: position.term,
            applied: position.applied,
            behind: self.inner.known.borrow().saturating_sub(position.applied),
        }
    }

    /// What answers from the rows that are here.
    pub fn answerer(&self) -> &Answerer {
        &self.inner.answerer
    }

    /// Resolves when it cannot go on, with the reason.
    pub async fn failure(&self) -> Error {
        let mut state = self.inner.state.clone();
        match state.wait_for(|state| state.broken.is_some()).await.map(|state| state.broken.clone()) {
            Ok(Some(broken)) => broken.into(),
            Ok(None) | Err(_) => Error::Store(StoreError::Stopped),
        }
    }

    /// Tells the others that it will not write any more, so that they need not find out.
    pub async fn resign(&self) {
        if self.writes() {
            let term = self.inner.state.borrow().position.term;
            let subject = self.inner.log.name().subject("writer");
            election::say(&self.inner.log, &subject, self.inner.id, term, true).await;
        }
        self.inner.stop.send_replace(true);
    }
}

/// What others hand on to who writes, many at once.
async fn handed_on(replica: Weak<Inner>, mut handed: Subscriber) {
    let room = Arc::new(Semaphore::new(ROOM));
    let mut working = JoinSet::new();
    while let Some(message) = handed.next().await {
        while working.try_join_next().is_some() {}
        let (Ok(permit), Some(inner)) = (Arc::clone(&room).acquire_owned().await, replica.upgrade()) else {
            return;
        };
        working.spawn(async move {
            let _permit = permit;
            let replica = Replica { inner };
            let operation = message.subject.rsplit('.').next().unwrap_or_default().to_owned();
            let deadline = Instant::now().checked_add(TRIES);
            let reply = match deadline {
                Some(deadline) if replica.writes() => {
                    replica.answer_here(&operation, message.payload, clock::now(), deadline).await
                }
                _ => None,
            };
            if let Some(to) = message.reply {
                let reply = reply.unwrap_or_default();
                if let Err(error) = replica.inner.log.client().publish(to, reply.into()).await {
                    tracing::debug!(%error, "a reply could not be handed back");
                }
            }
        });
    }
}

/// Requests of others worked on at the same time.
const ROOM: usize = 1024;

/// Tells an operator how this replica is.
async fn tell_health(replica: Weak<Inner>, mut asked: Subscriber) {
    while let Some(message) = asked.next().await {
        let (Some(inner), Some(to)) = (replica.upgrade(), message.reply) else { continue };
        let mut health = Replica { inner: Arc::clone(&inner) }.health();
        // As of now, not of the last question.
        if let Ok(last) = inner.log.last().await {
            health.behind = last.saturating_sub(health.applied);
        }
        let health = serde_json::to_vec(&health).unwrap_or_default();
        if let Err(error) = inner.log.client().publish(to, health.into()).await {
            tracing::debug!(%error, "an operator could not be answered");
        }
    }
}
