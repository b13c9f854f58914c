#!/bin/sh
# redb: deleted values stay in pages that are in use, and compaction carries them along.
#
# Seen on redb 4.6.0 (crates.io), Rust 1.95, 2026-11-29.
#
# One expects deleted bytes in free pages only: they go when the page is used again, or when compact() gives the free
# pages back. That holds when all rows of a page are deleted. When a transaction deletes several rows of one page and others
# stay, the page that is written for those that stay keeps, behind them, bytes of what was there: deleted values lie in a
# page that is in use. compact() moves pages as they are, so the values are still in the file afterwards, also when it is
# run until it finds nothing more to do. How many depends on which rows go, and in which order; here, of 1,000 values of 100
# bytes the second half of each 32, last one first: 496 are deleted, and 120 of them are in the compacted file, whole.
#
# Who must not leave deleted bytes on the disk has to encrypt values under keys that can be forgotten, or to write all
# rows into a new file.
#
# Source: the file's own bytes, below. Exits 0 as long as it behaves like that, 1 when it does not any more.
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
use redb::{Database, TableDefinition};

const TABLE: TableDefinition<u64, &[u8]> = TableDefinition::new("t");
const ROWS: u64 = 1_000;

/// Whether a row is deleted.
fn goes(row: u64) -> bool {
    row % 32 >= 16
}

/// A value that is found again in the file: its number, and bytes that occur nowhere else.
fn value(row: u64) -> Vec<u8> {
    format!("<value {row:06} of a hundred bytes>").into_bytes().into_iter().cycle().take(100).collect()
}

/// How many of the values that were deleted are in the file, whole.
fn found(path: &std::path::Path) -> usize {
    let bytes = std::fs::read(path).unwrap();
    let starts = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'<').map(|(at, _)| at);
    let rows = starts.filter_map(|at| {
        let value_here = bytes.get(at..at + 100)?;
        let row = std::str::from_utf8(value_here.get(7..13)?).ok()?.parse().ok()?;
        (goes(row) && value_here == value(row)).then_some(row)
    });
    rows.collect::<std::collections::BTreeSet<u64>>().len()
}

fn main() {
    let path = std::path::PathBuf::from(std::env::args().nth(1).unwrap());
    let mut db = Database::create(&path).unwrap();
    let write = db.begin_write().unwrap();
    {
        let mut table = write.open_table(TABLE).unwrap();
        for row in 0..ROWS {
            table.insert(row, value(row).as_slice()).unwrap();
        }
    }
    write.commit().unwrap();
    let write = db.begin_write().unwrap();
    {
        let mut table = write.open_table(TABLE).unwrap();
        for row in (0..ROWS).rev().filter(|row| goes(*row)) {
            table.remove(row).unwrap();
        }
    }
    write.commit().unwrap();
    let deleted = (0..ROWS).filter(|row| goes(*row)).count();
    println!("deleted {deleted}, whole in the file before compaction: {}", found(&path));
    while db.compact().unwrap() {}
    drop(db);
    let left = found(&path);
    println!("after compaction: {left}");
    if left == 0 {
        println!("it behaves differently now");
        std::process::exit(1);
    }
}
RUST
cargo run --quiet --manifest-path "$folder/Cargo.toml" -- "$folder/store.redb"
