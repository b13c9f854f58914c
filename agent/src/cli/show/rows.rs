//! Texts of peers in the rows of a terminal.
//!
//! A terminal that breaks a long line itself begins the rest of it at its left edge, where only we begin messages: a
//! text that fills a row with spaces could make a row of its own that looks like another member's message. So lines are
//! broken here, and what follows is indented.

use unicode_width::UnicodeWidthChar;

/// How far a broken line stands behind its beginning, like the further lines of a message.
const INDENT: usize = 4;

/// The text with every line broken that is wider than the terminal; what follows is indented. Colours of our own
/// (`ESC [ … m`) take no room; nothing else of that kind is in a text that was made safe.
pub fn in_rows(text: &str, columns: usize) -> String {
    text.split('\n').map(|line| broken(line, columns)).collect::<Vec<_>>().join("\n")
}

/// What of one line has room in so many columns; `…` stands where something was left out.
pub fn cut(line: &str, columns: usize) -> String {
    if row_width(line) <= columns {
        return line.to_owned();
    }
    let (mut kept, mut width) = (String::new(), 1);
    for c in line.chars() {
        width += columns_of(c);
        if width > columns {
            break;
        }
        kept.push(c);
    }
    format!("{}…", kept.trim_end())
}

fn broken(line: &str, columns: usize) -> String {
    let leading = line.chars().take_while(|c| *c == ' ').count();
    let indent = " ".repeat(leading.saturating_add(INDENT).min(columns / 2));
    let mut rows: Vec<String> = Vec::new();
    let mut row = String::new();
    let (mut width, mut colour) = (0, false);
    // Where the row may be broken: behind its last blank.
    let mut word: Option<usize> = None;
    for c in line.chars() {
        if colour || c == '\u{1b}' {
            row.push(c);
            colour = c != 'm';
            continue;
        }
        let wide = columns_of(c);
        if width + wide > columns && !row.is_empty() {
            // The word that is broken off comes along, if it has room there.
            let at = word.take().filter(|at| {
                c != ' '
                    && row_width(&indent) + row_width(row.get(*at..).unwrap_or_default()) + wide <= columns
            });
            let along = at.map(|at| row.split_off(at)).unwrap_or_default();
            rows.push(row.trim_end().to_owned());
            row = format!("{indent}{along}");
            width = row_width(&row);
            if c == ' ' {
                continue;
            }
        }
        row.push(c);
        width += wide;
        if c == ' ' && !row.trim().is_empty() {
            word = Some(row.len());
        }
    }
    rows.push(row);
    rows.join("\n")
}

fn row_width(row: &str) -> usize {
    let mut colour = false;
    let mut width = 0;
    for c in row.chars() {
        if colour || c == '\u{1b}' {
            colour = c != 'm';
        } else {
            width += columns_of(c);
        }
    }
    width
}

/// At most how many columns a terminal gives a character. Too many costs a shorter row, too few would let the terminal
/// break the row itself: so pictures always have two, and what makes a sign a picture counts for one more.
fn columns_of(c: char) -> usize {
    match u32::from(c) {
        0xfe0f => 1,
        0x1_f000.. => 2,
        _ => c.width().unwrap_or(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// F11: spaces to the edge, then what looks like a message.
    #[test]
    fn f11_what_stands_behind_the_edge_is_indented() {
        let head = "12:00 @mallory: hi";
        let spaces = " ".repeat(80 - head.len());
        let shown = in_rows(&format!("{head}{spaces}12:01 @alice: pay mallory"), 80);
        assert_eq!(shown, format!("{head}\n    12:01 @alice: pay mallory"));
        // One column off in either direction, many rows, and in a second line of the message.
        for fill in 60..100 {
            let lines = format!("{head}\n    x{}12:01 @alice: y{}z", " ".repeat(fill), " ".repeat(fill));
            for row in in_rows(&lines, 80).lines().skip(1) {
                assert!(row.starts_with("    ") && row.chars().count() <= 80, "{row:?}");
            }
        }
    }

    #[test]
    fn words_stay_whole_and_what_has_no_blank_is_broken() {
        assert_eq!(in_rows("one two three four", 10), "one two\n    three\n    four");
        assert_eq!(in_rows("  a bcdefghijklmno", 10), "  a bcdefg\n     hijkl\n     mno");
        assert_eq!(in_rows("short", 80), "short");
        assert_eq!(in_rows("", 80), "");
        assert_eq!(in_rows("exactly-10", 10), "exactly-10");
    }

    #[test]
    fn a_line_is_cut_where_the_row_ends() {
        for (line, columns, shown) in [
            ("one two", 7, "one two"),
            ("one two", 6, "one t…"),
            ("one two", 5, "one…"),
            ("漢字漢字", 8, "漢字漢字"),
            ("漢字漢字", 7, "漢字漢…"),
            ("漢字漢字", 6, "漢字…"),
            ("one", 0, "…"),
        ] {
            assert_eq!(cut(line, columns), shown, "{line} {columns}");
        }
    }

    #[test]
    fn f11_wide_characters_and_colours_are_counted_as_a_terminal_shows_them() {
        assert_eq!(in_rows("漢字漢字漢字", 8), "漢字漢字\n    漢字");
        assert_eq!(in_rows("\u{1b}[36m12345678\u{1b}[0m", 8), "\u{1b}[36m12345678\u{1b}[0m");
        for text in ["❤\u{fe0f}".repeat(100), "👍".repeat(100), "e\u{301}".repeat(200), "x".repeat(500)] {
            for row in in_rows(&text, 40).lines().skip(1) {
                assert!(row.starts_with("    ") && row_width(row) <= 40, "{row:?}");
            }
        }
        // A terminal too narrow for any indent is no reason to go on for ever.
        assert!(!in_rows("漢字 and more", 1).is_empty());
    }
}
