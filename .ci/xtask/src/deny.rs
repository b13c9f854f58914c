//! Dependencies that must not be there.

use std::fs;

use crate::{Outcome, run, ui};

/// Oldest acceptable version of packages whose older versions have known holes.
const FLOORS: [(&str, [u64; 3]); 3] =
    [("openmls", [0, 9, 2]), ("redb", [4, 3, 0]), ("async-nats", [0, 51, 0])];

/// cargo-deny if it is there, and always our own floors.
pub(crate) fn check() -> Outcome {
    floors()?;
    if !run::installed("deny") {
        ui::tell("    cargo-deny is not installed: only the floors of the lock file were checked");
        return Ok(());
    }
    run::succeed(&mut run::cargo(["deny", "check"]), "cargo deny")
}

fn floors() -> Outcome {
    let lock =
        fs::read_to_string(run::root().join("Cargo.lock")).map_err(|error| format!("Cargo.lock: {error}"))?;
    for (name, floor) in FLOORS {
        let versions = versions(&lock, name);
        if versions.is_empty() {
            return Err(format!("Cargo.lock holds no {name}"));
        }
        for version in versions {
            if parse(version) < floor.to_vec() {
                let [major, minor, patch] = floor;
                return Err(format!("{name} {version} is older than {major}.{minor}.{patch}"));
            }
        }
        ui::print(&format!("{name} {}: new enough", versions_shown(&lock, name)));
    }
    Ok(())
}

fn versions_shown(lock: &str, name: &str) -> String {
    versions(lock, name).join(", ")
}

fn versions<'a>(lock: &'a str, name: &str) -> Vec<&'a str> {
    let wanted = format!("name = \"{name}\"");
    let lines: Vec<&str> = lock.lines().collect();
    lines
        .windows(2)
        .filter_map(|pair| match pair {
            [first, second] if *first == wanted => second.strip_prefix("version = \"")?.strip_suffix('"'),
            _ => None,
        })
        .collect()
}

fn parse(version: &str) -> Vec<u64> {
    let core = version.split(['-', '+']).next().unwrap_or(version);
    core.split('.').map(|part| part.parse().unwrap_or(0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        assert!(parse("0.10.0") > parse("0.9.2"));
        let lock = "[[package]]\nname = \"redb\"\nversion = \"4.6.0\"\n";
        assert_eq!(versions(lock, "redb"), ["4.6.0"]);
    }
}
