//! Which room names what is in which other: by `use` and by paths in the code, also inside macros.

use std::collections::BTreeMap;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{ImplItem, Item, ItemMod, ItemUse, Macro, Path, TraitItem, VisRestricted};

use crate::rooms::Arrows;
use crate::rooms::tree::{File, Tree, attributes, is_test, leaves};

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) path: String,
    pub(super) line: usize,
}

/// Every arrow between two rooms of a package.
pub(super) fn all(tree: &Tree) -> Arrows {
    let mut arrows = Arrows::new();
    for file in &tree.files {
        let Some(room) = file.room() else { continue };
        let imports = BTreeMap::new();
        let mut reader =
            Reader { tree, file, room, module: file.module.clone(), imports, arrows: &mut arrows };
        // What a name stands for may be said after it was used.
        let mut names = Imports { tree, module: file.module.clone(), found: BTreeMap::new() };
        names.visit_file(&file.syntax);
        reader.imports = names.found;
        reader.visit_file(&file.syntax);
    }
    arrows
}

/// Collects what a file imports from rooms.
struct Imports<'a> {
    tree: &'a Tree,
    module: Vec<String>,
    found: BTreeMap<String, Import>,
}

/// What a name stands for in a file.
struct Import {
    room: String,
    /// A variable of the same name is not it.
    is_module: bool,
}

impl<'ast> Visit<'ast> for Imports<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_test(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        self.module.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        for leaf in leaves(&item.tree) {
            if let (Some(name), Some(room)) = (leaf.name, self.tree.room_of(&self.module, &leaf.path)) {
                let is_module = self.tree.is_module(&self.module, &leaf.path);
                self.found.insert(name, Import { room: room.to_owned(), is_module });
            }
        }
    }
}

/// Collects the arrows of a file.
struct Reader<'a> {
    tree: &'a Tree,
    file: &'a File,
    room: &'a str,
    module: Vec<String>,
    imports: BTreeMap<String, Import>,
    arrows: &'a mut Arrows,
}

impl Reader<'_> {
    fn path(&mut self, path: &[String], line: usize) {
        let named = self.tree.room_of(&self.module, path);
        let imported = || {
            let import = self.imports.get(path.first()?)?;
            (path.len() > 1 || !import.is_module).then_some(import.room.as_str())
        };
        if let Some(room) = named.or_else(imported) {
            let room = room.to_owned();
            self.arrow(room, line);
        }
    }

    fn arrow(&mut self, to: String, line: usize) {
        if to != self.room {
            let place = || Place { path: self.file.path.clone(), line };
            let (times, _) = self.arrows.entry((self.room.to_owned(), to)).or_insert_with(|| (0, place()));
            *times = times.saturating_add(1);
        }
    }

    /// Macros hold anything: only paths that say where they begin are looked for.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let (mut line, mut colons) = (0, 0);
        for token in tokens {
            match token {
                TokenTree::Ident(ident) if !path.is_empty() && colons == 2 => path.push(ident.to_string()),
                TokenTree::Punct(punct) if punct.as_char() == ':' && !path.is_empty() => {
                    colons = if colons == 2 { 1 } else { colons + 1 };
                    continue;
                }
                other => {
                    self.path(&std::mem::take(&mut path), line);
                    match other {
                        TokenTree::Ident(ident)
                            if ident == "crate" || ident == "super" || ident == "self" =>
                        {
                            line = ident.span().start().line;
                            path.push(ident.to_string());
                        }
                        TokenTree::Group(group) => self.tokens(group.stream()),
                        TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => {}
                    }
                }
            }
            colons = 0;
        }
        self.path(&path, line);
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_test(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        let test = matches!(item, ImplItem::Fn(function) if is_test(&function.attrs));
        if !test {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_trait_item(&mut self, item: &'ast TraitItem) {
        let test = matches!(item, TraitItem::Fn(function) if is_test(&function.attrs));
        if !test {
            visit::visit_trait_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        self.module.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        for leaf in leaves(&item.tree) {
            if let Some(room) = self.tree.room_of(&self.module, &leaf.path).map(str::to_owned) {
                self.arrow(room, leaf.line);
            }
        }
    }

    /// For whom something is visible is no use of them.
    fn visit_vis_restricted(&mut self, _: &'ast VisRestricted) {}

    fn visit_path(&mut self, path: &'ast Path) {
        if path.leading_colon.is_none() {
            let names: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
            let line = path.segments.first().map_or(0, |segment| segment.ident.span().start().line);
            self.path(&names, line);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, invoked: &'ast Macro) {
        visit::visit_macro(self, invoked);
        self.tokens(invoked.tokens.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::Source;

    fn arrows(files: &[(&str, &str)]) -> Vec<(String, usize, usize)> {
        let root = ("lib.rs", "mod a; mod b; mod c; pub use b::Shown;");
        let sources: Vec<Source> = files
            .iter()
            .chain([&root, &("b.rs", ""), &("c/mod.rs", "")])
            .map(|(path, text)| Source { path: format!("p/src/{path}"), text: (*text).into() })
            .collect();
        let found = all(&Tree::read("p/src", &sources).unwrap());
        let told = |((from, to), (times, place)): ((String, String), (usize, Place))| {
            assert!(place.path.starts_with("p/src/"));
            (format!("{from} -> {to}"), times, place.line)
        };
        found.into_iter().map(told).collect()
    }

    fn one(text: &str) -> Vec<(String, usize, usize)> {
        arrows(&[("a/mod.rs", text)])
    }

    #[test]
    fn imports_and_what_is_named_through_them_count() {
        let text = "\nuse crate::b::{self, Thing};\nfn f(_: Thing) { b::g(); let _ = crate::c::h(); }";
        assert_eq!(one(text), [("a -> b".into(), 4, 2), ("a -> c".into(), 1, 3)]);
    }

    #[test]
    fn a_variable_is_not_the_module_of_its_name() {
        let text = "use crate::b;\nfn f(b: u8) -> u8 { b }";
        assert_eq!(one(text), [("a -> b".into(), 1, 1)]);
    }

    #[test]
    fn a_name_of_the_root_leads_to_the_room_it_comes_from() {
        assert_eq!(one("use crate::Shown;"), [("a -> b".into(), 1, 1)]);
    }

    #[test]
    fn a_room_may_name_itself_and_its_files_their_neighbours() {
        let text = "use super::own; use self::inner::X; use crate::a::Y; pub(in crate::a) fn f() {}";
        assert_eq!(arrows(&[("a/x.rs", text), ("a/mod.rs", "mod x;")]), []);
        assert_eq!(arrows(&[("a/x.rs", "use super::super::c::Z;")]), [("a -> c".into(), 1, 1)]);
    }

    #[test]
    fn macros_are_looked_into() {
        let text = "fn f() {\n assert!(x == crate::b::Y { z: 1 } && [super::c::q()].is_empty());\n}";
        assert_eq!(one(text), [("a -> b".into(), 1, 2), ("a -> c".into(), 1, 2)]);
        assert_eq!(one("fn f() { format!(\"{}\", self.b); m!(a: crate, b::c: super); }"), []);
    }

    #[test]
    fn tests_may_name_anything() {
        let text = "#[cfg(test)] use crate::c::X; #[cfg(test)] mod tests { use crate::b::Y; }
                    impl S { #[cfg(test)] fn f() { crate::b::g() } }";
        assert_eq!(one(text), []);
    }
}
