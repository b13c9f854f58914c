//! The doors of rooms: what a room shows to the whole crate. Each is listed in the documentation of the room's `mod.rs`:
//!
//! ```text
//! //! Doors:
//! //! - `send::Outbox::enqueue` - puts a message into the line
//! ```
//!
//! A door is everything that is written as visible in the whole crate: a function, a type, a trait, a constant, a
//! method. What only the room uses is `pub(in crate::room)`, `pub(super)` or private.

use std::collections::{BTreeMap, BTreeSet};

use syn::{Expr, ImplItem, Item, Lit, Meta, Type, Visibility};

use crate::rooms::tree::{File, Tree, absolute, attributes, is_test};

/// The line that begins the list.
const HEADING: &str = "Doors:";

/// What a package shows between its rooms.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    /// Methods of the machine: what one room has another do.
    pub(super) methods: usize,
    /// What passes through them, and what is read: types, constants, functions, methods of other types.
    pub(super) others: usize,
}

/// How many doors there are, and which are not listed as they must be. `machine` is the type that all rooms are methods
/// of. Rooms in `open` need no list; files beside the folders have none.
pub(super) fn check(tree: &Tree, machine: &str, open: &[&str]) -> (Count, Vec<String>) {
    let (mut count, mut problems) = (Count::default(), Vec::new());
    let folders = tree.rooms().iter().filter(|room| !open.contains(&room.as_str()));
    for room in folders {
        let files: Vec<&File> = tree.files.iter().filter(|file| file.room() == Some(room)).collect();
        if files.iter().all(|file| file.module.len() == 1 && !file.path.ends_with("/mod.rs")) {
            continue;
        }
        let mut there: BTreeMap<String, (&str, usize)> = BTreeMap::new();
        for file in &files {
            let mut found = Vec::new();
            doors(&file.syntax.items, &file.module, &mut found);
            there.extend(found.into_iter().map(|(name, line)| (name, (file.path.as_str(), line))));
        }
        let of_machine = |name: &&String| name.rsplit("::").nth(1) == Some(machine);
        let methods = there.keys().filter(of_machine).count();
        count.methods = count.methods.saturating_add(methods);
        count.others = count.others.saturating_add(there.len().saturating_sub(methods));
        let Some(map) = files.iter().find(|file| file.module.len() == 1) else {
            problems.push(format!("the room {room} has no mod.rs"));
            continue;
        };
        // Without a list every door is told, as the line that lists it.
        let listed = listed(&map.syntax.attrs).unwrap_or_else(|problem| {
            problems.push(format!("{}: {problem}", map.path));
            BTreeSet::new()
        });
        for (name, (path, line)) in &there {
            if !listed.contains(name) {
                problems.push(format!(
                    "{path}:{line}: a door that is not listed in {}: make it `pub(in crate::{room})`, or list \
                     \"//! - `{name}` - what it is for\"",
                    map.path
                ));
            }
        }
        for name in listed.iter().filter(|name| !there.contains_key(*name)) {
            problems.push(format!("{}: lists the door `{name}`, which is not there", map.path));
        }
    }
    (count, problems)
}

/// What the documentation of a room lists.
fn listed(attributes: &[syn::Attribute]) -> Result<BTreeSet<String>, String> {
    let mut lines = documentation(attributes).into_iter().skip_while(|line| line.trim() != HEADING);
    if lines.next().is_none() {
        return Err(format!("the documentation has no list that begins with a line `{HEADING}`"));
    }
    let mut found = BTreeSet::new();
    for line in lines {
        let text = line.trim();
        if let Some(entry) = text.strip_prefix("- ") {
            let parts = entry.strip_prefix('`').and_then(|rest| rest.split_once("` - "));
            let Some((name, _)) = parts.filter(|(name, what)| !name.is_empty() && !what.trim().is_empty())
            else {
                return Err(format!("`{text}` is not \"- `path::name` - what it is for\""));
            };
            if !found.insert(name.to_owned()) {
                return Err(format!("lists `{name}` twice"));
            }
        } else if text.is_empty() && found.is_empty() || line.starts_with("   ") {
            // A gap after the heading, or an entry that goes on.
        } else {
            break;
        }
    }
    Ok(found)
}

/// Lines of the documentation of a file.
fn documentation(attributes: &[syn::Attribute]) -> Vec<String> {
    let mut lines = Vec::new();
    for attribute in attributes {
        if let Meta::NameValue(pair) = &attribute.meta
            && pair.path.is_ident("doc")
            && let Expr::Lit(value) = &pair.value
            && let Lit::Str(text) = &value.lit
        {
            lines.extend(text.value().split('\n').map(str::to_owned));
        }
    }
    lines
}

/// Names, below the room, and lines of all doors among some items.
fn doors(items: &[Item], module: &[String], found: &mut Vec<(String, usize)>) {
    for item in items.iter().filter(|item| !is_test(attributes(item))) {
        let (visibility, ident) = match item {
            Item::Const(item) => (&item.vis, &item.ident),
            Item::Enum(item) => (&item.vis, &item.ident),
            Item::Fn(item) => (&item.vis, &item.sig.ident),
            Item::Static(item) => (&item.vis, &item.ident),
            Item::Struct(item) => (&item.vis, &item.ident),
            Item::Trait(item) => (&item.vis, &item.ident),
            Item::Type(item) => (&item.vis, &item.ident),
            Item::Union(item) => (&item.vis, &item.ident),
            Item::Impl(item) => {
                if let (None, Type::Path(of)) = (&item.trait_, item.self_ty.as_ref()) {
                    let of = of.path.segments.last().map(|segment| segment.ident.to_string());
                    methods(&item.items, of.as_deref().unwrap_or_default(), module, found);
                }
                continue;
            }
            Item::Mod(item) => {
                if let Some((_, items)) = &item.content {
                    let inner: Vec<String> = module.iter().cloned().chain([item.ident.to_string()]).collect();
                    doors(items, &inner, found);
                }
                continue;
            }
            _ => continue,
        };
        if is_door(visibility, module) {
            found.push((name(module, &[&ident.to_string()]), ident.span().start().line));
        }
    }
}

fn methods(items: &[ImplItem], of: &str, module: &[String], found: &mut Vec<(String, usize)>) {
    for item in items {
        let (attributes, visibility, ident) = match item {
            ImplItem::Const(item) => (&item.attrs, &item.vis, &item.ident),
            ImplItem::Fn(item) => (&item.attrs, &item.vis, &item.sig.ident),
            ImplItem::Type(item) => (&item.attrs, &item.vis, &item.ident),
            _ => continue,
        };
        if !is_test(attributes) && is_door(visibility, module) {
            found.push((name(module, &[of, &ident.to_string()]), ident.span().start().line));
        }
    }
}

/// Whether something is visible in the whole crate and not beyond it. What is `pub` is the interface of the package;
/// the compiler tells when it cannot be reached (`unreachable_pub`).
fn is_door(visibility: &Visibility, module: &[String]) -> bool {
    let Visibility::Restricted(restricted) = visibility else { return false };
    let path: Vec<String> = restricted.path.segments.iter().map(|part| part.ident.to_string()).collect();
    absolute(module, &path).is_some_and(|scope| scope.is_empty())
}

/// A name below the room.
fn name(module: &[String], last: &[&str]) -> String {
    let parts: Vec<&str> = module.iter().skip(1).map(String::as_str).chain(last.iter().copied()).collect();
    parts.join("::")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::Source;

    fn judged(files: &[(&str, &str)]) -> (Count, Vec<String>) {
        let sources: Vec<Source> = files
            .iter()
            .map(|(path, text)| Source { path: format!("p/src/{path}"), text: (*text).into() })
            .collect();
        check(&Tree::read("p/src", &sources).unwrap(), "Outbox", &["state"])
    }

    const SEND: &str = "
pub(crate) struct Outbox;
impl Outbox {
    pub(crate) fn enqueue() {}
    pub(super) fn near() {}
    pub(in crate::group) fn own() {}
    fn private() {}
}
impl Clone for Outbox { fn clone(&self) -> Self { Self } }
pub fn interface() {}
#[cfg(test)]
pub(crate) fn only_tests() {}
";

    #[test]
    fn what_the_crate_sees_is_a_door_and_must_be_listed() {
        let map = "//! A room.\n//!\n//! Doors:\n//! - `send::Outbox` - what waits\n//! - `send::Outbox::enqueue` - puts a\n\
                   //!   message into it\n//!\n//! More.\n\nmod send;";
        let both = Count { methods: 1, others: 1 };
        assert_eq!(judged(&[("group/mod.rs", map), ("group/send.rs", SEND)]), (both, Vec::new()));
        let (count, problems) = judged(&[
            ("group/mod.rs", "//! Doors:\n//! - `send::Outbox` - what waits"),
            ("group/send.rs", SEND),
        ]);
        assert_eq!(count, Count { methods: 1, others: 1 });
        assert_eq!(
            problems,
            ["p/src/group/send.rs:4: a door that is not listed in p/src/group/mod.rs: make it \
              `pub(in crate::group)`, or list \"//! - `send::Outbox::enqueue` - what it is for\""]
        );
    }

    #[test]
    fn a_listed_door_is_there() {
        let map = "//! Doors:\n//!\n//! - `gone` - was here\npub(super) fn seen_by_all() {}";
        assert_eq!(
            judged(&[("group/mod.rs", map)]).1,
            [
                "p/src/group/mod.rs:4: a door that is not listed in p/src/group/mod.rs: make it \
                 `pub(in crate::group)`, or list \"//! - `seen_by_all` - what it is for\"",
                "p/src/group/mod.rs: lists the door `gone`, which is not there"
            ]
        );
    }

    #[test]
    fn a_list_that_cannot_be_read_is_told() {
        for (map, told) in [
            ("//! A room.", "no list that begins with a line `Doors:`"),
            ("//! Doors:\n//! - send", "is not \"- `path::name` - what it is for\""),
            ("//! Doors:\n//! - `a` - x\n//! - `a` - y", "lists `a` twice"),
        ] {
            let (_, problems) = judged(&[("group/mod.rs", map)]);
            assert!(problems.len() == 1 && problems[0].contains(told), "{problems:?}");
        }
        assert_eq!(judged(&[("group/x.rs", "")]).1, ["the room group has no mod.rs"]);
    }

    #[test]
    fn open_rooms_and_files_beside_the_folders_need_no_list() {
        let item = "pub(crate) struct Row;";
        assert_eq!(
            judged(&[("state/mod.rs", item), ("state/row.rs", item), ("clock.rs", item)]),
            (Count::default(), Vec::new())
        );
    }
}
