//! `contact`: whom one knows.

use cipher_broker::handle::Handle;
use cipher_core::{Command, Reply};

use crate::cli::desk::{self, Desk};
use crate::cli::exit::{Result, unexpected};
use crate::cli::line::Line;
use crate::cli::run::Context;
use crate::session::Need;

/// Ask people to become contacts, and answer those who asked
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cipher-chat contact add @bob -m \"It's Alice from the on-call room\"\n  cipher-chat contact accept @alice\n  cipher-chat send @bob \"hello\""
)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Ask somebody to become a contact
    Add {
        /// Whom
        handle: Handle,
        /// First words, shown with the request
        #[arg(short, long, value_name = "TEXT")]
        message: Option<String>,
    },
    /// List contacts and requests
    List,
    /// Accept somebody's request
    Accept {
        /// Whose
        handle: Handle,
    },
}

/// Runs it.
pub async fn run(context: &Context, args: Args) -> Result {
    let looks_only = matches!(args.verb, Verb::List);
    let (desk, command) = match args.verb {
        Verb::Add { handle, message } => {
            let text = message.map(desk::text).transpose()?;
            let desk = Desk::open(context, Need::Everything).await?;
            desk.online().await?;
            // Whether they have asked meanwhile decides what adding means.
            desk.refresh().await?;
            (desk, Command::ContactAdd { handle, text })
        }
        Verb::List => {
            let desk = Desk::open(context, Need::Everything).await?;
            desk.refresh().await?;
            (desk, Command::Contacts)
        }
        Verb::Accept { handle } => {
            let desk = Desk::open(context, Need::Everything).await?;
            desk.online().await?;
            desk.refresh().await?;
            (desk, Command::ContactAccept { handle })
        }
    };
    match desk.request(command).await? {
        Reply::Contact(contact) => context.ui.list(&[Line::Contact(&contact)], "")?,
        Reply::Contacts(contacts) => {
            let lines: Vec<_> = contacts.iter().map(Line::Contact).collect();
            context.ui.list(&lines, "no contacts yet: cipher-chat contact add @HANDLE")?;
        }
        _ => return Err(unexpected()),
    }
    if !looks_only {
        desk.settle().await;
    }
    desk.close().await;
    Ok(())
}
