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
