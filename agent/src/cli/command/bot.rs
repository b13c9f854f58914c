//! `bot`: programs that are members.

use std::path::PathBuf;
use std::time::Duration;

use cipher_broker::certificate::Kind;
use cipher_broker::handle::Handle;
use cipher_core::view::AccountView;
use cipher_core::{BotOwnership, Command, ErrorKind, Event, Reply};

use crate::cli::context::Context;
use crate::cli::desk::Desk;
use crate::cli::exit::{Failure, Result, unexpected};
use crate::cli::input::interrupt::Interrupt;
use crate::cli::show::line::Line;
use crate::host::{self, Source};
use crate::profile::Profile;
use crate::session::Need;
use crate::settings::Settings;

/// How long another command that has the bot's profile open is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

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
    /// The first time it gets an account of its own, owned by yours, and everybody can see both. Add it to groups
    /// like anybody else; it accepts your invitations. In a profile that is a bot's own, made by `bot register --into`,
    /// that account is the bot.
    Run {
        /// Name of a bot of the catalog, or with --exec any name
        #[arg(required_unless_present = "exec", required_unless_present = "named")]
        name: Option<String>,
        /// The name, for those who like it as a flag
        #[arg(long = "name", id = "named", value_name = "NAME", conflicts_with = "name")]
        named: Option<String>,
        /// Handle of its account [default: its name]
        #[arg(long, value_name = "HANDLE")]
        handle: Option<Handle>,
        /// Program that is the bot; it is told events on its standard input
        #[arg(long, value_name = "PATH")]
        exec: Option<PathBuf>,
    },
    /// Make the account of a bot, owned by yours, without running it
    ///
    /// With --into it gets a home of its own, which holds nothing of yours: another user or machine can run it there
    /// by `bot run NAME` with --home DIR and --profile NAME. Repeated, it shows the account that is there.
    Register {
        /// Name of the bot, which is the name of its profile too
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
        Verb::Register { name, handle, into } => make(context, &name, handle, into).await,
        Verb::Run { name, named, handle, exec } => {
            let name = name
                .or(named)
                .or_else(|| exec.as_ref().and_then(stem))
                .ok_or_else(|| Failure::usage("the bot has no name: give one before --exec"))?;
            let source = source(&name, exec)?;
            let mut stop = Interrupt::listen();
            let (desk, account) = open(context, &name, handle).await?;
            let (desk, account) = alone(context, &name, desk, account).await?;
            if desk.session.is_remote() {
                return Err(ErrorKind::Conflict
                    .because(format!("the bot {name} runs already, or another command has its profile open"))
                    .hint("one process at a time is the bot; stop the other first")
                    .into());
            }
            context.ui.show(&Line::account(&account))?;
            let ready =
                Line::Ready { server: None, home: None, bot: Some(&name), handle: Some(&account.handle) };
            let ended = host(context, &desk, &name, source, &ready, &mut stop).await;
            desk.close().await;
            ended
        }
    }
}

/// A command that has the bot's profile open for a moment is waited for.
async fn alone<'a>(
    context: &'a Context,
    name: &str,
    desk: Desk<'a>,
    account: AccountView,
) -> Result<(Desk<'a>, AccountView)> {
    if !desk.session.is_remote() || tokio::time::timeout(PATIENCE, desk.session.ended()).await.is_err() {
        return Ok((desk, account));
    }
    desk.close().await;
    open(context, name, None).await
}

/// Hosts until the end, and passes on what a person should know. It is ready once the broker is reached.
async fn host(
    context: &Context,
    desk: &Desk<'_>,
    name: &str,
    source: Source,
    ready: &Line<'_>,
    stop: &mut Interrupt,
) -> Result {
    let mut news = desk.session.events();
    desk.goes_on().await?;
    let mut told = desk.reachable().await;
    if told {
        context.ui.show(ready)?;
    } else {
        let error = desk.unreachable();
        context.ui.warn(&format!("{error}; the bot is ready as soon as it can be"));
    }
    let mut look = tokio::time::interval(LOOK);
    let hosting = host::run(&desk.session, name, source);
    tokio::pin!(hosting);
    let mut listening = true;
    loop {
        tokio::select! {
            result = &mut hosting => return Ok(result?),
            () = stop.wait() => return Ok(()),
            _ = look.tick(), if !told => {
                told = desk.session.connected(Duration::ZERO).await;
                if told {
                    context.ui.show(ready)?;
                }
            }
            event = news.next(), if listening => match event {
                Some(Event::Stopped(error)) => return Err(desk.worded(error).into()),
                Some(event @ (Event::Evidence(_) | Event::Warning(_) | Event::Connection { .. })) => desk.hear(&event),
                Some(_) => {}
                None => listening = false,
            },
        }
    }
}

/// The bot's own profile, with an account: made now if this is its first run.
pub async fn open<'a>(
    context: &'a Context,
    name: &str,
    handle: Option<Handle>,
) -> Result<(Desk<'a>, AccountView)> {
    // Both must make sense before anything is written.
    let nested = format!("{}/{name}", context.settings.profile);
    Profile::new(&context.settings.home, &nested)?;
    let wanted = wanted(name, handle.as_ref())?;
    Desk::known(context).map_err(|failure| without_account(context, name, failure))?;
    if let Some(known) = known(context, &nested, name, handle.as_ref()).await? {
        return Ok(known);
    }
    // The profile in force is the bot's own, or its owner's.
    let own = context.settings.profile.clone();
    let desk = Desk::open(context, Need::Local).await?;
    let account = desk.request(Command::Whoami).await;
    desk.close().await;
    match account {
        Ok(Reply::Account(account)) if account.kind == Kind::Bot => {
            match known(context, &own, name, handle.as_ref()).await? {
                Some(known) => Ok(known),
                None => Err(unexpected()),
            }
        }
        Ok(_) => register(context, name, context, &nested, wanted).await,
        Err(failure) => Err(without_account(context, name, failure)),
    }
}

/// Makes the account of a bot and shows it; one that is there already is shown.
async fn make(context: &Context, name: &str, handle: Option<Handle>, into: Option<PathBuf>) -> Result {
    let own = &context.settings.profile;
    let (home, profile) = match into {
        None => (context.settings.home.clone(), format!("{own}/{name}")),
        Some(home) => {
            let home = std::path::absolute(&home)
                .map_err(|error| Failure::usage(format!("the folder {}: {error}", home.display())))?;
            (home, name.to_owned())
        }
    };
    let settings =
        Settings { home, profile: profile.clone(), profile_chosen: true, ..context.settings.clone() };
    let place = Context { settings, ui: context.ui };
    let folder = Profile::new(&place.settings.home, &profile)?;
    if Profile::new(&context.settings.home, own)? == folder {
        return Err(Failure::usage(format!("profile {own} in that home is your own; the bot needs another")));
    }
    let wanted = wanted(name, handle.as_ref())?;
    Desk::known(context)?;
    let (desk, account) = match known(&place, &profile, name, handle.as_ref()).await? {
        Some((_, account)) if account.kind != Kind::Bot => {
            return Err(ErrorKind::Conflict
                .because(format!("profile {profile} in {} is a person's", place.settings.home.display()))
                .hint("give the bot another home with --into, or another name")
                .into());
        }
        Some(known) => known,
        None => register(context, name, &place, &profile, wanted).await?,
    };
    context.ui.show(&Line::account(&account))?;
    desk.close().await;
    Ok(())
}

/// The handle that a bot is to have.
fn wanted(name: &str, handle: Option<&Handle>) -> Result<Handle> {
    handle.map_or_else(
        || {
            name.parse().map_err(|error| Failure::Usage {
                message: format!("the name {name} cannot be a handle: {error}"),
                hint: Some("choose one with --handle".into()),
            })
        },
        |handle| Ok(handle.clone()),
    )
}

/// A profile that has an account already, which must have that handle if one is named.
async fn known<'a>(
    context: &'a Context,
    profile: &str,
    name: &str,
    handle: Option<&Handle>,
) -> Result<Option<(Desk<'a>, AccountView)>> {
    if !Profile::new(&context.settings.home, profile)?.exists() {
        return Ok(None);
    }
    let desk = Desk::open_profile(context, profile, Need::Everything).await?;
    if let Ok(Reply::Account(account)) = desk.session.request(Command::Whoami).await {
        if handle.is_some_and(|handle| *handle != account.handle) {
            return Err(ErrorKind::Misuse
                .because(format!("bot {name} has the handle @{} already", account.handle))
                .hint("leave --handle out, or run it under another name")
                .into());
        }
        return Ok(Some((desk, *account)));
    }
    desk.close().await;
    Ok(None)
}

/// A profile that is named like the bot is meant to be the bot's own: registering a person there would take its handle.
fn without_account(context: &Context, name: &str, failure: Failure) -> Failure {
    let settings = &context.settings;
    match failure {
        Failure::Failed(error) if settings.profile == name => {
            let home = settings.home.display();
            let make = format!("cipher-chat --profile OWNER bot register {name} --into {home}");
            Failure::Failed(
                error.hint(format!("make the bot's account first, with its owner's profile: {make}")),
            )
        }
        other => other,
    }
}

/// Both halves: the bot makes its keys in a place and profile, its owner signs for them, the registry takes both.
async fn register<'a>(
    owner: &Context,
    name: &str,
    place: &'a Context,
    profile: &str,
    handle: Handle,
) -> Result<(Desk<'a>, AccountView)> {
    let owner_desk = Desk::open(owner, Need::Outbox).await?;
    let Reply::OwnerCard { owner, handle: owner_handle } = owner_desk.request(Command::OwnerCard).await?
    else {
        return Err(unexpected());
    };
    let desk = Desk::open_profile(place, profile, Need::Everything).await?;
    let Reply::BotCertificate(certificate) =
        desk.request(Command::PrepareBot { owner: owner.clone() }).await?
    else {
        return Err(unexpected());
    };
    let Reply::Signature(signature) = owner_desk.request(Command::SignBot { certificate }).await? else {
        return Err(unexpected());
    };
    owner_desk.close().await;
    desk.reach().await?;
    let bot = Some(BotOwnership { owner, handle: owner_handle, signature });
    let command = Command::Register { handle: handle.clone(), name: name.into(), bot, invite_code: None };
    match desk.request(command).await {
        Ok(Reply::Registered { account, .. }) => {
            desk.settle().await;
            Ok((desk, *account))
        }
        Ok(_) => Err(unexpected()),
        Err(Failure::Failed(error)) if error.kind == ErrorKind::Conflict => Err(error
            .hint(format!("@{handle} belongs to somebody else: choose another with --handle"))
            .into()),
        Err(failure) => Err(failure),
    }
}

async fn list(context: &Context) -> Result {
    let mut bots = Vec::new();
    for (name, make) in cipher_bots::catalog() {
        bots.push((*name, make().description().about, handle_of(context, name).await));
    }
    let lines: Vec<_> =
        bots.iter().map(|(name, about, handle)| Line::Bot { name, about, handle: handle.clone() }).collect();
    context.ui.list(&lines, "no bots")
}

/// Its handle, if it has an account under this profile.
async fn handle_of(context: &Context, name: &str) -> Option<Handle> {
    let nested = format!("{}/{name}", context.settings.profile);
    if !Profile::new(&context.settings.home, &nested).ok()?.exists() {
        return None;
    }
    let desk = Desk::open_profile(context, &nested, Need::Local).await.ok()?;
    let reply = desk.session.request(Command::Whoami).await;
    desk.close().await;
    match reply {
        Ok(Reply::Account(account)) => Some(account.handle),
        _ => None,
    }
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
            .hint(format!("bots that ship: {}; your own: bot run NAME --exec PATH", known.join(", ")))
            .into()
    })
}

#[expect(clippy::ptr_arg, reason = "called on an Option<PathBuf>")]
fn stem(path: &PathBuf) -> Option<String> {
    path.file_stem().and_then(|stem| stem.to_str()).map(str::to_lowercase)
}
