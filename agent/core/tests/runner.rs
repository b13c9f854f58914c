//! The core in invented worlds: many cores, one broker, one registry, and everything that can go wrong between
//! them, by seed. See `support/world.rs` for how a world runs and `support/oracle.rs` for what must always hold.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking, in its helpers too, and says how to repeat it"
)]

mod support;

mod answers;
mod asleep;
mod backups;
mod bots;
mod changes;
mod contacts;
mod crash;
mod damage;
mod delivery;
mod devices;
mod doubled;
mod files;
mod flips;
mod forgetting;
mod granting;
mod hostile;
mod join_link;
mod journal;
mod junk;
mod log_back;
mod membership;
mod muted;
mod own_devices;
mod presence;
mod race;
mod reactions;
mod reading;
mod receipts;
mod registry;
mod schedules;
mod search;
mod stored;
mod talk;
mod time;
mod trust;
mod welcome;
