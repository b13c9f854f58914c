//! What the library below has to tell besides results, in words.

use crate::app::notice::{Behind, Notice};
use crate::cli::show::ui::Ui;

/// Shows it on stderr.
pub fn notice(ui: &Ui, notice: Notice<'_>) {
    match notice {
        Notice::Evidence { evidence, file } => ui.alarm(evidence, file),
        Notice::Warning(sentence) => ui.warn(sentence),
        Notice::Connection { server, lost } => ui.connection(server, lost),
        Notice::OtherServer { used, asked, trouble } => {
            let how = match trouble {
                Some(error) => format!(", and that one is in trouble: {}", error.message),
                None => String::new(),
            };
            ui.warn(&format!(
                "the process that has this profile open uses {used}, not {asked}; this command goes through it{how}"
            ));
        }
        Notice::Stored(why) => ui.warn(&format!("{why}; this is what is stored here")),
        Notice::Behind(behind) => ui.warn(&match behind {
            Behind::RegistrySilent => "not up to date yet: the registry does not answer".into(),
            Behind::LookingUp => "not up to date yet: accounts are still being looked up".into(),
            Behind::Slow => "not up to date yet: the broker takes its time".into(),
            Behind::Failed(error) => format!("not up to date: {error}"),
        }),
    }
}
