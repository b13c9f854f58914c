//! The tree of commands, and which file runs which.

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::cli::command::{
    audit, backup, bot, completions, config, contact, daemon, device, doctor, download, edit, export,
    forward, group, history, join, man, pin, poll, profile, react, read, register, rpc, schema, search, send,
    slot, sync, tail, thread, token, up, whoami,
};
use crate::cli::context::Context;
use crate::cli::exit::{self, Result};
use crate::settings::Flags;

/// End-to-end encrypted chat and bots over NATS.
#[derive(Debug, Parser)]
#[command(name = "cipher-chat", version, arg_required_else_help = true, after_help = exit::HELP)]
pub struct Cli {
    /// Flags that every command takes, before or after its name.
    #[command(flatten)]
    pub flags: Flags,
    /// What to do.
    #[command(subcommand)]
    pub command: Verb,
}

/// What can be done.
#[derive(Debug, Subcommand)]
#[expect(missing_docs, reason = "the help of each command stands at its Args")]
pub enum Verb {
    Send(send::Args),
    Read(read::Args),
    Search(search::Args),
    Tail(tail::Args),
    Edit(edit::EditArgs),
    Delete(edit::DeleteArgs),
    React(react::Args),
    Download(download::Args),
    Export(export::Args),
    Forward(forward::Args),
    Pin(pin::PinArgs),
    Pins(pin::PinsArgs),
    Thread(thread::Args),
    Poll(poll::Args),
    Group(group::Args),
    History(history::Args),
    Join(join::Args),
    Contact(contact::Args),
    Bot(bot::Args),
    Register(register::Args),
    Whoami(whoami::Args),
    Profile(profile::Args),
    Device(device::Args),
    Sync(sync::Args),
    Doctor(doctor::Args),
    Audit(audit::Args),
    Up(up::Args),
    Daemon(daemon::Args),
    Rpc(rpc::Args),
    Token(token::Args),
    Backup(backup::BackupArgs),
    Restore(backup::RestoreArgs),
    Slot(slot::Args),
    Schema(schema::Args),
    Config(config::Args),
    Completions(completions::Args),
    Man(man::Args),
}

/// Runs a command.
pub async fn dispatch(context: &Context, verb: Verb) -> Result {
    // Each is boxed: the caller's future would otherwise be as large as the largest of them.
    match verb {
        Verb::Audit(args) => Box::pin(audit::run(context, args)).await,
        Verb::Backup(args) => Box::pin(backup::backup(context, args)).await,
        Verb::Bot(args) => Box::pin(bot::run(context, args)).await,
        Verb::Completions(args) => completions::run(context, args, Cli::command()),
        Verb::Config(args) => config::run(context, args),
        Verb::Contact(args) => Box::pin(contact::run(context, args)).await,
        Verb::Daemon(args) => Box::pin(daemon::run(context, args)).await,
        Verb::Device(args) => Box::pin(device::run(context, args)).await,
        Verb::Delete(args) => Box::pin(edit::delete(context, args)).await,
        Verb::Doctor(args) => Box::pin(doctor::run(context, args)).await,
        Verb::Download(args) => Box::pin(download::run(context, args)).await,
        Verb::Export(args) => Box::pin(export::run(context, args)).await,
        Verb::Edit(args) => Box::pin(edit::edit(context, args)).await,
        Verb::Join(args) => Box::pin(join::run(context, args)).await,
        Verb::Man(args) => man::run(context, args, Cli::command()),
        Verb::Group(args) => Box::pin(group::run(context, args)).await,
        Verb::History(args) => Box::pin(history::run(context, args)).await,
        Verb::Forward(args) => Box::pin(forward::run(context, args)).await,
        Verb::Pin(args) => Box::pin(pin::pin(context, args)).await,
        Verb::Pins(args) => Box::pin(pin::pins(context, args)).await,
        Verb::Poll(args) => Box::pin(poll::run(context, args)).await,
        Verb::Thread(args) => Box::pin(thread::run(context, args)).await,
        Verb::Profile(args) => Box::pin(profile::run(context, args)).await,
        Verb::React(args) => Box::pin(react::run(context, args)).await,
        Verb::Read(args) => Box::pin(read::run(context, args)).await,
        Verb::Register(args) => Box::pin(register::run(context, args)).await,
        Verb::Restore(args) => Box::pin(backup::restore(context, args)).await,
        Verb::Rpc(args) => Box::pin(rpc::run(context, args)).await,
        Verb::Schema(args) => schema::run(context, args),
        Verb::Search(args) => Box::pin(search::run(context, args)).await,
        Verb::Send(args) => Box::pin(send::run(context, args)).await,
        Verb::Slot(args) => slot::run(context, args),
        Verb::Sync(args) => Box::pin(sync::run(context, args)).await,
        Verb::Token(args) => Box::pin(token::run(context, args)).await,
        Verb::Tail(args) => Box::pin(tail::run(context, args)).await,
        Verb::Up(args) => Box::pin(up::run(context, args)).await,
        Verb::Whoami(args) => Box::pin(whoami::run(context, args)).await,
    }
}
