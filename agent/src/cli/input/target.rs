//! Accounts and conversations as people type them.

use cipher_api::{Target, Who};
use cipher_broker::handle::{Handle, InvalidHandle};

/// Reads `@handle`, a group id or a name from the command line.
pub fn target(text: &str) -> Result<Target, String> {
    if text.trim().is_empty() {
        return Err("a target is @handle, a group name or a group id".into());
    }
    if text.starts_with('@') {
        return handle(text).map(Target::Account).map_err(|e| e.to_string());
    }
    Target::parse(text).map_err(|e| e.to_string())
}

/// Reads the handle of somebody who has it already. There are none with capitals, so `@Bob` can only mean `@bob`; and
/// a list is written with blanks too: `bob, carol`.
pub fn handle(text: &str) -> Result<Handle, InvalidHandle> {
    text.trim().to_ascii_lowercase().parse()
}

/// The same for whoever may be named by an account id too, which is written in small letters as well.
pub fn who(text: &str) -> Result<Who, InvalidHandle> {
    text.trim().to_ascii_lowercase().parse()
}
