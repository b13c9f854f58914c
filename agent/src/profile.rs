//! Where a profile lives: one folder under the home, for its owner only.
//!
//! ```text
//! <home>/profiles/<name>/store.redb             everything the core keeps, 0600
//! <home>/profiles/<name>/store.keys             its keys, sealed; what opens them stands in `unlock`
//! <home>/profiles/<name>/store.sums             sums of the store of when it was closed, 0600; it may be missing
//! <home>/profiles/<name>/store.key              opens them unless something else does, 0600
//! <home>/profiles/<name>/control.sock           while a process owns the profile
//! <home>/profiles/<name>/tokens                 digests of the tokens that its owner gave to programs, sealed, 0600
//! <home>/profiles/<name>/evidence/…             what was found against the registry, one file each
//! <home>/profiles/<name>/bots/<bot>/…           the same again for a bot of this profile
//! <home>/profiles/<name>.restoring/…            while a backup is restored
//! ```

use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use cipher_api::{Error, ErrorKind, Hint};
use rustix::fs::{Access, AtFlags, CWD, FlockOperation};

/// Longest name of a profile.
const NAME_CHARS: usize = 32;

/// The folder of one profile. Making this value touches nothing on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    dir: PathBuf,
}

impl Profile {
    /// The profile of a name: `NAME`, or `PROFILE/BOT` for a bot's profile inside another.
    pub fn new(home: &Path, name: &str) -> Result<Self, Error> {
        let profiles = home.join("profiles");
        let dir = match name.split_once('/') {
            None => profiles.join(checked(name)?),
            Some((owner, bot)) => profiles.join(checked(owner)?).join("bots").join(checked(bot)?),
        };
        Ok(Self { dir })
    }

    /// The same beside its place, under a name that no profile has: until everything is in it.
    pub(crate) fn beside(&self) -> Self {
        Self { dir: self.dir.with_added_extension("restoring") }
    }

    /// Its folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The file of the core.
    pub fn store(&self) -> PathBuf {
        self.dir.join("store.redb")
    }

    /// The sealed keys of the store.
    pub fn keys(&self) -> PathBuf {
        self.dir.join("store.keys")
    }

    /// The key that opens them, unless something else does.
    pub fn key(&self) -> PathBuf {
        self.dir.join("store.key")
    }

    /// What the store was when it was closed.
    pub fn sums(&self) -> PathBuf {
        self.dir.join("store.sums")
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

    /// Whether the profile is there, as a folder and store that this user may use. What it may not use is there all the
    /// same: nobody must be told to make another account because of a permission.
    pub(crate) fn found(&self) -> Result<bool, Error> {
        match self.dir.metadata() {
            Ok(folder) if folder.is_dir() => {}
            Ok(_) => return Ok(false),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(false);
            }
            Err(error) => return Err(barred(&self.dir, error)),
        }
        may(&self.dir, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK)?;
        match self.store().symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            _ => may(&self.store(), Access::READ_OK | Access::WRITE_OK)?,
        }
        Ok(true)
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
        let removed = std::fs::remove_file(self.store()).and_then(|()| {
            for file in [self.keys(), self.key(), self.sums()] {
                match std::fs::remove_file(file) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    Ok(()) | Err(_) => {}
                }
            }
            std::fs::remove_dir(&self.dir)
        });
        if let Err(error) = removed {
            tracing::debug!(%error, "something is left of a profile without account");
        }
    }

    /// Makes the folder, 0700. The core makes the store in it, 0600; one that others may read loses that.
    pub(crate) fn prepare(&self) -> Result<(), Error> {
        let storage = |what: &Path, error: io::Error| barred(what, error);
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

/// Fails if this user may not do that with what lies there.
fn may(path: &Path, access: Access) -> Result<(), Error> {
    rustix::fs::accessat(CWD, path, access, AtFlags::EACCESS).map_err(|error| barred(path, error.into()))
}

/// What keeps this user from a folder or file of a profile: whose it is, its rights, and who asks. The nearest folder
/// above stands for what cannot even be looked at.
fn barred(path: &Path, error: io::Error) -> Error {
    let seen = path.ancestors().find_map(|path| Some((path, path.metadata().ok()?)));
    let whose = seen.map_or_else(String::new, |(path, found)| {
        let rights = found.permissions().mode() & 0o777;
        format!("; {} belongs to user {} and has the rights {rights:04o}", path.display(), found.uid())
    });
    let us = rustix::process::geteuid().as_raw();
    ErrorKind::Storage
        .because(format!("{} cannot be used: {error}{whose}, and this command runs as user {us}", path.display()))
        .hint(Hint::text(match error.kind() {
            io::ErrorKind::ReadOnlyFilesystem => {
                "nothing is lost: mount it for reading and writing; a profile is written to even when a conversation is only read"
            }
            io::ErrorKind::PermissionDenied => {
                "nothing is lost: run the command as the user whose profile it is, or give folder and files to this one (chown)"
            }
            _ => "nothing is known to be lost: check the disk and its free space, then run the command again",
        }))
        .caused_by(error)
}

/// Makes a folder and its missing parents, 0700; an existing folder loses the rights of others.
pub(crate) fn private_folder(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let rights = dir.metadata()?.permissions();
    if rights.mode() & 0o077 != 0 {
        std::fs::set_permissions(dir, Permissions::from_mode(0o700))?;
    }
    Ok(())
}

fn checked(name: &str) -> Result<&str, Error> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
    if (1..=NAME_CHARS).contains(&name.len()) && name.chars().all(fits) {
        Ok(name)
    } else {
        Err(ErrorKind::Misuse
            .because("a profile is named by 1 to 32 characters of a-z, 0-9, '_' and '-'")
            .hint(Hint::text("a bot's profile is PROFILE/BOT")))
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
        std::fs::write(profile.keys(), b"x").unwrap();
        std::fs::write(profile.key(), b"x").unwrap();
        drop(used);
        profile.discard();
        assert!(!profile.dir().exists());
    }

    /// D05: a permission is named with its owner, and is never a reason to give an account up.
    #[test]
    fn d05_what_bars_a_profile_is_named_with_owner_and_rights() {
        let home = tempfile::tempdir().unwrap();
        let profile = Profile::new(home.path(), "ana").unwrap();
        assert_eq!(profile.found(), Ok(false));
        profile.prepare().unwrap();
        assert_eq!(profile.found(), Ok(true));
        for (kind, todo) in [
            (io::ErrorKind::PermissionDenied, "chown"),
            (io::ErrorKind::ReadOnlyFilesystem, "mount it for reading and writing"),
            (io::ErrorKind::StorageFull, "free space"),
        ] {
            let error = barred(&profile.store(), kind.into());
            let owner =
                format!("belongs to user {} and has the rights 0700", rustix::process::geteuid().as_raw());
            assert!(error.message.contains(&owner), "{error:?}");
            let Some(Hint::Text { text }) = error.hint else { panic!("{error:?}") };
            assert!(text.contains(todo) && !text.contains("register"), "{text}");
        }
        if rustix::process::geteuid().is_root() {
            return;
        }
        std::fs::set_permissions(home.path().join("profiles"), Permissions::from_mode(0o0)).unwrap();
        assert_eq!(profile.found().unwrap_err().kind, ErrorKind::Storage);
        std::fs::set_permissions(home.path().join("profiles"), Permissions::from_mode(0o700)).unwrap();
        std::fs::write(profile.store(), b"x").unwrap();
        std::fs::set_permissions(profile.store(), Permissions::from_mode(0o400)).unwrap();
        assert_eq!(profile.found().unwrap_err().kind, ErrorKind::Storage);
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
