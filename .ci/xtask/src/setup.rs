//! Everything a fresh machine needs before tests or the demo can run.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Failure, Outcome, run, ui};

/// The program that finds a nats-server or fetches a pinned one.
const FINDER: &str = "deploy/get-nats-server";

/// A usable nats-server; fetched into the project's folder if there is none on PATH.
pub(crate) fn nats_server() -> Result<PathBuf, Failure> {
    if let Some(given) = std::env::var_os("NATS_SERVER_BIN") {
        return Ok(given.into());
    }
    let finder = run::root().join(FINDER);
    // Through the interpreter: the executable bit does not survive every way of copying a checkout.
    let python = python()?;
    let found = run::output(Command::new(python).arg(&finder).current_dir(run::root()))
        .map_err(|failure| format!("no usable nats-server: {failure}"))?;
    let path = PathBuf::from(found.lines().last().unwrap_or_default().trim());
    if !path.is_file() {
        return Err(format!("{FINDER} did not tell the path of a nats-server"));
    }
    ui::tell(&format!("    nats-server: {}", shown(&path)));
    Ok(path)
}

/// The Python that runs helper programs.
pub(crate) fn python() -> Result<&'static str, Failure> {
    ["python3", "python"]
        .into_iter()
        .find(|name| {
            Command::new(name)
                .args(["-c", "import sys; sys.exit(sys.version_info < (3, 8))"])
                .status()
                .is_ok_and(|status| status.success())
        })
        .ok_or_else(|| "Python 3.8 or newer is needed and was not found on PATH".into())
}

/// Tells a child process where the nats-server is: by name, and first on PATH.
pub(crate) fn with_nats(command: &mut Command, server: &Path) -> Outcome {
    let mut folders: Vec<PathBuf> = server.parent().map(Path::to_path_buf).into_iter().collect();
    if let Some(path) = std::env::var_os("PATH") {
        folders.extend(std::env::split_paths(&path));
    }
    let path = std::env::join_paths(folders).map_err(|error| format!("PATH cannot be set: {error}"))?;
    command.env("PATH", path).env("NATS_SERVER_BIN", server);
    Ok(())
}

/// A path as people want to read it: below the project, relative to it.
fn shown(path: &Path) -> String {
    path.strip_prefix(run::root()).unwrap_or(path).display().to_string()
}
