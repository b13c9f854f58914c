//! One nats-server, or three that form a cluster.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use cipher_api::{Error, ErrorKind, Hint};
use cipher_broker::server_file::{self, AGENT, Embedded, Environment, Node, Single};
use serde::Deserialize;
use tokio::process::Command;
use tokio::time::Instant;

use crate::net::token;
use crate::profile::private_folder;
use crate::up::child::{Child, Output};
use crate::up::file::{private, unwritable};

/// How long a server may take to say its ports.
const PATIENCE: Duration = Duration::from_secs(20);
const STEP: Duration = Duration::from_millis(10);
const LOCALHOST: &str = "127.0.0.1";
/// What a server is called to people.
pub(super) const NAME: &str = "nats-server";

/// Running servers.
#[derive(Debug)]
pub(super) struct Broker {
    pub(super) children: Vec<Child>,
    /// For agents; of a cluster with login and all servers.
    pub(super) server: String,
    /// For the registry, which logs in by itself.
    pub(super) registry_server: String,
    pub(super) registry_password: String,
    /// Copies of each stream.
    pub(super) replicas: u8,
}

impl Broker {
    /// Starts one server or a cluster of three. `port` 0 takes free ones.
    pub(super) async fn start(program: &Path, server: &Path, port: u16, nodes: u8) -> Result<Self, Error> {
        same_shape(server, nodes)?;
        let conf = server.join("conf");
        write_files(&conf)?;
        let registry_password = token::unguessable();
        if nodes == 1 {
            let store = server.join("nats");
            let embedded = Embedded {
                port: (port > 0).then_some(port),
                http_port: None,
                store: text(&store)?,
                registry_password: &registry_password,
            };
            let start = Start { program, conf: conf.join("embedded.conf"), server, name: "nats" };
            let (child, url) = start.run(embedded.environment()).await?;
            let children = vec![child];
            return Ok(Self {
                children,
                server: url.clone(),
                registry_server: url,
                registry_password,
                replicas: 1,
            });
        }
        cluster(program, server, port, registry_password).await
    }
}

/// Messages lie in the folders of their servers: one server does not find what three stored, nor the reverse.
fn same_shape(server: &Path, nodes: u8) -> Result<(), Error> {
    let (other, nodes) = if nodes == 1 { ("n1", 3) } else { ("nats", 1) };
    if server.join(other).exists() {
        return Err(ErrorKind::Misuse
            .because(format!("this home has been used with --nodes {nodes}"))
            .hint(Hint::text(format!("use --nodes {nodes} again, or another --home"))));
    }
    Ok(())
}

/// A token that stays the same for a home.
fn kept_token(path: &Path) -> Result<String, Error> {
    if let Ok(known) = std::fs::read_to_string(path)
        && !known.is_empty()
    {
        return Ok(known);
    }
    let token = token::unguessable();
    private(path, token.as_bytes())?;
    Ok(token)
}

async fn cluster(
    program: &Path,
    server: &Path,
    port: u16,
    registry_password: String,
) -> Result<Broker, Error> {
    // Kept, so that agents that ran through a restart still get in.
    let agent = kept_token(&server.join("agent.password"))?;
    let (operator, route) = (token::unguessable(), token::unguessable());
    let free = free_ports(3)?;
    let routes: Vec<(&str, u16)> = free.iter().map(|port| (LOCALHOST, *port)).collect();
    let mut started = Vec::new();
    for (at, (name, cluster_port)) in ["n1", "n2", "n3"].into_iter().zip(&free).enumerate() {
        let store = server.join(name);
        let offset = u16::try_from(at).unwrap_or_default();
        let node = Node {
            server: Single {
                host: LOCALHOST,
                port: (port > 0).then(|| port.saturating_add(offset)),
                http_port: None,
                store: text(&store)?,
                agent_password: &agent,
                registry_password: &registry_password,
                operator_password: &operator,
            },
            cluster_port: *cluster_port,
            routes: &routes,
            route_password: &route,
        };
        let conf = server.join("conf/cluster").join(format!("{name}.conf"));
        started.push(Start { program, conf, server, name }.run(node.environment()).await?);
    }
    let (children, urls): (Vec<_>, Vec<_>) = started.into_iter().unzip();
    let with_login = |url: &String| url.replacen("nats://", &format!("nats://{AGENT}:{agent}@"), 1);
    Ok(Broker {
        children,
        server: urls.iter().map(with_login).collect::<Vec<_>>().join(","),
        registry_server: urls.join(","),
        registry_password,
        replicas: 3,
    })
}

struct Start<'a> {
    program: &'a Path,
    conf: PathBuf,
    server: &'a Path,
    name: &'static str,
}

/// The file a server writes with `--ports_file_dir`.
#[derive(Deserialize)]
struct Ports {
    nats: Vec<String>,
}

impl Start<'_> {
    /// Starts it and waits until it says where it listens.
    async fn run(self, environment: Environment) -> Result<(Child, String), Error> {
        let ports = self.server.join("ports").join(self.name);
        // Whatever an earlier run wrote is not true any more.
        let _ = std::fs::remove_dir_all(&ports);
        private_folder(&ports).map_err(|error| unwritable(&ports, error))?;
        let mut command = Command::new(self.program);
        command.arg("-c").arg(&self.conf).arg("--ports_file_dir").arg(&ports).envs(environment);
        let log = self.server.join(format!("{}.log", self.name));
        let (mut child, _) = Child::start(NAME, command, &log, Output::Log)?;
        let until = Instant::now() + PATIENCE;
        loop {
            tokio::select! {
                error = child.died() => return Err(error),
                () = tokio::time::sleep(STEP) => {}
            }
            if let Some(url) = told(&ports) {
                return Ok((child, url));
            }
            if Instant::now() > until {
                child.stop(STEP).await;
                return Err(ErrorKind::Unreachable
                    .because("nats-server does not get ready")
                    .hint(Hint::text(format!("its log is {}", log.display()))));
            }
        }
    }
}

fn told(folder: &Path) -> Option<String> {
    let file = std::fs::read_dir(folder).ok()?.flatten().find(|file| file.path().extension().is_some())?;
    // Half written is not there yet.
    let ports: Ports = serde_json::from_slice(&std::fs::read(file.path()).ok()?).ok()?;
    ports.nats.into_iter().find(|url| url.starts_with("nats://"))
}

fn write_files(conf: &Path) -> Result<(), Error> {
    for (name, text) in server_file::ALL {
        let path = conf.join(name);
        let wrote = path.parent().map_or(Ok(()), private_folder).and_then(|()| std::fs::write(&path, text));
        wrote.map_err(|error| unwritable(&path, error))?;
    }
    Ok(())
}

/// Ports nobody listens on now. Servers of a cluster must know each other's before any of them runs.
fn free_ports(count: usize) -> Result<Vec<u16>, Error> {
    let failed = |error: std::io::Error| ErrorKind::Misuse.because_of("no free port on this machine", error);
    let held: Result<Vec<TcpListener>, _> =
        (0..count).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect();
    held.map_err(failed)?
        .iter()
        .map(|listener| listener.local_addr().map(|at| at.port()).map_err(failed))
        .collect()
}

fn text(path: &Path) -> Result<&str, Error> {
    path.to_str().ok_or_else(|| {
        ErrorKind::Misuse.because(format!("{} is not valid UTF-8, which nats-server needs", path.display()))
    })
}
