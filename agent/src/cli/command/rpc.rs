//! `rpc`: the protocol of the control socket on standard input and output.

use tokio::io::{stdin, stdout};

use crate::app::patience;
use crate::app::profile::OpenProfile;
use crate::cli::context::Context;
use crate::cli::exit::Result;
use crate::cli::input::interrupt::Interrupt;
use crate::session::Need;

/// Speak JSON-RPC 2.0 on standard input and output, for programs
///
/// One object per line, as the control socket of the profile speaks; docs/API.md has the methods, and cipher-chat schema their
/// JSON Schema. Ends with its input. If the process that has the profile open ends, so does this one, with exit code 7: start it
/// again, and subscribe from the last cursor.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cipher-chat rpc --profile work\n  echo '{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"hello\",\"params\":{\"version\":1}}' | cipher-chat rpc"
)]
pub struct Args {}

/// Runs it.
pub async fn run(context: &Context, Args {}: Args) -> Result {
    let mut stop = Interrupt::listen();
    let profile = open(context).await?;
    let place = profile.place()?;
    let mut events = profile.session.events();
    let spoken = async {
        let speaking = profile.session.speak(&place, stdin(), stdout());
        tokio::pin!(speaking);
        let mut listening = !profile.session.is_remote();
        loop {
            tokio::select! {
                spoken = &mut speaking => return spoken,
                () = stop.wait() => return Ok(()),
                event = events.next(), if listening => match event {
                    // Whoever speaks to this hears it as an event; a person looks at standard error.
                    Some(event) => profile.hear(&event),
                    None => listening = false,
                },
            }
        }
    };
    let spoken = spoken.await;
    profile.leave().await;
    Ok(spoken?)
}

/// Opens the profile, which may be a new one: a program can register an account in it. A process that has it open only to
/// send something is soon gone, and follows nothing.
async fn open(context: &Context) -> Result<OpenProfile<'_>> {
    loop {
        let profile = OpenProfile::open_profile(context, &context.settings.profile, Need::Everything).await?;
        if profile.session.follows() {
            return Ok(profile);
        }
        profile.session.ended().await;
        profile.close().await;
        tokio::time::sleep(patience::REOPEN).await;
    }
}
