//! `man`: manual pages of all commands.

use std::path::{Path, PathBuf};

use cipher_api::{Advice, Error, ErrorKind};
use clap_mangen::Man;

use crate::cli::context::Context;
use crate::cli::exit::Result;

/// Print the manual page of the program, or write those of all commands
///
/// Each command has a page of its own: cipher-chat.1, cipher-chat-send.1, cipher-chat-group-create.1.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cipher-chat man | man -l -\n  cipher-chat man --to ~/.local/share/man/man1 && man cipher-chat-send"
)]
pub struct Args {
    /// Folder for the pages of all commands; made if it is not there, and pages of before are replaced
    #[arg(long, value_name = "DIR")]
    pub to: Option<PathBuf>,
}

/// Runs it, for the whole tree of commands.
pub fn run(context: &Context, args: Args, mut tree: clap::Command) -> Result {
    tree.build();
    let Some(folder) = args.to else {
        let mut page = Vec::new();
        Man::new(tree).render(&mut page).map_err(|error| unwritten(Path::new("the page"), error))?;
        return context.ui.raw(&String::from_utf8_lossy(&page));
    };
    std::fs::create_dir_all(&folder).map_err(|error| unwritten(&folder, error))?;
    let pages = write_pages(tree, &folder)?;
    context.ui.note(&format!("{pages} pages are in {}", folder.display()));
    Ok(())
}

/// Writes the pages of a command and of all below it; gives their number.
fn write_pages(command: clap::Command, folder: &Path) -> Result<usize> {
    let mut pages = 1;
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help") {
        pages += write_pages(sub.clone(), folder)?;
    }
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let file = folder.join(format!("{name}.1"));
    let mut page = Vec::new();
    Man::new(command).render(&mut page).map_err(|error| unwritten(&file, error))?;
    std::fs::write(&file, page).map_err(|error| unwritten(&file, error))?;
    Ok(pages)
}

fn unwritten(what: &Path, error: std::io::Error) -> Error {
    let told = format!("{} cannot be written: {error}", what.display());
    ErrorKind::Misuse.because_of(told, error).hint(Advice::CheckDisk)
}
