//! `whoami`: the own account.

use cipher_core::{Command, Reply};

use crate::cli::desk::Desk;
use crate::cli::exit::{Result, unexpected};
use crate::cli::line::Line;
use crate::cli::run::Context;
use crate::session::Need;

/// Show the own account
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs it.
pub async fn run(context: &Context, Args {}: Args) -> Result {
    let desk = Desk::open(context, Need::Local).await?;
    let Reply::Account(account) = desk.request(Command::Whoami).await? else { return Err(unexpected()) };
    context.ui.show(&Line::account(&account))?;
    desk.close().await;
    Ok(())
}
