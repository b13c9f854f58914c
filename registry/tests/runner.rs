//! Operations of the registry, asked with real bytes, on redb in memory and invented time.

#[path = "runner/account.rs"]
mod account;
#[path = "runner/admission.rs"]
mod admission;
#[path = "runner/archive.rs"]
mod archive;
#[path = "runner/backup.rs"]
mod backup;
#[path = "runner/head.rs"]
mod head;
#[path = "runner/key_package.rs"]
mod key_package;
#[path = "runner/operator.rs"]
mod operator;
#[path = "runner/place.rs"]
mod place;
#[path = "runner/profile.rs"]
mod profile;
#[path = "runner/request.rs"]
mod request;
#[path = "runner/rfc9162.rs"]
mod rfc9162;
#[path = "runner/statement.rs"]
mod statement;
#[path = "runner/support.rs"]
mod support;
