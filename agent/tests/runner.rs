//! What people see of the command line, as far as it needs no broker: one binary, one module per subject.

#[path = "command/mod.rs"]
mod command;
#[path = "support/mod.rs"]
mod support;
