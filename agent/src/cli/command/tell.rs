//! Telling a person of a message that came: a bell, a notification of the terminal or the desktop, a program.
//!
//! Whether a message is told is decided below (rules R-NOTIFY); here is how. A program gets its words by an argument list and
//! the message on its standard input: no shell reads anything that a peer wrote.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use cipher_api::view::MessageView;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::sync::Semaphore;

use crate::cli::context::Context;
#[cfg(feature = "desktop")]
use crate::cli::show::desktop;
use crate::cli::show::hint;
use crate::cli::show::line::Line;
use crate::cli::show::ui::Ui;
use crate::settings::Told;

/// Programs that run at a time; further messages wait.
const PROGRAMS: usize = 4;
/// Messages that wait for a program.
const WAITING: usize = 1000;
/// How long a program may take for one message.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long the end of a command waits for programs that still run.
const LAST: Duration = Duration::from_secs(3);

/// What tells a person of messages.
#[derive(Debug)]
pub struct Teller {
    ui: Ui,
    told: Told,
    /// What runs for each message that others say.
    each: Option<Program>,
    /// What runs for those of which the person wants to be told.
    worthy: Option<Program>,
    running: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

/// A program and the words it gets.
type Program = Arc<[String]>;

impl Teller {
    /// As the settings say; `each` is a program of this command, for every message of others.
    pub fn new(context: &Context, each: &[String]) -> Self {
        let program = |words: &[String]| (!words.is_empty()).then(|| words.into());
        Self {
            ui: context.ui.clone(),
            told: context.settings.told,
            each: program(each),
            worthy: program(&context.settings.told_by),
            running: Arc::new(Semaphore::new(PROGRAMS)),
            waiting: Arc::new(Semaphore::new(WAITING)),
        }
    }

    /// A message came and was shown.
    pub fn tells(&self, message: &MessageView, conversation: &str) {
        if message.notify {
            self.ui.rings(self.told, message, conversation);
            #[cfg(feature = "desktop")]
            if self.told.desktop {
                self.notifies(message.clone(), conversation.to_owned());
            }
            if let Some(program) = &self.worthy {
                self.runs(program, message);
            }
        }
        if let Some(program) = &self.each
            && message.unread
        {
            self.runs(program, message);
        }
    }

    /// Waits for the programs that still run, but not for ever.
    pub async fn finish(&self) {
        let all = u32::try_from(WAITING).unwrap_or(u32::MAX);
        drop(tokio::time::timeout(LAST, self.waiting.acquire_many(all)).await);
    }

    /// Has the desktop show it, when it is its turn.
    #[cfg(feature = "desktop")]
    fn notifies(&self, message: MessageView, conversation: String) {
        let Ok(place) = Arc::clone(&self.waiting).try_acquire_owned() else { return };
        let (running, ui) = (Arc::clone(&self.running), self.ui.clone());
        tokio::spawn(async move {
            let _place = place;
            let Ok(_turn) = running.acquire().await else { return };
            let shown = tokio::time::timeout(PATIENCE, desktop::show(&message, &conversation)).await;
            if let Err(why) = shown.unwrap_or_else(|_| Err("it does not answer".into())) {
                let warning = format!("the desktop shows no notification: {why}");
                drop(tokio::task::spawn_blocking(move || ui.warn(&warning)).await);
            }
        });
    }

    fn runs(&self, program: &Program, message: &MessageView) {
        let Ok(line) = Line::message(message, |error| hint::of(error, self.ui.typed())).to_json() else {
            return;
        };
        let Ok(place) = Arc::clone(&self.waiting).try_acquire_owned() else {
            self.ui.warn("the program for messages is too slow: it does not run for this one");
            return;
        };
        let (program, running, ui) = (Arc::clone(program), Arc::clone(&self.running), self.ui.clone());
        tokio::spawn(async move {
            let _place = place;
            let Ok(_turn) = running.acquire().await else { return };
            if let Err(why) = run(&program, &line).await {
                let name = program.first().cloned().unwrap_or_default();
                drop(tokio::task::spawn_blocking(move || ui.warn(&format!("{name}: {why}"))).await);
            }
        });
    }
}

/// Runs a program with a message on its standard input. What it says goes to our stderr: stdout is for data.
async fn run(program: &Program, line: &[u8]) -> Result<(), String> {
    let Some((name, words)) = program.split_first() else { return Ok(()) };
    let mut command = Command::new(name);
    command.args(words).stdin(Stdio::piped()).stdout(std::io::stderr()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    let work = async {
        if let Some(mut input) = child.stdin.take() {
            // A program that does not want to read is none that failed.
            let _ = input.write_all(line).await;
        }
        child.wait().await
    };
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(format!("it ended with {status}")),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("it took longer than {} seconds and was ended", PATIENCE.as_secs())),
    }
}
