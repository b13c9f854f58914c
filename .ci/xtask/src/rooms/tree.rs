//! The files of a package as modules, without those that are tests only.

use std::collections::{BTreeMap, BTreeSet};

use syn::{Attribute, Item, UseTree};

use crate::Failure;
use crate::sources::Source;

/// One file that is not a test.
pub(super) struct File {
    /// Path below the project.
    pub(super) path: String,
    /// Names of its module below the crate; none: the root.
    pub(super) module: Vec<String>,
    /// What is in it.
    pub(super) syntax: syn::File,
}

impl File {
    /// The room it is in; `None`: it is the root.
    pub(super) fn room(&self) -> Option<&str> {
        self.module.first().map(String::as_str)
    }
}

/// A package.
pub(super) struct Tree {
    pub(super) files: Vec<File>,
    rooms: BTreeSet<String>,
    modules: BTreeSet<Vec<String>>,
    /// What the root shows under a name of its own, and from which room.
    shown: BTreeMap<String, String>,
}

impl Tree {
    /// Reads the files below `root`.
    pub(super) fn read(root: &str, sources: &[Source]) -> Result<Self, Failure> {
        let mut files = Vec::new();
        for source in sources {
            let below = source.path.strip_prefix(root).and_then(|rest| rest.strip_prefix('/'));
            // Tests in files of their own are declared by `#[path]` in the file they are for.
            let tests = source.path.ends_with("_test.rs");
            let Some(below) = below.filter(|below| !tests && !below.starts_with("bin/")) else { continue };
            let syntax = syn::parse_file(&source.text)
                .map_err(|error| format!("{}:{}: {error}", source.path, error.span().start().line))?;
            files.push(File { path: source.path.clone(), module: module(below), syntax });
        }
        if files.is_empty() {
            return Err(format!("there is no file below {root}: say in rooms.rs where the package is now"));
        }
        let mut tests = Vec::new();
        for file in &files {
            tests_declared(&file.syntax.items, &file.module, &mut tests);
        }
        files.retain(|file| !tests.iter().any(|test| file.module.starts_with(test)));
        let rooms: BTreeSet<String> =
            files.iter().filter_map(|file| file.room().map(str::to_owned)).collect();
        let mut shown = BTreeMap::new();
        for item in files.iter().filter(|file| file.module.is_empty()).flat_map(|file| &file.syntax.items) {
            let Item::Use(item) = item else { continue };
            for leaf in leaves(&item.tree) {
                let path = absolute(&[], &leaf.path).unwrap_or(leaf.path);
                if let (Some(room), Some(name)) =
                    (path.first().filter(|room| rooms.contains(*room)), leaf.name)
                {
                    shown.insert(name, room.clone());
                }
            }
        }
        let modules = files.iter().map(|file| file.module.clone()).collect();
        Ok(Self { files, rooms, modules, shown })
    }

    /// Names of all rooms.
    pub(super) const fn rooms(&self) -> &BTreeSet<String> {
        &self.rooms
    }

    /// Whether a path of a module names a file or a folder.
    pub(super) fn is_module(&self, module: &[String], path: &[String]) -> bool {
        absolute(module, path).is_some_and(|path| self.modules.contains(&path))
    }

    /// The room in which a path of a module ends. `None`: it begins elsewhere, or at the root.
    pub(super) fn room_of(&self, module: &[String], path: &[String]) -> Option<&str> {
        let path = absolute(module, path)?;
        let first = path.first()?;
        self.rooms.get(first).or_else(|| self.shown.get(first)).map(String::as_str)
    }
}

/// A path from the root of the crate, when it says where it begins.
pub(super) fn absolute(module: &[String], path: &[String]) -> Option<Vec<String>> {
    let (first, rest) = path.split_first()?;
    let mut at = match first.as_str() {
        "crate" => Vec::new(),
        "self" => module.to_vec(),
        "super" => module.split_last().map(|(_, above)| above.to_vec())?,
        _ => return None,
    };
    let mut rest = rest;
    while let Some((_, after)) = rest.split_first().filter(|(next, _)| *next == "super") {
        at.pop()?;
        rest = after;
    }
    at.extend_from_slice(rest);
    Some(at)
}

/// One name that a `use` brings.
pub(super) struct Leaf {
    pub(super) path: Vec<String>,
    /// `None`: everything, or nothing that has a name.
    pub(super) name: Option<String>,
    pub(super) line: usize,
}

/// Every name that a `use` brings.
pub(super) fn leaves(tree: &UseTree) -> Vec<Leaf> {
    let mut found = Vec::new();
    collect(tree, &mut Vec::new(), &mut found);
    found
}

fn collect(tree: &UseTree, before: &mut Vec<String>, found: &mut Vec<Leaf>) {
    match tree {
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            collect(&path.tree, before, found);
            before.pop();
        }
        UseTree::Group(group) => group.items.iter().for_each(|tree| collect(tree, before, found)),
        UseTree::Name(name) => {
            let (own, line) = (name.ident.to_string(), name.ident.span().start().line);
            // `a::{self}` brings `a`.
            let brought = if own == "self" { before.last().cloned() } else { Some(own.clone()) };
            let path = if own == "self" && !before.is_empty() { before.clone() } else { with(before, own) };
            found.push(Leaf { path, name: brought, line });
        }
        UseTree::Rename(rename) => {
            let name = Some(rename.rename.to_string()).filter(|name| name != "_");
            let line = rename.ident.span().start().line;
            found.push(Leaf { path: with(before, rename.ident.to_string()), name, line });
        }
        UseTree::Glob(glob) => {
            let line = glob.star_token.spans.first().map_or(0, |span| span.start().line);
            found.push(Leaf { path: before.clone(), name: None, line });
        }
    }
}

fn with(before: &[String], last: String) -> Vec<String> {
    before.iter().cloned().chain([last]).collect()
}

/// Names of the module of a file.
fn module(below: &str) -> Vec<String> {
    let mut parts: Vec<String> = below.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    let root = parts.len() == 1 && parts.last().is_some_and(|last| last == "lib" || last == "main");
    if root || parts.last().is_some_and(|last| last == "mod") {
        parts.pop();
    }
    parts
}

fn tests_declared(items: &[Item], module: &[String], found: &mut Vec<Vec<String>>) {
    for item in items {
        let Item::Mod(declared) = item else { continue };
        let path = with(module, declared.ident.to_string());
        if is_test(&declared.attrs) {
            found.push(path);
        } else if let Some((_, items)) = &declared.content {
            tests_declared(items, &path, found);
        }
    }
}

/// Whether something is there in tests only: `#[cfg(test)]`, `#[cfg(all(test, …))]` or `#[test]`.
pub(super) fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        if attribute.path().is_ident("test") {
            return true;
        }
        let mut test = false;
        if attribute.path().is_ident("cfg") {
            // What is not understood here is no test.
            let _ = attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("test") {
                    test = true;
                } else if meta.path.is_ident("all") {
                    meta.parse_nested_meta(|inner| {
                        test |= inner.path.is_ident("test");
                        Ok(())
                    })?;
                }
                Ok(())
            });
        }
        test
    })
}

/// The attributes of an item.
pub(super) fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::ForeignMod(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::TraitAlias(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(parts: &[&str]) -> Vec<String> {
        parts.iter().map(|part| (*part).to_owned()).collect()
    }

    #[test]
    fn a_file_is_the_module_that_its_path_says() {
        for (below, expected) in [
            ("lib.rs", &[][..]),
            ("main.rs", &[]),
            ("clock.rs", &["clock"]),
            ("op/mod.rs", &["op"]),
            ("op/lib.rs", &["op", "lib"]),
            ("group/life/join.rs", &["group", "life", "join"]),
        ] {
            assert_eq!(module(below), texts(expected), "{below}");
        }
    }

    #[test]
    fn a_path_begins_where_it_says() {
        let module = texts(&["group", "life"]);
        for (path, expected) in [
            (&["crate", "own", "Id"][..], Some(&["own", "Id"][..])),
            (&["self", "join"], Some(&["group", "life", "join"])),
            (&["super", "epoch"], Some(&["group", "epoch"])),
            (&["super", "super", "own"], Some(&["own"])),
            (&["super", "super", "super"], None),
            (&["std", "fmt"], None),
        ] {
            assert_eq!(absolute(&module, &texts(path)), expected.map(texts), "{path:?}");
        }
    }

    #[test]
    fn every_name_of_a_use_is_found_with_what_it_stands_for() {
        let item: syn::ItemUse = syn::parse_str("use crate::{a::{self, B, c::*}, d as e, f as _};").unwrap();
        let found: Vec<(String, Option<String>)> =
            leaves(&item.tree).into_iter().map(|leaf| (leaf.path.join("::"), leaf.name)).collect();
        let pair = |path: &str, name: Option<&str>| (path.to_owned(), name.map(str::to_owned));
        assert_eq!(
            found,
            [
                pair("crate::a", Some("a")),
                pair("crate::a::B", Some("B")),
                pair("crate::a::c", None),
                pair("crate::d", Some("e")),
                pair("crate::f", None),
            ]
        );
    }

    #[test]
    fn only_what_is_there_for_tests_alone_is_a_test() {
        for (text, expected) in [
            ("#[cfg(test)] mod a {}", true),
            ("#[cfg(all(test, unix))] mod a {}", true),
            ("#[test] fn a() {}", true),
            ("#[cfg(not(test))] mod a {}", false),
            ("#[cfg(any(test, feature = \"x\"))] mod a {}", false),
            ("#[cfg(unix)] mod a {}", false),
            ("mod a {}", false),
        ] {
            let item: Item = syn::parse_str(text).unwrap();
            assert_eq!(is_test(attributes(&item)), expected, "{text}");
        }
    }

    #[test]
    fn files_of_tests_are_left_out_and_the_root_is_no_room() {
        let source = |path: &str, text: &str| Source { path: path.into(), text: text.into() };
        let sources = [
            source("p/src/lib.rs", "mod a; #[cfg(test)] mod probe; pub use a::{Shown as Seen};"),
            source("p/src/a/mod.rs", "#[cfg(test)] mod tests;"),
            source("p/src/a/tests.rs", ""),
            source("p/src/probe/inner.rs", ""),
            source("p/src/bin/tool.rs", ""),
        ];
        let tree = Tree::read("p/src", &sources).unwrap();
        let paths: Vec<&str> = tree.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["p/src/lib.rs", "p/src/a/mod.rs"]);
        assert_eq!(tree.room_of(&texts(&["b"]), &texts(&["crate", "Seen"])), Some("a"));
        assert_eq!(tree.room_of(&texts(&["b"]), &texts(&["crate", "Shown"])), None);
        assert!(Tree::read("q/src", &sources).is_err());
    }
}
