//! `send`: say something.

use std::io::Read;

use cipher_broker::id::MessageId;
use cipher_broker::limit;
use cipher_core::view::MessageState;
use cipher_core::{Command, ErrorKind, Reply, Target};

use crate::cli::desk::{self, Desk};
use crate::cli::exit::{Failure, Result, unexpected};
use crate::cli::run::Context;
use crate::session::Need;

/// Send a message to a person or a group
///
/// Ends when the broker has stored the message. Without a broker the message is queued, which is no error: the
/// next command that reaches the broker delivers it.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cipher-chat send @bob \"lunch?\"\n  cipher-chat send ops \"deploy is done\" --json\n  journalctl -u app -n 20 | cipher-chat send ops -"
)]
pub struct Args {
    /// @handle, group name or group id
    #[arg(value_parser = desk::target)]
    pub target: Target,
    /// The text; `-` reads it from standard input
    #[arg(allow_negative_numbers = true)]
    pub text: String,
    /// Message that this one answers
    #[arg(long, value_name = "ID")]
    pub reply_to: Option<MessageId>,
}

/// Runs it.
pub async fn run(context: &Context, args: Args) -> Result {
    let text = desk::text(if args.text == "-" { standard_input()? } else { args.text })?;
    let desk = Desk::open(context, Need::Outbox).await?;
    let connected = desk.reachable().await;
    let command = Command::Send { target: args.target, text, reply_to: args.reply_to };
    let Reply::Message(message) = desk.request(command).await? else { return Err(unexpected()) };
    context.ui.message(&message, None)?;
    if message.state == MessageState::Queued {
        let why = match desk.session.trouble() {
            Some(error) => error.message,
            None if connected => "the broker has not taken it yet".into(),
            None => desk.unreachable().message,
        };
        let when = if desk.session.is_remote() {
            "the process that has this profile open delivers it as soon as it can"
        } else {
            "the next command that reaches the broker delivers it (cipher-chat sync)"
        };
        context.ui.warn(&format!("queued: {why}; {when}"));
    }
    desk.close().await;
    Ok(())
}

/// All of it as one message, but never more than one byte above what a message may have.
fn standard_input() -> Result<String> {
    let most = u64::try_from(limit::TEXT_BYTES).unwrap_or(u64::MAX).saturating_add(2);
    let mut bytes = Vec::new();
    std::io::stdin().take(most).read_to_end(&mut bytes).map_err(|e| {
        Failure::Failed(ErrorKind::Misuse.because(format!("standard input cannot be read: {e}")))
    })?;
    let cut = bytes.len() > limit::TEXT_BYTES;
    let mut text = match String::from_utf8(bytes) {
        Ok(text) => text,
        // Cut in the middle of a character: its length is the error to tell.
        Err(e) if cut => String::from_utf8_lossy(e.as_bytes()).into_owned(),
        Err(_) => return Err(Failure::usage("standard input is not UTF-8 text")),
    };
    if text.ends_with('\n') {
        text.pop();
    }
    Ok(text)
}
