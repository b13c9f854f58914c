//! The wish to end, while a command runs.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Ctrl-C, or the polite signal of a service manager. Heard from the moment this is made: before, they end the
/// process at once.
#[derive(Debug)]
pub struct Interrupt {
    signals: Option<(Signal, Signal)>,
}

impl Interrupt {
    /// Starts to listen.
    pub fn listen() -> Self {
        cipher_seal::typed::hears_signals();
        let signals =
            signal(SignalKind::interrupt()).and_then(|one| Ok((one, signal(SignalKind::terminate())?)));
        Self { signals: signals.ok() }
    }

    /// Waits for one of them.
    pub async fn wait(&mut self) {
        match &mut self.signals {
            Some((interrupt, terminate)) => {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
            }
            // The system gave us no handler, so it ends the process itself.
            None => std::future::pending().await,
        }
    }
}
