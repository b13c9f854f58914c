//! Messages as people name them: by the beginning of an id.

use cipher_api::Hint;
use cipher_broker::id::MessageId;

use crate::cli::exit::{Failure, Result};

/// A whole id, or at least its first 6 characters, in small letters.
pub fn beginning(id: &str) -> Result<String> {
    let id = id.trim().to_ascii_lowercase();
    match MessageId::beginning_with(&id) {
        Ok(_) => Ok(id),
        Err(invalid) => Err(Failure::Usage { message: invalid.to_string(), hint: Some(Hint::MessageRead) }),
    }
}
