//! What may not change by accident: the server files and the bytes on the wire.

mod agreement;

/// Whether generated files are to be written anew instead of compared.
fn blessing() -> bool {
    std::env::vars_os().any(|(name, _)| name == "CIPHER_BLESS")
}
