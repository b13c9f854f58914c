//! Where the socket lies, who may make it, and who may speak through it.

use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use cipher_api::{Advice, Error, ErrorKind};
use cipher_broker::sign::digest;
use tokio::net::{UnixListener, UnixStream};

use crate::profile::{Profile, private_folder};

/// Longest path used for a socket; the system's limit is 104 to 108 bytes.
const PATH_BYTES: usize = 100;

/// The socket that this process serves, if any. Only the process that has the store open may bind: so whatever lies
/// at the path is left over from a process that is gone.
#[derive(Debug, Default)]
pub(crate) struct ServedSocket {
    bound: Mutex<Vec<PathBuf>>,
}

impl ServedSocket {
    /// Makes the socket, replacing a stale one.
    pub(crate) fn bind(&self, profile: &Profile) -> Result<UnixListener, Error> {
        let mut bound = self.bound.lock().unwrap_or_else(PoisonError::into_inner);
        if !bound.is_empty() {
            return Err(ErrorKind::Misuse.because("this session is served already"));
        }
        let failed =
            |error: io::Error| ErrorKind::Storage.because_of("cannot make the control socket", error);
        let path = profile.socket();
        let pointer = pointer(profile);
        if path.as_os_str().len() <= PATH_BYTES {
            remove(&pointer).map_err(failed)?;
            let listener = listen(&path).map_err(failed)?;
            bound.push(path);
            return Ok(listener);
        }
        let short = short_path(profile).map_err(failed)?;
        let listener = listen(&short).map_err(failed)?;
        std::fs::write(&pointer, short.as_os_str().as_bytes()).map_err(failed)?;
        bound.extend([pointer, short]);
        Ok(listener)
    }

    /// Makes the socket of programs that show a token, where its owner wants it: replacing one that a process left behind, and
    /// nothing else. The group of the file may connect; the folder says which group that is, and who gets so far.
    pub(crate) fn bind_for_tokens(&self, path: &Path) -> Result<UnixListener, Error> {
        // Whatever fails here is about the path that was given, and nothing of the profile.
        let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
            ErrorKind::Usage
                .because_of(format_args!("cannot make the socket {}", path.display()), error)
                .hint(Advice::SocketPath)
        };
        if path.as_os_str().len() > PATH_BYTES {
            return Err(failed(format!("the path of a socket has at most {PATH_BYTES} bytes").into()));
        }
        match std::fs::symlink_metadata(path) {
            Ok(found) if !found.file_type().is_socket() => {
                return Err(failed("something else lies there".into()));
            }
            Ok(_) if std::os::unix::net::UnixStream::connect(path).is_ok() => {
                return Err(failed("another process serves it".into()));
            }
            Ok(_) | Err(_) => {}
        }
        remove(path).map_err(|error| failed(error.into()))?;
        let listener = UnixListener::bind(path).map_err(|error| failed(error.into()))?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))
            .map_err(|error| failed(error.into()))?;
        self.bound.lock().unwrap_or_else(PoisonError::into_inner).push(path.into());
        Ok(listener)
    }

    /// Removes what the others made, once.
    pub(crate) fn release(&self) {
        for path in self.bound.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            if let Err(error) = remove(&path) {
                tracing::warn!(%error, "the control socket cannot be removed");
            }
        }
    }
}

/// Connects to the process that serves a profile; `None` when there is none.
pub(crate) async fn connect(profile: &Profile) -> Result<Option<UnixStream>, Error> {
    let direct = profile.socket();
    let path = if direct.as_os_str().len() <= PATH_BYTES {
        direct
    } else {
        match std::fs::read(pointer(profile)) {
            Ok(bytes) if !bytes.is_empty() => PathBuf::from(std::ffi::OsStr::from_bytes(&bytes)),
            Ok(_) | Err(_) => return Ok(None),
        }
    };
    // An error is nobody there, a stale socket, or one that is being made.
    let Ok(stream) = UnixStream::connect(&path).await else { return Ok(None) };
    if is_us(&stream) {
        Ok(Some(stream))
    } else {
        Err(ErrorKind::Refused.because("the control socket of this profile belongs to another user"))
    }
}

/// Whether the other side is a process of the same user.
pub(crate) fn is_us(stream: &UnixStream) -> bool {
    stream.peer_cred().is_ok_and(|peer| peer.uid() == rustix::process::getuid().as_raw())
}

/// Where a profile with a long path says where its socket is.
fn pointer(profile: &Profile) -> PathBuf {
    profile.dir().join("control.path")
}

/// A short path that belongs to this profile and user: a name from the profile's path in a folder of our own.
fn short_path(profile: &Profile) -> io::Result<PathBuf> {
    let user = rustix::process::getuid().as_raw();
    let folder = std::env::temp_dir().join(format!("cipher-chat-{user}"));
    private_folder(&folder)?;
    // Others can make names in a shared folder for temporary files: take it only if it is ours and no link.
    let found = std::fs::symlink_metadata(&folder)?;
    if !found.is_dir() || found.uid() != user || found.permissions().mode() & 0o077 != 0 {
        return Err(io::Error::other(format!("{} is not ours alone", folder.display())));
    }
    let place = std::fs::canonicalize(profile.dir())?;
    let name = digest("cipher-chat/control-socket", &[place.as_os_str().as_bytes()]);
    let name = data_encoding::HEXLOWER.encode(&name).chars().take(16).collect::<String>();
    Ok(folder.join(name))
}

fn listen(path: &Path) -> io::Result<UnixListener> {
    remove(path)?;
    let listener = UnixListener::bind(path)?;
    // The folder is 0700 already: nobody else could have come in between.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn bound_and_found(name: &str) {
        let home = tempfile::tempdir().unwrap();
        let home = home.path().join(name);
        let profile = Profile::new(&home, "ana").unwrap();
        profile.prepare().unwrap();
        assert!(connect(&profile).await.unwrap().is_none());
        // A process that died left its socket behind.
        let stale = ServedSocket::default();
        drop(stale.bind(&profile).unwrap());
        assert!(connect(&profile).await.unwrap().is_none());
        let claim = ServedSocket::default();
        let listener = claim.bind(&profile).unwrap();
        let (visitor, accepted) = tokio::join!(connect(&profile), listener.accept());
        assert!(visitor.unwrap().is_some_and(|stream| is_us(&stream)));
        assert!(is_us(&accepted.unwrap().0));
        claim.release();
        assert!(connect(&profile).await.unwrap().is_none());
        assert_eq!(std::fs::read_dir(profile.dir()).unwrap().count(), 0, "nothing is left");
    }

    #[tokio::test]
    async fn the_socket_of_tokens_replaces_a_stale_one_and_nothing_else() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("tokens.sock");
        std::fs::write(&path, "kept").unwrap();
        let long = home.path().join("long".repeat(40));
        // A wrong path is a mistake of who gave it: nothing is wrong with the store.
        for wrong in [&path, &home.path().join("nothing/tokens.sock"), &long] {
            let error = ServedSocket::default().bind_for_tokens(wrong).unwrap_err();
            assert_eq!((error.kind, error.hint), (ErrorKind::Usage, Some(Advice::SocketPath.into())));
        }
        assert_eq!(std::fs::read(&path).unwrap(), b"kept");
        std::fs::remove_file(&path).unwrap();
        drop(ServedSocket::default().bind_for_tokens(&path).unwrap());
        let claim = ServedSocket::default();
        let listener = claim.bind_for_tokens(&path).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o660);
        assert!(ServedSocket::default().bind_for_tokens(&path).is_err(), "one that is served stays");
        claim.release();
        drop(listener);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced() {
        bound_and_found("h").await;
    }

    #[tokio::test]
    async fn a_home_with_a_long_path_has_a_socket_too() {
        bound_and_found(&"long".repeat(40)).await;
    }
}
