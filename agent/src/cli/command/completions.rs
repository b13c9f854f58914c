//! `completions`: what a shell needs to complete command lines.

use clap_complete::Shell;

use crate::cli::context::Context;
use crate::cli::exit::Result;

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cipher-chat completions bash > ~/.local/share/bash-completion/completions/cipher-chat\n  cipher-chat completions fish > ~/.config/fish/completions/cipher-chat.fish"
)]
pub struct Args {
    /// Shell
    pub shell: Shell,
}

/// Runs it, for the whole tree of commands.
pub fn run(context: &Context, args: Args, mut tree: clap::Command) -> Result {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut tree, "cipher-chat", &mut script);
    // For bash, clap_complete takes the hyphen of our name for a level of commands in one of two places.
    let script = String::from_utf8_lossy(&script).replace("cipher__subcmd__chat", "cipher__chat");
    context.ui.raw(&script)
}
