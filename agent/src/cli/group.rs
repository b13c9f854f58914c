//! `group`: conversations of several people and bots.

use cipher_broker::handle::Handle;
use cipher_broker::limit;
use cipher_broker::wire::group;
use cipher_core::{Command, Reply, Target};

use crate::cli::desk::{self, Desk};
use crate::cli::exit::{Failure, Result, unexpected};
use crate::cli::line::Line;
use crate::cli::run::Context;
use crate::session::Need;

/// Make groups, answer invitations, change who is in
///
/// A group is named by its name, if that is unambiguous, or by its id.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cipher-chat group create ops --with @bob,@carol\n  cipher-chat group accept ops\n  cipher-chat group add ops @echo\n  cipher-chat group role ops @bob admin"
)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Make a group
    Create {
        /// Its name
        name: String,
        /// First members
        #[arg(long, value_name = "HANDLE,..", value_delimiter = ',')]
        with: Vec<Handle>,
        /// Post-quantum key agreement (X-Wing)
        #[arg(long)]
        pq: bool,
    },
    /// List groups and invitations
    List,
    /// Show a group and its members
    Show {
        /// Which
        #[arg(value_parser = desk::target)]
        group: Target,
    },
    /// Join a group one was invited to
    Accept {
        /// Which
        #[arg(value_parser = desk::target)]
        group: Target,
    },
    /// Drop an invitation
    Decline {
        /// Which
        #[arg(value_parser = desk::target)]
        group: Target,
    },
    /// Add people or bots
    Add {
        /// Which group
        #[arg(value_parser = desk::target)]
        group: Target,
        /// Whom
        #[arg(required = true)]
        handles: Vec<Handle>,
    },
    /// Remove people or bots
    Remove {
        /// Which group
        #[arg(value_parser = desk::target)]
        group: Target,
        /// Whom
        #[arg(required = true)]
        handles: Vec<Handle>,
    },
    /// Rename a group
    Rename {
        /// Which group
        #[arg(value_parser = desk::target)]
        group: Target,
        /// Its new name
        name: String,
    },
    /// Give a member a role
    Role {
        /// Which group
        #[arg(value_parser = desk::target)]
        group: Target,
        /// Whom
        handle: Handle,
        /// The role
        role: Role,
    },
    /// Leave a group
    Leave {
        /// Which
        #[arg(value_parser = desk::target)]
        group: Target,
    },
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Role {
    /// Reads and writes
    Member,
    /// Also adds, removes and renames
    Admin,
    /// Also gives roles
    Owner,
}

/// Runs it.
pub async fn run(context: &Context, args: Args) -> Result {
    let looks_only = matches!(args.verb, Verb::List | Verb::Show { .. });
    let (command, done) = command(args.verb)?;
    let desk = Desk::open(context, Need::Everything).await?;
    if !looks_only {
        desk.online().await?;
    }
    // An invitation, a new member, a new name may lie at the broker: decide by what is true now.
    desk.refresh().await?;
    match desk.request(command).await? {
        Reply::Done => {
            let (action, target) = done.ok_or_else(unexpected)?;
            context.ui.show(&Line::Done { action, target: Some(&target) })?;
        }
        Reply::Group(group) => context.ui.show(&Line::Group(&group))?,
        Reply::Groups(groups) => {
            let lines: Vec<_> = groups.iter().map(Line::Group).collect();
            context.ui.list(&lines, "no groups yet: cipher-chat group create NAME --with @HANDLE")?;
        }
        _ => return Err(unexpected()),
    }
    if !looks_only {
        desk.settle().await;
    }
    desk.close().await;
    Ok(())
}

/// The command, and what to say of it when it has no result of its own.
fn command(verb: Verb) -> Result<(Command, Option<(&'static str, String)>)> {
    let with_result = |command| Ok((command, None));
    match verb {
        Verb::Create { name, with, pq } => {
            with_result(Command::GroupCreate { name: named(name)?, with, post_quantum: pq })
        }
        Verb::List => with_result(Command::Groups),
        Verb::Show { group } => with_result(Command::GroupShow { target: group }),
        Verb::Accept { group } => with_result(Command::GroupAccept { target: group }),
        Verb::Decline { group } => {
            let target = written(&group);
            Ok((Command::GroupDecline { target: group }, Some(("declined", target))))
        }
        Verb::Add { group, handles } => with_result(Command::GroupAdd { target: group, handles }),
        Verb::Remove { group, handles } => with_result(Command::GroupRemove { target: group, handles }),
        Verb::Rename { group, name } => {
            with_result(Command::GroupRename { target: group, name: named(name)? })
        }
        Verb::Role { group, handle, role } => {
            with_result(Command::GroupRole { target: group, handle, role: role.into() })
        }
        Verb::Leave { group } => {
            let target = written(&group);
            Ok((Command::GroupLeave { target: group }, Some(("left", target))))
        }
    }
}

fn named(name: String) -> Result<String> {
    if name.trim().is_empty() {
        return Err(Failure::usage("a group name has at least one visible character"));
    }
    desk::short("group name", name, limit::GROUP_NAME_CHARS)
}

fn written(target: &Target) -> String {
    match target {
        Target::Account(handle) => format!("@{handle}"),
        Target::Group(id) => id.to_string(),
        Target::Name(name) => name.clone(),
    }
}

impl From<Role> for group::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::Member => Self::Member,
            Role::Admin => Self::Admin,
            Role::Owner => Self::Owner,
        }
    }
}
