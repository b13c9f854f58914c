//! `sync`: everything up to date, everything queued delivered.

use cipher_core::{Command, CoreError, ErrorKind, Reply};

use crate::app::profile::OpenProfile;
use crate::cli::context::Context;
use crate::cli::exit::{self, Failure, Result, unexpected};
use crate::cli::show::line::Line;
use crate::cli::show::safe_text::safe_text;
use crate::session::Need;

/// Receive everything, and deliver what is queued
///
/// Ends with 6 when something was found against the registry, now or before: cipher-chat doctor lists it, and takes note of
/// it with --acknowledge. Ends with 4 when this device was revoked, and with 3 when a log could not be read.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs it.
pub async fn run(context: &Context, Args {}: Args) -> Result {
    let profile = OpenProfile::open(context, Need::Everything).await?;
    profile.online().await?;
    let Reply::Synced { received, delivered, queued, unread, silent } =
        profile.request(Command::Sync).await?
    else {
        return Err(unexpected());
    };
    context.ui.show(&Line::Synced {
        received,
        delivered: delivered.iter().map(|told| told.messages).sum(),
        delivered_to: &delivered,
        queued,
        unread: unread.len() as u64,
    })?;
    if let Reply::Groups(groups) = profile.request(Command::Groups).await? {
        for group in groups.iter().filter(|group| group.recovering.is_some()) {
            context.ui.warn(&format!(
                "this device lost its place in '{}' and asks the others to let it back in; what you send there waits",
                group.name
            ));
        }
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
    if let Reply::Devices(devices) = profile.request(Command::Devices).await?
        && devices.iter().any(|device| device.current && device.revoked)
    {
        // Learnt just now: from here on it is refused, with the words for it.
        profile.request(Command::Sync).await?;
    }
    let caught = profile.evidence().await?;
    profile.close().await;
    if caught { Err(Failure::Shown(exit::code(ErrorKind::Trust))) } else { Ok(()) }
}

/// Of a broker that gave nothing of what was asked for.
fn silence(unread: &[String]) -> CoreError {
    let names = named(unread);
    ErrorKind::Unreachable
        .because(format!("the broker gave nothing of what was asked for ({names}): it does not answer, or lets none of it be read"))
        .hint("what is there is not lost; cipher-chat doctor tells more")
}

/// Names whose log the broker did not give, while it gave others.
fn not_read(unread: &[String]) -> CoreError {
    let names = named(unread);
    ErrorKind::Unreachable
        .because(format!("the broker does not let this be read: {names}"))
        .hint("what is there is not lost; the operator sees with `cipher-registry provision --verify` what is wrong with the streams")
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
