//! A command that finds a person at its terminal.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Termios, tcgetattr};

use crate::support::Room;

/// Makes the terminal that is its standard input the one of its session, and becomes the command: what no safe call of the
/// standard library does.
const AT_ITS_TERMINAL: &str = "import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])";

/// A shell with job control that has one job: it says when the job stopped and whether the terminal shows what is typed then, and
/// has it go on.
const AS_A_JOB: &str = "import fcntl, os, signal, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
job = os.fork()
if job == 0:
    os.setpgid(0, 0)
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    os.tcsetpgrp(0, os.getpid())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    os.execv(sys.argv[1], sys.argv[1:])
status = os.waitpid(job, os.WUNTRACED)[1]
shows = bool(termios.tcgetattr(0)[3] & termios.ECHO)
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
print('stopped' if os.WIFSTOPPED(status) else status, 'shows' if shows else 'shows nothing', flush=True)
os.kill(job, signal.SIGCONT)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(job, 0)[1]))";

/// A command that asked something at its terminal, and waits for the answer.
pub(crate) struct Asked {
    child: Child,
    keyboard: File,
    terminal: File,
    before: Termios,
}

impl Asked {
    /// Types an answer.
    pub(crate) fn types(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Sends a signal to the command.
    pub(crate) fn gets(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end; the terminal must be as it was before.
    pub(crate) fn ends(mut self) -> ExitStatus {
        let status = self.child.wait().unwrap();
        let after = tcgetattr(&self.terminal).unwrap();
        assert_eq!(after.local_modes, self.before.local_modes, "{status}");
        status
    }
}

impl Room {
    /// Runs a command at a terminal of its own until it asks something.
    pub(crate) fn asks(&self, args: &[&str], question: &str) -> Asked {
        let (child, mut keyboard, terminal) = self.launched(AT_ITS_TERMINAL, args);
        let before = tcgetattr(&terminal).unwrap();
        let (mut screen, mut part) = (String::new(), [0; 1024]);
        while !screen.contains(question) {
            let count = keyboard.read(&mut part).unwrap();
            screen.push_str(&String::from_utf8_lossy(&part[..count]));
        }
        assert!(!tcgetattr(&terminal).unwrap().local_modes.contains(LocalModes::ECHO), "{screen}");
        Asked { child, keyboard, terminal, before }
    }

    /// Runs a command as [`Self::at_terminal`] does, from a shell that has it go on once it stopped.
    pub(crate) fn at_terminal_of_a_shell(
        &self,
        args: &[&str],
        answers: &[(&str, &str)],
    ) -> (ExitStatus, String) {
        self.answered(AS_A_JOB, args, answers)
    }

    /// Runs a command at a terminal that only its questions go to; answers each question when it is there. Gives how it ended and
    /// what the screen showed.
    pub(crate) fn at_terminal(&self, args: &[&str], answers: &[(&str, &str)]) -> (ExitStatus, String) {
        self.answered(AT_ITS_TERMINAL, args, answers)
    }

    /// Starts a command at a terminal; gives our side of it and theirs.
    fn launched(&self, code: &str, args: &[&str]) -> (Child, File, File) {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap();
        let theirs = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
        let command = self.command(args);
        let mut launcher = Command::new("python3");
        launcher.args(["-c", code]).arg(command.get_program()).args(command.get_args());
        launcher.env_clear().current_dir(self.path()).env("PATH", std::env::var_os("PATH").unwrap());
        launcher.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        launcher.stdin(Stdio::from(theirs.try_clone().unwrap()));
        launcher.stdout(Stdio::from(theirs.try_clone().unwrap())).stderr(theirs.try_clone().unwrap());
        (launcher.spawn().unwrap(), File::from(ours), theirs)
    }

    fn answered(&self, code: &str, args: &[&str], answers: &[(&str, &str)]) -> (ExitStatus, String) {
        let (mut child, mut ours, theirs) = self.launched(code, args);
        // With their side in our hands the screen would never end.
        drop(theirs);
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
