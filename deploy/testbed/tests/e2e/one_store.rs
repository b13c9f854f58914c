//! Several commands of one profile at the same time: one store, one owner, nobody notices.

use testbed::person::text;
use testbed::{Result, Site, ensure};

use crate::support::{all_read, at_once, opened};

#[test]
fn one_can_send_while_another_window_follows() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &alice, &[&bob])?;
    let mut screen = opened(&alice, "team", "window open", &bob)?;
    let sent = alice.sends("team", "from the other window")?;
    ensure(text(&sent, "state") == Some("sent"), || sent.to_string())?;
    screen.sees("from the other window")?;
    alice.does(&["group", "rename", "team", "crew"])?;
    screen.until("the new name", |line| text(line, "event") == Some("renamed"))?;
    // Two windows that both show.
    let mut second = alice.follows("crew")?;
    second.sees("from the other window")?;
    bob.syncs()?;
    bob.sends("crew", "seen by both")?;
    screen.sees("seen by both")?;
    second.sees("seen by both")?;
    // The owner of the store ends, the other window goes on.
    assert_eq!(screen.interrupt()?, 0);
    bob.sends("crew", "one window left")?;
    second.sees("one window left")?;
    Ok(())
}

#[test]
fn sends_of_one_profile_at_the_same_time_all_arrive() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &alice, &[&bob])?;
    let words: Vec<String> = (0..8).map(|n| format!("at once {n}")).collect();
    for pair in words.chunks(4) {
        at_once(
            pair.iter()
                .map(|words| -> Box<dyn FnOnce() -> Result<_> + Send> {
                    let alice = &alice;
                    Box::new(move || alice.sends("team", words))
                })
                .collect(),
        )?;
    }
    alice.syncs()?;
    all_read("team", &[&alice, &bob], &words)
}

/// Killed without a chance to clean up, the owner of the store leaves nothing behind that stops the next one.
#[test]
fn a_killed_owner_leaves_the_store_usable() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &alice, &[&bob])?;
    let mut screen = opened(&alice, "team", "mark", &bob)?;
    screen.process().kill()?;
    let sent = alice.sends("team", "the next command")?;
    ensure(text(&sent, "state") == Some("sent"), || sent.to_string())?;
    all_read("team", &[&alice, &bob], &["mark".into(), "the next command".into()])
}

/// What another process of the profile heard meanwhile is told too, each message as it is now and once.
#[test]
fn a_window_that_slept_while_the_owner_died_is_told_what_changed_meanwhile() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &alice, &[&bob])?;
    let mut owner = opened(&bob, "team", "tee at four", &alice)?;
    let said = text(&alice.sends("team", "coffee at two")?, "id").unwrap_or_default().to_owned();
    owner.sees("coffee at two")?;
    let mut window = bob.follows("team")?;
    window.sees("coffee at two")?;
    // It follows: what is said from now on is not history to it.
    alice.sends("team", "mark")?;
    window.sees("mark")?;
    window.process().pause()?;
    owner.process().kill()?;
    alice.does(&["edit", &said, "coffee at three"])?;
    bob.syncs()?;
    alice.does(&["edit", &said, "coffee at four"])?;
    let last = text(&alice.sends("team", "and cake")?, "id").unwrap_or_default().to_owned();
    alice.does(&["edit", &last, "and pie"])?;
    bob.syncs()?;
    window.process().resume()?;
    window.sees("and pie")?;
    alice.sends("team", "end")?;
    window.sees("end")?;
    let history = window.history().to_vec();
    let shown = |id: &str| {
        let of = |line: &&serde_json::Value| text(line, "id") == Some(id);
        history
            .iter()
            .filter(of)
            .map(|line| text(line, "text").unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(shown(&said), ["coffee at two", "coffee at four"]);
    assert_eq!(shown(&last), ["and pie"]);
    Ok(())
}
