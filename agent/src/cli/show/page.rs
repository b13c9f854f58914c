//! A conversation as it runs down the screen: line below line, the days told apart.

use cipher_api::view::MessageView;
use jiff::civil::Date;

use crate::cli::exit::Result;
use crate::cli::show::ui::Ui;

/// Where lines of conversations are shown one below the other.
#[derive(Debug)]
pub struct Page<'a> {
    ui: &'a Ui,
    /// The day of the last line.
    day: Option<Date>,
}

impl<'a> Page<'a> {
    /// Nothing is on it yet.
    pub const fn new(ui: &'a Ui) -> Self {
        Self { ui, day: None }
    }

    /// Shows what stands in a conversation, below its day if that begins here; `label` stands in front of it.
    pub fn message(&mut self, message: &MessageView, label: Option<&str>) -> Result {
        let bytes = self.rendered(message, label)?;
        self.ui.write(bytes)
    }

    /// The same without holding up this process: whoever reads stdout may pause, and others are served meanwhile. One
    /// at a time: what is given up half-way may still be printed.
    pub async fn message_in_time(&mut self, message: &MessageView, label: Option<&str>) -> Result {
        let bytes = self.rendered(message, label)?;
        self.ui.write_in_time(bytes).await
    }

    fn rendered(&mut self, message: &MessageView, label: Option<&str>) -> Result<Vec<u8>> {
        // Where nobody looks, each line has its day, for whoever searches in them.
        let dated = self.ui.has_days();
        let mut bytes = Vec::new();
        if dated {
            let day = self.ui.zone().day(&message.at.unwrap_or(message.sent_at).to_string());
            if let Some(day) = day.filter(|day| self.day != Some(*day)) {
                bytes = self.ui.day(day);
                self.day = Some(day);
            }
        }
        bytes.append(&mut self.ui.rendered(message, label, dated)?);
        Ok(bytes)
    }
}
