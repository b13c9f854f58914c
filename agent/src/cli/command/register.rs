//! `register`: an account and its first device.

use cipher_api::Hint;
use cipher_api::command::account::{self, Registered};
use cipher_broker::handle::Handle;
use cipher_broker::limit;

use crate::app::profile::OpenProfile;
use crate::cli::context::Context;
use crate::cli::exit::{Failure, Result};
use crate::cli::input::text;
use crate::cli::show::line::Line;
use crate::session::Need;

/// Make an account under a handle, with this machine as its first device
///
/// Prints the recovery phrase, only this once: a person who has the phrase has the account. If the command was ended before
/// it showed the phrase, run it again.
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
    /// Registration code that the registry's operator gave you, where the registry asks for one
    #[arg(long, value_name = "CODE")]
    pub invite_code: Option<String>,
}

/// Runs it.
pub async fn run(context: &Context, args: Args) -> Result {
    if cipher_bots::find(args.handle.as_str()).is_some() {
        return Err(Failure::Usage {
            message: format!("@{} is the name of a bot that ships", args.handle),
            hint: Some(Hint::text(format!(
                "its account is made with its owner's profile: cipher-chat --profile OWNER bot register {}",
                args.handle
            ))),
        });
    }
    let name = text::short("name", args.name.unwrap_or_default(), limit::DISPLAY_NAME_CHARS)?;
    let profile = OpenProfile::fresh_or_untold(context, Need::Outbox, Some(&args.handle)).await?;
    let again = profile.status().await?.phrase_due;
    let command = account::Register { handle: args.handle, name, bot: None, invite_code: args.invite_code };
    let registered = async {
        if !again {
            profile.reach().await?;
        }
        profile.ask(command).await
    };
    let Registered { account, phrase } = match registered.await {
        Ok(registered) => registered,
        Err(error) => {
            let failure = Failure::from(error);
            profile.undo(failure.kind()).await;
            return Err(failure);
        }
    };
    context.ui.show(&Line::Account { account: &account, phrase: phrase.as_deref() })?;
    if phrase.is_some() {
        context.ui.note("Write the phrase down and keep it secret: it is shown this once.");
        // Only now that it is on the screen: whatever ends this command before, the next one shows the phrase.
        profile.ask(account::PhraseShown {}).await?;
    }
    // An account without key packages cannot be added to anything.
    profile.settle().await;
    if profile.status().await?.key_packages.unwrap_or(0) == 0 {
        context.ui.warn(
            "no account can add this one yet: the registry did not take its key packages; the next command that \
             reaches it brings them",
        );
    }
    profile.close().await;
    Ok(())
}
