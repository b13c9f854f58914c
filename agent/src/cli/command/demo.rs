//! `up --demo`: two people, a group and a bot, so that there is somebody to talk to.

use cipher_api::command::{account, group, message};
use cipher_api::{ErrorKind, Target};
use cipher_broker::handle::Handle;

use crate::app::bot_account;
use crate::app::profile::OpenProfile;
use crate::cli::context::Context;
use crate::cli::exit::{Result, defect};
use crate::cli::show::line::Line;
use crate::cli::show::typed::word;
use crate::host::{self, Source};
use crate::session::Need;
use crate::settings::Settings;

const GROUP: &str = "demo";
const BOT: &str = "echo";

/// Sets the scene, then hosts the bot for ever. What is there already, from an earlier run, is used.
pub async fn run(context: &Context, server: &str) -> Result {
    let of = |profile: &str| Context {
        settings: Settings {
            profile: profile.into(),
            profile_chosen: true,
            server: server.into(),
            ..context.settings.clone()
        },
        ui: context.ui.clone(),
    };
    let (alice, bob) = (of("alice"), of("bob"));
    for (person, name) in [(&alice, "Alice"), (&bob, "Bob")] {
        account(person, name).await?;
    }
    context.ui.note("starting the bot echo, owned by alice");
    let (bot, echo) = bot_account::open(&alice, BOT, None).await?;
    context.ui.show(&Line::account(&echo))?;
    let source =
        Source::Bot(cipher_bots::find(BOT).ok_or_else(|| defect("the bot of the demo does not ship"))?);
    let hosting = host::run(&bot.session, bot.place()?, BOT, source);
    let scene = async {
        conversation(&alice, &bob, &echo.handle).await?;
        invitation(context);
        std::future::pending::<Result>().await
    };
    tokio::select! {
        result = hosting => Ok(result?),
        result = scene => result,
    }
}

async fn account(person: &Context, name: &str) -> Result {
    let handle: Handle =
        person.settings.profile.parse().map_err(|_| defect("a name of the demo is no handle"))?;
    let profile = OpenProfile::open_profile(person, &person.settings.profile, Need::Outbox).await?;
    let account = match profile.session.ask(account::Show {}).await {
        Ok(account) => account,
        Err(_) => {
            person.ui.note(&format!("registering @{handle}"));
            profile.reach().await?;
            let command = account::Register { handle, name: name.into(), bot: None, invite_code: None };
            profile.ask(command).await?.account
        }
    };
    person.ui.show(&Line::account(&account))?;
    profile.settle().await;
    profile.close().await;
    Ok(())
}

async fn conversation(alice: &Context, bob: &Context, echo: &Handle) -> Result {
    let group = || Target::Name(GROUP.into());
    let profile = OpenProfile::open(alice, Need::Everything).await?;
    profile.refresh().await?;
    let made = match profile.ask(group::Show { target: group() }).await {
        Ok(group) => group,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            alice.ui.note("making the group demo");
            let with =
                vec!["bob".parse().map_err(|_| defect("a name of the demo is no handle"))?, echo.clone()];
            let command = group::Create { name: GROUP.into(), with, post_quantum: false };
            let group = profile.ask(command).await?;
            // The group is made when its commit is in the log; the invitations follow it.
            profile.refresh().await?;
            group
        }
        Err(error) => return Err(error.into()),
    };
    alice.ui.show(&Line::Group(&made))?;

    let bobs = OpenProfile::open(bob, Need::Everything).await?;
    bobs.refresh().await?;
    match bobs.ask(group::Accept { target: group() }).await {
        Ok(_) => {}
        // He accepted in an earlier run.
        Err(error) if matches!(error.kind(), ErrorKind::Misuse | ErrorKind::Conflict) => {}
        Err(error) => return Err(error.into()),
    }
    bobs.close().await;

    let text = format!("Hello! This is {GROUP}: bob is here, and @{echo} answers to `/echo TEXT`.");
    let command = message::Send::new(group(), text);
    let message = profile.ask(command).await?;
    alice.ui.message(&message, Some(GROUP))?;
    profile.close().await;
    Ok(())
}

fn invitation(context: &Context) {
    let home = &context.settings.home;
    let default = context.settings.origins.iter().any(|of| of.key == "home" && of.origin == "default");
    let home = if default { String::new() } else { format!("--home {} ", word(&home.display().to_string())) };
    context.ui.note(&format!(
        "\nIn other terminals:\n  \
         cipher-chat {home}--profile bob read {GROUP} --follow\n  \
         cipher-chat {home}--profile alice send {GROUP} \"/echo hello\"\n  \
         cipher-chat {home}--profile bob send {GROUP} \"hi alice\"\n\
         Ctrl-C here ends it; the conversation is still there next time."
    ));
}
