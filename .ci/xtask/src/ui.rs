//! The one place that prints.

/// Results, on stdout.
#[expect(clippy::print_stdout, reason = "the one place that prints")]
pub(crate) fn print(text: &str) {
    println!("{text}");
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
