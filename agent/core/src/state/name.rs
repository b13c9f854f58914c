//! What a name is made of, whoever gave it: a person here, a member's commit, an invitation, another device.

use cipher_api::{ErrorKind, Result};
use cipher_broker::limit;

/// Whether a text stays in one line and acts on nothing that shows it: no control characters, no line separators, no
/// marks that turn the direction of what follows (Unicode UAX #9).
pub(crate) fn is_plain(text: &str) -> bool {
    !text.chars().any(|c| {
        c.is_control()
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{061c}' | '\u{200e}' | '\u{200f}')
            || ('\u{202a}'..='\u{202e}').contains(&c)
            || ('\u{2066}'..='\u{2069}').contains(&c)
    })
}

/// R-NAME-03: a group's name is plain, not empty, not too long, and does not look like the name of a direct conversation.
pub(crate) fn is_group_name(name: &str) -> bool {
    let visible = name.trim();
    !visible.is_empty()
        && !visible.starts_with(['@', '\u{ff20}', '\u{fe6b}'])
        && is_plain(name)
        && name.chars().count() <= limit::GROUP_NAME_CHARS
}

/// What a group is about: one plain line that is not too long; empty for nothing.
pub(crate) fn is_topic(topic: &str) -> bool {
    is_plain(topic) && topic.chars().count() <= limit::GROUP_TOPIC_CHARS
}

/// Refuses a text with more characters than `limit`; `what` names it in the sentence.
pub(crate) fn check_text(what: &str, text: &str, limit: usize) -> Result<()> {
    let length = text.chars().count();
    if length > limit {
        return Err(
            ErrorKind::Limit.because(format!("{what} has at most {limit} characters; this one has {length}"))
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f10_r_name_03_a_group_name_is_one_plain_line_and_no_handle() {
        for good in ["ops", "war room", "Größe 漢字 👍", "a@b", "x-2", &"n".repeat(limit::GROUP_NAME_CHARS)]
        {
            assert!(is_group_name(good), "{good}");
        }
        let long = "n".repeat(limit::GROUP_NAME_CHARS + 1);
        for bad in [
            "",
            "  ",
            "@alice",
            " @alice",
            "\u{ff20}alice",
            "ops\n20:14 @bob: hi",
            "a\rb",
            "a\u{1b}[2J",
            "a\u{85}b",
            "a\u{2028}b",
            "\u{202e}spo",
            "a\u{2066}b",
            "a\tb",
            &long,
        ] {
            assert!(!is_group_name(bad), "{bad:?}");
        }
    }
}
