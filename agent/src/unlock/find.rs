//! Where a key or passphrase is looked for, and what is said when it is not there.

use std::collections::HashMap;
use std::fmt;
use std::io::ErrorKind as Io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use cipher_api::{Error, ErrorKind, Hint};
use cipher_seal::key_file::{self, KeyFileError};
use cipher_seal::typed::{self, TypedError};
use cipher_seal::{FileError, Key, Passphrase, Plain, SealedFile, SlotKind, Unlock};
use rand_core::OsRng;

use crate::profile::Profile;
use crate::unlock::keyring;

/// Name of the credential that systemd hands over.
const CREDENTIAL: &str = "cipher-chat-key";

/// How a passphrase is given where no person is asked.
const BY_DESCRIPTOR: &str = "give the passphrase with --passphrase-fd N, for example `--passphrase-fd 3 3< FILE`, or run the command at a terminal";

/// Where the key or passphrase of a store comes from: the first of these that is there, otherwise `store.key` beside it if a key
/// opens the store and the file is there, otherwise the system's keyring if a key in it opens the store, otherwise a person who is
/// asked for the passphrase.
#[derive(Debug, Clone, Default)]
pub struct Unlocking {
    /// A file with 32 bytes.
    pub key_file: Option<PathBuf>,
    /// systemd's folder of credentials.
    pub credentials: Option<PathBuf>,
    /// A descriptor whose next line is a passphrase.
    pub passphrase_fd: Option<u32>,
    /// Whether a person may be asked.
    pub asks: bool,
    /// Whether the system's keyring is not asked, which may ask a person itself.
    spares_keyring: bool,
    given: Given,
    keyboard: Keyboard,
}

/// Lends the keyboard for a question, which it asks.
pub type Lends = Arc<dyn Fn(&mut dyn FnMut()) + Send + Sync>;

/// Who has the keyboard while nothing is asked.
#[derive(Clone, Default)]
struct Keyboard(Arc<Mutex<Option<Lends>>>);

impl fmt::Debug for Keyboard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyboard")
    }
}

impl Keyboard {
    /// Asks when no key of the answer goes to another part of this program.
    fn lent(&self, ask: impl Fn() -> Result<Passphrase, TypedError>) -> Result<Passphrase, TypedError> {
        let lends = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut answer = None;
        if let Some(lends) = lends {
            lends(&mut || answer = Some(ask()));
        }
        answer.unwrap_or_else(ask)
    }
}

/// Passphrases that were given to this process: a descriptor is read once, and a person is asked once, however often a store is
/// opened.
#[derive(Clone, Default)]
struct Given(Arc<Mutex<HashMap<Source, Passphrase>>>);

#[derive(PartialEq, Eq, Hash)]
enum Source {
    Descriptor(u32),
    Person(PathBuf),
}

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Given(secret)")
    }
}

impl Given {
    fn once(
        &self,
        source: Source,
        ask: impl FnOnce() -> Result<Passphrase, TypedError>,
    ) -> Result<Unlock, TypedError> {
        let mut given = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let passphrase = match given.get(&source) {
            Some(passphrase) => passphrase.clone(),
            None => {
                let passphrase = ask()?;
                given.insert(source, passphrase.clone());
                passphrase
            }
        };
        Ok(Unlock::Passphrase(passphrase))
    }
}

impl Unlocking {
    /// With these sources; `asks`: a person may be asked.
    pub fn new(
        key_file: Option<PathBuf>,
        credentials: Option<PathBuf>,
        passphrase_fd: Option<u32>,
        asks: bool,
    ) -> Self {
        Self { key_file, credentials, passphrase_fd, asks, ..Self::default() }
    }

    /// From now on this lends the keyboard for questions, in all that were made of these sources; `None`: nobody else has it.
    pub fn is_asked_by(&self, lends: Option<Lends>) {
        *self.keyboard.0.lock().unwrap_or_else(PoisonError::into_inner) = lends;
    }

    /// With the sources of these that ask nobody and read nothing that can be read only once.
    #[must_use]
    pub fn silent(self) -> Self {
        Self { passphrase_fd: None, asks: false, spares_keyring: true, ..self }
    }

    /// The passphrase of a profile: from the descriptor, or from the person at the terminal.
    pub(crate) fn passphrase(&self, profile: &Profile) -> Result<Unlock, Error> {
        let given = match self.passphrase_fd {
            Some(number) => self.given.once(Source::Descriptor(number), || typed::from_descriptor(number)),
            None if !self.asks => Err(TypedError::NoTerminal),
            None => self.given.once(Source::Person(profile.dir().to_owned()), || {
                let question = format!("Passphrase of {}: ", profile.dir().display());
                self.keyboard.lent(|| typed::at_terminal(&question))
            }),
        };
        given.map_err(ungiven)
    }

    /// A passphrase that is to open something from now on: from this descriptor, or typed twice. Of a descriptor that is for both it
    /// is the second line, whether or not anything asked for the first: what it seals must not depend on that.
    pub(crate) fn new_passphrase(&self, descriptor: Option<u32>) -> Result<Unlock, Error> {
        if let Some(number) = descriptor.filter(|number| self.passphrase_fd == Some(*number)) {
            self.given
                .once(Source::Descriptor(number), || typed::from_descriptor(number))
                .map_err(ungiven)?;
        }
        let given = match descriptor {
            Some(number) => typed::from_descriptor(number),
            None if !self.asks => Err(TypedError::NoTerminal),
            None => typed::twice_at_terminal("New passphrase: ", "The same again: "),
        };
        given.map(Unlock::Passphrase).map_err(|error| match error {
            TypedError::NoTerminal => ErrorKind::Misuse.because_of("no new passphrase was given", error).hint(
                Hint::text("give it with --new-passphrase-fd N, for example `--new-passphrase-fd 4 4< FILE`, or run the command at a terminal"),
            ),
            TypedError::None | TypedError::Interrupted | TypedError::TooLong | TypedError::Differ => {
                ErrorKind::Usage.because(error.to_string()).hint(Hint::text("nothing was changed"))
            }
            TypedError::Unreadable(error) => ErrorKind::Storage.because_of("the new passphrase cannot be read", error).hint(Hint::text(
                "nothing was changed; --new-passphrase-fd takes the number of a descriptor that the command is started with, for example `--new-passphrase-fd 4 4< FILE`",
            )),
        })
    }
}

/// What opens the store of a profile, or is to open one that is made now. It may ask a person: call it once nothing else does
/// what is wanted, as the process may that has the profile open.
pub fn unlock(profile: &Profile, unlocking: &Unlocking) -> Result<Unlock, Error> {
    if let Some(path) = &unlocking.key_file {
        return named(path);
    }
    if let Some(path) = unlocking.credentials.as_deref().map(|folder| folder.join(CREDENTIAL))
        && path.exists()
    {
        return named(&path);
    }
    if unlocking.passphrase_fd.is_some() {
        return unlocking.passphrase(profile);
    }
    let Some(slots) = slots_of(profile)? else { return beside(profile, true) };
    let has = |kind| slots.contains(&kind);
    if has(SlotKind::Key) && profile.key().exists() {
        return beside(profile, false);
    }
    if has(SlotKind::Keyring) && !unlocking.spares_keyring {
        match keyring::fetch(profile) {
            // A session without a keyring, as over SSH: the person knows the passphrase.
            Err(error) if has(SlotKind::Passphrase) => tracing::debug!(%error, "the keyring is not asked"),
            fetched => return fetched.map(Unlock::Keyring),
        }
    }
    if has(SlotKind::Passphrase) { unlocking.passphrase(profile) } else { beside(profile, false) }
}

/// What opens a store, slot by slot; `None` if it is not sealed yet.
pub(super) fn slots_of(profile: &Profile) -> Result<Option<Vec<SlotKind>>, Error> {
    match std::fs::read(profile.keys()) {
        Ok(bytes) => SealedFile::slots_in(&bytes).map(Some).map_err(|error| refused(profile, error)),
        Err(error) if error.kind() == Io::NotFound => Ok(None),
        Err(error) => Err(unread(profile, error)),
    }
}

/// The file with the keys of a store, which another process may have open, and what is in it.
pub(crate) fn keys(profile: &Profile, unlock: &Unlock) -> Result<(SealedFile, Plain), Error> {
    let bytes = std::fs::read(profile.keys()).map_err(|error| match error.kind() {
        Io::NotFound => unsealed(profile),
        _ => unread(profile, error),
    })?;
    SealedFile::open(&bytes, unlock).map_err(|error| refused(profile, error))
}

pub(super) fn unsealed(profile: &Profile) -> Error {
    ErrorKind::Misuse
        .because(format!(
            "{} is not there: the store of this profile was not sealed yet, or the file is lost",
            profile.keys().display()
        ))
        .hint(Hint::text(
            "a command that opens the profile, as `sync` does, seals the store, or says that it is lost",
        ))
}

fn refused(profile: &Profile, error: FileError) -> Error {
    cipher_core::keys_unopened(&profile.keys().display().to_string(), error)
}

fn unread(profile: &Profile, error: std::io::Error) -> Error {
    ErrorKind::Storage.because_of(format!("{} cannot be read", profile.keys().display()), error)
}

/// For what nobody can open any more.
fn lost(first: &str) -> Hint {
    Hint::text(format!(
        "{first}; if that does not help, nobody can read this store any more: in another profile link this machine again, restore a \
         backup, or recover the account with its phrase"
    ))
}

/// A file that was named. Who else may read it is the choice of who named it: a container's secret is often for all its users.
fn named(path: &Path) -> Result<Unlock, Error> {
    key_file::read(path).map(Unlock::Key).map_err(|error| {
        let hint = match error {
            KeyFileError::Unreadable(_) => "check the path and its rights; nothing was changed",
            KeyFileError::NoKey => {
                "name the file that the store was sealed with; a new one, for a new store: `head -c 32 /dev/urandom > FILE`"
            }
        };
        ErrorKind::Storage
            .because_of(format!("the key file {} opens nothing", path.display()), error)
            .hint(Hint::text(hint))
    })
}

/// The file beside the store, which is made with it; one that others may read loses that, as the store does.
fn beside(profile: &Profile, make: bool) -> Result<Unlock, Error> {
    let path = profile.key();
    let barred = |doing: &'static str| {
        let path = path.clone();
        move |error: std::io::Error| {
            ErrorKind::Storage.because_of(format!("{} cannot be {doing}", path.display()), error)
        }
    };
    match key_file::is_open_to_others(&path) {
        Ok(false) => {}
        Ok(true) => key_file::close_to_others(&path).map_err(barred("closed to others"))?,
        Err(error) if error.kind() == Io::NotFound && make => {
            // Of two processes that begin at once one makes it, and both use it.
            key_file::make(&path, Key::random(&mut OsRng).expose()).map_err(barred("made"))?;
        }
        Err(error) if error.kind() == Io::NotFound => {
            return Err(ErrorKind::Storage
                .because(format!("the store is sealed, and {} is not there to open it", path.display()))
                .hint(lost(
                    "put the file back from where it was kept, or name another one with --key-file FILE",
                )));
        }
        Err(error) => return Err(barred("read")(error)),
    }
    key_file::read(&path).map(Unlock::Key).map_err(|error| match error {
        KeyFileError::Unreadable(error) => barred("read")(error),
        KeyFileError::NoKey => ErrorKind::Storage
            .because_of(format!("{} opens nothing", path.display()), error)
            .hint(lost("put the file back from where it was kept")),
    })
}

/// Why there is no passphrase.
fn ungiven(error: TypedError) -> Error {
    let hint = match error {
        TypedError::NoTerminal => BY_DESCRIPTOR,
        TypedError::None | TypedError::Interrupted | TypedError::TooLong | TypedError::Differ => {
            "nothing was changed"
        }
        TypedError::Unreadable(_) => {
            "--passphrase-fd takes the number of a descriptor that the command is started with, for example `--passphrase-fd 3 3< FILE`"
        }
    };
    let error = match error {
        // The system's words alone say little.
        TypedError::Unreadable(error) => {
            ErrorKind::Storage.because_of("the passphrase of the store cannot be read", error)
        }
        TypedError::NoTerminal => {
            ErrorKind::Storage.because("the store opens with a passphrase, and nobody is there to ask for it")
        }
        error => ErrorKind::Storage.because(error.to_string()),
    };
    error.hint(Hint::text(hint))
}

#[cfg(test)]
#[path = "find_test.rs"]
mod tests;
