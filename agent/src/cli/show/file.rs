//! How files look to people.

use cipher_api::view::AttachmentView;

use crate::app::size::in_words;
use crate::cli::show::line::FileLine;
use crate::cli::show::paint::{Ink, Look, Paint, at};
use crate::cli::show::safe_text::safe_text;

/// Heads of [`row`].
pub const HEAD: [&str; 6] = ["FILE", "SIZE", "TYPE", "FROM", "SENT", "ID"];

/// The files under a message, one a line.
pub fn under_message(files: &[AttachmentView], paint: Paint) -> String {
    let each = files.iter().map(|file| {
        let kind = if file.mime.is_empty() { String::new() } else { format!(", {}", safe_text(&file.mime)) };
        let about = format!("({}{kind})  id {}", in_words(file.size), file.id.short());
        format!("\n    file {} {}", safe_text(&file.name), paint.ink(Ink::Dim, &about))
    });
    each.collect()
}

/// A file that was fetched, or one on its own.
pub fn block(line: &FileLine<'_>, look: Look<'_>) -> String {
    match line.path() {
        Some(path) => format!("saved {} ({})", safe_text(path), in_words(line.size())),
        None => row(line, look).join("  "),
    }
}

/// A file in a table.
pub fn row(line: &FileLine<'_>, look: Look<'_>) -> Vec<String> {
    vec![
        safe_text(line.name()),
        in_words(line.size()),
        safe_text(line.mime()),
        safe_text(&at(&line.from().handle)),
        look.zone.minute(line.at()),
        line.id().short(),
    ]
}
