//! Texts and names from the command line, as long as they may be.

use cipher_api::{ErrorKind, Hint};
use cipher_broker::limit;

use crate::cli::exit::{Failure, Result};

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
