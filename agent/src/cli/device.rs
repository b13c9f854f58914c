//! `device`: the devices of the own account.

use cipher_core::{Command, Reply};

use crate::cli::desk::Desk;
use crate::cli::exit::{Result, unexpected};
use crate::cli::line::Line;
use crate::cli::run::Context;
use crate::session::Need;

/// The devices of the own account
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// List them
    List,
}

/// Runs it.
pub async fn run(context: &Context, Args { verb: Verb::List }: Args) -> Result {
    let desk = Desk::open(context, Need::Local).await?;
    let Reply::Devices(devices) = desk.request(Command::Devices).await? else { return Err(unexpected()) };
    let lines: Vec<_> = devices.iter().map(Line::device).collect();
    context.ui.list(&lines, "no devices")?;
    desk.close().await;
    Ok(())
}
