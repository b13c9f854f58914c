//! `daemon`: a profile that stays open.

use std::path::{Path, PathBuf};

use cipher_api::Event;

use crate::app::patience;
use crate::app::profile::OpenProfile;
use crate::cli::context::Context;
use crate::cli::exit::Result;
use crate::cli::input::interrupt::Interrupt;
use crate::cli::show::line::Line;
use crate::session::Events;

/// Keep the profile open until interrupted, for all other commands and programs
///
/// While another process has the profile open, this one waits and takes over when that ends. Prints a line `ready` once it
/// has the profile; every other command of the same user goes through it.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cipher-chat daemon\n  cipher-chat daemon --json --profile work\n  cipher-chat daemon --token-socket /run/chat/tokens.sock"
)]
pub struct Args {
    /// A second socket, which serves programs of other users and of containers, only with a token; the rights of its folder
    /// decide who can reach it
    #[arg(long, value_name = "PATH")]
    token_socket: Option<PathBuf>,
}

/// Runs it.
pub async fn run(context: &Context, Args { token_socket }: Args) -> Result {
    let mut stop = Interrupt::listen();
    loop {
        let (profile, events) = OpenProfile::read(context, async |profile| {
            profile.goes_on().await?;
            Ok(profile.session.events())
        })
        .await?;
        let kept = keep(context, &profile, token_socket.as_deref(), events, &mut stop).await;
        profile.close().await;
        if kept? {
            return Ok(());
        }
        tokio::time::sleep(patience::REOPEN).await;
    }
}

/// Keeps it open; true when it is to end, false when another process had it open and has ended.
async fn keep(
    context: &Context,
    profile: &OpenProfile<'_>,
    token_socket: Option<&Path>,
    mut events: Events,
    stop: &mut Interrupt,
) -> Result<bool> {
    if profile.session.is_remote() {
        context.ui.note("another process has this profile open; this one takes over when that ends");
    } else {
        if let Some(path) = token_socket {
            profile.session.serve_tokens(path)?;
        }
        let server = profile.session.server();
        context.ui.show(&Line::Ready {
            server: server.as_deref(),
            home: None,
            profile: Some(profile.name()),
            bot: None,
            handle: None,
        })?;
    }
    loop {
        let event = tokio::select! {
            () = stop.wait() => return Ok(true),
            event = events.next() => event,
        };
        match event {
            None => return Ok(false),
            Some(Event::Stopped { error }) => return Err(profile.blamed(error).into()),
            // Else the process that has it open tells it.
            Some(event) if !profile.session.is_remote() => profile.hear(&event),
            Some(_) => {}
        }
    }
}
