//! `edit` and `delete`: other words for a message, or none.

use cipher_api::command::message::{self, MessageRef};
use cipher_api::view::{MessageState, MessageView};
use cipher_api::{Ask, Target};

use crate::app::profile::OpenProfile;
use crate::cli::command::send::queued_why;
use crate::cli::context::Context;
use crate::cli::exit::Result;
use crate::cli::input::{message_id, target, text};
use crate::session::Need;

/// Change the text of one of your messages
///
/// All members see the new text, marked as edited, in place of the old one. Without a broker the edit is queued, as a
/// message is.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cipher-chat edit qk7xwe \"lunch at one?\"\n  cipher-chat edit qk7xwe --in ops - < notes.txt"
)]
pub struct EditArgs {
    /// The message
    #[command(flatten)]
    pub message: MessageArgs,
    /// The new text; `-` reads it from standard input
    #[arg(allow_hyphen_values = true)]
    pub text: String,
}

/// Delete one of your messages for all members
///
/// The text is removed for all members, and a line says so in its place. Members may have read or copied it before, and
/// a copy of the broker's log keeps the encrypted message. With --local the text of any message is removed from this
/// device only, and the other members do not notice.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  cipher-chat delete qk7xwe\n  cipher-chat delete qk7xwe --local")]
pub struct DeleteArgs {
    /// The message
    #[command(flatten)]
    pub message: MessageArgs,
    /// Remove the text from this device only, also that of another member's message
    #[arg(long)]
    pub local: bool,
}

/// A message as people name it.
#[derive(Debug, clap::Args)]
pub struct MessageArgs {
    /// Id of the message, or its first 6 or more characters, as shown by: read TARGET --ids
    #[arg(value_name = "ID")]
    id: String,
    /// Look in this conversation only
    #[arg(long = "in", value_name = "TARGET", value_parser = target::target)]
    within: Option<Target>,
}

impl MessageArgs {
    pub(super) fn named(self) -> Result<MessageRef> {
        Ok(MessageRef { id: message_id::beginning(&self.id)?, within: self.within })
    }
}

/// Runs `edit`.
pub async fn edit(context: &Context, args: EditArgs) -> Result {
    let words = if args.text == "-" { text::standard_input(context)? } else { args.text };
    let words = text::message(words)?;
    change(context, message::Edit { message: args.message.named()?, text: words }).await
}

/// Runs `delete`.
pub async fn delete(context: &Context, args: DeleteArgs) -> Result {
    change(context, message::Delete { message: args.message.named()?, local: args.local }).await
}

/// Asks for a change of a message, and shows the message as it is then.
pub(super) async fn change<R: Ask<Reply = MessageView>>(context: &Context, change: R) -> Result {
    let profile = OpenProfile::open(context, Need::Outbox).await?;
    let connected = profile.reachable().await;
    let message = profile.ask(change).await?;
    context.ui.happened(context.ui.message(&message, None));
    if message.state == MessageState::Queued {
        context.ui.warn(&queued_why(context, &profile, connected));
    }
    profile.close().await;
    Ok(())
}
