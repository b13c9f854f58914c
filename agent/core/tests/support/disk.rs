//! A disk in memory that outlives the process that wrote to it, and can fail, die or lose power at any write.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use redb::StorageBackend;

use crate::support::dice::Dice;

/// How a process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// In order: the store is closed.
    Clean,
    /// `kill -9`: whatever was written stays, synced or not.
    Kill,
    /// Power loss: synced writes stay; any part of the others may be lost, one of them torn.
    PowerLoss,
}

/// What goes wrong with a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// This writing call fails, once (a full disk that has room again).
    Once(u64),
    /// This writing call and everything after it fails, until a restart (a dying disk, or a dead process).
    From(u64),
}

/// The disk. Cheap to clone; clones are the same disk.
#[derive(Clone, Default)]
pub(crate) struct Disk(Arc<Mutex<Image>>);

#[derive(Default)]
struct Image {
    /// As a running process sees it.
    now: Vec<u8>,
    /// As it was when last synced.
    safe: Vec<u8>,
    /// Changes since.
    dirty: Vec<Change>,
    /// Which process may write: the handles of earlier ones are dead.
    life: u64,
    /// Writing calls so far.
    calls: u64,
    fault: Option<Fault>,
    failed: bool,
}

enum Change {
    Length(usize),
    Write(usize, Vec<u8>),
}

impl Image {
    fn writing(&mut self, life: u64) -> io::Result<()> {
        if self.life != life {
            return Err(io::Error::other("the process is dead"));
        }
        self.calls += 1;
        let fails = match self.fault {
            Some(Fault::Once(n)) => self.calls == n,
            Some(Fault::From(n)) => self.calls >= n,
            None => false,
        };
        self.failed |= fails;
        if fails { Err(io::Error::other("no space left on device")) } else { Ok(()) }
    }
}

fn apply(image: &mut Vec<u8>, change: &Change, part: usize) {
    match change {
        Change::Length(length) => image.resize(*length, 0),
        Change::Write(at, data) => {
            let data = &data[..part.min(data.len())];
            let end = (at + data.len()).min(image.len());
            image[*at..end].copy_from_slice(&data[..end - at]);
        }
    }
}

impl Disk {
    fn image(&self) -> MutexGuard<'_, Image> {
        self.0.lock().unwrap()
    }

    /// A disk with these bytes.
    pub(crate) fn holding(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(Image { now: bytes.clone(), safe: bytes, ..Image::default() })))
    }

    /// What is on it.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.image().now.clone()
    }

    /// A handle for a new process.
    pub(crate) fn handle(&self) -> Handle {
        let mut image = self.image();
        image.life += 1;
        Handle { disk: self.clone(), life: image.life }
    }

    /// Ends the process: from now on its handle can do nothing. For [`End::Clean`] drop the core first.
    pub(crate) fn end(&self, end: End, dice: &mut Dice) {
        let image = &mut *self.image();
        image.life += 1;
        if end == End::PowerLoss {
            let mut left = std::mem::take(&mut image.safe);
            let torn = dice.below(image.dirty.len().max(1));
            let keep = *dice.pick(&[0, 500, 1000]);
            for (n, change) in image.dirty.iter().enumerate() {
                let part = match change {
                    Change::Length(_) => usize::MAX,
                    Change::Write(_, data) if n == torn => dice.below(data.len()),
                    Change::Write(..) if dice.chance(keep) => usize::MAX,
                    Change::Write(..) => 0,
                };
                apply(&mut left, change, part);
            }
            image.now = left;
        }
        // redb writes its magic number last when it makes a file. Whoever makes a store makes it beside its place
        // and moves it there when it is whole, so what was left half made is not there for the next process.
        if !image.now.starts_with(b"redb") {
            image.now.clear();
        }
        image.safe.clone_from(&image.now);
        image.dirty.clear();
    }

    /// Plans a fault. The count of writing calls goes on from where it is.
    pub(crate) fn plan(&self, fault: Option<Fault>) {
        let mut image = self.image();
        image.fault = fault;
        image.failed = false;
    }

    /// Writing calls so far.
    pub(crate) fn calls(&self) -> u64 {
        self.image().calls
    }

    /// Whether the planned fault came.
    pub(crate) fn failed(&self) -> bool {
        self.image().failed
    }
}

/// One process's view of the disk: what redb gets.
pub(crate) struct Handle {
    disk: Disk,
    life: u64,
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle({})", self.life)
    }
}

fn place(n: u64) -> usize {
    usize::try_from(n).unwrap()
}

impl StorageBackend for Handle {
    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.image().now.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let image = self.disk.image();
        let offset = place(offset);
        let source = image.now.get(offset..offset + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(source);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut image = self.disk.image();
        image.writing(self.life)?;
        let change = Change::Length(place(len));
        apply(&mut image.now, &change, usize::MAX);
        image.dirty.push(change);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut image = self.disk.image();
        image.writing(self.life)?;
        let image = &mut *image;
        for change in image.dirty.drain(..) {
            apply(&mut image.safe, &change, usize::MAX);
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut image = self.disk.image();
        image.writing(self.life)?;
        if place(offset) + data.len() > image.now.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let change = Change::Write(place(offset), data.to_vec());
        apply(&mut image.now, &change, usize::MAX);
        image.dirty.push(change);
        Ok(())
    }
}

#[test]
fn a_disk_keeps_what_was_synced_and_may_lose_the_rest() {
    let disk = Disk::default();
    let handle = disk.handle();
    handle.set_len(8).unwrap();
    handle.write(0, b"redbsafe").unwrap();
    handle.sync_data().unwrap();
    handle.write(4, b"lost").unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let copy = Disk(Arc::new(Mutex::new(Image {
            now: disk.bytes(),
            safe: b"redbsafe".to_vec(),
            dirty: vec![Change::Write(4, b"lost".to_vec())],
            ..Image::default()
        })));
        copy.end(End::PowerLoss, &mut Dice::new(seed));
        seen.insert(copy.bytes());
    }
    assert!(seen.contains(&b"redbsafe"[..]) && !seen.contains(&b"redblost"[..]), "{seen:?}");
    disk.end(End::Kill, &mut Dice::new(1));
    assert_eq!(disk.bytes(), b"redblost");
    assert!(handle.write(0, b"late").is_err(), "a dead process writes no more");
}
