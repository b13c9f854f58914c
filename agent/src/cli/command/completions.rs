//! `completions`: what a shell needs to complete command lines.

use clap_complete::Shell;

use crate::cli::complete;
use crate::cli::context::Context;
use crate::cli::exit::Result;

/// Print a completion script for a shell
///
/// In bash, zsh and fish it completes groups, @handles, ids of messages and profiles too: the script asks cipher-chat,
/// which asks you for nothing and sends nothing; a store that only a passphrase opens gives no words.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cipher-chat completions bash > ~/.local/share/bash-completion/completions/cipher-chat\n  cipher-chat completions zsh > \"${fpath[1]}/_cipher-chat\"\n  cipher-chat completions fish > ~/.config/fish/completions/cipher-chat.fish"
)]
pub struct Args {
    /// Shell
    pub shell: Shell,
}

/// Runs it, for the whole tree of commands.
pub fn run(context: &Context, args: Args, mut tree: clap::Command) -> Result {
    if let Some(script) = complete::script(&args.shell.to_string()) {
        return context.ui.raw(&script);
    }
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut tree, "cipher-chat", &mut script);
    context.ui.raw(&String::from_utf8_lossy(&script))
}
