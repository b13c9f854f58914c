//! Every check of the workspace, one command each: `cargo xtask help`.
//!
//! Depends on nothing of the workspace, so that it builds in seconds and can judge whatever is broken elsewhere.

mod against;
mod arrows;
mod attacks;
mod check;
mod deny;
mod desktop;
mod drill;
mod links;
mod other_commit;
mod release;
mod rooms;
mod rules;
mod run;
mod setup;
mod size;
mod sources;
mod suite;
mod ui;

use std::process::ExitCode;

/// Why a command failed, in words for whoever ran it.
type Failure = String;
/// What every command gives.
type Outcome = Result<(), Failure>;

const HELP: &str = "\
cargo xtask COMMAND

  test [--filter NAME]   everything: sets up, builds once, runs all tests; the command of the README
  demo                   people and a bot talk through the shipped binaries; then the broker is searched
  bench [--quick] [--json] [--registry | --replicas | --linking | --backup | --unlock | --junk | --files | --search] [--accounts N] [--stock N] [--keep FOLDER]
                             figures beside the raw ones, in one run on this machine (release profile);
                             of the registry alone, of three replicas of it on a cluster, of a new device, of a
                             conversation under a flood of junk, or of a search in 1,000,000 messages;
                             --keep: the filled store of --registry stays there for the next run
                             --against COMMIT [--rounds N]: builds that commit too, runs both in turns, compares
  drill three-hosts [--from COMMIT] [--act text|upgrade]
                         deploy/README.md word for word on three machines that are network namespaces, what can be lost, and
                         an upgrade from the last tag or COMMIT (root and iproute2; not part of ci)
  release                the binaries as they ship, into target/release: linked as a whole, without symbols and without any path
                         of this machine; tells their sizes
  worlds [--seeds N | --points N]
                         the long run of the simulated worlds of agent/core; --points: only those whose disk fails, until N
                         writing calls did
  flips [--count N] [--seed N]
                             10,000 bits that flip anywhere in the files of a profile that was closed, or killed, one at a
                             time: what follows, counted
  attacks [--play]       writes docs/ATTACKS.md: every attack case, the tests that play it and what they did; --play
                         runs the suite first and writes that down
  links                  every relative link and every path in backticks of the documents leads somewhere
  torture [--minutes N] [--seed N]
                             a deployment that is killed, frozen, cut off, put back to older copies and emptied while
                             people talk (5 minutes; the test command does it for half a minute; even seeds are of one
                             server, odd ones of three)
  soak [--minutes N] [--seed N]
                             two front ends and the commands of one profile, a daemon, and another person who answers: an
                             hour of chat in which all of them are killed; nothing is missed and nothing heard twice (60
                             minutes; the test command does it for 20 seconds)
  kills [--times N]      kills that many commands of a profile at any moment (1,000; the test command does it 12 times)
  file-kills [--times N] [--seed N]
                         kills an upload, and a download, that many times at any moment (20; the test command does it 3 times)
  desktop                a message is told by a notification of a desktop: the agent with its feature `desktop`, and a bus
                         (dbus-run-session and Python; not part of ci)
  ci                     fmt, clippy, doc, deny, arrows, rooms, rules, attacks, links, size, then test

  rooms                  which folder of a package uses which, and that none needs one that needs it

  fmt | clippy | doc | deny | arrows | rooms | rules | size   the parts of ci
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = match arguments.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("help", arguments.as_slice()),
    };
    match dispatch(command, rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            ui::tell(&format!("error: {failure}"));
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: &str, rest: &[String]) -> Outcome {
    if rest.iter().any(|argument| argument == "--help" || argument == "-h") {
        return dispatch("help", &[]);
    }
    match command {
        "help" | "--help" | "-h" => {
            ui::print(HELP.trim_end());
            Ok(())
        }
        "test" => suite::test(rest),
        "demo" => suite::demo(rest),
        "bench" => suite::bench(rest),
        "drill" => drill::drill(rest),
        "release" => none_left(rest).and_then(|()| release::release()),
        "worlds" => suite::worlds(rest),
        "flips" => suite::flips(rest),
        "attacks" if rest == ["--play"] => attacks::play(),
        "attacks" => none_left(rest).and_then(|()| attacks::write(false)),
        "torture" => suite::torture(rest),
        "soak" => suite::soak(rest),
        "kills" => suite::kills(rest),
        "file-kills" => suite::file_kills(rest),
        "desktop" => none_left(rest).and_then(|()| desktop::check()),
        "ci" => none_left(rest).and_then(|()| check::ci()),
        "fmt" => none_left(rest).and_then(|()| check::fmt()),
        "clippy" => none_left(rest).and_then(|()| check::clippy()),
        "doc" => none_left(rest).and_then(|()| check::doc()),
        "deny" => none_left(rest).and_then(|()| deny::check()),
        "arrows" => none_left(rest).and_then(|()| arrows::check()),
        "rooms" => none_left(rest).and_then(|()| rooms::check()),
        "rules" => none_left(rest).and_then(|()| rules::check()),
        "size" => none_left(rest).and_then(|()| size::check()),
        "links" => none_left(rest).and_then(|()| links::check()),
        other => Err(format!("there is no command `{other}`; `cargo xtask help` lists them")),
    }
}

fn none_left(rest: &[String]) -> Outcome {
    match rest.first() {
        None => Ok(()),
        Some(extra) => Err(format!("unexpected argument `{extra}`")),
    }
}
