//! The binary `cipher-chat`; everything it does is in the library beside it.

use std::process::ExitCode;

fn main() -> ExitCode {
    cipher_seal::no_core_dumps();
    let code = cipher_chat::cli::main(std::env::args_os());
    cipher_seal::typed::end_by_signal();
    code
}
