//! The only file that prints: data to stdout, everything else to stderr; for people or as JSON lines.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cipher_api::command::message::TextMark;
use cipher_api::view::{EvidenceView, MessageView};
use cipher_api::{Error, ErrorKind};
use rustix::termios::tcgetwinsize;

use crate::app::error::ProfileError;
use crate::cli::exit::{Failure, Result};
use crate::cli::show::hint;
use crate::cli::show::hit;
use crate::cli::show::human;
use crate::cli::show::line::Line;
use crate::cli::show::paint::{self, Paint};
use crate::cli::show::qr;
use crate::cli::show::rows::in_rows;
use crate::cli::show::safe_text::{safe_block, safe_text};
use crate::cli::show::typed::Typed;
use crate::settings::{Color, Settings};

/// Where a command shows what it found.
#[derive(Debug, Clone)]
pub struct Ui {
    json: bool,
    out: Paint,
    err: Paint,
    /// Whether somebody looks at stderr: who asks and draws does it there.
    watched: bool,
    /// How this program was called.
    typed: Arc<Typed>,
    /// Whether values of the store turned out to be damaged.
    damaged: Arc<AtomicBool>,
}

impl Ui {
    /// As the settings say.
    pub fn new(settings: &Settings) -> Self {
        let paint = |terminal: bool| {
            Paint(match settings.color {
                Color::Always => true,
                Color::Never => false,
                Color::Auto => terminal && !settings.plain,
            })
        };
        Self {
            json: settings.json,
            out: paint(io::stdout().is_terminal()),
            err: paint(io::stderr().is_terminal()),
            watched: io::stderr().is_terminal(),
            typed: Arc::new(Typed::new(settings)),
            damaged: Arc::default(),
        }
    }

    /// Before there are settings.
    pub fn early(json: bool) -> Self {
        Self {
            json,
            out: Paint(false),
            err: Paint(false),
            watched: false,
            typed: Arc::default(),
            damaged: Arc::default(),
        }
    }

    /// How this program is called for the profile at hand.
    pub fn typed(&self) -> &Typed {
        &self.typed
    }

    /// A command for the profile at hand, as a person types it.
    pub fn command(&self, verb: &str) -> String {
        self.typed.command(verb)
    }

    /// Whether output is JSON lines.
    pub const fn json(&self) -> bool {
        self.json
    }

    /// Shows one thing.
    pub fn show(&self, line: &Line<'_>) -> Result {
        if self.json {
            return json(&mut io::stdout().lock(), line);
        }
        text(&self.words(line))
    }

    /// One thing as people see it on stdout.
    fn words(&self, line: &Line<'_>) -> String {
        let block = human::block(line, self.out, &self.typed);
        match line {
            Line::Message(_) | Line::Event(_) => fitted(block),
            _ => block,
        }
    }

    /// Shows things of one kind; `empty` tells people that there are none.
    pub fn list(&self, lines: &[Line<'_>], empty: &str) -> Result {
        if self.json {
            let mut out = io::stdout().lock();
            return lines.iter().try_for_each(|line| json(&mut out, line));
        }
        if lines.is_empty() {
            self.note(empty);
            return Ok(());
        }
        text(&human::table(lines, self.out))
    }

    /// Shows what stands in a conversation; `label` names it where several are mixed.
    pub fn message(&self, message: &MessageView, label: Option<&str>) -> Result {
        let mut out = io::stdout().lock();
        out.write_all(&self.rendered(message, label)?)?;
        Ok(out.flush()?)
    }

    /// The same without holding up this process: whoever reads stdout may pause, and others are served meanwhile. One
    /// at a time: what is given up half-way may still be printed.
    pub async fn message_in_time(&self, message: &MessageView, label: Option<&str>) -> Result {
        in_time(self.rendered(message, label)?).await
    }

    fn rendered(&self, message: &MessageView, label: Option<&str>) -> Result<Vec<u8>> {
        let text = match Line::message(message, |error| hint::of(error, &self.typed)) {
            line if self.json => return Ok(line.to_json()?),
            Line::Message(line) => fitted(human::message(&line, label, self.out)),
            Line::Event(line) => fitted(human::event(&line, label, self.out)),
            line => human::block(&line, self.out, &self.typed),
        };
        Ok(format!("{text}\n").into_bytes())
    }

    /// Shows a message that was found, with the words marked; `label` names its conversation and its id.
    pub fn hit(&self, message: &MessageView, marks: &[TextMark], label: &str) -> Result {
        if self.json {
            return self.message(message, None);
        }
        text(&fitted(hit::hit(message, marks, label, self.out)))
    }

    /// [`Ui::show`] in the same way.
    pub async fn show_in_time(&self, line: &Line<'_>) -> Result {
        let bytes = if self.json { line.to_json()? } else { format!("{}\n", self.words(line)).into_bytes() };
        in_time(bytes).await
    }

    /// The connection to the broker is gone, or is back.
    pub fn connection(&self, server: &str, reason: Option<&str>) {
        self.aside(&Line::connection(server, reason));
    }

    /// The result of something that has happened was shown, or could not be: that undoes nothing. A script that took the
    /// exit code for a failure would do it again.
    pub fn happened(&self, shown: Result) {
        match shown {
            Ok(()) | Err(Failure::Closed) => {}
            Err(Failure::Failed(error)) => self.warn(&format!("this is done; only the {}", error.message)),
            Err(failure) => self.fail(&failure),
        }
    }

    /// Prints a text that is data as it is: help, completions.
    pub fn raw(&self, raw: &str) -> Result {
        let mut out = io::stdout().lock();
        out.write_all(raw.as_bytes())?;
        Ok(out.flush()?)
    }

    /// Prints a help text that was asked for.
    pub fn help(&self, help: &clap::builder::StyledStr) -> Result {
        let terminal = io::stdout().is_terminal() && self.out.0;
        let text = if terminal { help.ansi().to_string() } else { help.to_string() };
        // Clap leaves the indent of an empty line.
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        self.raw(&format!("{}\n", lines.join("\n")))
    }

    /// Prints a help text that was not asked for, where errors go.
    pub fn usage(&self, help: &clap::builder::StyledStr) {
        let _ = write!(io::stderr().lock(), "{help}");
    }

    /// Tells people what happens meanwhile. Scripts are spared.
    pub fn note(&self, note: &str) {
        if !self.json {
            // Nobody is left to be told that stderr is closed.
            let _ = writeln!(io::stderr().lock(), "{}", safe_block(note, 0));
        }
    }

    /// A question to the person at the terminal; what they type stands behind it.
    pub fn prompt(&self, question: &str) {
        let mut err = io::stderr().lock();
        let _ = write!(err, "{}", safe_block(question, 0));
        let _ = err.flush();
    }

    /// Shows a text as a QR code, on a terminal only.
    pub fn qr(&self, text: &str) {
        if self.watched
            && !self.json
            && let Some(code) = qr::half_blocks(text)
        {
            let _ = writeln!(io::stderr().lock(), "{code}");
        }
    }

    /// How far something is: lines for scripts, one line that is drawn over for a person who looks.
    pub fn progress(&self, what: &str, done: u64, total: u64) -> Result {
        if self.json {
            return self.show(&Line::Progress { done, total });
        }
        if self.watched {
            let mut err = io::stderr().lock();
            let _ = write!(err, "\r{}\x1b[K", paint::bar(what, done, total));
            let _ = err.flush();
        }
        Ok(())
    }

    /// How far the bytes of a file are, for a person who looks. Scripts get what comes of it.
    pub fn transfer(&self, what: &str, done: u64, total: u64) {
        if self.watched && !self.json {
            let mut err = io::stderr().lock();
            let _ = write!(err, "\r{}\x1b[K", paint::bar_of_bytes(&safe_text(what), done, total));
            let _ = err.flush();
        }
    }

    /// Clears the line of [`Ui::progress`].
    pub fn progress_end(&self) {
        if self.watched && !self.json {
            let _ = write!(io::stderr().lock(), "\r\x1b[K");
        }
    }

    /// The registry, or somebody in its place, was caught: nobody may miss it.
    pub fn alarm(&self, evidence: &EvidenceView, file: Option<&Path>) {
        self.aside(&Line::evidence(evidence, file));
    }

    /// Values of the store are damaged: whatever the command shows is not all that there was.
    pub fn damage(&self, message: &str) {
        self.damaged.store(true, Ordering::Relaxed);
        self.warn(message);
    }

    /// Whether that was told.
    pub fn told_damage(&self) -> bool {
        self.damaged.load(Ordering::Relaxed)
    }

    /// Something a person or a script should know, on stderr.
    pub fn warn(&self, message: &str) {
        self.aside(&Line::Warning { message });
    }

    /// Shows why the command failed, on stderr.
    pub fn fail(&self, failure: &Failure) {
        match failure {
            Failure::Closed | Failure::Shown(_) => {}
            Failure::Usage { message, hint } => {
                // One sentence: what reads settings files draws them on lines of their own.
                let sentence = message.split_whitespace().collect::<Vec<_>>().join(" ");
                let hint = hint.as_ref().map(|hint| hint::words(hint, &self.typed));
                self.wrong(ErrorKind::Usage, &sentence, Some(hint.as_deref().unwrap_or("try --help")));
            }
            Failure::Failed(error) => self.error(error),
            Failure::Profile(error) => self.profile_error(error),
            Failure::Bot(error) => {
                let hint = hint::of_bot(error, &self.typed);
                let kind = error.kind().unwrap_or(ErrorKind::Usage);
                self.wrong(kind, &error.to_string(), Some(hint.as_deref().unwrap_or("try --help")));
            }
        }
    }

    /// Shows an error of a profile, on stderr.
    pub fn profile_error(&self, error: &ProfileError) {
        match error {
            ProfileError::Core(error) => self.error(error),
            error => {
                self.wrong(error.kind(), &error.to_string(), hint::of_profile(error, &self.typed).as_deref());
            }
        }
    }

    /// Shows an error that does not end the command, on stderr.
    pub fn error(&self, error: &Error) {
        self.wrong(error.kind, &error.message, hint::of(error, &self.typed).as_deref());
    }

    fn wrong(&self, kind: ErrorKind, message: &str, hint: Option<&str>) {
        let (kind, retryable) = (kind.name(), kind.retryable());
        self.aside(&Line::Error { kind, message, hint, retryable });
    }

    fn aside(&self, line: &Line<'_>) {
        let mut err = io::stderr().lock();
        let _ = match self.json {
            true => line.to_json().and_then(|bytes| err.write_all(&bytes)),
            false => writeln!(err, "{}", human::block(line, self.err, &self.typed)),
        };
    }
}

/// One write and one flush per line: whoever reads the pipe gets whole lines, at once.
fn json(out: &mut impl Write, line: &Line<'_>) -> Result {
    out.write_all(&line.to_json()?)?;
    Ok(out.flush()?)
}

/// Writes on a thread that may wait.
async fn in_time(bytes: Vec<u8>) -> Result {
    let written = tokio::task::spawn_blocking(move || {
        let mut out = io::stdout().lock();
        out.write_all(&bytes)?;
        out.flush()
    });
    // It panics only when stdout does.
    Ok(written.await.map_err(io::Error::other)??)
}

/// What holds words of peers: no line of it is left to the terminal to break.
fn fitted(block: String) -> String {
    let columns = io::stdout().is_terminal().then(|| tcgetwinsize(io::stdout()).ok()).flatten();
    match columns.map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0) {
        Some(columns) => in_rows(&block, columns),
        None => block,
    }
}

fn text(text: &str) -> Result {
    let mut out = io::stdout().lock();
    out.write_all(format!("{text}\n").as_bytes())?;
    Ok(out.flush()?)
}
