//! How trust looks to people: marks, safety numbers, codes, links and alarms.

use cipher_api::view::{SafetyNumberView, Trust};

use crate::cli::show::line::{AuditLine, LinkLine};
use crate::cli::show::paint::{Ink, Look, Paint, at, pairs};
use crate::cli::show::safe_text::safe_text;
use crate::cli::show::typed::Typed;

/// One character that says what is known of a key.
pub const fn mark(trust: Trust) -> &'static str {
    match trust {
        Trust::Unverified => "?",
        Trust::Verified => "✓",
        Trust::Changed => "!",
        Trust::Unknown => " ",
    }
}

/// The mark and its meaning.
pub const fn shown(trust: Trust) -> &'static str {
    match trust {
        Trust::Unverified => "? unverified",
        Trust::Verified => "✓ verified",
        Trust::Changed => "! changed",
        Trust::Unknown => "unknown",
    }
}

/// Sixty digits in three lines of four groups, and how to compare them.
pub(super) fn safety_number(view: &SafetyNumberView, paint: Paint, typed: &Typed) -> String {
    let groups: Vec<&str> = view.number.split_whitespace().collect();
    let lines: Vec<String> = groups
        .chunks(4)
        .map(|line| format!("  {}", paint.ink(Ink::Bold, &safe_text(&line.join(" ")))))
        .collect();
    let who = at(view.handle.as_str());
    let what = match view.trust {
        Trust::Verified => format!("{} with {who}", paint.ink(Ink::Green, "✓ verified")),
        Trust::Unverified | Trust::Unknown => format!(
            "? not verified: {who} sees the same digits if no third party is in between. Compare them face to face or by\n\
             telephone, then: {}",
            typed.command(&format!("contact verify {who} --code \"WHAT THEY SHOW\""))
        ),
        Trust::Changed => format!(
            "{} {who} is another account than before: ask the person, then: {}",
            paint.ink(Ink::Red, "!"),
            typed.command(&format!("contact trust {who}"))
        ),
    };
    format!("safety number with {who}\n{}\n{what}", lines.join("\n"))
}

/// A step of linking a device.
pub(super) fn link(line: &LinkLine<'_>, look: Look<'_>) -> String {
    let bold = |text: Option<&str>| look.paint.ink(Ink::Bold, &safe_text(text.unwrap_or_default()));
    let other = line.other.map(safe_text).filter(|other| !other.is_empty());
    match line.stage {
        "code" => {
            let until = line
                .expires
                .as_deref()
                .map_or_else(String::new, |at| format!(" (valid until {})", look.zone.minute(at)));
            format!(
                "code  {}{until}\non a device of your account: cipher-chat device approve {}",
                bold(line.code),
                line.code.map(safe_text).unwrap_or_default()
            )
        }
        "compare" => format!("compare  {}", bold(line.string)),
        "linked" => {
            format!("this device belongs to {} now", at(&line.handle.map(safe_text).unwrap_or_default()))
        }
        "registered" => {
            format!(
                "{} is a device of your account now; its groups and history follow",
                other.unwrap_or_else(|| "it".into())
            )
        }
        "failed" => format!("not linked: {}", line.reason.map(safe_text).unwrap_or_default()),
        _ => match line.groups {
            Some(groups) => {
                format!("everything is here: {groups} {}", if groups == 1 { "group" } else { "groups" })
            }
            None => "everything that the new device may have was sent to it".into(),
        },
    }
}

/// A link to a group, right after it was made.
pub(super) fn join_link(
    id: &str,
    link: &str,
    expires: &str,
    uses: Option<u32>,
    approval: bool,
    look: Look<'_>,
) -> String {
    let mut rows = vec![
        ("link", look.paint.ink(Ink::Bold, &safe_text(link))),
        ("id", safe_text(id)),
        ("expires", look.zone.minute(expires)),
        ("uses", uses.map_or_else(|| "any number".into(), |uses| uses.to_string())),
    ];
    if approval {
        rows.push(("approval", format!("each request waits in: {}", look.typed.command("group requests"))));
    }
    pairs(&rows, look.paint)
}

/// Our request to join has no answer yet.
pub(super) fn join_pending(group: &str, approval: bool, typed: &Typed) -> String {
    let until = if approval { "a member has to approve" } else { "no member is online to answer yet" };
    let list = typed.command("group list");
    format!("asked to join {group}: {until}; the group appears in `{list}` by itself")
}

/// What was found against the registry.
pub(super) fn evidence(kind: &str, when: &str, what: &str, file: Option<&str>, look: Look<'_>) -> String {
    let title = look.paint.ink(Ink::Red, &format!("!!! {}", safe_text(kind)));
    let file = file.map_or_else(String::new, |file| {
        format!(
            "\n    kept in {}\n    show it to your operator and to others; what it holds is signed",
            safe_text(file)
        )
    });
    format!("{title} {}: {}{file}", look.zone.minute(when), safe_text(what))
}

/// A replay of the account log without a finding.
pub(super) fn audit(audit: &AuditLine, look: Look<'_>) -> String {
    let paint = look.paint;
    let heads = if audit.compared == 1 { "one head" } else { "every head known here" };
    pairs(
        &[
            ("audit", paint.ink(Ink::Green, &format!("nothing wrong; {heads} fits the published log"))),
            ("entries", format!("{}, all signed and in order", audit.entries)),
            ("accounts", audit.accounts.to_string()),
            ("devices", format!("{} active, {} revoked", audit.devices, audit.revoked)),
            ("head", format!("{} entries, signed {}", audit.size, look.zone.minute(&audit.at))),
            ("root", safe_text(&audit.root)),
            ("registry", safe_text(&audit.registry_key)),
            ("rate", format!("{} entries/s", audit.rate)),
        ],
        paint,
    )
}

/// What is known of the account log.
pub(super) fn head(
    size: u64,
    root: Option<&str>,
    signed_at: Option<&str>,
    registry_key: Option<&str>,
    look: Look<'_>,
) -> String {
    let unknown = || "unknown yet".into();
    pairs(
        &[
            ("entries", size.to_string()),
            ("root", root.map_or_else(unknown, safe_text)),
            ("signed", signed_at.map_or_else(unknown, |at| look.zone.minute(at))),
            ("registry", registry_key.map_or_else(unknown, safe_text)),
        ],
        look.paint,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::zone::Zone;
    use cipher_broker::id::AccountId;

    #[test]
    fn a_safety_number_stands_in_three_lines_of_four_groups() {
        let number = (0..12).map(|n| format!("{:05}", n * 1111)).collect::<Vec<_>>().join(" ");
        let view = |trust| SafetyNumberView {
            handle: "bob".parse().expect("a handle"),
            account_id: AccountId::from_bytes([1; 32]),
            number: number.clone(),
            uri: "cipher-chat:verify/x".into(),
            trust,
        };
        let text = safety_number(&view(Trust::Unverified), Paint(false), &Typed::default());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[1], "  00000 01111 02222 03333");
        assert_eq!(lines[3], "  08888 09999 11110 12221");
        assert!(text.contains("--code"));
        let typed = Typed::default().of("ana");
        assert!(
            safety_number(&view(Trust::Verified), Paint(false), &typed).ends_with("✓ verified with @bob")
        );
        assert!(
            safety_number(&view(Trust::Changed), Paint(false), &typed)
                .contains("--profile ana contact trust @bob")
        );
    }

    /// T01: what the other machine calls itself cannot act on the terminal.
    #[test]
    fn t01_the_name_of_a_linked_machine_is_shown_safely() {
        let line = LinkLine { stage: "registered", other: Some("\x1b[2Jlaptop"), ..LinkLine::default() };
        let look = Look {
            paint: Paint(false),
            zone: &Zone::utc(),
            typed: &Typed::default(),
            dated: false,
            columns: None,
            markdown: true,
        };
        assert!(link(&line, look).starts_with("\\u{1b}[2Jlaptop is a device"));
    }
}
