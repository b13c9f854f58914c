//! A server of three dies while everybody talks.

use testbed::person::text;
use testbed::{Result, Site, ensure};

use crate::support::{all_equal_in_time, all_read_in_time, echo_bot};

/// Messages before, around and after each death.
const EACH: usize = 8;

#[test]
fn a_killed_leader_of_a_cluster_loses_and_repeats_nothing() -> Result {
    let mut site = Site::cluster()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &alice, &[&bob])?;
    let (_bot, echo) = echo_bot(&alice)?;
    alice.does(&["group", "add", "team", &echo])?;
    let id = text(&alice.shows("team")?, "id").unwrap_or_default().to_owned();
    let group = id.parse()?;
    let stream = cipher_broker::subject::Source::Group(group).stream();
    let mut screen = bob.follows(&id)?;
    bob.sends(&id, "/echo ready")?;
    screen.sees("ready")?;

    let mut said = vec!["/echo ready".to_owned(), "ready".to_owned()];
    let mut acknowledged = Vec::new();
    for round in 0..2 {
        let mut dead = None;
        for n in 0..EACH {
            if n == EACH / 2 {
                let leader = site.broker.leader(&stream)?;
                site.broker.kill(leader)?;
                dead = Some(leader);
            }
            let (person, words) = if n % 2 == 0 {
                (&alice, format!("alice {round} {n}"))
            } else {
                (&bob, format!("/echo bob {round} {n}"))
            };
            let sent = person.sends(&id, &words)?;
            if let Some(echoed) = words.strip_prefix("/echo ") {
                said.push(echoed.to_owned());
            }
            if text(&sent, "state") == Some("sent") {
                acknowledged.push(words.clone());
            }
            said.push(words);
        }
        if let Some(dead) = dead {
            site.broker.start(dead)?;
        }
    }
    ensure(!acknowledged.is_empty(), || "nothing was ever acknowledged".into())?;
    for person in [&alice, &bob] {
        person.syncs()?;
    }
    for words in &said {
        if !screen.history().iter().any(|line| text(line, "text") == Some(words)) {
            screen.sees(words)?;
        }
    }
    all_equal_in_time(&id, &[&alice, &bob])?;
    all_read_in_time(&id, &[&alice, &bob], &said)
}
