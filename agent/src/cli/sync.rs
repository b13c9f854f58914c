//! `sync`: everything up to date, everything queued delivered.

use cipher_core::{Command, Reply};

use crate::cli::desk::Desk;
use crate::cli::exit::{Result, unexpected};
use crate::cli::line::Line;
use crate::cli::run::Context;
use crate::session::Need;

/// Receive everything, and deliver what is queued
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs it.
pub async fn run(context: &Context, Args {}: Args) -> Result {
    let desk = Desk::open(context, Need::Everything).await?;
    desk.online().await?;
    let Reply::Synced { received, queued } = desk.request(Command::Sync).await? else {
        return Err(unexpected());
    };
    context.ui.show(&Line::Synced { received, queued })?;
    desk.close().await;
    Ok(())
}
