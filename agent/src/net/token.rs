//! Tokens that cannot be guessed.

use rand_core::{OsRng, RngCore};

/// 26 characters, safe in a subject.
pub(crate) fn unguessable() -> String {
    let mut bytes = [0; 16];
    OsRng.fill_bytes(&mut bytes);
    data_encoding::BASE32_NOPAD.encode(&bytes).to_ascii_lowercase()
}
