//! Colours, and the shapes that everything shown to people is made of: pairs, tables, bars, handles.

use unicode_width::UnicodeWidthStr as _;

use crate::app::size::in_words;
use crate::cli::show::typed::Typed;
use crate::cli::zone::Zone;

/// How everything looks to the person at hand.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    /// Colours.
    pub paint: Paint,
    /// Whose clock tells the times.
    pub zone: &'a Zone,
    /// How commands are typed here.
    pub typed: &'a Typed,
    /// Whether a line stands below the day it belongs to, and tells hour and minute only.
    pub dated: bool,
    /// Columns of the terminal, where what is shown goes to one.
    pub columns: Option<usize>,
    /// Whether Markdown of members is shown as what it means.
    pub markdown: bool,
}

/// Colours, or none.
#[derive(Debug, Clone, Copy)]
pub struct Paint(pub bool);

/// A colour of the terminal's own palette.
#[derive(Debug, Clone, Copy)]
pub enum Ink {
    /// Stands back.
    Dim,
    /// Stands out.
    Bold,
    /// Good.
    Green,
    /// Look at it.
    Yellow,
    /// Bad.
    Red,
    /// A name.
    Cyan,
}

impl Paint {
    /// The text in a colour.
    pub fn ink(self, ink: Ink, text: &str) -> String {
        if !self.0 || text.is_empty() {
            return text.into();
        }
        let code = match ink {
            Ink::Dim => 2,
            Ink::Bold => 1,
            Ink::Green => 32,
            Ink::Yellow => 33,
            Ink::Red => 31,
            Ink::Cyan => 36,
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// Names and values, one pair a line, the values aligned.
pub fn pairs(rows: &[(&str, String)], paint: Paint) -> String {
    let width = rows.iter().map(|(key, _)| key.len()).max().unwrap_or_default();
    let lines: Vec<String> = rows
        .iter()
        .map(|(key, value)| {
            format!("{}  {value}", paint.ink(Ink::Dim, &format!("{key:<width$}"))).trim_end().into()
        })
        .collect();
    lines.join("\n")
}

/// Rows under their heads, the columns aligned as a terminal shows them: some characters take two of its places, and
/// some none.
pub fn aligned(head: &[String], rows: &[Vec<String>], paint: Paint) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).chain(head.get(column));
        cells.map(|cell| cell.width()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |row: &[String]| {
        let padded = |(cell, width): (&String, &usize)| {
            format!("{cell}{}", " ".repeat(width.saturating_sub(cell.width())))
        };
        let cells: Vec<String> = row.iter().zip(&widths).map(padded).collect();
        String::from(cells.join("  ").trim_end())
    };
    let mut lines = vec![paint.ink(Ink::Dim, &line(head))];
    lines.extend(rows.iter().map(|row| line(row)));
    lines.join("\n")
}

/// How far something is, in one line.
pub fn bar(what: &str, done: u64, total: u64) -> String {
    format!("{what}  {}  {done}/{total}", filled(done, total))
}

/// The same for bytes, whose number says little.
pub fn bar_of_bytes(what: &str, done: u64, total: u64) -> String {
    format!("{what}  {}  {} of {}", filled(done, total), in_words(done), in_words(total))
}

fn filled(done: u64, total: u64) -> String {
    const WIDTH: u64 = 24;
    let full = done.min(total).saturating_mul(WIDTH).checked_div(total).unwrap_or(WIDTH);
    (0..WIDTH).map(|at| if at < full { '█' } else { '░' }).collect()
}

/// A handle with its `@`; what is no handle (an account id) stays as it is.
pub fn at(handle: &str) -> String {
    if handle.len() <= 32 && !handle.starts_with('@') { format!("@{handle}") } else { handle.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_and_joined_characters_keep_the_columns() {
        let head = ["NAME", "STATE"].map(String::from);
        let rows =
            [["漢字", "a"], ["e\u{301}te\u{301}", "b"], ["👍 ok", "c"], ["❤\u{fe0f}", "d"], ["plain", "e"]];
        let rows: Vec<Vec<String>> = rows.iter().map(|row| row.map(String::from).to_vec()).collect();
        let shown = aligned(&head, &rows, Paint(false));
        let second = |line: &str| line.get(..line.len() - 1).unwrap_or_default().width();
        let at: Vec<usize> = shown.lines().skip(1).map(second).collect();
        assert_eq!(at, [7; 5], "{shown}");
        assert!(shown.starts_with("NAME   STATE\n漢字   a\n"), "{shown}");
    }
}
