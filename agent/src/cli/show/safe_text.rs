//! The one gate between what peers write and a terminal.
//!
//! Names, messages, titles, errors of others: everything passes here before it is printed, so no escape
//! sequence, direction override or invisible character of theirs ever acts on a terminal.

use unicode_width::UnicodeWidthChar as _;

/// One line: every character that a terminal would act on, or a reader could not see, becomes an escape, and so does
/// every further blank of a run of them: nobody pushes the rest of a name to where it looks like something else.
pub fn safe_text(text: &str) -> String {
    escaped(text, None)
}

/// Several lines: a newline is kept, but what follows it is indented, so that no message can pretend to be the
/// next one. A tab is blanks up to the next of its stops, which are eight columns apart.
pub fn safe_block(text: &str, indent: usize) -> String {
    escaped(text, Some(indent))
}

/// Whether a character must not reach a terminal as it is: C0, DEL, C1, line separators, bidirectional
/// controls, and everything else that is zero-width or a format character.
pub fn is_hidden(c: char) -> bool {
    let code = u32::from(c);
    // The common case first: printable ASCII.
    if (0x20..0x7f).contains(&code) {
        return false;
    }
    HIDDEN
        .binary_search_by(|(from, to)| {
            if code < *from {
                std::cmp::Ordering::Greater
            } else if code > *to {
                std::cmp::Ordering::Less
            } else {
                std::cmp::Ordering::Equal
            }
        })
        .is_ok()
}

/// Columns from one stop of the tab to the next.
const TAB: usize = 8;

/// Ranges, ascending. U+FE0F is missing on purpose: it only makes the emoji before it colourful.
const HIDDEN: [(u32, u32); 31] = [
    (0x0000, 0x001f), // C0
    (0x007f, 0x009f), // DEL, C1
    (0x00ad, 0x00ad), // soft hyphen
    (0x034f, 0x034f), // grapheme joiner
    (0x0600, 0x0605), // Arabic number signs
    (0x061c, 0x061c), // Arabic letter mark
    (0x06dd, 0x06dd),
    (0x070f, 0x070f),
    (0x0890, 0x0891),
    (0x08e2, 0x08e2),
    (0x115f, 0x1160), // Hangul fillers
    (0x17b4, 0x17b5), // Khmer inherent vowels
    (0x180b, 0x180f), // Mongolian selectors
    (0x200b, 0x200f), // zero width, LRM, RLM
    (0x2028, 0x202e), // line and paragraph separator, embeddings, overrides
    (0x2060, 0x206f), // word joiner, isolates, deprecated
    (0x3164, 0x3164), // Hangul filler
    (0xfe00, 0xfe0e), // variation selectors
    (0xfeff, 0xfeff), // byte order mark
    (0xffa0, 0xffa0), // half-width Hangul filler
    (0xfff0, 0xfffb), // unassigned, interlinear annotation
    (0xfffe, 0xffff), // not characters
    (0x110bd, 0x110bd),
    (0x110cd, 0x110cd),
    (0x13430, 0x1343f), // hieroglyph format
    (0x1bca0, 0x1bca3), // shorthand format
    (0x1d173, 0x1d17a), // musical format
    (0xe0000, 0xe007f), // tags
    (0xe0080, 0xe00ff), // unassigned, ignorable
    (0xe0100, 0xe01ef), // variation selectors supplement
    (0xe01f0, 0xe0fff), // unassigned, ignorable
];

fn escaped(text: &str, indent: Option<usize>) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut gate = Gate::new(indent);
    text.chars().for_each(|c| gate.push(c, &mut safe));
    safe
}

/// The gate itself, character by character.
#[derive(Debug)]
pub(super) struct Gate {
    /// Of several lines how far what follows a newline is indented.
    indent: Option<usize>,
    /// Whether a blank came through last.
    blank: bool,
    /// Column of the text's own line: what stands before it is ours.
    column: usize,
}

impl Gate {
    /// For a text of one line, or for one of several.
    pub(super) const fn new(indent: Option<usize>) -> Self {
        Self { indent, blank: false, column: 0 }
    }

    /// Lets the next character through, or what is shown in its place.
    pub(super) fn push(&mut self, c: char, safe: &mut String) {
        let again = self.blank && self.indent.is_none();
        self.blank = is_blank(c);
        match (c, self.indent) {
            (another, _) if self.blank && again && !is_hidden(another) => {
                safe.extend(another.escape_unicode());
            }
            ('\n', Some(indent)) => {
                safe.push('\n');
                safe.extend(std::iter::repeat_n(' ', indent));
            }
            ('\n', None) => safe.push_str("\\n"),
            ('\r', _) => safe.push_str("\\r"),
            ('\t', Some(_)) => {
                let blanks = TAB - self.column % TAB;
                safe.extend(std::iter::repeat_n(' ', blanks));
                self.column += blanks - 1;
            }
            ('\t', None) => safe.push_str("\\t"),
            (hidden, _) if is_hidden(hidden) => safe.extend(hidden.escape_unicode()),
            (plain, _) => safe.push(plain),
        }
        self.column = if c == '\n' { 0 } else { self.column + c.width().unwrap_or(1) };
    }
}

/// Whether a character is shown as nothing that takes room.
fn is_blank(c: char) -> bool {
    c.is_whitespace() && !is_hidden(c) || c == '\u{2800}'
}

#[cfg(test)]
mod tests {
    use super::*;

    /// T01: what a hostile peer tries, and what a terminal is shown instead.
    #[test]
    fn t01_golden_table() {
        let table = [
            ("plain text, ünïcödé, 漢字, 👍", "plain text, ünïcödé, 漢字, 👍"),
            ("\x1b[31mred\x1b[0m", "\\u{1b}[31mred\\u{1b}[0m"),
            ("\x1b[6n", "\\u{1b}[6n"),
            ("\x1b]0;title\x07", "\\u{1b}]0;title\\u{7}"),
            ("\x1b]8;;http://x\x1b\\y", "\\u{1b}]8;;http://x\\u{1b}\\y"),
            ("\x1b]52;c;aGk=\x07", "\\u{1b}]52;c;aGk=\\u{7}"),
            ("\x1bPq\x1b\\", "\\u{1b}Pq\\u{1b}\\"),
            ("\u{9b}31m \u{9d}0;x\u{9c}", "\\u{9b}31m \\u{9d}0;x\\u{9c}"),
            ("good\rbad", "good\\rbad"),
            ("a\x08\x08b\x7f", "a\\u{8}\\u{8}b\\u{7f}"),
            ("a\tb\0c", "a\\tb\\u{0}c"),
            ("line\n<bob> fake", "line\\n<bob> fake"),
            ("a\u{202e}txt.exe\u{202c}", "a\\u{202e}txt.exe\\u{202c}"),
            ("\u{2066}x\u{2069}\u{200e}\u{200f}\u{61c}", "\\u{2066}x\\u{2069}\\u{200e}\\u{200f}\\u{61c}"),
            ("al\u{200b}ice\u{200d}\u{feff}\u{ad}", "al\\u{200b}ice\\u{200d}\\u{feff}\\u{ad}"),
            ("a\u{2028}b\u{2029}c\u{85}d", "a\\u{2028}b\\u{2029}c\\u{85}d"),
            ("\u{e0041}\u{e0100}", "\\u{e0041}\\u{e0100}"),
            ("❤\u{fe0f}", "❤\u{fe0f}"),
            ("team   @bob", "team \\u{20}\\u{20}@bob"),
            ("a \u{a0}\u{2003}b \u{2800}c", "a \\u{a0}\\u{2003}b \\u{2800}c"),
        ];
        for (written, shown) in table {
            // D14: byte for byte.
            assert_eq!(safe_text(written).as_bytes(), shown.as_bytes());
        }
    }

    #[test]
    fn t01_a_second_line_of_a_message_cannot_pretend_to_be_another_message() {
        assert_eq!(safe_block("hi\n<bob> pay me\r\n\x1b[A", 4), "hi\n    <bob> pay me\\r\n    \\u{1b}[A");
    }

    #[test]
    fn a_table_with_tabs_stays_a_table() {
        assert_eq!(
            safe_block("id\tname\n漢字1\tx\n\ty\n12345678\tz", 2),
            "id      name\n  漢字1   x\n          y\n  12345678        z"
        );
        assert_eq!(safe_text("id\tname"), "id\\tname", "a name has no columns");
    }

    #[test]
    fn t01_no_control_character_gets_through() {
        let all: String = ('\0'..='\u{ffff}').chain('\u{e0000}'..='\u{e0fff}').collect();
        assert!(safe_text(&all).chars().all(|c| !c.is_control() && !is_hidden(c)));
        assert!(HIDDEN.is_sorted_by(|(_, end), (start, _)| end < start));
    }
}
