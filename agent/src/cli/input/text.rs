//! Texts and names from the command line, as long as they may be.

use std::io::Read;

use cipher_api::{ErrorKind, Hint};
use cipher_broker::limit;

use crate::cli::context::Context;
use crate::cli::exit::{Failure, Result};
use crate::cli::input::prompt;

/// A message's text, as long as it may be.
pub fn message(text: String) -> Result<String> {
    if text.trim().is_empty() {
        return Err(Failure::usage("the text is empty"));
    }
    if text.len() > limit::TEXT_BYTES {
        return Err(ErrorKind::Limit
            .because(format!("the text has {} bytes; {} are allowed", text.len(), limit::TEXT_BYTES))
            .hint(Hint::text("nothing was sent; split it into several messages"))
            .into());
    }
    Ok(text)
}

/// A name or status, at most so many characters, none of them acting on whoever's screen shows it.
pub fn short(what: &str, text: String, most: usize) -> Result<String> {
    if text.chars().any(char::is_control) {
        return Err(Failure::usage(format!("a {what} must not contain control characters")));
    }
    let count = text.chars().count();
    if count > most {
        return Err(ErrorKind::Limit
            .because(format!("the {what} has {count} characters; {most} are allowed"))
            .hint(Hint::text(format!("nothing was changed; give at most {most} characters")))
            .into());
    }
    Ok(text)
}

/// All of it as one message, but never much more than what a message may have.
pub fn standard_input(context: &Context) -> Result<String> {
    if prompt::somebody_is_there(context) {
        context.ui.note("reading the text from the terminal; Ctrl-D ends it");
    }
    let most = u64::try_from(limit::TEXT_BYTES).unwrap_or(u64::MAX).saturating_add(2);
    let mut bytes = Vec::new();
    std::io::stdin().take(most).read_to_end(&mut bytes).map_err(prompt::unreadable)?;
    let cut = bytes.len() > limit::TEXT_BYTES;
    let mut text = match String::from_utf8(bytes) {
        Ok(text) => text,
        // Cut in the middle of a character: its length is the error to tell.
        Err(e) if cut => String::from_utf8_lossy(e.as_bytes()).into_owned(),
        Err(_) => return Err(Failure::usage("standard input is not UTF-8 text")),
    };
    text = prompt::unix(&text);
    if text.ends_with('\n') {
        text.pop();
    }
    Ok(text)
}
