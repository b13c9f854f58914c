//! A pseudo-terminal: a command that finds a person in front of it.
//!
//! It is nobody's controlling terminal, so Ctrl-C typed into it is a character like any other.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Instant;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::failure::{Failure, Result};
use crate::process::Process;
use crate::wait::PATIENCE;

/// A command at a terminal, what it showed so far, and a keyboard.
#[derive(Debug)]
pub struct Terminal {
    process: Process,
    keyboard: File,
    shown: Receiver<Vec<u8>>,
    screen: String,
    /// The beginning of a character whose rest has not come yet.
    half: Vec<u8>,
    /// How much of the screen was waited for already.
    seen: usize,
}

impl Terminal {
    /// Starts a command whose standard streams are all the terminal.
    pub fn of(command: &mut Command) -> Result<Self> {
        Self::of_width(command, 120)
    }

    /// The same with a number of columns.
    pub fn of_width(command: &mut Command, columns: u16) -> Result<Self> {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
        grantpt(&ours)?;
        unlockpt(&ours)?;
        let name = ptsname(&ours, Vec::new())?;
        let path = name.to_str().map_err(|_| Failure::new("a terminal without a UTF-8 name"))?;
        let theirs = File::options().read(true).write(true).open(path)?;
        tcsetwinsize(&theirs, Winsize { ws_row: 50, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 })?;
        command
            .stdin(Stdio::from(theirs.try_clone()?))
            .stdout(Stdio::from(theirs.try_clone()?))
            .stderr(theirs);
        let process = Process::start(command)?;
        // The command holds on to our ends of its side, and the end of its output would never be seen.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let keyboard = File::from(ours);
        let mut screen = keyboard.try_clone()?;
        let (send, shown) = channel();
        thread::spawn(move || {
            let mut part = vec![0; 4096];
            // It ends with an error when the last process at the terminal is gone.
            while let Ok(count @ 1..) = screen.read(&mut part) {
                if send.send(part.get(..count).unwrap_or_default().to_vec()).is_err() {
                    break;
                }
            }
        });
        Ok(Self { process, keyboard, shown, screen: String::new(), half: Vec::new(), seen: 0 })
    }

    /// Waits until a text appears behind what was waited for before; gives everything between.
    #[track_caller]
    pub fn shows(&mut self, text: &str) -> Result<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let news = self.screen.get(self.seen..).unwrap_or_default();
            if let Some(at) = news.find(text) {
                let found = news.get(..at).unwrap_or_default().to_owned();
                self.seen += at + text.len();
                return Ok(found);
            }
            match self.shown.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(part) => self.take(&part),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    return Err(Failure::new(format!(
                        "the terminal does not show `{text}`:\n{}",
                        self.screen
                    )));
                }
            }
        }
    }

    /// Types.
    pub fn types(&mut self, text: &str) -> Result {
        self.keyboard.write_all(text.as_bytes())?;
        Ok(self.keyboard.flush()?)
    }

    /// Everything shown so far.
    pub fn screen(&mut self) -> &str {
        while let Ok(part) = self.shown.try_recv() {
            self.take(&part);
        }
        &self.screen
    }

    /// Puts on the screen what was read; where a read ended says nothing about characters.
    fn take(&mut self, part: &[u8]) {
        self.half.extend_from_slice(part);
        let whole = match std::str::from_utf8(&self.half) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Ok(_) | Err(_) => self.half.len(),
        };
        let rest = self.half.split_off(whole);
        self.screen.push_str(&String::from_utf8_lossy(&self.half));
        self.half = rest;
    }

    /// Waits for the end of the command.
    #[track_caller]
    pub fn ends(&mut self) -> Result<ExitStatus> {
        let ended = self.process.wait(PATIENCE);
        ended.map_err(|failure| failure.and(&self.screen))
    }

    /// The process behind it.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}
