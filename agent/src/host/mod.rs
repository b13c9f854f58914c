//! Between the bot host ([`cipher_bot_host`]) and the core of the bot's profile.

mod files;
mod profile;
mod translate;

pub use cipher_bot_host::Source;
pub use profile::run;
