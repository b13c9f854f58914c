//! Lines that a person types at the foot of the screen while a conversation runs above it.
//!
//! ```text
//! keys ──► rustyline, on a thread of its own ──► [`Line`], which waits to hear whether it goes ──► said
//! what arrives ──► [`Above`] ──► a thread that hands it to rustyline ──► stands above the line, which stays as it is
//! ```
//! The line is taken away once it was said, or is on its way: what was not said can be corrected, or said again.

use std::io::{self, IsTerminal as _};
use std::sync::mpsc::{self, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rustyline::history::MemHistory;
use rustyline::{
    Cmd, ConditionalEventHandler, Config, Editor, Event, EventContext, EventHandler, ExternalPrinter as _,
    KeyCode, KeyEvent, Modifiers, Movement, Prompt, RepeatCount,
};
use tokio::sync::mpsc as channel;

use crate::cli::context::Context;
use crate::cli::input::interrupt::Interrupt;
use crate::cli::input::turn::{Turn, is_in_front};
use crate::unlock::Unlocking;

/// Pieces of output that wait for the screen; more have to wait themselves.
const PIECES: usize = 64;

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

    pub(super) fn is(&self, open: Option<SyncSender<String>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = open;
    }
}

/// A line that was typed. One that is dropped stays at the foot of the screen.
#[derive(Debug)]
pub struct Line {
    /// Its words, as they were typed.
    pub text: String,
    answer: mpsc::Sender<bool>,
}

impl Line {
    /// It goes, because it was said or is on its way; or it stays. No key is read before.
    pub fn goes(self, goes: bool) {
        // A keyboard that is gone has no line any more.
        let _ = self.answer.send(goes);
    }
}

/// A person who types. Gives the terminal back as it was when it is dropped.
#[derive(Debug)]
pub struct Keyboard {
    lines: channel::UnboundedReceiver<Line>,
    /// The terminal goes away, or Ctrl-\ of another one ends this program: it is to be as it was before.
    ended: Interrupt,
    turn: Arc<Turn>,
    unlocking: Unlocking,
}

impl Keyboard {
    /// Opens a line at the foot of the screen; `None` where nobody could type there.
    pub fn open(context: &Context, prompt: String) -> Option<Self> {
        let people = io::stdin().is_terminal() && io::stdout().is_terminal();
        // One in the background would be stopped for it.
        if !people || context.settings.json || context.settings.no_input || !is_in_front() {
            return None;
        }
        let config = Config::builder().auto_add_history(false).build();
        let mut editor = Editor::<(), MemHistory>::with_history(config, MemHistory::new()).ok()?;
        // None on a terminal that cannot do it.
        let mut printer = editor.create_external_printer().ok()?;
        let (open, pieces) = mpsc::sync_channel::<String>(PIECES);
        let turn = Turn::begin(context.ui.above().clone(), open)?;
        let (typed, lines) = channel::unbounded_channel();
        let enter = KeyEvent(KeyCode::Enter, Modifiers::NONE);
        let enters = Enter { lines: typed, turn: Arc::clone(&turn) };
        editor.bind_sequence(enter, EventHandler::Conditional(Box::new(enters)));
        let stops = Stop(Arc::clone(&turn));
        editor.bind_sequence(KeyEvent::ctrl('Z'), EventHandler::Conditional(Box::new(stops)));
        thread::spawn(move || {
            for piece in pieces {
                if printer.print(piece).is_err() {
                    break;
                }
            }
        });
        let foot = Foot { prompt, turn: Arc::clone(&turn) };
        turn.opens();
        // It ends when the person is done, and with it the channel of what was typed. A line that is accepted otherwise
        // than by Enter is typed anew.
        thread::spawn(move || while editor.readline(&foot).is_ok() {});
        let unlocking = context.settings.unlocking.clone();
        let lending = Arc::clone(&turn);
        unlocking.is_asked_by(Some(Arc::new(move |ask| lending.lends(ask))));
        Some(Self { lines, ended: Interrupt::of_terminal(), turn, unlocking })
    }

    /// The next line; `None` when the person is done.
    pub async fn line(&mut self) -> Option<Line> {
        tokio::select! {
            line = self.lines.recv() => line,
            () = self.ended.wait() => None,
        }
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        self.unlocking.is_asked_by(None);
        self.turn.ends();
    }
}

/// What stands in front of the line. It is asked for whenever the line is drawn.
struct Foot {
    prompt: String,
    turn: Arc<Turn>,
}

impl Prompt for Foot {
    fn raw(&self) -> &str {
        self.turn.gives_way();
        &self.prompt
    }
}

/// What the key does: the line is said while it stands there.
struct Enter {
    lines: channel::UnboundedSender<Line>,
    turn: Arc<Turn>,
}

impl ConditionalEventHandler for Enter {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, context: &EventContext<'_>) -> Option<Cmd> {
        let text = context.line().to_owned();
        if text.trim().is_empty() {
            return Some(Cmd::Noop);
        }
        let (answer, answered) = mpsc::channel();
        let sent = self.lines.send(Line { text, answer }).is_ok();
        let goes = sent && self.turn.idle(|| answered.recv() == Ok(true));
        Some(if goes { Cmd::Kill(Movement::WholeBuffer) } else { Cmd::Noop })
    }
}

/// What Ctrl-Z does.
struct Stop(Arc<Turn>);

impl ConditionalEventHandler for Stop {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, _: &EventContext<'_>) -> Option<Cmd> {
        self.0.stops();
        Some(Cmd::Repaint)
    }
}
