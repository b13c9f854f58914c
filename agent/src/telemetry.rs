//! Logs for whoever looks for a fault: to stderr, never part of what a command prints.

use std::error::Error;
use std::io::IsTerminal;

use cipher_broker::cause;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Logs what an error came from, where the error itself was told. Its own sentence is not repeated.
pub fn causes(error: &(dyn Error + 'static)) {
    for cause in cause::causes(error) {
        tracing::debug!("caused by: {cause}");
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::sync::{Arc, Mutex};

    use cipher_api::ErrorKind;
    use tracing_subscriber::fmt::MakeWriter;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Lines {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    #[test]
    fn a_log_tells_what_an_error_came_from_and_not_its_sentence_again() {
        let error = ErrorKind::Unreachable
            .because("the registry does not answer")
            .caused_by(io::Error::other(io::Error::other("connection reset\u{1b}[2J")));
        let lines = Lines::default();
        let log = tracing_subscriber::fmt()
            .with_max_level(LevelFilter::DEBUG)
            .with_ansi(false)
            .with_writer(lines.clone());
        tracing::subscriber::with_default(log.finish(), || causes(&error));
        let told = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert!(told.contains("caused by: connection reset"), "{told}");
        assert!(!told.contains("does not answer") && !told.contains('\u{1b}'), "{told}");
    }
}
