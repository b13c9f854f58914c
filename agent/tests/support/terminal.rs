//! A command that finds a person at its terminal.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Command, ExitStatus, Stdio};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::support::Room;

/// Makes the terminal that is its standard input the one of its session, and becomes the command: what no safe call of the
/// standard library does.
const AT_ITS_TERMINAL: &str = "import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])";

impl Room {
    /// Runs a command at a terminal that only its questions go to; answers each question when it is there. Gives how it ended and
    /// what the screen showed.
    pub(crate) fn at_terminal(&self, args: &[&str], answers: &[(&str, &str)]) -> (ExitStatus, String) {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap();
        let theirs = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
        let command = self.command(args);
        let mut launcher = Command::new("python3");
        launcher.args(["-c", AT_ITS_TERMINAL]).arg(command.get_program()).args(command.get_args());
        launcher.env_clear().current_dir(self.path()).env("PATH", std::env::var_os("PATH").unwrap());
        launcher.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        launcher.stdin(Stdio::from(theirs.try_clone().unwrap()));
        launcher.stdout(Stdio::from(theirs.try_clone().unwrap())).stderr(theirs);
        let mut child = launcher.spawn().unwrap();
        // It holds on to their side, and the screen would never end.
        drop(launcher);
        let mut ours = File::from(ours);
        let (mut screen, mut part) = (String::new(), [0; 1024]);
        let mut answers = answers.iter();
        let mut next = answers.next();
        let mut seen = 0;
        // It ends with an error when the last process at the terminal is gone.
        while let Ok(count @ 1..) = ours.read(&mut part) {
            screen.push_str(&String::from_utf8_lossy(&part[..count]));
            while let Some((question, answer)) = next
                && let Some(at) = screen[seen..].find(question)
            {
                seen += at + question.len();
                ours.write_all(answer.as_bytes()).unwrap();
                next = answers.next();
            }
        }
        let status = child.wait().unwrap();
        assert!(next.is_none(), "not asked {next:?}: {screen}");
        (status, screen)
    }
}
