#!/bin/sh
# redb: a file whose making was interrupted never opens again, and is not made anew either.
#
# Seen on redb 4.6.0 (crates.io), Rust 1.95, 2026-11-30.
#
# Commits of redb survive the end of the process at any moment, and `Database::create` makes a database in an empty file. So
# one expects that a process that is killed while it creates one leaves a file that the next `create` opens or makes anew:
# nothing was committed that could be lost. It does neither. The mark of a valid file is written last, after the file has
# got its length: what is left before that is neither empty nor a database, and `create` and `open` refuse it from then on
# ("Not a redb database: magic number mismatch", an I/O error of kind InvalidData). The program below ends the writing at each call in
# turn, as a killed process would: three of the eight moments of making an empty database leave such a file.
#
# Who lets redb create a file under its final name has to delete it by hand after a kill or a power cut at the wrong moment, and
# cannot tell it from a database that was damaged. So: create beside, sync, rename.
#
# Source: the program below. Exits 0 as long as it behaves like that, 1 when it does not any more.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/src"
cat > "$folder/Cargo.toml" <<'TOML'
[package]
name = "finding"
version = "0.0.0"
edition = "2024"

[dependencies]
redb = "=4.6.0"
TOML
cat > "$folder/src/main.rs" <<'RUST'
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use redb::{Builder, Database, StorageBackend};

/// A file in memory whose process ends after some writing calls. What was written stays, as after a kill.
#[derive(Debug, Clone)]
struct Ending {
    bytes: Arc<Mutex<Vec<u8>>>,
    calls: Arc<AtomicUsize>,
    ends_at: usize,
}

impl Ending {
    fn writes(&self) -> io::Result<()> {
        if self.calls.fetch_add(1, Ordering::SeqCst) >= self.ends_at {
            return Err(io::Error::other("the process has ended"));
        }
        Ok(())
    }
}

impl StorageBackend for Ending {
    fn len(&self) -> io::Result<u64> {
        Ok(self.bytes.lock().unwrap().len() as u64)
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let at = offset as usize;
        out.copy_from_slice(&self.bytes.lock().unwrap()[at..at + out.len()]);
        Ok(())
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.writes()?;
        self.bytes.lock().unwrap().resize(len as usize, 0);
        Ok(())
    }
    fn sync_data(&self) -> io::Result<()> {
        self.writes()
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.writes()?;
        let at = offset as usize;
        self.bytes.lock().unwrap()[at..at + data.len()].copy_from_slice(data);
        Ok(())
    }
}

fn main() {
    let folder = std::path::PathBuf::from(std::env::args().nth(1).unwrap());
    let (mut refused, mut opened) = (0, 0);
    for ends_at in 0.. {
        let file = Ending { bytes: Arc::default(), calls: Arc::default(), ends_at };
        let made = Builder::new().create_with_backend(file.clone());
        let whole = made.is_ok();
        drop(made);
        let path = folder.join(format!("left-{ends_at}.redb"));
        std::fs::write(&path, &*file.bytes.lock().unwrap()).unwrap();
        match Database::create(&path) {
            Ok(_) => opened += 1,
            Err(error) => {
                if refused == 0 {
                    println!("after {ends_at} writing calls: {error}");
                }
                refused += 1;
            }
        }
        if whole {
            break;
        }
    }
    println!("left behind by a process that ended while it made a database: {refused} refused for ever, {opened} opened");
    if refused == 0 {
        println!("it behaves differently now");
        std::process::exit(1);
    }
}
RUST
cargo run --quiet --manifest-path "$folder/Cargo.toml" -- "$folder"
