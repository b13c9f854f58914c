//! `profile`: what an account tells everybody about itself.

use cipher_api::command::account;
use cipher_api::reply::Done;
use cipher_api::view::RequestPolicy;
use cipher_broker::handle::Handle;
use cipher_broker::limit;
use cipher_broker::wire::registry;

use crate::app::profile::OpenProfile;
use crate::cli::context::Context;
use crate::cli::exit::{Failure, Result};
use crate::cli::input::target;
use crate::cli::input::text;
use crate::cli::show::line::Line;
use crate::session::Need;

/// Show the public profile of an account, or change your own
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cipher-chat profile set --status \"on call\" --presence busy\n  cipher-chat profile set --requests contacts\n  cipher-chat profile set --receipts off\n  cipher-chat profile show @bob"
)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Change your name, status or presence, or who may ask to become a contact
    Set {
        /// Display name; empty removes it
        #[arg(long, value_name = "TEXT")]
        name: Option<String>,
        /// Status text; empty removes it
        #[arg(long, value_name = "TEXT")]
        status: Option<String>,
        /// Presence
        #[arg(long)]
        presence: Option<Presence>,
        /// Who may ask to become a contact or invite you; requests of others are dropped unseen
        #[arg(long, value_name = "WHO")]
        requests: Option<Requests>,
        /// Whether people you talk with see what reached your devices and what you read, and when you write
        /// something; without it you do not see theirs. Groups of more than 32 members have none
        #[arg(long, value_name = "WHETHER")]
        receipts: Option<Receipts>,
    },
    /// Show the public profile of an account, or your own
    Show {
        /// Handle of the account [default: your own]
        #[arg(value_parser = target::handle)]
        handle: Option<Handle>,
    },
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Presence {
    Available,
    Away,
    Busy,
    Offline,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Requests {
    /// Only your contacts
    Contacts,
    /// Accounts that the registry knows
    Deployment,
    /// Every account
    Anyone,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Receipts {
    On,
    Off,
}

/// Runs it.
pub async fn run(context: &Context, args: Args) -> Result {
    let shows = matches!(args.verb, Verb::Show { .. });
    let (profile, account) = match args.verb {
        Verb::Set { name: None, status: None, presence: None, requests: None, receipts: None } => {
            return Err(Failure::usage(
                "nothing to set: give --name, --status, --presence, --requests or --receipts",
            ));
        }
        Verb::Set { name: None, status: None, presence: None, requests, receipts } => {
            let profile = OpenProfile::open(context, Need::Outbox).await?;
            return set_own(context, profile, requests, receipts).await;
        }
        Verb::Set { name, status, presence, requests, receipts } => {
            let name = name.map(|name| text::short("name", name, limit::DISPLAY_NAME_CHARS)).transpose()?;
            let status =
                status.map(|status| text::short("status", status, limit::STATUS_CHARS)).transpose()?;
            let presence = presence.map(registry::Presence::from);
            let profile = OpenProfile::open(context, Need::Outbox).await?;
            profile.online().await?;
            if let Some(requests) = requests {
                let Done {} = profile.ask(account::SetRequests { policy: requests.into() }).await?;
            }
            if let Some(receipts) = receipts {
                let Done {} = profile.ask(account::SetReceipts { on: receipts == Receipts::On }).await?;
            }
            let account = profile.ask(account::SetProfile { name, status, presence }).await?;
            (profile, account)
        }
        Verb::Show { handle: None } => {
            let profile = OpenProfile::open(context, Need::Local).await?;
            let account = profile.ask(account::Show {}).await?;
            (profile, account)
        }
        Verb::Show { handle: Some(handle) } => {
            let profile = OpenProfile::open(context, Need::Outbox).await?;
            profile.online().await?;
            let account = profile.ask(account::ShowProfile { handle }).await?;
            (profile, account)
        }
    };
    let shown = context.ui.show(&Line::account(&account));
    profile.close().await;
    if shows {
        return shown;
    }
    context.ui.happened(shown);
    Ok(())
}

/// What only this account's devices know: it needs no registry.
async fn set_own(
    context: &Context,
    profile: OpenProfile<'_>,
    requests: Option<Requests>,
    receipts: Option<Receipts>,
) -> Result {
    if let Some(requests) = requests {
        let Done {} = profile.ask(account::SetRequests { policy: requests.into() }).await?;
        let who = match requests {
            Requests::Contacts => "contacts",
            Requests::Deployment => "deployment",
            Requests::Anyone => "anyone",
        };
        context.ui.happened(context.ui.show(&Line::Done { action: "requests from", target: Some(who) }));
    }
    if let Some(receipts) = receipts {
        let on = receipts == Receipts::On;
        let Done {} = profile.ask(account::SetReceipts { on }).await?;
        let whether = if on { "on" } else { "off" };
        context.ui.happened(context.ui.show(&Line::Done { action: "receipts", target: Some(whether) }));
    }
    profile.settle().await;
    profile.close().await;
    Ok(())
}

impl From<Requests> for RequestPolicy {
    fn from(requests: Requests) -> Self {
        match requests {
            Requests::Contacts => Self::Contacts,
            Requests::Deployment => Self::Deployment,
            Requests::Anyone => Self::Anyone,
        }
    }
}

impl From<Presence> for registry::Presence {
    fn from(presence: Presence) -> Self {
        match presence {
            Presence::Available => Self::Available,
            Presence::Away => Self::Away,
            Presence::Busy => Self::Busy,
            Presence::Offline => Self::Offline,
        }
    }
}
