//! `up`: a private broker and registry on this machine.

use tokio::sync::oneshot;

use crate::cli::command::demo;
use crate::cli::context::Context;
use crate::cli::exit::Result;
use crate::cli::show::line::Line;
use crate::up::{UpSettings, up};

/// Run a private NATS server and registry on this machine until interrupted
///
/// All it writes lies under --home; commands with the same --home find it by themselves.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  cipher-chat up --demo\n  cipher-chat up --port 0 --home ./try --json")]
pub struct Args {
    /// Port for clients on 127.0.0.1; 0 takes a free one [default: 4222]
    #[arg(long, value_name = "N")]
    pub port: Option<u16>,
    /// Number of servers: 1, or 3 for a cluster
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = nodes)]
    pub nodes: u8,
    /// Also make two people, a group and a bot to talk to
    #[arg(long)]
    pub demo: bool,
}

/// Runs it.
pub async fn run(context: &Context, args: Args) -> Result {
    let (on_ready, ready) = oneshot::channel();
    let settings = UpSettings {
        home: context.settings.home.clone(),
        port: args.port.unwrap_or(4222),
        nodes: args.nodes,
        progress: std::sync::Arc::new({
            let ui = context.ui.clone();
            move |sentence: &str| ui.note(sentence)
        }),
    };
    let servers = up(settings, |ready| {
        // Nobody listens any more only when we are ending anyway.
        let _ = on_ready.send(ready);
    });
    let after = async {
        let Ok(ready) = ready.await else { return std::future::pending().await };
        let home = context.settings.home.display().to_string();
        context.ui.show(&Line::Ready {
            server: Some(&ready.server),
            home: Some(&home),
            profile: None,
            bot: None,
            handle: None,
        })?;
        if args.demo {
            return demo::run(context, &ready.server).await;
        }
        context
            .ui
            .note(&format!("Ctrl-C ends it. In another terminal: {}", context.ui.command("register HANDLE")));
        std::future::pending().await
    };
    // `up` ends by itself when interrupted, after it has stopped what it started.
    tokio::select! {
        result = servers => Ok(result?),
        result = after => result,
    }
}

fn nodes(text: &str) -> std::result::Result<u8, &'static str> {
    match text {
        "1" => Ok(1),
        "3" => Ok(3),
        _ => Err("either 1 or 3"),
    }
}
