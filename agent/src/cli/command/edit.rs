//! `edit` and `delete`: other words for a message, or none.

use cipher_api::command::message::{self, MessageRef};
use cipher_api::view::{MessageState, MessageView};
use cipher_api::{Ask, Target};

use crate::app::profile::OpenProfile;
use crate::cli::command::follow::short_id;
use crate::cli::command::send::queued_why;
use crate::cli::context::Context;
use crate::cli::exit::Result;
use crate::cli::input::{message_id, target, text};
use crate::cli::show::line::Line;
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
    #[arg(allow_hyphen_values = true, required_unless_present = "history")]
    pub text: Option<String>,
    /// Show the words that the message had instead, of any member's message
    #[arg(long, conflicts_with = "text")]
    pub history: bool,
}

/// Delete one of your messages for all members
///
/// The text is removed for all members, and a line says so in its place. In a group that lets them, admins delete the messages of
/// others, too (group set GROUP delete=admins). Members may have read or copied it before, and
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
    let Some(words) = args.text else { return history(context, args.message).await };
    let words = if words == "-" { text::standard_input(context)? } else { words };
    let words = text::message(words)?;
    change(context, message::Edit { message: args.message.named()?, text: words }).await
}

/// Runs `delete`.
pub async fn delete(context: &Context, args: DeleteArgs) -> Result {
    change(context, message::Delete { message: args.message.named()?, local: args.local }).await
}

/// The words that a message has and had.
async fn history(context: &Context, message: MessageArgs) -> Result {
    let edits = message::Edits { message: message.named()? };
    let (profile, edits) = asked(context, edits).await?;
    edits.iter().try_for_each(|edit| context.ui.show(&Line::edit(edit)))?;
    if edits.is_empty() {
        context.ui.note("this message was deleted: nothing of it is left");
    }
    profile.close().await;
    Ok(())
}

/// Shows a message.
pub(super) async fn show<R: Ask<Reply = MessageView> + Clone>(context: &Context, one: R) -> Result {
    let (profile, message) = asked(context, one).await?;
    context.ui.message(&message, None)?;
    profile.close().await;
    Ok(())
}

/// Shows messages with their ids, or says that there are none.
pub(super) async fn look<R: Ask<Reply = Vec<MessageView>> + Clone>(
    context: &Context,
    some: R,
    none: &str,
) -> Result {
    let (profile, messages) = asked(context, some).await?;
    for message in &messages {
        context.ui.message(message, Some(&short_id(message)))?;
    }
    if messages.is_empty() {
        context.ui.note(none);
    }
    profile.close().await;
    Ok(())
}

/// Asks about messages after what is new at the broker was read.
async fn asked<R: Ask + Clone>(context: &Context, about: R) -> Result<(OpenProfile<'_>, R::Reply)> {
    let read = OpenProfile::read(context, async |profile| {
        profile.refresh().await?;
        profile.ask(about.clone()).await
    });
    Ok(read.await?)
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
