//! Folders of a deployment: what a broker's disk says about what was said, and copies that are put back.

use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::Result;

/// Every file below a folder that holds one of the words, with the word.
pub fn search(folder: &Path, words: &[impl AsRef<[u8]>]) -> Result<Vec<(PathBuf, String)>> {
    let mut found = Vec::new();
    for file in files(folder)? {
        // A file that is renamed or removed while we look is not there to be read.
        let Ok(bytes) = fs::read(&file) else { continue };
        for word in words.iter().map(AsRef::as_ref) {
            if !word.is_empty() && bytes.windows(word.len()).any(|part| part == word) {
                found.push((file.clone(), String::from_utf8_lossy(word).into_owned()));
            }
        }
    }
    Ok(found)
}

/// Every file below a folder.
pub fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut left = vec![folder.to_path_buf()];
    while let Some(folder) = left.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => left.push(path),
                Ok(kind) if kind.is_file() => found.push(path),
                _ => {}
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Copies a folder with everything in it. What is neither file nor folder (sockets) stays behind.
pub fn copy(from: &Path, to: &Path) -> Result {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            copy(&entry.path(), &target)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

/// Replaces what is in a folder by a copy taken before.
pub fn put_back(copied: &Path, folder: &Path) -> Result {
    fs::remove_dir_all(folder)?;
    copy(copied, folder)
}

/// Bytes of every file below a folder.
pub fn size(folder: &Path) -> Result<u64> {
    Ok(files(folder)?.iter().filter_map(|file| fs::metadata(file).ok()).map(|data| data.len()).sum())
}
