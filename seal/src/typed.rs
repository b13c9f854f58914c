//! A passphrase as a person types it, or as another program hands it over. Never in an argument or in the environment:
//! every process of the machine reads those.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};

use rustix::fs::OFlags;
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::Passphrase;
use crate::passphrase::LONGEST;

/// Why there is no passphrase.
#[derive(Debug, thiserror::Error)]
pub enum TypedError {
    /// The process has no terminal.
    #[error("there is no terminal to ask for the passphrase at")]
    NoTerminal,
    /// It ended before there was one, or the person gave up.
    #[error("no passphrase was given")]
    None,
    /// Longer than any may be.
    #[error("a passphrase has {} bytes at most", LONGEST)]
    TooLong,
    /// Two answers differ.
    #[error("the two passphrases differ")]
    Differ,
    /// It cannot be read.
    #[error("the passphrase cannot be read: {0}")]
    Unreadable(#[source] io::Error),
}

/// The first line of a descriptor that this process was started with; what follows the line stays there.
pub fn from_descriptor(number: u32) -> Result<Passphrase, TypedError> {
    if is_our_own(number) {
        let error =
            io::Error::new(io::ErrorKind::NotFound, format!("it was not started with descriptor {number}"));
        return Err(TypedError::Unreadable(error));
    }
    let mut file = File::open(format!("/dev/fd/{number}")).map_err(TypedError::Unreadable)?;
    let mut line = Line::default();
    while let Some(byte) = next(&mut file)? {
        if byte == b'\n' {
            break;
        }
        line.push(byte)?;
    }
    line.passphrase()
}

/// Whether this process opened a descriptor itself: a file of its own as a passphrase would be one that everybody knows. What it
/// opens is closed on exec, and so nothing that it was started with can be. Where the system does not say, it is none.
fn is_our_own(number: u32) -> bool {
    let told = std::fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap_or_default();
    let flags = told.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
    flags.is_some_and(|flags| flags & OFlags::CLOEXEC.bits() != 0)
}

/// Asks at the terminal of this process, which shows nothing of the answer.
pub fn at_terminal(question: &str) -> Result<Passphrase, TypedError> {
    ask(&mut terminal()?, question)
}

/// Asks for a new one, twice: who mistypes it would never open the file again.
pub fn twice_at_terminal(question: &str, again: &str) -> Result<Passphrase, TypedError> {
    let mut terminal = terminal()?;
    let first = ask(&mut terminal, question)?;
    let second = ask(&mut terminal, again)?;
    if first.is(&second) { Ok(first) } else { Err(TypedError::Differ) }
}

fn terminal() -> Result<File, TypedError> {
    // Wherever standard input and output lead, this is where the person is.
    OpenOptions::new().read(true).write(true).open("/dev/tty").map_err(|_| TypedError::NoTerminal)
}

fn ask(terminal: &mut File, question: &str) -> Result<Passphrase, TypedError> {
    let device = terminal.try_clone().map_err(TypedError::Unreadable)?;
    let quiet = Quiet::begin(device).map_err(|_| TypedError::NoTerminal)?;
    // After the terminal went quiet: what is typed at once when the question is there is not shown.
    terminal.write_all(question.as_bytes()).map_err(TypedError::Unreadable)?;
    let answer = read_keys(terminal);
    drop(quiet);
    // The newline that was typed was not shown either.
    let _ = terminal.write_all(b"\n");
    answer
}

/// Keys one by one until Enter, with what a terminal does for a line: it is not left to do it, so that Ctrl-C ends the
/// question here and not the process, which would leave a terminal behind that shows nothing.
fn read_keys(terminal: &mut File) -> Result<Passphrase, TypedError> {
    let mut line = Line::default();
    while let Some(byte) = next(terminal)? {
        match byte {
            b'\n' | b'\r' => return line.passphrase(),
            CTRL_C => return Err(TypedError::None),
            CTRL_D if line.0.is_empty() => return Err(TypedError::None),
            CTRL_D => {}
            BACKSPACE | DELETE => line.shorten(),
            CTRL_U => line.0.clear(),
            // One that is too long is read to its end all the same: a shell would take the rest for a command.
            byte => {
                let _ = line.push(byte);
            }
        }
    }
    Err(TypedError::None)
}

const CTRL_C: u8 = 0x03;
const CTRL_D: u8 = 0x04;
const CTRL_U: u8 = 0x15;
const BACKSPACE: u8 = 0x08;
const DELETE: u8 = 0x7f;

fn next(file: &mut File) -> Result<Option<u8>, TypedError> {
    let mut byte = Zeroizing::new([0_u8]);
    loop {
        return match file.read(byte.as_mut_slice()) {
            Ok(0) => Ok(None),
            Ok(_) => Ok(byte.first().copied()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(TypedError::Unreadable(error)),
        };
    }
}

/// What was typed so far. It never grows, so nothing of it is left elsewhere.
struct Line(Zeroizing<Vec<u8>>);

impl Default for Line {
    fn default() -> Self {
        Self(Zeroizing::new(Vec::with_capacity(LONGEST.saturating_add(1))))
    }
}

impl Line {
    fn push(&mut self, byte: u8) -> Result<(), TypedError> {
        // One more may be the carriage return of another system's line.
        if self.0.len() > LONGEST {
            return Err(TypedError::TooLong);
        }
        self.0.push(byte);
        Ok(())
    }

    /// Takes the last character away.
    fn shorten(&mut self) {
        while let Some(byte) = self.0.pop() {
            if byte & 0b1100_0000 != 0b1000_0000 {
                break;
            }
        }
    }

    fn passphrase(&self) -> Result<Passphrase, TypedError> {
        let typed = self.0.strip_suffix(b"\r").unwrap_or(&self.0);
        match typed.len() {
            0 => Err(TypedError::None),
            length if length > LONGEST => Err(TypedError::TooLong),
            _ => Passphrase::new(typed).ok_or(TypedError::None),
        }
    }
}

/// The terminal shows nothing and hands over every key, as long as this value lives.
struct Quiet {
    device: File,
    before: Termios,
}

impl Quiet {
    fn begin(device: File) -> rustix::io::Result<Self> {
        let before = tcgetattr(&device)?;
        let mut quiet = before.clone();
        quiet
            .local_modes
            .remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG | LocalModes::IEXTEN);
        quiet.special_codes[SpecialCodeIndex::VMIN] = 1;
        quiet.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(&device, OptionalActions::Flush, &quiet)?;
        Ok(Self { device, before })
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let _ = tcsetattr(&self.device, OptionalActions::Now, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    use rustix::io::{FdFlags, fcntl_setfd};

    use super::*;

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
            let answer = ask(&mut theirs, "Passphrase: ");
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
        for keys in ["\n", "\u{4}", "half\u{3}", "half\u{15}\n"] {
            assert!(matches!(typed(keys.as_bytes()).0, Err(TypedError::None)), "{keys:?}");
        }
        // All of it is read before it is refused: the rest would be taken for a command by the shell.
        let long = [&[b'x'; LONGEST + 2][..], b"\n"].concat();
        assert!(matches!(typed(&long).0, Err(TypedError::TooLong)));
    }

    #[test]
    fn a_descriptor_gives_its_first_line_and_keeps_the_rest() {
        let file = |text: &[u8]| {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(text).unwrap();
            let number = std::os::fd::AsRawFd::as_raw_fd(&file).try_into().unwrap();
            assert!(matches!(from_descriptor(number), Err(TypedError::Unreadable(_))), "one of its own");
            fcntl_setfd(&file, FdFlags::empty()).unwrap();
            (file, number)
        };
        for text in [&b"words\nnot these\n"[..], b"words", b"words\r\n"] {
            let (_file, number) = file(text);
            let given = from_descriptor(number).unwrap();
            assert!(given.is(&Passphrase::new(b"words").unwrap()), "{text:?}");
        }
        for text in [&b""[..], b"\nlater\n", b"\r\n"] {
            let (_file, number) = file(text);
            assert!(matches!(from_descriptor(number), Err(TypedError::None)), "{text:?}");
        }
        let (_file, number) = file(&[b'x'; 5000]);
        assert!(matches!(from_descriptor(number), Err(TypedError::TooLong)));
        assert!(matches!(from_descriptor(99_999), Err(TypedError::Unreadable(_))));
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"words\nrest").unwrap();
        fcntl_setfd(&reader, FdFlags::empty()).unwrap();
        let number = std::os::fd::AsRawFd::as_raw_fd(&reader).try_into().unwrap();
        assert!(from_descriptor(number).is_ok());
        drop(writer);
        let mut rest = String::new();
        { reader }.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "rest");
    }
}
