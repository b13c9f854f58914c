//! From words to an exit code: parse, settle, run, tell.

use std::ffi::OsString;
use std::process::ExitCode;

use cipher_api::{ErrorKind, Hint};
use clap::Parser;
use clap::error::ErrorKind as ClapKind;

use crate::cli::complete;
use crate::cli::context::Context;
use crate::cli::exit::{Failure, Result};
use crate::cli::show::ui::Ui;
use crate::cli::tree::{self, Cli, Verb};
use crate::settings;
use crate::telemetry;

/// Runs one command line; the first word is the program's name.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    if complete::answered(&args) {
        return ExitCode::SUCCESS;
    }
    let json =
        settings::json_wanted() || args.iter().take_while(|arg| *arg != "--").any(|arg| arg == "--json");
    let mut ui = Ui::early(json);
    match run(&args, &mut ui) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            ui.fail(&failure);
            if let Some(error) = failure.error() {
                telemetry::causes(error);
            }
            ExitCode::from(failure.code())
        }
    }
}

fn run(args: &[OsString], ui: &mut Ui) -> Result {
    let mut cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => return not_parsed(&error, ui),
    };
    if let Verb::Send(send) = &mut cli.command {
        send.settle_text(args.iter().any(|arg| arg == "--"))?;
    }
    let settings = settings::load(&cli.flags)?;
    *ui = Ui::new(&settings);
    telemetry::start(settings.verbose, settings.plain);
    let context = Context { settings, ui: ui.clone() };
    // One thread is enough: the core has its own, and a one-shot command must start at once.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| ErrorKind::Misuse.because_of("the system refuses to start a runtime", error))?;
    let result = runtime.block_on(tree::dispatch(&context, cli.command));
    // A reader that still waits for standard input must not hold up the end.
    runtime.shutdown_background();
    match result {
        // What was asked for was done, as far as the store could be read.
        Ok(()) if ui.told_damage() => Err(Failure::Shown(ErrorKind::Storage.code())),
        result => result,
    }
}

/// Help and versions are what was asked for; the rest is a usage error.
fn not_parsed(error: &clap::Error, ui: &Ui) -> Result {
    match error.kind() {
        ClapKind::DisplayHelp | ClapKind::DisplayVersion => ui.help(&error.render()),
        ClapKind::DisplayHelpOnMissingArgumentOrSubcommand if !ui.json() => {
            ui.usage(&error.render());
            Err(Failure::Shown(2))
        }
        ClapKind::DisplayHelpOnMissingArgumentOrSubcommand => Err(Failure::usage("a command is missing")),
        _ => {
            let (message, usage) = told(&error.render().to_string());
            let hint = usage.map_or_else(|| "try --help".to_owned(), |usage| format!("{usage} (try --help)"));
            Err(Failure::Usage { message, hint: Some(Hint::text(hint)) })
        }
    }
}

/// What clap says on several lines, as one sentence, and how the command is used if it says so.
fn told(text: &str) -> (String, Option<String>) {
    let mut sentence = String::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if line.starts_with("Usage:") {
            return (sentence, Some(line.into()));
        }
        if line.starts_with("For more information") {
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
    (sentence, None)
}
