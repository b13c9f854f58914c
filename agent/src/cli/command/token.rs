//! `token`: what lets a program use some of a profile for a while.

use cipher_api::command::group;
use cipher_api::{Hint, Target};

use crate::app::profile::OpenProfile;
use crate::cli::context::Context;
use crate::cli::exit::{Failure, Result};
use crate::cli::input::target;
use crate::cli::input::time_arg::Lifetime;
use crate::cli::show::line::{Line, TokenLine};
use crate::runtime::timer;
use crate::session::Need;
use crate::token::book::Wish;
use crate::token::grant::{Grant, Granted};
use crate::token::table::{self, Right};

/// Let a program use some conversations and methods of this profile, for a while
///
/// A token limits the program that uses it, through `rpc --token-file FILE` or on the socket of `daemon --token-socket PATH`. A
/// program that runs as you and can reach your files needs no token to read them: give it only standard input and output, another user,
/// or a container (docs/API.md, "Tokens").
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cipher-chat token create bridge --group ops > bridge.token\n  cipher-chat token create reader --group @bob --method \"event.*\" --expires 7d\n  cipher-chat rpc --token-file bridge.token\n  cipher-chat token list\n  cipher-chat token revoke bridge"
)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Make a token and print it, only this once
    ///
    /// Only a digest of it is kept. Without --method it allows listening, reading and sending: event.list,
    /// event.acknowledge, group.list, group.show, message.read, message.send, message.shown. No token is for accounts, contacts,
    /// devices, evidence or tokens.
    #[command(
        after_help = "Examples:\n  cipher-chat token create bridge --group ops > bridge.token\n  cipher-chat token create robot --all-groups --method \"bot.*\" --expires 12h",
        group(clap::ArgGroup::new("conversations").required(true).args(["group", "all_groups"]))
    )]
    Create {
        /// Name of the token; also the only name that a program with it may use as a subscriber or as a bot
        name: String,
        /// A conversation that the token is for: @handle, group name or id; repeat for more
        #[arg(long, value_name = "TARGET", value_parser = target::target)]
        group: Vec<Target>,
        /// The token is for all conversations, also future ones
        #[arg(long, conflicts_with = "group")]
        all_groups: bool,
        /// A method that the token is for, for example message.send, or all of one kind, for example "message.*"; repeat for more
        #[arg(long, value_name = "METHOD")]
        method: Vec<String>,
        /// How long the token is valid: 90s, 30m, 12h, 7d, 2w, at most 366d
        #[arg(long, value_name = "TIME", default_value = "30d", allow_hyphen_values = true)]
        expires: Lifetime,
    },
    /// List the tokens, expired ones too
    List,
    /// End a token at once, also for a program that uses it now
    Revoke {
        /// Name of the token
        name: String,
    },
}

/// Runs it.
pub async fn run(context: &Context, Args { verb }: Args) -> Result {
    match verb {
        Verb::Create { name, group, all_groups, method, expires } => {
            let methods = methods(&method, all_groups)?;
            let groups = if all_groups { None } else { Some(group) };
            create(context, name, groups, methods, expires).await
        }
        Verb::List => list(context).await,
        Verb::Revoke { name } => {
            OpenProfile::tokens(context).await?.revoke(&name)?;
            let line = Line::Done { action: "revoked", target: Some(&name) };
            context.ui.happened(context.ui.show(&line));
            Ok(())
        }
    }
}

async fn create(
    context: &Context,
    name: String,
    targets: Option<Vec<Target>>,
    methods: Vec<String>,
    expires: Lifetime,
) -> Result {
    let groups = match targets {
        Some(targets) => Some(conversations(context, targets).await?),
        None => None,
    };
    let now = timer::now();
    let wish = Wish { name, groups, methods, lifetime: expires.duration() };
    let (secret, grant) = OpenProfile::tokens(context).await?.create(wish, now)?;
    context.ui.show(&Line::Token(TokenLine::new(&grant, Some(&secret.reveal()), now)))?;
    context.ui.note(&format!(
        "this is shown once: keep it in a file that only its program reads; it expires at {}",
        context.ui.time(grant.expires_at)
    ));
    Ok(())
}

/// The conversations of a token, each once.
async fn conversations(context: &Context, targets: Vec<Target>) -> Result<Vec<Granted>> {
    let profile = OpenProfile::open(context, Need::Local).await?;
    let mut found: Vec<Granted> = Vec::new();
    for target in targets {
        let group = profile.ask(group::Show { target }).await?;
        if found.iter().all(|granted| granted.id != group.id) {
            found.push(Granted { id: group.id, name: group.name });
        }
    }
    profile.close().await;
    Ok(found)
}

/// The methods of a token by their whole names, each once. One that takes all conversations is refused here and not at each use; a
/// pattern stands for those that the token can use.
fn methods(patterns: &[String], all_groups: bool) -> Result<Vec<String>> {
    if patterns.is_empty() {
        return Ok(table::USUAL.map(Into::into).into());
    }
    let mut methods = Vec::new();
    for pattern in patterns {
        let mut named = table::named(pattern).peekable();
        if named.peek().is_none() {
            return Err(Failure::Usage {
                message: format!("no token can be for '{pattern}'"),
                hint: Some(Hint::text(
                    "name a method as message.send, or a noun as \"message.*\"; docs/API.md says which a token can have",
                )),
            });
        }
        let reaches = |method: &&str| all_groups || table::right(method) != Some(Right::Everywhere);
        let before = methods.len();
        methods.extend(named.filter(reaches).map(str::to_owned));
        if methods.len() == before {
            return Err(Failure::Usage {
                message: format!("{pattern} takes a token for all conversations"),
                hint: Some(Hint::text(
                    "make it with --all-groups instead of --group, or leave this method out",
                )),
            });
        }
    }
    methods.sort();
    methods.dedup();
    Ok(methods)
}

async fn list(context: &Context) -> Result {
    let (mut tokens, now) = (OpenProfile::tokens(context).await?.tokens()?, timer::now());
    rename(context, &mut tokens).await;
    let lines: Vec<Line<'_>> =
        tokens.iter().map(|grant| Line::Token(TokenLine::new(grant, None, now))).collect();
    context.ui.list(&lines, "no tokens")
}

/// Groups by the names they have now: another group may have the old one. While the profile cannot be opened, and for a group that it
/// does not know any more, that of before stays.
async fn rename(context: &Context, tokens: &mut [Grant]) {
    let mut granted = tokens.iter_mut().filter_map(|token| token.groups.as_mut()).flatten().peekable();
    if granted.peek().is_none() {
        return;
    }
    let Ok(profile) = OpenProfile::open(context, Need::Local).await else { return };
    for granted in granted {
        if let Ok(group) = profile.ask(group::Show { target: Target::Group(granted.id) }).await {
            granted.name = group.name;
        }
    }
    profile.close().await;
}
