//! `join`: into a group by a link.

use cipher_api::command::invite::{self, Joined};
use cipher_broker::wire::join::JoinTicket;

use crate::app::profile::OpenProfile;
use crate::cli::context::Context;
use crate::cli::exit::Result;
use crate::cli::show::line::Line;
use crate::session::Need;

/// Join a group by a link that one of its members made
///
/// Ends when you are a member, or says that a member has to approve first: the group then appears by itself.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  cipher-chat join \"cipher-chat:join/AYSh…\"")]
pub struct Args {
    /// The link
    #[arg(value_parser = link)]
    pub link: String,
}

/// Runs it.
pub async fn run(context: &Context, args: Args) -> Result {
    let profile = OpenProfile::open(context, Need::Everything).await?;
    profile.online().await?;
    profile.refresh().await?;
    match profile.ask(invite::Join { link: args.link }).await? {
        Joined::Group(group) => context.ui.happened(context.ui.show(&Line::Group(&group))),
        Joined::JoinPending { group, approval } => {
            context.ui.happened(context.ui.show(&Line::JoinPending { group, approval }));
        }
        Joined::Unknown => context.ui.note("asked; what came of it only a newer version can say"),
    }
    profile.settle().await;
    profile.close().await;
    Ok(())
}

/// Only that it is a link: whether it is still good, the group's members say.
fn link(text: &str) -> std::result::Result<String, String> {
    text.parse::<JoinTicket>().map(|ticket| ticket.to_string()).map_err(|error| error.to_string())
}
