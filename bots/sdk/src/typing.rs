//! What people see while a bot is at work.

use std::fmt;
use std::sync::Arc;

/// Tells the members of the conversation that the bot is writing something.
///
/// An argument of a command that takes its time: nobody types it. What it tells is a whisper: it is stored nowhere, it
/// counts for some seconds or until the bot has answered, and it may get lost.
#[derive(Clone, Default)]
pub struct Typing(Option<Arc<dyn Fn() + Send + Sync>>);

impl Typing {
    /// Of a host that carries it out so.
    pub fn new(tell: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(tell)))
    }

    /// Tells it; again every few seconds while that is so. Telling it more often costs nothing.
    pub fn tell(&self) {
        if let Some(tell) = &self.0 {
            tell();
        }
    }
}

impl fmt::Debug for Typing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Typing")
    }
}
