//! Where the suite keeps its rows here: a replica on a cluster, with a log of its own per test.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, ConnectOptions, ServerAddr};
use bytes::Bytes;
use cipher_broker::sign::wire_hash;
use cipher_broker::time::Timestamp;
use cipher_registry::{LogName, Mode, Replica, Store, Terms, provision_log};

use crate::support::registry_key;

/// Environment with the cluster; without it the suite runs in memory.
pub(crate) const SERVERS: &str = "TESTBED_SUITE_SERVERS";
pub(crate) const USER: &str = "TESTBED_SUITE_USER";
pub(crate) const PASSWORD: &str = "TESTBED_SUITE_PASSWORD";

/// What the suite asks.
#[derive(Debug, Clone)]
pub(crate) enum Answerer {
    Alone(cipher_registry::Answerer),
    Replica(
        Replica,
        #[expect(dead_code, reason = "wipes its logs when the last answerer of it is dropped")]
        Option<Arc<Wiped>>,
    ),
}

/// A log that goes with the last answerer on it: the broker keeps only so many streams.
#[derive(Debug)]
pub(crate) struct Wiped(String);

impl Drop for Wiped {
    fn drop(&mut self) {
        let stream = self.0.clone();
        // Whoever drops this may be inside a runtime.
        let wiping = std::thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
                let client = connected().await.unwrap();
                async_nats::jetstream::new(client).delete_stream(stream).await.unwrap();
            });
        });
        assert!(wiping.join().is_ok() || std::thread::panicking(), "the log cannot be wiped");
    }
}

impl Answerer {
    pub(crate) async fn answer(&self, operation: &str, request: Bytes, now: Timestamp) -> Vec<u8> {
        match self {
            Self::Alone(answerer) => answerer.answer(operation, request, now).await,
            Self::Replica(replica, _) => replica.answer(operation, request, now).await.unwrap(),
        }
    }

    fn answerer(&self) -> &cipher_registry::Answerer {
        match self {
            Self::Alone(answerer) => answerer,
            Self::Replica(replica, _) => replica.answerer(),
        }
    }

    pub(crate) fn log_size(&self) -> tokio::sync::watch::Receiver<u64> {
        self.answerer().log_size()
    }

    pub(crate) fn log_entries(
        &self,
        from: u64,
        most: usize,
    ) -> Result<Vec<Vec<u8>>, cipher_registry::StoreError> {
        self.answerer().log_entries(from, most)
    }

    pub(crate) fn hints(&self) -> Option<tokio::sync::mpsc::Receiver<cipher_broker::id::DeviceId>> {
        self.answerer().hints()
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var_os(name).and_then(|value| value.into_string().ok())
}

/// A connection to the cluster; `None`: there is none, the suite runs in memory.
async fn connected() -> Option<Client> {
    let servers = variable(SERVERS)?;
    let options =
        ConnectOptions::with_user_and_password(variable(USER).unwrap(), variable(PASSWORD).unwrap());
    let servers: Vec<ServerAddr> = servers.split(',').map(|server| server.parse().unwrap()).collect();
    Some(options.connect(servers).await.unwrap())
}

async fn open(folder: &Path, terms: Terms, wipe: bool) -> Answerer {
    let store = Store::open_folder(folder).unwrap();
    let Some(client) = connected().await else {
        return Answerer::Alone(cipher_registry::Answerer::open(store, registry_key(), terms).unwrap());
    };
    let hash = wire_hash(folder.as_os_str().as_encoded_bytes());
    let tag: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let name = LogName { stream: format!("REGISTRY-LOG-{tag}"), prefix: format!("registry.{tag}") };
    provision_log(&client, &name, 3, Mode::Create, Duration::from_secs(60)).await.unwrap();
    let wiped = wipe.then(|| Arc::new(Wiped(name.stream.clone())));
    let replica = Replica::open(store, registry_key(), terms, client, name).await.unwrap();
    replica.until(true).await;
    Answerer::Replica(replica, wiped)
}

/// A new registry.
pub(crate) async fn desk_on(terms: Terms) -> Answerer {
    // The file stays open; its name is not needed any more.
    open(tempfile::tempdir().unwrap().path(), terms, true).await
}

/// A registry that keeps its rows in a folder: what a restart finds.
pub(crate) async fn desk_in(folder: &Path) -> Answerer {
    open(folder, Terms::default(), false).await
}
