//! The registry as a process of the built binary.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

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
}

impl Registry {
    /// Started and answering; the streams exist.
    pub fn beside(broker: &Broker) -> Result<Self> {
        let mut registry = Self {
            server: broker.servers(),
            login: broker.registry_login(),
            replicas: broker.replicas(),
            folder: tempfile::Builder::new().prefix("testbed-registry-").tempdir()?,
            program: process::binary("cipher-registry")?,
            screen: None,
        };
        registry.start()?;
        Ok(registry)
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
        screen
            .until("the registry answers", |line| {
                line.pointer("/type").and_then(Value::as_str) == Some("ready")
            })
            .map_err(|failure| failure.and(self.log()))?;
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
            .arg(self.folder.path().join("data"))
            .args(["--replicas", &self.replicas.to_string()])
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
