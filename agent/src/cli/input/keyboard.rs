//! Lines that a person types at the foot of the screen while a conversation runs above it.
//!
//! ```text
//! keys ──► rustyline, on a thread of its own ──► [`Line`], which waits to hear whether it may go ──► said
//! what arrives ──► [`Above`] ──► a thread that hands it to rustyline ──► stands above the line, which stays as it is
//! ```
//! The line is taken away only when it was said: what failed can be corrected, or said again.

use std::io::{self, IsTerminal as _};
use std::sync::mpsc::{self, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use rustyline::history::MemHistory;
use rustyline::{
    Cmd, ConditionalEventHandler, Config, Editor, Event, EventContext, EventHandler, ExternalPrinter as _,
    KeyCode, KeyEvent, Modifiers, Movement, RepeatCount,
};
use tokio::sync::mpsc as channel;

use crate::cli::context::Context;

/// Pieces of output that wait for the screen; more have to wait themselves.
const PIECES: usize = 64;
/// How long a line waits to hear whether it was said. It is still known to nobody then, and stays.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where output goes while somebody types: above the line.
#[derive(Debug, Clone, Default)]
pub struct Above(Arc<Mutex<Option<SyncSender<String>>>>);

impl Above {
    /// Takes a piece of output, or gives it back when nobody types. Waits when the screen is slow.
    pub fn take(&self, piece: Vec<u8>) -> Result<(), Vec<u8>> {
        let open = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(open) = open else { return Err(piece) };
        let piece = String::from_utf8(piece).map_err(|error| error.into_bytes())?;
        open.send(piece).map_err(|unsent| unsent.0.into_bytes())
    }

    fn is(&self, open: Option<SyncSender<String>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = open;
    }
}

/// A line that was typed.
#[derive(Debug)]
pub struct Line {
    /// Its words, as they were typed.
    pub text: String,
    answer: mpsc::Sender<bool>,
}

impl Line {
    /// It was said and goes, or was not and stays.
    pub fn is_said(self, said: bool) {
        // A keyboard that is gone has no line any more.
        let _ = self.answer.send(said);
    }
}

/// A person who types. Gives the terminal back as it was when it is dropped.
#[derive(Debug)]
pub struct Keyboard {
    lines: channel::UnboundedReceiver<Line>,
    above: Above,
    before: Termios,
}

impl Keyboard {
    /// Opens a line at the foot of the screen; `None` where nobody could type there.
    pub fn open(context: &Context, prompt: String) -> Option<Self> {
        let people = io::stdin().is_terminal() && io::stdout().is_terminal();
        if !people || context.settings.json || context.settings.no_input {
            return None;
        }
        let before = tcgetattr(io::stdin()).ok()?;
        let config = Config::builder().auto_add_history(false).build();
        let mut editor = Editor::<(), MemHistory>::with_history(config, MemHistory::new()).ok()?;
        // None on a terminal that cannot do it.
        let mut printer = editor.create_external_printer().ok()?;
        let (typed, lines) = channel::unbounded_channel();
        let enter = KeyEvent(KeyCode::Enter, Modifiers::NONE);
        editor.bind_sequence(enter, EventHandler::Conditional(Box::new(Enter(typed))));
        let (open, pieces) = mpsc::sync_channel::<String>(PIECES);
        thread::spawn(move || {
            for piece in pieces {
                if printer.print(piece).is_err() {
                    break;
                }
            }
        });
        // It ends when the person is done, and with it the channel of what was typed. A line that is accepted otherwise
        // than by Enter is typed anew.
        thread::spawn(move || while editor.readline(&prompt).is_ok() {});
        let above = context.ui.above().clone();
        above.is(Some(open));
        Some(Self { lines, above, before })
    }

    /// The next line; `None` when the person is done.
    pub async fn line(&mut self) -> Option<Line> {
        self.lines.recv().await
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        self.above.is(None);
        // The thread may still read; whoever uses the terminal next must not notice.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}

/// What the key does: the line is said while it stands there.
struct Enter(channel::UnboundedSender<Line>);

impl ConditionalEventHandler for Enter {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, context: &EventContext<'_>) -> Option<Cmd> {
        let text = context.line().to_owned();
        if text.trim().is_empty() {
            return Some(Cmd::Noop);
        }
        let (answer, answered) = mpsc::channel();
        let said = self.0.send(Line { text, answer }).is_ok() && answered.recv_timeout(PATIENCE) == Ok(true);
        Some(if said { Cmd::Kill(Movement::WholeBuffer) } else { Cmd::Noop })
    }
}
