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
        return Err(Failure::Usage {
            message: "the text is empty".into(),
            hint: Some(Hint::text("write it in quotes, or give - to read it from standard input")),
        });
    }
    if text.len() > limit::TEXT_BYTES {
        return Err(too_long(&text.len().to_string()));
    }
    Ok(text)
}

fn too_long(bytes: &str) -> Failure {
    ErrorKind::Limit
        .because(format!("the text has {bytes} bytes; {} are allowed", limit::TEXT_BYTES))
        .hint(Hint::text("nothing was sent; split it into several messages"))
        .into()
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
    // Ends of lines may have two bytes each until they are read as one.
    let most = limit::TEXT_BYTES.saturating_mul(2).saturating_add(2);
    let mut bytes = Vec::new();
    let taken = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    std::io::stdin().take(taken).read_to_end(&mut bytes).map_err(prompt::unreadable)?;
    // How long it is was not read to the end.
    if bytes.len() > most {
        return Err(too_long(&format!("more than {}", limit::TEXT_BYTES)));
    }
    let Ok(text) = String::from_utf8(bytes) else {
        return Err(Failure::usage("standard input is not UTF-8 text"));
    };
    let mut text = prompt::unix(&text);
    if text.ends_with('\n') {
        text.pop();
    }
    Ok(text)
}
