//! The binaries as they ship: nothing in them tells where they were built.
//!
//! A panic names its source file, and the compiler writes that path into the binary: of each dependency below the home of
//! whoever built it. Cargo has no stable setting for it (`trim-paths`), and a path cannot stand in a file that is checked in,
//! so the flags are made here.

use std::path::{Path, PathBuf};

use crate::suite::SHIPPED;
use crate::{Failure, Outcome, run, ui};

/// Between the flags of one variable, as cargo splits it.
const BETWEEN: char = '\u{1f}';

/// Builds the shipped binaries, looks for paths of this machine in them, and tells their sizes.
pub(crate) fn release() -> Outcome {
    let folders = folders()?;
    let mut command = run::cargo(["build", "--locked", "--release"]);
    for shipped in SHIPPED {
        command.args(["--package", shipped, "--bin", shipped]);
    }
    command.env("CARGO_ENCODED_RUSTFLAGS", flags(&folders));
    run::succeed(&mut command, "building the binaries as they ship (some minutes)")?;
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| run::root().join("target"), PathBuf::from);
    for shipped in SHIPPED {
        let path = target.join("release").join(shipped);
        let bytes = std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        if let Some(folder) = folders.iter().find(|folder| holds(&bytes, folder)) {
            return Err(format!("{} names a folder of this machine: {}", path.display(), folder.display()));
        }
        ui::print(&format!("{}  {} bytes", path.display(), bytes.len()));
    }
    Ok(())
}

/// Where sources lie on this machine: the checkout, and what cargo fetched. The innermost ones last, because the compiler
/// takes the last prefix that fits.
fn folders() -> Result<Vec<PathBuf>, Failure> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let cargo = std::env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(home?.join(".cargo")));
    let cargo = cargo.ok_or("neither CARGO_HOME nor HOME is set: where cargo keeps sources is not known")?;
    let mut folders = vec![cargo.clone()];
    let sources = cargo.join("registry/src");
    if let Ok(entries) = std::fs::read_dir(&sources) {
        folders.extend(entries.flatten().map(|entry| entry.path()));
    }
    folders.push(run::root());
    Ok(folders)
}

/// Each folder becomes nothing: `registry/src/…/serde-1.0.0/src/lib.rs` is left as `serde-1.0.0/src/lib.rs`.
fn flags(folders: &[PathBuf]) -> String {
    let flag = |folder: &PathBuf| format!("--remap-path-prefix={}=.", folder.display());
    folders.iter().map(flag).collect::<Vec<_>>().join(&BETWEEN.to_string())
}

fn holds(bytes: &[u8], folder: &Path) -> bool {
    let folder = folder.as_os_str().as_encoded_bytes();
    // `/` alone, or nothing, is in everything.
    folder.len() > 1 && bytes.windows(folder.len()).any(|window| window == folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_folder_is_a_flag_and_a_binary_that_names_one_is_found() {
        let folders = ["/home/ana/.cargo", "/src/cipher chat"].map(PathBuf::from);
        assert_eq!(
            flags(&folders),
            "--remap-path-prefix=/home/ana/.cargo=.\u{1f}--remap-path-prefix=/src/cipher chat=."
        );
        assert!(holds(b"\0panicked at /home/ana/.cargo/x.rs\0", &folders[0]));
        assert!(!holds(b"\0panicked at ./x.rs\0", &folders[0]));
        assert!(!holds(b"\0/\0", Path::new("/")));
    }
}
