//! What was said before a member came, given by another one: through the commands that people type.

use serde_json::Value;
use testbed::person::text;
use testbed::{Person, Result, Site, ensure};

/// The lines that a person has by the word of others.
fn granted(person: &Person) -> Result<Vec<Value>> {
    let lines = person.reads("team")?;
    Ok(lines.into_iter().filter(|line| text(line, "kind") == Some("granted")).collect())
}

fn texts(lines: &[Value]) -> Vec<&str> {
    lines.iter().filter_map(|line| text(line, "text")).collect()
}

#[test]
fn a_member_gives_another_one_what_was_said_before_it_came() -> Result {
    let site = Site::single()?;
    let [alice, bob] = [site.registered("alice")?, site.registered("bob")?];
    let carol = site.registered("carol")?;
    site.group("team", &alice, &[&bob])?;
    alice.sends("team", "the plan")?;
    bob.sends("team", "the answer")?;
    alice.does(&["send", "team", "soon gone", "--expire", "1d"])?;
    let gone = bob.sends("team", "taken back")?;
    bob.does(&["delete", text(&gone, "id").unwrap_or_default()])?;
    alice.syncs()?;
    alice.does(&["group", "add", "team", "carol"])?;
    carol.accepts("team")?;
    carol.sends("team", "hello")?;

    // What the group does not let, who is no member, and what makes no sense.
    let give = ["history", "grant", "team", "carol", "--last"];
    let grant = |person: &Person, last: &str, code, kind: &str| {
        person.is_refused(code, kind, &[&give[..], &[last]].concat())
    };
    grant(&bob, "40", 4, "refused")?;
    alice.does(&["group", "set", "team", "history=all"])?;
    bob.is_refused(9, "not-found", &["history", "grant", "team", "dave", "--last", "40"])?;
    bob.is_refused(9, "not-found", &["history", "grant", "nowhere", "carol", "--last", "40"])?;
    grant(&bob, "1001", 5, "limit")?;
    for last in ["0", "soon"] {
        bob.run(&[&give[..], &[last]].concat())?.expecting(2)?;
    }

    // Carol follows, and every member is told.
    let mut follows = alice.follows("team")?;
    follows.is_ready()?;
    let line = bob.does(&[&give[..], &["30d"]].concat())?.of_type("message")?;
    assert_eq!(text(&line, "kind"), Some("history-grant"));
    let told = |line: &Value| text(line, "kind") == Some("history-grant");
    let seen = follows.until("the line that tells of it", told)?;
    let of = seen.get("grant").cloned().unwrap_or_default();
    assert_eq!((text(&of, "to"), of.get("count").and_then(Value::as_u64)), (Some("carol"), Some(2)));
    follows.interrupt()?;

    carol.syncs()?;
    let lines = carol.reads("team")?;
    let given = granted(&carol)?;
    assert_eq!(texts(&given), ["the plan", "the answer"]);
    for (line, author) in given.iter().zip(["alice", "bob"]) {
        assert_eq!(text(line, "granted_by"), Some("bob"));
        let of = line.get("granted").cloned().unwrap_or_default();
        assert_eq!(text(&of, "from"), Some(author));
        assert_eq!(line.get("from").and_then(|from| text(from, "handle")), Some("bob"));
    }
    assert_eq!(lines.first(), given.first(), "it stands before what carol read herself");
    // As people see it.
    let shown = carol.as_typed(&["read", "team"]).output()?;
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    ensure(shown.contains("@bob: (says that @alice wrote) the plan"), || shown.clone())?;
    ensure(shown.contains("@bob: (gave @carol the last 2 messages, from 20"), || shown.clone())?;
    // It is found, and exported with its mark.
    let found = carol.does(&["search", "plan"])?;
    ensure(found.lines.iter().any(|line| line.to_string().contains("granted_by")), || {
        format!("{:?}", found.lines)
    })?;
    let page = carol.home().join("team.md");
    carol.does(&["export", "team", "--format", "md", "--to", page.to_str().unwrap_or_default()])?;
    let page = std::fs::read_to_string(page)?;
    ensure(page.contains("says that @alice wrote"), || page.clone())?;
    // Again is not twice, and nothing of it can be changed.
    bob.does(&[&give[..], &["40"]].concat())?;
    carol.syncs()?;
    let given = granted(&carol)?;
    assert_eq!(texts(&given), ["the plan", "the answer"]);
    let id = given.first().and_then(|line| text(line, "id")).unwrap_or_default();
    carol.is_refused(4, "refused", &["react", id, "tada"])?;
    // Without a broker nothing is given, and nothing is queued.
    let mut nowhere = bob.command(&[&give[..], &["40"], &["--server", "nats://127.0.0.1:1"]].concat());
    assert_eq!(nowhere.output()?.status.code(), Some(3));
    Ok(())
}
