//! The whole: claim the home, start everything, say so, wait, stop everything.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cipher_api::{Error, ErrorKind, Hint};
use cipher_broker::server_file::REGISTRY;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use serde::Serialize;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

use crate::net::settings::NetworkSettings;
use crate::profile::private_folder;
use crate::up::broker::Broker;
use crate::up::child::{Child, Output};
use crate::up::claim::HomeLock;
use crate::up::file::{private, remove, unwritable};
use crate::up::{binary, broker, ping};

/// How long the registry may take to make its streams and answer.
const REGISTRY_PATIENCE: Duration = Duration::from_secs(60);
/// How long a child may take to end, and how long when another has died and they can do no more good together.
const STOP_PATIENCE: Duration = Duration::from_secs(8);
const WRECK_PATIENCE: Duration = Duration::from_secs(1);

/// What `up` is told.
#[derive(Clone)]
pub struct UpSettings {
    /// Everything is written below it.
    pub home: PathBuf,
    /// Port for clients; 0 takes a free one. Three servers take three in a row.
    pub port: u16,
    /// 1, or 3 for a cluster.
    pub nodes: u8,
    /// Hears what takes time, one sentence each.
    pub progress: Arc<dyn Fn(&str) + Send + Sync>,
}

impl fmt::Debug for UpSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { home, port, nodes, progress: _ } = self;
        f.debug_struct("UpSettings").field("home", home).field("port", port).field("nodes", nodes).finish()
    }
}

/// What runs now. Also the contents of `server.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ready {
    /// For agents. Of a cluster it carries a login.
    pub server: String,
    /// The registry's public key, hexadecimal.
    pub registry_key: String,
    /// The process that runs `up`.
    pub pid: u32,
}

/// Runs a broker and a registry until SIGINT or SIGTERM, then stops them. An error when one of them ends by itself.
pub async fn up(settings: UpSettings, on_ready: impl FnOnce(Ready)) -> Result<(), Error> {
    let unsupported = |what| ErrorKind::Bug.because(format!("{what} cannot be listened for"));
    cipher_seal::typed::hears_signals();
    // Before anything is started: nothing may be left behind.
    let mut terminate = signal(SignalKind::terminate()).map_err(|_| unsupported("SIGTERM"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|_| unsupported("SIGINT"))?;
    let stop = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let server = settings.home.join("server");
    private_folder(&settings.home).map_err(|error| unwritable(&settings.home, error))?;
    private_folder(&server).map_err(|error| unwritable(&server, error))?;
    // The names of our files must mean the same to children and to a later run.
    let server = std::fs::canonicalize(&server).map_err(|error| unwritable(&server, error))?;
    let mut claim = HomeLock::take(&server).await?;
    let mut running = Vec::new();
    let ended = tokio::select! {
        result = run(&settings, &server, &mut claim, &mut running, on_ready) => result,
        () = stop => Ok(()),
    };
    remove(&settings.home.join("server.json"));
    // The registry first: it may still be writing to the broker.
    let patience = if ended.is_ok() { STOP_PATIENCE } else { WRECK_PATIENCE };
    while let Some(child) = running.pop() {
        child.stop(patience).await;
    }
    ended
}

/// Never ends well: only by an error, or by being dropped.
async fn run(
    settings: &UpSettings,
    server: &Path,
    claim: &mut HomeLock,
    running: &mut Vec<Child>,
    on_ready: impl FnOnce(Ready),
) -> Result<(), Error> {
    let progress = settings.progress.as_ref();
    let program = binary::nats_server(&settings.home.join("tools"), progress).await?;
    progress("starting nats-server");
    let Broker { children, server: url, registry_server, registry_password, replicas } =
        Broker::start(&program, server, settings.port, settings.nodes).await?;
    running.extend(children);
    claim.note(&pids(running))?;
    progress("starting cipher-registry");
    // For operator commands too: cipher-registry --password-file FILE traffic
    let password = server.join("registry.password");
    private(&password, registry_password.as_bytes())?;
    let mut command = Command::new(binary::registry());
    command
        .args([
            "--json",
            "--user",
            REGISTRY,
            "--server",
            &registry_server,
            "--replicas",
            &replicas.to_string(),
        ])
        .arg("--data-dir")
        .arg(server.join("registry"))
        .arg("--password-file")
        .arg(&password)
        .arg("serve");
    let (registry, stdout) =
        Child::start("cipher-registry", command, &server.join("registry.log"), Output::Piped)?;
    running.push(registry);
    claim.note(&pids(running))?;
    let mut said = stdout.map(|stdout| BufReader::new(stdout).lines());
    let answers = async {
        if let Some(said) = &mut said {
            // Its first line says that the streams are there.
            let _ = said.next_line().await;
        }
        registry_key(&url).await
    };
    let registry_key = tokio::select! {
        (_, error) = first_death(running) => return Err(error),
        key = tokio::time::timeout(REGISTRY_PATIENCE, answers) => key.ok().flatten(),
    };
    let registry_key = registry_key.ok_or_else(|| {
        ErrorKind::Unreachable
            .because("the registry does not answer")
            .hint(Hint::text(format!("its log is {}", server.join("registry.log").display())))
    })?;
    let ready = Ready { server: url, registry_key, pid: std::process::id() };
    publish(&settings.home.join("server.json"), &ready)?;
    on_ready(ready);
    // A pipe that nobody reads would stop it one day.
    let listen = async {
        if let Some(said) = &mut said {
            while matches!(said.next_line().await, Ok(Some(_))) {}
        }
        std::future::pending().await
    };
    // A cluster of three goes on with two.
    let mut spare = usize::from(settings.nodes / 2);
    let watch = async {
        loop {
            let (index, error) = first_death(running).await;
            let child = running.remove(index);
            if child.name != broker::NAME || spare == 0 {
                return error;
            }
            spare -= 1;
            progress(&format!("{error}; the other servers go on. Start `up` again to have all of them"));
        }
    };
    tokio::select! {
        error = watch => Err(error),
        never = listen => never,
    }
}

fn pids(running: &[Child]) -> Vec<u32> {
    running.iter().map(Child::pid).collect()
}

/// Which child ended by itself, and why.
async fn first_death(running: &mut [Child]) -> (usize, Error) {
    let deaths =
        running.iter_mut().enumerate().map(|(index, child)| async move { (index, child.died().await) });
    let mut deaths: FuturesUnordered<_> = deaths.collect();
    match deaths.next().await {
        Some(death) => death,
        None => std::future::pending().await,
    }
}

/// The registry's key, asked for as an agent would.
async fn registry_key(server: &str) -> Option<String> {
    let (mailbox, tasks) = (Arc::default(), crate::runtime::task::Tasks::default());
    let (violations, _) = tokio::sync::mpsc::unbounded_channel();
    let settings = NetworkSettings::new(server);
    let interest = cipher_core::Interest::Outbox;
    let network =
        crate::net::connect::Network::start(&settings, interest, mailbox, violations, &tasks).ok()?;
    let key = ping::registry_key(network.client().await).await;
    tasks.end().await;
    key.map(|key| data_encoding::HEXLOWER.encode(&key))
}

/// What other commands find.
fn publish(path: &Path, ready: &Ready) -> Result<(), Error> {
    private(path, &serde_json::to_vec(ready).unwrap_or_default())
}
