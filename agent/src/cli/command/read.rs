//! `read`: a conversation, and what is added to it.

use std::collections::BTreeMap;

use cipher_api::Target;
use cipher_api::command::{group, message};
use cipher_api::view::{GroupView, MessageView};
use cipher_broker::id::{GroupId, MessageId};

use crate::app::error::ProfileError;
use crate::app::follow::{Following, Listening, Scope, Seen};
use crate::app::profile::OpenProfile;
use crate::cli::command::follow::{Typing, follow, short_id};
use crate::cli::command::tell::Teller;
use crate::cli::context::Context;
use crate::cli::exit::Result;
use crate::cli::input::interrupt::Interrupt;
use crate::cli::input::time_arg::Since;
use crate::cli::input::{message_id, target};
use crate::cli::show::page::Page;
use crate::cli::zone::Zone;
use crate::runtime::timer;

/// Show a conversation, oldest message first
///
/// Asks the broker for new messages first. Without a broker it shows what is stored here, which is no error.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cipher-chat read ops -n 20\n  cipher-chat read @bob --since 2h\n  cipher-chat read ops --unread --json\n  cipher-chat read ops --after ID --first 100 --json\n  cipher-chat read ops --around qk7xwe -n 5 --ids\n  cipher-chat read ops --follow --json | jq -r 'select(.type==\"message\").text'"
)]
pub struct Args {
    /// @handle, group name or group id
    #[arg(value_parser = target::target)]
    pub target: Target,
    /// Only the last N messages; with --around up to N on each side
    #[arg(short = 'n', long = "last", value_name = "N")]
    pub last: Option<usize>,
    /// Only the first N messages, for scripts that read on page by page
    #[arg(long, value_name = "N", conflicts_with = "last")]
    pub first: Option<usize>,
    /// Only messages since then, by the broker's clock: 2h, 7d, today, yesterday 14:00, 2026-08-01, 2026-08-01T12:30:00Z; what
    /// names no offset is your time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub since: Option<Since>,
    /// Only what was not shown yet
    #[arg(long)]
    pub unread: bool,
    /// Only what follows the line with this "id" in the output of --json, for scripts that continue where they stopped
    #[arg(long, value_name = "ID")]
    pub after: Option<String>,
    /// The line with this id and what is before and behind it: 10 lines on each side, or as many as -n says
    #[arg(long, value_name = "ID", conflicts_with_all = ["first", "since", "unread", "after", "follow"])]
    pub around: Option<String>,
    /// Show the beginning of each message's id, as edit, delete and react take it
    #[arg(long)]
    pub ids: bool,
    /// Then show new messages as they come, until interrupted; one that is edited, deleted or reacted to comes
    /// again, with the same id
    #[arg(short, long)]
    pub follow: bool,
    /// With --follow: run this for each message that others say, the message as JSON on its standard input; `;` ends the words
    #[arg(long, num_args = 1.., value_name = "PROGRAM", value_terminator = ";", allow_hyphen_values = true, requires = "follow")]
    pub exec: Vec<String>,
}

/// Lines on each side of one that is looked up.
const NEIGHBOURS: usize = 10;

/// What was read before anything is shown.
struct Begun {
    messages: Vec<MessageView>,
    /// The conversation and its news; only where it is followed.
    followed: Option<(GroupView, Listening)>,
}

async fn begin(profile: &OpenProfile<'_>, args: &Args, asked: message::Read) -> Result<Begun, ProfileError> {
    let news = if args.follow { Some(Listening::begin(profile).await?) } else { None };
    profile.refresh().await?;
    let messages = profile.ask(asked).await?;
    let followed = match news {
        Some(news) => Some((profile.ask(group::Show { target: args.target.clone() }).await?, news)),
        None => None,
    };
    Ok(Begun { messages, followed })
}

/// Reads, and follows if that is asked for.
pub async fn run(context: &Context, args: Args) -> Result {
    let mut stop = args.follow.then(Interrupt::listen);
    let asked = asked(&args, context.ui.zone())?;
    let begin = async |profile: &OpenProfile<'_>| begin(profile, &args, asked.clone()).await;
    let (profile, begun) = OpenProfile::read(context, begin).await?;
    let Begun { messages, followed } = begun;
    let mut page = Page::new(&context.ui);
    if let Some(stop) = &mut stop {
        // Others are served meanwhile, however slowly it is read.
        for message in &messages {
            let label = label(&args, message);
            tokio::select! {
                () = stop.wait() => {
                    profile.close().await;
                    return Ok(());
                }
                told = page.message_in_time(message, label.as_deref()) => told?,
            }
        }
    } else {
        for message in &messages {
            page.message(message, label(&args, message).as_deref())?;
        }
    }
    // D01: what was shown is read, and nothing else.
    let mut read: BTreeMap<GroupId, Vec<MessageId>> = BTreeMap::new();
    for message in &messages {
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
        if messages.is_empty() {
            context.ui.note("no messages");
        }
        profile.close().await;
        return Ok(());
    };
    let mut seen = Seen::default();
    for message in &messages {
        seen.first(message);
    }
    let following = Following::start(context, profile, news, Scope::One(group.id), seen).await?;
    let typing = Typing::begin(context, &group, &following);
    follow(context, following, stop, page, args.ids, typing, Teller::new(context, &args.exec)).await
}

/// What stands in front of a message.
fn label(args: &Args, message: &MessageView) -> Option<String> {
    (args.ids && message.event().is_none()).then(|| short_id(message))
}

/// What the core is asked for.
fn asked(args: &Args, zone: &Zone) -> Result<message::Read> {
    let id = |id: &Option<String>| id.as_deref().map(message_id::beginning).transpose();
    let around = id(&args.around)?;
    let last = if around.is_some() { Some(args.last.unwrap_or(NEIGHBOURS)) } else { args.last };
    Ok(message::Read {
        last,
        first: args.first,
        after: id(&args.after)?,
        around,
        unread: args.unread,
        since: args.since.map(|since| since.from(timer::now(), zone)),
        ..message::Read::of(args.target.clone())
    })
}
