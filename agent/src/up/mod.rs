//! A private broker and registry on this machine: started together, ended together, everything under the home.
//!
//! ```text
//! <home>/tools/                     a nats-server, if none was on PATH
//! <home>/server/conf/               server files, written at each start
//! <home>/server/nats, n1 … n3       streams
//! <home>/server/registry            key and store of the registry
//! <home>/server/registry.password   for operator commands: cipher-registry --user registry --password-file
//! <home>/server/*.log               what the children say
//! <home>/server/up.json             their process ids, to clean up after a crash; locked while `up` runs
//! <home>/server.json                where other commands find the server, while it runs
//! ```

mod binary;
mod broker;
mod child;
mod claim;
mod file;
mod ping;
mod ready;

pub use ready::{Ready, UpSettings, up};
