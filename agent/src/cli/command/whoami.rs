//! `whoami`: the own account.

use cipher_core::{Command, Reply};

use crate::app::profile::OpenProfile;
use crate::cli::context::Context;
use crate::cli::exit::{Result, unexpected};
use crate::cli::show::hint::typed;
use crate::cli::show::line::Line;
use crate::session::Need;

/// Show the own account
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs it.
pub async fn run(context: &Context, Args {}: Args) -> Result {
    let profile = OpenProfile::open(context, Need::Local).await?;
    let Reply::Account(account) = profile.request(Command::Whoami).await? else { return Err(unexpected()) };
    context.ui.show(&Line::account(&account))?;
    if profile.status().await?.phrase_due {
        let shows = typed(profile.name(), &format!("register {}", account.handle));
        context.ui.warn(&format!("the recovery phrase was never shown: {shows} shows it"));
    }
    if let Reply::Devices(devices) = profile.request(Command::Devices).await?
        && devices.iter().any(|device| device.current && device.revoked)
    {
        context.ui.warn("this device was revoked: it does not belong to the account any more");
    }
    profile.close().await;
    Ok(())
}
