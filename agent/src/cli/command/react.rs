//! `react`: an emoji under a message.

use cipher_api::command::message;

use crate::cli::command::edit::{MessageArgs, change};
use crate::cli::context::Context;
use crate::cli::exit::Result;

/// Put an emoji under a message
///
/// All members see it under the message, with your name. You can put several different emoji under a message, each once.
/// Without a broker the reaction is queued, as a message is.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cipher-chat react qk7xwe 👍\n  cipher-chat react qk7xwe tada --in ops\n  cipher-chat react qk7xwe 👍 --remove"
)]
pub struct Args {
    /// The message
    #[command(flatten)]
    pub message: MessageArgs,
    /// An emoji, or its name: 👍, thumbsup, :+1:
    pub emoji: String,
    /// Take your emoji away again
    #[arg(long)]
    pub remove: bool,
}

/// Runs `react`.
pub async fn run(context: &Context, args: Args) -> Result {
    let Args { message, emoji, remove } = args;
    change(context, message::React { message: message.named()?, emoji, remove }).await
}
