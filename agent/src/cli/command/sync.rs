//! `sync`: everything up to date, everything queued delivered.

use cipher_api::command::status::Synced;
use cipher_api::command::{device, group, status};
use cipher_api::{Error, ErrorKind, Hint, Notice};

use crate::app::profile::OpenProfile;
use crate::cli::context::Context;
use crate::cli::exit::{Failure, Result};
use crate::cli::show::line::Line;
use crate::cli::show::notice;
use crate::cli::show::safe_text::safe_text;
use crate::session::Need;

/// Receive everything, and deliver what is queued
///
/// Exit code 6: something was found against the registry, now or before; `cipher-chat doctor` lists it, and `cipher-chat
/// doctor --acknowledge` takes note of it. Exit code 4: this device was revoked. Exit code 3: a log could not be read.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs it.
pub async fn run(context: &Context, Args {}: Args) -> Result {
    let profile = OpenProfile::open(context, Need::Everything).await?;
    profile.online().await?;
    let Synced { received, delivered, queued, unread, silent } = profile.ask(status::Sync {}).await?;
    context.ui.show(&Line::Synced {
        received,
        delivered: delivered.iter().map(|told| told.messages).sum(),
        delivered_to: &delivered,
        queued,
        unread: unread.len() as u64,
    })?;
    for group in profile.ask(group::List {}).await?.into_iter().filter(|group| group.recovering.is_some()) {
        let lost = Notice::PlaceLost { group: group.id, name: group.name };
        context.ui.warn(&notice::words(&lost, &context.ui));
    }
    if !unread.is_empty() {
        let error = if silent {
            profile.session.trouble().unwrap_or_else(|| silence(&unread))
        } else {
            not_read(&unread)
        };
        profile.close().await;
        return Err(error.into());
    }
    if profile.ask(device::List {}).await?.iter().any(|device| device.current && device.revoked) {
        // Learnt just now: from here on it is refused, with the words for it.
        profile.ask(status::Sync {}).await?;
    }
    let caught = profile.evidence().await?;
    profile.close().await;
    if caught { Err(Failure::Shown(ErrorKind::Trust.code())) } else { Ok(()) }
}

/// Of a broker that gave nothing of what was asked for.
fn silence(unread: &[String]) -> Error {
    let names = named(unread);
    ErrorKind::Unreachable
        .because(format!("the broker gave nothing of what was asked for ({names}): it does not answer, or allows none of it to be read"))
        .hint(Hint::Doctor)
}

/// Names whose log the broker did not give, while it gave others.
fn not_read(unread: &[String]) -> Error {
    let names = named(unread);
    ErrorKind::Unreachable
        .because(format!("the broker does not allow this to be read: {names}"))
        .hint(Hint::text("what is there is not lost; its operator can check the streams with `cipher-registry provision --verify`"))
}

fn named(unread: &[String]) -> String {
    /// More are counted only.
    const NAMED: usize = 5;
    let mut names = unread.iter().take(NAMED).map(|name| safe_text(name)).collect::<Vec<_>>().join(", ");
    if unread.len() > NAMED {
        names.push_str(&format!(" and {} more", unread.len() - NAMED));
    }
    names
}
