//! `tail`: what happens from now on, in all conversations.

use std::collections::HashSet;

use cipher_api::Target;

use crate::app::follow::{Following, Listening, Scope, Seen};
use crate::app::profile::OpenProfile;
use crate::cli::command::follow::follow;
use crate::cli::context::Context;
use crate::cli::exit::Result;
use crate::cli::input::interrupt::Interrupt;
use crate::cli::input::target;

/// Show new messages as they come, of all conversations or of some, until interrupted
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  cipher-chat tail\n  cipher-chat tail ops @bob --json")]
pub struct Args {
    /// Only these: @handle, group name or group id
    #[arg(value_parser = target::target)]
    pub targets: Vec<Target>,
}

/// Runs it.
pub async fn run(context: &Context, args: Args) -> Result {
    let stop = Interrupt::listen();
    let (profile, (groups, news)) = OpenProfile::read(context, async |profile| {
        let mut groups = HashSet::new();
        for target in &args.targets {
            groups.insert(profile.group(target.clone()).await?);
        }
        profile.refresh().await?;
        // Taken after the old news came in: those are for `read`.
        Ok((groups, Listening::begin(profile).await?))
    })
    .await?;
    let scope = if groups.is_empty() { Scope::All } else { Scope::Some(groups) };
    context.ui.note("following; Ctrl-C ends it");
    let following = Following::start(context, profile, news, scope, Seen::default()).await?;
    follow(context, following, stop, false).await
}
