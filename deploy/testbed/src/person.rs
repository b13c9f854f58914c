//! A person at the real program: each command is a process of `cipher-chat --json` with a home of its own.

use std::collections::VecDeque;
use std::fmt;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{ChildStderr, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::disk;
use crate::failure::{Failure, Result, ensure};
use crate::process::{self, Process};
use crate::terminal::Terminal;
use crate::wait::PATIENCE;

/// Somebody with an own home folder, profile and view of where the broker is.
#[derive(Debug, Clone)]
pub struct Person {
    name: String,
    home: PathBuf,
    state: PathBuf,
    server: Option<String>,
    program: PathBuf,
}

/// How a command ended and what it said.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// Exit code; -1 when a signal ended it.
    pub code: i32,
    /// JSON lines of stdout.
    pub lines: Vec<Value>,
    /// JSON lines of stderr: errors and warnings.
    pub errors: Vec<Value>,
    /// All of stdout.
    pub stdout: String,
    /// All of stderr.
    pub stderr: String,
    what: String,
}

/// A running command whose lines are read as they come.
#[derive(Debug)]
pub struct Screen {
    process: Process,
    lines: Receiver<String>,
    seen: VecDeque<Value>,
    history: Vec<Value>,
    stderr: Option<JoinHandle<String>>,
    what: String,
}

impl Person {
    /// A person whose home lies below a folder.
    pub fn new(name: &str, homes: &Path, server: &str) -> Result<Self> {
        let home = homes.join(name);
        fs::create_dir_all(&home)?;
        let (state, program) = (home.join("state"), process::binary("cipher-chat")?);
        Ok(Self { name: name.into(), home, state, server: Some(server.into()), program })
    }

    /// A profile beside others in the home of a running `up`, which tells by itself where the broker is.
    pub fn beside_up(name: &str, home: &Path) -> Result<Self> {
        let program = process::binary("cipher-chat")?;
        Ok(Self { name: name.into(), home: home.into(), state: home.into(), server: None, program })
    }

    /// The same person by way of another server or proxy.
    #[must_use]
    pub fn by_way_of(&self, server: &str) -> Self {
        Self { server: Some(server.into()), ..self.clone() }
    }

    /// Name, which is also the handle and the profile.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where all their files are.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// A command with the flags that name home, profile and server.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.as_typed(&["--json", "--no-input"]);
        command.args(arguments);
        command
    }

    /// The same as a person types it: words for people, and questions.
    pub fn as_typed(&self, arguments: &[&str]) -> Command {
        let mut command = process::sealed(&self.program, &self.home);
        command.current_dir(&self.home).arg("--home").arg(&self.state).args(["--profile", &self.name]);
        if let Some(server) = &self.server {
            command.args(["--server", server]);
        }
        command.args(arguments);
        command
    }

    /// A command at a terminal.
    pub fn at_terminal(&self, arguments: &[&str]) -> Result<Terminal> {
        Terminal::of(&mut self.as_typed(arguments))
    }

    /// Runs a command that reads this on its standard input.
    #[track_caller]
    pub fn run_with(&self, arguments: &[&str], input: &str) -> Result<Output> {
        let path = self.home.join("input");
        fs::write(&path, input)?;
        let mut command = self.command(arguments);
        let output = Output::of(command.stdin(fs::File::open(&path)?));
        fs::remove_file(path)?;
        output
    }

    /// Files of what was found against the registry.
    pub fn evidence(&self) -> Result<Vec<PathBuf>> {
        disk::files(&self.state.join("profiles").join(&self.name).join("evidence"))
    }

    /// Runs a command to its end.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> Result<Output> {
        Output::of(&mut self.command(arguments))
    }

    /// Runs a command that must work.
    #[track_caller]
    pub fn does(&self, arguments: &[&str]) -> Result<Output> {
        self.run(arguments)?.expecting(0)
    }

    /// Runs a command that must end with this exit code, one sentence and a kind.
    #[track_caller]
    pub fn is_refused(&self, code: i32, kind: &str, arguments: &[&str]) -> Result<Output> {
        let output = self.run(arguments)?.expecting(code)?;
        let error = output.errors.iter().find(|line| kind_of(line) == Some("error"));
        let error = error.ok_or_else(|| Failure::new(format!("no error line on stderr\n{output}")))?;
        ensure(text(error, "kind") == Some(kind), || format!("not of kind {kind}\n{output}"))?;
        let message = text(error, "message").unwrap_or_default();
        ensure(!message.is_empty() && !message.contains('\n'), || format!("not one sentence\n{output}"))?;
        ensure(text(error, "hint").is_some_and(|hint| !hint.is_empty()), || format!("no hint\n{output}"))?;
        ensure(output.stdout.trim().is_empty(), || format!("data on stdout beside an error\n{output}"))?;
        Ok(output)
    }

    /// Starts a command that stays.
    #[track_caller]
    pub fn starts(&self, arguments: &[&str]) -> Result<Screen> {
        let mut command = self.command(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Screen::of(&mut command, &format!("{}: {}", self.name, arguments.join(" ")))
    }

    /// Makes the account, with the own name as handle.
    #[track_caller]
    pub fn registers(&self) -> Result<Value> {
        let made = self.does(&["register", &self.name])?;
        // A first command that worries a new person for nothing would be noticed by no other test.
        ensure(!made.errors.iter().any(|line| kind_of(line) == Some("warning")), || {
            format!("a warning: {made}")
        })?;
        made.of_type("account")
    }

    /// Makes a group with others.
    #[track_caller]
    pub fn creates(&self, group: &str, with: &[&str]) -> Result<Value> {
        let with = with.join(",");
        let mut arguments = vec!["group", "create", group];
        if !with.is_empty() {
            arguments.extend(["--with", &with]);
        }
        self.does(&arguments)?.of_type("group")
    }

    /// Joins a group one was invited to.
    #[track_caller]
    pub fn accepts(&self, group: &str) -> Result<Value> {
        self.does(&["group", "accept", group])?.of_type("group")
    }

    /// Says something.
    #[track_caller]
    pub fn sends(&self, target: &str, words: &str) -> Result<Value> {
        self.does(&["send", target, words])?.of_type("message")
    }

    /// Everything said so far, oldest first.
    #[track_caller]
    pub fn reads(&self, target: &str) -> Result<Vec<Value>> {
        let output = self.does(&["read", target, "-n", "100000"])?;
        Ok(output.lines.into_iter().filter(|line| kind_of(line) == Some("message")).collect())
    }

    /// The texts people said so far, oldest first; no system lines.
    #[track_caller]
    pub fn texts(&self, target: &str) -> Result<Vec<String>> {
        let messages = self.reads(target)?;
        let spoken = messages.iter().filter(|line| text(line, "kind") == Some("text"));
        Ok(spoken.filter_map(|line| text(line, "text").map(str::to_owned)).collect())
    }

    /// A screen that shows a conversation as it goes on; returned once the first lines can come.
    #[track_caller]
    pub fn follows(&self, target: &str) -> Result<Screen> {
        self.starts(&["read", target, "-n", "100000", "--follow"])
    }

    /// How one group looks from here.
    #[track_caller]
    pub fn shows(&self, group: &str) -> Result<Value> {
        self.does(&["group", "show", group])?.of_type("group")
    }

    /// Brings everything up to date.
    #[track_caller]
    pub fn syncs(&self) -> Result<Value> {
        self.does(&["sync"])?.of_type("synced")
    }
}

impl Output {
    /// Runs a command to its end, or kills it after [`PATIENCE`].
    #[track_caller]
    pub fn of(command: &mut Command) -> Result<Self> {
        let what = shown(command);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = Process::start(command)?;
        let (stdout, stderr) = (process.pipes().stdout.take(), process.pipes().stderr.take());
        let stdout = thread::spawn(move || stdout.map_or_else(String::new, read_all));
        let stderr = thread::spawn(move || stderr.map_or_else(String::new, read_all));
        let ended = process.wait(PATIENCE);
        if ended.is_err() {
            process.kill()?;
        }
        let (stdout, stderr) = (stdout.join().unwrap_or_default(), stderr.join().unwrap_or_default());
        let code = match ended {
            Ok(status) => status.code().unwrap_or(-1),
            Err(failure) => return Err(failure.and(format!("{what}\n{stdout}{stderr}"))),
        };
        let lines = json_lines(&stdout);
        let errors = json_lines(&stderr);
        Ok(Self { code, lines, errors, stdout, stderr, what })
    }

    /// Fails unless it ended with this code.
    #[track_caller]
    pub fn expecting(self, code: i32) -> Result<Self> {
        if self.code == code {
            Ok(self)
        } else {
            Err(Failure::new(format!("expected exit code {code}\n{self}")))
        }
    }

    /// The first line of a type.
    #[track_caller]
    pub fn of_type(&self, kind: &str) -> Result<Value> {
        let found = self.lines.iter().find(|line| kind_of(line) == Some(kind));
        found.cloned().ok_or_else(|| Failure::new(format!("no line of type {kind}\n{self}")))
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "$ {}\nexit code {}\n{}{}", self.what, self.code, self.stdout, self.stderr)
    }
}

impl Screen {
    /// Starts a command whose stdout is piped.
    #[track_caller]
    pub fn of(command: &mut Command, what: &str) -> Result<Self> {
        let mut process = Process::start(command)?;
        let stdout = process.pipes().stdout.take().ok_or_else(|| Failure::new("stdout is not piped"))?;
        let stderr: Option<ChildStderr> = process.pipes().stderr.take();
        let (send, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(std::io::Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        let stderr = stderr.map(|stderr| thread::spawn(move || read_all(stderr)));
        Ok(Self { process, lines, seen: VecDeque::new(), history: Vec::new(), stderr, what: what.into() })
    }

    /// The process behind it.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Every line so far.
    pub fn history(&mut self) -> &[Value] {
        while let Ok(line) = self.lines.try_recv() {
            self.keep(&line);
        }
        &self.history
    }

    /// Waits for a line; lines before it that nobody waited for stay and can be waited for later.
    #[track_caller]
    pub fn until(&mut self, what: &str, is_it: impl Fn(&Value) -> bool) -> Result<Value> {
        self.within(PATIENCE, what, is_it)
    }

    /// Waits for a line for a given time.
    #[track_caller]
    pub fn within(
        &mut self,
        patience: Duration,
        what: &str,
        is_it: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        if let Some(at) = self.seen.iter().position(&is_it)
            && let Some(line) = self.seen.remove(at)
        {
            return Ok(line);
        }
        let deadline = Instant::now() + patience;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    if self.keep(&line)
                        && self.seen.back().is_some_and(&is_it)
                        && let Some(line) = self.seen.pop_back()
                    {
                        return Ok(line);
                    }
                }
                Err(RecvTimeoutError::Timeout) => return Err(self.in_vain(what, "no such line in time")),
                Err(RecvTimeoutError::Disconnected) => return Err(self.in_vain(what, "the command ended")),
            }
        }
    }

    /// Waits for a message with this text.
    #[track_caller]
    pub fn sees(&mut self, words: &str) -> Result<Value> {
        self.until(words, |line| kind_of(line) == Some("message") && text(line, "text") == Some(words))
    }

    /// Waits for the line that says that it is ready.
    #[track_caller]
    pub fn is_ready(&mut self) -> Result<Value> {
        self.until("ready", |line| kind_of(line) == Some("ready"))
    }

    /// Types a line into a command whose standard input is piped, and closes it.
    #[track_caller]
    pub fn answer(&mut self, line: &str) -> Result {
        let input = self.process.pipes().stdin.take();
        let mut input = input.ok_or_else(|| Failure::new("its standard input is not piped"))?;
        writeln!(input, "{line}")?;
        Ok(())
    }

    /// Waits for the end of the command by itself; gives its exit code and what it said on stderr.
    #[track_caller]
    pub fn ends(&mut self) -> Result<(i32, String)> {
        let status = self.process.wait(PATIENCE)?;
        let stderr = self.stderr.take().and_then(|stderr| stderr.join().ok()).unwrap_or_default();
        Ok((status.code().unwrap_or(-1), stderr))
    }

    /// Ctrl-C, then the exit code.
    #[track_caller]
    pub fn interrupt(&mut self) -> Result<i32> {
        Ok(self.process.interrupt()?.code().unwrap_or(-1))
    }

    fn keep(&mut self, line: &str) -> bool {
        match serde_json::from_str::<Value>(line) {
            Ok(value) => {
                self.history.push(value.clone());
                self.seen.push_back(value);
                true
            }
            Err(_) => false,
        }
    }

    #[track_caller]
    fn in_vain(&mut self, what: &str, why: &str) -> Failure {
        let mut text = format!("{}: waited for `{what}`: {why}; lines so far:", self.what);
        for line in &self.history {
            text.push_str(&format!("\n  {line}"));
        }
        let failure = Failure::new(text);
        let _ = self.process.terminate();
        let _ = self.process.kill();
        match self.stderr.take().map(JoinHandle::join) {
            Some(Ok(stderr)) if !stderr.is_empty() => failure.and(stderr),
            _ => failure,
        }
    }
}

/// The type of a line.
pub fn kind_of(line: &Value) -> Option<&str> {
    text(line, "type")
}

/// A field that is a text.
pub fn text<'a>(line: &'a Value, field: &str) -> Option<&'a str> {
    line.get(field).and_then(Value::as_str)
}

fn json_lines(text: &str) -> Vec<Value> {
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn read_all(mut from: impl Read) -> String {
    let mut bytes = Vec::new();
    let _ = from.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

fn shown(command: &Command) -> String {
    let program =
        Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let arguments = command.get_args().map(|argument| {
        let argument = argument.to_string_lossy();
        match argument.char_indices().nth(120) {
            Some((cut, _)) => format!("{}…", argument.get(..cut).unwrap_or_default()),
            None => argument.into_owned(),
        }
    });
    std::iter::once(program).chain(arguments).collect::<Vec<_>>().join(" ")
}
