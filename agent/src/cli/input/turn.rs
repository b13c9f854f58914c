//! Whose turn it is at the keyboard: of the line at the foot of the screen, of a question that is asked meanwhile, or, while this
//! program stands in the background, of nobody here.
//!
//! ```text
//! keyboard ── before each key, and whenever the line is drawn ──► [`Turn::gives_way`] ──► waits as long as a question is asked
//! question ──► [`Turn::lends`] ──► the terminal as it was before, the question, the terminal as the line needs it
//! ```

use std::io::{self, Write as _};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::process::{Signal, getpgrp, kill_current_process_group};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};

use crate::cli::input::keyboard::Above;

/// Has the terminal mark what is pasted, and not any more.
const PASTE_ON: &str = "\u{1b}[?2004h";
const PASTE_OFF: &str = "\u{1b}[?2004l";
/// Ends an update that a terminal would show as a whole.
const SHOWN: &str = "\u{1b}[?2026l";
/// What stands above the line when a question is asked: it has the keyboard come here.
const ASKED: &str = "the profile is opened again:\n";
/// How long a question waits for the keyboard: it is asked in any case.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often a program in the background looks whether it is in the foreground again.
const LOOK: Duration = Duration::from_millis(100);

/// Whether this process may use its terminal: one in the background that does is stopped. A terminal that is not the one that
/// controls it, or that controls nobody, stops nobody.
pub(super) fn is_in_front() -> bool {
    tcgetpgrp(io::stdin()).map_or(true, |front| front == getpgrp())
}

/// Whose turn it is. One for each line at the foot of a screen.
#[derive(Debug)]
pub(super) struct Turn {
    above: Above,
    /// What is shown above the line.
    pieces: SyncSender<String>,
    /// The terminal as it was before somebody typed.
    before: Termios,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// A question wants the keyboard, or has it.
    wanted: bool,
    /// The line reads no keys.
    idle: bool,
}

impl Turn {
    /// Before the line is there; `None` where it could not be.
    pub(super) fn begin(above: Above, pieces: SyncSender<String>) -> Option<Arc<Self>> {
        let before = tcgetattr(io::stdin()).ok()?;
        let (state, changed) = (Mutex::default(), Condvar::new());
        Some(Arc::new(Self { above, pieces, before, state, changed }))
    }

    /// The line is there: output goes above it.
    pub(super) fn opens(&self) {
        self.above.is(Some(self.pieces.clone()));
    }

    /// The line is gone, and the terminal is as it was. Whatever reads keys still, on a thread that nobody can end, must not be
    /// noticed by who uses the terminal next.
    pub(super) fn ends(&self) {
        self.above.is(None);
        self.restores();
    }

    /// The keyboard lets a question have its turn, if one is to be asked.
    pub(super) fn gives_way(&self) {
        let mut state = self.state();
        if !state.wanted {
            return;
        }
        state.idle = true;
        self.changed.notify_all();
        let mut state =
            self.changed.wait_while(state, |state| state.wanted).unwrap_or_else(PoisonError::into_inner);
        state.idle = false;
    }

    /// The keyboard does something else than reading keys, and lets a question have its turn meanwhile and behind it.
    pub(super) fn idle<T>(&self, work: impl FnOnce() -> T) -> T {
        self.state().idle = true;
        self.changed.notify_all();
        let done = work();
        self.state().idle = false;
        self.gives_way();
        done
    }

    /// Asks a question at the terminal as it was before, while no key of its answer goes into the line.
    pub(super) fn lends(&self, ask: &mut dyn FnMut()) {
        self.state().wanted = true;
        // Where the screen is slow, what it shows first has the keyboard come as well.
        let _ = self.pieces.try_send(ASKED.to_owned());
        let waited = self.changed.wait_timeout_while(self.state(), PATIENCE, |state| !state.idle);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
        self.away(ask);
        self.state().wanted = false;
        self.changed.notify_all();
    }

    /// Stops this program and all that were started with it, as the key for that does without a line; comes back when it is in the
    /// foreground again. Output of one that goes on in the background is shown as it comes.
    pub(super) fn stops(&self) {
        self.away(&mut || {
            let _ = kill_current_process_group(Signal::TSTP);
            // The signal may be taken by another thread, and this one be a step further before all of them stand.
            thread::sleep(LOOK);
            while !is_in_front() {
                thread::sleep(LOOK);
            }
        });
    }

    /// The line is not there meanwhile.
    fn away(&self, work: &mut dyn FnMut()) {
        let typing = tcgetattr(io::stdin());
        self.above.is(None);
        self.restores();
        work();
        if let Ok(typing) = typing
            && is_in_front()
        {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, &typing);
            tells(PASTE_ON);
        }
        self.opens();
    }

    fn restores(&self) {
        if is_in_front() {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
            tells(SHOWN);
            tells(PASTE_OFF);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells the terminal.
fn tells(sequence: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(sequence.as_bytes()).and_then(|()| out.flush());
}
