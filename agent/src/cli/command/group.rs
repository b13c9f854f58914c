//! `group`: conversations of several people and bots.

use cipher_api::command::{account, contact, file, group, invite};
use cipher_api::reply::Done;
use cipher_api::view::{
    ContactState, ContactView, FileView, GroupView, JoinLinkView, JoinRequestView, MemberView,
};
use cipher_api::{Target, Who};
use cipher_broker::certificate::Kind;
use cipher_broker::handle::Handle;
use cipher_broker::limit;
use cipher_broker::wire::group as wire;

use crate::app::profile::OpenProfile;
use crate::cli::command::join;
use crate::cli::context::Context;
use crate::cli::exit::{Failure, Result, defect};
use crate::cli::input::setting::Setting;
use crate::cli::input::target;
use crate::cli::input::text;
use crate::cli::input::time_arg::{Lifetime, Until};
use crate::cli::show::line::Line;
use crate::cli::show::paint::at;
use crate::cli::show::typed::{self, Typed};
use crate::cli::zone::Zone;
use crate::runtime::timer;
use crate::session::Need;

/// Make groups, answer invitations, invite by link, add and remove members
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
        /// Name of the group
        name: String,
        /// Handles of the first members, separated by commas
        #[arg(long, value_name = "HANDLE,..", value_delimiter = ',', value_parser = target::handle)]
        with: Vec<Handle>,
        /// Post-quantum key agreement (X-Wing)
        #[arg(long)]
        pq: bool,
    },
    /// List groups and invitations
    List,
    /// List the files that were sent to a conversation, newest first
    Files {
        /// @handle, group name or group id
        #[arg(value_parser = target::target)]
        group: Target,
        /// Only the last N files
        #[arg(short = 'n', long = "last", value_name = "N")]
        last: Option<usize>,
    },
    /// Show a group and its members
    Show {
        /// Group name or id
        #[arg(value_parser = target::target)]
        group: Target,
    },
    /// Join a group that invited you, or take back the place in it that a member offers this device
    Accept {
        /// Group name or id
        #[arg(value_parser = target::target)]
        group: Target,
    },
    /// Drop an invitation, or an offer to be let back in
    Decline {
        /// Group name or id
        #[arg(value_parser = target::target)]
        group: Target,
    },
    /// Add people or bots
    Add {
        /// Group name or id
        #[arg(value_parser = target::target)]
        group: Target,
        /// Their handles
        #[arg(required = true, value_parser = target::handle)]
        handles: Vec<Handle>,
    },
    /// Remove people or bots
    Remove {
        /// Group name or id
        #[arg(value_parser = target::target)]
        group: Target,
        /// Handle or account id
        #[arg(required = true, value_name = "WHO", value_parser = target::who)]
        who: Vec<Who>,
    },
    /// Remove people or bots and keep them out: no member can add them, and no link lets them in
    Ban {
        /// Group name or id
        #[arg(value_parser = target::target)]
        group: Target,
        /// Handle or account id
        #[arg(required = true, value_name = "WHO", value_parser = target::who)]
        who: Vec<Who>,
    },
    /// Lift a ban
    Unban {
        /// Group name or id
        #[arg(value_parser = target::target)]
        group: Target,
        /// Handle or account id
        #[arg(required = true, value_name = "WHO", value_parser = target::who)]
        who: Vec<Who>,
    },
    /// Make a link by which others can join; list or revoke links
    #[command(
        after_help = "Examples:\n  cipher-chat group invite ops\n  cipher-chat group invite ops --expires 12h --uses 1\n  cipher-chat group invite ops --approve\n  cipher-chat group invite ops --list\n  cipher-chat group invite ops --revoke mfrggzdf"
    )]
    Invite {
        /// Group name or id
        #[arg(value_parser = target::target)]
        group: Target,
        /// How long the link is valid: 90s, 30m, 12h, 7d, 2w
        #[arg(long, value_name = "TIME", default_value = "7d", allow_hyphen_values = true)]
        expires: Lifetime,
        /// How many accounts may join by the link [default: any number]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        uses: Option<u32>,
        /// A member has to approve each request, with: cipher-chat group requests
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
    /// List the requests to join, or answer one
    #[command(
        after_help = "Examples:\n  cipher-chat group requests\n  cipher-chat group requests ops --accept @carol\n  cipher-chat group requests ops --deny @mallory"
    )]
    Requests {
        /// Group name or id [default: all groups]
        #[arg(value_parser = target::target)]
        group: Option<Target>,
        /// Let this account in: handle or account id
        #[arg(long, value_name = "WHO", requires = "group", conflicts_with = "deny")]
        accept: Option<String>,
        /// Do not let this account in: handle or account id
        #[arg(long, value_name = "WHO", requires = "group")]
        deny: Option<String>,
    },
    /// Rename a group
    Rename {
        /// Group name or id
        #[arg(value_parser = target::target)]
        group: Target,
        /// Its new name
        name: String,
    },
    /// Do not be told of a group's messages, on all your devices
    ///
    /// They come, are kept and count as before; what tells you of messages (see `tail --help`) stays silent. Nobody else
    /// hears of it.
    #[command(
        after_help = "Examples:\n  cipher-chat group mute ops\n  cipher-chat group mute ops --until 8h\n  cipher-chat group mute ops --until \"tomorrow 09:00\" --mentions"
    )]
    Mute {
        /// Group name or id, or @handle
        #[arg(value_parser = target::target)]
        group: Target,
        /// Until then, by your clock: 8h, tomorrow 09:00, 2026-08-01; for good without it
        #[arg(long, value_name = "TIME")]
        until: Option<Until>,
        /// Be told of what names you
        #[arg(long)]
        mentions: bool,
    },
    /// Be told of a group's messages again
    #[command(after_help = "Example:\n  cipher-chat group unmute ops")]
    Unmute {
        /// Group name or id, or @handle
        #[arg(value_parser = target::target)]
        group: Target,
    },
    /// Call a group by a name of your own, on all your devices; nobody else hears of it
    #[command(
        after_help = "Examples:\n  cipher-chat group alias ops-2 carols-ops\n  cipher-chat group alias carols-ops ''"
    )]
    Alias {
        /// Group name or id
        #[arg(value_parser = target::target)]
        group: Target,
        /// Your name for it; an empty one restores the group's own name
        name: String,
    },
    /// Set what the group is about and what it wants of messages
    ///
    /// topic=TEXT says what it is about. delete=nobody|owners|admins|all says who may take back what others said. pin=owners|admins|all
    /// says who may pin messages. edit=always|TIME says how long after it was said a message may be edited: 15m, 1h.
    /// expire=never|TIME says how long after it was read what is said from now on disappears, for all members; a message may name a
    /// shorter time (`send --expire`). retention=forever|TIME says how long members keep messages at all, those of before too.
    /// history=nobody|owners|admins|all says who may give members messages of before they came (`history grant`).
    #[command(
        after_help = "Examples:\n  cipher-chat group set ops topic='who is on call'\n  cipher-chat group set ops delete=admins edit=15m\n  cipher-chat group set ops expire=1d retention=90d"
    )]
    Set {
        /// Group name or id
        #[arg(value_parser = target::target)]
        group: Target,
        /// What to set
        #[arg(required = true, value_name = "KEY=VALUE")]
        settings: Vec<Setting>,
    },
    /// Give a member a role
    Role {
        /// Group name or id
        #[arg(value_parser = target::target)]
        group: Target,
        /// Handle or account id
        #[arg(value_parser = target::who)]
        who: Who,
        /// The role
        role: Role,
    },
    /// Leave a group
    Leave {
        /// Group name or id
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
    /// What can be told without asking: whether names are names.
    fn checked(self) -> Result<Self> {
        Ok(match self {
            Self::Create { name, with, pq } => Self::Create { name: named(name)?, with, pq },
            Self::Rename { group, name } => Self::Rename { group, name: named(name)? },
            Self::Alias { group, name } => {
                Self::Alias { group, name: text::short("group name", name, limit::GROUP_NAME_CHARS)? }
            }
            other => other,
        })
    }

    const fn looks_only(&self) -> bool {
        matches!(
            self,
            Self::List
                | Self::Files { .. }
                | Self::Alias { .. }
                | Self::Mute { .. }
                | Self::Unmute { .. }
                | Self::Show { .. }
                | Self::Invite { list: true, .. }
                | Self::Requests { accept: None, deny: None, .. }
        )
    }
}

/// What a verb gives, to be shown.
enum Outcome {
    Done(&'static str, String),
    Group(Box<GroupView>),
    /// Accounts were added, or invited first: bots among them may not answer.
    Added(Box<GroupView>, Vec<MemberView>),
    Groups(Vec<GroupView>),
    Files(Vec<FileView>),
    Link(Box<JoinLinkView>),
    Links(Vec<JoinLinkView>, Target),
    Requests(Vec<JoinRequestView>),
}

/// Runs it.
pub async fn run(context: &Context, args: Args) -> Result {
    let verb = match args.verb {
        Verb::Join(args) => return join::run(context, args).await,
        other => other.checked()?,
    };
    let looks_only = verb.looks_only();
    let tells_devices = matches!(verb, Verb::Alias { .. } | Verb::Mute { .. } | Verb::Unmute { .. });
    let profile = OpenProfile::open(context, Need::Everything).await?;
    if !looks_only {
        profile.online().await?;
    }
    // An invitation, a new member, a new name may lie at the broker: decide by what is true now.
    profile.refresh().await?;
    match done(&profile, verb, context.ui.zone()).await? {
        Outcome::Done(action, target) => {
            context.ui.happened(context.ui.show(&Line::Done { action, target: Some(&target) }));
        }
        Outcome::Group(group) => {
            let shown = context.ui.show(&Line::Group(&group));
            if looks_only {
                shown?;
            } else {
                context.ui.happened(shown);
            }
        }
        Outcome::Added(group, before) => {
            context.ui.happened(context.ui.show(&Line::Group(&group)));
            let contacts = profile.ask(contact::List {}).await?;
            for why in
                silent_bots(&group, &before, &own_handle(&profile).await?, &contacts, context.ui.typed())
            {
                context.ui.warn(&why);
            }
        }
        Outcome::Groups(groups) => {
            let lines: Vec<_> = groups.iter().map(Line::Group).collect();
            let make = context.ui.command("group create NAME --with @HANDLE");
            context.ui.list(&lines, &format!("no groups yet: {make}"))?;
        }
        Outcome::Files(files) => {
            let lines: Vec<_> = files.iter().map(Line::file).collect();
            context.ui.list(&lines, "no files yet")?;
        }
        Outcome::Link(link) => {
            context.ui.happened(context.ui.show(&Line::join_link(&link)));
            context.ui.qr(&link.link);
        }
        Outcome::Links(links, group) => {
            let lines: Vec<_> = links.iter().map(Line::join_link).collect();
            let make = context.ui.command(&format!("group invite {}", typed::target(&group)));
            context.ui.list(&lines, &format!("no links: {make} makes one"))?;
        }
        Outcome::Requests(requests) => {
            let lines: Vec<_> = requests.iter().map(Line::join_request).collect();
            context.ui.list(&lines, "no requests to join")?;
        }
    }
    if !looks_only || (tells_devices && profile.reachable().await) {
        profile.settle().await;
    }
    profile.close().await;
    Ok(())
}

async fn members(profile: &OpenProfile<'_>, target: Target) -> Result<Vec<MemberView>> {
    Ok(profile.ask(group::Show { target }).await?.members)
}

pub(super) async fn own_handle(profile: &OpenProfile<'_>) -> Result<Handle> {
    Ok(profile.ask(account::Show {}).await?.handle)
}

/// A sentence for each new member that is a bot which will not join: one of another account, that has not accepted us
/// as a contact (R-INV-01). Without it no person would know why the bot does not answer.
pub(super) fn silent_bots<'a>(
    group: &'a GroupView,
    before: &'a [MemberView],
    own: &'a Handle,
    contacts: &'a [ContactView],
    typed: &'a Typed,
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
            Err(_) => ("another account's bot".into(), "its owner".into()),
        };
        let asks = format!("or accepts your request for it ({})", typed.command(&format!("contact add {name}")));
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

/// Has it done.
async fn done(profile: &OpenProfile<'_>, verb: Verb, zone: &Zone) -> Result<Outcome> {
    let changed = |group: GroupView| Outcome::Group(Box::new(group));
    Ok(match verb {
        Verb::Create { name, with, pq } => {
            let group = profile.ask(group::Create { name, with, post_quantum: pq }).await?;
            Outcome::Added(Box::new(group), Vec::new())
        }
        Verb::Files { group: target, last } => {
            Outcome::Files(profile.ask(file::List { target, last }).await?)
        }
        Verb::List => Outcome::Groups(profile.ask(group::List {}).await?),
        Verb::Show { group } => changed(profile.ask(group::Show { target: group }).await?),
        Verb::Accept { group } => changed(profile.ask(group::Accept { target: group }).await?),
        Verb::Decline { group } => {
            let of = group.to_string();
            let Done {} = profile.ask(group::Decline { target: group }).await?;
            Outcome::Done("declined", of)
        }
        Verb::Add { group, handles } => {
            let before = members(profile, group.clone()).await?;
            let group = profile.ask(group::Add { target: group, handles }).await?;
            Outcome::Added(Box::new(group), before)
        }
        Verb::Remove { group, who } => changed(profile.ask(group::Remove { target: group, who }).await?),
        Verb::Ban { group, who } => {
            changed(profile.ask(group::Ban { target: group, who, lift: false }).await?)
        }
        Verb::Unban { group, who } => {
            changed(profile.ask(group::Ban { target: group, who, lift: true }).await?)
        }
        Verb::Invite { group, list: true, .. } => {
            Outcome::Links(profile.ask(invite::List { target: group.clone() }).await?, group)
        }
        Verb::Invite { group, revoke: Some(link), .. } => {
            let Done {} = profile.ask(invite::Revoke { target: group, link: link.clone() }).await?;
            Outcome::Done("revoked", link)
        }
        Verb::Invite { group, expires, uses, approve, .. } => {
            let lifetime = expires.as_secs();
            let create = invite::Create { target: group, lifetime, uses, approval: approve };
            Outcome::Link(Box::new(profile.ask(create).await?))
        }
        // It has its own way through; see `run`.
        Verb::Join(_) => return Err(defect("joining is a command of its own")),
        Verb::Requests { group: Some(target), accept: Some(account), deny: None } => {
            answered(profile, target, account, true).await?
        }
        Verb::Requests { group: Some(target), deny: Some(account), .. } => {
            answered(profile, target, account, false).await?
        }
        Verb::Requests { group, .. } => {
            Outcome::Requests(profile.ask(invite::Requests { target: group }).await?)
        }
        Verb::Rename { group, name } => changed(profile.ask(group::Rename { target: group, name }).await?),
        Verb::Alias { group, name } => changed(profile.ask(group::Alias { target: group, name }).await?),
        Verb::Set { group, settings } => changed(profile.ask(Setting::all(group, settings)).await?),
        Verb::Mute { group, until, mentions } => {
            let until = until.map(|until| until.from(timer::now(), zone));
            changed(profile.ask(group::Mute { target: group, until, mentions }).await?)
        }
        Verb::Unmute { group } => changed(profile.ask(group::Unmute { target: group }).await?),
        Verb::Role { group, who, role } => {
            changed(profile.ask(group::SetRole { target: group, who, role: role.into() }).await?)
        }
        Verb::Leave { group } => {
            let of = group.to_string();
            let Done {} = profile.ask(group::Leave { target: group }).await?;
            Outcome::Done("left", of)
        }
    })
}

async fn answered(
    profile: &OpenProfile<'_>,
    target: Target,
    account: String,
    accept: bool,
) -> Result<Outcome> {
    let answer = invite::Answer { target, account: account.clone(), accept };
    Ok(match profile.ask(answer).await? {
        Some(group) => Outcome::Group(Box::new(group)),
        None => Outcome::Done(if accept { "let in" } else { "denied" }, account),
    })
}

fn named(name: String) -> Result<String> {
    if name.trim().is_empty() {
        return Err(Failure::usage("a group name has at least one visible character"));
    }
    text::short("group name", name, limit::GROUP_NAME_CHARS)
}

impl From<Role> for wire::Role {
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
    use cipher_api::view::{GroupState, SettingsView};
    use cipher_broker::id::{AccountId, GroupId};

    fn member(handle: &str, kind: Kind, owner: Option<&str>) -> MemberView {
        let mut account = [0; 32];
        account.iter_mut().zip(handle.bytes()).for_each(|(place, byte)| *place = byte);
        MemberView {
            handle: handle.into(),
            account_id: AccountId::from_bytes(account),
            role: wire::Role::Member,
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
            settings: SettingsView::default(),
            mentions: 0,
            muted: None,
        };
        let before = [member("earlier", Kind::Bot, Some("alice"))];
        let own: Handle = "bob".parse().expect("a handle");
        let told: Vec<String> = silent_bots(&view, &before, &own, &[], &Typed::default()).collect();
        assert_eq!(
            told,
            [
                "@theirs is a bot of @alice and follows its owner only: it will not answer here unless @alice adds it, \
                 or accepts your request for it (cipher-chat contact add theirs)",
                "@unknown is another account's bot and follows its owner only: it will not answer here unless its owner \
                 adds it, or accepts your request for it (cipher-chat contact add unknown)",
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
            trust: cipher_api::view::Trust::Unverified,
            devices: 1,
            text: None,
            warning: None,
        };
        let accepted = [contact(ContactState::Accepted)];
        assert_eq!(silent_bots(&view, &before, &own, &accepted, &Typed::default()).count(), 1);
        let pending = [contact(ContactState::Pending)];
        assert_eq!(silent_bots(&view, &before, &own, &pending, &Typed::default()).count(), 2);
        let direct = GroupView { direct: true, ..view.clone() };
        assert!(
            silent_bots(&direct, &before, &own, &[], &Typed::default())
                .all(|told| told.contains("contact accept bob"))
        );
    }
}
