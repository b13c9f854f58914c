//! `download`: the files of a message.

use std::path::PathBuf;

use cipher_api::command::file;
use cipher_api::view::OpenFileView;
use cipher_api::{ErrorKind, Hint};

use crate::app::download::Destination;
use crate::app::files::FileTransfer;
use crate::app::profile::OpenProfile;
use crate::cli::command::edit::MessageArgs;
use crate::cli::context::Context;
use crate::cli::exit::Result;
use crate::cli::show::line::Line;
use crate::session::Need;

/// Fetch a file that was sent, or all files of a message
///
/// A file is checked before it gets its name, and nothing is overwritten: where a name is taken, the file is called
/// NAME (1). What an interrupted download fetched is kept in a hidden file beside it, and the same command goes on from
/// there.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cipher-chat download qk7xwe\n  cipher-chat download qk7xwe --to ~/Downloads\n  cipher-chat download qk7xwe --to report.pdf"
)]
pub struct Args {
    /// The file, or the message that it came with
    #[command(flatten)]
    pub message: MessageArgs,
    /// Where to: a folder, or the name of a file that is to come [default: this folder]
    #[arg(long, value_name = "DIR|FILE", default_value = ".", hide_default_value = true)]
    pub to: PathBuf,
}

/// Runs `download`.
pub async fn run(context: &Context, args: Args) -> Result {
    let Args { message, to } = args;
    let named = message.named()?;
    let to = Destination::named(&to)?;
    let profile = OpenProfile::open(context, Need::Outbox).await?;
    let fetched = fetch(context, &profile, named, &to).await;
    profile.close().await;
    fetched
}

async fn fetch(
    context: &Context,
    profile: &OpenProfile<'_>,
    named: cipher_api::command::message::MessageRef,
    to: &Destination,
) -> Result {
    let wanted = profile.ask(file::Open { file: named }).await?;
    if wanted.len() > 1 && matches!(to, Destination::File(_)) {
        return Err(ErrorKind::Usage
            .because(format!("{} files came with this message, and --to names one file", wanted.len()))
            .hint(Hint::text("nothing was fetched; name a folder, or one of the files by its own id"))
            .into());
    }
    let transfer = FileTransfer::begin(profile).await?;
    let fetched = fetch_all(context, &transfer, &wanted, to).await;
    transfer.end().await;
    fetched
}

async fn fetch_all(
    context: &Context,
    transfer: &FileTransfer,
    wanted: &[OpenFileView],
    to: &Destination,
) -> Result {
    for file in wanted {
        let shown = &file.file.file;
        let what = format!("fetching {}", shown.name);
        let path = transfer.download(file, to, |done, total| context.ui.transfer(&what, done, total)).await;
        context.ui.progress_end();
        let path = path?;
        context.ui.happened(context.ui.show(&Line::downloaded(file, &path)));
    }
    Ok(())
}
