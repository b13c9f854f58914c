//! One file per subject.

mod audit;
mod backup;
mod bot;
mod completions;
mod config;
mod device;
mod error;
mod help;
mod limit;
mod man;
mod output;
mod permission;
mod profile;
mod rpc;
mod slot;
mod token;
