//! The attack suite: a hostile client of its own, on raw OpenMLS and async-nats with the agents' login, against the
//! shipped binaries and a real broker. Names begin with the ids of the cases they play; `docs/ATTACKS.md` is made
//! from `attack/cases.txt` and these names by `cargo xtask attacks`.

#[path = "attack/client/mod.rs"]
mod client;
#[path = "attack/commit.rs"]
mod commit;
#[path = "attack/junk.rs"]
mod junk;
#[path = "attack/link.rs"]
mod link;
#[path = "attack/login.rs"]
mod login;
#[path = "attack/message.rs"]
mod message;
#[path = "attack/registry.rs"]
mod registry;
#[path = "attack/scene.rs"]
mod scene;
#[path = "attack/screen.rs"]
mod screen;
#[path = "attack/welcome.rs"]
mod welcome;
