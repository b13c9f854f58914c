//! What may stand under a message as a reaction.

use crate::limit;

/// Whether a text has the form of an emoji: short, and without letters, spaces or anything that steers a terminal.
/// It says nothing of Unicode's versions, on which two members need not agree; what a person may send is a known
/// emoji ([`meant`]).
pub fn has_form(text: &str) -> bool {
    let is_joiner = |c| matches!(c, '\u{200d}' | '\u{fe0f}' | '\u{fe0e}' | '\u{e0020}'..='\u{e007f}');
    // The digit of a keycap.
    let is_key = |c: char| matches!(c, '0'..='9' | '#' | '*') && text.contains('\u{20e3}');
    // Letters that are signs: \u{2139}, \u{24c2}, \u{1f170}.
    let is_letter =
        |c: char| c.is_alphabetic() && !matches!(c, '\u{2100}'..='\u{24ff}' | '\u{1f100}'..='\u{1f2ff}');
    let shows = |c: char| !c.is_whitespace() && !is_invisible(c) && !is_joiner(c);
    let is_sign = |c: char| c >= '\u{a9}' && !is_letter(c) && shows(c);
    let fits = (1..=limit::REACTION_BYTES).contains(&text.len());
    fits && text.chars().any(is_sign) && text.chars().all(|c| is_sign(c) || is_joiner(c) || is_key(c))
}

/// Characters that show nothing, or change how others are shown.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2028}' | '\u{2029}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// The emoji that a person means: one as it is, in whatever way its variant is written, or its name (`thumbsup`, `:+1:`). `None`
/// for what is no emoji of Unicode 17.
pub fn meant(text: &str) -> Option<&'static str> {
    let name = text.strip_prefix(':').and_then(|name| name.strip_suffix(':')).unwrap_or(text);
    let known = emojis::get(text).or_else(|| emojis::get_by_shortcode(name));
    known.map(emojis::Emoji::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_emoji_has_the_form_of_one_and_words_have_not() {
        for emoji in emojis::iter() {
            assert!(has_form(emoji.as_str()), "{emoji}");
            for toned in emoji.skin_tones().into_iter().flatten() {
                assert!(has_form(toned.as_str()), "{toned}");
            }
        }
        for text in [
            "",
            "ok",
            "1",
            "#",
            "\u{1f44d} ",
            "\u{1f44d}a",
            "\u{200d}",
            "\u{fe0f}",
            "\u{202e}\u{1f44d}",
            "\u{1b}[2J",
            "é",
        ] {
            assert!(!has_form(text), "{text:?}");
        }
        assert!(!has_form(&"\u{1f44d}".repeat(17)));
    }

    #[test]
    fn a_person_names_an_emoji_by_itself_or_by_its_name() {
        for text in ["\u{1f44d}", "+1", ":+1:", "thumbsup"] {
            assert_eq!(meant(text), Some("\u{1f44d}"), "{text}");
        }
        assert_eq!(meant("\u{2764}"), meant("\u{2764}\u{fe0f}"), "one emoji, one reaction");
        assert!(meant("\u{2764}").is_some());
        for text in ["", "ok then", "\u{1f44d}\u{1f44d}", "5"] {
            assert_eq!(meant(text), None, "{text}");
        }
    }
}
