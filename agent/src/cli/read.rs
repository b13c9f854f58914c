//! `read`: a conversation, and what is added to it.

use std::time::{SystemTime, UNIX_EPOCH};

use cipher_broker::time::Timestamp;
use cipher_core::view::MessageView;
use cipher_core::{Command, Reply, Target};

use crate::cli::desk::{self, Desk, Interrupt};
use crate::cli::exit::{Result, unexpected};
use crate::cli::follow::{Scope, Seen, follow};
use crate::cli::run::Context;
use crate::cli::since::Since;
use crate::session::Need;

/// Show a conversation, oldest message first
///
/// Asks the broker for news first. Without a broker it shows what is stored here, which is no error.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cipher-chat read ops -n 20\n  cipher-chat read @bob --since 2h\n  cipher-chat read ops --follow --json | jq -r 'select(.type==\"message\").text'"
)]
pub struct Args {
    /// @handle, group name or group id
    #[arg(value_parser = desk::target)]
    pub target: Target,
    /// Only the last N messages
    #[arg(short = 'n', long = "last", value_name = "N")]
    pub last: Option<usize>,
    /// Only messages since then: 30m, 2h, 7d, 2026-08-01, 2026-08-01T12:30:00Z
    #[arg(long, value_name = "TIME")]
    pub since: Option<Since>,
    /// Go on with new messages until interrupted
    #[arg(short, long)]
    pub follow: bool,
}

/// Runs it.
pub async fn run(context: &Context, args: Args) -> Result {
    let desk = Desk::open(context, Need::Everything).await?;
    let mut stop = args.follow.then(Interrupt::listen);
    // Taken before history is read, so that nothing falls between the two.
    let news = args.follow.then(|| desk.session.events());
    desk.refresh().await?;
    // With a point in time the last N are those after it, so all are needed first.
    let last = if args.since.is_some() { None } else { args.last };
    let command = Command::Read { target: args.target.clone(), last, mark: true };
    let Reply::Messages(messages) = desk.request(command).await? else { return Err(unexpected()) };
    let shown = wanted(&messages, args.since.map(|since| since.from(now())), args.last);
    if let Some(stop) = &mut stop {
        // Others are served meanwhile, however slowly it is read.
        for message in &shown {
            tokio::select! {
                () = stop.wait() => {
                    desk.close().await;
                    return Ok(());
                }
                told = context.ui.message_in_time(message, None) => told?,
            }
        }
    } else {
        shown.iter().try_for_each(|message| context.ui.message(message, None))?;
    }

    let (Some(news), Some(stop)) = (news, stop) else {
        if shown.is_empty() {
            context.ui.note("no messages");
        }
        desk.close().await;
        return Ok(());
    };
    let mut seen = Seen::default();
    for message in &messages {
        seen.first(message);
    }
    let Reply::Group(group) = desk.request(Command::GroupShow { target: args.target }).await? else {
        return Err(unexpected());
    };
    follow(context, desk, news, Scope::One(group.id), seen, stop).await
}

fn wanted(messages: &[MessageView], since: Option<Timestamp>, last: Option<usize>) -> Vec<&MessageView> {
    let new: Vec<_> =
        messages.iter().filter(|message| since.is_none_or(|since| message.sent_at >= since)).collect();
    let skip = last.map_or(0, |last| new.len().saturating_sub(last));
    new.into_iter().skip(skip).collect()
}

fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::default().plus(since_epoch)
}
