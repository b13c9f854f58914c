//! A conversation as a page of its own, outside of this program: what of it stands where, and how a page is written.

mod entry;
mod html;
mod md;
mod picture;

pub use entry::{Head, Picture};
pub use picture::{LARGEST as LARGEST_PICTURE, is_picture};

use cipher_api::view::MessageView;
use jiff::civil::Date;

use crate::cli::show::export::entry::Entry;
use crate::cli::show::export::html::Html;
use crate::cli::show::export::md::Markdown;
use crate::cli::zone::Zone;

/// A page that is written from its beginning to its end.
#[derive(Debug)]
pub struct Page<'a> {
    zone: &'a Zone,
    kind: Kind,
    /// The day of the last line.
    day: Option<Date>,
}

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One self-contained page.
    Html,
    /// Markdown.
    Markdown,
}

impl<'a> Page<'a> {
    /// Nothing is on it yet.
    pub const fn new(kind: Kind, zone: &'a Zone) -> Self {
        Self { zone, kind, day: None }
    }

    /// What stands above everything.
    pub fn head(&self, head: &Head<'_>) -> String {
        match self.kind {
            Kind::Html => Html::head(head, self.zone),
            Kind::Markdown => Markdown::head(head, self.zone),
        }
    }

    /// One line of the conversation, below its day if that begins here; with the pictures that came with it.
    pub fn line(&mut self, message: &MessageView, pictures: &[Picture]) -> String {
        let at = message.at.unwrap_or(message.sent_at).to_string();
        let day = self.zone.day(&at).filter(|day| self.day != Some(*day));
        self.day = day.or(self.day);
        let entry = Entry::of(message, self.zone);
        match self.kind {
            Kind::Html => Html::day(day) + &Html::line(&entry, pictures),
            Kind::Markdown => Markdown::day(day) + &Markdown::line(&entry),
        }
    }

    /// What stands below everything.
    pub const fn end(&self) -> &'static str {
        match self.kind {
            Kind::Html => Html::END,
            Kind::Markdown => "",
        }
    }
}

#[cfg(test)]
#[path = "export_test.rs"]
mod tests;
