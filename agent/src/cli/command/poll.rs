//! `poll`: questions with answers to choose from.

use cipher_api::Target;
use cipher_api::command::{message, poll};

use crate::cli::command::edit::{MessageArgs, change, show};
use crate::cli::context::Context;
use crate::cli::exit::Result;
use crate::cli::input::{target, text};

/// Ask a question with answers to choose from, vote, and count
///
/// Every member sees who chose what, and everybody counts the same votes. Without a broker a poll, a vote and a close are queued, as
/// messages are.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cipher-chat poll create ops \"lunch?\" noon one never\n  cipher-chat poll vote qk7xwe 2\n  cipher-chat poll vote qk7xwe noon one\n  cipher-chat poll close qk7xwe"
)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Ask
    Create {
        /// @handle, group name or group id
        #[arg(value_parser = target::target)]
        target: Target,
        /// What is asked
        question: String,
        /// The answers, from 2 to 20
        #[arg(required = true, num_args = 2.., value_name = "ANSWER")]
        options: Vec<String>,
        /// Several answers may be chosen
        #[arg(long)]
        multi: bool,
    },
    /// Choose, in the place of what you chose before
    Vote {
        /// The poll
        #[command(flatten)]
        message: MessageArgs,
        /// The answers: their numbers, the first one 1, or their words
        #[arg(required_unless_present = "remove", value_name = "ANSWER")]
        options: Vec<String>,
        /// Take your vote back
        #[arg(long, conflicts_with = "options")]
        remove: bool,
    },
    /// Take no more votes; the counts are the result
    Close {
        /// The poll
        #[command(flatten)]
        message: MessageArgs,
    },
    /// Show how a poll stands
    Show {
        /// The poll
        #[command(flatten)]
        message: MessageArgs,
    },
}

/// Runs it.
pub async fn run(context: &Context, args: Args) -> Result {
    match args.verb {
        Verb::Create { target, question, options, multi } => {
            let question = text::message(question)?;
            change(context, poll::Create { target, question, options, multiple: multi }).await
        }
        Verb::Vote { message, options, remove: _ } => {
            change(context, poll::Vote { message: message.named()?, options }).await
        }
        Verb::Close { message } => change(context, poll::Close { message: message.named()? }).await,
        Verb::Show { message } => show(context, message::Show { message: message.named()? }).await,
    }
}
