//! How a group looks to people.

use cipher_api::view::{GroupState, GroupView, MemberView, SettingsView};
use cipher_broker::time::Timestamp;
use cipher_broker::wire::group::Role;

use crate::cli::show::human::kind_name;
use crate::cli::show::length;
use crate::cli::show::paint::{Look, aligned, at, pairs};
use crate::cli::show::safe_text::safe_text;
use crate::cli::show::trust;

/// A group among others: what it is called, its state, how many are in it, what is unread, and its id.
pub fn row(group: &GroupView) -> Vec<String> {
    vec![
        safe_text(&group.name),
        group_state(group),
        accounts(group).to_string(),
        if group.muted.is_some() { format!("{} muted", unread(group)) } else { unread(group) },
        group.id.to_string(),
    ]
}

/// A group on its own, with its members.
pub fn block(group: &GroupView, look: Look<'_>) -> String {
    let paint = look.paint;
    let minute = |time: Timestamp| look.zone.minute(&time.to_string());
    let mut rows =
        vec![("group", safe_text(&group.name)), ("id", group.id.to_string()), ("state", group_state(group))];
    rows.push(("epoch", group.epoch.to_string()));
    rows.push(("suite", format!("0x{:04x}", group.suite)));
    if !group.authenticator.is_empty() {
        rows.push(("code", safe_text(&group.authenticator)));
    }
    if let Some(recovering) = &group.recovering {
        let asked = match recovering.asked {
            0 => "not asked yet".to_owned(),
            1 => "asked once".to_owned(),
            times => format!("asked {times} times"),
        };
        let (why, since) = (recovering.why.name(), minute(recovering.since));
        rows.push(("recovering", format!("lost its place at {since} ({why}); {asked}; what is sent waits")));
        if let Some(denied) = &recovering.denied {
            let (by, at) = (safe_text(&at(&denied.handle)), minute(denied.at));
            let then = if denied.over { "asks no longer" } else { "asks once a day" };
            rows.push(("not a member", format!("{by} said so at {at}; this device {then}")));
        }
        if let Some(offered) = &recovering.offered {
            let (by, at) = (safe_text(&at(&offered.handle)), minute(offered.at));
            rows.push(("offered", format!("{by} would let it back in, since {at}: accept or decline")));
        }
    }
    if group.unread > 0 {
        rows.push(("unread", unread(group)));
    }
    rows.extend(settings(&group.settings));
    if let Some(muted) = &group.muted {
        let until =
            muted.until.map_or_else(|| "until unmuted".into(), |until| format!("until {}", minute(until)));
        let but = if muted.mentions { ", but for what names you" } else { "" };
        rows.push(("muted", format!("{until}{but}")));
    }
    if group.links > 0 {
        rows.push(("links", group.links.to_string()));
    }
    if !group.banned.is_empty() {
        let banned: Vec<String> = group.banned.iter().map(|who| safe_text(&at(who))).collect();
        rows.push(("banned", banned.join(", ")));
    }
    let mut text = pairs(&rows, paint);
    if !group.members.is_empty() {
        let head = ["MEMBER", "ROLE", "KIND", "DEVICES", ""].map(String::from);
        let members: Vec<Vec<String>> = group.members.iter().map(member).collect();
        text.push('\n');
        text.push_str(&aligned(&head, &members, paint));
    }
    text
}

fn member(member: &MemberView) -> Vec<String> {
    let kind = match &member.owner {
        Some(owner) => format!("{} owned by {}", kind_name(member.kind), safe_text(&at(owner))),
        None => kind_name(member.kind).into(),
    };
    let mark = member.trust.map_or(" ", trust::mark);
    let who = format!("{mark} {}", safe_text(&at(&member.handle)));
    let warning =
        member.warning.as_deref().map_or_else(String::new, |warning| format!("! {}", safe_text(warning)));
    vec![who, role(member.role).into(), kind, member.devices.to_string(), warning]
}

/// How many messages are not read, and how many of them name this account.
fn unread(group: &GroupView) -> String {
    match (group.unread, group.mentions) {
        (unread, 0) => unread.to_string(),
        (unread, mentions) => format!("{unread} (@{mentions})"),
    }
}

/// What a group wants where it is not what groups want.
fn settings(settings: &SettingsView) -> Vec<(&'static str, String)> {
    let usual = SettingsView::default();
    let mut rows = Vec::new();
    if !settings.topic.is_empty() {
        rows.push(("topic", safe_text(&settings.topic)));
    }
    if settings.delete != usual.delete {
        rows.push(("may delete", format!("{}, what others said", settings.delete.name())));
    }
    if settings.pin != usual.pin {
        rows.push(("may pin", settings.pin.name().into()));
    }
    if let Some(seconds) = settings.edit_seconds {
        let time = length::in_words(seconds.into());
        rows.push(("editing", format!("for {time} after a message was said")));
    }
    if let Some(seconds) = settings.expire_seconds {
        let time = length::in_words(seconds.into());
        rows.push(("disappears", format!("what is said, {time} after it was read")));
    }
    if let Some(seconds) = settings.retention_seconds {
        rows.push(("kept", format!("what is said, for {}", length::in_words(seconds.into()))));
    }
    if settings.history != usual.history {
        rows.push(("may grant", format!("{}, messages of before to who joins", settings.history.name())));
    }
    rows
}

fn accounts(group: &GroupView) -> usize {
    group.accounts.max(group.members.len())
}

fn group_state(group: &GroupView) -> String {
    match (group.state, &group.invited_by) {
        (GroupState::Invited, Some(by)) => format!("invited by @{by}"),
        (GroupState::Invited, None) => "invited".into(),
        (GroupState::Active, _) if group.recovering.is_some() => {
            match group.recovering.as_ref().and_then(|recovering| recovering.offered.as_ref()) {
                Some(offered) => format!("recovering, {} offers the place", at(&offered.handle)),
                None => "recovering".into(),
            }
        }
        (GroupState::Active, _) => "active".into(),
        (GroupState::Leaving, _) => "leaving".into(),
        (GroupState::Left, _) => "left".into(),
        (GroupState::Removed, _) => "removed".into(),
        (GroupState::Restored, _) => "restored".into(),
        (GroupState::Stuck, _) => "stuck".into(),
        (GroupState::Unknown, _) => "unknown".into(),
    }
}

const fn role(role: Role) -> &'static str {
    match role {
        Role::Member => "member",
        Role::Admin => "admin",
        Role::Owner => "owner",
    }
}
