//! Links and paths in the documents lead somewhere: files move, and what is written about them has to follow.
//!
//! Judged are relative links, with the heading that they name, and paths in backticks: a file of Rust by any end of its
//! path (`group/policy.rs`), other files and folders when they are written with a folder. What lies in a fence is a
//! command or a drawing, and is not judged.

use std::collections::BTreeSet;

use crate::sources::Source;
use crate::{Outcome, run, sources, ui};

/// Files that backticks may name, whatever the folder.
const FILES: [&str; 5] = [".rs", ".md", ".py", ".sh", ".conf"];
/// Records of what once was: their links must lead somewhere, their paths need not.
const PAST: [&str; 2] = ["docs/adr/", "CHANGELOG.md"];

/// Fails for every link and every path of a document that leads nowhere.
pub(crate) fn check() -> Outcome {
    let sources = sources::all(&FILES)?;
    let root = run::root();
    let documents: Vec<&Source> = sources.iter().filter(|source| source.path.ends_with(".md")).collect();
    let problems: Vec<String> = documents
        .iter()
        .flat_map(|document| problems(document, &sources, |path| root.join(path).exists()))
        .collect();
    if problems.is_empty() {
        ui::print(&format!("{} documents, every link and path leads somewhere", documents.len()));
        Ok(())
    } else {
        Err(format!("{} links or paths lead nowhere:\n  {}", problems.len(), problems.join("\n  ")))
    }
}

/// What leads nowhere in one document. `exists` says of any path below the project whether something is there.
fn problems(document: &Source, sources: &[Source], exists: impl Fn(&str) -> bool) -> Vec<String> {
    let path = document.path.as_str();
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let past = PAST.iter().any(|past| path.starts_with(past));
    let mut problems = Vec::new();
    for block in blocks(&document.text) {
        // What stands between backticks is every second part.
        for (number, part) in block.split('`').enumerate() {
            if number % 2 == 0 {
                for target in targets(part).filter(|target| !is_elsewhere(target)) {
                    if !leads(path, folder, target, sources, &exists) {
                        problems.push(format!("{path}: the link to {target}"));
                    }
                }
            } else if let Some(named) = named(part).filter(|_| !past)
                && !is_there(folder, named, sources, &exists)
            {
                problems.push(format!("{path}: `{named}`"));
            }
        }
    }
    problems
}

/// Paragraphs and rows of tables, without what is fenced: backticks pair up inside of one.
fn blocks(text: &str) -> Vec<String> {
    let mut blocks = vec![String::new()];
    let mut fenced = false;
    for line in text.lines() {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        if fence || fenced || line.trim().is_empty() || line.starts_with('|') {
            blocks.push(String::new());
        }
        if let Some(block) = blocks.last_mut().filter(|_| !fence && !fenced) {
            block.push_str(line);
            block.push('\n');
        }
    }
    blocks
}

/// Where the links of a text lead.
fn targets(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| rest.split_once(')')?.0.split_whitespace().next())
}

/// Whether a link leaves the project.
fn is_elsewhere(target: &str) -> bool {
    ["https:", "http:", "mailto:"].iter().any(|scheme| target.starts_with(scheme))
}

/// Whether a link leads to a file or folder, and to a heading there if it names one.
fn leads(from: &str, folder: &str, target: &str, sources: &[Source], exists: &impl Fn(&str) -> bool) -> bool {
    let (file, heading) = target.split_once('#').map_or((target, None), |(file, name)| (file, Some(name)));
    let path = if file.is_empty() { Some(from.to_owned()) } else { joined(folder, file) };
    let Some(path) = path.filter(|path| exists(path)) else { return false };
    let Some(heading) = heading else { return true };
    sources.iter().any(|source| source.path == path && headings(&source.text).contains(heading))
}

/// The anchors of a document's headings: lower case, blanks as `-`, and no other signs.
fn headings(text: &str) -> BTreeSet<String> {
    let lines =
        blocks(text).into_iter().flat_map(|block| block.lines().map(str::to_owned).collect::<Vec<_>>());
    lines
        .filter_map(|line| Some(line.strip_prefix('#')?.trim_start_matches('#').trim().to_lowercase()))
        .map(|title| {
            let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

/// The path in a piece of code, if it is one.
fn named(code: &str) -> Option<&str> {
    let path = code.split("::").next()?;
    let plain = path.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/'));
    let inside = path.trim_end_matches('/').contains('/');
    let is_path = path.ends_with(".rs")
        || inside && (path.ends_with('/') || FILES.iter().any(|ending| path.ends_with(ending)));
    (plain && is_path && !path.starts_with('/')).then_some(path)
}

/// Whether a file or folder is there: from the project's folder, from the document's, or by the end of its path.
fn is_there(folder: &str, named: &str, sources: &[Source], exists: &impl Fn(&str) -> bool) -> bool {
    let end = format!("/{named}");
    exists(named)
        || joined(folder, named).is_some_and(|near| exists(&near))
        || sources
            .iter()
            .map(|source| source.path.as_str())
            .any(|path| if named.ends_with('/') { path.contains(&end) } else { path.ends_with(&end) })
}

/// A relative path from a folder, as one below the project; `None` when it leaves the project.
fn joined(folder: &str, relative: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in relative.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source { path: path.into(), text: text.into() }
    }

    /// What leads nowhere in `docs/a.md` with this text, beside a file of Rust and a document with one heading.
    fn told(text: &str) -> Vec<String> {
        let sources = [
            source("docs/a.md", text),
            source("agent/core/src/group/policy.rs", ""),
            source("docs/design/b.md", "# B\n\n## One way, and *out*\n\n```\n# no heading\n```\n"),
        ];
        let there = |path: &str| {
            ["docs", "docs/design", "bytes/golden/", "LICENSE"].contains(&path)
                || sources.iter().any(|has| has.path == path)
        };
        let document = source("docs/a.md", text);
        problems(&document, &sources, there)
    }

    #[test]
    fn what_leads_somewhere_is_no_problem() {
        for text in [
            "[b](design/b.md), [folder](design), [licence](../LICENSE), [out](https://example.org/x), [up](#t)\n\n# T",
            "[`b`](design/b.md#one-way-and-out) and [here](a.md#x)\n\n## X",
            "`group/policy.rs::authorize`, `policy.rs`, `agent/core/src/group/policy.rs`, `design/b.md`, `core/src/`, `bytes/golden/`",
            "`x/*.rs`, `<home>/a/`, `/etc/x.conf`, `no.conf`, `evidence/`, `a b/c.rs`, `use a::b`",
            "```\n[b](gone.md) `gone.rs`\n```",
            "a span `that\nbreaks` a line, [b](design/b.md)",
        ] {
            assert_eq!(told(text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn what_leads_nowhere_is_told_with_its_document() {
        for (text, problem) in [
            ("[b](b.md)", "docs/a.md: the link to b.md"),
            ("[b](../../b.md)", "docs/a.md: the link to ../../b.md"),
            ("[b](design/b.md#no-heading)", "docs/a.md: the link to design/b.md#no-heading"),
            ("| `one` | [b](gone.md \"title\") |", "docs/a.md: the link to gone.md"),
            ("see `commit.rs`", "docs/a.md: `commit.rs`"),
            ("see `core/policy.rs::authorize`", "docs/a.md: `core/policy.rs`"),
            ("see `agent/cli/`", "docs/a.md: `agent/cli/`"),
            ("```\nx\n```\nsee `design/c.md`", "docs/a.md: `design/c.md`"),
        ] {
            assert_eq!(told(text), [problem], "{text}");
        }
    }

    #[test]
    fn a_decision_may_name_what_is_gone_but_not_link_to_it() {
        let document = source("docs/adr/1.md", "`gone.rs` [b](gone.md)");
        assert_eq!(problems(&document, &[], |_| false), ["docs/adr/1.md: the link to gone.md"]);
    }
}
