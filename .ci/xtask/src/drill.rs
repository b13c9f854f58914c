//! `cargo xtask drill three-hosts`: what a site's operators do by hand, played on one machine. Needs root, so `ci` leaves it out.

use std::path::PathBuf;
use std::process::Command;

use crate::other_commit::{OtherCommit, git};
use crate::suite::{build, value_of};
use crate::{Failure, Outcome, run, setup, ui};

/// What plays it.
const PROGRAM: &str = "deploy/drill/three_hosts.py";
/// The build that is upgraded from while there is no tag.
const BEFORE_TAGS: &str = "b76d1e4";

/// Plays a drill.
pub(crate) fn drill(arguments: &[String]) -> Outcome {
    let (rest, from) = value_of(arguments, &["--from"])?;
    let (rest, act) = value_of(&rest, &["--act"])?;
    match rest.first().map(String::as_str) {
        Some("three-hosts") if rest.len() == 1 => {}
        _ => {
            return Err(
                "there is one drill: cargo xtask drill three-hosts [--from COMMIT] [--act ACT]".into()
            );
        }
    }
    let act = act.unwrap_or_else(|| "all".into());
    ui::step("setting up");
    let server = setup::nats_server()?;
    let mut play = Command::new(setup::python()?);
    play.args(["-B", PROGRAM, "--act", &act, "--binaries"]).arg(build(None, "dev")?).current_dir(run::root());
    if act != "text" {
        let commit = match from {
            Some(commit) => commit,
            None => last_tag(),
        };
        play.arg("--from-binaries").arg(build_of(&commit)?);
        // TLS from the first byte, as the shipped server files want it.
        if has(&commit, "broker-config/connection/src/tls.rs") {
            play.arg("--from-has-tls");
        }
        if has(&commit, "registry/src/key/sealed.rs") {
            play.arg("--from-seals");
        }
    }
    setup::with_nats(&mut play, &server)?;
    run::succeed(&mut play, "three hosts")
}

/// The last tag, or the first commit that a site may run.
fn last_tag() -> String {
    git(&["describe", "--tags", "--abbrev=0"]).map_or_else(|_| BEFORE_TAGS.into(), |tag| tag.trim().into())
}

/// Whether a commit has a file.
fn has(commit: &str, path: &str) -> bool {
    git(&["cat-file", "-e", &format!("{commit}:{path}")]).is_ok()
}

/// Builds the shipped programs of a commit; gives the folder they lie in.
fn build_of(commit: &str) -> Result<PathBuf, Failure> {
    OtherCommit::at(commit)?.build("dev", |command| {
        command.args(["--bins", "-p", "cipher-chat", "-p", "cipher-registry"]);
        run::succeed(command, &format!("building the programs of {commit} (takes some minutes)"))
    })
}
