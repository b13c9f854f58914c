//! What a registry is, as lines of JSON: the file of an export, and the content of a backup. One-time key packages are not
//! in it: devices bring new ones, and one that was handed out after the lines were written must never be handed out again.

use std::fs::OpenOptions;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use cipher_broker::codec;
use cipher_broker::handle::Handle;
use cipher_broker::id::{AccountId, DeviceId};
use cipher_broker::time::Timestamp;
use cipher_broker::transparency::MerkleLog;
use cipher_broker::wire::registry::{AccountRecord, SignedProfile};
use data_encoding::{BASE64, HEXLOWER};
use redb::ReadableTable;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::{Error, StoreError};
use crate::op::replay;
use crate::store::stock::{self, Shelf};
use crate::store::{Store, Txn, View, log};

/// Version of the lines.
const VERSION: u32 = 1;
/// Bytes of a line at most: an entry has a statement and a certificate.
const LINE_BYTES: u64 = 64 * 1024;

/// What of a registry is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// What another registry may go on from.
    Export,
    /// The same, and the key packages that may be handed out more than once: who is away can still be added.
    Backup,
}

/// One line, in this order: the start, entries in the order of the log, profiles, blocks, tombstones, used codes,
/// last-resort key packages, the end.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
enum Line {
    Export {
        version: u32,
        size: u64,
        root: String,
    },
    /// Base64 of an encoded `LogEntry`.
    Entry {
        entry: String,
    },
    /// Base64 of an encoded `SignedProfile`.
    Profile {
        account: String,
        profile: String,
    },
    Blocked {
        account: String,
    },
    Buried {
        handle: Handle,
    },
    /// Hex of the SHA-256 of a registration code.
    Code {
        hash: String,
        account: String,
    },
    /// Base64 of a key package.
    #[serde(rename = "last-resort")]
    LastResort {
        account: String,
        /// Hex.
        device: String,
        suite: u16,
        /// Milliseconds.
        not_after: u64,
        package: String,
    },
    End {
        lines: u64,
    },
}

/// What was written or read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Extract {
    /// Entries of the account log.
    pub(crate) statements: u64,
    /// Hex of the root of its tree.
    pub(crate) root: String,
    pub(crate) lines: u64,
}

impl Extract {
    pub(crate) fn told(&self, kind: &str) -> Value {
        json!({ "type": kind, "statements": self.statements, "root": self.root, "lines": self.lines })
    }
}

/// Writes everything to a file that must not exist yet, or to stdout (`-`).
pub fn export(data_dir: &Path, file: &Path) -> Result<Value, Error> {
    let store = Store::open_folder(data_dir)?;
    let view = store.view();
    let failed = |source| Error::File { doing: "write", path: file.to_owned(), source };
    let out: Box<dyn Write> = if file.as_os_str() == "-" {
        Box::new(io::stdout().lock())
    } else {
        let mut options = OpenOptions::new();
        Box::new(options.write(true).create_new(true).mode(0o600).open(file).map_err(failed)?)
    };
    Ok(write(&view, Extent::Export, out, file)?.told("exported"))
}

/// Writes a snapshot. `file` is what the caller calls the place that it is written to.
pub(crate) fn write(view: &View, extent: Extent, out: impl Write, file: &Path) -> Result<Extract, Error> {
    let mut out = Out { out: BufWriter::new(out), lines: 0, file };
    let mut tree = MerkleLog::default();
    log::leaves(view, |leaf| tree.push(leaf))?;
    let root = HEXLOWER.encode(&tree.root());
    out.line(&Line::Export { version: VERSION, size: tree.size(), root: root.clone() })?;
    write_rows(view, &mut out)?;
    if extent == Extent::Backup {
        write_last_resorts(view, &mut out)?;
    }
    let lines = out.lines;
    out.line(&Line::End { lines })?;
    out.out.flush().map_err(|source| Error::File { doing: "write", path: file.to_owned(), source })?;
    Ok(Extract { statements: tree.size(), root, lines: out.lines })
}

struct Out<'a, W: Write> {
    out: BufWriter<W>,
    lines: u64,
    file: &'a Path,
}

impl<W: Write> Out<'_, W> {
    fn line(&mut self, line: &Line) -> Result<(), Error> {
        let failed = |source| Error::File { doing: "write", path: self.file.to_owned(), source };
        serde_json::to_writer(&mut self.out, line).map_err(|error| failed(error.into()))?;
        self.out.write_all(b"\n").map_err(failed)?;
        self.lines = self.lines.saturating_add(1);
        Ok(())
    }
}

fn write_rows(view: &View, out: &mut Out<'_, impl Write>) -> Result<(), Error> {
    let store = |error: redb::StorageError| Error::Store(error.into());
    let name = |account: &[u8; 32]| AccountId::from_bytes(*account).to_string();
    for row in view.log.iter().map_err(store)? {
        let (_, entry) = row.map_err(store)?;
        out.line(&Line::Entry { entry: BASE64.encode(entry.value()) })?;
    }
    for row in view.accounts.iter().map_err(store)? {
        let (account, row) = row.map_err(store)?;
        let record: AccountRecord = codec::decode(row.value()).map_err(|_| StoreError::Row("account"))?;
        if !record.profile.is_unknown() {
            let profile = BASE64.encode(&codec::encode(&record.profile));
            out.line(&Line::Profile { account: name(account.value()), profile })?;
        }
    }
    for row in view.blocked.iter().map_err(store)? {
        let (account, _) = row.map_err(store)?;
        out.line(&Line::Blocked { account: name(account.value()) })?;
    }
    for row in view.buried.iter().map_err(store)? {
        let (handle, _) = row.map_err(store)?;
        let handle = handle.value().parse().map_err(|_| StoreError::Row("buried"))?;
        out.line(&Line::Buried { handle })?;
    }
    for row in view.codes.iter().map_err(store)? {
        let (hash, account) = row.map_err(store)?;
        let hash = HEXLOWER.encode(hash.value());
        out.line(&Line::Code { hash, account: name(account.value()) })?;
    }
    Ok(())
}

fn write_last_resorts(view: &View, out: &mut Out<'_, impl Write>) -> Result<(), Error> {
    let store = |error: redb::StorageError| Error::Store(error.into());
    for row in view.last_resort.iter().map_err(store)? {
        let (key, row) = row.map_err(store)?;
        let shelf = Shelf::of(key.value()).ok_or(StoreError::Row("last-resort"))?;
        let (not_after, package) = row.value();
        out.line(&Line::LastResort {
            account: shelf.account.to_string(),
            device: HEXLOWER.encode(shelf.device.as_bytes()),
            suite: shelf.suite,
            not_after,
            package: BASE64.encode(package),
        })?;
    }
    Ok(())
}

/// Takes an export into an empty store: all of it, or nothing.
pub fn import(data_dir: &Path, file: &Path) -> Result<Value, Error> {
    let failed = |source| Error::File { doing: "read", path: file.to_owned(), source };
    let input: Box<dyn Read> = if file.as_os_str() == "-" {
        Box::new(io::stdin().lock())
    } else {
        Box::new(std::fs::File::open(file).map_err(failed)?)
    };
    let store = Store::open_folder(data_dir)?;
    if log::size(&store.view())? > 0 {
        return Err(Error::Taken(format!(
            "{} holds accounts already: import into a new data folder",
            data_dir.display()
        )));
    }
    Ok(take(&store, BufReader::new(input), file)?.told("imported"))
}

/// Takes all lines into a store, verifying every statement: all of them or none.
pub(crate) fn take(store: &Store, input: impl BufRead, file: &Path) -> Result<Extract, Error> {
    let txn = store.begin()?;
    let taken = {
        let mut tables = Txn::of(&txn)?;
        Reading::default().read(input, file, &mut |line| into(line, &mut tables))?
    };
    store.commit(txn)?;
    Ok(taken)
}

/// Sees whether all lines would be taken, into a store that nobody sees, in this folder: what a store has that is damaged is
/// written as it is, and nobody could restore it.
pub(crate) fn check(folder: &Path, input: impl BufRead, file: &Path) -> Result<Extract, Error> {
    take(&Store::unnamed(folder)?, input, file)
}

#[derive(Default)]
struct Reading {
    number: u64,
    /// Size and root that the file says it has.
    announced: Option<(u64, String)>,
    tree: MerkleLog,
    ended: bool,
}

/// What becomes of a line that is neither start nor end; gives the leaf of an entry.
type Sink<'a> = dyn FnMut(Line) -> Result<Option<[u8; 32]>, Error> + 'a;

impl Reading {
    fn read(mut self, mut input: impl BufRead, file: &Path, sink: &mut Sink<'_>) -> Result<Extract, Error> {
        let failed = |source| Error::File { doing: "read", path: file.to_owned(), source };
        let mut line = Vec::new();
        loop {
            line.clear();
            if input.by_ref().take(LINE_BYTES).read_until(b'\n', &mut line).map_err(failed)? == 0 {
                break;
            }
            let wrong = |number: u64, reason: &str| {
                Error::Export(format!("line {} of {}: {reason}", number.saturating_add(1), file.display()))
            };
            let read: Line = serde_json::from_slice(&line)
                .map_err(|_| wrong(self.number, "is not a line of an export that this version knows"))?;
            if self.ended {
                return Err(wrong(self.number, "comes after the end"));
            }
            self.take(read, sink).map_err(|error| match error {
                Error::Refused(refusal) => wrong(self.number, &refusal.message),
                Error::Export(reason) => wrong(self.number, &reason),
                other => other,
            })?;
            self.number = self.number.saturating_add(1);
        }
        let root = HEXLOWER.encode(&self.tree.root());
        if !self.ended {
            return Err(Error::Export(format!("{} is not complete: it has no end", file.display())));
        }
        if self.announced != Some((self.tree.size(), root.clone())) {
            return Err(Error::Export(format!(
                "{} does not hold the account log that it says it holds",
                file.display()
            )));
        }
        Ok(Extract { statements: self.tree.size(), root, lines: self.number })
    }

    fn take(&mut self, line: Line, sink: &mut Sink<'_>) -> Result<(), Error> {
        match line {
            Line::Export { version, size, root } => {
                if version != VERSION || self.number != 0 {
                    return Err(bad("is not the start of an export that this version knows"));
                }
                self.announced = Some((size, root));
            }
            _ if self.announced.is_none() => return Err(bad("comes before the start")),
            Line::End { lines } => {
                if lines != self.number {
                    return Err(bad("says that lines are missing"));
                }
                self.ended = true;
            }
            row => {
                if let Some(leaf) = sink(row)? {
                    self.tree.push(leaf);
                }
            }
        }
        Ok(())
    }
}

/// Takes a line into the store.
fn into(line: Line, txn: &mut Txn<'_>) -> Result<Option<[u8; 32]>, Error> {
    let store = |error: redb::StorageError| Error::Store(error.into());
    match line {
        Line::Entry { entry } => return Ok(Some(replay::run(decoded(&entry)?, txn)?)),
        Line::Profile { account, profile } => {
            let profile: SignedProfile = decoded(&profile)?;
            replay::profile(&id(&account)?, profile, txn)?;
        }
        Line::Blocked { account } => {
            txn.blocked.insert(id(&account)?.as_bytes(), ()).map_err(store)?;
        }
        Line::Buried { handle } => {
            txn.buried.insert(handle.as_str(), ()).map_err(store)?;
        }
        Line::Code { hash, account } => {
            let hash = bytes(&hash).ok_or_else(|| bad("holds a code that is no hash"))?;
            txn.codes.insert(&hash, id(&account)?.as_bytes()).map_err(store)?;
        }
        Line::LastResort { account, device, suite, not_after, package } => {
            let device = bytes(&device).ok_or_else(|| bad("holds something else than a device id"))?;
            let shelf = Shelf { account: id(&account)?, device: DeviceId::from_bytes(device), suite };
            let package = BASE64.decode(package.as_bytes()).map_err(|_| bad("is not base64"))?;
            let not_after = Timestamp::from_millis(not_after);
            stock::put_last_resort(&mut txn.last_resort, &shelf, not_after, &package)?;
        }
        Line::Export { .. } | Line::End { .. } => {}
    }
    Ok(None)
}

fn bytes<const N: usize>(hex: &str) -> Option<[u8; N]> {
    HEXLOWER.decode(hex.as_bytes()).ok()?.try_into().ok()
}

fn bad(reason: &str) -> Error {
    Error::Export(reason.into())
}

fn id(text: &str) -> Result<AccountId, Error> {
    text.parse().map_err(|_| bad("holds something else than an account id"))
}

fn decoded<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, Error> {
    let bytes = BASE64.decode(text.as_bytes()).map_err(|_| bad("is not base64"))?;
    codec::decode(&bytes).map_err(|error| bad(&error.to_string()))
}
