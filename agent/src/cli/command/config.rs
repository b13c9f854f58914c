//! `config`: which settings are in force.

use crate::cli::context::Context;
use crate::cli::exit::Result;
use crate::cli::show::line::Line;
use crate::settings::Origin;

/// Show the settings in force
///
/// Later ones win: defaults, /etc/cipher-chat/config.toml, ~/.config/cipher-chat/config.toml, ./cipher-chat.toml,
/// CIPHER_CHAT_… in the environment, flags. Files and environment may also name how to log in to the broker:
/// credentials, nkey, tls_ca, tls_cert, tls_key, each the path of a file; in a file `~` is the home folder, and a
/// relative path begins at that file's folder. Of several logins the one from the last of these
/// counts. tls_first is auto, yes or no: whether TLS begins before the broker's first line; sync = "always" confirms that
/// the broker writes to disk before it acknowledges, which a client cannot find out. key_file is what opens the store.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cipher-chat config show --origin\n  CIPHER_CHAT_SERVER=nats://10.0.0.5 cipher-chat config show --json"
)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Show every setting
    Show {
        /// Also show where each value comes from
        #[arg(long)]
        origin: bool,
    },
}

/// Runs it.
pub fn run(context: &Context, Args { verb: Verb::Show { origin } }: Args) -> Result {
    let lines: Vec<_> = context.settings.origins.iter().map(|of| line(of, origin)).collect();
    context.ui.list(&lines, "")
}

fn line(of: &Origin, with_origin: bool) -> Line<'_> {
    Line::Config { key: of.key, value: &of.value, origin: with_origin.then_some(&of.origin) }
}
