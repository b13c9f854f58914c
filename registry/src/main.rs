//! The registry's binary: everything is in the library; only this file turns an outcome into an exit code.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Pages of the store and messages are taken and given back all the time, by many threads.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    cipher_seal::no_core_dumps();
    let code = cipher_registry::cli::run(std::env::args_os());
    cipher_seal::typed::end_by_signal();
    ExitCode::from(code)
}
