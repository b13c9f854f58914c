//! `bot`: programs that are members.

use std::path::PathBuf;
use std::time::Duration;

use cipher_api::{ErrorKind, Event, Hint};
use cipher_broker::handle::Handle;

use crate::app::bot_account;
use crate::app::profile::OpenProfile;
use crate::cli::context::Context;
use crate::cli::exit::{Failure, Result};
use crate::cli::input::interrupt::Interrupt;
use crate::cli::show::line::Line;
use crate::host::{self, Source};
use crate::settings::Settings;

/// How often a bot that waits for the broker looks whether it is there.
const LOOK: Duration = Duration::from_millis(500);

/// Run bots
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cipher-chat bot run echo\n  cipher-chat bot run echo --handle alice.echo\n  cipher-chat bot run counter --exec ./target/release/counter\n  cipher-chat bot register echo --into /var/lib/cipher-bot/echo\n  cipher-chat group add ops @echo"
)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Run a bot until interrupted
    ///
    /// On its first run the bot gets an account of its own, owned by yours; others can see that it is a bot, and whose. Add it
    /// to groups like a person; it accepts your invitations. In a profile made by `bot register --into` the account of that
    /// profile is the bot.
    Run {
        /// Name of a bot that ships (see `bot list`), or any name with --exec
        #[arg(required_unless_present = "exec", required_unless_present = "named")]
        name: Option<String>,
        /// The same as the argument NAME
        #[arg(long = "name", id = "named", value_name = "NAME", conflicts_with = "name")]
        named: Option<String>,
        /// Handle of its account [default: its name]
        #[arg(long, value_name = "HANDLE")]
        handle: Option<Handle>,
        /// Program that is the bot; it reads events from its standard input
        #[arg(long, value_name = "PATH")]
        exec: Option<PathBuf>,
    },
    /// Make the account of a bot, owned by yours, without running it
    ///
    /// With --into the bot gets a home folder of its own, which holds nothing of yours: another user or machine can run it
    /// there with: cipher-chat bot run NAME --home DIR --profile NAME. Run again, the command shows the account.
    Register {
        /// Name of the bot, and of its profile
        name: String,
        /// Handle of its account [default: its name]
        #[arg(long, value_name = "HANDLE")]
        handle: Option<Handle>,
        /// Home folder that the bot will run in [default: inside your own profile]
        #[arg(long, value_name = "DIR")]
        into: Option<PathBuf>,
    },
    /// List the bots that ship
    List,
}

/// Runs it.
pub async fn run(context: &Context, args: Args) -> Result {
    match args.verb {
        Verb::List => list(context).await,
        Verb::Register { name, handle, into } => make(context, &name, handle.as_ref(), into).await,
        Verb::Run { name, named, handle, exec } => {
            let name = name
                .or(named)
                .or_else(|| exec.as_ref().and_then(stem))
                .ok_or_else(|| Failure::usage("the bot has no name: give one before --exec"))?;
            let source = source(&name, exec)?;
            let mut stop = Interrupt::listen();
            let (profile, account) = bot_account::open_alone(context, &name, handle.as_ref()).await?;
            if profile.session.is_remote() {
                return Err(ErrorKind::Conflict
                    .because(format!("the bot {name} runs already, or another command has its profile open"))
                    .hint(Hint::text("one process at a time is the bot; stop the other first"))
                    .into());
            }
            context.ui.show(&Line::account(&account))?;
            let ready = Line::Ready {
                server: None,
                home: None,
                profile: None,
                bot: Some(&name),
                handle: Some(&account.handle),
            };
            let ended = host(context, &profile, &name, source, &ready, &mut stop).await;
            profile.close().await;
            ended
        }
    }
}

/// Hosts until the end, and passes on what a person should know. It is ready once the broker is reached.
async fn host(
    context: &Context,
    profile: &OpenProfile<'_>,
    name: &str,
    source: Source,
    ready: &Line<'_>,
    stop: &mut Interrupt,
) -> Result {
    let mut news = profile.session.events();
    profile.goes_on().await?;
    let mut told = profile.reachable().await;
    if told {
        context.ui.show(ready)?;
    } else {
        let error = profile.unreachable();
        context.ui.warn(&format!("{error}; the bot is ready as soon as it can be"));
    }
    let mut look = tokio::time::interval(LOOK);
    let hosting = host::run(&profile.session, profile.place()?, name, source);
    tokio::pin!(hosting);
    let mut listening = true;
    loop {
        tokio::select! {
            result = &mut hosting => return Ok(result?),
            () = stop.wait() => return Ok(()),
            _ = look.tick(), if !told => {
                told = profile.session.connected(Duration::ZERO).await;
                if told {
                    context.ui.show(ready)?;
                }
            }
            event = news.next(), if listening => match event {
                Some(Event::Stopped { error }) => return Err(profile.blamed(error).into()),
                Some(event @ (Event::Evidence(_) | Event::Warning { .. } | Event::Connection { .. })) => profile.hear(&event),
                Some(_) => {}
                None => listening = false,
            },
        }
    }
}

/// Makes the account of a bot and shows it; one that is there already is shown.
async fn make(context: &Context, name: &str, handle: Option<&Handle>, into: Option<PathBuf>) -> Result {
    let (home, profile) = match into {
        None => (context.settings.home.clone(), format!("{}/{name}", context.settings.profile)),
        Some(home) => {
            let home = std::path::absolute(&home)
                .map_err(|error| Failure::usage(format!("the folder {}: {error}", home.display())))?;
            (home, name.to_owned())
        }
    };
    let settings = Settings { home, profile, profile_chosen: true, ..context.settings.clone() };
    let place = Context { settings, ui: context.ui.clone() };
    let (profile, account) = bot_account::make(context, &place, name, handle).await?;
    context.ui.show(&Line::account(&account))?;
    profile.close().await;
    Ok(())
}

async fn list(context: &Context) -> Result {
    let mut bots = Vec::new();
    for (name, make) in cipher_bots::catalog() {
        bots.push((*name, make().description().about, bot_account::handle_of(context, name).await));
    }
    let lines: Vec<_> =
        bots.iter().map(|(name, about, handle)| Line::Bot { name, about, handle: handle.clone() }).collect();
    context.ui.list(&lines, "no bots")
}

fn source(name: &str, exec: Option<PathBuf>) -> Result<Source> {
    if let Some(path) = exec {
        return if path.is_file() {
            Ok(Source::Program(path))
        } else {
            Err(ErrorKind::NotFound.because(format!("there is no program {}", path.display())).into())
        };
    }
    cipher_bots::find(name).map(Source::Bot).ok_or_else(|| {
        let known: Vec<_> = cipher_bots::catalog().iter().map(|(name, _)| *name).collect();
        ErrorKind::NotFound
            .because(format!("no bot {name} in the catalog"))
            .hint(Hint::text(format!(
                "bots that ship: {}; your own: cipher-chat bot run NAME --exec PATH",
                known.join(", ")
            )))
            .into()
    })
}

#[expect(clippy::ptr_arg, reason = "called on an Option<PathBuf>")]
fn stem(path: &PathBuf) -> Option<String> {
    path.file_stem().and_then(|stem| stem.to_str()).map(str::to_lowercase)
}
