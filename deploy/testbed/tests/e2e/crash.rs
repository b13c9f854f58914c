//! `kill -9` at the worst moments.

use testbed::{Result, Site};

use crate::support::all_read;

/// Every message of a group: what people say.
const SPOKEN: &str = "chat.*.g.*.a";
/// What changes a group.
const COMMITS: &str = "chat.*.g.*.h";

/// The question got lost: the message is in the sender's store and nowhere else when the sender dies.
#[test]
fn killed_before_the_broker_has_it_the_message_is_delivered_once() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &alice, &[&bob])?;
    let fault = site.fault()?;
    fault.lose_questions(SPOKEN);
    let mut sending = site.through(&fault, &bob).starts(&["send", "team", "almost lost"])?;
    fault.has_lost(1)?;
    sending.process().kill()?;
    bob.syncs()?;
    bob.syncs()?;
    all_read("team", &[&alice, &bob], &["almost lost".into()])
}

/// The answer got lost: the broker has it, the sender does not know and dies.
#[test]
fn killed_before_the_acknowledgement_the_message_is_there_once() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &alice, &[&bob])?;
    let fault = site.fault()?;
    fault.lose_answers(SPOKEN);
    let mut sending = site.through(&fault, &bob).starts(&["send", "team", "said once"])?;
    fault.has_lost(1)?;
    sending.process().kill()?;
    fault.heal();
    bob.syncs()?;
    all_read("team", &[&alice, &bob], &["said once".into()])
}

/// The same for a commit: it is in the log, its author does not know.
#[test]
fn killed_before_a_commit_is_acknowledged_everybody_is_in_one_world() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &alice, &[&bob])?;
    let id = testbed::person::text(&alice.shows("team")?, "id").unwrap_or_default().to_owned();
    let fault = site.fault()?;
    for (round, lose_answer) in [true, false, true].into_iter().enumerate() {
        if lose_answer {
            fault.lose_answers(COMMITS);
        } else {
            fault.lose_questions(COMMITS);
        }
        let name = format!("name {round}");
        let mut renaming = site.through(&fault, &alice).starts(&["group", "rename", &id, &name])?;
        fault.has_lost(round + 1)?;
        renaming.process().kill()?;
        fault.heal();
        alice.syncs()?;
        let shown = crate::support::all_equal(&id, &[&alice, &bob])?;
        assert_eq!(testbed::person::text(&shown, "name"), Some(name.as_str()));
    }
    bob.sends(&id, "still one world")?;
    all_read(&id, &[&alice, &bob], &["still one world".into()])
}

/// A joiner dies while it joins.
#[test]
fn killed_while_joining_one_can_join_again() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    alice.creates("team", &["bob"])?;
    let fault = site.fault()?;
    fault.lose_questions("$JS.API.DIRECT.GET.>");
    let mut accepting = site.through(&fault, &bob).starts(&["group", "accept", "team"])?;
    fault.has_lost(1)?;
    accepting.process().kill()?;
    bob.accepts("team")?;
    alice.sends("team", "welcome")?;
    all_read("team", &[&alice, &bob], &["welcome".into()])
}

/// A slow line changes nothing but the time it takes.
#[test]
fn a_slow_line_is_only_slow() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &alice, &[&bob])?;
    let fault = site.fault()?;
    fault.delay(std::time::Duration::from_millis(150));
    let far = site.through(&fault, &bob);
    far.sends("team", "from far away")?;
    all_read("team", &[&alice, &bob], &["from far away".into()])
}

/// A line that breaks in the middle of a conversation is taken up again by itself.
#[test]
fn a_cut_line_is_taken_up_again() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &alice, &[&bob])?;
    let fault = site.fault()?;
    let mut screen = site.through(&fault, &bob).follows("team")?;
    alice.sends("team", "one")?;
    screen.sees("one")?;
    fault.cut();
    alice.sends("team", "two")?;
    fault.heal();
    screen.sees("two")?;
    alice.sends("team", "three")?;
    screen.sees("three")?;
    all_read("team", &[&alice], &["one".into(), "two".into(), "three".into()])
}
