//! The only file that prints: data to stdout, everything else to stderr; for people or as JSON lines.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cipher_api::command::message::TextMark;
use cipher_api::view::{EvidenceView, MessageView};
use cipher_api::{Error, ErrorKind};
use cipher_broker::time::Timestamp;
use jiff::civil::Date;
use rustix::termios::tcgetwinsize;

use crate::app::error::ProfileError;
use crate::cli::exit::{Failure, Result};
use crate::cli::input::keyboard::Above;
use crate::cli::show::hint;
use crate::cli::show::hit;
use crate::cli::show::human;
use crate::cli::show::line::Line;
use crate::cli::show::paint::{self, Look, Paint};
use crate::cli::show::qr;
use crate::cli::show::rows::{cut, in_rows};
use crate::cli::show::safe_text::{safe_block, safe_text};
use crate::cli::show::typed::Typed;
use crate::cli::zone::Zone;
use crate::settings::{Color, Settings, Told};

/// Columns of a notification.
const NOTICE: usize = 120;

/// Where a command shows what it found.
#[derive(Debug, Clone)]
pub struct Ui {
    json: bool,
    out: Paint,
    err: Paint,
    /// Whether somebody looks at stderr: who asks and draws does it there.
    watched: bool,
    /// Where output goes while somebody types.
    above: Above,
    /// Whether Markdown is shown as what it means.
    markdown: bool,
    /// Whether somebody looks at stdout.
    read: bool,
    /// How this program was called.
    typed: Arc<Typed>,
    /// Whose clock tells the times.
    zone: Arc<Zone>,
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
            above: Above::default(),
            markdown: !settings.no_markdown,
            read: io::stdout().is_terminal(),
            typed: Arc::new(Typed::new(settings)),
            zone: Arc::new(if settings.utc { Zone::utc() } else { Zone::of_machine() }),
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
            above: Above::default(),
            markdown: false,
            read: false,
            typed: Arc::default(),
            zone: Arc::new(Zone::utc()),
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

    /// Where output goes while somebody types.
    pub const fn above(&self) -> &Above {
        &self.above
    }

    /// Whose days and hours these are.
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// A point in time, in a sentence.
    pub fn time(&self, at: Timestamp) -> String {
        let at = at.to_string();
        if self.json { at } else { self.zone.minute(&at) }
    }

    fn look(&self, paint: Paint) -> Look<'_> {
        Look {
            paint,
            zone: self.zone(),
            typed: &self.typed,
            dated: false,
            columns: None,
            markdown: self.markdown,
        }
    }

    /// Shows one thing.
    pub fn show(&self, line: &Line<'_>) -> Result {
        if self.json {
            return json(&mut io::stdout().lock(), line);
        }
        self.write(format!("{}\n", self.words(line)).into_bytes())
    }

    /// One thing as people see it on stdout.
    fn words(&self, line: &Line<'_>) -> String {
        let look = Look { columns: columns(), ..self.look(self.out) };
        let block = human::block(line, look);
        if has_words_of_peers(line) { fitted(block) } else { block }
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
        let table = human::table(lines, self.look(self.out));
        text(&if lines.iter().any(has_words_of_peers) { fitted(table) } else { table })
    }

    /// Shows one thing that stands in a conversation; `label` names it where several are mixed.
    pub fn message(&self, message: &MessageView, label: Option<&str>) -> Result {
        self.write(self.rendered(message, label, false)?)
    }

    /// What stands in a conversation, ready to be written; `dated` says that it stands below its day.
    pub(super) fn rendered(
        &self,
        message: &MessageView,
        label: Option<&str>,
        dated: bool,
    ) -> Result<Vec<u8>> {
        let look = Look { dated, columns: columns(), ..self.look(self.out) };
        let text = match Line::message(message, |error| hint::of(error, &self.typed)) {
            line if self.json => return Ok(line.to_json()?),
            Line::Message(line) => fitted(human::message(&line, label, look)),
            Line::Event(line) => fitted(human::event(&line, label, look)),
            line => human::block(&line, look),
        };
        Ok(format!("{text}\n").into_bytes())
    }

    /// Shows a message that was found, with the words marked; `label` names its conversation and its id.
    pub fn hit(&self, message: &MessageView, marks: &[TextMark], label: &str) -> Result {
        if self.json {
            return self.message(message, None);
        }
        text(&fitted(hit::hit(message, marks, label, self.look(self.out))))
    }

    /// Whether conversations are told day by day.
    pub(super) const fn has_days(&self) -> bool {
        self.read && !self.json
    }

    /// The head of a day.
    pub(super) fn day(&self, day: Date) -> Vec<u8> {
        format!("{}\n", human::day(day, self.out)).into_bytes()
    }

    /// [`Ui::show`] without holding up this process: whoever reads stdout may pause, and others are served meanwhile.
    pub async fn show_in_time(&self, line: &Line<'_>) -> Result {
        let bytes = if self.json { line.to_json()? } else { format!("{}\n", self.words(line)).into_bytes() };
        self.write_in_time(bytes).await
    }

    pub(super) fn write(&self, bytes: Vec<u8>) -> Result {
        Ok(written(&self.above, bytes)?)
    }

    /// Writes on a thread that may wait.
    pub(super) async fn write_in_time(&self, bytes: Vec<u8>) -> Result {
        let above = self.above.clone();
        // It panics only when stdout does.
        let told = tokio::task::spawn_blocking(move || written(&above, bytes));
        Ok(told.await.map_err(io::Error::other)??)
    }

    /// Tells of a message by what the terminal can do: a bell, or a notification of its own (OSC 9).
    pub fn rings(&self, told: Told, message: &MessageView, conversation: &str) {
        // Scripts read stdout; who looks at a terminal hears it from stderr as well.
        if !self.watched || self.json {
            return;
        }
        let mut sign = String::new();
        if told.terminal {
            let words = format!("@{} in {conversation}: {}", message.from.handle, message.text);
            // Made safe, it cannot end the sequence before we do.
            sign.push_str(&format!("\u{1b}]9;{}\u{7}", cut(&safe_text(&words), NOTICE)));
        }
        if told.bell {
            sign.push('\u{7}');
        }
        let _ = io::stderr().lock().write_all(sign.as_bytes());
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
        self.data(raw.as_bytes())
    }

    /// Prints bytes that are data as they are.
    pub fn data(&self, bytes: &[u8]) -> Result {
        let mut out = io::stdout().lock();
        out.write_all(bytes)?;
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
            let _ = self.told(format!("{}\n", safe_block(note, 0)).into_bytes());
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
        let _ = match self.json {
            true => line.to_json().and_then(|bytes| self.told(bytes)),
            false => self.told(format!("{}\n", human::block(line, self.look(self.err))).into_bytes()),
        };
    }

    /// Writes to stderr; on the screen of somebody who types above the line.
    fn told(&self, bytes: Vec<u8>) -> io::Result<()> {
        let bytes = if self.watched { self.above.take(bytes) } else { Err(bytes) };
        bytes.or_else(|bytes| io::stderr().lock().write_all(&bytes))
    }
}

/// One write and one flush per line: whoever reads the pipe gets whole lines, at once.
fn json(out: &mut impl Write, line: &Line<'_>) -> Result {
    out.write_all(&line.to_json()?)?;
    Ok(out.flush()?)
}

/// Columns of the terminal that stdout is, if it is one.
fn columns() -> Option<usize> {
    let size = io::stdout().is_terminal().then(|| tcgetwinsize(io::stdout()).ok()).flatten();
    size.map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

/// Writes to stdout; on the screen of somebody who types above the line.
fn written(above: &Above, bytes: Vec<u8>) -> io::Result<()> {
    let Err(bytes) = above.take(bytes) else { return Ok(()) };
    let mut out = io::stdout().lock();
    out.write_all(&bytes)?;
    out.flush()
}

/// Whether others decide how long it is. What is to be copied, as a link is, stays in one piece.
const fn has_words_of_peers(line: &Line<'_>) -> bool {
    matches!(
        line,
        Line::Account { phrase: None, .. }
            | Line::Contact(_)
            | Line::ContactRequest(_)
            | Line::Edit { .. }
            | Line::Event(_)
            | Line::File(_)
            | Line::Group(_)
            | Line::JoinRequest { .. }
            | Line::Message(_)
            | Line::Presence { .. }
            | Line::Typing { .. }
    )
}

/// What holds words of peers: no line of it is left to the terminal to break.
fn fitted(block: String) -> String {
    match columns() {
        Some(columns) => in_rows(&block, columns),
        None => block,
    }
}

fn text(text: &str) -> Result {
    let mut out = io::stdout().lock();
    out.write_all(format!("{text}\n").as_bytes())?;
    Ok(out.flush()?)
}
