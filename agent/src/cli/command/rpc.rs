//! `rpc`: the protocol of the control socket on standard input and output.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use cipher_api::Hint;
use tokio::io::{stdin, stdout};

use crate::app::notice::{FrontEnd, Notice};
use crate::app::patience;
use crate::app::profile::OpenProfile;
use crate::cli::context::Context;
use crate::cli::exit::{Failure, Result};
use crate::cli::input::interrupt::Interrupt;
use crate::control::client;
use crate::profile::Profile;
use crate::runtime::timer;
use crate::session::Need;
use crate::settings::Settings;
use crate::token::secret::Secret;

/// Longest file of a token, bytes.
const TOKEN_FILE_BYTES: u64 = 4096;

/// Speak JSON-RPC 2.0 on standard input and output, for programs
///
/// One object per line, as the control socket of the profile speaks; docs/API.md has the methods, and cipher-chat schema their
/// JSON Schema. Ends with its input. If the process that has the profile open ends, so does this one, with exit code 7: start it
/// again, and subscribe from the last cursor.
///
/// With a token, in a file or in the environment as CIPHER_CHAT_TOKEN, the program that speaks here may do only what the token
/// allows: start it for a program that gets nothing but its standard input and output. Ends with exit code 4 when the token
/// has expired or was revoked.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cipher-chat rpc --profile work\n  echo '{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"hello\",\"params\":{\"version\":1}}' | cipher-chat rpc\n  cipher-chat rpc --token-file ./bridge.token"
)]
pub struct Args {
    /// File with a token; only what it allows can then be done
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// Runs it.
pub async fn run(context: &Context, Args { token_file }: Args) -> Result {
    let mut stop = Interrupt::listen();
    let token = token(context, token_file.as_deref())?;
    let quiet = Quiet(&context.settings);
    // What the profile has to tell is not for the holder of a token, who may hold standard error too.
    let front: &dyn FrontEnd = if token.is_some() { &quiet } else { context };
    if let Some(token) = &token {
        // One that is over must not make anything move. The process that has the profile open knows it, if there is one.
        OpenProfile::known(context)?;
        if !client::takes(&Profile::new(&context.settings.home, &context.settings.profile)?, token).await? {
            OpenProfile::tokens(context).await?.holds(token, timer::now())?;
        }
    }
    let profile = open(front).await?;
    let place = profile.place()?;
    let mut events = profile.session.events();
    let spoken = async {
        let speaking = profile.session.speak(&place, token.as_ref(), stdin(), stdout());
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
    match (spoken, &token) {
        // The process that has the profile open ends a connection whose token is over.
        (Err(error), Some(token)) if client::is_gone(&error) => {
            client::takes(&place, token).await?;
            Err(error.into())
        }
        (spoken, _) => Ok(spoken?),
    }
}

/// Says nothing besides the answers.
#[derive(Debug)]
struct Quiet<'a>(&'a Settings);

impl FrontEnd for Quiet<'_> {
    fn settings(&self) -> &Settings {
        self.0
    }

    fn notice(&self, _: Notice<'_>) {}
}

/// The token of a file, else that of the environment. It is not taken from the command line, which every process of the
/// machine can read.
fn token(context: &Context, file: Option<&Path>) -> Result<Option<Secret>> {
    let Some(file) = file else { return Ok(context.settings.token.clone().transpose()?) };
    let failed = |error: io::Error| Failure::Usage {
        message: format!("the file of the token, {}, cannot be read: {error}", file.display()),
        hint: Some(Hint::text(format!(
            "name a file that holds what this printed: {}",
            context.ui.command("token create NAME --group TARGET")
        ))),
    };
    let mut text = String::new();
    File::open(file)
        .and_then(|file| file.take(TOKEN_FILE_BYTES).read_to_string(&mut text))
        .map_err(failed)?;
    Ok(Some(text.parse()?))
}

/// Opens the profile, which may be a new one: a program can register an account in it. A process that has it open only to
/// send something is soon gone, and follows nothing.
async fn open(front: &dyn FrontEnd) -> Result<OpenProfile<'_>> {
    loop {
        let profile = OpenProfile::open_profile(front, &front.settings().profile, Need::Everything).await?;
        if profile.session.follows() {
            return Ok(profile);
        }
        profile.session.ended().await;
        profile.close().await;
        tokio::time::sleep(patience::REOPEN).await;
    }
}
