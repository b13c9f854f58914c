//! What people see of the command line, as far as it needs no broker: one binary, one module per subject.

// Always true here, and how clippy knows that helpers of tests are tests.
#[cfg(test)]
#[path = "command/mod.rs"]
mod command;
#[cfg(test)]
#[path = "support/mod.rs"]
mod support;
