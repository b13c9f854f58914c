//! `daemon`: keeps a profile open.

use cipher_api::ErrorKind;

use crate::app::profile::OpenProfile;
use crate::cli::context::Context;
use crate::cli::exit::Result;
use crate::cli::input::interrupt::Interrupt;
use crate::cli::show::line::Line;
use crate::session::Need;

/// Keep the profile open and connected until interrupted
///
/// Messages are received and delivered as they come. Every other command of the profile goes through it, and programs
/// speak to it by `cipher-chat rpc`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  cipher-chat daemon\n  cipher-chat --profile ops daemon --json")]
pub struct Args {}

/// Runs it.
pub async fn run(context: &Context, _: Args) -> Result {
    let mut stop = Interrupt::listen();
    let profile = OpenProfile::open(context, Need::Everything).await?;
    if profile.session.is_remote() {
        profile.close().await;
        return Err(ErrorKind::Locked
            .because("another process has this profile open already, and serves it")
            .into());
    }
    profile.goes_on().await?;
    let mut events = profile.session.events();
    let home = context.settings.home.display().to_string();
    context.ui.show(&Line::Ready { server: None, home: Some(&home), bot: None, handle: None })?;
    context.ui.note("the profile is open; Ctrl-C ends it");
    loop {
        tokio::select! {
            () = stop.wait() => break,
            event = events.next() => match event {
                Some(cipher_api::Event::Stopped { error }) => return Err(profile.blamed(error).into()),
                Some(event) => profile.hear(&event),
                None => break,
            },
        }
    }
    profile.close().await;
    Ok(())
}
