//! `tail`: what happens from now on, in all conversations.

use std::collections::HashSet;

use cipher_core::{Command, Reply, Target};

use crate::cli::desk::{self, Desk, Interrupt};
use crate::cli::exit::{Result, unexpected};
use crate::cli::follow::{Scope, Seen, follow};
use crate::cli::run::Context;
use crate::session::Need;

/// Show new messages as they come, of all conversations or of some, until interrupted
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  cipher-chat tail\n  cipher-chat tail ops @bob --json")]
pub struct Args {
    /// Only these: @handle, group name or group id
    #[arg(value_parser = desk::target)]
    pub targets: Vec<Target>,
}

/// Runs it.
pub async fn run(context: &Context, args: Args) -> Result {
    let desk = Desk::open(context, Need::Everything).await?;
    let stop = Interrupt::listen();
    let mut scope = HashSet::new();
    for target in args.targets {
        let Reply::Group(group) = desk.request(Command::GroupShow { target }).await? else {
            return Err(unexpected());
        };
        scope.insert(group.id);
    }
    let scope = if scope.is_empty() { Scope::All } else { Scope::Some(scope) };
    desk.refresh().await?;
    // Taken after the old news came in: those are for `read`.
    let news = desk.session.events();
    context.ui.note("following; Ctrl-C ends it");
    follow(context, desk, news, scope, Seen::default(), stop).await
}
