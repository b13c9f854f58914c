//! Another commit of this project, built beside this one.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::{Failure, Outcome, run, ui};

/// A working copy of a commit. It stays where it is, so that the next build of it takes no time.
pub(crate) struct OtherCommit {
    /// The commit, shortened.
    pub(crate) name: String,
    tree: PathBuf,
    target: PathBuf,
}

impl OtherCommit {
    /// Makes a working copy of a commit, or finds the one of before.
    pub(crate) fn at(commit: &str) -> Result<Self, Failure> {
        let full = git(&["rev-parse", "--verify", "--quiet", &format!("{commit}^{{commit}}")])
            .map_err(|_| format!("there is no commit `{commit}` here"))?;
        let name: String = full.trim().chars().take(12).collect();
        let place = run::root().join("target/commits").join(&name);
        let (tree, target) = (place.join("tree"), place.join("target"));
        if !tree.join("Cargo.toml").is_file() {
            // A folder that was removed by hand is still noted as a working copy.
            git(&["worktree", "prune"])?;
            git(&["worktree", "add", "--quiet", "--force", "--detach", &tree.to_string_lossy(), &name])?;
        }
        Ok(Self { name, tree, target })
    }

    /// Builds with a profile what `choose` adds to the command, and runs it; gives the folder the programs lie in.
    pub(crate) fn build(
        &self,
        profile: &str,
        choose: impl Fn(&mut Command) -> Outcome,
    ) -> Result<PathBuf, Failure> {
        let folder = if profile == "dev" { "debug" } else { profile };
        let programs = self.target.join(folder);
        share(&run::root().join("target").join(folder), &programs)?;
        let mut command = run::cargo(["build", "--locked", "--profile", profile]);
        command.arg("--target-dir").arg(&self.target).current_dir(&self.tree);
        choose(&mut command)?;
        Ok(programs)
    }
}

/// What git says in this working copy.
pub(crate) fn git(arguments: &[&str]) -> Result<String, Failure> {
    run::output(Command::new("git").args(arguments).current_dir(run::root()))
}

/// Copies what was built of packages outside the workspace, so that it is not built again: cargo keeps such packages apart by
/// version, features and profile, and takes what fits. Packages of the workspace are left out; two commits differ in nothing else.
fn share(from: &Path, to: &Path) -> Outcome {
    if to.exists() {
        return Ok(());
    }
    let text = run::output(&mut run::cargo(["metadata", "--format-version", "1", "--no-deps", "--locked"]))?;
    let metadata: Value = serde_json::from_str(&text).map_err(|error| format!("cargo metadata: {error}"))?;
    let packages = metadata.get("packages").and_then(Value::as_array).ok_or("cargo metadata: no packages")?;
    let mut own = BTreeSet::new();
    for package in packages {
        own.extend(package.get("name").and_then(Value::as_str).map(str::to_owned));
        let targets = package.get("targets").and_then(Value::as_array).into_iter().flatten();
        own.extend(targets.filter_map(|target| target.get("name")?.as_str()).map(str::to_owned));
    }
    ui::tell("    what is built of other packages is copied");
    let copied = [".fingerprint", "build", "deps"].into_iter().try_for_each(|part| {
        fs::create_dir_all(to.join(part))?;
        for entry in fs::read_dir(from.join(part))?.flatten() {
            if is_foreign(&entry.file_name(), &own) {
                copy(&entry.path(), &to.join(part).join(entry.file_name()))?;
            }
        }
        Ok::<_, std::io::Error>(())
    });
    copied.map_err(|error| format!("what was built cannot be copied: {error}"))
}

/// Whether something cargo built belongs to none of these packages: `NAME-HASH`, `libNAME-HASH.rlib`.
fn is_foreign(file: &OsStr, own: &BTreeSet<String>) -> bool {
    let file = file.to_string_lossy();
    let Some((name, _)) = file.rsplit_once('-') else { return false };
    let plain = |name: &str| name.replace('_', "-");
    let (whole, without) = (plain(name), plain(name.strip_prefix("lib").unwrap_or(name)));
    !own.iter().map(|own| plain(own)).any(|own| own == whole || own == without)
}

/// Copies a file or folder with its times, by which cargo sees that nothing is older than what it was made from.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    let about = fs::metadata(from)?;
    if about.is_dir() {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
        return Ok(());
    }
    fs::copy(from, to)?;
    let times = fs::FileTimes::new().set_accessed(about.accessed()?).set_modified(about.modified()?);
    fs::File::options().append(true).open(to)?.set_times(times)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_built_of_other_packages_is_shared() {
        let own: BTreeSet<String> = ["cipher-core", "bench", "xtask"].map(String::from).into();
        let table = [
            ("libcipher_core-0f.rlib", false),
            ("cipher-core-0f", false),
            ("bench-0f", false),
            ("libserde-0f.rmeta", true),
            ("serde_json-0f", true),
            ("libc-0f", true),
            ("liblibc-0f.rlib", true),
            ("cipher-0f", true),
        ];
        for (file, shared) in table {
            assert_eq!(is_foreign(OsStr::new(file), &own), shared, "{file}");
        }
    }
}
