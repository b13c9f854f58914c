//! `cargo xtask demo`: people and a bot talk through the shipped binaries, line by line as it happens; then what
//! the broker saw, and a search of its disk for every word that was said.
//!
//! With a terminal it stays up afterwards for whoever wants to join in; without one it ends and cleans up.

mod stage;
mod story;

use std::io::IsTerminal;
use std::process::ExitCode;

fn main() -> ExitCode {
    let stage = stage::Stage::default();
    let interactive = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    match story::tell(&stage, interactive) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            stage.failed(&failure);
            ExitCode::FAILURE
        }
    }
}
