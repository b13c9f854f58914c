//! `contact`: whom one knows, and how sure one is of it.

use cipher_api::command::contact;
use cipher_api::reply::Done;
use cipher_api::view::{ContactState, ContactView, SafetyNumberView};
use cipher_api::{Advice, Who};
use cipher_broker::handle::Handle;
use data_encoding::BASE64URL_NOPAD;

use crate::app::profile::OpenProfile;
use crate::cli::context::Context;
use crate::cli::exit::{Failure, Result};
use crate::cli::input::target;
use crate::cli::input::text;
use crate::cli::show::line::Line;
use crate::session::Need;

/// Digits of a safety number.
const DIGITS: usize = 60;
/// Bytes in its URI: a version, two accounts, a digest.
const URI_BYTES: usize = 97;

/// Ask people to become contacts, answer those who asked, verify them, block them
///
/// ✓ verified: you compared safety numbers. ? unverified: pinned when first seen. ! changed: another account has the
/// handle now, and nothing is sent until you trust it.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cipher-chat contact add @bob -m \"It's Alice from the on-call room\"\n  cipher-chat contact requests\n  cipher-chat contact accept @alice\n  cipher-chat contact verify @bob\n  cipher-chat contact block @mallory"
)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Ask a person to become a contact
    Add {
        /// Handle of the account
        #[arg(value_parser = target::handle)]
        handle: Handle,
        /// First message: shown with the request, and in the conversation once the other person accepts
        #[arg(short, long, value_name = "TEXT")]
        message: Option<String>,
    },
    /// List contacts and requests
    List,
    /// List the requests of others to become a contact
    Requests,
    /// Accept a request
    Accept {
        /// Handle of the account
        #[arg(value_parser = target::handle)]
        handle: Handle,
    },
    /// Decline a request; the same person may ask again
    Decline {
        /// Handle of the account
        #[arg(value_parser = target::handle)]
        handle: Handle,
    },
    /// Remove a contact; the conversation stays readable here
    Remove {
        /// Handle of the account
        #[arg(value_parser = target::handle)]
        handle: Handle,
    },
    /// Block an account: its messages are hidden, its requests and invitations dropped
    Block {
        /// Handle or account id
        #[arg(value_parser = target::who)]
        who: Who,
    },
    /// Lift a block; what was hidden is shown again
    Unblock {
        /// Handle or account id
        #[arg(value_parser = target::who)]
        who: Who,
    },
    /// Show the safety number that you share with a person, and compare it with what they see
    ///
    /// Both sides see the same sixty digits if no third party is in between. Compare them face to face or by telephone, or
    /// scan the QR code and give what it says as --code: equal means verified, different ends with exit code 6.
    #[command(
        after_help = "Examples:\n  cipher-chat contact verify @bob\n  cipher-chat contact verify @bob --code \"12345 67890 …\"\n  cipher-chat contact verify @bob --code cipher-chat:verify/…"
    )]
    Verify {
        /// Handle of the other account
        #[arg(value_parser = target::handle)]
        handle: Handle,
        /// What the other side shows: the digits, or the URI of its QR code
        #[arg(long, value_name = "CODE")]
        code: Option<String>,
    },
    /// Accept that a handle belongs to another account than when it was first seen
    Trust {
        /// Handle of the account
        #[arg(value_parser = target::handle)]
        handle: Handle,
    },
}

impl Verb {
    const fn looks_only(&self) -> bool {
        matches!(self, Self::List | Self::Requests)
    }

    /// What can be told without asking: whether a code is one.
    fn check(&self) -> Result {
        match self {
            Self::Verify { code: Some(code), .. } if code.trim().is_empty() => {
                Err(Failure::usage("the code is empty"))
            }
            Self::Verify { code: Some(code), .. } if !is_safety_number(code) => Err(Failure::Usage {
                message: "this is not a safety number".into(),
                hint: Some(Advice::SafetyNumberForm.into()),
            }),
            _ => Ok(()),
        }
    }

    /// Whether it can be done without the broker: it only changes what this account thinks.
    const fn is_local(&self) -> bool {
        matches!(self, Self::Verify { .. } | Self::Trust { .. } | Self::Unblock { .. } | Self::Block { .. })
    }
}

/// What a verb gives, to be shown.
enum Outcome {
    Done(&'static str, String),
    Contact(Box<ContactView>),
    Contacts(Vec<ContactView>),
    Number(Box<SafetyNumberView>),
}

/// Runs it.
pub async fn run(context: &Context, args: Args) -> Result {
    let (looks_only, is_local) = (args.verb.looks_only(), args.verb.is_local());
    let requests_only = matches!(args.verb, Verb::Requests);
    args.verb.check()?;
    let profile = OpenProfile::open(context, Need::Everything).await?;
    if !looks_only && !is_local {
        profile.online().await?;
    }
    // Whether they have asked meanwhile, or changed, decides what a command means.
    profile.refresh().await?;
    match done(&profile, args.verb).await? {
        Outcome::Contact(contact) => {
            context.ui.happened(context.ui.list(&[Line::Contact(&contact)], ""));
        }
        Outcome::Contacts(contacts) => list(context, &contacts, requests_only)?,
        Outcome::Number(number) => {
            context.ui.show(&Line::SafetyNumber(&number))?;
            context.ui.qr(&number.uri);
        }
        Outcome::Done(action, target) => {
            context.ui.happened(context.ui.show(&Line::Done { action, target: Some(&target) }));
        }
    }
    if !looks_only {
        profile.settle().await;
    }
    profile.close().await;
    Ok(())
}

/// Whether this can be what the other side shows: the digits, or the URI of its QR code.
fn is_safety_number(code: &str) -> bool {
    let code = code.trim();
    if let Some(encoded) = code.strip_prefix("cipher-chat:verify/") {
        return BASE64URL_NOPAD.decode(encoded.as_bytes()).is_ok_and(|bytes| bytes.len() == URI_BYTES);
    }
    let digits = || code.chars().filter(|c| !c.is_whitespace());
    digits().count() == DIGITS && digits().all(|c| c.is_ascii_digit())
}

fn list(context: &Context, contacts: &[ContactView], requests_only: bool) -> Result {
    let wanted = |contact: &&ContactView| !requests_only || contact.state == ContactState::Requested;
    let line = if requests_only { Line::ContactRequest } else { Line::Contact };
    let lines: Vec<_> = contacts.iter().filter(wanted).map(line).collect();
    let add = format!("no contacts yet: {}", context.ui.command("contact add @HANDLE"));
    context.ui.list(&lines, if requests_only { "no requests" } else { &add })
}

/// Has it done.
async fn done(profile: &OpenProfile<'_>, verb: Verb) -> Result<Outcome> {
    let contact = |contact: ContactView| Outcome::Contact(Box::new(contact));
    Ok(match verb {
        Verb::Add { handle, message } => {
            let text = message.map(text::message).transpose()?;
            contact(profile.ask(contact::Add { handle, text }).await?)
        }
        Verb::List | Verb::Requests => Outcome::Contacts(profile.ask(contact::List {}).await?),
        Verb::Accept { handle } => contact(profile.ask(contact::Accept { handle }).await?),
        Verb::Decline { handle } => {
            let of = format!("@{handle}");
            let Done {} = profile.ask(contact::Decline { handle }).await?;
            Outcome::Done("declined", of)
        }
        Verb::Remove { handle } => {
            let of = format!("@{handle}");
            let Done {} = profile.ask(contact::Remove { handle }).await?;
            Outcome::Done("removed", of)
        }
        Verb::Block { who } => contact(profile.ask(contact::Block { who }).await?),
        Verb::Unblock { who } => {
            let of = who.to_string();
            match profile.ask(contact::Unblock { who }).await? {
                Some(unblocked) => contact(unblocked),
                None => Outcome::Done("unblocked", of),
            }
        }
        Verb::Verify { handle, code } => {
            Outcome::Number(Box::new(profile.ask(contact::Verify { handle, code }).await?))
        }
        Verb::Trust { handle } => contact(profile.ask(contact::Trust { handle }).await?),
    })
}
