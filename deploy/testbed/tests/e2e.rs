//! The shipped binaries against a real broker. Each file is one topic; each test brings up what it needs on free
//! ports and in temporary folders, and a failing one tells what every process said.

#[path = "e2e/api.rs"]
mod api;
#[path = "e2e/audit.rs"]
mod audit;
#[path = "e2e/bots.rs"]
mod bots;
#[path = "e2e/broker.rs"]
mod broker;
#[path = "e2e/cluster.rs"]
mod cluster;
#[path = "e2e/commands.rs"]
mod commands;
#[path = "e2e/connection.rs"]
mod connection;
#[path = "e2e/conversation.rs"]
mod conversation;
#[path = "e2e/crash.rs"]
mod crash;
#[path = "e2e/devices.rs"]
mod devices;
#[path = "e2e/export.rs"]
mod export;
#[path = "e2e/files.rs"]
mod files;
#[path = "e2e/finding.rs"]
mod finding;
#[path = "e2e/history.rs"]
mod history;
#[path = "e2e/idle.rs"]
mod idle;
#[path = "e2e/invite.rs"]
mod invite;
#[path = "e2e/log_back.rs"]
mod log_back;
#[path = "e2e/one_store.rs"]
mod one_store;
#[path = "e2e/profile_backup.rs"]
mod profile_backup;
#[path = "e2e/program.rs"]
mod program;
#[path = "e2e/race.rs"]
mod race;
#[path = "e2e/refusal.rs"]
mod refusal;
#[path = "e2e/registry.rs"]
mod registry;
#[path = "e2e/registry_backup.rs"]
mod registry_backup;
#[path = "e2e/sealed.rs"]
mod sealed;
#[path = "e2e/soak.rs"]
mod soak;
#[path = "e2e/support.rs"]
mod support;
#[path = "e2e/terminal.rs"]
mod terminal;
#[path = "e2e/tls.rs"]
mod tls;
#[path = "e2e/token.rs"]
mod token;
#[path = "e2e/torture.rs"]
mod torture;
#[path = "e2e/trust.rs"]
mod trust;
#[path = "e2e/up.rs"]
mod up;
