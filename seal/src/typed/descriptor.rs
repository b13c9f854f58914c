//! Lines of a descriptor that this process was started with.
//!
//! No safe call takes a descriptor by its number, so what it leads to is opened once more. A pipe is the same pipe then; a file is
//! read from where the descriptor stands, and the opened one is kept, so that the next line follows.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::sync::{Mutex, PoisonError};

use rustix::fs::OFlags;
use zeroize::Zeroizing;

use crate::typed::TypedError;
use crate::typed::line::Line;

/// What was opened, by number.
static OPENED: Mutex<BTreeMap<u32, File>> = Mutex::new(BTreeMap::new());

/// The next line.
pub(super) fn line(number: u32) -> Result<Line, TypedError> {
    let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
    let file = match opened.remove(&number).filter(|file| is_still(file, number)) {
        Some(file) => file,
        None => open(number).map_err(TypedError::Unreadable)?,
    };
    let file = opened.entry(number).or_insert(file);
    let mut line = Line::default();
    // Byte by byte: what follows the line stays there.
    while let Some(byte) = next(file)? {
        if byte == b'\n' {
            break;
        }
        line.push(byte)?;
    }
    Ok(line)
}

/// The next byte; `None` at the end.
pub(super) fn next(file: &mut File) -> Result<Option<u8>, TypedError> {
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

fn open(number: u32) -> io::Result<File> {
    let told = Told::of(number);
    if told.is_our_own {
        let error = format!("it was not started with descriptor {number}");
        return Err(io::Error::new(io::ErrorKind::NotFound, error));
    }
    let mut file = File::open(path(number))?;
    if file.metadata()?.is_file() {
        file.seek(SeekFrom::Start(told.position))?;
    }
    Ok(file)
}

/// Whether a number leads to what was opened under it.
fn is_still(file: &File, number: u32) -> bool {
    let place = |file: fs::Metadata| (file.dev(), file.ino());
    let kept = file.metadata().map(place);
    kept.is_ok_and(|kept| fs::metadata(path(number)).map(place).is_ok_and(|now| now == kept))
}

fn path(number: u32) -> String {
    format!("/dev/fd/{number}")
}

/// What the system tells of a descriptor.
#[derive(Default)]
struct Told {
    /// Where it stands.
    position: u64,
    /// Whether this process opened it itself: a file of its own as a passphrase would be one that everybody knows. What it opens is
    /// closed on exec, and so nothing that it was started with can be. Where the system does not say, it is none.
    is_our_own: bool,
}

impl Told {
    fn of(number: u32) -> Self {
        let told = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap_or_default();
        let value = |name| told.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let flags = value("flags:").and_then(|flags| u32::from_str_radix(flags, 8).ok());
        Self {
            position: value("pos:").and_then(|position| position.parse().ok()).unwrap_or_default(),
            is_our_own: flags.is_some_and(|flags| flags & OFlags::CLOEXEC.bits() != 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::fd::{AsFd, AsRawFd, OwnedFd};

    use rustix::io::{FdFlags, fcntl_setfd};

    use super::*;
    use crate::Passphrase;
    use crate::passphrase::LONGEST;
    use crate::typed::from_descriptor;

    /// Its number, as if this process had been started with it.
    fn inherited(file: &(impl AsRawFd + AsFd)) -> u32 {
        fcntl_setfd(file, FdFlags::empty()).unwrap();
        file.as_raw_fd().try_into().unwrap()
    }

    fn file(text: &[u8]) -> (File, u32) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text).unwrap();
        file.rewind().unwrap();
        let number = file.as_raw_fd().try_into().unwrap();
        assert!(matches!(from_descriptor(number), Err(TypedError::Unreadable(_))), "one of its own");
        let number = inherited(&file);
        (file, number)
    }

    fn gives(number: u32, words: &str) {
        let given = from_descriptor(number).unwrap();
        assert!(given.is(&Passphrase::new(words.as_bytes()).unwrap()), "not {words}");
    }

    #[test]
    fn a_descriptor_gives_a_line_and_keeps_the_rest() {
        for text in [&b"words\nnot these\n"[..], b"words", b"words\r\n"] {
            let (_file, number) = file(text);
            gives(number, "words");
        }
        for text in [&b""[..], b"\nlater\n", b"\r\n"] {
            let (_file, number) = file(text);
            assert!(matches!(from_descriptor(number), Err(TypedError::None)), "{text:?}");
        }
        let (_file, number) = file(&[b'x'; LONGEST * 4]);
        assert!(matches!(from_descriptor(number), Err(TypedError::TooLong)));
        assert!(matches!(from_descriptor(99_999), Err(TypedError::Unreadable(_))));
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"words\nrest").unwrap();
        gives(inherited(&reader), "words");
        drop(writer);
        let mut rest = String::new();
        { reader }.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "rest");
    }

    #[test]
    fn two_passphrases_of_one_descriptor_are_two_lines_whether_it_is_a_pipe_or_a_file() {
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"one\ntwo\n").unwrap();
        drop(writer);
        let (file, of_file) = file(b"one\ntwo\n");
        for number in [inherited(&reader), of_file] {
            gives(number, "one");
            gives(number, "two");
            assert!(matches!(from_descriptor(number), Err(TypedError::None)), "there is no third");
        }
        // Another file under the number of one that was read is read from its beginning.
        let mut another = tempfile::tempfile().unwrap();
        another.write_all(b"three\n").unwrap();
        another.rewind().unwrap();
        let mut file = OwnedFd::from(file);
        rustix::io::dup2(&another, &mut file).unwrap();
        assert_eq!(inherited(&file), of_file);
        gives(of_file, "three");
    }

    /// As a shell leaves it that read a line of it before.
    #[test]
    fn a_file_is_read_from_where_its_descriptor_stands() {
        let (mut file, number) = file(b"one\ntwo\n");
        file.seek(SeekFrom::Start(4)).unwrap();
        gives(number, "two");
    }
}
