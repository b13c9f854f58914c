//! Rooms that need each other.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::rooms::Arrows;

/// One circle, the shortest, for each set of rooms that reach each other: its rooms in order. `exempt` rooms and their
/// arrows are not looked at.
pub(super) fn all(arrows: &Arrows, exempt: &[&str]) -> Vec<Vec<String>> {
    let mut next: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (from, to) in arrows.keys() {
        if !exempt.contains(&from.as_str()) && !exempt.contains(&to.as_str()) {
            next.entry(from).or_default().insert(to);
        }
    }
    let mut circles: Vec<Vec<String>> = Vec::new();
    let mut told: BTreeSet<&str> = BTreeSet::new();
    let mut shortest: Vec<Vec<&str>> = next.keys().filter_map(|room| back_to(room, &next)).collect();
    shortest.sort_by_key(Vec::len);
    for circle in shortest {
        if circle.iter().all(|room| !told.contains(room)) {
            let from = circle.first().copied().unwrap_or_default();
            // Whatever is reached from the circle and reaches it is told by this one.
            told.extend(next.keys().filter(|room| {
                **room == from || (path(from, room, &next).is_some() && path(room, from, &next).is_some())
            }));
            circles.push(circle.into_iter().map(str::to_owned).collect());
        }
    }
    circles
}

/// A circle as a person reads it, with the place of each arrow.
pub(super) fn describe(circle: &[String], arrows: &Arrows) -> String {
    let names: Vec<&str> = circle.iter().chain(circle.first()).map(String::as_str).collect();
    let mut text = format!("rooms in a circle: {}", names.join(" -> "));
    for (from, to) in names.iter().zip(names.iter().skip(1)) {
        if let Some((times, place)) = arrows.get(&((*from).to_owned(), (*to).to_owned())) {
            text.push_str(&format!(
                "\n      {from} -> {to}  {}:{}  ({times} in all)",
                place.path, place.line
            ));
        }
    }
    text
}

/// The shortest way from a room back to it; without its end.
fn back_to<'a>(room: &'a str, next: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> Option<Vec<&'a str>> {
    let mut ways: Vec<Vec<&str>> =
        next.get(room)?.iter().filter_map(|first| path(first, room, next)).collect();
    ways.sort_by_key(Vec::len);
    let mut way = ways.into_iter().next()?;
    way.pop();
    way.insert(0, room);
    Some(way)
}

/// The shortest way from one room to another, with both.
fn path<'a>(from: &'a str, to: &str, next: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> Option<Vec<&'a str>> {
    let (mut seen, mut waiting) = (BTreeSet::from([from]), VecDeque::from([vec![from]]));
    while let Some(way) = waiting.pop_front() {
        let here = way.last().copied()?;
        if here == to {
            return Some(way);
        }
        for room in next.get(here).into_iter().flatten() {
            if seen.insert(room) {
                waiting.push_back(way.iter().copied().chain([*room]).collect());
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rooms::arrow::Place;

    fn arrows(pairs: &[(&str, &str)]) -> Arrows {
        let place = |from: &str| Place { path: format!("src/{from}.rs"), line: 7 };
        let arrow = |(from, to): &(&str, &str)| (((*from).into(), (*to).into()), (2, place(from)));
        pairs.iter().map(arrow).collect()
    }

    #[test]
    fn rooms_on_floors_are_in_no_circle() {
        assert_eq!(all(&arrows(&[("a", "b"), ("b", "c"), ("a", "c")]), &[]), Vec::<Vec<String>>::new());
    }

    #[test]
    fn the_shortest_circle_of_each_tangle_is_told_with_its_places() {
        let arrows = arrows(&[
            ("group", "own"),
            ("own", "people"),
            ("people", "group"),
            ("own", "group"),
            ("x", "y"),
            ("y", "x"),
            ("group", "x"),
        ]);
        let circles = all(&arrows, &[]);
        assert_eq!(circles, [vec!["group", "own"], vec!["x", "y"]]);
        assert_eq!(
            describe(&circles[0], &arrows),
            "rooms in a circle: group -> own -> group\n      group -> own  src/group.rs:7  (2 in all)\n      \
             own -> group  src/own.rs:7  (2 in all)"
        );
    }

    #[test]
    fn an_exempt_room_may_be_part_of_circles() {
        let arrows = arrows(&[("machine", "own"), ("own", "machine"), ("own", "b"), ("b", "own")]);
        assert_eq!(all(&arrows, &["machine"]), [vec!["b", "own"]]);
    }
}
