//! `group`: conversations of several people and bots.

use cipher_broker::certificate::Kind;
use cipher_broker::handle::Handle;
use cipher_broker::limit;
use cipher_broker::wire::group;
use cipher_core::view::{ContactState, ContactView, GroupView, MemberView};
use cipher_core::{Command, Reply, Target, Who};

use crate::app::profile::OpenProfile;
use crate::cli::command::join;
use crate::cli::context::Context;
use crate::cli::exit::{Failure, Result, unexpected};
use crate::cli::input::target;
use crate::cli::input::text;
use crate::cli::input::time_arg::Lifetime;
use crate::cli::show::line::Line;
use crate::cli::show::paint::at;
use crate::session::Need;

/// Make groups, answer invitations, invite by link, change who is in
///
/// A group is named by its name, if that is unambiguous, or by its id.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cipher-chat group create ops --with @bob,@carol\n  cipher-chat group accept ops\n  cipher-chat group add ops @echo\n  cipher-chat group role ops @bob admin\n  cipher-chat group invite ops --expires 1d --uses 5"
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
        #[arg(long, value_name = "HANDLE,..", value_delimiter = ',', value_parser = target::handle)]
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
        #[arg(value_parser = target::target)]
        group: Target,
    },
    /// Join a group one was invited to, or take the place back that somebody offers in it
    Accept {
        /// Which
        #[arg(value_parser = target::target)]
        group: Target,
    },
    /// Drop an invitation, or an offer to be let back in
    Decline {
        /// Which
        #[arg(value_parser = target::target)]
        group: Target,
    },
    /// Add people or bots
    Add {
        /// Which group
        #[arg(value_parser = target::target)]
        group: Target,
        /// Whom
        #[arg(required = true, value_parser = target::handle)]
        handles: Vec<Handle>,
    },
    /// Remove people or bots
    Remove {
        /// Which group
        #[arg(value_parser = target::target)]
        group: Target,
        /// Whom: handle or account id
        #[arg(required = true, value_name = "WHO", value_parser = target::who)]
        who: Vec<Who>,
    },
    /// Remove people or bots and keep them out: nobody can add them, and no link lets them in
    Ban {
        /// Which group
        #[arg(value_parser = target::target)]
        group: Target,
        /// Whom: handle or account id
        #[arg(required = true, value_name = "WHO", value_parser = target::who)]
        who: Vec<Who>,
    },
    /// Lift a ban
    Unban {
        /// Which group
        #[arg(value_parser = target::target)]
        group: Target,
        /// Whom: handle or account id
        #[arg(required = true, value_name = "WHO", value_parser = target::who)]
        who: Vec<Who>,
    },
    /// Make a link by which others can join; list or revoke links
    #[command(
        after_help = "Examples:\n  cipher-chat group invite ops\n  cipher-chat group invite ops --expires 12h --uses 1\n  cipher-chat group invite ops --approve\n  cipher-chat group invite ops --list\n  cipher-chat group invite ops --revoke mfrggzdf"
    )]
    Invite {
        /// Which group
        #[arg(value_parser = target::target)]
        group: Target,
        /// How long it is good: 90s, 30m, 12h, 7d, 2w
        #[arg(long, value_name = "TIME", default_value = "7d")]
        expires: Lifetime,
        /// How many may join by it [default: any number]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        uses: Option<u32>,
        /// Somebody approves each request: cipher-chat group requests
        #[arg(long)]
        approve: bool,
        /// List the links instead
        #[arg(long, conflicts_with_all = ["expires", "uses", "approve", "revoke"])]
        list: bool,
        /// Revoke a link instead: its id, or the link
        #[arg(long, value_name = "ID", conflicts_with_all = ["expires", "uses", "approve"])]
        revoke: Option<String>,
    },
    /// Join a group by a link; the same as `cipher-chat join`
    Join(join::Args),
    /// List who asks to be let in, or answer one
    #[command(
        after_help = "Examples:\n  cipher-chat group requests\n  cipher-chat group requests ops --accept @carol\n  cipher-chat group requests ops --deny @mallory"
    )]
    Requests {
        /// Which group; all when left out
        #[arg(value_parser = target::target)]
        group: Option<Target>,
        /// Let somebody in: handle or account id
        #[arg(long, value_name = "WHO", requires = "group", conflicts_with = "deny")]
        accept: Option<String>,
        /// Do not let somebody in: handle or account id
        #[arg(long, value_name = "WHO", requires = "group")]
        deny: Option<String>,
    },
    /// Rename a group
    Rename {
        /// Which group
        #[arg(value_parser = target::target)]
        group: Target,
        /// Its new name
        name: String,
    },
    /// Call a group by a name of your own, on this device only
    #[command(
        after_help = "Examples:\n  cipher-chat group alias ops-2 carols-ops\n  cipher-chat group alias carols-ops ''"
    )]
    Alias {
        /// Which group
        #[arg(value_parser = target::target)]
        group: Target,
        /// What to call it; empty: its own name again
        name: String,
    },
    /// Give a member a role
    Role {
        /// Which group
        #[arg(value_parser = target::target)]
        group: Target,
        /// Whom: handle or account id
        #[arg(value_parser = target::who)]
        who: Who,
        /// The role
        role: Role,
    },
    /// Leave a group
    Leave {
        /// Which
        #[arg(value_parser = target::target)]
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

impl Verb {
    /// The group whose links are asked for.
    const fn group(&self) -> Option<&Target> {
        if let Self::Invite { group, .. } = self { Some(group) } else { None }
    }

    const fn looks_only(&self) -> bool {
        matches!(
            self,
            Self::List
                | Self::Alias { .. }
                | Self::Show { .. }
                | Self::Invite { list: true, .. }
                | Self::Requests { accept: None, deny: None, .. }
        )
    }
}

/// Runs it.
pub async fn run(context: &Context, args: Args) -> Result {
    let verb = match args.verb {
        Verb::Join(args) => return join::run(context, args).await,
        other => other,
    };
    let looks_only = verb.looks_only();
    let named = verb.group().map(typed).unwrap_or_default();
    let (command, done) = command(verb)?;
    let profile = OpenProfile::open(context, Need::Everything).await?;
    if !looks_only {
        profile.online().await?;
    }
    // An invitation, a new member, a new name may lie at the broker: decide by what is true now.
    profile.refresh().await?;
    let before = match &command {
        Command::GroupAdd { target, .. } => members(&profile, target.clone()).await?,
        _ => Vec::new(),
    };
    let adds = matches!(&command, Command::GroupAdd { .. } | Command::GroupCreate { .. });
    match profile.request(command).await? {
        Reply::Done => {
            let (action, target) = done.ok_or_else(unexpected)?;
            context.ui.happened(context.ui.show(&Line::Done { action, target: Some(&target) }));
        }
        Reply::Group(group) => {
            let shown = context.ui.show(&Line::Group(&group));
            if looks_only {
                shown?;
            } else {
                context.ui.happened(shown);
            }
            if adds {
                let Reply::Contacts(contacts) = profile.request(Command::Contacts).await? else {
                    return Err(unexpected());
                };
                for why in silent_bots(&group, &before, &own_handle(&profile).await?, &contacts) {
                    context.ui.warn(&why);
                }
            }
        }
        Reply::Groups(groups) => {
            let lines: Vec<_> = groups.iter().map(Line::Group).collect();
            context.ui.list(&lines, "no groups yet: cipher-chat group create NAME --with @HANDLE")?;
        }
        Reply::JoinLink(link) => {
            context.ui.happened(context.ui.show(&Line::join_link(&link)));
            context.ui.qr(&link.link);
        }
        Reply::JoinLinks(links) => {
            let lines: Vec<_> = links.iter().map(Line::join_link).collect();
            context.ui.list(&lines, &format!("no links: cipher-chat group invite {named} makes one"))?;
        }
        Reply::JoinRequests(requests) => {
            let lines: Vec<_> = requests.iter().map(Line::join_request).collect();
            context.ui.list(&lines, "nobody asks to be let in")?;
        }
        _ => return Err(unexpected()),
    }
    if !looks_only {
        profile.settle().await;
    }
    profile.close().await;
    Ok(())
}

async fn members(profile: &OpenProfile<'_>, target: Target) -> Result<Vec<MemberView>> {
    match profile.request(Command::GroupShow { target }).await? {
        Reply::Group(group) => Ok(group.members),
        _ => Err(unexpected()),
    }
}

pub(super) async fn own_handle(profile: &OpenProfile<'_>) -> Result<Handle> {
    match profile.request(Command::Whoami).await? {
        Reply::Account(account) => Ok(account.handle),
        _ => Err(unexpected()),
    }
}

/// A sentence for each new member that is a bot which will not join: one of somebody else, that has not accepted us as
/// a contact (R-INV-01). Nobody would ever know why it does not answer.
pub(super) fn silent_bots<'a>(
    group: &'a GroupView,
    before: &'a [MemberView],
    own: &'a Handle,
    contacts: &'a [ContactView],
) -> impl Iterator<Item = String> + 'a {
    let accepted = move |bot: &MemberView| {
        let of = contacts.iter().find(|contact| contact.account_id == bot.account_id);
        of.is_some_and(|contact| contact.state == ContactState::Accepted)
    };
    let new = move |member: &&MemberView| {
        member.kind == Kind::Bot && before.iter().all(|known| known.account_id != member.account_id)
    };
    group.members.iter().filter(new).filter_map(move |bot| {
        let owner = bot.owner.as_deref().filter(|owner| *owner != own.as_str() && !accepted(bot))?;
        let name = bot.handle.as_str();
        let bot = at(name);
        // An owner who was never looked up is a long id, which says nothing to anybody.
        let (whose, who) = match owner.parse::<Handle>() {
            Ok(owner) => (format!("a bot of @{owner}"), format!("@{owner}")),
            Err(_) => ("somebody else's bot".into(), "its owner".into()),
        };
        let asks = format!("or accepts your request for it (contact add {name})");
        Some(if group.direct {
            format!(
                "{bot} is {whose} and answers whom its owner accepts: it will not answer before {who} accepts you \
                 (contact accept {own}, in the bot's profile)"
            )
        } else {
            format!(
                "{bot} is {whose} and follows its owner only: it will not answer here unless {who} adds it, {asks}"
            )
        })
    })
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
        Verb::Remove { group, who } => with_result(Command::GroupRemove { target: group, who }),
        Verb::Ban { group, who } => with_result(Command::GroupBan { target: group, who, lift: false }),
        Verb::Unban { group, who } => with_result(Command::GroupBan { target: group, who, lift: true }),
        Verb::Invite { group, list: true, .. } => with_result(Command::GroupInvites { target: group }),
        Verb::Invite { group, revoke: Some(link), .. } => {
            let done = Some(("revoked", link.clone()));
            Ok((Command::GroupInviteRevoke { target: group, link }, done))
        }
        Verb::Invite { group, expires, uses, approve, .. } => with_result(Command::GroupInvite {
            target: group,
            lifetime: expires.as_secs(),
            uses,
            approval: approve,
        }),
        // It has its own way through; see `run`.
        Verb::Join(args) => with_result(Command::Join { link: args.link }),
        Verb::Requests { group: Some(target), accept, deny: None } if accept.is_some() => {
            let account = accept.unwrap_or_default();
            let done = Some(("let in", account.clone()));
            Ok((Command::GroupRequestAnswer { target, account, accept: true }, done))
        }
        Verb::Requests { group: Some(target), deny: Some(account), .. } => {
            let done = Some(("denied", account.clone()));
            Ok((Command::GroupRequestAnswer { target, account, accept: false }, done))
        }
        Verb::Requests { group, .. } => with_result(Command::GroupRequests { target: group }),
        Verb::Rename { group, name } => {
            with_result(Command::GroupRename { target: group, name: named(name)? })
        }
        Verb::Alias { group, name } => {
            let name = text::short("group name", name, limit::GROUP_NAME_CHARS)?;
            with_result(Command::GroupAlias { target: group, name })
        }
        Verb::Role { group, who, role } => {
            with_result(Command::GroupRole { target: group, who, role: role.into() })
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
    text::short("group name", name, limit::GROUP_NAME_CHARS)
}

fn written(target: &Target) -> String {
    match target {
        Target::Account(handle) => format!("@{handle}"),
        Target::Group(id) => id.to_string(),
        Target::Name(name) => name.clone(),
    }
}

/// The same as a word of a command line.
fn typed(target: &Target) -> String {
    let word = written(target);
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '@' | '-' | '_' | '.');
    if word.chars().all(plain) { word } else { format!("'{}'", word.replace('\'', r"'\''")) }
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

#[cfg(test)]
mod tests {
    use super::*;
    use cipher_broker::id::{AccountId, GroupId};
    use cipher_core::view::GroupState;

    #[test]
    fn a_group_in_a_hint_is_one_word_of_a_command_line() {
        for (name, word) in
            [("ops", "ops"), ("night shift", "'night shift'"), ("it's $(x)", r"'it'\''s $(x)'")]
        {
            assert_eq!(typed(&Target::Name(name.into())), word);
        }
    }

    fn member(handle: &str, kind: Kind, owner: Option<&str>) -> MemberView {
        let mut account = [0; 32];
        account.iter_mut().zip(handle.bytes()).for_each(|(place, byte)| *place = byte);
        MemberView {
            handle: handle.into(),
            account_id: AccountId::from_bytes(account),
            role: group::Role::Member,
            kind,
            devices: 1,
            owner: owner.map(Into::into),
            trust: None,
            warning: None,
        }
    }

    #[test]
    fn d12_who_adds_a_bot_is_told_exactly_when_it_will_not_answer() {
        let members = vec![
            member("bob", Kind::Person, None),
            member("mine", Kind::Bot, Some("bob")),
            member("theirs", Kind::Bot, Some("alice")),
            member("earlier", Kind::Bot, Some("alice")),
            member("unknown", Kind::Bot, Some(&"x".repeat(52))),
        ];
        let view = GroupView {
            id: GroupId::from_bytes([1; 16]),
            name: "ops".into(),
            epoch: 1,
            accounts: members.len(),
            members,
            direct: false,
            unread: 0,
            state: GroupState::Active,
            invited_by: None,
            suite: 3,
            authenticator: String::new(),
            banned: Vec::new(),
            links: 0,
            recovering: None,
        };
        let before = [member("earlier", Kind::Bot, Some("alice"))];
        let own: Handle = "bob".parse().expect("a handle");
        let told: Vec<String> = silent_bots(&view, &before, &own, &[]).collect();
        assert_eq!(
            told,
            [
                "@theirs is a bot of @alice and follows its owner only: it will not answer here unless @alice adds it, \
                 or accepts your request for it (contact add theirs)",
                "@unknown is somebody else's bot and follows its owner only: it will not answer here unless its owner \
                 adds it, or accepts your request for it (contact add unknown)",
            ]
        );
        // D12: a bot that is a contact joins and answers.
        let contact = |state| ContactView {
            handle: "theirs".parse().expect("a handle"),
            account_id: view.members.iter().find(|m| m.handle == "theirs").expect("there").account_id,
            name: String::new(),
            status: String::new(),
            presence: cipher_broker::wire::registry::Presence::Available,
            state,
            trust: cipher_core::view::Trust::Unverified,
            devices: 1,
            text: None,
            warning: None,
        };
        let accepted = [contact(ContactState::Accepted)];
        assert_eq!(silent_bots(&view, &before, &own, &accepted).count(), 1);
        let pending = [contact(ContactState::Pending)];
        assert_eq!(silent_bots(&view, &before, &own, &pending).count(), 2);
        let direct = GroupView { direct: true, ..view.clone() };
        assert!(silent_bots(&direct, &before, &own, &[]).all(|told| told.contains("contact accept bob")));
    }
}
