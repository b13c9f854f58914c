//! What commands say and how they end, where that needs a broker: the rows D of the table of faults.

use std::fs::OpenOptions;

use testbed::person::text;
use testbed::{Result, Site, ensure};

fn unread(person: &testbed::Person, group: &str) -> Result<u64> {
    Ok(person.shows(group)?.get("unread").and_then(serde_json::Value::as_u64).unwrap_or_default())
}

/// D01, D04: a script reads the last one of six; five stay unread, and are what `--unread` and `--after` give.
#[test]
fn d01_d04_only_what_was_shown_is_read_and_a_script_goes_on_where_it_was() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &alice, &[&bob])?;
    bob.reads("team")?;
    for n in 1..=6 {
        alice.sends("team", &format!("message {n}"))?;
    }
    let last = bob.does(&["read", "team", "-n", "1"])?;
    ensure(last.lines.iter().any(|line| text(line, "text") == Some("message 6")), || last.to_string())?;
    ensure(unread(&bob, "team")? == 5, || "one was shown".into())?;
    let since = bob.does(&["read", "team", "--unread", "-n", "2"])?;
    let texts: Vec<_> = since.lines.iter().filter_map(|line| text(line, "text")).collect();
    ensure(texts == ["message 4", "message 5"], || since.to_string())?;
    ensure(unread(&bob, "team")? == 3, || "two more were shown".into())?;
    let all = bob.reads("team")?;
    let third =
        all.iter().find(|line| text(line, "text") == Some("message 3")).and_then(|line| text(line, "id"));
    let after = bob.does(&["read", "team", "--after", third.unwrap_or_default()])?;
    let texts: Vec<_> = after.lines.iter().filter_map(|line| text(line, "text")).collect();
    ensure(texts == ["message 4", "message 5", "message 6"], || after.to_string())?;
    ensure(after.lines.iter().all(|line| text(line, "at").is_some()), || after.to_string())?;
    bob.is_refused(9, "not-found", &["read", "team", "--after", &"a".repeat(26)])?;
    let short: String = third.unwrap_or_default().chars().take(8).collect();
    let page = bob.does(&["read", "team", "--after", &short, "--first", "2"])?;
    let texts: Vec<_> = page.lines.iter().filter_map(|line| text(line, "text")).collect();
    ensure(texts == ["message 4", "message 5"], || page.to_string())?;
    let around = bob.does(&["read", "team", "--around", &short, "-n", "1"])?;
    let texts: Vec<_> = around.lines.iter().filter_map(|line| text(line, "text")).collect();
    ensure(texts == ["message 2", "message 3", "message 4"], || around.to_string())?;
    let answer = bob.does(&["send", "team", "an answer", "--reply-to", &short])?.of_type("message")?;
    ensure(text(&answer, "reply_to") == third, || answer.to_string())?;
    Ok(())
}

/// D03, D07, D09: what the other side says is seen before the decision; words that mean several things, or another thing.
#[test]
fn d03_d07_d09_words_mean_what_a_person_means() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    alice.does(&["contact", "add", "@Bob", "-m", "it is me, from the on-call room"])?;
    let asks = bob.does(&["contact", "requests"])?.of_type("contact")?;
    ensure(text(&asks, "text") == Some("it is me, from the on-call room"), || asks.to_string())?;
    let shown = bob.as_typed(&["contact", "requests"]).output()?;
    ensure(String::from_utf8_lossy(&shown.stdout).contains("“it is me, from the on-call room”"), || {
        String::from_utf8_lossy(&shown.stdout).into_owned()
    })?;
    let lost = alice.is_refused(9, "not-found", &["send", "bob", "x"])?;
    ensure(lost.stderr.contains("did you mean @bob?"), || lost.to_string())?;
    alice.is_refused(2, "usage", &["send", "@alice", "x"])?;
    alice.is_refused(8, "conflict", &["register", "alice"])?;
    Ok(())
}

/// D08: a message that was sent is not reported as a failure because nobody could be told.
#[test]
fn d08_a_full_standard_output_does_not_unsend() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &alice, &[&bob])?;
    let full = OpenOptions::new().write(true).open("/dev/full")?;
    let sent = alice.command(&["send", "team", "once"]).stdout(full).output()?;
    let told = String::from_utf8_lossy(&sent.stderr).into_owned();
    ensure(sent.status.code() == Some(0) && told.contains("this is done"), || {
        format!("{} {told}", sent.status)
    })?;
    ensure(bob.texts("team")?.iter().filter(|words| *words == "once").count() == 1, || "not once".into())
}
