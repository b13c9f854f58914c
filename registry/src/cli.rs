//! The command line: what to run, and which exit code says how it went.

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::time::Duration;

use cipher_broker::cause::causes;
use cipher_broker::handle::Handle;
use cipher_broker::subject::INBOX_PREFIX;
use cipher_connection::Servers;
use cipher_seal::typed;
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
use tracing::Level;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::connect::{connect, redacted};
use crate::error::Error;
use crate::operate::operator::{self, Who};
use crate::operate::traffic::traffic;
use crate::operate::{archive, backup};
use crate::provision::{Mode, provision, warnings};
use crate::replica;
use crate::replica_log::log::LogName;
use crate::room::{Takes, make_room, takes};
use crate::service::serve;
use crate::settings::{Layer, Settings};
use crate::ui::Ui;

/// Registry of cipher-chat: accounts, devices, handles and key packages; creates the broker's streams.
#[derive(Parser, Debug)]
#[command(name = "cipher-registry", version, after_help = EXIT_CODES)]
struct Cli {
    #[command(flatten)]
    layer: Layer,
    /// Print one JSON object per line, errors too (on stderr)
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Answer requests until SIGTERM or SIGINT (the default)
    Serve {
        /// First take statements into the store that only the account log in the broker has, after a restore
        #[arg(long)]
        adopt_log: bool,
    },
    /// Create the streams, change those that differ, and see whether the broker takes messages
    Provision {
        /// Change nothing, only report what differs
        #[arg(long)]
        verify: bool,
    },
    /// Delete the oldest messages at once, when the broker is full; devices that were away since do not get them
    Room {
        /// Days of messages to keep; without this command they stay 45 days
        #[arg(long, value_name = "DAYS", default_value_t = 30.0)]
        keep: f64,
    },
    /// Show what the running registry holds about an account
    Inspect {
        /// Handle or account id
        #[arg(value_name = "HANDLE|ACCOUNT_ID")]
        who: Who,
    },
    /// Refuse requests of an account from now on, and hand out none of its key packages
    Block {
        /// Handle of the account
        handle: Handle,
    },
    /// Lift a block
    Unblock {
        /// Handle of the account
        handle: Handle,
    },
    /// End a handle, and the account behind it, for ever
    Bury {
        /// The handle, also one that no account has
        handle: Handle,
    },
    /// Show the quotas in force, and what newcomers must bring
    Quotas,
    /// Show the head of the account log, and how much of it the broker has
    Heads,
    /// Write accounts, statements, profiles and blocks to a file, while the registry does not run
    Export {
        /// A file that does not exist yet; `-` is stdout
        file: PathBuf,
    },
    /// Take what `export` wrote into an empty store, verifying every statement
    Import {
        /// The file; `-` is stdin
        file: PathBuf,
    },
    /// Write everything to a sealed file, the registry's key too, also while the registry serves from this folder
    ///
    /// One-time key packages are not in it: devices bring new ones.
    Backup {
        /// A file that does not exist yet
        file: PathBuf,
        /// Descriptor whose first line is the passphrase of the backup, or the second one if --passphrase-fd is the same; without it a terminal asks twice
        #[arg(long, value_name = "N")]
        backup_passphrase_fd: Option<u32>,
    },
    /// Make the data folder of what `backup` wrote, all of it or nothing; the folder must hold no registry
    Restore {
        /// The file
        file: PathBuf,
        /// Descriptor whose first line is the passphrase of the backup, or the second one if --passphrase-fd is the same; without it a terminal asks
        #[arg(long, value_name = "N")]
        backup_passphrase_fd: Option<u32>,
    },
    /// Begin a new log of the replicas from this data folder, after the brokers lost the old one
    ///
    /// Stop every registry first. Then copy the folder over those of the other registries, and start all again with
    /// `--store jetstream`. Refused while the broker has all that this folder has.
    BeginLog {
        /// Change nothing and ask no broker, only show how far this folder had followed the log
        #[arg(long)]
        verify: bool,
        /// Throw away what is left of the old log at the broker
        #[arg(long, conflicts_with = "verify")]
        drop_log: bool,
    },
    /// Show every replica that runs: which one writes, and how many records each has
    Replicas,
    /// Show what the broker sees: every stored message, without its meaning
    Traffic {
        /// Show the newest N messages
        #[arg(long, default_value_t = 50, value_name = "N")]
        limit: usize,
    },
}

/// The least that is kept when room is made.
const LEAST_KEPT: Duration = Duration::from_secs(1);

/// How long a command that a person waits for looks for the broker.
const LOOK: Duration = Duration::from_secs(5);

impl Command {
    /// How long it waits for the broker: what starts with a machine may have to wait until the broker started too.
    fn patience(&self, most: Duration) -> Duration {
        match self {
            Self::Serve { .. } | Self::Provision { .. } => most,
            Self::Inspect { .. }
            | Self::Block { .. }
            | Self::Unblock { .. }
            | Self::Bury { .. }
            | Self::Quotas
            | Self::Heads
            | Self::Export { .. }
            | Self::Import { .. }
            | Self::Backup { .. }
            | Self::Restore { .. }
            | Self::BeginLog { .. }
            | Self::Replicas
            | Self::Room { .. }
            | Self::Traffic { .. } => most.min(LOOK),
        }
    }
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 error, 2 usage, 3 broker unreachable, 4 refused, 5 broker full, \
                          6 another registry answered, 7 store, key or backup locked, damaged or not opened, \
                          8 something is there already, 9 not found";

/// Runs the program with its arguments; gives the exit code.
pub fn run(args: impl IntoIterator<Item = OsString>) -> u8 {
    let args: Vec<OsString> = args.into_iter().collect();
    let ui = |json| if json { Ui::Json } else { Ui::Human };
    let cli = match Cli::try_parse_from(&args) {
        Ok(cli) => cli,
        // Help and versions are what was asked for.
        Err(asked) if !asked.use_stderr() => {
            // Nothing is left to do if not even this can be printed.
            let _ = asked.print();
            return 0;
        }
        Err(error) => {
            let json = args.iter().take_while(|arg| *arg != "--").any(|arg| arg == "--json");
            let error = Error::Usage(sentence(&error));
            ui(json).error(&error);
            return error.exit_code();
        }
    };
    let ui = ui(cli.json);
    match settle_and_run(cli, ui) {
        Ok(()) => 0,
        Err(error) => {
            ui.error(&error);
            for cause in causes(&error) {
                tracing::debug!("caused by: {cause}");
            }
            error.exit_code()
        }
    }
}

/// Threads that check requests and read the store: enough to wait for a disk, few enough not to get into each other's
/// way. Each keeps some memory.
const EXAMINERS: usize = 16;

/// What clap says on several lines, as one sentence; the hint that follows it names `--help`.
fn sentence(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let mut sentence = String::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if line.starts_with("Usage:") || line.starts_with("For more information") {
            break;
        }
        let (between, line) = match (line.strip_prefix("error: "), line.strip_prefix("tip: ")) {
            (Some(line), _) => ("", line),
            (_, Some(tip)) => ("; ", tip),
            (None, None) => (" ", line),
        };
        sentence.push_str(between);
        sentence.push_str(line);
    }
    sentence
}

fn settle_and_run(cli: Cli, ui: Ui) -> Result<(), Error> {
    let command = cli.command.unwrap_or(Command::Serve { adopt_log: false });
    let mut settings = cli.layer.settle()?;
    settings.patience = command.patience(settings.patience);
    log_to_stderr(&settings)?;
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.enable_all().max_blocking_threads(EXAMINERS).build();
    let runtime = runtime.map_err(|source| Error::System { doing: "start threads", source })?;
    runtime.block_on(dispatch(command, settings, ui))
}

async fn dispatch(command: Command, settings: Settings, ui: Ui) -> Result<(), Error> {
    match command {
        Command::Serve { adopt_log } => {
            let stop = stop_signal()?;
            let settings = Settings { adopt_log, ..settings };
            Box::pin(serve(settings, |ready| ui.ready(ready), stop)).await
        }
        Command::Provision { verify } => {
            let client = connect(&settings, INBOX_PREFIX).await?;
            let mode = if verify { Mode::Verify } else { Mode::Update };
            let mut result = provision(&client, settings.replicas, settings.files, mode, settings.patience)
                .await
                .map_err(|failure| failure.at(&settings.server))?;
            if let Ok(servers) = Servers::parse(&settings.server) {
                result.warnings = warnings(&client, &servers, settings.synced);
            }
            ui.provisioned(&result);
            if !result.drifts.is_empty() {
                return Err(Error::Drifted(result.drifts.len()));
            }
            match takes(&client).await {
                Takes::Nothing(reason) => Err(Error::Full { server: redacted(&settings.server), reason }),
                Takes::Messages | Takes::Unknown => Ok(()),
            }
        }
        Command::Room { keep } => {
            let keep = Duration::try_from_secs_f64(keep * 86_400.0)
                .ok()
                .filter(|keep| *keep >= LEAST_KEPT)
                .ok_or_else(|| Error::Usage("--keep is a number of days above 0".into()))?;
            let client = connect(&settings, INBOX_PREFIX).await?;
            let rooms = make_room(&client, settings.replicas, keep)
                .await
                .map_err(|failure| failure.at(&settings.server))?;
            ui.rooms(&rooms);
            Ok(())
        }
        Command::Inspect { who } => {
            ui.told(&operator::inspect(&settings, who).await?);
            Ok(())
        }
        Command::Block { handle } => {
            ui.told(&operator::change(&settings, "blocked", handle).await?);
            Ok(())
        }
        Command::Unblock { handle } => {
            ui.told(&operator::change(&settings, "unblocked", handle).await?);
            Ok(())
        }
        Command::Bury { handle } => {
            ui.told(&operator::change(&settings, "buried", handle).await?);
            Ok(())
        }
        Command::Quotas => {
            ui.told(&operator::quotas(&settings).await?);
            Ok(())
        }
        Command::Heads => {
            ui.told(&operator::heads(&settings).await?);
            Ok(())
        }
        Command::Export { file } => {
            let told = archive::export(&settings.data_dir, &file)?;
            if file.as_os_str() != "-" {
                ui.told(&told);
            }
            Ok(())
        }
        Command::Import { file } => {
            ui.told(&archive::import(&settings.data_dir, &file)?);
            Ok(())
        }
        Command::Backup { file, backup_passphrase_fd } => {
            let mut waiting = ui.waiting();
            let done = backup::backup(&settings, &file, backup_passphrase_fd, &mut |stage, bytes| {
                waiting.tell(stage, bytes);
            });
            drop(waiting);
            ui.told(&done?);
            Ok(())
        }
        Command::Restore { file, backup_passphrase_fd } => {
            let mut waiting = ui.waiting();
            let done = backup::restore(&settings, &file, backup_passphrase_fd, &mut |stage, bytes| {
                waiting.tell(stage, bytes);
            });
            drop(waiting);
            ui.told(&done?);
            Ok(())
        }
        Command::BeginLog { verify: true, .. } => {
            ui.told(&replica::begin::show(&settings.data_dir)?);
            Ok(())
        }
        Command::BeginLog { verify: false, drop_log } => {
            ui.told(&replica::begin::begin(&settings, drop_log).await?);
            Ok(())
        }
        Command::Replicas => {
            let client = connect(&settings, INBOX_PREFIX).await?;
            let found = replica::health::ask(&client, &LogName::default()).await.map_err(|reason| {
                Error::Broker { doing: "cannot ask the replicas", server: redacted(&settings.server), reason }
            })?;
            if found.is_empty() {
                return Err(Error::NoReplica { server: redacted(&settings.server) });
            }
            ui.replicas(&found);
            Ok(())
        }
        Command::Traffic { limit } => {
            let client = connect(&settings, INBOX_PREFIX).await?;
            let messages = traffic(&client, limit).await.map_err(|reason| Error::Broker {
                doing: "cannot read the streams",
                server: redacted(&settings.server),
                reason: reason.into(),
            })?;
            ui.traffic(&messages);
            Ok(())
        }
    }
}

/// Resolves at SIGTERM or SIGINT.
fn stop_signal() -> Result<impl Future<Output = ()>, Error> {
    let listen = |kind| signal(kind).map_err(|source| Error::System { doing: "listen for signals", source });
    typed::hears_signals();
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

fn log_to_stderr(settings: &Settings) -> Result<(), Error> {
    let filter = EnvFilter::try_new(&settings.log)
        .map_err(|error| Error::Usage(format!("the log directives make no sense: {error}")))?;
    // At this level the client of the broker shows what it reads: handles, and names of people.
    let no_payloads = filter_fn(|of| *of.level() < Level::TRACE || of.target().starts_with("cipher_"));
    let lines =
        tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    tracing_subscriber::registry()
        .with(filter)
        .with(no_payloads)
        .with(lines)
        .try_init()
        .map_err(|_| Error::Usage("logging was set up already".into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn serve_is_the_default_and_settings_come_before_or_after_the_command() {
        for args in [
            &["cipher-registry", "--server", "nats://x", "provision", "--verify"][..],
            &["cipher-registry", "provision", "--verify", "--server", "nats://x"][..],
        ] {
            let cli = Cli::try_parse_from(args).unwrap();
            assert!(matches!(cli.command, Some(Command::Provision { verify: true })));
        }
        assert!(Cli::try_parse_from(["cipher-registry", "--json"]).unwrap().command.is_none());
        assert!(Cli::try_parse_from(["cipher-registry", "inspect", "Not A Handle"]).is_err());
    }

    #[test]
    fn wrong_arguments_are_told_in_one_sentence() {
        for (args, told) in [
            (&["inspect"][..], "the following required arguments were not provided: <HANDLE|ACCOUNT_ID>"),
            (&["--jsn"], "unexpected argument '--jsn' found; a similar argument exists: '--json'"),
            (&["head"], "unrecognized subcommand 'head'; a similar subcommand exists: 'heads'"),
            (
                &["--store", "tape", "heads"],
                "invalid value 'tape' for '--store <STORE>' [possible values: redb, jetstream]",
            ),
        ] {
            let error = Cli::try_parse_from([&["cipher-registry"], args].concat()).unwrap_err();
            assert_eq!(sentence(&error), told);
            let args = ["cipher-registry"].iter().chain(args).map(OsString::from);
            assert_eq!(run(args), 2);
        }
        for asked in ["--help", "--version"] {
            assert_eq!(run(["cipher-registry", asked].map(OsString::from)), 0, "{asked}");
        }
    }

    #[test]
    fn a_person_does_not_wait_for_an_absent_broker_as_long_as_a_service_does() {
        let patience = |args: &[&str]| {
            let command =
                Cli::try_parse_from([&["cipher-registry"], args].concat()).unwrap().command.unwrap();
            command.patience(Duration::from_secs(60)).as_secs()
        };
        for args in [&["serve"][..], &["provision"]] {
            assert_eq!(patience(args), 60, "{args:?}");
        }
        for args in [
            &["heads"][..],
            &["quotas"],
            &["replicas"],
            &["traffic"],
            &["inspect", "ana"],
            &["block", "ana"],
            &["unblock", "ana"],
            &["bury", "ana"],
            &["begin-log"],
        ] {
            assert_eq!(patience(args), 5, "{args:?}");
        }
        assert_eq!(Command::Heads.patience(Duration::from_secs(1)).as_secs(), 1, "who is in a hurry says so");
    }
}
