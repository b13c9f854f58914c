//! Signals while a question is asked: they end the question, then the terminal is as it was, and then the process ends as it would
//! have without any question.
//!
//! A handler that was installed once cannot be taken back by a safe call. So from the first question on the signals are handled for
//! good, and between questions a handler does what the system would have done.

use std::io::{self, PipeReader, Read as _};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{getpgid, getpgrp, getppid, getsid};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};
use signal_hook::low_level::{emulate_default_handler, pipe, unregister};
use signal_hook::{SigId, flag};

use crate::typed::TypedError;

const ALL: [i32; 5] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP];

/// The signal that came during a question and ends it; 0: none.
static CAME: AtomicUsize = AtomicUsize::new(0);
/// Whether SIGTSTP came.
static IS_TO_STOP: AtomicBool = AtomicBool::new(false);
/// The signal that ended a question; 0: none.
static ENDED_BY: AtomicUsize = AtomicUsize::new(0);
/// Whether the system's way is right for signals that no other part of the program listens to.
static IS_FREE: AtomicBool = AtomicBool::new(true);
/// The same for SIGINT and SIGTERM.
static IS_FREE_TO_END: AtomicBool = AtomicBool::new(true);
/// Whether the program listens to SIGINT and SIGTERM itself.
static IS_HEARD: AtomicBool = AtomicBool::new(false);
/// One question at a time.
static QUESTION: Mutex<()> = Mutex::new(());

/// This process listens to SIGINT and SIGTERM itself from now on: what comes between questions is for those who listen.
pub fn hears_signals() {
    IS_HEARD.store(true, Ordering::SeqCst);
    IS_FREE_TO_END.store(false, Ordering::SeqCst);
}

/// Ends this process by the signal that ended a question, if one did. For the end of `main`, when everything is closed: a shell sees
/// what it sees of every program that was interrupted (130 after Ctrl-C).
pub fn end_by_signal() {
    if let Some(signal) = signal_in(&ENDED_BY) {
        let _ = emulate_default_handler(signal);
    }
}

/// How a question ended without an answer.
pub(super) enum Ended {
    Signal(i32),
    Error(TypedError),
}

impl From<TypedError> for Ended {
    fn from(error: TypedError) -> Self {
        Self::Error(error)
    }
}

/// Asks a question. After a signal no other one is asked.
pub(super) fn of_question<T>(ask: impl FnOnce(&mut Signals) -> Result<T, Ended>) -> Result<T, TypedError> {
    let _one = QUESTION.lock().unwrap_or_else(PoisonError::into_inner);
    if signal_in(&ENDED_BY).is_some() {
        return Err(TypedError::Interrupted);
    }
    let mut signals = Signals::watch().map_err(TypedError::Unreadable)?;
    let answer = ask(&mut signals);
    drop(signals);
    match (answer, signal_in(&CAME)) {
        (Err(Ended::Signal(signal)), _) | (_, Some(signal)) => {
            ENDED_BY.store(usize::try_from(signal).unwrap_or_default(), Ordering::SeqCst);
            Err(TypedError::Interrupted)
        }
        (Err(Ended::Error(error)), _) => Err(error),
        (Ok(answer), _) => Ok(answer),
    }
}

/// The signals, as long as this value lives.
pub(super) struct Signals {
    ids: Vec<SigId>,
    /// Readable once one came.
    came: PipeReader,
}

/// What a wait ended with.
pub(super) enum Woken {
    Readable,
    /// SIGTSTP: see [`Signals::stop`].
    Stop,
    Signal(i32),
}

impl Signals {
    fn watch() -> io::Result<Self> {
        // Those that whoever started this process has it ignore stay ignored.
        static WATCHED: OnceLock<Vec<i32>> = OnceLock::new();
        let watched = WATCHED.get_or_init(|| {
            let ignored = ignored();
            let watched = ALL.into_iter().filter(|signal| ignored & bit(*signal) == 0);
            watched.filter(|signal| default_between_questions(*signal).is_ok()).collect()
        });
        CAME.store(0, Ordering::SeqCst);
        IS_TO_STOP.store(false, Ordering::SeqCst);
        let (came, tell) = io::pipe()?;
        let mut signals = Self { ids: Vec::new(), came };
        for signal in watched {
            let number = usize::try_from(*signal).unwrap_or_default();
            signals.ids.push(match *signal {
                SIGTSTP => flag::register(SIGTSTP, &IS_TO_STOP)?,
                signal => flag::register_usize(signal, &CAME, number)?,
            });
            signals.ids.push(pipe::register(*signal, tell.try_clone()?)?);
        }
        IS_FREE.store(false, Ordering::SeqCst);
        IS_FREE_TO_END.store(false, Ordering::SeqCst);
        Ok(signals)
    }

    /// Waits until there is something to read, or a signal.
    pub(super) fn wait(&mut self, terminal: &impl AsFd) -> io::Result<Woken> {
        loop {
            if let Some(signal) = signal_in(&CAME) {
                return Ok(Woken::Signal(signal));
            }
            if IS_TO_STOP.swap(false, Ordering::SeqCst) {
                return Ok(Woken::Stop);
            }
            let mut ready = [PollFd::new(terminal, PollFlags::IN), PollFd::new(&self.came, PollFlags::IN)];
            match poll(&mut ready, None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let [terminal, told] = ready.map(|ready| !ready.revents().is_empty());
            if told {
                let _ = self.came.read(&mut [0; 16])?;
            } else if terminal {
                return Ok(Woken::Readable);
            }
        }
    }

    /// Stops this process as SIGTSTP would; comes back when it goes on. Without a shell that would have it go on, nothing happens.
    pub(super) fn stop(&self) -> io::Result<()> {
        if has_a_shell() { emulate_default_handler(SIGTSTP) } else { Ok(()) }
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        IS_FREE.store(true, Ordering::SeqCst);
        IS_FREE_TO_END.store(!IS_HEARD.load(Ordering::SeqCst), Ordering::SeqCst);
        for id in self.ids.drain(..) {
            unregister(id);
        }
    }
}

fn default_between_questions(signal: i32) -> io::Result<SigId> {
    let condition = if matches!(signal, SIGINT | SIGTERM) { &IS_FREE_TO_END } else { &IS_FREE };
    flag::register_conditional_default(signal, condition)
}

fn signal_in(place: &AtomicUsize) -> Option<i32> {
    i32::try_from(place.load(Ordering::SeqCst)).ok().filter(|signal| *signal != 0)
}

/// Whether some process of the session, and not of this one's group, started it: the system leaves SIGTSTP out otherwise, because
/// nothing would have the process go on.
fn has_a_shell() -> bool {
    let Some(parent) = getppid() else { return false };
    getsid(Some(parent)).is_ok_and(|session| getsid(None) == Ok(session))
        && getpgid(Some(parent)).is_ok_and(|group| group != getpgrp())
}

/// The signals that this process ignores, a bit each; none where the system does not say.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}

fn bit(signal: i32) -> u64 {
    u32::try_from(signal)
        .ok()
        .and_then(|signal| 1_u64.checked_shl(signal.saturating_sub(1)))
        .unwrap_or_default()
}
