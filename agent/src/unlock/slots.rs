//! Which keys and passphrases open a store. It changes only while no process has the store open.

use std::fs::File;
use std::path::Path;

use cipher_api::{Error, ErrorKind, Hint};
use cipher_seal::{Key, Plain, SealedFile, SlotError, SlotKind, Unlock, key_file};
use rand_core::OsRng;
use rustix::fs::FlockOperation;

use crate::profile::Profile;
use crate::token::file::{self as tokens, TokenFile};
use crate::unlock::find::{self, slots_of, unsealed};
use crate::unlock::keyring;

/// What opens a store, in order. Nothing is unlocked for it.
pub(crate) fn list(profile: &Profile) -> Result<Vec<SlotKind>, Error> {
    slots_of(profile)?.ok_or_else(|| unsealed(profile))
}

/// The store of a profile that no process has open, nor opens as long as this value lives.
#[derive(Debug)]
pub(crate) struct Held {
    profile: Profile,
    _store: File,
}

impl Held {
    /// Takes the lock that the owner of a store has.
    pub(crate) fn take(profile: Profile) -> Result<Self, Error> {
        let store = File::open(profile.store()).map_err(|error| {
            ErrorKind::Storage.because_of(format!("{} cannot be read", profile.store().display()), error)
        })?;
        rustix::fs::flock(&store, FlockOperation::NonBlockingLockExclusive).map_err(|error| {
            match error {
                rustix::io::Errno::WOULDBLOCK => ErrorKind::Locked
                    .because("another process has this profile open")
                    .hint(Hint::text("stop it first, a daemon or bot too: what opens the store changes only while nobody has it open")),
                error => ErrorKind::Storage
                    .because_of(format!("{} cannot be locked", profile.store().display()), error),
            }
        })?;
        Ok(Self { profile, _store: store })
    }

    /// Unlocks its keys.
    pub(crate) fn open(self, unlock: &Unlock) -> Result<Slots, Error> {
        let (file, body) = find::keys(&self.profile, unlock)?;
        let tokens = file.derived(tokens::PURPOSE);
        Ok(Slots { held: self, file, body, tokens })
    }
}

/// The slots of an unlocked store. Each change is on the disk when its call returns.
#[derive(Debug)]
pub(crate) struct Slots {
    held: Held,
    file: SealedFile,
    body: Plain,
    /// What the tokens are sealed under as long as the file on the disk is this one.
    tokens: Key,
}

impl Slots {
    /// What opens it, in order.
    pub(crate) fn kinds(&self) -> Vec<SlotKind> {
        self.file.slots().iter().map(cipher_seal::KeySlot::kind).collect()
    }

    /// Lets this open the store too; gives the number of its slot. What opens it already is no second way in: removing one slot
    /// would leave the other.
    pub(crate) fn add(&mut self, unlock: &Unlock) -> Result<usize, Error> {
        if let Some(at) = self.file.opened_by(unlock) {
            return Err(ErrorKind::Conflict
                .because(format!("slot {} opens with that already", at.saturating_add(1)))
                .hint(Hint::text("nothing was changed; give another one")));
        }
        self.file.add(unlock, &mut OsRng).map_err(|error| told(error, None))?;
        self.save()?;
        Ok(self.file.slots().len())
    }

    /// The slot that the key file beside the store opens, if any.
    pub(crate) fn beside(&self) -> Option<usize> {
        let key = key_file::read(&self.held.profile.key()).ok()?;
        Some(self.file.opened_by(&Unlock::Key(key))?.saturating_add(1))
    }

    /// Lets a fresh key in the system's keyring open the store; gives the number of its slot.
    pub(crate) fn add_keyring(&mut self) -> Result<usize, Error> {
        if self.kinds().contains(&SlotKind::Keyring) {
            return Err(ErrorKind::Conflict
                .because("a key in the system's keyring opens this store already")
                .hint(Hint::text("nothing was changed; remove its slot first to have another key")));
        }
        let key = Key::random(&mut OsRng);
        // First there: a slot whose key is nowhere would look like a way in.
        keyring::store(&self.held.profile, &key)?;
        self.add(&Unlock::Keyring(key))
    }

    /// Removes a slot. `stays` opens one of the others: if it does not, `false`, and nothing is changed. A key file beside the
    /// store that opens nothing any more is erased.
    pub(crate) fn remove(&mut self, number: usize, stays: &Unlock) -> Result<bool, Error> {
        let kind = self.kinds().get(number.wrapping_sub(1)).copied();
        match self.file.remove(number.wrapping_sub(1), stays, &mut OsRng) {
            Ok(()) => {}
            Err(SlotError::OpensNoOther) => return Ok(false),
            Err(error) => return Err(told(error, Some(number))),
        }
        self.save()?;
        if kind == Some(SlotKind::Keyring)
            && let Err(error) = keyring::forget(&self.held.profile)
        {
            // It opens nothing any more.
            tracing::debug!(%error, "a key stays in the keyring");
        }
        let key = self.held.profile.key();
        if let Ok(beside) = key_file::read(&key)
            && self.file.opened_by(&Unlock::Key(beside)).is_none()
        {
            key_file::erase(&key).map_err(|error| {
                ErrorKind::Storage
                    .because_of(
                        format!("the slot is removed, but {} could not be erased", key.display()),
                        error,
                    )
                    .hint(Hint::text("it opens nothing any more; erase it by hand"))
            })?;
        }
        Ok(true)
    }

    /// Puts another passphrase into the place of the one that was given.
    pub(crate) fn change(&mut self, old: &Unlock, new: &Unlock) -> Result<(), Error> {
        let at = self.file.opened_by(old).ok_or_else(|| told(SlotError::Missing, None))?;
        self.file.replace(at, new, &mut OsRng).map_err(|error| told(error, None))?;
        self.save()
    }

    /// Puts the keys on the disk. Tokens open with what was before and with what comes, until one of them is past: whenever the
    /// process ends, they open with what `store.keys` gives.
    fn save(&mut self) -> Result<(), Error> {
        let next = self.file.derived(tokens::PURPOSE);
        let changed = next.expose() != self.tokens.expose();
        if !changed {
            return self.replace();
        }
        let lock = tokens::lock(self.held.profile.dir())?;
        let tokens = TokenFile::of(&self.held.profile, self.tokens.clone());
        tokens.also_open_with(&lock, &next)?;
        self.replace()?;
        self.tokens = next.clone();
        // If it cannot be written, the next process that opens the store does it.
        if let Err(error) = TokenFile::of(&self.held.profile, next).settle(&lock) {
            tracing::debug!(kind = error.kind.name(), "the tokens still open with what was removed");
        }
        Ok(())
    }

    fn replace(&self) -> Result<(), Error> {
        let keys = self.held.profile.keys();
        key_file::replace(&keys, &self.file.seal(&self.body, &mut OsRng)).map_err(|error| {
            ErrorKind::Storage.because_of(format!("{} cannot be written", keys.display()), error).hint(
                Hint::text(
                    "nothing was changed: check the disk and its free space, then run the command again",
                ),
            )
        })
    }
}

/// The key in a file, which is made if it is not there; whether it was made.
pub(crate) fn key_from(path: &Path) -> Result<(Unlock, bool), Error> {
    let failed = |what: &str, error: Box<dyn std::error::Error + Send + Sync>, hint: &str| {
        ErrorKind::Storage
            .because_of(format!("the key file {} {what}", path.display()), error)
            .hint(Hint::text(format!("nothing was changed; {hint}")))
    };
    let made = match std::fs::symlink_metadata(path) {
        Ok(_) => false,
        Err(_) => key_file::make(path, Key::random(&mut OsRng).expose()).map_err(|error| {
            failed("cannot be made", error.into(), "check its folder, your rights there and the free space")
        })?,
    };
    let key = key_file::read(path).map_err(|error| {
        failed("cannot be used", error.into(), "name a file of 32 random bytes, or one that is not there yet")
    })?;
    Ok((Unlock::Key(key), made))
}

/// Fails if there is no slot of this number.
pub(crate) fn is_there(kinds: &[SlotKind], number: usize) -> Result<(), Error> {
    if (1..=kinds.len()).contains(&number) { Ok(()) } else { Err(told(SlotError::Missing, Some(number))) }
}

fn told(error: SlotError, number: Option<usize>) -> Error {
    match error {
        SlotError::Missing => {
            let which = number.map_or_else(|| "such slot".into(), |number| format!("slot {number}"));
            ErrorKind::NotFound
                .because(format!("there is no {which}"))
                .hint(Hint::text("nothing was changed; `slot list` shows which there are"))
        }
        SlotError::Last => ErrorKind::Misuse
            .because("this is the only slot: without it nothing would open the store")
            .hint(Hint::text("nothing was changed; first add another one with `slot add`")),
        SlotError::Full => ErrorKind::Limit
            .because(error.to_string())
            .hint(Hint::text("nothing was changed; first remove one with `slot remove`")),
        SlotError::OpensNoOther => ErrorKind::Storage.because(error.to_string()),
    }
}

#[cfg(test)]
#[path = "slots_test.rs"]
mod tests;
