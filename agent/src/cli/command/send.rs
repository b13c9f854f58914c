//! `send`: say something.

use std::path::{Path, PathBuf};

use cipher_api::command::{contact, file, group, message};
use cipher_api::view::{ContactState, ContactView, MessageState, MessageView};
use cipher_api::{ErrorKind, Hint, Target};
use cipher_broker::handle::Handle;

use crate::app::error::ProfileError;
use crate::app::files::FileTransfer;
use crate::app::outgoing::Named;
use crate::app::profile::OpenProfile;
use crate::cli::command::group as verbs;
use crate::cli::context::Context;
use crate::cli::exit::{Failure, Result};
use crate::cli::input::message_id;
use crate::cli::input::target;
use crate::cli::input::text;
use crate::cli::input::time_arg::Lifetime;
use crate::session::Need;

/// Send a message to a person or a group
///
/// Ends when the broker has stored the message. Without a broker the message is queued, which is no error: the
/// next command that reaches the broker delivers it. A file is sent only while the broker can be reached; if it is
/// interrupted, the same command goes on where it stopped.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cipher-chat send @bob \"lunch?\"\n  cipher-chat send ops \"deploy is done\" --json\n  cipher-chat send @bob \"the door code is 4711\" --expire 1h\n  journalctl -u app -n 20 | cipher-chat send ops -\n  cipher-chat send ops \"the plan\" --file plan.pdf"
)]
pub struct Args {
    /// @handle, group name or group id
    #[arg(value_parser = target::target)]
    pub target: Target,
    /// The text; `-` reads it from standard input. After `--` a text is taken as it stands: send ops -- -
    #[arg(allow_hyphen_values = true, required_unless_present = "file")]
    pub text: Option<String>,
    /// Send a file, which needs no text; `-` reads it from standard input. Several: --file A --file B
    #[arg(long, value_name = "PATH", action = clap::ArgAction::Append)]
    pub file: Vec<PathBuf>,
    /// What a file from standard input is called
    #[arg(long, value_name = "NAME", requires = "file", default_value = "stdin")]
    pub file_name: String,
    /// Send pictures without a small one in the message, which receivers see before they fetch them
    #[arg(long, requires = "file")]
    pub no_preview: bool,
    /// Id of the message that this one answers, or its first 6 or more characters, as shown by: read TARGET --ids
    #[arg(long, value_name = "ID")]
    pub reply_to: Option<String>,
    /// Say it in the thread of this message
    #[arg(long, value_name = "ID")]
    pub thread: Option<String>,
    /// The message disappears that long after it was read, on all devices of who read it; for you, that long after it was sent.
    /// Agents do that, so it is a wish; the broker keeps what is sealed until its own time is over. Of files the keys go
    #[arg(long, value_name = "TIME")]
    pub expire: Option<Lifetime>,
    /// Whether the text stood behind `--`.
    #[arg(skip)]
    plain: bool,
}

impl Args {
    /// Tells a text from a flag that is misspelt: nobody wants `--repyl-to` sent to people. `plain` says that the text
    /// stood behind `--`.
    pub fn settle_text(&mut self, plain: bool) -> Result {
        self.plain = plain;
        let Some(text) = &self.text else { return Ok(()) };
        let word = text.trim_start_matches('-');
        let flag = text.starts_with("--") && word.starts_with(|c: char| c.is_ascii_alphabetic());
        if !plain && flag && !text.contains(char::is_whitespace) {
            return Err(Failure::Usage {
                message: format!("there is no option '{text}'"),
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
    let reads = args.file.iter().filter(|path| is_standard_input(path)).count();
    if reads > 1 || (reads > 0 && args.text.as_deref() == Some("-") && !args.plain) {
        return Err(Failure::usage("standard input can be read once only"));
    }
    let text = match args.text {
        Some(dash) if dash == "-" && !args.plain => text::message(text::standard_input(context)?)?,
        Some(text) => text::message(text)?,
        None => String::new(),
    };
    let reply_to = args.reply_to.as_deref().map(message_id::beginning).transpose()?;
    let thread = args.thread.as_deref().map(message_id::beginning).transpose()?;
    let thread = thread.map(|id| message::MessageRef { id, within: None });
    let profile = OpenProfile::open(context, Need::Outbox).await?;
    let connected = profile.reachable().await;
    let target = args.target.clone();
    let expire = args.expire.map(Lifetime::as_secs);
    let message = if args.file.is_empty() {
        profile.ask(message::Send { target: args.target, text, reply_to, thread, expire }).await?
    } else {
        let says = file::Send { target: args.target, text, reply_to, thread, expire, files: Vec::new() };
        match send_files(context, &profile, says, &args.file, (args.file_name, !args.no_preview)).await {
            Ok(message) => message,
            Err(failure) => {
                profile.close().await;
                return Err(failure);
            }
        }
    };
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

fn is_standard_input(path: &Path) -> bool {
    path == Path::new("-")
}

/// Sends files with a message that names them. Whatever can be known to be wrong is told before anything is read or sent.
async fn send_files(
    context: &Context,
    profile: &OpenProfile<'_>,
    says: file::Send,
    paths: &[PathBuf],
    (piped, has_previews): (String, bool),
) -> Result<MessageView> {
    // A person who was never written to has no conversation yet.
    let to = match (&says.target, profile.ask(group::Show { target: says.target.clone() }).await) {
        (_, Ok(group)) => group.id.to_string(),
        (Target::Account(handle), Err(_)) => handle.to_string(),
        (_, Err(error)) => return Err(error.into()),
    };
    let mut named = Vec::with_capacity(paths.len());
    for path in paths {
        named.push(if is_standard_input(path) {
            Named::piped(piped.clone())
        } else {
            Named::open(path, &to)?
        });
    }
    profile.ask(says.clone().of(named.len())).await.map_err(|error| unsent(error, profile))?;
    let transfer = FileTransfer::begin(profile).await.map_err(|error| unsent(error, profile))?;
    let sent = read_and_send(context, profile, &transfer, (named, has_previews), says).await;
    transfer.end().await;
    sent
}

async fn read_and_send(
    context: &Context,
    profile: &OpenProfile<'_>,
    transfer: &FileTransfer,
    (named, has_previews): (Vec<Named>, bool),
    says: file::Send,
) -> Result<MessageView> {
    let mut files = Vec::with_capacity(named.len());
    for file in named {
        let mut file = file.read(&profile.place()?, transfer.largest()).await?;
        if !has_previews {
            file.without_preview();
        }
        files.push(file);
    }
    let told = |name: &str, done, total| context.ui.transfer(&format!("sending {name}"), done, total);
    let sent = transfer.send(files, says, told).await;
    context.ui.progress_end();
    Ok(sent?)
}

/// Files do not wait in the outbox as words do: a path may show something else later.
fn unsent(error: ProfileError, profile: &OpenProfile<'_>) -> Failure {
    if error.kind() != ErrorKind::Unreachable {
        return error.into();
    }
    let why = profile.session.trouble().map_or_else(|| error.to_string(), |error| error.message);
    ErrorKind::Unreachable
        .because(format!(
            "{why}; a file is sent while the broker can be reached, and does not wait as words do"
        ))
        .hint(Hint::text("nothing was sent and nothing is queued: run the same command again later"))
        .into()
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
