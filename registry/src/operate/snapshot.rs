//! A snapshot of a registry that serves, for the command `backup` beside it: the process writes it through a socket in its
//! data folder to whoever may open that folder, which holds all of it anyway.
//!
//! A socket and not a request over the broker: of several replicas exactly the one is asked whose folder, and key, the
//! command has. What comes through is not sealed; the command seals it, so no passphrase goes anywhere.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::net::UnixListener;

use crate::operate::archive::{self, Extent};
use crate::store::Store;

/// Name of the socket in the data folder.
const SOCKET: &str = "registry.sock";
/// Longest path of a socket; the system's limit is 104 to 108 bytes.
const PATH_BYTES: usize = 100;
/// How long one side waits for the other. A snapshot that is read keeps old pages in the store.
const PATIENCE: Duration = Duration::from_secs(30);

/// The socket of a process that has the store open. It is removed with this value.
#[derive(Debug)]
pub(crate) struct Snapshots {
    listener: UnixListener,
    path: PathBuf,
    /// Kept open: a long path is named through it.
    _folder: File,
}

impl Snapshots {
    /// Makes the socket, in the place of one that a process left behind: only one has the store open.
    pub(crate) fn offer(data_dir: &Path) -> io::Result<Self> {
        let (folder, path) = place(data_dir)?;
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let listener = UnixListener::bind(&path)?;
        // The folder is 0700 already: nobody else could have come in between.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        Ok(Self { listener, path, _folder: folder })
    }

    /// Writes a snapshot to whoever comes, one after the other, for ever.
    pub(crate) async fn serve(&self, store: &Store) {
        loop {
            let visitor = match self.listener.accept().await {
                Ok((visitor, _)) => visitor,
                Err(error) => {
                    tracing::warn!(%error, "a backup could not be begun");
                    tokio::time::sleep(PATIENCE).await;
                    continue;
                }
            };
            let guard = StopOnDrop::default();
            let (stopped, view) = (Arc::clone(&guard.0), store.view());
            let written = tokio::task::spawn_blocking(move || {
                let visitor = visitor.into_std()?;
                visitor.set_nonblocking(false)?;
                visitor.set_write_timeout(Some(PATIENCE))?;
                let out = Visitor { stream: visitor, stopped };
                Ok::<_, io::Error>(archive::write(&view, Extent::Backup, out, Path::new(SOCKET)))
            })
            .await;
            match written {
                Ok(Ok(Ok(extract))) => tracing::info!(lines = extract.lines, "a snapshot was handed out"),
                Ok(Ok(Err(error))) => tracing::warn!(%error, "a snapshot was not handed out whole"),
                Ok(Err(error)) => tracing::warn!(%error, "a backup could not be begun"),
                Err(_) => tracing::error!("a snapshot ended in a panic"),
            }
        }
    }
}

impl Drop for Snapshots {
    fn drop(&mut self) {
        // One that stays is replaced at the next start.
        let _ = fs::remove_file(&self.path);
    }
}

/// The process does not wait for a visitor when it ends.
#[derive(Default)]
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Visitor {
    stream: UnixStream,
    stopped: Arc<AtomicBool>,
}

impl Write for Visitor {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.stopped.load(Ordering::Relaxed) {
            return Err(io::Error::other("the registry stops"));
        }
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A snapshot of the process that serves from this folder.
pub(crate) fn ask(data_dir: &Path) -> io::Result<UnixStream> {
    let (_folder, path) = place(data_dir)?;
    let stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Where the socket is, by a path that is short enough while the folder is open.
fn place(data_dir: &Path) -> io::Result<(File, PathBuf)> {
    let folder = File::open(data_dir)?;
    let direct = data_dir.join(SOCKET);
    let path = if direct.as_os_str().len() <= PATH_BYTES {
        direct
    } else {
        PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(SOCKET)
    };
    Ok((folder, path))
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use redb::backends::InMemoryBackend;

    use super::*;
    use crate::store::Txn;

    async fn asked(data_dir: &Path) -> String {
        let data_dir = data_dir.to_owned();
        let read = move || {
            let mut text = String::new();
            ask(&data_dir).unwrap().read_to_string(&mut text).unwrap();
            text
        };
        tokio::task::spawn_blocking(read).await.unwrap()
    }

    async fn hands_out(name: &str) {
        let outer = tempfile::tempdir().unwrap();
        let data_dir = outer.path().join(name);
        fs::create_dir(&data_dir).unwrap();
        assert!(ask(&data_dir).is_err());
        let store = Store::open(InMemoryBackend::new()).unwrap();
        let txn = store.begin().unwrap();
        Txn::of(&txn).unwrap().buried.insert("admin", ()).unwrap();
        store.commit(txn).unwrap();
        // A process that was killed left its socket behind.
        std::mem::forget(Snapshots::offer(&data_dir).unwrap());
        let snapshots = Snapshots::offer(&data_dir).unwrap();
        let both = async { (asked(&data_dir).await, asked(&data_dir).await) };
        let (first, second) = tokio::select! {
            texts = both => texts,
            () = snapshots.serve(&store) => panic!("it ended"),
        };
        assert_eq!(first, second);
        let lines: Vec<&str> = first.lines().collect();
        assert_eq!(lines[1..], [r#"{"type":"buried","handle":"admin"}"#, r#"{"type":"end","lines":2}"#]);
        assert_eq!(fs::metadata(data_dir.join(SOCKET)).unwrap().permissions().mode() & 0o777, 0o600);
        drop(snapshots);
        assert_eq!(fs::read_dir(&data_dir).unwrap().count(), 0, "nothing is left");
    }

    #[tokio::test]
    async fn a_snapshot_is_handed_out_to_one_after_the_other() {
        hands_out("data").await;
    }

    #[tokio::test]
    async fn a_folder_with_a_long_path_has_a_socket_too() {
        hands_out(&"long".repeat(40)).await;
    }
}
