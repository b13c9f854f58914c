//! The rooms of a package: its folders, and each file beside them. No room may need a room that needs it, over whatever
//! path; where a package says so, what a room shows to the others is listed in its `mod.rs`.

mod arrow;
mod circle;
mod door;
mod tree;

use std::collections::BTreeMap;

use crate::rooms::arrow::Place;
use crate::rooms::door::Count;
use crate::rooms::tree::Tree;
use crate::sources::Source;
use crate::{Failure, Outcome, sources, ui};

/// What is asked of the rooms of a package.
#[derive(Debug)]
struct Package {
    name: &'static str,
    /// Folder of its `lib.rs` or `main.rs`.
    root: &'static str,
    /// Rooms that may be part of a circle, because they hold the machine that all others are methods of.
    circles: &'static [&'static str],
    /// `None`: rooms list no doors.
    doors: Option<Doors>,
}

/// What is asked of the doors of a package.
#[derive(Debug)]
struct Doors {
    /// The type that all rooms are methods of.
    machine: &'static str,
    /// Its methods that a room calls in another one, at most.
    most: usize,
    /// Rooms that are open: they hold nothing but rows, and everything of them may be used.
    open: &'static [&'static str],
}

/// Every package that has rooms.
const PACKAGES: [Package; 3] = [
    Package { name: "cipher-registry", root: "registry/src", circles: &[], doors: None },
    Package { name: "cipher-chat", root: "agent/src", circles: &[], doors: None },
    // The machine calls every room, and every room is called by it.
    Package {
        name: "cipher-core",
        root: "agent/core/src",
        circles: &["machine"],
        doors: Some(Doors { machine: "Core", most: 140, open: &["state", "store"] }),
    },
];

/// How often a room names what is in another one, and where first.
type Arrows = BTreeMap<(String, String), (usize, Place)>;

/// Prints which room uses which, and fails for circles and for doors that are not as listed.
pub(crate) fn check() -> Outcome {
    let sources = sources::all(&[".rs"])?;
    let mut problems = Vec::new();
    for package in &PACKAGES {
        let (report, found) = judge(package, &sources)?;
        ui::print(&report);
        problems.extend(found);
    }
    if problems.is_empty() { Ok(()) } else { Err(format!("rooms:\n  {}", problems.join("\n  "))) }
}

/// What is to be seen of a package, and what is wrong with it.
fn judge(package: &Package, sources: &[Source]) -> Result<(String, Vec<String>), Failure> {
    let tree = Tree::read(package.root, sources)?;
    let arrows = arrow::all(&tree);
    let mut report = format!("{}: {} rooms", package.name, tree.rooms().len());
    for ((from, to), (times, _)) in &arrows {
        report.push_str(&format!("\n  {from} -> {to}  {times}"));
    }
    let mut problems: Vec<String> = circle::all(&arrows, package.circles)
        .iter()
        .map(|circle| format!("{}: {}", package.name, circle::describe(circle, &arrows)))
        .collect();
    if let Some(doors) = &package.doors {
        let (Count { methods, others }, wrong) = door::check(&tree, doors.machine, doors.open);
        report.push_str(&format!(
            "\n  {methods} methods of {} are doors, of at most {}; {others} types, functions and constants beside them",
            doors.machine, doors.most
        ));
        problems.extend(wrong);
        if methods > doors.most {
            problems.push(format!(
                "{}: {methods} doors are more than {}: make what only one room uses `pub(in crate::ROOM)`",
                package.name, doors.most
            ));
        }
    }
    Ok((report, problems))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source { path: path.into(), text: text.into() }
    }

    #[test]
    fn a_circle_is_told_with_a_line_for_each_arrow() {
        let package = Package { name: "house", root: "src", circles: &[], doors: None };
        let sources = [
            source("src/main.rs", "mod hall; mod own;"),
            source("src/hall/mod.rs", "mod lamp;"),
            source("src/hall/lamp.rs", "\nuse crate::own::Key;"),
            source("src/own.rs", "fn light() { crate::hall::on() }"),
        ];
        let (_, problems) = judge(&package, &sources).unwrap();
        assert_eq!(
            problems,
            [
                "house: rooms in a circle: hall -> own -> hall\n      hall -> own  src/hall/lamp.rs:2  (1 in all)\n      \
              own -> hall  src/own.rs:1  (1 in all)"
            ]
        );
        let exempt = Package { circles: &["hall"], ..package };
        assert_eq!(judge(&exempt, &sources).unwrap().1, Vec::<String>::new());
    }

    #[test]
    fn a_package_is_told_its_arrows_its_circles_and_its_doors() {
        let package = Package {
            name: "house",
            root: "house/src",
            circles: &[],
            doors: Some(Doors { machine: "Core", most: 0, open: &["state"] }),
        };
        let sources = [
            source("house/src/lib.rs", "mod hall; mod own; mod state;"),
            source(
                "house/src/hall/mod.rs",
                "//! A hall.\n//!\n//! Doors:\n//! - `enter` - the way in\n//! - `Core::greet` - says hello\n\n\
                 pub(crate) fn enter() {}\nimpl Core {\n    pub(crate) fn greet(&self) {}\n}",
            ),
            source("house/src/own.rs", "use crate::hall::enter;\nuse crate::state::Row;"),
            source("house/src/state/mod.rs", "pub(crate) struct Row;"),
            source("other/src/lib.rs", "this is not even Rust"),
        ];
        let (report, problems) = judge(&package, &sources).unwrap();
        assert_eq!(
            report,
            "house: 3 rooms\n  own -> hall  1\n  own -> state  1\n  1 methods of Core are doors, of at most 0; 1 types, \
             functions and constants beside them"
        );
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].starts_with("house: 1 doors are more than 0"), "{problems:?}");
    }
}
