//! The registry as a process of the built binary.

use std::fs;
use std::io::{Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cipher_registry::{Login, RegistryKey, Settings};
use serde_json::Value;
use tempfile::TempDir;

use crate::broker::Broker;
use crate::failure::{Failure, Result, ensure, fail};
use crate::person::{Output, Screen};
use crate::process;

/// A registry beside a broker. Its data are wiped when dropped.
#[derive(Debug)]
pub struct Registry {
    server: String,
    login: (&'static str, &'static str),
    replicas: usize,
    folder: TempDir,
    program: PathBuf,
    screen: Option<Screen>,
    settings: Vec<String>,
    replica: Option<String>,
}

impl Registry {
    /// Started and answering; the streams exist.
    pub fn beside(broker: &Broker) -> Result<Self> {
        let mut registry = Self::prepared(broker, &[])?;
        registry.start()?;
        Ok(registry)
    }

    /// Not started; with further settings, as they are given on the command line.
    pub fn prepared(broker: &Broker, settings: &[&str]) -> Result<Self> {
        Ok(Self {
            server: broker.servers(),
            login: broker.registry_login(),
            replicas: broker.replicas(),
            folder: tempfile::Builder::new().prefix("testbed-registry-").tempdir()?,
            program: process::binary("cipher-registry")?,
            screen: None,
            settings: settings.iter().map(|setting| (*setting).to_owned()).collect(),
            replica: None,
        })
    }

    /// Replicas of one registry with one key, started; with further settings.
    pub fn replicas(broker: &Broker, count: usize, settings: &[&str]) -> Result<Vec<Self>> {
        let settings = [&["--store", "jetstream"], settings].concat();
        let mut all: Vec<Self> = Vec::new();
        for _ in 0..count {
            let mut replica = Self::prepared(broker, &settings)?;
            if let Some(first) = all.first() {
                replica.takes_key_of(first)?;
            }
            replica.start()?;
            all.push(replica);
        }
        Ok(all)
    }

    /// Goes to another server from now on.
    pub fn goes_to(&mut self, server: &str) {
        self.server = server.into();
    }

    /// The files of its key: the sealed one, and what opens it.
    pub const KEY: [&str; 2] = ["registry.key", "registry.unlock"];

    /// Has the same key as another one from now on.
    pub fn takes_key_of(&self, other: &Self) -> Result {
        fs::create_dir_all(self.data())?;
        for file in Self::KEY {
            fs::copy(other.data().join(file), self.data().join(file))?;
        }
        Ok(())
    }

    /// Its key, for what speaks in its place.
    pub fn key(&self) -> Result<RegistryKey> {
        let settings = Settings::new(self.server.as_str(), Login::None, self.data());
        RegistryKey::load(&settings).map_err(|error| Failure::new(error.to_string()))
    }

    /// Its id as a replica, another one after every start.
    pub fn replica(&self) -> Option<&str> {
        self.replica.as_deref()
    }

    /// Folder of its key and store alone.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Stops it in its tracks: connections stay open, nothing is answered.
    pub fn pause(&mut self) -> Result {
        self.screen
            .as_mut()
            .map_or_else(|| fail("the registry is not running"), |screen| screen.process().pause())
    }

    /// Lets it go on.
    pub fn resume(&mut self) -> Result {
        self.screen
            .as_mut()
            .map_or_else(|| fail("the registry is not running"), |screen| screen.process().resume())
    }

    /// Starts it on the data it had, and waits until it answers.
    pub fn start(&mut self) -> Result {
        self.start_with(&[])
    }

    /// The same, with arguments of `serve`.
    pub fn start_with(&mut self, arguments: &[&str]) -> Result {
        ensure(self.screen.is_none(), || "the registry is running already".into())?;
        let log = fs::OpenOptions::new().create(true).append(true).open(self.log_file())?;
        let mut command = self.command(&["serve"]);
        command.args(arguments);
        command.stdout(Stdio::piped()).stderr(log);
        let mut screen = Screen::of(&mut command, "registry")?;
        let ready = screen
            .until("the registry answers", |line| {
                line.pointer("/type").and_then(Value::as_str) == Some("ready")
            })
            .map_err(|failure| failure.and(self.log()))?;
        self.replica = ready.pointer("/replica").and_then(Value::as_str).map(str::to_owned);
        self.screen = Some(screen);
        Ok(())
    }

    /// Ends it at once.
    pub fn kill(&mut self) -> Result {
        match self.screen.take() {
            Some(mut screen) => screen.process().kill(),
            None => fail("the registry is not running"),
        }
    }

    /// Ends it in order; fails unless it says that all went well.
    pub fn stop(&mut self) -> Result {
        match self.screen.take() {
            Some(mut screen) => {
                let status = screen.process().terminate()?;
                ensure(status.success(), || format!("the registry ended with {status}\n{}", self.log()))
            }
            None => fail("the registry is not running"),
        }
    }

    /// The process that runs.
    pub fn pid(&mut self) -> Option<u32> {
        self.screen.as_mut().map(|screen| screen.process().id())
    }

    /// What the running registry or the broker shows to an operator.
    pub fn shows(&self, arguments: &[&str]) -> Result<Output> {
        Output::of(&mut self.command(arguments))
    }

    /// The same, with a line on its standard input.
    pub fn is_told(&self, arguments: &[&str], line: &str) -> Result<Output> {
        Output::of(&mut self.with_input(arguments, line)?)
    }

    /// A command with a line on its standard input.
    pub fn with_input(&self, arguments: &[&str], line: &str) -> Result<Command> {
        let mut input = tempfile::tempfile()?;
        writeln!(input, "{line}")?;
        input.rewind()?;
        let mut command = self.command(arguments);
        command.stdin(input);
        Ok(command)
    }

    /// What it logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Folder of its key and store.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let (user, password) = self.login;
        let mut command = process::sealed(&self.program, self.folder.path());
        command
            .arg("--json")
            .args(["--server", &self.server, "--user", user])
            .arg("--data-dir")
            .arg(self.data())
            .args(["--replicas", &self.replicas.to_string()])
            .args(&self.settings)
            .env("CIPHER_REGISTRY_PASSWORD", password)
            .env("CIPHER_REGISTRY_LOG", "info")
            .args(arguments);
        command
    }
}

/// A line of a kind, for filters.
pub fn is(line: &Value, kind: &str) -> bool {
    line.pointer("/type").and_then(Value::as_str) == Some(kind)
}

impl Registry {
    /// Every stored message, without its meaning.
    pub fn traffic(&self, limit: usize) -> Result<Vec<Value>> {
        let output = self.shows(&["traffic", "--limit", &limit.to_string()])?;
        if output.code == 0 { Ok(output.lines) } else { Err(Failure::new(output.to_string())) }
    }
}
