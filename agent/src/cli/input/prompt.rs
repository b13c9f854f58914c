//! Questions to the person at the terminal, and secrets that come in on standard input.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _};

use cipher_api::ErrorKind;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::cli::context::Context;
use crate::cli::exit::{Failure, Result};
use crate::cli::input::interrupt::Interrupt;

/// Longest answer that is read.
const ANSWER_BYTES: u64 = 64 * 1024;

/// Whether somebody is there to answer.
pub fn somebody_is_there(context: &Context) -> bool {
    !context.settings.no_input && io::stdin().is_terminal()
}

/// Asks a question that is answered by yes or no; anything but a clear yes is a no.
pub async fn yes(context: &Context, question: &str) -> Result<bool> {
    context.ui.prompt(&format!("{question} [y/N] "));
    let answer = line().await?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// Asks for something that nobody should read over a shoulder.
pub async fn hidden(context: &Context, prompt: &str) -> Result<String> {
    context.ui.prompt(prompt);
    // Ctrl-C must not leave a terminal behind that shows nothing.
    let mut stop = Interrupt::listen();
    let quiet = Quiet::begin();
    let answer = tokio::select! {
        answer = line() => answer,
        () = stop.wait() => Err(Failure::Shown(1)),
    };
    drop(quiet);
    // The newline that was typed was not shown either.
    context.ui.prompt("\n");
    answer
}

/// One line of standard input, without its end.
pub async fn line() -> Result<String> {
    // On a thread of its own: the session goes on while somebody thinks.
    let read = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        io::stdin().lock().take(ANSWER_BYTES).read_line(&mut line).map(|count| (count, line))
    });
    match read.await.unwrap_or_else(|_| Err(io::Error::other("it could not be waited for"))) {
        Ok((0, _)) => Err(Failure::usage("standard input ended before there was an answer")),
        Ok((_, line)) => Ok(line.trim_end_matches(['\n', '\r']).to_owned()),
        Err(error) => Err(unreadable(error)),
    }
}

/// All of standard input.
pub fn everything() -> Result<String> {
    let mut text = String::new();
    match io::stdin().lock().take(ANSWER_BYTES).read_to_string(&mut text) {
        Ok(_) => Ok(unix(&text)),
        Err(error) => Err(unreadable(error)),
    }
}

/// A text as programs of other systems write it, without what only they need: a byte order mark before it, and a
/// carriage return at the end of each line.
pub fn unix(text: &str) -> String {
    text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n")
}

/// The error of a standard input that cannot be read.
pub fn unreadable(error: io::Error) -> Failure {
    ErrorKind::Misuse.because_of("standard input cannot be read", error).into()
}

/// The terminal does not show what is typed, as long as this value lives.
struct Quiet {
    before: Option<Termios>,
}

impl Quiet {
    fn begin() -> Self {
        let before = tcgetattr(io::stdin()).ok();
        if let Some(before) = &before {
            let mut quiet = before.clone();
            quiet.local_modes.remove(LocalModes::ECHO);
            // A terminal that refuses shows what is typed: the person sees that, and it is no reason to stop.
            let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &quiet);
        }
        Self { before }
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
        }
    }
}
