//! Where a profile lives: one folder under the home, for its owner only.
//!
//! ```text
//! <home>/profiles/<name>/store.redb             everything the core keeps, 0600
//! <home>/profiles/<name>/control.sock           while a process owns the profile
//! <home>/profiles/<name>/evidence/…             what was found against the registry, one file each
//! <home>/profiles/<name>/bots/<bot>/…           the same again for a bot of this profile
//! ```

use std::fs::{DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use cipher_core::{CoreError, ErrorKind};
use rustix::fs::FlockOperation;

/// Longest name of a profile.
const NAME_CHARS: usize = 32;

/// The folder of one profile. Making this value touches nothing on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    dir: PathBuf,
}

impl Profile {
    /// The profile of a name: `NAME`, or `PROFILE/BOT` for a bot's profile inside another.
    pub fn new(home: &Path, name: &str) -> Result<Self, CoreError> {
        let profiles = home.join("profiles");
        let dir = match name.split_once('/') {
            None => profiles.join(checked(name)?),
            Some((owner, bot)) => profiles.join(checked(owner)?).join("bots").join(checked(bot)?),
        };
        Ok(Self { dir })
    }

    /// Its folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The file of the core.
    pub fn store(&self) -> PathBuf {
        self.dir.join("store.redb")
    }

    /// The socket of the process that owns the profile.
    pub fn socket(&self) -> PathBuf {
        self.dir.join("control.sock")
    }

    /// Folder of what was found against the registry.
    pub fn evidence(&self) -> PathBuf {
        self.dir.join("evidence")
    }

    /// Whether a store was ever written here.
    pub fn exists(&self) -> bool {
        self.store().metadata().is_ok_and(|file| file.len() > 0)
    }

    /// Names of all profiles of a home that have a store, bots as `PROFILE/BOT`, sorted.
    pub fn list(home: &Path) -> Vec<String> {
        let mut found = Vec::new();
        for owner in names_in(&home.join("profiles")) {
            let bots = names_in(&home.join("profiles").join(&owner).join("bots"));
            found.extend(bots.into_iter().map(|bot| format!("{owner}/{bot}")));
            found.push(owner);
        }
        found.retain(|name| Self::new(home, name).is_ok_and(|profile| profile.exists()));
        found.sort();
        found
    }

    /// Removes a profile that was made for nothing: its store, and its folder if nothing else is in it. A store that
    /// another process has open stays.
    pub(crate) fn discard(&self) {
        let Ok(store) = std::fs::File::open(self.store()) else { return };
        // The lock is that of the store's owner, so nobody has it open, and nobody opens it meanwhile.
        if rustix::fs::flock(&store, FlockOperation::NonBlockingLockExclusive).is_err() {
            return;
        }
        let removed = std::fs::remove_file(self.store()).and_then(|()| std::fs::remove_dir(&self.dir));
        if let Err(error) = removed {
            tracing::debug!(%error, "something is left of a profile without account");
        }
    }

    /// Makes the folder, 0700. The core makes the store in it, 0600; one that others may read loses that.
    pub(crate) fn prepare(&self) -> Result<(), CoreError> {
        let storage = |what: &Path, error: std::io::Error| {
            ErrorKind::Storage.because(format!("cannot prepare {}: {error}", what.display()))
        };
        private_folder(&self.dir).map_err(|error| storage(&self.dir, error))?;
        let store = self.store();
        match store.metadata() {
            Ok(file) if file.permissions().mode() & 0o077 != 0 => {
                std::fs::set_permissions(&store, Permissions::from_mode(0o600))
                    .map_err(|error| storage(&store, error))
            }
            _ => Ok(()),
        }
    }
}

/// Makes a folder and its missing parents, 0700; an existing folder loses the rights of others.
pub(crate) fn private_folder(dir: &Path) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let rights = dir.metadata()?.permissions();
    if rights.mode() & 0o077 != 0 {
        std::fs::set_permissions(dir, Permissions::from_mode(0o700))?;
    }
    Ok(())
}

fn checked(name: &str) -> Result<&str, CoreError> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
    if (1..=NAME_CHARS).contains(&name.len()) && name.chars().all(fits) {
        Ok(name)
    } else {
        Err(ErrorKind::Misuse
            .because("a profile is named by 1 to 32 characters of a-z, 0-9, '_' and '-'")
            .hint("a bot's profile is PROFILE/BOT"))
    }
}

fn names_in(dir: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_the_home() {
        let home = Path::new("/h");
        for bad in ["", ".", "..", "A", "a/b/c", "a/..", "/", "a/", "ä", "a b", &"a".repeat(33)] {
            assert!(Profile::new(home, bad).is_err(), "{bad}");
        }
        assert_eq!(Profile::new(home, "ana").unwrap().dir(), Path::new("/h/profiles/ana"));
        assert_eq!(Profile::new(home, "ana/echo-1").unwrap().dir(), Path::new("/h/profiles/ana/bots/echo-1"));
    }

    #[test]
    fn a_discarded_profile_leaves_nothing_unless_somebody_uses_it() {
        let home = tempfile::tempdir().unwrap();
        let profile = Profile::new(home.path(), "ana").unwrap();
        profile.prepare().unwrap();
        std::fs::write(profile.store(), b"x").unwrap();
        let used = std::fs::File::open(profile.store()).unwrap();
        rustix::fs::flock(&used, FlockOperation::LockExclusive).unwrap();
        profile.discard();
        assert!(profile.exists());
        drop(used);
        profile.discard();
        assert!(!profile.dir().exists());
    }

    #[test]
    fn what_it_makes_is_for_its_owner_only() {
        let home = tempfile::tempdir().unwrap();
        let profile = Profile::new(home.path(), "ana/echo").unwrap();
        assert!(!profile.exists());
        profile.prepare().unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(profile.dir()), 0o700);
        assert_eq!(mode(&home.path().join("profiles/ana")), 0o700);
        std::fs::write(profile.store(), b"x").unwrap();
        std::fs::set_permissions(profile.store(), Permissions::from_mode(0o644)).unwrap();
        profile.prepare().unwrap();
        assert_eq!(mode(&profile.store()), 0o600);
        assert_eq!(Profile::list(home.path()), ["ana/echo"]);
    }
}
