//! Into a group by a link: how long, how often, with whose yes, and never again.

use cipher_broker::codec;
use cipher_broker::subject::{Route, Source};
use cipher_broker::wire::envelope::Envelope;
use cipher_broker::wire::join::JoinTicket;
use serde_json::Value;
use testbed::person::{kind_of, text};
use testbed::{Failure, Person, Result, Screen, Site, ensure, wait};

/// Makes a link; gives its line.
fn invites(person: &Person, group: &str, arguments: &[&str]) -> Result<Value> {
    person.does(&[&["group", "invite", group], arguments].concat())?.of_type("join-link")
}

fn field(line: &Value, name: &str) -> Result<String> {
    text(line, name).map(str::to_owned).ok_or_else(|| Failure::new(format!("no {name} in {line}")))
}

/// A member whose agent is there to answer.
fn present(member: &Person) -> Result<Screen> {
    let mut screen = member.starts(&["tail"])?;
    screen.is_ready()?;
    Ok(screen)
}

/// Joins by a link while a member is there: at once.
fn joins(person: &Person, link: &str) -> Result {
    let group = person.does(&["join", link])?.of_type("group")?;
    ensure(text(&group, "state") == Some("active"), || group.to_string())
}

/// Asks by a link that lets nobody in.
fn is_turned_away(person: &Person, link: &str) -> Result {
    person.is_refused(4, "refused", &["join", link]).map(drop)
}

#[test]
fn a_link_lets_in_as_many_as_it_says() -> Result {
    let site = Site::single()?;
    let (alice, bob, carol) = (site.registered("alice")?, site.registered("bob")?, site.registered("carol")?);
    alice.creates("team", &[])?;
    let _there = present(&alice)?;
    let link = invites(&alice, "team", &["--uses", "1", "--expires", "1h"])?;
    ensure(link.get("uses").and_then(Value::as_u64) == Some(1), || link.to_string())?;
    let words = field(&link, "link")?;
    joins(&bob, &words)?;
    bob.sends("team", "that was easy")?;
    crate::support::all_read("team", &[&alice], &["that was easy".into()])?;
    is_turned_away(&carol, &words)?;
    ensure(carol.run(&["group", "show", "team"])?.code == 9, || "carol is in".into())
}

#[test]
fn a_link_ends_by_time_and_by_word() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    alice.creates("team", &[])?;
    let _there = present(&alice)?;
    let short = field(&invites(&alice, "team", &["--expires", "2s"])?, "link")?;
    wait::until_it_is(short.parse::<JoinTicket>()?.expires)?;
    is_turned_away(&bob, &short)?;
    let link = invites(&alice, "team", &[])?;
    let listed = alice.does(&["group", "invite", "team", "--list"])?.lines;
    ensure(listed.iter().any(|line| line.get("id") == link.get("id")), || format!("{listed:?}"))?;
    alice.does(&["group", "invite", "team", "--revoke", &field(&link, "id")?])?;
    is_turned_away(&bob, &field(&link, "link")?)?;
    bob.is_refused(2, "usage", &["join", "https://example.org/not-a-link"])?;
    Ok(())
}

/// R-LINK-04, K-class: whoever has the bytes of a request brings nobody back with them, not even the broker.
#[tokio::test(flavor = "multi_thread")]
async fn r_link_04_a_request_that_comes_again_brings_nobody_back() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    alice.creates("team", &[])?;
    let link = field(&invites(&alice, "team", &[])?, "link")?;
    let there = present(&alice)?;
    joins(&bob, &link)?;
    alice.does(&["group", "remove", "team", "bob"])?;
    drop(there);
    let before = alice.shows("team")?;

    let group = link.parse::<JoinTicket>()?.group;
    let client = testbed::raw::agent(&site.broker).await?;
    let get = format!("$JS.API.DIRECT.GET.{}", Source::Group(group).stream());
    let mut requests = Vec::new();
    for sequence in 1..100 {
        let stored = client.request(get.clone(), format!("{{\"seq\":{sequence}}}").into()).await?;
        if matches!(codec::decode(&stored.payload), Ok(Envelope::Join { .. })) {
            requests.push(stored.payload);
        }
    }
    ensure(requests.len() == 1, || format!("{} requests", requests.len()))?;
    for request in requests {
        client.request(Route::Application(group).to_string(), request).await?;
    }
    let mut there = present(&alice)?;
    alice.syncs()?;
    alice.sends("team", "still alone")?;
    let after = alice.shows("team")?;
    for same in ["epoch", "members", "authenticator"] {
        ensure(after.get(same) == before.get(same), || format!("{same}: {before}\n{after}"))?;
    }
    let waiting = alice.does(&["group", "requests", "team"])?.lines;
    ensure(waiting.is_empty(), || format!("{waiting:?}"))?;
    there.interrupt()?;
    ensure(bob.run(&["send", "team", "back again"])?.code != 0, || "bob is back".into())
}

#[test]
fn somebody_approves_where_the_link_says_so() -> Result {
    let site = Site::single()?;
    let (alice, bob, carol) = (site.registered("alice")?, site.registered("bob")?, site.registered("carol")?);
    alice.creates("team", &[])?;
    let _there = present(&alice)?;
    let link = field(&invites(&alice, "team", &["--approve"])?, "link")?;
    for person in [&bob, &carol] {
        person.does(&["join", &link])?.of_type("join-pending")?;
    }
    let waiting = wait::until("both requests are there", || {
        alice.syncs().ok()?;
        let lines = alice.does(&["group", "requests", "team"]).ok()?.lines;
        let waiting: Vec<_> =
            lines.into_iter().filter(|line| kind_of(line) == Some("join-request")).collect();
        (waiting.len() == 2).then_some(waiting)
    })?;
    ensure(waiting.iter().any(|line| text(line, "handle") == Some("bob")), || format!("{waiting:?}"))?;
    alice.does(&["group", "requests", "team", "--accept", "@bob"])?;
    alice.does(&["group", "requests", "team", "--deny", "@carol"])?;
    wait::until("bob is in", || {
        bob.syncs().ok()?;
        bob.shows("team").ok().filter(|group| text(group, "state") == Some("active"))
    })?;
    carol.syncs()?;
    ensure(carol.run(&["group", "show", "team"])?.code == 9, || "carol is in".into())
}

#[test]
fn who_is_banned_does_not_come_back() -> Result {
    let site = Site::single()?;
    let (alice, bob, carol) = (site.registered("alice")?, site.registered("bob")?, site.registered("carol")?);
    site.group("team", &alice, &[&bob, &carol])?;
    let _there = present(&alice)?;
    bob.is_refused(4, "refused", &["group", "ban", "team", "carol"])?;
    let shown = alice.does(&["group", "ban", "team", "bob"])?.of_type("group")?;
    let members = shown.get("members").and_then(Value::as_array).cloned().unwrap_or_default();
    ensure(!members.iter().any(|member| text(member, "handle") == Some("bob")), || shown.to_string())?;
    alice.is_refused(4, "refused", &["group", "add", "team", "bob"])?;
    let link = field(&invites(&alice, "team", &[])?, "link")?;
    is_turned_away(&bob, &link)?;
    alice.does(&["group", "unban", "team", "bob"])?;
    joins(&bob, &link)
}
