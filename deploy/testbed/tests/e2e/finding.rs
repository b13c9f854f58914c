//! Messages found by their words, through processes of their own.

use testbed::person::text;
use testbed::{Output, Result, Site, ensure};

fn texts(found: &Output) -> Vec<&str> {
    found.lines.iter().filter_map(|line| text(line, "text")).collect()
}

#[test]
fn words_are_found_by_every_process_as_they_stand_now() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &alice, &[&bob])?;
    let done = alice.sends("team", "Deploy is done")?;
    alice.sends("team", "don’t deploy on friday at 10:30")?;
    alice.sends("team", "設計を見る")?;
    let found = bob.does(&["search", "dep"])?;
    let all = ["don’t deploy on friday at 10:30", "Deploy is done"];
    ensure(texts(&found) == all, || found.to_string())?;
    for (query, expected) in [
        (&["search", "don't"][..], &all[..1]),
        (&["search", "10:30", "--in", "team", "--from", "@alice", "--since", "1h"], &all[..1]),
        (&["search", "\"is done\""], &all[1..]),
        (&["search", "friday", "deploy", "-n", "1"], &all[..1]),
        (&["search", "計を"], &["設計を見る"]),
        (&["search", "friday", "--kind", "poll"], &[]),
    ] {
        let found = bob.does(query)?;
        ensure(texts(&found) == expected, || format!("{query:?}: {found}"))?;
    }
    let shown = bob.as_typed(&["search", "friday"]).output()?;
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    let named = shown.contains("[team ") && shown.contains("@alice: don’t deploy on friday");
    ensure(named, || shown)?;
    let id = text(&done, "id").unwrap_or_default();
    alice.does(&["edit", &id[..8], "Rolled back"])?;
    bob.syncs()?;
    let found = bob.does(&["search", "dep"])?;
    ensure(texts(&found) == all[..1], || found.to_string())?;
    bob.is_refused(2, "usage", &["search", " "])?;
    bob.is_refused(9, "not-found", &["search", "x", "--from", "@nobody"])?;
    Ok(())
}
