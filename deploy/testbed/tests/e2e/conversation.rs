//! People and a bot talk.

use std::path::Path;

use serde_json::{Value, json};
use testbed::person::{Output, Person, text};
use testbed::{Result, Site, ensure, process};

use crate::support::{all_equal, all_read, echo_bot, opened};

/// The whole first day: accounts, a group, talk, a bot, a new name, a new role, and a member who has to go.
#[test]
fn people_and_a_bot_talk_and_a_removed_member_reads_no_more() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    alice.creates("team", &["bob"])?;
    let joined = bob.accepts("team")?;
    assert_eq!(text(&joined, "name"), Some("team"));

    let mut bobs_screen = opened(&bob, "team", "can you read me?", &alice)?;
    bob.sends("team", "loud and clear")?;
    let said = bobs_screen.sees("loud and clear")?;
    assert_eq!(said.pointer("/from/handle").and_then(|h| h.as_str()), Some("bob"));

    let (mut bot, echo) = echo_bot(&alice)?;
    alice.does(&["group", "add", "team", &echo])?;
    let shown = testbed::wait::until("the bot has joined", || {
        let shown = alice.shows("team").ok()?;
        let members = shown.get("members")?.as_array()?.clone();
        members.iter().any(|member| text(member, "handle") == Some(&echo)).then_some(shown)
    })?;
    let kinds = shown.get("members").and_then(|members| members.as_array()).into_iter().flatten();
    ensure(kinds.filter(|member| text(member, "kind") == Some("bot")).count() == 1, || shown.to_string())?;
    bob.sends("team", "/echo hello from the machine")?;
    let answer = bobs_screen.sees("hello from the machine")?;
    assert_eq!(answer.pointer("/from/kind").and_then(|kind| kind.as_str()), Some("bot"));

    alice.does(&["group", "rename", "team", "crew"])?;
    alice.does(&["group", "role", "crew", "bob", "admin"])?;
    bobs_screen.until("the new name", |line| text(line, "event") == Some("renamed"))?;
    bobs_screen.until("the new role", |line| text(line, "event") == Some("role"))?;
    all_equal("crew", &[&alice, &bob])?;

    alice.does(&["group", "remove", "crew", "bob"])?;
    alice.sends("crew", "now we are alone")?;
    bobs_screen.until("the removal", |line| text(line, "event") == Some("removed"))?;
    bobs_screen.interrupt()?;
    ensure(!bob.texts("crew")?.contains(&"now we are alone".to_owned()), || "bob still reads".into())?;
    let refused = bob.run(&["send", "crew", "let me in"])?;
    ensure([4, 9].contains(&refused.code), || refused.to_string())?;
    assert_eq!(bot.interrupt()?, 0, "a bot ends in order on Ctrl-C");
    Ok(())
}

#[test]
fn a_direct_conversation_needs_both_sides() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    alice.does(&["contact", "add", "bob", "-m", "it is me"])?;
    let waits = bob.is_refused(4, "refused", &["read", "@alice"])?;
    ensure(waits.stderr.contains("contact accept alice"), || waits.to_string())?;
    bob.does(&["contact", "accept", "alice"])?;
    alice.sends("@bob", "nice to meet you")?;
    bob.sends("@alice", "likewise")?;
    alice.syncs()?;
    let texts = alice.texts("@bob")?;
    ensure(texts.iter().any(|words| words == "likewise"), || format!("{texts:?}"))
}

#[test]
fn a_member_who_was_away_catches_up_through_commits_and_messages() -> Result {
    let site = Site::single()?;
    let (alice, bob, carol) = (site.registered("alice")?, site.registered("bob")?, site.registered("carol")?);
    site.group("team", &alice, &[&bob])?;
    let mut expected = Vec::new();
    for round in 0..4 {
        alice.does(&["group", "rename", "team", &format!("team-{round}")])?;
        alice.does(&["group", "rename", &format!("team-{round}"), "team"])?;
        for n in 0..3 {
            let words = format!("round {round} message {n}");
            alice.sends("team", &words)?;
            expected.push(words);
        }
    }
    alice.does(&["group", "add", "team", "carol"])?;
    carol.accepts("team")?;
    carol.sends("team", "a new voice")?;
    expected.push("a new voice".into());
    all_read("team", &[&alice, &bob], &expected)?;
    all_equal("team", &[&alice, &bob, &carol])?;
    ensure(carol.texts("team")? == ["a new voice"], || "carol reads what was before her".into())
}

#[test]
fn what_is_said_offline_is_queued_and_delivered_once() -> Result {
    let mut site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &alice, &[&bob])?;
    site.broker.stop(0)?;
    let queued = alice.sends("team", "written on the train")?;
    assert_eq!(text(&queued, "state"), Some("queued"));
    assert_eq!(text(&alice.sends("team", "and another")?, "state"), Some("queued"));
    site.broker.start(0)?;
    alice.syncs()?;
    alice.syncs()?;
    all_read("team", &[&alice, &bob], &["written on the train".into(), "and another".into()])
}

#[test]
fn a_conversation_goes_on_when_the_broker_comes_back() -> Result {
    let mut site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &alice, &[&bob])?;
    let mut screen = opened(&bob, "team", "before", &alice)?;
    for round in 0..2 {
        site.broker.kill(0)?;
        site.broker.start(0)?;
        let words = format!("after restart {round}");
        let sent = alice.sends("team", &words)?;
        ensure(text(&sent, "state") == Some("sent"), || sent.to_string())?;
        screen.sees(&words)?;
    }
    all_read("team", &[&alice], &["before".into(), "after restart 0".into(), "after restart 1".into()])
}

#[test]
fn a_post_quantum_group_works_like_any_other() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    let made = alice.does(&["group", "create", "vault", "--with", "bob", "--pq"])?.of_type("group")?;
    ensure(made.get("suite").and_then(Value::as_u64) == Some(0x004F), || made.to_string())?;
    bob.accepts("vault")?;
    bob.sends("vault", "harvest this")?;
    all_read("vault", &[&alice, &bob], &["harvest this".into()])
}

#[test]
fn a_reaction_is_shown_under_its_message_to_scripts_and_to_people() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &alice, &[&bob])?;
    let mut screen = opened(&bob, "team", "tea at five?", &alice)?;
    let said = alice.does(&["read", "team"])?.lines;
    let said = said.iter().find(|line| text(line, "text") == Some("tea at five?"));
    let id = said.and_then(|line| text(line, "id")).unwrap_or_default().to_owned();
    let begins = id.get(..8).unwrap_or_default();
    ensure(said.is_some_and(|line| line["reactions"] == json!([])), || format!("{said:?}"))?;
    let reacted = bob.does(&["react", begins, "tada", "--in", "team"])?.of_type("message")?;
    ensure(reacted["reactions"] == json!([{"emoji": "🎉", "by": ["bob"], "own": true}]), || {
        reacted.to_string()
    })?;
    let seen = screen.sees("tea at five?")?;
    ensure(text(&seen, "id") == Some(&id) && seen["reactions"][0]["emoji"] == "🎉", || seen.to_string())?;
    alice.does(&["react", &id, "🎉"])?;
    alice.does(&["react", &id, ":+1:"])?;
    bob.syncs()?;
    let all = json!([
        {"emoji": "🎉", "by": ["bob", "alice"], "own": true},
        {"emoji": "👍", "by": ["alice"], "own": false},
    ]);
    let lines = bob.does(&["read", "team"])?.lines;
    let shown = lines.iter().find(|line| text(line, "id") == Some(&id));
    ensure(shown.is_some_and(|line| line["reactions"] == all), || format!("{lines:?}"))?;
    let typed = bob.as_typed(&["read", "team"]).output()?;
    let typed = String::from_utf8_lossy(&typed.stdout).into_owned();
    ensure(typed.contains("tea at five?\n    🎉 @bob, @alice  👍 @alice\n"), || typed.clone())?;
    alice.is_refused(4, "refused", &["react", &id, "👍"])?;
    alice.is_refused(2, "usage", &["react", &id, "great"])?;
    bob.is_refused(4, "refused", &["react", &id, "👍", "--remove"])?;
    bob.does(&["react", &id, "🎉", "--remove"])?;
    alice.syncs()?;
    let lines = alice.does(&["read", "team"])?.lines;
    let shown = lines.iter().find(|line| text(line, "id") == Some(&id));
    let left =
        json!([{"emoji": "🎉", "by": ["alice"], "own": true}, {"emoji": "👍", "by": ["alice"], "own": true}]);
    ensure(shown.is_some_and(|line| line["reactions"] == left), || format!("{lines:?}"))
}

/// One of the messages of a conversation, as scripts are shown it.
fn line_of(person: &Person, target: &str, words: &str) -> Result<Value> {
    let lines = person.does(&["read", target])?.lines;
    let line = lines.iter().find(|line| text(line, "text") == Some(words));
    line.cloned().ok_or_else(|| testbed::Failure::new(format!("no {words:?} in {lines:?}")))
}

#[test]
fn an_author_is_shown_what_became_of_its_words_unless_somebody_does_not_want_it() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &alice, &[&bob])?;
    let sent = alice.sends("team", "tea at five?")?;
    ensure(text(&sent, "state") == Some("sent") && sent.get("receipts").is_none(), || sent.to_string())?;
    bob.syncs()?;
    let came = |state: &'static str| {
        testbed::wait::until(state, || {
            bob.syncs().ok()?;
            alice.syncs().ok()?;
            let line = line_of(&alice, "team", "tea at five?").ok()?;
            let by = line.pointer("/receipts/0/handle").and_then(Value::as_str) == Some("bob");
            (text(&line, "state") == Some(state) && by).then_some(line)
        })
    };
    came("delivered")?;
    bob.does(&["read", "team"])?;
    came("read")?;
    let typed = alice.as_typed(&["read", "team"]).output()?;
    let typed = String::from_utf8_lossy(&typed.stdout).into_owned();
    ensure(typed.contains("@alice: tea at five? ✓✓\n"), || typed.clone())?;
    bob.does(&["profile", "set", "--receipts", "off"])?;
    alice.sends("team", "and at six?")?;
    bob.does(&["read", "team"])?;
    bob.syncs()?;
    alice.syncs()?;
    let line = line_of(&alice, "team", "and at six?")?;
    ensure(text(&line, "state") == Some("sent"), || line.to_string())
}

#[test]
fn a_message_disappears_after_it_was_read_and_for_its_author_after_it_was_sent() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &alice, &[&bob])?;
    let sent =
        alice.does(&["send", "team", "the door code is 4711", "--expire", "3s"])?.of_type("message")?;
    ensure(sent["expire"] == 3 && text(&sent, "expires_at").is_some(), || sent.to_string())?;
    alice.sends("team", "this stays")?;
    let typed = bob.as_typed(&["read", "team"]).output()?;
    let typed = String::from_utf8_lossy(&typed.stdout).into_owned();
    ensure(typed.contains("@alice: the door code is 4711 (disappears after 3 seconds)\n"), || typed.clone())?;
    for person in [&alice, &bob] {
        testbed::wait::until("it is gone", || (person.texts("team").ok()? == ["this stays"]).then_some(()))?;
    }
    alice.is_refused(2, "usage", &["send", "team", "hello", "--expire", "soon"])?;
    alice.is_refused(5, "limit", &["send", "team", "hello", "--expire", "500d"])?;
    Ok(())
}

#[test]
fn an_edit_and_a_deletion_reach_the_others_and_a_screen_that_follows() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &alice, &[&bob])?;
    let mut screen = opened(&bob, "team", "tee at five", &alice)?;
    let said = alice.does(&["read", "team"])?.lines;
    let said = said.iter().find(|line| text(line, "text") == Some("tee at five"));
    let id = said.and_then(|line| text(line, "id")).unwrap_or_default().to_owned();
    let begins = id.get(..8).unwrap_or_default();
    let shown = alice.as_typed(&["read", "team", "--ids"]).output()?;
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    ensure(shown.contains(&format!("[{begins}] @alice: tee at five")), || shown.clone())?;
    let edited = alice.does(&["edit", begins, "tea at five"])?.of_type("message")?;
    ensure(edited["edited"] == true && text(&edited, "id") == Some(&id), || edited.to_string())?;
    let seen = screen.sees("tea at five")?;
    ensure(seen["edited"] == true, || seen.to_string())?;
    let refused = bob.is_refused(4, "refused", &["edit", &id, "coffee at five"])?;
    ensure(refused.stderr.contains("@alice"), || refused.to_string())?;
    bob.does(&["delete", &id, "--local"])?;
    ensure(alice.texts("team")? == ["tea at five"], || "a local deletion was told to others".into())?;
    let answer = alice.does(&["send", "team", "which five?", "--reply-to", begins])?.of_type("message")?;
    ensure(text(&answer, "reply_to") == Some(&id), || answer.to_string())?;
    let gone = alice.does(&["delete", &id, "--in", "team"])?.of_type("message")?;
    ensure(gone["deleted"] == true && text(&gone, "text") == Some(""), || gone.to_string())?;
    // It is no question of roles.
    for again in [&["delete", &id][..], &["edit", &id, "tea at six"]] {
        let refused = alice.run(again)?.expecting(4)?;
        ensure(refused.stderr.contains("deleted already") && !refused.stderr.contains("role"), || {
            refused.to_string()
        })?;
    }
    bob.syncs()?;
    for person in [&alice, &bob] {
        let lines = person.does(&["read", "team"])?.lines;
        let deleted = |line: &&Value| line["deleted"] == true && text(line, "text") == Some("");
        let stays = lines.iter().filter(|line| text(line, "id") == Some(&id)).filter(deleted).count();
        ensure(stays == 1, || format!("{lines:?}"))?;
    }
    alice.is_refused(2, "usage", &["edit", "abc", "x"])?;
    alice.is_refused(9, "not-found", &["edit", "aaaaaaaa", "x"])?;
    Ok(())
}

/// S2: what a hint says to type goes to the same profile as the command that gave it, and is one command for a shell.
#[test]
fn s2_a_hint_does_what_it_says_when_it_is_typed_as_it_is_printed() -> Result {
    let site = Site::single()?;
    let alice = site.registered("alice")?;
    let program = process::binary("cipher-chat")?;
    let folder = alice.home();
    let sealed = |program: &Path| {
        let mut command = process::sealed(program, folder);
        command.current_dir(folder).env("CIPHER_CHAT_SERVER", site.broker.url());
        command
    };
    let bob = |arguments: &[&str]| {
        let mut command = sealed(&program);
        command.args(["--home", "a b", "--profile", "bob", "--json", "--no-input"]).args(arguments);
        Output::of(&mut command)
    };
    bob(&["register", "bob"])?.expecting(0)?;
    alice.creates("night shift", &["bob"])?;
    bob(&["sync"])?.expecting(0)?;
    let refused = bob(&["send", "night shift", "too early"])?.expecting(4)?;
    let error = refused.errors.first().cloned().unwrap_or_default();
    let hint = text(&error, "hint").unwrap_or_default();
    let typed = hint.strip_prefix("accept it with: ").unwrap_or_default();
    ensure(typed.starts_with("cipher-chat --home 'a b' --profile bob group accept "), || {
        refused.to_string()
    })?;

    let mut shell = sealed(Path::new("/bin/sh"));
    let beside = program.parent().unwrap_or(Path::new("/"));
    shell.env("PATH", beside).args(["-c", typed]);
    Output::of(&mut shell)?.expecting(0)?;
    bob(&["send", "night shift", "in time"])?.expecting(0)?;
    Ok(())
}
