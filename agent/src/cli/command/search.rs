//! `search`: messages by their words.

use std::collections::BTreeMap;

use cipher_api::command::{group, message};
use cipher_api::{Target, Who};
use cipher_broker::id::GroupId;

use crate::app::error::ProfileError;
use crate::app::profile::OpenProfile;
use crate::cli::command::follow::short_id;
use crate::cli::context::Context;
use crate::cli::exit::Result;
use crate::cli::input::target;
use crate::cli::input::time_arg::Since;
use crate::runtime::timer;

/// Find messages by their words, newest first
///
/// A message is found if it has all the words, each at least as the beginning of one: dep finds deploy. Case and accents do not count.
/// Words between double quotes must stand next to each other, as they are written. Any text can be looked for: don't, 10:30, a path. In
/// languages without blanks between words any part of a text is found. Deleted messages are not found, nor what was written before an
/// edit.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cipher-chat search deploy friday\n  cipher-chat search '\"is done\"' --in ops --from @bob --since 7d\n  cipher-chat search 10:30 --json | jq -r .id\n  cipher-chat search -- --force"
)]
pub struct Args {
    /// The words; after `--` as they stand: search -- -x
    #[arg(required = true, value_name = "WORDS")]
    pub words: Vec<String>,
    /// Look in this conversation only: @handle, group name or group id
    #[arg(long = "in", value_name = "TARGET", value_parser = target::target)]
    pub within: Option<Target>,
    /// Only messages of this account
    #[arg(long, value_name = "HANDLE", value_parser = target::who)]
    pub from: Option<Who>,
    /// Only messages since then, by the broker's clock: 2h, 7d, today, yesterday 14:00, 2026-08-01, 2026-08-01T12:30:00Z
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub since: Option<Since>,
    /// Only messages of this kind, as "kind" says in the output of --json; with "file" those that have files
    #[arg(long, value_name = "KIND")]
    pub kind: Option<String>,
    /// At most this many
    #[arg(short = 'n', long = "last", value_name = "N", default_value_t = 20)]
    pub last: usize,
}

/// What was found, and how conversations are called.
struct Found {
    hits: Vec<message::Hit>,
    names: BTreeMap<GroupId, String>,
}

/// How often a search begins again because the index turned out to be damaged.
const AGAIN: usize = 3;

async fn find(
    context: &Context,
    profile: &OpenProfile<'_>,
    asked: message::Search,
    last: usize,
) -> Result<Found, ProfileError> {
    profile.refresh().await?;
    // What is not in the index yet would not be found: each question takes a part of it in.
    let part = message::Search { limit: Some(0), ..asked.clone() };
    let mut hits = Vec::new();
    for _ in 0..AGAIN {
        while let Some(message::Indexing { done, total }) = profile.ask(part.clone()).await?.indexing {
            if !context.ui.json() {
                let _ = context.ui.progress("index", done, total);
            }
        }
        context.ui.progress_end();
        hits.clear();
        let (mut behind, mut is_whole) = (None, true);
        while is_whole && hits.len() < last {
            let limit = Some(last.saturating_sub(hits.len()));
            let page = profile.ask(message::Search { limit, behind, ..asked.clone() }).await?;
            // A part of it turned out to be damaged, and hid messages.
            is_whole = page.indexing.is_none();
            hits.extend(page.hits);
            behind = page.next;
            if behind.is_none() {
                break;
            }
        }
        if is_whole {
            break;
        }
    }
    let groups = profile.ask(group::List {}).await?;
    Ok(Found { hits, names: groups.into_iter().map(|group| (group.id, group.name)).collect() })
}

/// Runs it.
pub async fn run(context: &Context, args: Args) -> Result {
    let asked = message::Search {
        query: args.words.join(" "),
        target: args.within,
        from: args.from,
        since: args.since.map(|since| since.from(timer::now(), context.ui.zone())),
        kind: args.kind,
        limit: None,
        behind: None,
    };
    let find = async |profile: &OpenProfile<'_>| find(context, profile, asked.clone(), args.last).await;
    let (profile, Found { hits, names }) = OpenProfile::read(context, find).await?;
    for message::Hit { message, marks } in &hits {
        let name = names.get(&message.group).cloned().unwrap_or_else(|| message.group.to_string());
        context.ui.hit(message, marks, &format!("{name} {}", short_id(message)))?;
    }
    if hits.is_empty() {
        context.ui.note("nothing was found");
    }
    profile.close().await;
    Ok(())
}
