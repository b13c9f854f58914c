//! The one place that prints.

use std::io::{Write as _, stdout};

/// Results, on stdout. Who reads them may have read enough (`| head`).
pub(crate) fn print(text: &str) {
    let _ = writeln!(stdout(), "{text}");
}

/// Progress and errors, on stderr.
#[expect(clippy::print_stderr, reason = "the one place that prints")]
pub(crate) fn tell(text: &str) {
    eprintln!("{text}");
}

/// The beginning of a step.
pub(crate) fn step(text: &str) {
    tell(&format!("==> {text}"));
}
