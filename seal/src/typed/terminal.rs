//! A question at a terminal that shows nothing of the answer.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
use signal_hook::consts::SIGINT;

use crate::typed::TypedError;
use crate::typed::descriptor::next;
use crate::typed::line::Line;
use crate::typed::signals::{Ended, Signals, Woken};

const CTRL_C: u8 = 0x03;
const CTRL_D: u8 = 0x04;
const CTRL_U: u8 = 0x15;
const BACKSPACE: u8 = 0x08;
const DELETE: u8 = 0x7f;

/// The terminal of this process.
pub(super) fn of_process() -> Result<File, TypedError> {
    // Wherever standard input and output lead, this is where the person is.
    OpenOptions::new().read(true).write(true).open("/dev/tty").map_err(|_| TypedError::NoTerminal)
}

/// Asks. Whatever this ends with, the terminal is as it was before.
pub(super) fn ask(
    terminal: &mut File,
    mut show: impl FnMut(&mut File) -> io::Result<()>,
    signals: &mut Signals,
) -> Result<Line, Ended> {
    let device = terminal.try_clone().map_err(TypedError::Unreadable)?;
    let quiet = Quiet::of(device).map_err(|_| TypedError::NoTerminal)?;
    let answer = loop {
        quiet.begin().map_err(|_| TypedError::NoTerminal)?;
        // After the terminal went quiet: what is typed at once when the question is there is not shown.
        show(terminal).map_err(TypedError::Unreadable)?;
        match read_keys(terminal, signals) {
            Ok(Some(line)) => break Ok(line),
            Ok(None) => {
                quiet.end();
                signals.stop().map_err(TypedError::Unreadable)?;
            }
            Err(ended) => break Err(ended),
        }
    };
    drop(quiet);
    // The newline that was typed was not shown either.
    let _ = terminal.write_all(b"\n");
    answer
}

/// Keys one by one until Enter, with what a terminal does for a line. Signals are left to the terminal: Ctrl-C is for the whole
/// group of processes, a script that runs this one too. `None` if this process is to stop, and to ask again when it goes on.
fn read_keys(terminal: &mut File, signals: &mut Signals) -> Result<Option<Line>, Ended> {
    let mut line = Line::default();
    loop {
        match signals.wait(terminal).map_err(TypedError::Unreadable)? {
            Woken::Readable => {}
            Woken::Stop => return Ok(None),
            Woken::Signal(signal) => return Err(Ended::Signal(signal)),
        }
        let Some(byte) = next(terminal)? else { return Err(TypedError::None.into()) };
        match byte {
            b'\n' | b'\r' => return Ok(Some(line)),
            // Of a terminal that makes no signals of keys.
            CTRL_C => return Err(Ended::Signal(SIGINT)),
            CTRL_D if line.is_empty() => return Err(TypedError::None.into()),
            CTRL_D => {}
            BACKSPACE | DELETE => line.shorten(),
            CTRL_U => line.clear(),
            // One that is too long is read to its end all the same: a shell would take the rest for a command.
            byte => {
                let _ = line.push(byte);
            }
        }
    }
}

/// A terminal that shows nothing and hands over every key from [`Self::begin`] on, as long as this value lives.
struct Quiet {
    device: File,
    before: Termios,
}

impl Quiet {
    fn of(device: File) -> rustix::io::Result<Self> {
        let before = tcgetattr(&device)?;
        Ok(Self { device, before })
    }

    fn begin(&self) -> rustix::io::Result<()> {
        let mut quiet = self.before.clone();
        quiet.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::IEXTEN);
        quiet.special_codes[SpecialCodeIndex::VMIN] = 1;
        quiet.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(&self.device, OptionalActions::Flush, &quiet)
    }

    fn end(&self) {
        let _ = tcsetattr(&self.device, OptionalActions::Now, &self.before);
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    use super::*;
    use crate::Passphrase;
    use crate::passphrase::LONGEST;
    use crate::typed::signals::of_question;
    use crate::typed::written;

    /// Keyboard and screen of a terminal, and what a program at it opens.
    fn pair() -> (File, File) {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap();
        let theirs = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
        (File::from(ours), theirs)
    }

    /// Types when the question is there; gives the answer and all that the screen shows.
    fn typed(keys: &[u8]) -> (Result<Passphrase, TypedError>, String) {
        let (mut ours, mut theirs) = pair();
        let before = tcgetattr(&theirs).unwrap();
        let asked = std::thread::spawn(move || {
            let answer = of_question(|signals| ask(&mut theirs, written("Passphrase: "), signals));
            let answer = answer.and_then(|line| line.passphrase());
            let after = tcgetattr(&theirs).unwrap();
            // What ends the screen, when nothing else was shown.
            theirs.write_all(b".").unwrap();
            (answer, after, theirs)
        });
        let mut screen = String::new();
        let mut byte = [0];
        while !screen.ends_with(": ") {
            ours.read_exact(&mut byte).unwrap();
            screen.push(char::from(byte[0]));
        }
        ours.write_all(keys).unwrap();
        while !screen.ends_with('.') {
            ours.read_exact(&mut byte).unwrap();
            screen.push(char::from(byte[0]));
        }
        let (answer, after, _theirs) = asked.join().unwrap();
        assert_eq!(after.local_modes, before.local_modes, "the terminal is as it was");
        (answer, screen)
    }

    #[test]
    fn a_passphrase_is_typed_without_being_shown_and_can_be_mended() {
        let is = |answer: Result<Passphrase, TypedError>, words: &str| {
            answer.unwrap().is(&Passphrase::new(words.as_bytes()).unwrap())
        };
        for (keys, words) in [
            ("correct horse\r", "correct horse"),
            ("correct horse\n", "correct horse"),
            ("corx\u{7f}rectt\u{8} horse\n", "correct horse"),
            ("wrong\u{15}correct horse\n", "correct horse"),
            ("caf\u{e9}\u{7f}\u{e9}\n", "caf\u{e9}"),
            ("\u{7f}\u{7f}a\u{4}b\n", "ab"),
        ] {
            let (answer, screen) = typed(keys.as_bytes());
            assert!(is(answer, words), "{keys:?}");
            assert_eq!(screen, "Passphrase: \r\n.", "{keys:?}");
        }
    }

    #[test]
    fn who_gives_up_or_types_nothing_gives_no_passphrase_and_gets_the_terminal_back() {
        for keys in ["\n", "\u{4}", "half\u{15}\n"] {
            assert!(matches!(typed(keys.as_bytes()).0, Err(TypedError::None)), "{keys:?}");
        }
        // All of it is read before it is refused: the rest would be taken for a command by the shell.
        let long = [&[b'x'; LONGEST + 2][..], b"\n"].concat();
        assert!(matches!(typed(&long).0, Err(TypedError::TooLong)));
    }
}
