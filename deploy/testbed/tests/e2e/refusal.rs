//! What goes wrong: the exit code scripts branch on, one sentence, and what to do about it.

use std::fs::File;
use std::time::{Duration, Instant};

use cipher_broker::limit;
use cipher_broker::sign::wire_hash;
use cipher_broker::subject;
use cipher_broker::wire::refusal::{Code, Refusal};
use cipher_broker::wire::registry::{Outcome, ReplyBody, seal_reply};
use futures::StreamExt;
use rustix::fs::{FlockOperation, flock};
use testbed::person::text;
use testbed::{Failure, Person, Result, Site, disk, ensure, wait};

#[test]
fn refusals_have_an_exit_code_a_sentence_and_a_hint() -> Result {
    let site = Site::single()?;
    let (alice, bob, carol) = (site.registered("alice")?, site.registered("bob")?, site.registered("carol")?);
    site.group("team", &alice, &[&bob])?;

    // Not found: handles, groups, profiles.
    alice.is_refused(9, "not-found", &["profile", "show", "nobody"])?;
    alice.is_refused(9, "not-found", &["group", "add", "team", "nobody"])?;
    alice.is_refused(9, "not-found", &["contact", "add", "nobody"])?;
    alice.is_refused(9, "not-found", &["send", "nowhere", "hello"])?;
    alice.is_refused(9, "not-found", &["read", "nowhere"])?;
    alice.is_refused(9, "not-found", &["group", "rename", "nowhere", "x"])?;
    alice.is_refused(9, "not-found", &["--profile", "nobody", "whoami"])?;
    alice.is_refused(9, "not-found", &["--profile", "nobody", "send", "team", "x"])?;
    alice.is_refused(9, "not-found", &["bot", "run", "no-such-bot"])?;

    // Taken.
    site.person("mallory")?.is_refused(8, "conflict", &["register", "alice"])?;

    // Not allowed.
    for command in [
        &["group", "rename", "team", "bobs"][..],
        &["group", "remove", "team", "alice"],
        &["group", "add", "team", "carol"],
        &["group", "role", "team", "bob", "owner"],
    ] {
        bob.is_refused(4, "refused", command)?;
    }

    // Not a member, never or no longer.
    carol.is_refused(9, "not-found", &["send", "team", "hello"])?;
    alice.does(&["group", "remove", "team", "bob"])?;
    bob.syncs()?;
    let refused = bob.run(&["send", "team", "hello"])?;
    ensure([4, 9].contains(&refused.code), || refused.to_string())?;

    // Too large.
    let long = "x".repeat(100 * 1024);
    alice.sends("team", &long)?;
    alice.is_refused(5, "limit", &["group", "rename", "team", &"n".repeat(129)])?;
    let mut command = alice.command(&["send", "team", "-"]);
    let input = alice.home().join("large");
    std::fs::write(&input, "y".repeat(192 * 1024 + 1))?;
    let output = testbed::Output::of(command.stdin(File::open(&input)?))?.expecting(5)?;
    ensure(output.errors.iter().any(|line| text(line, "kind") == Some("limit")), || output.to_string())?;

    // Usage is said by clap, on stderr, with exit code 2.
    alice.run(&["send"])?.expecting(2)?;
    alice.run(&["no-such-command"])?.expecting(2)?;
    alice.run(&["register", "Not A Handle"])?.expecting(2)?;
    Ok(())
}

#[test]
fn without_a_broker_sending_queues_and_everything_else_says_so() -> Result {
    let mut site = Site::single()?;
    let (alice, _bob) = (site.registered("alice")?, site.registered("bob")?);
    alice.creates("team", &[])?;
    site.broker.stop(0)?;
    let queued = alice.sends("team", "later")?;
    assert_eq!(text(&queued, "state"), Some("queued"));
    ensure(alice.texts("team")? == ["later"], || "one's own words are readable offline".into())?;
    alice.is_refused(3, "unreachable", &["group", "add", "team", "bob"])?;
    alice.is_refused(3, "unreachable", &["sync"])?;
    site.person("carol")?.is_refused(3, "unreachable", &["register", "carol"])?;
    Ok(())
}

#[test]
fn without_a_registry_people_go_on_talking() -> Result {
    let mut site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &alice, &[&bob])?;
    site.registry.kill()?;
    let sent = alice.sends("team", "who needs it")?;
    ensure(text(&sent, "state") == Some("sent"), || sent.to_string())?;
    crate::support::all_read("team", &[&bob], &["who needs it".into()])?;
    // Who is known stays known, and it is said how fresh that is.
    let known = alice.does(&["profile", "show", "bob"])?;
    ensure(known.stderr.contains("known before"), || known.to_string())?;
    ensure(text(&known.of_type("account")?, "handle") == Some("bob"), || "another one is shown".into())?;
    alice.is_refused(3, "unreachable", &["profile", "show", "carol"])?;
    site.person("carol")?.is_refused(3, "unreachable", &["register", "carol"])?;
    Ok(())
}

/// The broker is fine and the registry is stopped: each command names the one that does not answer.
#[test]
fn a_registry_that_is_silent_is_told_as_such() -> Result {
    let mut site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &alice, &[&bob])?;
    alice.does(&["doctor"])?;
    site.registry.pause()?;
    let doctor = alice.run(&["doctor"])?.expecting(3)?;
    let check = doctor.lines.iter().find(|line| text(line, "name") == Some("registry"));
    let check = check.ok_or_else(|| Failure::new(doctor.to_string()))?;
    ensure(text(check, "status") == Some("fail"), || doctor.to_string())?;
    ensure(text(check, "detail") == Some("the registry does not answer"), || doctor.to_string())?;
    for command in [&["read", "team"][..], &["contact", "list"], &["group", "list"]] {
        let begun = Instant::now();
        let told = alice.does(command)?;
        // Two seconds of silence are enough for who only looks; one question to the registry may take five.
        ensure(begun.elapsed() < limit::REQUEST_TIMEOUT, || format!("{:?}\n{told}", begun.elapsed()))?;
        ensure(!told.stderr.contains("broker"), || format!("it is the registry\n{told}"))?;
        ensure(told.stderr.contains("the registry does not answer"), || told.to_string())?;
    }
    site.registry.resume()?;
    site.registry.shows(&["block", "alice"])?.expecting(0)?;
    let doctor = alice.run(&["doctor"])?.expecting(4)?;
    ensure(doctor.stdout.contains("blocked"), || doctor.to_string())
}

/// N09: a broker that changes what the registry answers.
#[test]
fn n09_an_answer_that_was_changed_on_its_way_is_refused_and_changes_nothing() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    alice.creates("team", &[])?;
    let before = alice.shows("team")?;
    let fault = site.fault()?;
    fault.spoil_answers("reg.v1.>");
    let cheated = site.through(&fault, &alice);
    cheated.is_refused(6, "trust", &["profile", "show", "bob"])?;
    cheated.is_refused(6, "trust", &["group", "add", "team", "bob"])?;
    cheated.is_refused(6, "trust", &["contact", "add", "bob"])?;
    ensure(alice.shows("team")? == before, || "the group changed".into())?;
    ensure(alice.does(&["contact", "list"])?.lines.is_empty(), || "a contact more".into())?;
    ensure(bob.does(&["contact", "requests"])?.lines.is_empty(), || "bob was asked".into())?;
    // Somebody new: the registry has the account, so the keys must not be thrown away.
    fault.heal();
    fault.spoil_answers("reg.v1.create-account");
    let carol = site.person("carol")?;
    site.through(&fault, &carol).is_refused(6, "trust", &["register", "carol"])?;
    fault.heal();
    carol.registers()?;
    alice.does(&["group", "add", "team", "bob", "carol"])?;
    Ok(())
}

/// G10: whose clock is wrong, a person sees by both times.
#[tokio::test(flavor = "multi_thread")]
async fn g10_a_clock_that_is_off_by_an_hour_is_told_with_both_times() -> Result {
    let mut site = Site::single()?;
    let (alice, _bob) = (site.registered("alice")?, site.registered("bob")?);
    // A registry whose clock is an hour ahead: what it says is what the real one says to a machine that is behind.
    let key = site.registry.key()?.signer().clone();
    site.registry.stop()?;
    let ahead = wait::now().plus(Duration::from_secs(3600));
    let client = testbed::raw::registry(&site.broker).await?;
    let mut asked = client.subscribe(subject::registry(">")).await?;
    client.flush().await?;
    let answering = tokio::spawn(async move {
        while let Some(request) = asked.next().await {
            let refusal = Refusal { code: Code::ClockSkew, message: "the clocks are too far apart".into() };
            let body = ReplyBody {
                request: wire_hash(&request.payload),
                at: ahead,
                registry_key: key.verifying_key().to_bytes(),
                outcome: Outcome::Refused(refusal),
                head: None,
            };
            if let Some(reply) = request.reply {
                let _ = client.publish(reply, seal_reply(&body, &key).into()).await;
            }
        }
    });
    let ours = wait::now().to_string();
    let refused = alice.is_refused(4, "refused", &["profile", "show", "bob"])?;
    let error = refused.errors.iter().find(|line| text(line, "kind") == Some("refused"));
    let message = error.and_then(|line| text(line, "message")).unwrap_or_default().to_owned();
    // To the hour, of which the two differ.
    let hour = |time: &str| time.get(..13).unwrap_or("?").to_owned();
    ensure(message.contains(&hour(&ours)) && message.contains(&ahead.to_string()), || message.clone())?;
    ensure(
        text(error.unwrap_or(&serde_json::Value::Null), "hint").is_some_and(|hint| hint.contains("clock")),
        || refused.to_string(),
    )?;
    answering.abort();
    Ok(())
}

/// G07: a handle is ASCII, so none looks like another one; a display name that does is told.
#[test]
fn g07_names_that_look_like_others_are_refused_or_told() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    let mallory = site.person("mallory")?;
    for handle in
        ["\u{430}lice", "alice\u{200b}", "\u{ff41}lice", "ALICE", "alic\u{e9}", "al ice", "@", "-alice"]
    {
        mallory.is_refused(2, "usage", &["register", "--", handle])?;
    }
    // Squatting: a name that was taken stays taken, spelled with @ or not.
    mallory.is_refused(8, "conflict", &["register", "alice"])?;
    mallory.is_refused(8, "conflict", &["register", "@alice"])?;
    mallory.is_refused(9, "not-found", &["whoami"])?;
    mallory.registers()?;
    alice.does(&["contact", "add", "bob"])?;
    bob.does(&["contact", "accept", "alice"])?;
    alice.syncs()?;
    site.group("team", &alice, &[&bob, &mallory])?;
    // Cyrillic letters, an accent, a letter that is not there.
    for name in ["b\u{43e}b", "\u{432}ob", "bo\u{200b}b"] {
        mallory.does(&["profile", "set", "--name", name])?;
        let shown = alice.does(&["profile", "show", "mallory"])?.of_type("account")?;
        ensure(text(&shown, "warning").is_some_and(|warning| warning.contains("@mallory")), || {
            shown.to_string()
        })?;
    }
    mallory.does(&["profile", "set", "--name", "Mallory"])?;
    let shown = alice.does(&["profile", "show", "mallory"])?.of_type("account")?;
    ensure(shown.get("warning").is_some_and(serde_json::Value::is_null), || shown.to_string())
}

/// Somebody holds the store and does not talk: no socket answers.
#[test]
fn a_store_that_another_process_holds_is_told_as_locked() -> Result {
    let site = Site::single()?;
    let alice = site.registered("alice")?;
    let lock = held(&alice)?;
    alice.is_refused(7, "locked", &["whoami"])?;
    drop(lock);
    alice.does(&["whoami"])?;
    Ok(())
}

#[test]
fn a_damaged_store_is_told_and_not_replaced() -> Result {
    let site = Site::single()?;
    let alice = site.registered("alice")?;
    for file in stores(&alice)? {
        std::fs::write(&file, b"this is no database")?;
    }
    let refused = alice.run(&["whoami"])?.expecting(7)?;
    ensure(refused.errors.iter().any(|line| text(line, "kind") == Some("storage")), || refused.to_string())?;
    for file in stores(&alice)? {
        ensure(std::fs::read(&file)? == b"this is no database", || {
            "the damaged store was written to".into()
        })?;
    }
    Ok(())
}

fn stores(person: &Person) -> Result<Vec<std::path::PathBuf>> {
    let files = disk::files(person.home())?;
    Ok(files.into_iter().filter(|file| file.extension().is_some_and(|end| end == "redb")).collect())
}

fn held(person: &Person) -> Result<File> {
    let path = stores(person)?.into_iter().next().ok_or_else(|| Failure::new("no store file"))?;
    let file = File::options().read(true).write(true).open(path)?;
    flock(&file, FlockOperation::LockExclusive)?;
    Ok(file)
}
