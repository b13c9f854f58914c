//! A message that was found, as people see it: in one line, around the words.

use cipher_api::command::message::TextMark;
use cipher_api::view::MessageView;

use crate::cli::show::file::under_message;
use crate::cli::show::paint::{Ink, Look, Paint, at};
use crate::cli::show::safe_text::safe_text;

/// Characters in front of the first word that are shown.
const BEFORE: usize = 40;
/// Characters that are shown in all.
const SHOWN: usize = 160;

/// A message; `label` names its conversation and its id.
pub fn hit(message: &MessageView, marks: &[TextMark], label: &str, look: Look<'_>) -> String {
    let paint = look.paint;
    let said_at = message.at.unwrap_or(message.sent_at);
    let time = paint.ink(Ink::Dim, &look.zone.minute(&said_at.to_string()));
    let who = paint.ink(Ink::Cyan, &format!("{}:", safe_text(&at(&message.from.handle))));
    let files = under_message(&message.attachments, paint);
    format!("{time} [{}] {who} {}{files}", safe_text(label), snippet(&message.text, marks, paint))
}

/// The part of a text with the first word in it, and words that were found in it marked.
fn snippet(text: &str, marks: &[TextMark], paint: Paint) -> String {
    let length = text.chars().count();
    let first = marks.first().map_or(0, |mark| mark.from);
    let from = if length <= SHOWN { 0 } else { first.saturating_sub(BEFORE).min(length - SHOWN) };
    let to = length.min(from + SHOWN);
    let part = |from: usize, to: usize| -> String { text.chars().skip(from).take(to - from).collect() };
    let mut shown = String::from(if from > 0 { "\u{2026}" } else { "" });
    let mut done = from;
    for mark in marks {
        let (begin, end) = (mark.from.clamp(done, to), mark.to.clamp(done, to));
        shown.push_str(&safe_text(&part(done, begin)));
        shown.push_str(&paint.ink(Ink::Bold, &safe_text(&part(begin, end))));
        done = end.max(done);
    }
    shown.push_str(&safe_text(&part(done, to)));
    if to < length {
        shown.push('\u{2026}');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snippet_has_the_words_and_what_is_around_them() {
        let marks = [TextMark { from: 4, to: 7 }, TextMark { from: 8, to: 9 }];
        assert_eq!(snippet("the dep\nx", &marks, Paint(false)), "the dep\\nx");
        assert_eq!(
            snippet("the dep x", &marks, Paint(true)),
            "the \u{1b}[1mdep\u{1b}[0m \u{1b}[1mx\u{1b}[0m"
        );
        let long = format!("{}needle{}", "a ".repeat(200), " b".repeat(200));
        let found = snippet(&long, &[TextMark { from: 400, to: 406 }], Paint(false));
        assert!(
            found.contains("needle") && found.starts_with('\u{2026}') && found.ends_with('\u{2026}'),
            "{found}"
        );
        assert_eq!(found.chars().count(), SHOWN + 2);
        // Marks that another version gives cannot do harm.
        assert_eq!(
            snippet("ab", &[TextMark { from: 9, to: 3 }, TextMark { from: 0, to: 1 }], Paint(false)),
            "ab"
        );
    }
}
