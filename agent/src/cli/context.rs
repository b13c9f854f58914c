//! What every command is given.

use crate::app::notice::{FrontEnd, Notice};
use crate::cli::show::notice::notice;
use crate::cli::show::ui::Ui;
use crate::settings::Settings;

/// The settings in force, and where to show things.
#[derive(Debug)]
pub struct Context {
    /// What is in force.
    pub settings: Settings,
    /// Where to show things.
    pub ui: Ui,
}

impl FrontEnd for Context {
    fn settings(&self) -> &Settings {
        &self.settings
    }

    fn notice(&self, of: Notice<'_>) {
        notice(&self.ui, of);
    }
}
