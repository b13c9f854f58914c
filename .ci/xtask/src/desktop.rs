//! Notifications of the desktop, through the real client library and a real bus.

use std::path::PathBuf;
use std::process::Command;

use crate::{Failure, Outcome, run, setup};

/// The D-Bus library of the stand-in for a desktop, from PyPI.
const DBUS: &str = "dbus-fast==5.2.0";

/// Builds the agent with its feature `desktop` and has a message told over a session bus of its own. Needs `dbus-run-session`
/// (Debian's dbus-daemon) and Python.
pub(crate) fn check() -> Outcome {
    let server = setup::nats_server()?;
    let python = python()?;
    let agent = [
        "build",
        "-p",
        "cipher-chat",
        "-p",
        "cipher-registry",
        "--features",
        "cipher-chat/desktop",
        "--locked",
    ];
    run::succeed(&mut run::cargo(agent), "building the agent with the feature `desktop`")?;
    let mut test = run::cargo(["test", "--package", "testbed", "--test", "desktop", "--locked"]);
    test.env("DESKTOP_PYTHON", python);
    setup::with_nats(&mut test, &server)?;
    let mut session = Command::new("dbus-run-session");
    session.arg("--").arg(test.get_program()).args(test.get_args());
    for (name, value) in test.get_envs() {
        match value {
            Some(value) => session.env(name, value),
            None => session.env_remove(name),
        };
    }
    if let Some(folder) = test.get_current_dir() {
        session.current_dir(folder);
    }
    run::succeed(&mut session, "a message is told on a session bus")
}

/// A Python with that library, beside the other tools.
fn python() -> Result<PathBuf, Failure> {
    let folder = run::root().join(".tools/desktop-python");
    let python = folder.join("bin/python");
    if !python.exists() {
        let mut venv = Command::new(setup::python()?);
        run::succeed(venv.args(["-m", "venv"]).arg(&folder), "making a Python environment")?;
    }
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", DBUS]);
    run::succeed(&mut pip, "installing dbus-fast")?;
    Ok(python)
}
