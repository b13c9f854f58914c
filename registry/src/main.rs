//! The registry's binary: everything is in the library; only this file turns an outcome into an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(cipher_registry::cli::run(std::env::args_os()))
}
