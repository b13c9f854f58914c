//! `thread`: a message and what was said in answer to it, apart from the rest.

use cipher_api::command::message;

use crate::cli::command::edit::{MessageArgs, look};
use crate::cli::context::Context;
use crate::cli::exit::Result;

/// Show a thread: the message that began it, and what was said in it
///
/// A thread begins with any message: send TARGET TEXT --thread ID says something in it. Its messages also stand among the others of
/// the conversation.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cipher-chat send ops \"on it\" --thread qk7xwe\n  cipher-chat thread qk7xwe"
)]
pub struct Args {
    /// A message of the thread, or the one that began it
    #[command(flatten)]
    pub message: MessageArgs,
}

/// Runs it.
pub async fn run(context: &Context, args: Args) -> Result {
    look(context, message::Thread { message: args.message.named()? }, "the thread is empty").await
}
