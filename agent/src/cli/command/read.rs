//! `read`: a conversation, and what is added to it.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use cipher_api::command::{group, message};
use cipher_api::view::{MessageState, MessageView};
use cipher_api::{ErrorKind, Hint, Target};
use cipher_broker::id::{GroupId, MessageId};
use cipher_broker::time::Timestamp;

use crate::app::error::ProfileError;
use crate::app::follow::{Following, Listening, Scope, Seen};
use crate::app::profile::OpenProfile;
use crate::cli::command::follow::{follow, short_id};
use crate::cli::context::Context;
use crate::cli::exit::{Failure, Result};
use crate::cli::input::interrupt::Interrupt;
use crate::cli::input::target;
use crate::cli::input::time_arg::Since;

/// Show a conversation, oldest message first
///
/// Asks the broker for new messages first. Without a broker it shows what is stored here, which is no error.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cipher-chat read ops -n 20\n  cipher-chat read @bob --since 2h\n  cipher-chat read ops --unread --json\n  cipher-chat read ops --after ID --json\n  cipher-chat read ops --follow --json | jq -r 'select(.type==\"message\").text'"
)]
pub struct Args {
    /// @handle, group name or group id
    #[arg(value_parser = target::target)]
    pub target: Target,
    /// Only the last N messages
    #[arg(short = 'n', long = "last", value_name = "N")]
    pub last: Option<usize>,
    /// Only messages since then, by the broker's clock: 30m, 2h, 7d, 2026-08-01, 2026-08-01T12:30:00Z
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub since: Option<Since>,
    /// Only what was not shown yet
    #[arg(long)]
    pub unread: bool,
    /// Only what follows the line with this "id" in the output of --json, for scripts that continue where they stopped
    #[arg(long, value_name = "ID")]
    pub after: Option<MessageId>,
    /// Show the beginning of each message's id, as edit, delete and react take it
    #[arg(long)]
    pub ids: bool,
    /// Then show new messages as they come, until interrupted; one that is edited, deleted or reacted to comes
    /// again, with the same id
    #[arg(short, long)]
    pub follow: bool,
}

/// What was read before anything is shown.
struct Begun {
    messages: Vec<MessageView>,
    /// The conversation and its news; only where it is followed.
    followed: Option<(GroupId, Listening)>,
}

async fn begin(profile: &OpenProfile<'_>, args: &Args) -> Result<Begun, ProfileError> {
    let news = if args.follow { Some(Listening::begin(profile).await?) } else { None };
    profile.refresh().await?;
    // What is left out decides which are the last N, so all are needed first.
    let filters = args.since.is_some() || args.unread || args.after.is_some();
    let last = if filters { None } else { args.last };
    let command = message::Read { target: args.target.clone(), last, mark: false };
    let messages = profile.ask(command).await?;
    let followed = match news {
        Some(news) => Some((profile.group(args.target.clone()).await?, news)),
        None => None,
    };
    Ok(Begun { messages, followed })
}

/// Reads, and follows if that is asked for.
pub async fn run(context: &Context, args: Args) -> Result {
    let mut stop = args.follow.then(Interrupt::listen);
    let (profile, begun) = OpenProfile::read(context, async |profile| begin(profile, &args).await).await?;
    let Begun { messages, followed } = begun;
    let shown = wanted(&messages, &args, now())?;
    if let Some(stop) = &mut stop {
        // Others are served meanwhile, however slowly it is read.
        for message in &shown {
            let label = label(&args, message);
            tokio::select! {
                () = stop.wait() => {
                    profile.close().await;
                    return Ok(());
                }
                told = context.ui.message_in_time(message, label.as_deref()) => told?,
            }
        }
    } else {
        let show = |message: &&MessageView| context.ui.message(message, label(&args, message).as_deref());
        shown.iter().try_for_each(show)?;
    }
    // D01: what was shown is read, and nothing else.
    let mut read: BTreeMap<GroupId, Vec<MessageId>> = BTreeMap::new();
    for message in &shown {
        read.entry(message.group).or_default().push(message.id);
    }
    for (group, ids) in read {
        match profile.ask(message::Shown { group, ids }).await {
            Err(error) if error.is_gone() => {}
            told => drop(told?),
        }
    }

    // Without it a conversation that this device cannot follow looks like a quiet one.
    if let Ok(group) = profile.ask(group::Show { target: args.target.clone() }).await
        && group.recovering.is_some()
    {
        context.ui.warn(&format!(
            "this device lost its place in the conversation and asks the others to let it back in: what is said there comes \
             when it is back ({})",
            context.ui.command("doctor")
        ));
    }

    let (Some((group, news)), Some(stop)) = (followed, stop) else {
        if shown.is_empty() {
            context.ui.note("no messages");
        }
        profile.close().await;
        return Ok(());
    };
    let mut seen = Seen::default();
    for message in &messages {
        seen.first(message);
    }
    let following = Following::start(context, profile, news, Scope::One(group), seen).await?;
    follow(context, following, stop, args.ids).await
}

/// What stands in front of a message.
fn label(args: &Args, message: &MessageView) -> Option<String> {
    (args.ids && message.event().is_none()).then(|| short_id(message))
}

/// The messages that were asked for.
fn wanted<'a>(messages: &'a [MessageView], args: &Args, now: Timestamp) -> Result<Vec<&'a MessageView>> {
    let after = match args.after {
        None => messages,
        Some(id) => {
            let at = messages.iter().position(|message| message.id == id).ok_or_else(|| {
                ErrorKind::NotFound
                    .because("there is no message with this id in the conversation")
                    .hint(Hint::text("an id is that of a line of `cipher-chat read --json`"))
            })?;
            messages.get(at.saturating_add(1)..).unwrap_or_default()
        }
    };
    if args.after.is_some_and(|id| messages.iter().any(|m| m.id == id && m.state == MessageState::Queued)) {
        return Err(Failure::Usage {
            message: "this message waits for the broker and has no place in the log yet".into(),
            hint: Some(Hint::text("give the id of a line with a \"seq\"")),
        });
    }
    let since = args.since.map(|since| since.from(now));
    let new: Vec<_> = after
        .iter()
        // The broker's clock decides; its sender's only where nothing else is known.
        .filter(|message| since.is_none_or(|since| message.at.unwrap_or(message.sent_at) >= since))
        .filter(|message| !args.unread || message.unread)
        .collect();
    let skip = args.last.map_or(0, |last| new.len().saturating_sub(last));
    Ok(new.into_iter().skip(skip).collect())
}

fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::default().plus(since_epoch)
}
