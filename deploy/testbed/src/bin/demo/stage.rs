//! What the audience sees. The one place of the demo that prints.

use std::cell::{Cell, RefCell};
use std::io::Write;

use testbed::{Failure, Result};

/// Counts the steps and shows them.
#[derive(Debug, Default)]
pub(crate) struct Stage {
    steps: Cell<usize>,
    now: RefCell<String>,
}

impl Stage {
    /// A part of the story begins.
    pub(crate) fn chapter(&self, title: &str) {
        self.line(&format!("\n── {title} "));
    }

    /// Somebody does something; what came out of it is told once it is done.
    pub(crate) fn step<T>(&self, who: &str, what: &str, act: impl FnOnce() -> Result<T>) -> Result<T> {
        *self.now.borrow_mut() = format!("{who}: {what}");
        let done = act()?;
        self.steps.set(self.steps.get() + 1);
        self.line(&format!("{who:>10}  {what}"));
        Ok(done)
    }

    /// Something that belongs to the step before.
    pub(crate) fn detail(&self, what: &str) {
        self.line(&format!("{:>10}    {what}", ""));
    }

    /// Number of steps so far.
    pub(crate) fn steps(&self) -> usize {
        self.steps.get()
    }

    /// A line.
    #[expect(clippy::print_stdout, reason = "the one place of the demo that prints")]
    pub(crate) fn line(&self, text: &str) {
        println!("{text}");
        // A pipe that nobody reads any more is no reason to stop.
        let _ = std::io::stdout().flush();
    }

    /// Which step was not as expected, and why.
    #[expect(clippy::print_stderr, reason = "the one place of the demo that prints")]
    pub(crate) fn failed(&self, failure: &Failure) {
        eprintln!("demo: step {} failed: {}\n{failure:?}", self.steps() + 1, self.now.borrow());
    }
}
