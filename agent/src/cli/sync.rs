//! `sync`: everything up to date, everything queued delivered.

use cipher_core::{Command, ErrorKind, Reply};

use crate::cli::desk::Desk;
use crate::cli::exit::{self, Failure, Result, unexpected};
use crate::cli::line::Line;
use crate::cli::run::Context;
use crate::session::Need;

/// Receive everything, and deliver what is queued
///
/// Ends with 6 when something was found against the registry, now or before: cipher-chat doctor lists it.
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
    let caught = desk.evidence().await?;
    desk.close().await;
    if caught { Err(Failure::Shown(exit::code(ErrorKind::Trust))) } else { Ok(()) }
}
