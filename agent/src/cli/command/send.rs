//! `send`: say something.

use cipher_api::command::{contact, group, message};
use cipher_api::view::{ContactState, ContactView, MessageState};
use cipher_api::{Hint, Target};
use cipher_broker::handle::Handle;

use crate::app::profile::OpenProfile;
use crate::cli::command::group as verbs;
use crate::cli::context::Context;
use crate::cli::exit::{Failure, Result};
use crate::cli::input::message_id;
use crate::cli::input::target;
use crate::cli::input::text;
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
    #[arg(value_parser = target::target)]
    pub target: Target,
    /// The text; `-` reads it from standard input. After `--` a text is taken as it stands: send ops -- -
    #[arg(allow_hyphen_values = true)]
    pub text: String,
    /// Id of the message that this one answers, or its first 6 or more characters, as shown by: read TARGET --ids
    #[arg(long, value_name = "ID")]
    pub reply_to: Option<String>,
    /// Whether the text stood behind `--`.
    #[arg(skip)]
    plain: bool,
}

impl Args {
    /// Tells a text from a flag that is misspelt: nobody wants `--repyl-to` sent to people. `plain` says that the text
    /// stood behind `--`.
    pub fn settle_text(&mut self, plain: bool) -> Result {
        self.plain = plain;
        let word = self.text.trim_start_matches('-');
        let flag = self.text.starts_with("--") && word.starts_with(|c: char| c.is_ascii_alphabetic());
        if !plain && flag && !self.text.contains(char::is_whitespace) {
            return Err(Failure::Usage {
                message: format!("there is no option '{}'", self.text),
                hint: Some(Hint::text(
                    "if it is the text, put -- before it: cipher-chat send TARGET -- TEXT",
                )),
            });
        }
        Ok(())
    }
}

/// Runs it.
pub async fn run(context: &Context, args: Args) -> Result {
    let text = if args.text == "-" && !args.plain { text::standard_input(context)? } else { args.text };
    let text = text::message(text)?;
    let reply_to = args.reply_to.as_deref().map(message_id::beginning).transpose()?;
    let profile = OpenProfile::open(context, Need::Outbox).await?;
    let connected = profile.reachable().await;
    let target = args.target.clone();
    let command = message::Send { target: args.target, text, reply_to };
    let message = profile.ask(command).await?;
    let queued = message.state == MessageState::Queued;
    let show = group::Show { target: Target::Group(message.group) };
    let lost = queued && connected && profile.ask(show).await.is_ok_and(|group| group.recovering.is_some());
    if lost {
        // What is read next may show that a copy of this profile is in use, for which this one stops.
        profile.look().await;
        profile.goes_on().await?;
    }
    context.ui.happened(context.ui.message(&message, None));
    if lost {
        context.ui.warn(&format!(
            "queued: this device lost its place in the conversation and asks the others to let it back in; the message is \
             sent when it is back ({})",
            context.ui.command("doctor")
        ));
    } else if queued {
        context.ui.warn(&queued_why(context, &profile, connected));
    }
    if let Target::Account(handle) = &target {
        warn_of_silence(context, &profile, handle).await?;
    }
    profile.close().await;
    Ok(())
}

/// Why something waits in the outbox, and when it leaves.
pub fn queued_why(context: &Context, profile: &OpenProfile<'_>, connected: bool) -> String {
    let why = match profile.session.trouble() {
        Some(error) => error.message,
        None if connected => "the broker has not taken it yet".into(),
        None => profile.unreachable().to_string(),
    };
    let when = if profile.session.is_remote() {
        "the process that has this profile open delivers it as soon as it can".to_owned()
    } else {
        format!("the next command that reaches the broker delivers it ({})", context.ui.command("sync"))
    };
    format!("queued: {why}; {when}")
}

/// D12: first words to a bot of somebody else wait for a person to accept them, which nobody expects of a program.
async fn warn_of_silence(context: &Context, profile: &OpenProfile<'_>, handle: &Handle) -> Result {
    let contacts = profile.ask(contact::List {}).await?;
    let waits = |contact: &&ContactView| contact.handle == *handle && contact.state == ContactState::Pending;
    if contacts.iter().find(waits).is_none() {
        return Ok(());
    }
    let show = group::Show { target: Target::Account(handle.clone()) };
    let shown = profile.ask(show).await?;
    for why in
        verbs::silent_bots(&shown, &[], &verbs::own_handle(profile).await?, &contacts, context.ui.typed())
    {
        context.ui.warn(&why);
    }
    Ok(())
}
