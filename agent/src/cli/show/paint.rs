//! Colours, and the shapes that everything shown to people is made of: pairs, tables, bars, handles, minutes.

use crate::app::upload::in_words;
use crate::cli::show::safe_text::safe_text;

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

/// Rows under their heads, the columns aligned.
pub fn aligned(head: &[String], rows: &[Vec<String>], paint: Paint) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).chain(head.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |row: &[String]| {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
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

/// `2026-01-02 15:04` of an RFC 3339 time, in UTC as the `Z` says.
pub fn minute(time: &str) -> String {
    match (time.get(..10), time.get(11..16)) {
        (Some(day), Some(minute)) => format!("{day} {minute}Z"),
        _ => safe_text(time),
    }
}

/// A handle with its `@`; what is no handle (an account id) stays as it is.
pub fn at(handle: &str) -> String {
    if handle.len() <= 32 && !handle.starts_with('@') { format!("@{handle}") } else { handle.into() }
}
