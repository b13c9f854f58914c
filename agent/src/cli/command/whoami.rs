//! `whoami`: the own account.

use cipher_api::command::{account, device};

use crate::app::profile::OpenProfile;
use crate::cli::context::Context;
use crate::cli::exit::Result;
use crate::cli::show::line::Line;
use crate::session::Need;

/// Show your account
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs it.
pub async fn run(context: &Context, Args {}: Args) -> Result {
    let profile = OpenProfile::open(context, Need::Local).await?;
    let account = profile.ask(account::Show {}).await?;
    context.ui.show(&Line::account(&account))?;
    if profile.status().await?.phrase_due {
        let shows = context.ui.command(&format!("register {}", account.handle));
        context.ui.warn(&format!("the recovery phrase was never shown: {shows} shows it"));
    }
    if profile.ask(device::List {}).await?.iter().any(|device| device.current && device.revoked) {
        context.ui.warn("this device was revoked: it does not belong to the account any more");
    }
    profile.close().await;
    Ok(())
}
