//! Logs for whoever looks for a fault: to stderr, never part of what a command prints.

use std::io::IsTerminal;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Starts logging: errors only, and with each `-v` one level more. Other people's libraries stay one level
/// behind ours.
pub fn start(verbose: u8, plain: bool) {
    let (ours, others) = match verbose {
        0 => (LevelFilter::ERROR, LevelFilter::OFF),
        1 => (LevelFilter::INFO, LevelFilter::WARN),
        2 => (LevelFilter::DEBUG, LevelFilter::INFO),
        _ => (LevelFilter::TRACE, LevelFilter::DEBUG),
    };
    let targets = ["cipher_chat", "cipher_core", "cipher_bot", "cipher_bots"].map(|target| (target, ours));
    let filter = Targets::new().with_default(others).with_targets(targets);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(!plain && std::io::stderr().is_terminal());
    // A second start, as tests do, changes nothing.
    let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
}
