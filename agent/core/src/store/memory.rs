//! Files in memory, for tests of one process, which can die at any writing call.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use cipher_seal::{Key, Unlock};
use redb::StorageBackend;

use crate::store::place::Place;

/// A folder in memory. Clones are the same folder.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory {
    files: Arc<Mutex<BTreeMap<String, File>>>,
    /// Writing calls until the process dies; `None` if it lives.
    left: Arc<Mutex<Option<usize>>>,
}

/// A file; clones are the same file.
#[derive(Debug, Clone, Default)]
struct File(Arc<Mutex<Vec<u8>>>);

/// A process's view of a file.
#[derive(Debug)]
struct Handle {
    file: File,
    memory: Memory,
}

/// What unlocks stores of tests.
pub(crate) fn unlock() -> Unlock {
    Unlock::Key(Key::from_slice(&[7; Key::LEN]).unwrap())
}

impl Memory {
    /// The same files for a process that dies at a writing call.
    pub(crate) fn dying_at(files: &BTreeMap<String, Vec<u8>>, call: usize) -> Self {
        let file = |bytes: &Vec<u8>| File(Arc::new(Mutex::new(bytes.clone())));
        let files = files.iter().map(|(name, bytes)| (name.clone(), file(bytes))).collect();
        Self { files: Arc::new(Mutex::new(files)), left: Arc::new(Mutex::new(Some(call))) }
    }

    /// What failed works again: the disk was full for a moment.
    pub(crate) fn heals(&self) {
        *self.left.lock().unwrap() = None;
    }

    /// From now on it dies at a writing call.
    pub(crate) fn dies_at(&self, call: usize) {
        *self.left.lock().unwrap() = Some(call);
    }

    /// Whether it died.
    pub(crate) fn is_dead(&self) -> bool {
        *self.left.lock().unwrap() == Some(0)
    }

    fn files(&self) -> MutexGuard<'_, BTreeMap<String, File>> {
        self.files.lock().unwrap()
    }

    fn writes(&self) -> io::Result<MutexGuard<'_, BTreeMap<String, File>>> {
        match &mut *self.left.lock().unwrap() {
            Some(0) => return Err(io::Error::other("the process is dead")),
            Some(left) => *left -= 1,
            None => {}
        }
        Ok(self.files())
    }

    /// What all files hold.
    pub(crate) fn bytes(&self) -> BTreeMap<String, Vec<u8>> {
        self.files().iter().map(|(name, file)| (name.clone(), file.0.lock().unwrap().clone())).collect()
    }
}

impl Place for Memory {
    fn backend(&self, name: &str, make: bool) -> io::Result<Box<dyn StorageBackend>> {
        let known = self.files().get(name).cloned();
        let file = match known {
            Some(file) => file,
            None if make => self.writes()?.entry(name.to_owned()).or_default().clone(),
            None => return Err(io::ErrorKind::NotFound.into()),
        };
        Ok(Box::new(Handle { file, memory: self.clone() }))
    }

    fn length(&self, name: &str) -> io::Result<Option<u64>> {
        Ok(self.files().get(name).map(|file| file.0.lock().unwrap().len() as u64))
    }

    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(self.files().get(name).map(|file| file.0.lock().unwrap().clone()))
    }

    fn create(&self, name: &str, bytes: &[u8]) -> io::Result<bool> {
        let file = File(Arc::new(Mutex::new(bytes.to_vec())));
        Ok(self.writes()?.insert(name.to_owned(), file).is_none())
    }

    fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.create(name, bytes).map(drop)
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let draft = format!("{name}.new");
        self.erase(&draft)?;
        self.create(&draft, bytes)?;
        self.supersede(&draft, name)
    }

    fn supersede(&self, from: &str, to: &str) -> io::Result<()> {
        self.rename(from, to)
    }

    fn link(&self, name: &str, second: &str) -> io::Result<()> {
        let file = self.files().get(name).cloned().ok_or(io::ErrorKind::NotFound)?;
        self.writes()?.insert(second.to_owned(), file);
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut files = self.writes()?;
        let file = files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        files.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.writes()?.remove(name);
        Ok(())
    }

    fn erase(&self, name: &str) -> io::Result<()> {
        self.remove(name)
    }

    fn shown(&self, name: &str) -> String {
        name.to_owned()
    }
}

impl StorageBackend for Handle {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.0.lock().unwrap().len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let (file, offset) = (self.file.0.lock().unwrap(), usize::try_from(offset).unwrap());
        out.copy_from_slice(file.get(offset..offset + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        drop(self.memory.writes()?);
        self.file.0.lock().unwrap().resize(usize::try_from(len).unwrap(), 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.memory.writes().map(drop)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        drop(self.memory.writes()?);
        let (mut file, offset) = (self.file.0.lock().unwrap(), usize::try_from(offset).unwrap());
        file.get_mut(offset..offset + data.len()).ok_or(io::ErrorKind::UnexpectedEof)?.copy_from_slice(data);
        Ok(())
    }
}
