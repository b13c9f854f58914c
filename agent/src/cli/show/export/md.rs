//! A page in Markdown, on which texts of members mean nothing but what they say.
//!
//! What a member typed as Markdown stays as it was typed: a reader's program may load pictures and show HTML where ours does not.

use std::fmt::Write as _;

use jiff::civil::Date;

use crate::cli::show::export::entry::{Entry, Head, Said, What, Words};
use crate::cli::show::safe_text::safe_text;
use crate::cli::zone::Zone;

pub(super) struct Markdown;

impl Markdown {
    pub(super) fn head(head: &Head<'_>, zone: &Zone) -> String {
        format!("# {}\n\n{}\n\n", escaped(&safe_text(head.name)), escaped(&head.sentence(zone)))
    }

    pub(super) fn day(day: Option<Date>) -> String {
        day.map_or_else(String::new, |day| day.strftime("## %A, %Y-%m-%d\n\n").to_string())
    }

    pub(super) fn line(entry: &Entry) -> String {
        let clock = escaped(&entry.clock);
        match &entry.what {
            What::Observed(sentence) => format!("{clock} {}\n\n", behind(sentence)),
            What::Said(said) => written(said, &clock),
        }
    }
}

fn written(said: &Said, clock: &str) -> String {
    let Said { who, marks, quoted, words, poll, files, reactions } = said;
    let marks = if marks.is_empty() { String::new() } else { format!(" ({})", behind(&marks.join(", "))) };
    let mut page = format!("**{}** {clock}{marks}\n\n", escaped(who));
    let mut lines: Vec<String> = Vec::new();
    if let Some(quoted) = quoted {
        lines.push(format!("> {}", escaped(&quoted.words)));
        lines.push(String::new());
    }
    match words {
        Words::Text(text) if text.is_empty() => {}
        Words::Text(text) => {
            let mut text = text.split('\n').peekable();
            while let Some(line) = text.next() {
                // The next line begins where it began.
                let blank = |line: &str| line.trim().is_empty();
                let more = !blank(line) && text.peek().is_some_and(|next| !blank(next));
                lines.push(if blank(line) {
                    String::new()
                } else {
                    escaped(line) + if more { "\\" } else { "" }
                });
            }
        }
        Words::None(sentence) => lines.push(escaped(sentence)),
    }
    if let Some(poll) = poll {
        lines.push(String::new());
        let options = poll.options.iter();
        lines.extend(options.map(|(option, votes)| format!("- {} ({})", behind(option), behind(votes))));
        lines.push(String::new());
        lines.push(escaped(&poll.stands));
    }
    for file in files {
        lines.push(String::new());
        lines.push(format!("file {} ({})", behind(&file.name), behind(&file.about)));
    }
    if !reactions.is_empty() {
        let each = reactions.iter().map(|(emoji, by)| format!("{} {}", behind(emoji), behind(by)));
        lines.push(String::new());
        lines.push(escaped_head(&each.collect::<Vec<_>>().join("  ")));
    }
    for line in lines {
        // Whatever it says, it stands below who said it.
        let _ = writeln!(page, "{}", format!("> {line}").trim_end());
    }
    page.push('\n');
    page
}

/// R-EXPORT-02: one line of a text, as a line of its own.
fn escaped(line: &str) -> String {
    escaped_head(&behind(line))
}

/// The same where something stands before it.
fn behind(line: &str) -> String {
    let mut page = String::with_capacity(line.len());
    for c in line.chars() {
        if matches!(
            c,
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '<' | '>' | '|' | '~' | '&' | '$' | '^' | '#'
        ) {
            page.push('\\');
        }
        page.push(c);
    }
    page
}

/// What means something at the head of a line only: blanks, and signs of lists, titles and rules.
fn escaped_head(line: &str) -> String {
    let words = line.trim_start_matches([' ', '\t']);
    let blanks = line.chars().count().saturating_sub(words.chars().count());
    let digits = words.bytes().take_while(u8::is_ascii_digit).count();
    let mut page = "&nbsp;".repeat(blanks);
    let (number, rest) = words.split_at_checked(digits).unwrap_or(("", words));
    page.push_str(number);
    let means = if digits > 0 { ['.', ')'].as_slice() } else { &['+', '-', '=', ':'] };
    if rest.starts_with(means) {
        page.push('\\');
    }
    page.push_str(rest);
    page
}
