//! A small part of Markdown as a terminal shows it: bold, italic, struck out, code, quotes, lists, and links with their
//! targets.
//!
//! What was typed stays where it is. Marks around words give way to what they mean, a few of them to a clearer sign; all
//! else is shown as it was written, so a text that was never meant as Markdown looks as it did. Rules R-SHOW-01 to R-SHOW-07.

use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, Event, LinkType, Options, Parser, Tag, TagEnd};

use crate::cli::show::safe_text::Gate;

/// Deepest nesting that is looked at: quotes in lists in quotes.
const DEPTH: usize = 16;

/// How a character is written, as bits.
type Style = u8;
const BOLD: Style = 1;
const ITALIC: Style = 1 << 1;
const STRUCK: Style = 1 << 2;
const CODE: Style = 1 << 3;
const QUOTE: Style = 1 << 4;
const TARGET: Style = 1 << 5;

/// Each with its number in `ESC [ … m`.
const INKS: [(Style, &str); 6] =
    [(BOLD, "1"), (ITALIC, "3"), (STRUCK, "9"), (CODE, "35"), (QUOTE, "2"), (TARGET, "4")];

/// What becomes of a byte of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Stays,
    Goes,
    /// Another sign stands for it.
    Is(char),
}

/// A text of a member in several lines, its Markdown shown; what follows a newline is indented, as of
/// [`crate::cli::show::safe_text::safe_block`].
pub fn shown(text: &str, indent: usize) -> String {
    let plan = Plan::of(text);
    let mut gate = Gate::new(Some(indent));
    let mut shown = String::with_capacity(text.len());
    let mut open: Style = 0;
    for (at, c) in text.char_indices() {
        let c = match plan.fates.get(at) {
            Some(Fate::Goes) => continue,
            Some(Fate::Is(other)) => *other,
            Some(Fate::Stays) | None => c,
        };
        // A new line begins with our blanks, which are not written as the words are.
        let style = if c == '\n' { 0 } else { plan.styles.get(at).copied().unwrap_or_default() };
        if style != open {
            write_style(&mut shown, style);
            open = style;
        }
        // R-SHOW-02: whatever a text says, no character of it acts on the terminal.
        gate.push(c, &mut shown);
    }
    if open != 0 {
        write_style(&mut shown, 0);
    }
    shown
}

fn write_style(to: &mut String, style: Style) {
    to.push_str("\u{1b}[0");
    for (_, number) in INKS.iter().filter(|(ink, _)| style & ink != 0) {
        to.push(';');
        to.push_str(number);
    }
    to.push('m');
}

/// What becomes of each byte of a text; of a character the first one tells.
struct Plan<'a> {
    text: &'a str,
    fates: Vec<Fate>,
    styles: Vec<Style>,
}

impl<'a> Plan<'a> {
    fn of(text: &'a str) -> Self {
        let mut plan = Self::untouched(text);
        let (mut depth, mut quotes, mut lists, mut pictures) = (0usize, 0usize, 0usize, 0usize);
        for (event, range) in Parser::new_ext(text, Options::ENABLE_STRIKETHROUGH).into_offset_iter() {
            match event {
                Event::Start(tag) => {
                    depth += 1;
                    // R-SHOW-05: a text that nests deeper is shown as it was typed.
                    if depth > DEPTH {
                        return Self::untouched(text);
                    }
                    match tag {
                        _ if pictures > 0 => {}
                        Tag::Image { .. } => pictures += 1,
                        Tag::Strong => plan.wrapped(range, &["**"], BOLD),
                        Tag::Emphasis => plan.wrapped(range, &["*", "_"], ITALIC),
                        Tag::Strikethrough => plan.wrapped(range, &["~~"], STRUCK),
                        Tag::Link { link_type: LinkType::Inline, .. } => plan.link(range),
                        Tag::CodeBlock(CodeBlockKind::Fenced(_)) => {
                            plan.code_block(range, quotes + lists == 0);
                        }
                        Tag::BlockQuote(_) => {
                            if quotes == 0 {
                                plan.quote(range);
                            }
                            quotes += 1;
                        }
                        Tag::List(_) => lists += 1,
                        Tag::Item => plan.item(range),
                        // R-SHOW-04: HTML, headings, tables, pictures and all else of Markdown stay as they were typed.
                        _ => {}
                    }
                }
                Event::End(end) => {
                    depth = depth.saturating_sub(1);
                    match end {
                        TagEnd::Image => pictures = pictures.saturating_sub(1),
                        TagEnd::BlockQuote(_) => quotes = quotes.saturating_sub(1),
                        TagEnd::List(_) => lists = lists.saturating_sub(1),
                        _ => {}
                    }
                }
                Event::Code(_) if pictures == 0 => plan.code(range),
                _ => {}
            }
        }
        plan
    }

    fn untouched(text: &'a str) -> Self {
        Self { text, fates: vec![Fate::Stays; text.len()], styles: vec![0; text.len()] }
    }

    fn source(&self, range: &Range<usize>) -> &'a str {
        self.text.get(range.clone()).unwrap_or_default()
    }

    fn becomes(&mut self, range: Range<usize>, fate: Fate) {
        self.fates.get_mut(range).into_iter().flatten().for_each(|byte| *byte = fate);
    }

    fn is_written(&mut self, range: Range<usize>, style: Style) {
        self.styles.get_mut(range).into_iter().flatten().for_each(|byte| *byte |= style);
    }

    /// Words between marks. R-SHOW-01: only marks that stand around words, as people write them; not those of a sum, a path or
    /// a name with underscores.
    fn wrapped(&mut self, range: Range<usize>, marks: &[&str], style: Style) {
        let source = self.source(&range);
        let Some(mark) = marks.iter().find(|mark| source.starts_with(**mark) && source.ends_with(**mark))
        else {
            return;
        };
        let before = self.text.get(..range.start).and_then(|text| text.chars().next_back());
        let behind = self.text.get(range.end..).and_then(|text| text.chars().next());
        let first = source.get(mark.len()..).and_then(|text| text.chars().next());
        let begins = before.is_none_or(|c| c.is_whitespace() || "([{\"'“‘*_~".contains(c));
        let ends = behind.is_none_or(|c| c.is_whitespace() || ")]}\"'”’*_~.,;:!?…".contains(c));
        let words = first.is_some_and(|c| !c.is_ascii_punctuation() || "\"'([<@#*~`".contains(c));
        if begins && ends && words {
            self.becomes(range.start..range.start.saturating_add(mark.len()), Fate::Goes);
            self.becomes(range.end.saturating_sub(mark.len())..range.end, Fate::Goes);
            self.is_written(range, style);
        }
    }

    fn code(&mut self, range: Range<usize>) {
        let ticks = self.source(&range).bytes().take_while(|byte| *byte == b'`').count();
        let inside = range.start.saturating_add(ticks)..range.end.saturating_sub(ticks);
        self.becomes(range.start..inside.start, Fate::Goes);
        self.becomes(inside.end..range.end, Fate::Goes);
        self.is_written(inside, CODE);
    }

    /// R-SHOW-03: a link is its words and its whole target, and never one for the other.
    fn link(&mut self, range: Range<usize>) {
        let source = self.source(&range);
        let Some((words, target)) = source.split_once("](") else { return };
        if words.len() < 2 || target.contains("](") || !target.ends_with(')') {
            return;
        }
        let middle = range.start.saturating_add(words.len());
        self.becomes(range.start..range.start.saturating_add(1), Fate::Goes);
        self.becomes(middle..middle.saturating_add(1), Fate::Is(' '));
        self.is_written(middle.saturating_add(2)..range.end.saturating_sub(1), TARGET);
    }

    /// Its lines; the marks of its fence go where nothing else stands before them. R-SHOW-07: only the marks do, what stands
    /// beside them is shown.
    fn code_block(&mut self, range: Range<usize>, alone: bool) {
        let source = self.source(&range);
        let Some(first) = source.find('\n') else { return };
        let last = source.rfind('\n').unwrap_or(first);
        let fence = source.chars().next().filter(|c| ['`', '~'].contains(c)).unwrap_or('`');
        let marks = source.bytes().take_while(|byte| char::from(*byte) == fence).count();
        let end = source.get(last.saturating_add(1)..).unwrap_or_default().trim_matches([' ', '\t', '\r']);
        let closed = end.len() >= marks && end.chars().all(|c| c == fence);
        let begin = first.saturating_add(1);
        let inside = begin..if closed { last.max(begin) } else { source.len() };
        let lines = source.get(inside.clone()).unwrap_or_default();
        if lines.trim().is_empty() {
            return;
        }
        let at = |within: usize| range.start.saturating_add(within);
        self.is_written(at(inside.start)..at(inside.end), CODE);
        if !alone {
            return;
        }
        let beside = source.get(marks..first).unwrap_or_default();
        let words = beside.trim();
        if words.is_empty() {
            // At the very beginning the lines stand below the head of the message.
            let newline = usize::from(range.start > 0);
            self.becomes(range.start..at(first).saturating_add(newline), Fate::Goes);
        } else {
            let blanks = beside.len().saturating_sub(beside.trim_start().len());
            self.becomes(range.start..at(marks.saturating_add(blanks)), Fate::Goes);
            self.is_written(at(marks)..at(first), QUOTE);
        }
        if closed {
            self.becomes(at(inside.end)..range.end, Fate::Goes);
        }
    }

    /// Lines that begin with `> `, and no prompt or face that begins with the same sign.
    fn quote(&mut self, range: Range<usize>) {
        let mut start = range.start;
        for line in self.source(&range).split_inclusive('\n') {
            let mut at = start;
            let mut rest = line;
            while let Some(behind) = rest.trim_start_matches(' ').strip_prefix('>')
                && (behind.is_empty() || behind.starts_with([' ', '\n', '\r']))
            {
                at = start.saturating_add(line.len()).saturating_sub(behind.len());
                self.becomes(at.saturating_sub(1)..at, Fate::Is('│'));
                rest = behind;
            }
            let end = start.saturating_add(line.len());
            if at > start {
                self.is_written(start..end, QUOTE);
            }
            start = end;
        }
    }

    /// A star at the head of an item; other signs are clear as they are, and a minus may be meant.
    fn item(&mut self, range: Range<usize>) {
        if self.source(&range).starts_with("* ") {
            self.becomes(range.start..range.start.saturating_add(1), Fate::Is('•'));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::show::safe_text::{is_hidden, safe_block};

    /// What is shown, with our signs for styles in place of those of a terminal.
    fn told(text: &str) -> String {
        let mut told = shown(text, 4);
        for (number, name) in [
            ("1", "b"),
            ("3", "i"),
            ("9", "s"),
            ("35", "c"),
            ("2", "q"),
            ("4", "t"),
            ("1;3", "bi"),
            ("3;9", "is"),
        ] {
            told = told.replace(&format!("\u{1b}[0;{number}m"), &format!("<{name}>"));
        }
        told.replace("\u{1b}[0m", "</>")
    }

    #[test]
    fn r_show_01_a_text_that_is_no_markdown_is_shown_as_it_was_typed() {
        for text in [
            "a * b * c",
            "2*3*4 = 24",
            "snake_case_name and _private",
            "call __init__ in src/__init__.py",
            ":-) *_* ^_^ >:-(",
            "src/*.rs and tests/*.rs",
            "rm *.o *.a",
            "~/a and ~/b",
            "5 < 6 && 7 > 6",
            "one\n\n\ntwo",
            "- 5 degrees\n- 6",
            "# not a title",
            "1. one\n2) two",
            "C:\\*x\\_y",
            "a\n---\nb",
            "    indented code",
            "| a | b |\n|---|---|\n| 1 | 2 |",
            "&amp; &lt; &#27;",
            "[x] done, [1], [a][b]\n\n[a]: https://x",
            "![picture](https://x/y.png)",
            "![*a*](b)",
            ">>> import os",
            "$ echo `",
            "***",
            "****",
            "** a **",
            "~one~",
            "**bold**ly",
            "a**b**",
            "<b>no</b>",
            "<https://example.org>",
            "[](https://x)",
            "[a](b](c)",
            "```\n```",
            "```",
            "\u{1b}[31m*",
            "",
        ] {
            assert_eq!(shown(text, 4), safe_block(text, 4), "{text:?}");
        }
    }

    #[test]
    fn marks_around_words_give_way_to_what_they_mean() {
        for (text, expected) in [
            ("**bold** and *it* and _it_ and ~~old~~", "<b>bold</> and <i>it</> and <i>it</> and <s>old</>"),
            ("***both***!", "<bi>both</>!"),
            ("*~~x~~*", "<is>x</>"),
            ("run `cargo *test*` now", "run <c>cargo *test*</> now"),
            ("``a ` b``", "<c>a ` b</>"),
            ("(**note**), \"*so*\"", "(<b>note</>), \"<i>so</>\""),
            ("**two\nlines**", "<b>two</>\n    <b>lines</>"),
            (
                "look:\n```rust\nlet x = 1;\n\nx\n```\nthere",
                "look:\n    <q>rust</>\n    <c>let x = 1;</>\n    \n    <c>x</>\n    there",
            ),
            ("```\nx *y*\n```", "\n    <c>x *y*</>"),
            ("~~~\nopen", "\n    <c>open</>"),
            ("> said\n> > before\n\nno", "<q>│ said</>\n    <q>│ │ before</>\n    \n    no"),
            ("* one\n* **two**", "• one\n    • <b>two</>"),
            ("**漢字** 👍", "<b>漢字</> 👍"),
        ] {
            assert_eq!(told(text), expected, "{text:?}");
        }
    }

    /// The text without our own styles: nothing of a peer looks like one, as R-SHOW-02 says.
    fn without_styles(shown: &str) -> String {
        let mut parts = shown.split("\u{1b}[0");
        let mut plain = parts.next().unwrap_or_default().to_owned();
        plain.extend(parts.filter_map(|part| part.split_once('m')).map(|(_, words)| words));
        plain
    }

    /// Every letter and digit of the text, in their order; what is hidden is told by its number.
    #[track_caller]
    fn keeps_every_word(text: &str) {
        let told = without_styles(&shown(text, 4));
        let mut rest = told.chars();
        for c in text.chars().filter(|c| c.is_alphanumeric() && !is_hidden(*c)) {
            assert!(rest.any(|told| told == c), "{c:?} of {text:?} is not in {told:?}");
        }
    }

    #[test]
    fn r_show_07_no_word_of_a_text_goes_away() {
        for text in [
            "```rust\nlet x = 1;\n```",
            "``` pay mallory at noon\nx\n```",
            "look:\n```pay mallory\nx\n```",
            "```\nx\n```pay mallory",
            "```\nx\n``` pay mallory",
            "~~~\nx\n~~~~ pay",
            "````\nx\n```",
            "````\nx\n```\nmore\n````\nbehind",
            "```\nx\n~~~ pay",
            "~~~a `b`\nx\n~~~",
            "```\r\nx\r\n```\r\nbehind",
            "   ```info\n   x\n   ```  \nbehind",
            "- ```one\n  x\n  ```two",
            "> ```one\n> x\n> ```two",
            "```one\n```two\n```three",
            "``a ` b`` `c` ```d```",
            "[a](b \"c\") [**d**](<e f>) [g][h]\n\n[h]: i",
            "***a** b* **c *d*** ~~e `f` g~~",
            "* a\n* b\n> c\n>d",
            "a\\*b*\\_c_",
            "\u{1b}[31mred `\u{1b}[0m` **\u{9b}x**",
        ] {
            keeps_every_word(text);
        }
        // Whatever is put together of marks, words and lines.
        const PARTS: [&str; 24] = [
            "```", "~~~", "````", "`", "``", "**", "*", "_", "~~", "> ", "* ", "- ", "[", "](", ")", "\n",
            "\n", "\n", " ", "  ", "a", "word", "1.", "\\",
        ];
        let mut chance: u64 = 0x9e37_79b9_7f4a_7c15;
        for _ in 0..20_000 {
            let mut text = String::new();
            for _ in 0..16 {
                chance ^= chance << 13;
                chance ^= chance >> 7;
                chance ^= chance << 17;
                let part = usize::try_from(chance >> 33).unwrap_or_default() % PARTS.len();
                text.push_str(PARTS[part]);
            }
            keeps_every_word(&text);
        }
    }

    #[test]
    fn r_show_02_no_sequence_of_a_peer_reaches_the_terminal() {
        for text in
            ["**\u{1b}[2J**", "`\u{9b}31m`", "[a](\u{1b}]8;;x\u{7})", "> \u{202e}x", "```\n\u{1b}[A\n```"]
        {
            let ours = shown(text, 4);
            let mut rest = ours.as_str();
            while let Some((before, behind)) = rest.split_once('\u{1b}') {
                assert!(before.chars().all(|c| c == '\n' || !is_hidden(c)), "{ours:?}");
                let (numbers, more) = behind.split_once('m').expect("our own");
                assert!(
                    numbers.starts_with("[0")
                        && numbers.trim_matches(['[', ';']).bytes().all(|b| b.is_ascii_digit() || b == b';'),
                    "{ours:?}"
                );
                rest = more;
            }
            assert!(rest.chars().all(|c| c == '\n' || !is_hidden(c)), "{ours:?}");
        }
    }

    #[test]
    fn r_show_03_a_link_shows_its_words_and_its_whole_target() {
        for (text, expected) in [
            ("[docs](https://x.org/a_b)", "docs (<t>https://x.org/a_b</>)"),
            ("[https://bank.org](https://evil.org)", "https://bank.org (<t>https://evil.org</>)"),
            ("[a](https://x \"https://bank.org\")", "a (<t>https://x \"https://bank.org\"</>)"),
            ("[**a**](b)", "<b>a</> (<t>b</>)"),
        ] {
            assert_eq!(told(text), expected, "{text:?}");
        }
    }

    #[test]
    fn r_show_04_html_is_shown_as_it_was_typed() {
        for text in
            ["<script>alert(1)</script>", "a <b onclick=\"x\">b</b>", "<!-- x -->", "<div>\n*a*\n</div>"]
        {
            assert_eq!(shown(text, 4), safe_block(text, 4), "{text:?}");
        }
    }

    #[test]
    fn r_show_05_what_nests_without_end_is_shown_as_it_was_typed() {
        for text in [
            format!("{}x **a**", "> ".repeat(2000)),
            format!("{}x", "- ".repeat(2000)),
            "*a ".repeat(4000),
            "[".repeat(20_000),
        ] {
            assert_eq!(shown(&text, 4), safe_block(&text, 4));
        }
    }
}
