//! No file grows beyond what one reads in one go.

use std::collections::BTreeMap;
use std::fs;

use crate::{Failure, Outcome, run, sources, ui};

/// Lines from which a file is listed.
const LISTED: usize = 600;
/// Lines above which the check fails unless the file has a reason.
const LARGEST: usize = 800;
/// Files that may be larger, `path: reason` per line.
const REASONS: &str = ".ci/large-files.txt";

/// Lists large files and fails for those without a reason.
pub(crate) fn check() -> Outcome {
    let reasons = reasons()?;
    let mut failed = Vec::new();
    let mut seen = Vec::new();
    for source in sources::all(&[".rs", ".py"])?.iter().filter(|source| !source.is_test()) {
        let lines = production_lines(&source.text);
        if lines <= LISTED {
            continue;
        }
        let reason = reasons.get(&source.path);
        ui::print(&format!(
            "{lines:>6}  {}{}",
            source.path,
            reason.map_or(String::new(), |r| format!("  ({r})"))
        ));
        if lines > LARGEST && reason.is_none() {
            failed.push(source.path.clone());
        }
        seen.push(source.path.clone());
    }
    if let Some(stale) = reasons.keys().find(|path| !seen.contains(path)) {
        return Err(format!("{REASONS} names {stale}, which has no more than {LISTED} lines or is gone"));
    }
    if failed.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "more than {LARGEST} production lines without a reason in {REASONS}: {}",
            failed.join(", ")
        ))
    }
}

/// Lines before the unit tests at the end of a file.
fn production_lines(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let tests = lines.windows(2).position(|pair| {
        matches!(pair, [first, second]
            if first.trim_end() == "#[cfg(test)]" && second.starts_with("mod ") && second.trim_end().ends_with('{'))
    });
    tests.unwrap_or(lines.len())
}

fn reasons() -> Result<BTreeMap<String, String>, Failure> {
    let Ok(text) = fs::read_to_string(run::root().join(REASONS)) else {
        return Ok(BTreeMap::new());
    };
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| match line.split_once(':') {
            Some((path, reason)) if !reason.trim().is_empty() => {
                Ok((path.trim().to_owned(), reason.trim().to_owned()))
            }
            _ => Err(format!("{REASONS}: `{line}` is not `path: reason`")),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unit_tests_at_the_end_do_not_count() {
        assert_eq!(production_lines("a\nb\n#[cfg(test)]\nmod tests {\nc\n}\n"), 2);
        assert_eq!(production_lines("a\n#[cfg(test)]\nfn helper() {}\nb\n"), 4);
    }
}
