//! Numbered rules: each stands in `docs/RULES.md`, at the line that enforces it, and in a test.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::sources::Source;
use crate::{Failure, Outcome, run, sources, ui};

/// The table: `| id | text | code file | test name |`.
const TABLE: &str = "docs/RULES.md";

/// One line of the table.
#[derive(Debug, PartialEq, Eq)]
struct Rule {
    id: String,
    files: Vec<String>,
    tests: Vec<String>,
}

/// Fails when a rule, the code that enforces it and the test that tries it do not name each other.
pub(crate) fn check() -> Outcome {
    let text = fs::read_to_string(run::root().join(TABLE)).map_err(|error| format!("{TABLE}: {error}"))?;
    let rules = parse(&text)?;
    // The check's own examples are not rules.
    let own = ".ci/xtask/";
    let sources: Vec<Source> =
        sources::all(&[".rs", ".py"])?.into_iter().filter(|source| !source.path.starts_with(own)).collect();
    let problems = problems(&rules, &sources);
    if problems.is_empty() {
        ui::print(&format!("{} rules, each with its code and its test", rules.len()));
        Ok(())
    } else {
        Err(format!("{} of the rules do not hold together:\n  {}", problems.len(), problems.join("\n  ")))
    }
}

fn parse(text: &str) -> Result<Vec<Rule>, Failure> {
    let mut rules = BTreeMap::new();
    for line in text.lines().map(str::trim).filter(|line| line.starts_with('|')) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let Some(id) = cells.first().map(|cell| cell.trim_matches('`')).filter(|cell| is_id(cell)) else {
            continue;
        };
        // A text may hold a bar of its own: files and tests are the last two cells.
        let (Some(files), Some(tests), true) = (cells.iter().rev().nth(1), cells.last(), cells.len() >= 4)
        else {
            return Err(format!("{TABLE}: {id} has no four cells: id | text | code file | test name"));
        };
        let rule = Rule { id: id.into(), files: names(files), tests: names(tests) };
        if rules.insert(id.to_owned(), rule).is_some() {
            return Err(format!("{TABLE}: {id} stands there twice"));
        }
    }
    if rules.is_empty() {
        return Err(format!("{TABLE} holds no rule"));
    }
    Ok(rules.into_values().collect())
}

/// The names in a cell: separated by commas or `<br>`, with or without backticks, tests with or without a path.
fn names(cell: &str) -> Vec<String> {
    cell.replace("<br>", ",")
        .split(',')
        .map(|name| name.trim().trim_matches('`').trim())
        .map(|name| name.rsplit("::").next().unwrap_or(name).trim_end_matches("()"))
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

fn problems(rules: &[Rule], sources: &[Source]) -> Vec<String> {
    let mut problems = Vec::new();
    let known: BTreeSet<&str> = rules.iter().map(|rule| rule.id.as_str()).collect();
    let functions: BTreeSet<&str> = sources.iter().flat_map(|source| functions(&source.text)).collect();
    for rule in rules {
        if rule.files.is_empty() {
            problems.push(format!("{}: no code file", rule.id));
        }
        for file in &rule.files {
            match sources.iter().find(|source| &source.path == file) {
                None => problems.push(format!("{}: there is no file {file}", rule.id)),
                Some(source) if !ids(&source.text).any(|id| id == rule.id) => {
                    problems.push(format!("{}: not named in {file}", rule.id));
                }
                Some(_) => {}
            }
        }
        if rule.tests.is_empty() {
            problems.push(format!("{}: no test", rule.id));
        }
        for test in &rule.tests {
            if !functions.contains(test.as_str()) {
                problems.push(format!("{}: there is no test {test}", rule.id));
            }
        }
    }
    for source in sources {
        let unknown: BTreeSet<&str> = ids(&source.text).filter(|id| !known.contains(id)).collect();
        for id in unknown {
            problems.push(format!("{id}: named in {} but not in {TABLE}", source.path));
        }
    }
    problems
}

/// Names of all functions of a text, Rust's and Python's.
fn functions(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let line = line.trim_start();
        let after = line
            .split_once("fn ")
            .filter(|(before, _)| before.is_empty() || before.ends_with(' '))
            .map(|(_, after)| after)
            .or_else(|| line.strip_prefix("def "))?;
        let end = after.find(|c: char| !c.is_alphanumeric() && c != '_')?;
        after.get(..end)
    })
}

/// Every rule id in a text.
fn ids(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("R-").filter_map(|(at, _)| {
        let before = text.get(..at)?.chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '-' || c == '_') {
            return None;
        }
        let rest = text.get(at..)?;
        let end = rest
            .find(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '-'))
            .unwrap_or(rest.len());
        rest.get(..end).map(|id| id.trim_end_matches('-')).filter(|id| is_id(id))
    })
}

/// `R-`, capital letters, `-`, two digits.
fn is_id(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    matches!(parts.as_slice(), ["R", area, number]
        if !area.is_empty()
            && area.chars().all(|c| c.is_ascii_uppercase())
            && number.len() == 2
            && number.chars().all(|c| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source { path: path.into(), text: text.into() }
    }

    #[test]
    fn a_rule_with_code_and_test_has_no_problem_and_any_missing_part_is_one() {
        let rules =
            parse("| id | text | code | test |\n|---|---|---|---|\n| `R-X-01` | a | b | `c.rs` | `m::t` |\n")
                .unwrap();
        assert_eq!(
            rules,
            [Rule { id: "R-X-01".into(), files: vec!["c.rs".into()], tests: vec!["t".into()] }]
        );
        let code = source("c.rs", "// (R-X-01).\n");
        let test = source("t.rs", "async fn t() {}\n");
        assert_eq!(problems(&rules, &[code, test]), Vec::<String>::new());
        assert_eq!(problems(&rules, &[source("c.rs", "")]).len(), 2);
        assert_eq!(problems(&rules, &[source("d.rs", "R-X-01 R-Y-02 R-Z-3 AR-X-09")]).len(), 3);
    }
}
