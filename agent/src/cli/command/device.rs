//! `device`: the devices of the own account.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use cipher_api::command::device;
use cipher_api::reply::Done;
use cipher_api::view::{DeviceView, HistoryPolicy};
use cipher_api::{ErrorKind, Hint};

use crate::app::profile::OpenProfile;
use crate::cli::command::link;
use crate::cli::context::Context;
use crate::cli::exit::{Failure, Result};
use crate::cli::input::prompt;
use crate::cli::input::text;
use crate::cli::show::line::Line;
use crate::session::Need;

/// Characters of a device's name.
const NAME_CHARS: usize = 64;

/// Manage the devices of your account: link, approve, rename, revoke, resume, recover
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cipher-chat device link                    (on the new machine: shows a code)\n  cipher-chat device approve abcd-efgh       (on a machine of the account)\n  cipher-chat device revoke laptop\n  cipher-chat device resume                  (a copy of this profile was used, and is gone)\n  cipher-chat device recover                 (no device is left, only the phrase)"
)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// List the devices, revoked ones too
    List,
    /// Link this machine to an account that another device has
    ///
    /// Shows a code, on a terminal also as a QR code. Approve it on a device of the account, and compare what both
    /// show. Then this machine joins the account's groups by itself and gets what it may have of their history.
    /// Ends when everything is here. If it is interrupted, run it again to continue.
    #[command(
        after_help = "Examples:\n  cipher-chat device link\n  cipher-chat --profile work device link --name \"work laptop\" --json"
    )]
    Link {
        /// Name of this machine; only your own devices see it [default: its host name]
        #[arg(long, value_name = "TEXT")]
        name: Option<String>,
    },
    /// Let a new machine in, by the code it shows
    ///
    /// Both machines show the same seven digits if no third party is in between: compare them, then confirm. The new device
    /// can read and write as you, approve others and revoke this one.
    #[command(
        after_help = "Examples:\n  cipher-chat device approve abcd-efgh\n  cipher-chat device approve abcd-efgh --history 30d\n  echo \"123 4567\" | cipher-chat device approve abcd-efgh --compare -"
    )]
    Approve {
        /// The code, or the URI of the QR code
        code: String,
        /// How much history the new device gets: all, none, or that of the last days, for example 30d
        #[arg(long, value_name = "HOW MUCH", default_value = "all")]
        history: History,
        /// The digits that the new machine shows, for scripts; `-` reads them from standard input once this machine knows its own
        #[arg(long, value_name = "DIGITS")]
        compare: Option<String>,
    },
    /// Give a device a name; only your own devices see it
    Rename {
        /// Its id, the beginning of it, or its name
        device: String,
        /// The new name
        name: String,
    },
    /// Take a device out of the account, for ever
    ///
    /// It is removed from every group as soon as a member of that group is online. What it has read stays read.
    #[command(
        after_help = "Examples:\n  cipher-chat device revoke laptop\n  cipher-chat device revoke b2qk --yes"
    )]
    Revoke {
        /// Its id, the beginning of it, or its name
        device: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Use this profile again, which stopped because a copy of it was in use
    ///
    /// For when the other copy is gone, or is not to be used any more: should it ever be used again, it stops. The members
    /// of each group give this device a new place as they come online; messages sent before that cannot be read here.
    #[command(
        after_help = "Examples:\n  cipher-chat device resume\n  cipher-chat --profile work device resume --yes"
    )]
    Resume {
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Take the account over with the recovery phrase, when no device of it is left
    ///
    /// Every other device of the account is revoked. The phrase is asked for, or read from standard input or from
    /// a file; never put it on a command line.
    #[command(
        after_help = "Examples:\n  cipher-chat device recover\n  cipher-chat device recover --phrase-file ./phrase.txt"
    )]
    Recover {
        /// File with the phrase; `-` is standard input
        #[arg(long, value_name = "FILE")]
        phrase_file: Option<PathBuf>,
        /// Name of this machine; only your own devices see it [default: its host name]
        #[arg(long, value_name = "TEXT")]
        name: Option<String>,
    },
}

/// How much of the past, as people write it.
#[derive(Debug, Clone, Copy)]
struct History(HistoryPolicy);

impl FromStr for History {
    type Err = &'static str;

    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        let policy = match text {
            "all" => HistoryPolicy::All,
            "none" => HistoryPolicy::None,
            days => HistoryPolicy::Days(
                days.strip_suffix('d')
                    .and_then(|days| days.parse().ok())
                    .filter(|days| *days > 0)
                    .ok_or("all, none, or a number of days as 30d")?,
            ),
        };
        Ok(Self(policy))
    }
}

/// Runs it.
pub async fn run(context: &Context, args: Args) -> Result {
    match args.verb {
        Verb::List => list(context).await,
        Verb::Link { name } => link::link(context, named(name)?).await,
        Verb::Approve { code, history, compare } => link::approve(context, code, history.0, compare).await,
        Verb::Rename { device, name } => rename(context, device, name).await,
        Verb::Revoke { device, yes } => revoke(context, device, yes).await,
        Verb::Resume { yes } => resume(context, yes).await,
        Verb::Recover { phrase_file, name } => recover(context, phrase_file.as_deref(), named(name)?).await,
    }
}

async fn list(context: &Context) -> Result {
    let profile = OpenProfile::open(context, Need::Local).await?;
    let devices = devices(&profile).await?;
    let lines: Vec<_> = devices.iter().map(Line::device).collect();
    context.ui.list(&lines, "no devices")?;
    profile.close().await;
    Ok(())
}

async fn rename(context: &Context, device: String, name: String) -> Result {
    if name.trim().is_empty() {
        return Err(Failure::usage("a device's name has at least one visible character"));
    }
    let name = text::short("device name", name, NAME_CHARS)?;
    let profile = OpenProfile::open(context, Need::Outbox).await?;
    profile.reachable().await;
    let command = device::Rename { device, name };
    let device = profile.ask(command).await?;
    context.ui.happened(context.ui.show(&Line::device(&device)));
    profile.settle().await;
    profile.close().await;
    Ok(())
}

async fn revoke(context: &Context, device: String, sure: bool) -> Result {
    if !sure && !prompt::somebody_is_there(context) {
        return Err(Failure::Usage {
            message: "revoking a device is for ever, and there is no terminal to ask on".into(),
            hint: Some(Hint::text("say so with --yes")),
        });
    }
    let profile = OpenProfile::open(context, Need::Everything).await?;
    profile.online().await?;
    profile.refresh().await?;
    if !sure {
        let what = named_device(&devices(&profile).await?, &device);
        let question = format!("Revoke {what}? It can never come back.");
        if !prompt::yes(context, &question).await? {
            profile.close().await;
            return Err(ErrorKind::Refused
                .because("nothing was revoked")
                .hint(Hint::text("you said no"))
                .into());
        }
    }
    let device = profile.ask(device::Revoke { device }).await?;
    context.ui.happened(context.ui.show(&Line::device(&device)));
    // Its removal from the groups leaves with this command if it can.
    profile.settle().await;
    profile.close().await;
    Ok(())
}

async fn resume(context: &Context, sure: bool) -> Result {
    let profile = OpenProfile::open(context, Need::Everything).await?;
    if !profile.status().await?.stopped {
        context.ui.note("this profile has not stopped: nothing was changed");
        profile.close().await;
        return Ok(());
    }
    if !sure && !prompt::somebody_is_there(context) {
        profile.close().await;
        return Err(Failure::Usage {
            message: "another copy of this profile stops for this one, and there is no terminal to ask on"
                .into(),
            hint: Some(Hint::text("say so with --yes")),
        });
    }
    if !sure {
        let question = "Is the other copy of this profile gone, or not used any more?";
        if !prompt::yes(context, question).await? {
            profile.close().await;
            return Err(ErrorKind::Refused
                .because("this profile stays stopped")
                .hint(Hint::text("you said no"))
                .into());
        }
    }
    let Done {} = profile.ask(device::Resume {}).await?;
    context.ui.note("this profile goes on; its groups come back as their members answer");
    profile.reachable().await;
    profile.settle().await;
    profile.close().await;
    Ok(())
}

async fn recover(context: &Context, phrase_file: Option<&Path>, name: String) -> Result {
    let phrase = phrase(context, phrase_file).await?;
    let profile = OpenProfile::fresh(context, Need::Everything).await?;
    let recovered = async {
        profile.reach().await?;
        profile.ask(device::Recover { phrase, name }).await
    };
    let account = match recovered.await {
        Ok(account) => account,
        Err(error) => {
            let failure = Failure::from(error);
            profile.undo(failure.kind()).await;
            return Err(failure);
        }
    };
    context.ui.happened(context.ui.show(&Line::account(&account)));
    context.ui.note("every other device of the account is revoked; groups come back as their members answer");
    profile.settle().await;
    profile.close().await;
    Ok(())
}

async fn phrase(context: &Context, file: Option<&Path>) -> Result<String> {
    let text = match file {
        Some(path) if path.as_os_str() == "-" => prompt::everything()?,
        Some(path) => std::fs::read_to_string(path).map_err(|error| {
            ErrorKind::Misuse
                .because_of(format_args!("the phrase cannot be read from {}", path.display()), error)
        })?,
        None if prompt::somebody_is_there(context) => {
            prompt::hidden(context, "Recovery phrase (not shown): ").await?
        }
        None => prompt::everything()?,
    };
    let words: Vec<&str> = text.split_whitespace().collect();
    if words.is_empty() {
        return Err(Failure::usage("the recovery phrase is empty"));
    }
    Ok(words.join(" ").to_lowercase())
}

async fn devices(profile: &OpenProfile<'_>) -> Result<Vec<DeviceView>> {
    Ok(profile.ask(device::List {}).await?)
}

/// The device as a person knows it, if it is one clearly; the core decides what was meant.
fn named_device(devices: &[DeviceView], wanted: &str) -> String {
    let fits = |device: &&DeviceView| {
        device.name == wanted || (!wanted.is_empty() && device.device_id.to_string().starts_with(wanted))
    };
    match devices.iter().filter(fits).collect::<Vec<_>>().as_slice() {
        [one] => format!("{} ({})", one.name, one.device_id),
        _ => wanted.into(),
    }
}

pub(super) fn named(name: Option<String>) -> Result<String> {
    let host = || rustix::system::uname().nodename().to_string_lossy().into_owned();
    let name = name.unwrap_or_else(|| host().chars().take(NAME_CHARS).collect());
    text::short("device name", name, NAME_CHARS)
}
