//! The wish to end, while a command runs.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Signals by which a command is to end in order. Heard from the moment this is made: before, they end the process at once.
#[derive(Debug)]
pub struct Interrupt {
    signals: Option<(Signal, Signal)>,
}

impl Interrupt {
    /// Ctrl-C, or the polite signal of a service manager.
    pub fn listen() -> Self {
        cipher_seal::typed::hears_signals();
        Self::by(SignalKind::interrupt(), SignalKind::terminate())
    }

    /// The terminal went away, or the program is to end with a picture of its memory, which nothing here is good for.
    pub fn of_terminal() -> Self {
        Self::by(SignalKind::hangup(), SignalKind::quit())
    }

    fn by(one: SignalKind, other: SignalKind) -> Self {
        Self { signals: signal(one).and_then(|one| Ok((one, signal(other)?))).ok() }
    }

    /// Waits for one of them.
    pub async fn wait(&mut self) {
        match &mut self.signals {
            Some((one, other)) => {
                tokio::select! {
                    _ = one.recv() => {}
                    _ = other.recv() => {}
                }
            }
            // The system gave us no handler, so it ends the process itself.
            None => std::future::pending().await,
        }
    }
}
