//! A disk in memory that outlives the process that wrote to it, and can fail, die or lose power at any write.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use cipher_core::Place;
use cipher_seal::{Key, Unlock};
use redb::StorageBackend;

use crate::support::dice::Dice;

/// What unlocks the stores of the worlds.
pub(crate) fn unlock() -> Unlock {
    Unlock::Key(Key::from_slice(&[7; Key::LEN]).unwrap())
}

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

/// What files hold, by name.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// The disk, with the folder of one store. Cheap to clone; clones are the same disk.
#[derive(Clone, Default)]
pub(crate) struct Disk(Arc<Mutex<Image>>);

#[derive(Default)]
struct Image {
    files: Vec<File>,
    /// Names are safe as soon as they are changed: who changes one syncs the folder.
    names: BTreeMap<String, usize>,
    /// Which process may write: the handles of earlier ones are dead.
    life: u64,
    /// Writing calls so far.
    calls: u64,
    fault: Option<Fault>,
    failed: bool,
}

#[derive(Default)]
struct File {
    /// As a running process sees it.
    now: Vec<u8>,
    /// As it was when last synced.
    safe: Vec<u8>,
    /// Changes since.
    dirty: Vec<Change>,
}

enum Change {
    Length(usize),
    Write(usize, Vec<u8>),
}

impl File {
    fn holding(bytes: Vec<u8>) -> Self {
        Self { safe: bytes.clone(), now: bytes, dirty: Vec::new() }
    }

    fn change(&mut self, change: Change) {
        apply(&mut self.now, &change, usize::MAX);
        self.dirty.push(change);
    }

    fn sync(&mut self) {
        for change in self.dirty.drain(..) {
            apply(&mut self.safe, &change, usize::MAX);
        }
    }

    fn loses_power(&mut self, dice: &mut Dice) {
        let mut left = std::mem::take(&mut self.safe);
        let torn = dice.below(self.dirty.len().max(1));
        let keep = *dice.pick(&[0, 500, 1000]);
        for (n, change) in self.dirty.iter().enumerate() {
            let part = match change {
                Change::Length(_) => usize::MAX,
                Change::Write(_, data) if n == torn => dice.below(data.len()),
                Change::Write(..) if dice.chance(keep) => usize::MAX,
                Change::Write(..) => 0,
            };
            apply(&mut left, change, part);
        }
        self.now = left;
    }
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

    fn file(&mut self, name: &str) -> Option<&mut File> {
        let file = *self.names.get(name)?;
        Some(&mut self.files[file])
    }

    fn add(&mut self, name: &str, bytes: Vec<u8>) -> usize {
        self.files.push(File::holding(bytes));
        self.names.insert(name.to_owned(), self.files.len() - 1);
        self.files.len() - 1
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

    /// A disk with these files.
    pub(crate) fn holding(files: Files) -> Self {
        let mut image = Image::default();
        for (name, bytes) in files {
            image.add(&name, bytes);
        }
        Self(Arc::new(Mutex::new(image)))
    }

    /// What is on it.
    pub(crate) fn files(&self) -> Files {
        let image = self.image();
        image.names.iter().map(|(name, file)| (name.clone(), image.files[*file].now.clone())).collect()
    }

    /// The folder as a new process sees it.
    pub(crate) fn place(&self) -> Process {
        let mut image = self.image();
        image.life += 1;
        Process { disk: self.clone(), life: image.life }
    }

    /// Ends the process: from now on its handles can do nothing. For [`End::Clean`] drop the core first.
    pub(crate) fn end(&self, end: End, dice: &mut Dice) {
        let image = &mut *self.image();
        image.life += 1;
        for file in &mut image.files {
            if end == End::PowerLoss {
                file.loses_power(dice);
            }
            file.safe.clone_from(&file.now);
            file.dirty.clear();
        }
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

/// One process's view of the folder.
#[derive(Clone)]
pub(crate) struct Process {
    disk: Disk,
    life: u64,
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Process({})", self.life)
    }
}

impl Process {
    /// The folder, for so many writing calls.
    fn writing(&self, calls: u64) -> io::Result<MutexGuard<'_, Image>> {
        let mut image = self.disk.image();
        for _ in 0..calls {
            image.writing(self.life)?;
        }
        Ok(image)
    }
}

impl Place for Process {
    fn backend(&self, name: &str, make: bool) -> io::Result<Box<dyn StorageBackend>> {
        let known = self.disk.image().names.get(name).copied();
        let file = match known {
            Some(file) => file,
            None if make => self.writing(1)?.add(name, Vec::new()),
            None => return Err(io::ErrorKind::NotFound.into()),
        };
        Ok(Box::new(Handle { process: self.clone(), file }))
    }

    fn length(&self, name: &str) -> io::Result<Option<u64>> {
        Ok(self.disk.image().file(name).map(|file| file.now.len() as u64))
    }

    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(self.disk.image().file(name).map(|file| file.now.clone()))
    }

    fn create(&self, name: &str, bytes: &[u8]) -> io::Result<bool> {
        // Written beside its place, synced, and given its name.
        let mut image = self.writing(3)?;
        let fresh = image.file(name).is_none();
        if fresh {
            image.add(name, bytes.to_vec());
        }
        Ok(fresh)
    }

    fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        // Nothing of it is synced.
        let mut image = self.writing(2)?;
        let file = image.add(name, Vec::new());
        image.files[file].change(Change::Length(bytes.len()));
        image.files[file].change(Change::Write(0, bytes.to_vec()));
        Ok(())
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let draft = format!("{name}.new");
        self.erase(&draft)?;
        self.create(&draft, bytes)?;
        self.supersede(&draft, name)
    }

    fn supersede(&self, from: &str, to: &str) -> io::Result<()> {
        self.rename(from, to)?;
        // The file that was there has no name any more, and is overwritten.
        self.writing(2).map(drop)
    }

    fn link(&self, name: &str, second: &str) -> io::Result<()> {
        let mut image = self.writing(1)?;
        if image.file(second).is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let file = *image.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        image.names.insert(second.to_owned(), file);
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut image = self.writing(1)?;
        let file = image.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        image.names.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.writing(1)?.names.remove(name);
        Ok(())
    }

    fn erase(&self, name: &str) -> io::Result<()> {
        if let Some(file) = self.writing(1)?.file(name) {
            file.change(Change::Write(0, vec![0; file.now.len()]));
        }
        if let Some(file) = self.writing(1)?.file(name) {
            file.sync();
        }
        self.remove(name)
    }

    fn shown(&self, name: &str) -> String {
        name.to_owned()
    }
}

/// One process's view of a file: what redb gets.
#[derive(Debug)]
struct Handle {
    process: Process,
    file: usize,
}

fn place(n: u64) -> usize {
    usize::try_from(n).unwrap()
}

impl StorageBackend for Handle {
    fn len(&self) -> io::Result<u64> {
        Ok(self.process.disk.image().files[self.file].now.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let image = self.process.disk.image();
        let offset = place(offset);
        let file = &image.files[self.file].now;
        out.copy_from_slice(file.get(offset..offset + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.process.writing(1)?.files[self.file].change(Change::Length(place(len)));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.process.writing(1)?.files[self.file].sync();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut image = self.process.writing(1)?;
        let file = &mut image.files[self.file];
        if place(offset) + data.len() > file.now.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        file.change(Change::Write(place(offset), data.to_vec()));
        Ok(())
    }
}

#[test]
fn a_disk_keeps_what_was_synced_and_may_lose_the_rest() {
    let wrote = |end, dice| {
        let disk = Disk::holding(Files::from([("a".to_owned(), Vec::new())]));
        let handle = Handle { process: disk.place(), file: 0 };
        handle.set_len(8).unwrap();
        handle.write(0, b"redbsafe").unwrap();
        handle.sync_data().unwrap();
        handle.write(4, b"lost").unwrap();
        disk.end(end, &mut Dice::new(dice));
        assert!(handle.write(0, b"late").is_err(), "a dead process writes no more");
        disk.files()["a"].clone()
    };
    let seen: BTreeSet<Vec<u8>> = (0..200).map(|seed| wrote(End::PowerLoss, seed)).collect();
    assert!(seen.contains(&b"redbsafe"[..]) && !seen.contains(&b"redblost"[..]), "{seen:?}");
    assert_eq!(wrote(End::Kill, 1), b"redblost");
}
