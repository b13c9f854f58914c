//! `register`: an account and its first device.

use cipher_broker::handle::Handle;
use cipher_broker::limit;
use cipher_core::{Command, ErrorKind, Reply};

use crate::cli::desk::{self, Desk};
use crate::cli::exit::{Result, unexpected};
use crate::cli::line::Line;
use crate::cli::run::Context;
use crate::session::Need;

/// Make an account under a handle, with this machine as its first device
///
/// Prints the recovery phrase, this once: whoever has it has the account.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cipher-chat register alice --name \"Alice L.\"\n  cipher-chat --profile work register alice.work"
)]
pub struct Args {
    /// Handle to claim: 3 to 32 of a-z, 0-9, '_', '.', '-'
    pub handle: Handle,
    /// Display name
    #[arg(long, value_name = "TEXT")]
    pub name: Option<String>,
}

/// Runs it.
pub async fn run(context: &Context, args: Args) -> Result {
    let name = desk::short("name", args.name.unwrap_or_default(), limit::DISPLAY_NAME_CHARS)?;
    let profile = &context.settings.profile;
    let desk = Desk::open_profile(context, profile, Need::Outbox).await?;
    if let Ok(Reply::Account(account)) = desk.session.request(Command::Whoami).await {
        return Err(ErrorKind::Misuse
            .because(format!("profile {profile} has the account @{} already", account.handle))
            .hint("another account needs another profile: --profile NAME")
            .into());
    }
    desk.reach().await?;
    let reply = desk.request(Command::Register { handle: args.handle, name, bot: None }).await?;
    let Reply::Registered { account, phrase } = reply else { return Err(unexpected()) };
    context.ui.show(&Line::Account { account: &account, phrase: phrase.as_deref() })?;
    if phrase.is_some() {
        context.ui.note("Write the phrase down and keep it secret: it is shown this once.");
    }
    // An account without key packages cannot be added to anything.
    desk.settle().await;
    desk.close().await;
    Ok(())
}
