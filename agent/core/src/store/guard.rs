//! Panics over a damaged file.
//!
//! redb trusts a file that was closed in order, and may panic over one whose bytes were changed since. Whatever touches the
//! database runs under [`Store::guarded`]: a panic ends the work, nothing of it is committed, and the file is looked through
//! by redb's own check. Only if the file is whole, and it was not redb that gave up, it was a defect of ours, and goes on as
//! the panic that it is.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::io::Write as _;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::path::Path;
use std::sync::Once;

use cipher_api::{Error, Result};

use crate::store::Store;
use crate::store::open::{self, damaged, opening};

thread_local! {
    static IS_WATCHED: Cell<bool> = const { Cell::new(false) };
    static LAST: RefCell<Option<Note>> = const { RefCell::new(None) };
}

/// What a panic would have told.
#[derive(Debug, Default)]
struct Note {
    message: String,
    file: String,
    line: u32,
    backtrace: Option<String>,
}

/// A panic that was caught, and that nobody was told of yet.
pub(crate) struct Panic {
    payload: Box<dyn Any + Send>,
    note: Note,
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Note { message, file, line, .. } = &self.note;
        write!(f, "{message} ({file}:{line})")
    }
}

impl Panic {
    /// Whether it was redb that gave up.
    pub(crate) fn is_of_the_database(&self) -> bool {
        Path::new(&self.note.file).components().any(|part| {
            let part = part.as_os_str().to_string_lossy();
            part == "redb" || part.starts_with("redb-")
        })
    }

    /// What it told, as the cause of an error.
    pub(crate) fn cause(&self) -> Box<dyn std::error::Error + Send + Sync> {
        // Where in redb's source it was is for the log.
        self.note.message.as_str().into()
    }

    /// Tells it after all, and lets it go on.
    pub(crate) fn resume(self) -> ! {
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("<unnamed>");
        // As the hook would have: who is told nothing cannot report it.
        let _ = writeln!(std::io::stderr(), "thread '{name}' panicked: {self}");
        if let Some(backtrace) = &self.note.backtrace {
            let _ = writeln!(std::io::stderr(), "{backtrace}");
        }
        panic::resume_unwind(self.payload)
    }
}

/// Does some work, and holds back what a panic of it would tell.
pub(crate) fn watched<T>(work: impl FnOnce() -> T) -> std::result::Result<T, Panic> {
    static HOOK: Once = Once::new();
    HOOK.call_once(install);
    let outer = IS_WATCHED.replace(true);
    let done = panic::catch_unwind(AssertUnwindSafe(work));
    IS_WATCHED.set(outer);
    done.map_err(|payload| Panic { payload, note: LAST.take().unwrap_or_default() })
}

/// Panics of threads that are not watched are told as before.
fn install() {
    let others = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        // A thread that ends has no such marks any more.
        if IS_WATCHED.try_with(Cell::get).unwrap_or(false) {
            let _ = LAST.try_with(|last| last.replace(Some(Note::of(info))));
        } else {
            others(info);
        }
    }));
}

impl Note {
    fn of(info: &PanicHookInfo<'_>) -> Self {
        let backtrace = Backtrace::capture();
        let is_captured = backtrace.status() == BacktraceStatus::Captured;
        Self {
            message: info.payload_as_str().unwrap_or("a panic without words").to_owned(),
            file: info.location().map_or_else(String::new, |at| at.file().to_owned()),
            line: info.location().map_or(0, panic::Location::line),
            backtrace: is_captured.then(|| backtrace.to_string()),
        }
    }
}

impl Store {
    /// Works with the store. After a panic over a damaged file, this and every later call gives the same error.
    pub(crate) fn guarded<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        if let Some(error) = self.broken() {
            return Err(error);
        }
        watched(work).unwrap_or_else(|panic| {
            let error = self.examined(panic);
            self.breaks(error.clone());
            Err(error)
        })
    }

    /// Why the work with the store ended in a panic, if it was the file.
    fn examined(&self, panic: Panic) -> Error {
        tracing::warn!(what = %panic, "the work with the store was given up");
        // Whatever was begun is undone; closing may fail on the same bytes.
        drop(watched(|| self.close()));
        match watched(|| open::look_through(self.place())) {
            Ok(Err(error)) => opening(self.place(), error),
            // What redb wrote since may have made the damage look whole.
            Ok(Ok(())) if panic.is_of_the_database() => damaged(self.place(), panic.cause()),
            Ok(Ok(())) => panic.resume(),
            Err(second) => damaged(self.place(), second.cause()),
        }
    }
}

#[cfg(test)]
mod tests {
    use cipher_api::ErrorKind;

    use super::*;

    /// A panic of ours over a whole file stays one; nothing is said before that is known.
    #[test]
    fn a_panic_over_a_whole_file_goes_on() {
        let store = Store::in_memory();
        let caught = watched(|| store.guarded(|| -> Result<()> { panic!("a defect") })).unwrap_err();
        assert!(!caught.is_of_the_database());
        assert!(store.broken().is_none());
    }

    #[test]
    fn after_damage_every_call_gives_the_same_error() {
        let store = Store::in_memory();
        store.breaks(ErrorKind::Storage.because("damaged"));
        for _ in 0..2 {
            let error = store.guarded(|| -> Result<()> { panic!("nothing is done any more") }).unwrap_err();
            assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Storage, "damaged"));
        }
    }
}
