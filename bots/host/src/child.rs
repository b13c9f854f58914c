//! A bot that is a program: one child process, one line per question and answer, started again when it breaks.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use cipher_bot::bot::{Outcome, Rules};
use cipher_bot::event::Event;
use cipher_bot::stdio::{self, Asked, LINE_BYTES};
use cipher_bot::typing::Typing;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{ChildStdin, ChildStdout, Command};
use tokio::sync::Mutex;

use crate::not_handled::{NotHandled, TIME_LIMIT};

/// The first line each process gets: it shows that the program is a bot at all.
const DESCRIBE: &[u8] = b"{\"type\":\"describe\"}\n";
/// How long a program may take to answer it.
const START_LIMIT: Duration = Duration::from_secs(10);
/// How long a program may take to end when its input ends.
const END_LIMIT: Duration = Duration::from_secs(2);
/// Pauses before it is started again, doubling while it breaks.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// The program and, if it runs, its process.
pub(crate) struct Child {
    program: PathBuf,
    state: Mutex<State>,
}

struct State {
    running: Option<Running>,
    pause: Duration,
}

struct Running {
    process: tokio::process::Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Child {
    /// Starts the program. An error means that it is none, or no bot.
    pub(crate) async fn start(program: PathBuf) -> Result<Self, NotHandled> {
        let running = Running::start(&program).await?;
        Ok(Self { program, state: Mutex::new(State { running: Some(running), pause: SHORTEST_PAUSE }) })
    }

    /// Asks about an event. One question at a time: a pipe has one order.
    pub(crate) async fn handle(
        &self,
        event: &Event,
        memory: &[u8],
        typing: &Typing,
    ) -> Result<Outcome, NotHandled> {
        let rules = Rules::default();
        let question = match stdio::question(event, memory, rules).map_err(NotHandled::Failed)? {
            Asked::Line(line) => line,
            Asked::Nothing(outcome) => return Ok(outcome),
        };
        let mut state = self.state.lock().await;
        let answer = state.ask(&self.program, &question, (event, typing)).await?;
        drop(state);
        stdio::outcome(event, memory, rules, &answer).map_err(NotHandled::Failed)
    }

    /// Closes its input and waits a little; then it is killed.
    pub(crate) async fn end(&self) {
        if let Some(Running { mut process, questions, answers }) = self.state.lock().await.running.take() {
            drop((questions, answers));
            if tokio::time::timeout(END_LIMIT, process.wait()).await.is_err() {
                // It may have ended this moment.
                drop(process.kill().await);
            }
        }
    }
}

impl State {
    async fn ask(
        &mut self,
        program: &PathBuf,
        question: &[u8],
        (event, typing): (&Event, &Typing),
    ) -> Result<Vec<u8>, NotHandled> {
        // Taken out: a process that breaks, or whose answer nobody waits for any more, is never asked again.
        let mut running = match self.running.take() {
            Some(running) => running,
            None => {
                tokio::time::sleep(self.pause).await;
                self.pause = self.pause.saturating_mul(2).min(LONGEST_PAUSE);
                Running::start(program).await?
            }
        };
        let asked = async {
            let mut line = running.ask(question).await?;
            while stdio::is_typing(event, &line) {
                typing.tell();
                line = running.line().await?;
            }
            Ok(line)
        };
        let answer = tokio::time::timeout(TIME_LIMIT, asked).await.map_err(|_| NotHandled::Slow)??;
        self.pause = SHORTEST_PAUSE;
        self.running = Some(running);
        Ok(answer)
    }
}

impl Running {
    async fn start(program: &PathBuf) -> Result<Self, NotHandled> {
        let broken = |error: std::io::Error| NotHandled::Broken(format!("does not start: {error}"));
        let mut process = Command::new(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(broken)?;
        let (Some(questions), Some(answers)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(NotHandled::Broken("has no pipes".into()));
        };
        let mut running = Self { process, questions, answers: BufReader::new(answers) };
        let described = tokio::time::timeout(START_LIMIT, running.ask(DESCRIBE))
            .await
            .map_err(|_| NotHandled::Slow)??;
        match serde_json::from_slice::<stdio::Response>(&described) {
            Ok(_) => Ok(running),
            Err(_) => Err(NotHandled::Broken("does not answer as a bot does".into())),
        }
    }

    async fn ask(&mut self, question: &[u8]) -> Result<Vec<u8>, NotHandled> {
        let broken = |error: std::io::Error| NotHandled::Broken(format!("broke its pipe: {error}"));
        self.questions.write_all(question).await.map_err(broken)?;
        self.questions.flush().await.map_err(broken)?;
        self.line().await
    }

    /// The next line that it says.
    async fn line(&mut self) -> Result<Vec<u8>, NotHandled> {
        let broken = |error: std::io::Error| NotHandled::Broken(format!("broke its pipe: {error}"));
        let mut line = Vec::new();
        let bound = u64::try_from(LINE_BYTES).unwrap_or(u64::MAX);
        (&mut self.answers).take(bound).read_until(b'\n', &mut line).await.map_err(broken)?;
        if line.ends_with(b"\n") {
            Ok(line)
        } else {
            Err(NotHandled::Broken(if line.is_empty() { "ended".into() } else { "wrote half a line".into() }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    /// A program that is being written cannot be run, and a process that another test starts meanwhile keeps it open for
    /// writing: these tests do both one after the other.
    static ONE: Mutex<()> = Mutex::const_new(());

    fn script(folder: &tempfile::TempDir, text: &str) -> PathBuf {
        let path = folder.path().join("bot");
        std::fs::write(&path, format!("#!/bin/sh\n{text}")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    const DESCRIPTION: &str =
        r#"read line; echo '{"type":"description","name":"sh","about":"","commands":[]}'"#;

    #[tokio::test]
    async fn a_script_is_a_bot_and_one_that_dies_is_started_again() {
        let _one = ONE.lock().await;
        let folder = tempfile::tempdir().unwrap();
        let event = cipher_bot::testing::event(7, "alice", "hi");
        let id = serde_json::to_string(&event.id).unwrap();
        // Answers one event per process.
        let answer = format!(
            r#"read line; echo '{{"type":"outcome","id":{id},"actions":[{{"type":"say","text":"yo"}}],"memory":1}}'"#
        );
        let child = Child::start(script(&folder, &format!("{DESCRIPTION}\n{answer}\n"))).await.unwrap();
        let first = child.handle(&event, b"", &Typing::default()).await.unwrap();
        assert_eq!(first.actions.len(), 1);
        assert!(matches!(
            child.handle(&event, &first.memory, &Typing::default()).await,
            Err(NotHandled::Broken(_))
        ));
        assert_eq!(child.handle(&event, &first.memory, &Typing::default()).await.unwrap().actions.len(), 1);
        child.end().await;
    }

    #[tokio::test]
    async fn what_is_no_bot_is_refused_at_once() {
        let _one = ONE.lock().await;
        let folder = tempfile::tempdir().unwrap();
        for text in ["echo hello", "exit 1"] {
            let started = Child::start(script(&folder, text)).await;
            assert!(started.is_err_and(|why| matches!(why, NotHandled::Broken(_))));
        }
        assert!(Child::start(folder.path().join("nothing")).await.is_err());
    }
}
