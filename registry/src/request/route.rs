//! Where a request is answered: by a registry of its own, or by a replica of one.

use async_nats::Client;
use bytes::Bytes;
use cipher_broker::time::Timestamp;

use crate::error::{Discord, Error, StoreError};
use crate::key::RegistryKey;
use crate::provision::{Mode, provision_log};
use crate::publisher;
use crate::replica_log::log::LogName;
use crate::replica_log::position::Position;
use crate::request::answer::Answerer;
use crate::request::replica::Replica;
use crate::settings::{Settings, StoreKind};
use crate::store::Store;

/// Opens what answers on a store.
pub(crate) async fn open(
    store: Store,
    key: RegistryKey,
    settings: &Settings,
    client: &Client,
) -> Result<Answering, Error> {
    let terms = settings.terms.clone();
    match settings.store {
        StoreKind::Redb => {
            publisher::settle(client, &store, settings).await?;
            if Position::forget(&store)? {
                tracing::warn!("this store followed a log of replicas; from now on it is one of its own");
            }
            Ok(Answering::Alone(Answerer::open(store, key, terms)?))
        }
        StoreKind::Jetstream if settings.adopt_log => Err(Error::Usage(
            "a replica takes everything from the log of its registry: only --store redb can adopt an account log"
                .into(),
        )),
        StoreKind::Jetstream => {
            let name = LogName::default();
            let made = provision_log(client, &name, settings.replicas, Mode::Create, settings.patience)
                .await
                .map_err(|error| error.at(&settings.server))?;
            for drift in &made.drifts {
                tracing::warn!(%drift, "a stream is not as it must be");
            }
            Ok(Answering::Replica(Replica::open(store, key, terms, client.clone(), name).await?))
        }
    }
}

/// What answers: a registry of its own, or a replica of one.
#[derive(Debug, Clone)]
pub(crate) enum Answering {
    Alone(Answerer),
    Replica(Replica),
}

impl Answering {
    /// What answers from the rows that are here.
    pub(crate) fn answerer(&self) -> &Answerer {
        match self {
            Self::Alone(answerer) => answerer,
            Self::Replica(replica) => replica.answerer(),
        }
    }

    /// `None`: nothing may be said now. A caller that asks again is told, by another replica or later.
    pub(crate) async fn answer(&self, name: &str, request: Bytes, now: Timestamp) -> Option<Vec<u8>> {
        match self {
            Self::Alone(answerer) => Some(answerer.answer(name, request, now).await),
            Self::Replica(replica) => replica.answer(name, request, now).await,
        }
    }

    /// Resolves when it cannot go on.
    pub(crate) async fn failure(&self) -> Error {
        match self {
            Self::Alone(answerer) => {
                answerer.failure().await;
                Error::Store(StoreError::Stopped)
            }
            Self::Replica(replica) => replica.failure().await,
        }
    }

    /// Which replica it is, when it is one.
    pub(crate) fn replica(&self) -> Option<String> {
        match self {
            Self::Alone(_) => None,
            Self::Replica(replica) => Some(replica.health().replica),
        }
    }

    /// Where the accounts are.
    pub(crate) const fn store(&self) -> StoreKind {
        match self {
            Self::Alone(_) => StoreKind::Redb,
            Self::Replica(_) => StoreKind::Jetstream,
        }
    }

    /// Publishes the account log: by who writes only. Ends when the log in the broker is another one.
    pub(crate) async fn publish(&self, client: &Client, store: &Store) -> Discord {
        let replica = match self {
            Self::Alone(answerer) => {
                return publisher::publish(client.clone(), store.clone(), answerer.log_size()).await;
            }
            Self::Replica(replica) => replica,
        };
        loop {
            replica.until(true).await;
            tokio::select! {
                discord = publisher::publish(client.clone(), store.clone(), replica.answerer().log_size()) => {
                    // Who does not write any more may be behind what was published meanwhile.
                    if replica.writes() && replica.is_fresh().await {
                        return discord;
                    }
                }
                () = replica.until(false) => {}
            }
        }
    }

    /// The end: the other replicas need not find out.
    pub(crate) async fn resign(&self) {
        if let Self::Replica(replica) = self {
            replica.resign().await;
        }
    }
}
