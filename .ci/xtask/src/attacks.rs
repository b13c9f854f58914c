//! `docs/ATTACKS.md`: every attack case, what is played, what must come out, and the tests that play it.
//!
//! Made from the list of cases beside the attack suite and from the names of all tests: a test plays the cases whose
//! ids stand in its name (`m27_m28_…`). So the document cannot promise a test that is not there. What a test of the suite
//! did stands behind it, from the list that `--play` writes; one that is not in that list was not played.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::sources::Source;
use crate::{Failure, Outcome, run, setup, sources, ui};

/// The cases: `id | what is played | what must come out | why no client plays it (may be empty)`.
const CASES: &str = "deploy/testbed/tests/attack/cases.txt";
/// Where the suite lies: tests in here are played by a client against the shipped binaries.
const SUITE: &str = "deploy/testbed/tests/attack";
/// Other tests against the shipped binaries.
const REAL: &str = "deploy/testbed/tests/";
/// What the tests of the suite did when they were last played: `name | result`, the first line says where.
const PLAYED: &str = "deploy/testbed/tests/attack/played.txt";
/// What is played, and by what.
const PLAYS: [&str; 6] = ["agent", "bots", "broker-config", "registry", "deploy", "Cargo.lock"];
/// What is made.
const DOCUMENT: &str = "docs/ATTACKS.md";

const HEAD: &str = "\
# Attacks

Made by `cargo xtask attacks` from `deploy/testbed/tests/attack/cases.txt` and the names of the tests; `cargo xtask ci` fails
when it is out of date, when a case has neither a test nor a reason, or when a test of the suite names no case. The ids are those of
[THREAT-MODEL.md](THREAT-MODEL.md) and stand in the names of the tests: `cargo nextest run -E 'test(m27)'`.

Tests in **bold** are played by a client of its own (raw OpenMLS and async-nats, with the agents' login) against the shipped binaries, a
real registry and a real nats-server; after each, every honest member says something, reads every other one's words exactly once, and all
show one epoch and one authenticator. What came of it stands behind each, as `cargo xtask attacks --play` wrote it down. The others are
tests of the shipped binaries, of invented worlds or of single functions, which `cargo xtask test` runs.
";

/// One line of the list.
#[derive(Debug, PartialEq, Eq)]
struct Case {
    id: String,
    played: String,
    result: String,
    reason: String,
}

/// A heading and the cases below it.
type Chapter = (String, Vec<Case>);

/// Writes the document, or with `check` fails unless it is as it would be written.
pub(crate) fn write(check: bool) -> Outcome {
    let root = run::root();
    let list = fs::read_to_string(root.join(CASES)).map_err(|error| format!("{CASES}: {error}"))?;
    let chapters = parse(&list)?;
    let sources = sources::all(&[".rs"])?;
    let played = Played::of(&fs::read_to_string(root.join(PLAYED)).unwrap_or_default());
    let (text, counts) = document(&chapters, &sources, &played)?;
    let path = root.join(DOCUMENT);
    if check && fs::read_to_string(&path).unwrap_or_default() != text {
        return Err(format!("{DOCUMENT} is out of date: run `cargo xtask attacks`"));
    }
    if !check {
        fs::write(&path, text).map_err(|error| format!("{DOCUMENT}: {error}"))?;
    }
    ui::print(&counts);
    Ok(())
}

/// Plays the suite against the shipped binaries, writes down what each test did, and then the document. Fails when a
/// test did. What did not hold beside the others is played once more alone (some measure), and said to be so.
pub(crate) fn play() -> Outcome {
    let server = setup::nats_server()?;
    run::succeed(&mut run::cargo(["build", "--workspace", "--bins", "--locked"]), "building")?;
    ui::step("playing the attack suite (some minutes)");
    let mut results = results_of(&server, "")?;
    let failed: Vec<String> =
        results.iter().filter(|(_, result)| **result == FAILED).map(|(name, _)| name.clone()).collect();
    for name in failed {
        ui::step(&format!("playing {name} alone"));
        if results_of(&server, &name)?.get(&name) == Some(&HELD) {
            results.insert(name, HELD_ALONE);
        }
    }
    // The last commit that changed what was played, so that a commit of this document does not change its words.
    let git = |arguments: &[&str]| {
        let mut git = std::process::Command::new("git");
        run::output(git.args(arguments).arg("--").args(PLAYS).current_dir(run::root()))
    };
    let commit = git(&["log", "-1", "--format=%h"])?;
    let changed = git(&["status", "--porcelain", "--untracked-files=no"])?;
    let changes = if changed.lines().all(|line| line.ends_with(PLAYED)) { "" } else { " and changes" };
    let version = run::output(std::process::Command::new(&server).arg("--version"))?;
    let mut list = format!("at {}{changes} with {}\n", commit.trim(), version.trim());
    for (name, result) in &results {
        let _ = writeln!(list, "{name} | {result}");
    }
    fs::write(run::root().join(PLAYED), list).map_err(|error| format!("{PLAYED}: {error}"))?;
    write(false)?;
    let failed: Vec<&str> =
        results.iter().filter(|(_, result)| **result == FAILED).map(|(name, _)| name.as_str()).collect();
    if failed.is_empty() { Ok(()) } else { Err(format!("did not hold: {}", failed.join(", "))) }
}

/// What must come out came out.
const HELD: &str = "held";
/// The same, at the second try.
const HELD_ALONE: &str = "held when played alone, not beside others";
/// It did not.
const FAILED: &str = "**did not hold**";

/// Plays the tests whose names hold this.
fn results_of(server: &Path, name: &str) -> Result<BTreeMap<String, &'static str>, Failure> {
    let mut tests =
        run::cargo(["test", "-p", "testbed", "--test", "attack", "--locked", "--no-fail-fast", name]);
    setup::with_nats(&mut tests, server)?;
    let output = tests.output().map_err(|error| format!("cargo test could not be started ({error})"))?;
    let results = results(&String::from_utf8_lossy(&output.stdout));
    if results.is_empty() {
        return Err(format!("the suite did not run:\n{}", String::from_utf8_lossy(&output.stderr)));
    }
    Ok(results)
}

/// The results in what `cargo test` prints, by the bare names of the tests.
fn results(text: &str) -> BTreeMap<String, &'static str> {
    let line = |line: &str| {
        let (name, result) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
        let name = name.rsplit("::").next()?.to_owned();
        Some((name, if result.trim() == "ok" { HELD } else { FAILED }))
    };
    text.lines().filter_map(line).collect()
}

/// What is known of the last time that the suite was played.
#[derive(Debug, Default)]
struct Played {
    whence: String,
    results: BTreeMap<String, String>,
}

impl Played {
    fn of(list: &str) -> Self {
        let mut lines = list.lines();
        let whence = lines.next().unwrap_or_default().to_owned();
        let cells = lines.filter_map(|line| line.split_once(" | "));
        Self { whence, results: cells.map(|(name, result)| (name.into(), result.into())).collect() }
    }

    fn result(&self, name: &str) -> &str {
        self.results.get(name).map_or("not played yet", String::as_str)
    }
}

/// The same as a part of ci.
pub(crate) fn check() -> Outcome {
    write(true)
}

fn parse(list: &str) -> Result<Vec<Chapter>, Failure> {
    let mut chapters: Vec<Chapter> = Vec::new();
    let mut known = BTreeSet::new();
    for line in list.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//")) {
        if let Some(title) = line.strip_prefix("# ") {
            chapters.push((title.into(), Vec::new()));
            continue;
        }
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [id, played, result, reason] = cells.as_slice() else {
            return Err(format!("{CASES}: not `id | played | result | reason`: {line}"));
        };
        if !known.insert((*id).to_owned()) {
            return Err(format!("{CASES}: {id} stands there twice"));
        }
        let case = Case {
            id: (*id).into(),
            played: (*played).into(),
            result: (*result).into(),
            reason: (*reason).into(),
        };
        let (_, cases) = chapters.last_mut().ok_or_else(|| format!("{CASES}: a case before any heading"))?;
        cases.push(case);
    }
    Ok(chapters)
}

fn document(chapters: &[Chapter], sources: &[Source], played: &Played) -> Result<(String, String), Failure> {
    let ids: BTreeSet<String> =
        chapters.iter().flat_map(|(_, cases)| cases).map(|case| case.id.to_lowercase()).collect();
    let mut tests: BTreeMap<String, Vec<(&str, &str)>> = BTreeMap::new();
    let mut problems = Vec::new();
    for source in sources.iter().filter(|source| !source.path.starts_with(".ci/")) {
        for name in tests_of(&source.text) {
            let mut any = false;
            for id in name.split('_').filter(|part| ids.contains(*part)) {
                any = true;
                tests.entry(id.into()).or_default().push((&source.path, name));
            }
            if !any && in_suite(&source.path) {
                problems.push(format!("{name} in {} names no case of {CASES}", source.path));
            }
        }
    }
    let mut text = String::from(HEAD);
    let (mut count, mut by_client, mut below) = (0, 0, 0);
    for (title, cases) in chapters {
        let _ = write!(
            text,
            "\n## {title}\n\n| id | what is played | what must come out | played by |\n|---|---|---|---|\n"
        );
        for case in cases {
            count += 1;
            let mut found = tests.get(&case.id.to_lowercase()).cloned().unwrap_or_default();
            // The suite first, then what runs the shipped binaries.
            found.sort_by_key(|(path, name)| (!in_suite(path), !path.starts_with(REAL), *path, *name));
            if found.iter().any(|(path, _)| in_suite(path)) {
                by_client += 1;
            } else if !found.is_empty() {
                below += 1;
            } else if case.reason.is_empty() {
                problems.push(format!("{}: neither a test nor a reason", case.id));
            }
            let mut cell: Vec<String> = found.iter().map(|(path, name)| shown(path, name, played)).collect();
            if cell.is_empty() {
                cell.push(case.reason.clone());
            }
            let _ =
                writeln!(text, "| {} | {} | {} | {} |", case.id, case.played, case.result, cell.join("<br>"));
        }
    }
    if problems.is_empty() {
        let counts = format!(
            "{count} attack cases: {by_client} played by a client of its own, {below} by other tests, {} with the reason why not",
            count - by_client - below
        );
        let suite: BTreeSet<&str> =
            tests.values().flatten().filter(|(path, _)| in_suite(path)).map(|(_, name)| *name).collect();
        let held = suite.iter().filter(|name| played.result(name).starts_with(HELD)).count();
        let _ = write!(text, "\n{counts}.\n");
        let whence = if played.whence.is_empty() { "never" } else { &played.whence };
        let _ =
            write!(text, "\nThe suite was last played {whence}: {held} of its {} tests held.\n", suite.len());
        Ok((text, counts))
    } else {
        Err(format!("attack cases do not hold together:\n  {}", problems.join("\n  ")))
    }
}

fn in_suite(path: &str) -> bool {
    path.strip_prefix(SUITE).is_some_and(|rest| rest.starts_with('/') || rest.starts_with('.'))
}

fn shown(path: &str, name: &str, played: &Played) -> String {
    let place = path.strip_prefix(REAL).unwrap_or(path);
    if in_suite(path) {
        format!("**{name}** ({place}): {}", played.result(name))
    } else {
        format!("{name} ({place})")
    }
}

/// Names of functions that are tests: the next `fn` behind a test attribute.
fn tests_of(text: &str) -> impl Iterator<Item = &str> {
    let mut is_test = false;
    text.lines().filter_map(move |line| {
        let line = line.trim();
        if line == "#[test]" || line.starts_with("#[tokio::test") {
            is_test = true;
            return None;
        }
        let (before, after) = line.split_once("fn ").filter(|_| is_test)?;
        if !before.is_empty() && !before.ends_with(' ') {
            return None;
        }
        is_test = false;
        after.split_once('(').map(|(name, _)| name.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "# One\nM01 | junk | nothing | \nM02 | more | less | cannot be made\n// a comment\n";

    fn source(path: &str, text: &str) -> Source {
        Source { path: path.into(), text: text.into() }
    }

    #[test]
    fn results_are_read_as_cargo_test_prints_them() {
        let printed = "running 3 tests\ntest a::f1_x ... ok\ntest a::f2_y has been running for over 60 seconds\n\
                       test a::f2_y ... FAILED\n\nfailures:\n    a::f2_y\ntest result: FAILED. 1 passed\n";
        let expected = [("f1_x".to_owned(), HELD), ("f2_y".to_owned(), FAILED)];
        assert_eq!(results(printed), BTreeMap::from(expected));
    }

    #[test]
    fn a_case_is_listed_with_its_tests_or_its_reason_and_else_is_a_problem() {
        let chapters = parse(LIST).unwrap();
        let suite = source(&format!("{SUITE}/a.rs"), "#[test]\nfn m01_junk_is_skipped() -> R {\n}\n");
        let world =
            source("agent/core/tests/b.rs", "#[test]\n#[x]\nfn r_x_m01_in_a_world() {\nfn m02_none() {}");
        let suite = [world, suite];
        let (text, _) = document(&chapters, &suite, &Played::default()).unwrap();
        assert!(text.contains("(attack/a.rs): not played yet<br>"), "{text}");
        assert!(text.contains("last played never: 0 of its 1 tests held"), "{text}");
        let played = Played::of("at abc with nats-server: v1\nm01_junk_is_skipped | held\n");
        let (text, counts) = document(&chapters, &suite, &played).unwrap();
        assert!(text.contains("last played at abc with nats-server: v1: 1 of its 1 tests held"), "{text}");
        let row = "| M01 | junk | nothing | **m01_junk_is_skipped** (attack/a.rs): held<br>r_x_m01_in_a_world (agent/core/tests/b.rs) |";
        assert!(text.contains(row), "{text}");
        assert!(text.contains("| M02 | more | less | cannot be made |"), "{text}");
        assert!(counts.starts_with("2 attack cases: 1 played"), "{counts}");

        let none = document(&chapters, &[], &played).unwrap_err();
        assert!(none.contains("M01: neither"), "{none}");
        let stray = source(&format!("{SUITE}.rs"), "#[tokio::test(flavor = \"x\")]\nasync fn stray() {}");
        assert!(
            document(&chapters, &[stray], &played).unwrap_err().contains("stray"),
            "a test without a case"
        );
        assert!(parse("M01 | a | b | ").is_err(), "no heading");
        assert!(parse("# x\nM01 | a | b | \nM01 | a | b | ").is_err(), "twice");
        assert!(parse("# x\nM01 | a").is_err(), "cells");
    }
}
