//! Questions to the person at the terminal, and secrets that come in on standard input.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _};

use cipher_api::ErrorKind;
use cipher_seal::typed::{self, TypedError};

use crate::cli::context::Context;
use crate::cli::exit::{Failure, Result};

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
    let (ui, prompt) = (context.ui.clone(), prompt.to_owned());
    // On a thread of its own: the session goes on while somebody thinks.
    let asked = tokio::task::spawn_blocking(move || typed::words_at(io::stdin(), || ui.prompt(&prompt)));
    match asked.await {
        Ok(Ok(words)) => Ok(words.as_str().to_owned()),
        // How it ended is the exit code.
        Ok(Err(TypedError::Interrupted)) => Err(Failure::Shown(1)),
        Ok(Err(TypedError::None)) => Err(Failure::usage("nothing was typed")),
        Ok(Err(TypedError::TooLong)) => Err(Failure::usage("what was typed is too long")),
        Ok(Err(TypedError::Unreadable(error))) => Err(unreadable(error)),
        Ok(Err(error @ (TypedError::NoTerminal | TypedError::Differ))) => {
            Err(unreadable(io::Error::other(error)))
        }
        Err(error) => Err(unreadable(error.into())),
    }
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
