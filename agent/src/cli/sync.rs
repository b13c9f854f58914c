//! `sync`: everything up to date, everything queued delivered.

use cipher_core::{Command, ErrorKind, Reply};

use crate::cli::desk::Desk;
use crate::cli::exit::{self, Failure, Result, unexpected};
use crate::cli::line::Line;
use crate::cli::run::Context;
use crate::session::Need;

/// Receive everything, and deliver what is queued
///
/// Ends with 6 when something was found against the registry, now or before: cipher-chat doctor lists it, and takes note of
/// it with --acknowledge. Ends with 4 when this device was revoked.
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
    if let Reply::Devices(devices) = desk.request(Command::Devices).await?
        && devices.iter().any(|device| device.current && device.revoked)
    {
        // Learnt just now: from here on it is refused, with the words for it.
        desk.request(Command::Sync).await?;
    }
    let caught = desk.evidence().await?;
    desk.close().await;
    if caught { Err(Failure::Shown(exit::code(ErrorKind::Trust))) } else { Ok(()) }
}
