//! How a line becomes bytes.

use std::io;

use serde::Serialize as _;
use serde_json::ser::{CompactFormatter, Formatter};

use crate::cli::show::line::Line;
use crate::cli::show::safe_text::is_hidden;

impl Line<'_> {
    /// The line, with its newline.
    pub fn to_json(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(512);
        self.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, Visible))?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}

/// JSON in which nothing hidden is left raw: `serde_json` escapes C0 only, and these lines are read on
/// terminals too.
struct Visible;

impl Formatter for Visible {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, to: &mut W, fragment: &str) -> io::Result<()> {
        let mut plain = 0;
        for (at, c) in fragment.char_indices().filter(|(_, c)| is_hidden(*c)) {
            CompactFormatter.write_string_fragment(to, fragment.get(plain..at).unwrap_or_default())?;
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(to, "\\u{unit:04x}")?;
            }
            plain = at + c.len_utf8();
        }
        CompactFormatter.write_string_fragment(to, fragment.get(plain..).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// T02: still the same text to a parser, and nothing raw to a terminal.
    #[test]
    fn t02_json_carries_hostile_text_without_a_raw_hidden_character() {
        let message = "\x1b[31m\u{9b}2J\u{202e}x\u{2028}\u{200d}\u{feff}\u{e0041}\"\\\n\t漢👍\x7f";
        let json = String::from_utf8(Line::Warning { message }.to_json().expect("written")).expect("UTF-8");
        let line = json.strip_suffix('\n').expect("one line");
        assert!(line.chars().all(|c| !is_hidden(c) && !c.is_control()), "{line}");
        let back: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(back["message"], message);
        assert_eq!(back["type"], "warning");
        assert!(line.contains("漢👍"));
    }
}
