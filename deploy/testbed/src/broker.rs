//! nats-server as a value: one node or a cluster of three, from the real server files.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use cipher_broker::server_file::{self, Embedded, Environment, Node as NodeFile, Single};
use serde_json::Value;
use tempfile::TempDir;

use crate::disk;
use crate::failure::{Failure, Result, ensure, fail};
use crate::process::{self, Process};
use crate::wait;

const AGENT_PASSWORD: &str = "agent-password";
const REGISTRY_PASSWORD: &str = "registry-password";
const OPERATOR_PASSWORD: &str = "operator-password";
const ROUTE_PASSWORD: &str = "routepassword";
const HOST: &str = "127.0.0.1";
/// How often other ports are tried when somebody took the chosen ones.
const ATTEMPTS: u8 = 5;

/// One server or three. Everything is wiped when dropped.
#[derive(Debug)]
pub struct Broker {
    nodes: Vec<Node>,
    folder: TempDir,
    scheme: &'static str,
}

/// What a server needs for TLS, as paths of PEM files.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// Its certificate.
    pub certificate: PathBuf,
    /// The key of that.
    pub key: PathBuf,
    /// Authorities of clients, and of the other servers.
    pub authorities: PathBuf,
}

/// One server process and what it takes to start it again on the same port and store.
#[derive(Debug)]
struct Node {
    config: PathBuf,
    environment: Environment,
    port: u16,
    http: u16,
    store: PathBuf,
    log: PathBuf,
    process: Option<Process>,
}

impl Broker {
    /// One server, started and ready.
    pub fn single() -> Result<Self> {
        Self::started(|folder| {
            let (port, http) = (free_port()?, free_port()?);
            Ok(vec![Node::new(folder, "single.conf", "single", port, http, |server| server.environment())?])
        })
    }

    /// The private server of one machine, from its own file: agents need no login.
    pub fn embedded() -> Result<Self> {
        Self::started(|folder| {
            let (port, http) = (free_port()?, free_port()?);
            Ok(vec![Node::new(folder, "embedded.conf", "embedded", port, http, |server| {
                let registry_password = server.registry_password;
                let Single { port, http_port, store, .. } = server;
                Embedded { port, http_port, store, registry_password }.environment()
            })?])
        })
    }

    /// One server with TLS, from the files that ship with their lines about TLS in force; `change` is done to each
    /// text besides.
    pub fn single_with_tls(files: &TlsFiles, change: fn(&str, String) -> String) -> Result<Self> {
        let nodes = |folder: &Path| {
            let (port, http) = (free_port()?, free_port()?);
            let environment = |server: Single<'_>| files.environment(server.environment());
            Ok(vec![Node::new(folder, "single.conf", "single", port, http, environment)?])
        };
        Ok(Self { scheme: "tls", ..Self::started_with(nodes, |name, text| change(name, with_tls(text)))? })
    }

    /// Three servers with TLS, for clients and among each other.
    pub fn cluster_with_tls(files: &TlsFiles) -> Result<Self> {
        let nodes = |folder: &Path| Self::three(folder, |environment| files.environment(environment));
        Ok(Self { scheme: "tls", ..Self::started_with(nodes, |_, text| with_tls(text))? })
    }

    /// One server from its own file, after this was done to each text.
    pub fn single_as(change: fn(&str, String) -> String) -> Result<Self> {
        let nodes = |folder: &Path| {
            let (port, http) = (free_port()?, free_port()?);
            Ok(vec![Node::new(folder, "single.conf", "single", port, http, |server| server.environment())?])
        };
        Self::started_with(nodes, change)
    }

    /// Changes a server file. It counts from the next start or reload on.
    pub fn change(&self, name: &str, change: impl FnOnce(String) -> String) -> Result {
        let path = self.folder.path().join(name);
        Ok(fs::write(&path, change(fs::read_to_string(&path)?))?)
    }

    /// Has a server read its files again.
    pub fn reload(&mut self, node: usize) -> Result {
        self.node_mut(node)?
            .process
            .as_mut()
            .map_or_else(|| fail("this server is not running"), Process::reload)
    }

    /// Stops and starts one server, and waits only until it listens: it may not be healthy.
    pub fn restart_unchecked(&mut self, node: usize) -> Result {
        self.stop(node)?;
        let node = self.node_mut(node)?;
        node.start()?;
        let http = node.http;
        wait::until("the server listens", || {
            get(http, "/varz").is_ok_and(|(status, _)| status == 200).then_some(())
        })
    }

    /// Starts one server of a cluster anew so that it finds the others no more, nor they it: it serves clients, alone.
    pub fn isolate(&mut self, node: usize) -> Result {
        let alone = self.node_mut(node)?;
        for (name, value) in &mut alone.environment {
            match *name {
                "CIPHER_ROUTE_PASSWORD" => *value = server_file::quoted("alone"),
                "CIPHER_NATS_ROUTES" => *value = value.replace(ROUTE_PASSWORD, "alone"),
                _ => {}
            }
        }
        self.restart_unchecked(node)
    }

    /// Three servers, started, with a leader among them.
    pub fn cluster() -> Result<Self> {
        Self::started(|folder| Self::three(folder, |environment| environment))
    }

    fn three(folder: &Path, change: impl Fn(Environment) -> Environment) -> Result<Vec<Node>> {
        {
            let ports = (0..9).map(|_| free_port()).collect::<Result<Vec<_>>>()?;
            let rows: Vec<[u16; 3]> = ports.chunks_exact(3).filter_map(|row| row.try_into().ok()).collect();
            let routes: Vec<(&str, u16)> = rows.iter().map(|[_, _, route]| (HOST, *route)).collect();
            rows.iter()
                .enumerate()
                .map(|(index, [port, http, route])| {
                    let name = format!("n{}", index + 1);
                    Node::new(folder, &format!("cluster/{name}.conf"), &name, *port, *http, |server| {
                        let node = NodeFile {
                            server,
                            cluster_port: *route,
                            routes: &routes,
                            route_password: ROUTE_PASSWORD,
                        };
                        change(node.environment())
                    })
                })
                .collect()
        }
    }

    fn started(nodes: impl Fn(&Path) -> Result<Vec<Node>>) -> Result<Self> {
        Self::started_with(nodes, |_, text| text)
    }

    fn started_with(
        nodes: impl Fn(&Path) -> Result<Vec<Node>>,
        change: impl Fn(&str, String) -> String,
    ) -> Result<Self> {
        let mut last = None;
        for _ in 0..ATTEMPTS {
            let folder = tempfile::Builder::new().prefix("testbed-broker-").tempdir()?;
            for (name, text) in server_file::ALL {
                let path = folder.path().join(name);
                path.parent().map(fs::create_dir_all).transpose()?;
                fs::write(path, change(name, text.to_owned()))?;
            }
            let mut broker = Self { nodes: nodes(folder.path())?, folder, scheme: "nats" };
            match broker.start_all() {
                Ok(()) => return Ok(broker),
                Err(failure) => last = Some(failure),
            }
        }
        Err(last.unwrap_or_else(|| Failure::new("the broker did not start")))
    }

    fn start_all(&mut self) -> Result {
        for node in &mut self.nodes {
            node.start()?;
        }
        self.ready()
    }

    /// Waits until every running server says that it is healthy.
    pub fn ready(&mut self) -> Result {
        for node in self.nodes.iter_mut().filter(|node| node.process.is_some()) {
            node.ready()?;
        }
        Ok(())
    }

    /// Number of servers.
    pub fn size(&self) -> usize {
        self.nodes.len()
    }

    /// Copies of each stream that this broker can keep.
    pub fn replicas(&self) -> usize {
        self.nodes.len()
    }

    /// Where agents connect: all servers, separated by commas.
    pub fn url(&self) -> String {
        self.urls(server_file::AGENT, AGENT_PASSWORD)
    }

    /// Where everybody connects who brings a login besides.
    pub fn servers(&self) -> String {
        let servers: Vec<String> =
            self.nodes.iter().map(|node| format!("{}://{HOST}:{}", self.scheme, node.port)).collect();
        servers.join(",")
    }

    /// The same, parsed.
    pub fn addresses(&self) -> Result<Vec<async_nats::ServerAddr>> {
        Ok(self.servers().split(',').map(str::parse).collect::<Result<_, _>>()?)
    }

    /// User and password of agents.
    pub fn agent_login(&self) -> (&'static str, &'static str) {
        (server_file::AGENT, AGENT_PASSWORD)
    }

    /// User and password of the registry.
    pub fn registry_login(&self) -> (&'static str, &'static str) {
        (server_file::REGISTRY, REGISTRY_PASSWORD)
    }

    /// The agent's URL by way of another address, a proxy.
    pub fn url_by_way_of(&self, port: u16) -> String {
        format!("nats://{}:{AGENT_PASSWORD}@{HOST}:{port}", server_file::AGENT)
    }

    /// Address of one server.
    pub fn address(&self, node: usize) -> Result<SocketAddr> {
        Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, self.node(node)?.port)))
    }

    /// Folder of the streams of one server.
    pub fn store(&self, node: usize) -> Result<&Path> {
        Ok(&self.node(node)?.store)
    }

    /// Everything the servers wrote.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What one server logged.
    pub fn log(&self, node: usize) -> String {
        self.nodes.get(node).and_then(|node| fs::read_to_string(&node.log).ok()).unwrap_or_default()
    }

    /// Ends one server at once, as kill -9 does.
    pub fn kill(&mut self, node: usize) -> Result {
        let node = self.node_mut(node)?;
        match node.process.take() {
            Some(mut process) => process.kill(),
            None => fail("this server is not running"),
        }
    }

    /// Ends one server in order.
    pub fn stop(&mut self, node: usize) -> Result {
        let node = self.node_mut(node)?;
        match node.process.take() {
            Some(mut process) => process.terminate().map(drop),
            None => fail("this server is not running"),
        }
    }

    /// Starts one server again, on the same port and store, and waits until it is healthy.
    pub fn start(&mut self, node: usize) -> Result {
        let node = self.node_mut(node)?;
        node.start()?;
        node.ready()
    }

    /// Stops and starts one server.
    pub fn restart(&mut self, node: usize) -> Result {
        self.stop(node)?;
        self.start(node)
    }

    /// Every server dies and comes back on the same port with an empty disk.
    pub fn loses_every_disk(&mut self) -> Result {
        self.kill_all()?;
        for node in &self.nodes {
            fs::remove_dir_all(&node.store)?;
            fs::create_dir_all(&node.store)?;
        }
        self.start_all()
    }

    /// Stops every server for as long as it takes to copy what is on their disks into a folder.
    pub fn copy_disks(&mut self, to: &Path) -> Result {
        for node in &mut self.nodes {
            if let Some(mut process) = node.process.take() {
                process.terminate()?;
            }
        }
        for (index, node) in self.nodes.iter().enumerate() {
            let place = to.join(index.to_string());
            fs::create_dir_all(&place)?;
            disk::put_back(&node.store, &place)?;
        }
        self.start_all()
    }

    /// Every server dies and comes back on the same port with what was on its disk when that copy was made.
    pub fn restore_disks(&mut self, from: &Path) -> Result {
        self.kill_all()?;
        for (index, node) in self.nodes.iter().enumerate() {
            disk::put_back(&from.join(index.to_string()), &node.store)?;
        }
        self.start_all()
    }

    fn kill_all(&mut self) -> Result {
        let mut running = self.nodes.iter_mut().filter_map(|node| node.process.take());
        running.try_for_each(|mut process| process.kill())
    }

    /// Stops one server in its tracks: connections stay open, nothing is answered.
    pub fn pause(&mut self, node: usize) -> Result {
        self.node_mut(node)?
            .process
            .as_mut()
            .map_or_else(|| fail("this server is not running"), Process::pause)
    }

    /// Lets a paused server go on.
    pub fn resume(&mut self, node: usize) -> Result {
        self.node_mut(node)?
            .process
            .as_mut()
            .map_or_else(|| fail("this server is not running"), Process::resume)
    }

    /// A monitoring page of one server.
    pub fn monitor(&self, node: usize, path: &str) -> Result<Value> {
        let (status, body) = get(self.node(node)?.http, path)?;
        ensure(status == 200, || format!("{path} answers {status}: {body}"))?;
        Ok(serde_json::from_str(&body)?)
    }

    /// The server that leads a stream now.
    pub fn leader(&self, stream: &str) -> Result<usize> {
        wait::until(&format!("{stream} has a leader"), || {
            let running = self.nodes.iter().position(|node| node.process.is_some())?;
            let page = self.monitor(running, "/jsz?streams=true&acc=CHAT").ok()?;
            let streams = page.pointer("/account_details/0/stream_detail")?.as_array()?;
            let found = streams
                .iter()
                .find(|found| found.pointer("/name").and_then(Value::as_str) == Some(stream))?;
            let leader = found.pointer("/cluster/leader")?.as_str()?;
            let index: usize = leader.strip_prefix("cipher-n")?.parse().ok()?;
            index.checked_sub(1).filter(|index| *index < self.nodes.len())
        })
    }

    fn urls(&self, user: &str, password: &str) -> String {
        let urls: Vec<String> = self
            .nodes
            .iter()
            .map(|node| format!("{}://{user}:{password}@{HOST}:{}", self.scheme, node.port))
            .collect();
        urls.join(",")
    }

    fn node(&self, index: usize) -> Result<&Node> {
        self.nodes.get(index).ok_or_else(|| Failure::new(format!("there is no server {index}")))
    }

    fn node_mut(&mut self, index: usize) -> Result<&mut Node> {
        self.nodes.get_mut(index).ok_or_else(|| Failure::new(format!("there is no server {index}")))
    }
}

impl Node {
    fn new(
        folder: &Path,
        config: &str,
        name: &str,
        port: u16,
        http: u16,
        environment: impl Fn(Single<'_>) -> Environment,
    ) -> Result<Self> {
        let store = folder.join("store").join(name);
        fs::create_dir_all(&store)?;
        let text = store.to_str().ok_or_else(|| Failure::new("the temporary folder has no UTF-8 name"))?;
        let environment = environment(Single {
            host: HOST,
            port: Some(port),
            http_port: Some(http),
            store: text,
            agent_password: AGENT_PASSWORD,
            registry_password: REGISTRY_PASSWORD,
            operator_password: OPERATOR_PASSWORD,
        });
        let log = folder.join(format!("{name}.log"));
        Ok(Self { config: folder.join(config), environment, port, http, store, log, process: None })
    }

    fn start(&mut self) -> Result {
        let log = fs::OpenOptions::new().create(true).append(true).open(&self.log)?;
        let mut command = process::sealed(&process::nats_server()?, &self.store);
        command.arg("-c").arg(&self.config).stdout(Stdio::null()).stderr(log);
        command.envs(self.environment.iter().map(|(name, value)| (*name, value)));
        self.process = Some(Process::start(&mut command)?);
        Ok(())
    }

    fn ready(&mut self) -> Result {
        let (http, log) = (self.http, self.log.clone());
        let Some(process) = &mut self.process else { return fail("this server is not running") };
        let alive = wait::until("the server is healthy", || {
            if process.ended().is_some() {
                return Some(false);
            }
            get(http, "/healthz").is_ok_and(|(status, _)| status == 200).then_some(true)
        });
        match alive {
            Ok(true) => Ok(()),
            Ok(false) => fail("the server ended at once").map_err(|f| f.and(tail(&log))),
            Err(failure) => Err(failure.and(tail(&log))),
        }
    }
}

impl TlsFiles {
    fn environment(&self, mut environment: Environment) -> Environment {
        for (name, value) in &mut environment {
            if *name == "CIPHER_NATS_ROUTES" {
                *value = value.replace("nats://", "tls://");
            }
        }
        let quoted = |path: &Path| server_file::quoted(&path.to_string_lossy());
        environment.extend([
            ("CIPHER_TLS_CERT", quoted(&self.certificate)),
            ("CIPHER_TLS_KEY", quoted(&self.key)),
            ("CIPHER_TLS_CA", quoted(&self.authorities)),
        ]);
        environment
    }
}

/// A server file with its lines about TLS in force, as its comment says.
fn with_tls(text: String) -> String {
    text.replace("# include ./tls.conf", "include ./tls.conf")
        .replace("# include ../tls.conf", "include ../tls.conf")
}

/// The last lines of a log.
fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(15)..).unwrap_or_default().join("\n")
}

/// A port nobody listens on. Below the range that the kernel takes for outgoing connections, so that it stays
/// free until the server that is meant binds it.
pub fn free_port() -> Result<u16> {
    use std::hash::{BuildHasher, RandomState};
    (0..200u32)
        .map(|attempt| RandomState::new().hash_one((std::process::id(), attempt)))
        .filter_map(|random| u16::try_from(12_000 + random % 20_000).ok())
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .ok_or_else(|| Failure::new("no free port"))
}

/// One HTTP request to a monitoring port: status and body.
fn get(port: u16, path: &str) -> Result<(u16, String)> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {HOST}\r\n\r\n").as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(|| Failure::new("not an HTTP answer"))?;
    let status = head.split_whitespace().nth(1).and_then(|code| code.parse().ok());
    Ok((status.ok_or_else(|| Failure::new("not an HTTP status"))?, body.to_owned()))
}
