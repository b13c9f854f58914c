//! Operations of the registry, asked with real bytes, on redb in memory and invented time.

#[path = "runner/account.rs"]
mod account;
#[path = "runner/key_package.rs"]
mod key_package;
#[path = "runner/place.rs"]
mod place;
#[path = "runner/profile.rs"]
mod profile;
#[path = "runner/request.rs"]
mod request;
#[path = "runner/support.rs"]
mod support;
