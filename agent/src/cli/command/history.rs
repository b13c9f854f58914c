//! `history`: what was said before a member came.

use std::str::FromStr;

use cipher_api::command::history;
use cipher_api::view::MessageState;
use cipher_api::{Target, Who};

use crate::app::profile::OpenProfile;
use crate::cli::context::Context;
use crate::cli::exit::Result;
use crate::cli::input::target;
use crate::cli::input::time_arg::Lifetime;
use crate::session::Need;

/// Give a member what was said before it came
///
/// The group says who may: group set GROUP history=all, or admins, or owners; nobody unless it is set. What is given is what this
/// device has itself, as it stands now: nothing that disappears, was deleted or hidden. Only the member's devices can read it, where it
/// is shown as your word; and every member of the group sees that it was given.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cipher-chat history grant ops carol --last 40\n  cipher-chat history grant ops carol --last 30d"
)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Give the latest messages of before a member came
    #[command(
        after_help = "Examples:\n  cipher-chat history grant ops carol --last 40\n  cipher-chat history grant ops carol --last 30d"
    )]
    Grant {
        /// Group name or id
        #[arg(value_parser = target::target)]
        group: Target,
        /// Handle or account id
        #[arg(value_parser = target::who)]
        who: Who,
        /// How many messages, up to 1000, or of how long a time: 12h, 30d, 4w
        #[arg(long, value_name = "N|TIME")]
        last: Last,
    },
}

/// How much is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    Messages(u64),
    Of(Lifetime),
}

/// Why a text says no such thing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is a number of messages, at least 1, or a length of time like 12h, 30d or 4w")]
struct InvalidLast;

impl FromStr for Last {
    type Err = InvalidLast;

    fn from_str(text: &str) -> std::result::Result<Self, InvalidLast> {
        match text.parse::<u64>() {
            Ok(0) => Err(InvalidLast),
            Ok(messages) => Ok(Self::Messages(messages)),
            Err(_) => text.parse().map(Self::Of).map_err(|_| InvalidLast),
        }
    }
}

/// Runs it.
pub async fn run(context: &Context, args: Args) -> Result {
    let Verb::Grant { group: target, who, last } = args.verb;
    let (last, age_seconds) = match last {
        Last::Messages(messages) => (Some(messages), None),
        Last::Of(time) => (None, Some(time.as_secs())),
    };
    let grant = history::Grant { target, who, last, age_seconds };
    // Who is a member, and since when, is for the log to say.
    let profile = OpenProfile::open(context, Need::Everything).await?;
    profile.online().await?;
    profile.refresh().await?;
    let line = profile.ask(grant).await?;
    context.ui.happened(context.ui.message(&line, None));
    if line.state == MessageState::Queued {
        context
            .ui
            .warn("not all of it is at the broker yet: the next command that reaches it sends the rest");
    }
    profile.close().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_much_is_a_number_or_a_length_of_time() {
        let time = |text: &str| text.parse::<Lifetime>().ok().map(Last::Of);
        for (text, last) in [
            ("40", Some(Last::Messages(40))),
            ("1", Some(Last::Messages(1))),
            ("30d", time("30d")),
            ("12h", time("12h")),
            ("0", None),
            ("0d", None),
            ("-3", None),
            ("many", None),
            ("", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(text.parse::<Last>().ok(), last, "{text}");
        }
    }
}
