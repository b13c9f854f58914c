//! A passphrase as a person types it, or as another program hands it over. Never in an argument or in the environment:
//! every process of the machine reads those.
//!
//! ```text
//! descriptor   lines of a descriptor that the process was started with
//! terminal     a question at a terminal that shows nothing of the answer
//! signals      what ends a question, and not a terminal that shows nothing
//! line         what was typed so far
//! ```

mod descriptor;
mod line;
mod signals;
mod terminal;

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsFd;

use zeroize::Zeroizing;

use crate::Passphrase;
use crate::passphrase::LONGEST;
use crate::typed::line::Line;

pub use crate::typed::signals::{end_by_signal, hears_signals};

/// Why there is no passphrase.
#[derive(Debug, thiserror::Error)]
pub enum TypedError {
    /// The process has no terminal.
    #[error("there is no terminal to ask for the passphrase at")]
    NoTerminal,
    /// It ended before there was one.
    #[error("no passphrase was given")]
    None,
    /// A signal ended the question, Ctrl-C for example: [`end_by_signal`].
    #[error("no passphrase was given: the question was interrupted")]
    Interrupted,
    /// Longer than any may be.
    #[error("a passphrase has {} bytes at most", LONGEST)]
    TooLong,
    /// Two answers differ.
    #[error("the two passphrases differ")]
    Differ,
    /// It cannot be read.
    #[error("the passphrase cannot be read: {0}")]
    Unreadable(#[source] io::Error),
}

/// The next line of a descriptor that this process was started with; the first time it is the one at which the descriptor stands. What
/// follows the line stays there for the next call, whether it is a pipe or a file.
pub fn from_descriptor(number: u32) -> Result<Passphrase, TypedError> {
    descriptor::line(number)?.passphrase()
}

/// Asks at the terminal of this process, which shows nothing of the answer.
pub fn at_terminal(question: &str) -> Result<Passphrase, TypedError> {
    asked(&mut terminal::of_process()?, written(question))?.passphrase()
}

/// Asks for a new one, twice: who mistypes it would never open the file again.
pub fn twice_at_terminal(question: &str, again: &str) -> Result<Passphrase, TypedError> {
    let mut terminal = terminal::of_process()?;
    let first = asked(&mut terminal, written(question))?.passphrase()?;
    let second = asked(&mut terminal, written(again))?.passphrase()?;
    if first.is(&second) { Ok(first) } else { Err(TypedError::Differ) }
}

/// Asks for a line of text at a terminal that a descriptor is; it shows nothing of the answer. `show` shows the question, each time
/// that it is asked.
pub fn words_at(terminal: impl AsFd, mut show: impl FnMut()) -> Result<Zeroizing<String>, TypedError> {
    let terminal = terminal.as_fd().try_clone_to_owned().map_err(TypedError::Unreadable)?;
    let show = |_: &mut File| {
        show();
        Ok(())
    };
    asked(&mut File::from(terminal), show)?.words()
}

/// Shows a question at the terminal itself.
fn written(question: &str) -> impl FnMut(&mut File) -> io::Result<()> {
    move |terminal| terminal.write_all(question.as_bytes())
}

/// One question. What a signal ended is the last one: the process is to end too.
fn asked(terminal: &mut File, show: impl FnMut(&mut File) -> io::Result<()>) -> Result<Line, TypedError> {
    signals::of_question(|signals| terminal::ask(terminal, show, signals))
}
