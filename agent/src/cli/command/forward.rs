//! `forward`: what was said in one conversation, passed on to another.

use cipher_api::Target;
use cipher_api::command::message;

use crate::cli::command::edit::{MessageArgs, change};
use crate::cli::context::Context;
use crate::cli::exit::Result;
use crate::cli::input::target;

/// Pass the text of a message on to another conversation
///
/// Its members see that it is passed on. They are not told who said it, nor where: your message is all they have.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cipher-chat forward qk7xwe @bob\n  cipher-chat forward qk7xwe ops --in dev"
)]
pub struct Args {
    /// The message
    #[command(flatten)]
    pub message: MessageArgs,
    /// Where to: @handle, group name or group id
    #[arg(value_name = "TO", value_parser = target::target)]
    pub to: Target,
}

/// Runs it.
pub async fn run(context: &Context, args: Args) -> Result {
    change(context, message::Forward { message: args.message.named()?, target: args.to }).await
}
