//! `pin` and `pins`: messages that stay at hand.

use cipher_api::Target;
use cipher_api::command::message;

use crate::cli::command::edit::{MessageArgs, change, look};
use crate::cli::context::Context;
use crate::cli::exit::Result;
use crate::cli::input::target;

/// Pin a message to its conversation
///
/// All members see it among the pinned messages, with: pins TARGET. A group can leave pinning to its admins
/// (group set GROUP pin=admins). Without a broker the pin is queued, as a message is.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  cipher-chat pin qk7xwe\n  cipher-chat pin qk7xwe --remove")]
pub struct PinArgs {
    /// The message
    #[command(flatten)]
    pub message: MessageArgs,
    /// Take the pin away
    #[arg(long)]
    pub remove: bool,
}

/// List the pinned messages of a conversation
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  cipher-chat pins ops")]
pub struct PinsArgs {
    /// @handle, group name or group id
    #[arg(value_parser = target::target)]
    pub target: Target,
}

/// Runs `pin`.
pub async fn pin(context: &Context, args: PinArgs) -> Result {
    change(context, message::Pin { message: args.message.named()?, remove: args.remove }).await
}

/// Runs `pins`.
pub async fn pins(context: &Context, args: PinsArgs) -> Result {
    look(context, message::Pins { target: args.target }, "nothing is pinned here").await
}
