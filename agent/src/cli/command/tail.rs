//! `tail`: what happens from now on, in all conversations.

use std::collections::HashSet;

use cipher_api::Target;

use crate::app::follow::{Following, Listening, Scope, Seen};
use crate::app::profile::OpenProfile;
use crate::cli::command::follow::follow;
use crate::cli::command::tell::Teller;
use crate::cli::context::Context;
use crate::cli::exit::Result;
use crate::cli::input::interrupt::Interrupt;
use crate::cli::input::target;
use crate::cli::show::page::Page;

/// Show new messages as they come, of all conversations or of some, until interrupted
///
/// The setting `notify` (CIPHER_CHAT_NOTIFY) tells you of messages besides: `bell` rings, `terminal` has the terminal show a
/// notification (OSC 9), `bell,terminal` does both, `desktop` has the desktop show it (builds with the feature `desktop`); `notify_command` in a settings file, a list of a program and its words, runs
/// it with the message as JSON on its standard input. Conversations that are muted stay silent (`group mute`).
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cipher-chat tail\n  cipher-chat tail ops @bob --json\n  cipher-chat tail ops --exec ./on-message.sh --quiet"
)]
pub struct Args {
    /// Only these: @handle, group name or group id
    #[arg(value_parser = target::target)]
    pub targets: Vec<Target>,
    /// Run this for each message that others say: a program and its words, the message as JSON on its standard input;
    /// `;` ends the words
    #[arg(long, num_args = 1.., value_name = "PROGRAM", value_terminator = ";", allow_hyphen_values = true)]
    pub exec: Vec<String>,
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
    follow(context, following, stop, Page::new(&context.ui), false, None, Teller::new(context, &args.exec))
        .await
}
