//! How things look to people. Every text passes `safe_text` here, on its way into a line.

use cipher_api::view::{
    AccountView, ContactState, DeliveredView, GroupEvent, MessageState, QuotedState, QuotedView, ReactionView,
};
use cipher_broker::certificate::Kind;
use cipher_broker::wire::content::kind;
use cipher_broker::wire::registry::Presence;
use jiff::civil::Date;

use crate::cli::show::file;
use crate::cli::show::group;
use crate::cli::show::length;
use crate::cli::show::line::{EventLine, Line, MessageLine, Status, TokenLine, TokenState};
use crate::cli::show::markdown;
use crate::cli::show::paint::{Ink, Look, Paint, aligned, at, pairs};
use crate::cli::show::poll;
use crate::cli::show::rows::cut;
use crate::cli::show::safe_text::{safe_block, safe_text};
use crate::cli::show::trust;

/// How far the further lines of a message stand from the edge.
const INDENT: usize = 4;

/// What stands in front of the words that a message answers.
const ANSWERS: &str = "  ╭ ";

/// One thing on its own, without the last newline.
pub fn block(line: &Line<'_>, look: Look<'_>) -> String {
    let (paint, typed) = (look.paint, look.typed);
    match line {
        Line::Account { account, phrase } => account_block(account, *phrase, paint),
        Line::Audit(audit) => trust::audit(audit, look),
        Line::Check { name, status, detail, hint } => check(name, *status, detail, *hint, paint),
        Line::Done { action, target } => match target {
            Some(target) => format!("{} {}", safe_text(action), safe_text(target)),
            None => safe_text(action),
        },
        Line::Edit { text, at, .. } => {
            format!("{} {}", paint.ink(Ink::Dim, &look.zone.minute(at)), words(text, look))
        }
        Line::Error { message, hint, .. } => error(message, *hint, paint),
        Line::Evidence { kind, at, what, file } => trust::evidence(kind, at, what, file.as_deref(), look),
        Line::File(line) => file::block(line, look),
        Line::Group(group) => group::block(group, look),
        Line::Head { size, root, at, registry_key } => {
            trust::head(*size, root.as_deref(), at.as_deref(), registry_key.as_deref(), look)
        }
        Line::JoinLink { id, link, expires, uses, approval, .. } => {
            trust::join_link(id, link, expires, *uses, *approval, look)
        }
        Line::JoinPending { group, approval } => trust::join_pending(&group.to_string(), *approval, typed),
        Line::Link(line) => trust::link(line, look),
        Line::Typing { handle, typing: true, .. } => format!("{} is writing", safe_text(&at(handle))),
        Line::Typing { handle, typing: false, .. } => {
            format!("{} is not writing any more", safe_text(&at(handle)))
        }
        Line::Presence { handle, presence: now, .. } => {
            format!("{} is {}", safe_text(&at(handle)), presence(*now))
        }
        Line::Progress { done, total } => format!("{done} of {total}"),
        Line::SafetyNumber(number) => trust::safety_number(number, paint, typed),
        Line::Event(line) => event(line, None, look),
        Line::Message(line) => message(line, None, look),
        Line::Ready { server, home, profile, bot, handle } => {
            let rows = [("server", *server), ("home", *home), ("profile", *profile), ("bot", *bot)];
            ready(rows, *handle, paint)
        }
        Line::State { id, state, .. } => format!("{} {}", id.short(), state_name(*state)),
        Line::Synced { received, delivered_to, queued, unread, .. } => {
            synced(*received, delivered_to, *queued, *unread)
        }
        Line::Connection { reason, server, .. } => match reason {
            Some(reason) => format!("connection lost: {}: {}", safe_text(server), safe_text(reason)),
            None => format!("connected again: {}", safe_text(server)),
        },
        Line::Token(TokenLine { token: Some(token), .. }) => safe_text(token),
        Line::Warning { message } => {
            format!("{} {}", paint.ink(Ink::Yellow, "warning:"), safe_text(message))
        }
        Line::Bot { .. }
        | Line::Config { .. }
        | Line::Contact(_)
        | Line::ContactRequest(_)
        | Line::Device { .. }
        | Line::JoinRequest { .. }
        | Line::Slot { .. }
        | Line::Token(_) => table(std::slice::from_ref(line), look),
    }
}

/// Several things of one kind, aligned, without the last newline.
pub fn table(lines: &[Line<'_>], look: Look<'_>) -> String {
    let Some(first) = lines.first() else { return String::new() };
    let head: Vec<String> = head(first).iter().map(|&name| name.into()).collect();
    let rows: Vec<Vec<String>> = lines.iter().map(|line| row(line, look)).collect();
    aligned(&head, &rows, look.paint)
}

/// A message; `label` names its conversation where several are mixed.
pub fn message(line: &MessageLine<'_>, label: Option<&str>, look: Look<'_>) -> String {
    let paint = look.paint;
    // The broker's time, which orders a conversation; the sender's only while nothing else is known.
    let time = time(line.at().unwrap_or(line.sent_at()), look);
    let label = label.map_or_else(String::new, |label| format!("[{}] ", safe_text(label)));
    let text = match line.kind() {
        _ if line.is_deleted() => {
            let who = paint.ink(Ink::Cyan, &format!("{}:", safe_text(&at(&line.from().handle))));
            let by = line.deleted_by().map_or_else(String::new, |by| format!(" by {}", safe_text(&at(by))));
            format!("{who} {}", paint.ink(Ink::Dim, &format!("(deleted{by})")))
        }
        _ if line.is_expired() => {
            let who = paint.ink(Ink::Cyan, &format!("{}:", safe_text(&at(&line.from().handle))));
            format!("{who} {}", paint.ink(Ink::Dim, "(disappeared)"))
        }
        kind::TEXT | kind::POLL if line.kind() == kind::TEXT || line.poll().is_some() => {
            let bot = if line.from().kind == Kind::Bot { " (bot)" } else { "" };
            let who = paint.ink(Ink::Cyan, &format!("{}{bot}:", safe_text(&at(&line.from().handle))));
            let edited = if line.is_edited() { paint.ink(Ink::Dim, " (edited)") } else { String::new() };
            let pinned = if line.is_pinned() { paint.ink(Ink::Dim, " (pinned)") } else { String::new() };
            let thread = if line.is_in_thread() { "(thread) " } else { "" };
            let forwarded = if line.is_forwarded() { "(forwarded) " } else { "" };
            let poll = line.poll().map_or_else(String::new, |poll| poll::block(poll, paint));
            format!("{who} {thread}{forwarded}{}{edited}{pinned}{poll}", words(line.text(), look))
        }
        kind::MISSING => {
            let who = paint.ink(Ink::Cyan, &format!("{}:", safe_text(&at(&line.from().handle))));
            format!("{who} {}", paint.ink(Ink::Dim, &format!("({})", safe_text(line.text()))))
        }
        kind::HISTORY_GRANT => {
            let who = paint.ink(Ink::Cyan, &format!("{}:", safe_text(&at(&line.from().handle))));
            // Nothing in the sentence but a handle is a peer's, and no handle is a time.
            let text = look.zone.times_in(&safe_text(line.text()));
            format!("{who} {}", paint.ink(Ink::Dim, &format!("({text})")))
        }
        // R-GRANT-07: the giver's word of what another member said.
        kind::GRANTED if line.granted().is_some() => {
            let who = paint.ink(Ink::Cyan, &format!("{}:", safe_text(&at(&line.from().handle))));
            let said = line.granted().map_or_else(String::new, |of| safe_text(&at(&of.from)));
            let edited = line.granted().is_some_and(|of| of.edited);
            let edited = if edited { paint.ink(Ink::Dim, " (edited)") } else { String::new() };
            let forwarded = if line.is_forwarded() { "(forwarded) " } else { "" };
            let says = paint.ink(Ink::Dim, &format!("(says that {said} wrote)"));
            format!("{who} {says} {forwarded}{}{edited}", words(line.text(), look))
        }
        // Whatever it says, and whatever it calls itself, it is the sender's word.
        unknown => {
            let who = paint.ink(Ink::Cyan, &format!("{}:", safe_text(&at(&line.from().handle))));
            let note = format!("(a message this version cannot show: {})", safe_text(unknown));
            format!("{who} {}", paint.ink(Ink::Dim, &note))
        }
    };
    let state = match line.state() {
        MessageState::Queued => paint.ink(Ink::Yellow, " (queued)"),
        MessageState::Failed => paint.ink(Ink::Red, " (not sent)"),
        MessageState::Delivered => paint.ink(Ink::Dim, " ✓"),
        MessageState::Read => paint.ink(Ink::Dim, " ✓✓"),
        MessageState::Sent | MessageState::Received | MessageState::Unknown => String::new(),
    };
    let quoted = line.quoted().map_or_else(String::new, |quoted| format!("{}\n", quote(quoted, look)));
    let files = file::under_message(line.attachments(), paint);
    format!(
        "{quoted}{time} {label}{text}{}{state}{}{files}{}",
        disappears(line, paint),
        failure(line, paint),
        reactions(line.reactions(), paint)
    )
}

/// After which time it disappears.
fn disappears(line: &MessageLine<'_>, paint: Paint) -> String {
    line.expire().map_or_else(String::new, |seconds| {
        paint.ink(Ink::Dim, &format!(" (disappears after {})", length::in_words(seconds)))
    })
}

/// Why an own message failed, and what to do.
fn failure(line: &MessageLine<'_>, paint: Paint) -> String {
    let Some(why) = line.failure() else { return String::new() };
    format!("\n    {}", paint.ink(Ink::Dim, &format!("({})", safe_text(&why.words()))))
}

/// What a member says. R-SHOW-06: Markdown is shown only where there are colours, and the person did not turn it off.
fn words(text: &str, look: Look<'_>) -> String {
    if look.markdown && look.paint.0 { markdown::shown(text, INDENT) } else { safe_block(text, INDENT) }
}

/// What a message answers, in one row above it. No text of a message comes as near to the edge as this row begins, so none
/// can look like it.
fn quote(quoted: &QuotedView, look: Look<'_>) -> String {
    let from = quoted.from.as_deref().map_or_else(String::new, |from| format!("{}: ", safe_text(&at(from))));
    let words = match quoted.state {
        QuotedState::Here => format!("{from}{}", safe_text(&quoted.text)),
        QuotedState::Deleted => format!("{from}(deleted)"),
        QuotedState::Missing | QuotedState::Unknown => "a message that is not here".into(),
    };
    let words = match look.columns {
        Some(columns) => cut(&words, columns.saturating_sub(ANSWERS.chars().count())),
        None => words,
    };
    look.paint.ink(Ink::Dim, &format!("{ANSWERS}{words}"))
}

/// A line of emoji, each with who put it there.
fn reactions(reactions: &[ReactionView], paint: Paint) -> String {
    if reactions.is_empty() {
        return String::new();
    }
    let each = reactions.iter().map(|reaction| {
        let by: Vec<String> = reaction.by.iter().map(|by| safe_text(&at(by))).collect();
        format!("{} {}", safe_text(&reaction.emoji), paint.ink(Ink::Dim, &by.join(", ")))
    });
    format!("\n    {}", each.collect::<Vec<_>>().join("  "))
}

/// What this agent observed; `label` names its conversation where several are mixed.
pub fn event(line: &EventLine<'_>, label: Option<&str>, look: Look<'_>) -> String {
    let (paint, time) = (look.paint, time(line.at(), look));
    let label = label.map_or_else(String::new, |label| format!("[{}] ", safe_text(label)));
    let text = safe_text(line.text());
    // The sentence is this agent's and may name a time, which no name of a peer is taken for in this one.
    let text = if line.event() == GroupEvent::Missed { look.zone.times_in(&text) } else { text };
    format!("{time} {label}{}", paint.ink(Ink::Dim, &format!("* {text}")))
}

/// What stands above the lines of a day.
pub fn day(day: Date, paint: Paint) -> String {
    paint.ink(Ink::Dim, &day.strftime("── %A, %Y-%m-%d ──").to_string())
}

/// When something was said or seen.
fn time(time: &str, look: Look<'_>) -> String {
    let shown = if look.dated { look.zone.clock(time) } else { look.zone.minute(time) };
    look.paint.ink(Ink::Dim, &shown)
}

/// An error with its hint.
pub fn error(message: &str, hint: Option<&str>, paint: Paint) -> String {
    let mut text = format!("{} {}", paint.ink(Ink::Red, "error:"), safe_block(message, 2));
    if let Some(hint) = hint {
        text.push_str(&format!("\n{} {}", paint.ink(Ink::Green, "hint:"), safe_block(hint, 2)));
    }
    text
}

fn head(line: &Line<'_>) -> &'static [&'static str] {
    match line {
        Line::Bot { .. } => &["BOT", "HANDLE", "ABOUT"],
        Line::Config { origin: Some(_), .. } => &["KEY", "VALUE", "ORIGIN"],
        Line::Config { origin: None, .. } => &["KEY", "VALUE"],
        Line::Contact(_) => &["CONTACT", "STATE", "TRUST", "DEVICES", "NAME"],
        Line::ContactRequest(_) => &["CONTACT", "TRUST", "DEVICES", "NAME", "SAYS"],
        Line::Device { .. } => &["DEVICE", "NAME", "KIND", "CREATED", ""],
        Line::File(_) => &file::HEAD,
        Line::Group(_) => &["GROUP", "STATE", "MEMBERS", "UNREAD", "ID"],
        Line::JoinLink { .. } => &["LINK", "EXPIRES", "USES", "APPROVAL", "BY"],
        Line::JoinRequest { .. } => &["WHO", "ASKED", "GROUP"],
        Line::Slot { .. } => &["SLOT", "KIND"],
        Line::Token(_) => &["TOKEN", "STATE", "EXPIRES", "GROUPS", "METHODS"],
        _ => &[],
    }
}

fn row(line: &Line<'_>, look: Look<'_>) -> Vec<String> {
    let minute = |time: &str| look.zone.minute(time);
    match line {
        Line::Bot { name, about, handle } => {
            let handle = handle.as_ref().map_or_else(|| "-".into(), |handle| at(handle.as_str()));
            vec![safe_text(name), handle, safe_text(about)]
        }
        Line::Config { key, value, origin } => {
            let mut row = vec![safe_text(key), safe_text(value)];
            row.extend(origin.map(safe_text));
            row
        }
        Line::Contact(contact) => vec![
            at(contact.handle.as_str()),
            contact_state(contact.state).into(),
            trust::shown(contact.trust).into(),
            contact.devices.to_string(),
            named(&contact.name, contact.warning.as_deref()),
        ],
        Line::ContactRequest(contact) => vec![
            at(contact.handle.as_str()),
            trust::shown(contact.trust).into(),
            contact.devices.to_string(),
            named(&contact.name, contact.warning.as_deref()),
            contact.text.as_deref().map_or_else(String::new, |text| format!("“{}”", safe_text(text))),
        ],
        Line::Device { device_id, name, kind, current, created_at, revoked } => vec![
            device_id.to_string(),
            safe_text(name),
            kind_name(*kind).into(),
            minute(created_at),
            match (current, revoked) {
                (_, true) => "revoked".into(),
                (true, false) => "this device".into(),
                (false, false) => String::new(),
            },
        ],
        Line::File(line) => file::row(line, look),
        Line::Group(group) => group::row(group),
        Line::JoinLink { id, expires, uses, approval, by, .. } => vec![
            safe_text(id),
            minute(expires),
            uses.map_or_else(|| "any".into(), |uses| format!("{uses} left")),
            if *approval { "each" } else { "none" }.into(),
            safe_text(&at(by)),
        ],
        Line::JoinRequest { group, name, handle, at: asked, .. } => {
            let group = if name.is_empty() { group.to_string() } else { safe_text(name) };
            vec![safe_text(&at(handle)), minute(asked), group]
        }
        Line::Slot { number, kind } => vec![number.to_string(), (*kind).into()],
        Line::Token(line) => token(line, look),
        other => vec![block(other, Look { paint: Paint(false), ..look })],
    }
}

fn token(line: &TokenLine<'_>, look: Look<'_>) -> Vec<String> {
    let groups = line.groups.as_ref().map_or_else(
        || "all".into(),
        |groups| groups.iter().map(|group| safe_text(group.name)).collect::<Vec<_>>().join(", "),
    );
    let state = match line.state {
        TokenState::Valid => "valid",
        TokenState::Expired => "expired",
    };
    let methods = safe_text(&line.methods.join(" "));
    vec![safe_text(line.name), state.into(), look.zone.minute(&line.expires_at), groups, methods]
}

fn account_block(account: &AccountView, phrase: Option<&str>, paint: Paint) -> String {
    let mut rows = vec![("handle", at(account.handle.as_str()))];
    if !account.name.is_empty() || account.warning.is_some() {
        rows.push(("name", named(&account.name, account.warning.as_deref())));
    }
    if !account.status.is_empty() {
        rows.push(("status", safe_text(&account.status)));
    }
    rows.push(("presence", presence(account.presence).into()));
    if account.kind == Kind::Bot {
        let owner = account.owner.as_deref().map_or_else(|| "unknown".into(), |owner| safe_text(&at(owner)));
        rows.push(("owned by", owner));
    }
    if let Some(known) = account.trust {
        rows.push(("trust", trust::shown(known).into()));
    }
    rows.push(("account", account.account_id.to_string()));
    if let Some(device) = account.device_id {
        rows.push(("device", device.to_string()));
    }
    if let Some(phrase) = phrase {
        rows.push(("phrase", safe_text(phrase)));
    }
    pairs(&rows, paint)
}

fn check(name: &str, status: Status, detail: &str, hint: Option<&str>, paint: Paint) -> String {
    let word = match status {
        Status::Ok => paint.ink(Ink::Green, "ok  "),
        Status::Warn => paint.ink(Ink::Yellow, "warn"),
        Status::Fail => paint.ink(Ink::Red, "fail"),
    };
    let mut text = format!("{word}  {name:<12}  {}", safe_text(detail));
    if let Some(hint) = hint {
        text.push_str(&format!("\n      {}", paint.ink(Ink::Dim, &safe_text(hint))));
    }
    text
}

fn ready(
    known: [(&'static str, Option<&str>); 4],
    handle: Option<&cipher_broker::handle::Handle>,
    paint: Paint,
) -> String {
    let mut rows: Vec<(&str, String)> =
        known.into_iter().filter_map(|(name, value)| Some((name, safe_text(value?)))).collect();
    if let Some(handle) = handle {
        rows.push(("handle", at(handle.as_str())));
    }
    rows.insert(0, ("ready", String::new()));
    pairs(&rows, paint)
}

fn synced(received: u64, delivered: &[DeliveredView], queued: u64, unread: u64) -> String {
    let plural = if received == 1 { "" } else { "s" };
    let mut text = match (queued, unread) {
        (0, 0) => format!("up to date, {received} new message{plural}"),
        (0, _) => format!("{received} new message{plural}"),
        (n, _) => format!("{received} new message{plural}, {n} still queued"),
    };
    for told in delivered {
        let plural = if told.messages == 1 { "" } else { "s" };
        text.push_str(&format!("\ndelivered {} message{plural} to {}", told.messages, safe_text(&told.name)));
    }
    text
}

/// A display name, with what a person should know of it.
fn named(name: &str, warning: Option<&str>) -> String {
    match warning {
        Some(warning) => format!("{} (! {})", safe_text(name), safe_text(warning)),
        None => safe_text(name),
    }
}

const fn contact_state(state: ContactState) -> &'static str {
    match state {
        ContactState::Pending => "pending",
        ContactState::Requested => "requested",
        ContactState::Accepted => "accepted",
        ContactState::Blocked => "blocked",
        ContactState::Unknown => "unknown",
    }
}

const fn state_name(state: MessageState) -> &'static str {
    match state {
        MessageState::Queued => "queued",
        MessageState::Sent => "sent",
        MessageState::Delivered => "delivered",
        MessageState::Read => "read",
        MessageState::Received => "received",
        MessageState::Failed => "failed",
        MessageState::Unknown => "unknown",
    }
}

pub(super) const fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Person => "person",
        Kind::Bot => "bot",
    }
}

const fn presence(presence: Presence) -> &'static str {
    match presence {
        Presence::Available => "available",
        Presence::Away => "away",
        Presence::Busy => "busy",
        Presence::Offline => "offline",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::show::typed::Typed;
    use crate::cli::zone::Zone;
    use cipher_broker::id::{AccountId, GroupId, MessageId};

    #[test]
    fn r_show_06_markdown_needs_colours_and_a_person_who_wants_it() {
        let (zone, typed) = (Zone::utc(), Typed::default());
        let look = |colours, markdown| Look {
            paint: Paint(colours),
            zone: &zone,
            typed: &typed,
            dated: false,
            columns: None,
            markdown,
        };
        assert_eq!(words("*so*", look(true, true)), "\u{1b}[0;3mso\u{1b}[0m");
        for (colours, markdown) in [(true, false), (false, true), (false, false)] {
            assert_eq!(words("*so*", look(colours, markdown)), "*so*");
        }
    }

    #[test]
    fn words_that_a_message_had_are_shown_as_those_that_it_has() {
        let (zone, typed) = (Zone::utc(), Typed::default());
        let look = |colours| Look {
            paint: Paint(colours),
            zone: &zone,
            typed: &typed,
            dated: false,
            columns: None,
            markdown: true,
        };
        let line = Line::Edit {
            message: MessageId::from_bytes([1; 16]),
            text: "*so*\u{1b}[2J\n2026-01-02 15:04Z now",
            at: "2026-01-02T15:04:00.000Z".into(),
            current: false,
        };
        assert_eq!(block(&line, look(false)), "2026-01-02 15:04Z *so*\\u{1b}[2J\n    2026-01-02 15:04Z now");
        assert!(block(&line, look(true)).contains("*so*\\u{1b}"), "a sign behind the marks: they stay");
    }

    #[test]
    fn a_request_to_join_shows_the_group_as_people_call_it() {
        let group = GroupId::from_bytes([1; 16]);
        let request = |name| Line::JoinRequest {
            group,
            name,
            handle: "eve",
            account_id: AccountId::from_bytes([3; 32]),
            at: "2026-11-28T18:00:00.000Z".into(),
        };
        let (zone, typed) = (Zone::utc(), Typed::default());
        let look = Look {
            paint: Paint(false),
            zone: &zone,
            typed: &typed,
            dated: false,
            columns: None,
            markdown: true,
        };
        let shown = table(&[request("ops")], look);
        assert!(shown.contains("ops") && !shown.contains(&group.to_string()), "{shown}");
        assert!(table(&[request("")], look).contains(&group.to_string()), "when nothing else is known");
    }
}
