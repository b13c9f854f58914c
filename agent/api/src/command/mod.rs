//! What a person, a script or a bot may ask for, by noun. Each request is one struct, the parameters of its method; the
//! table in [`crate::request`] ties it to its method's name and to the type of its reply.

pub mod account;
pub mod bot;
pub mod contact;
pub mod device;
pub mod event;
pub mod evidence;
pub mod file;
pub mod group;
pub mod history;
pub mod invite;
pub mod message;
pub mod poll;
pub mod status;

pub use crate::request::{
    AccountCommand, BotCommand, Command, ContactCommand, DeviceCommand, EventCommand, EvidenceCommand,
    GroupCommand, InviteCommand, MessageCommand, StatusCommand,
};
