//! Two who change a group at the same moment, and writers in between: one order, one world.

use testbed::{Failure, Person, Result, Site, ensure};

use crate::support::{all_equal_in_time, all_read_in_time, at_once};

/// Two admins rename and add at once, over and over; each command succeeds in the end and nobody forks.
fn committers(site: &Site, rounds: usize) -> Result {
    let (alice, bob, carol) = (site.registered("alice")?, site.registered("bob")?, site.registered("carol")?);
    site.group("team", &alice, &[&bob, &carol])?;
    alice.does(&["group", "role", "team", "bob", "admin"])?;
    bob.syncs()?;
    let id = group_id(&alice)?;
    for round in 0..rounds {
        let newcomers =
            [site.registered(&format!("left{round}"))?, site.registered(&format!("right{round}"))?];
        let [left, right] = &newcomers;
        let (rename, add_left, add_right) = (format!("team {round}"), left.name(), right.name());
        at_once(vec![
            Box::new(|| alice.does(&["group", "add", &id, add_left])),
            Box::new(|| bob.does(&["group", "add", &id, add_right])),
            Box::new(|| alice.does(&["group", "rename", &id, &rename])),
        ])?;
        for newcomer in &newcomers {
            newcomer.accepts(&id)?;
        }
    }
    let shown = all_equal_in_time(&id, &[&alice, &bob, &carol])?;
    let members = shown.get("members").and_then(|members| members.as_array()).map_or(0, Vec::len);
    ensure(members == 3 + 2 * rounds, || format!("{members} members: {shown}"))
}

/// Two admins commit as fast as they can while two members write: no message is lost, none shown twice, and
/// everybody ends in one world.
fn writers_between_committers(site: &Site, commits: usize, messages: usize) -> Result {
    let people: Vec<Person> = ["alice", "bob", "carol", "dave"]
        .into_iter()
        .map(|name| site.registered(name))
        .collect::<Result<_>>()?;
    let [alice, bob, carol, dave] = people.as_slice() else { return testbed::fail("four people") };
    site.group("team", alice, &[bob, carol, dave])?;
    alice.does(&["group", "role", "team", "bob", "admin"])?;
    bob.syncs()?;
    let id = group_id(alice)?;
    let renames = |person: &Person| -> Result<Vec<String>> {
        for n in 0..commits {
            person.does(&["group", "rename", &id, &format!("{} {n}", person.name())])?;
        }
        Ok(Vec::new())
    };
    let writes = |person: &Person| -> Result<Vec<String>> {
        (0..messages)
            .map(|n| {
                let words = format!("{} says {n}", person.name());
                person.sends(&id, &words).map(|_| words)
            })
            .collect()
    };
    let said = at_once(vec![
        Box::new(|| renames(alice)),
        Box::new(|| renames(bob)),
        Box::new(|| writes(carol)),
        Box::new(|| writes(dave)),
    ])?;
    let expected: Vec<String> = said.into_iter().flatten().collect();
    // Whoever fell behind a commit says it again in the new epoch.
    for person in &people {
        person.syncs()?;
    }
    all_equal_in_time(&id, &[alice, bob, carol, dave])?;
    all_read_in_time(&id, &[alice, bob, carol, dave], &expected)
}

fn group_id(person: &Person) -> Result<String> {
    let shown = person.shows("team")?;
    let id = testbed::person::text(&shown, "id").map(str::to_owned);
    id.ok_or_else(|| Failure::new(shown.to_string()))
}

#[test]
fn two_committers_at_once_end_in_one_world() -> Result {
    committers(&Site::single()?, 3)
}

#[test]
fn two_committers_at_once_end_in_one_world_on_a_cluster() -> Result {
    committers(&Site::cluster()?, 2)
}

#[test]
fn no_message_is_lost_between_racing_commits() -> Result {
    writers_between_committers(&Site::single()?, 10, 15)
}

#[test]
fn no_message_is_lost_between_racing_commits_on_a_cluster() -> Result {
    writers_between_committers(&Site::cluster()?, 6, 10)
}
