//! What may not change by accident: the server files and the bytes on the wire.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

mod agreement;
mod golden;

/// Whether generated files are to be written anew instead of compared.
fn blessing() -> bool {
    std::env::vars_os().any(|(name, _)| name == "CIPHER_BLESS")
}
