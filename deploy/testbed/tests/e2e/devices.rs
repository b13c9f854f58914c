//! Devices of one account: linked, revoked, recovered, with the shipped program on both sides.

use std::process::Stdio;

use serde_json::Value;
use testbed::person::{kind_of, text};
use testbed::{Failure, Person, Result, Screen, Site, ensure, wait};

use crate::support::all_read;

fn stage(wanted: &'static str) -> impl Fn(&Value) -> bool {
    move |line| kind_of(line) == Some("link") && text(line, "stage") == Some(wanted)
}

fn field(line: &Value, name: &str) -> Result<String> {
    text(line, name).map(str::to_owned).ok_or_else(|| Failure::new(format!("no {name} in {line}")))
}

/// Begins a link on a new machine; gives its screen and the code.
fn offers(new: &Person, name: &str) -> Result<(Screen, String)> {
    let mut screen = new.starts(&["device", "link", "--name", name])?;
    let code = field(&screen.until("the code", stage("code"))?, "code")?;
    Ok((screen, code))
}

/// Begins to approve a code, as a script does that reads what the new machine shows.
fn approves(old: &Person, code: &str, arguments: &[&str]) -> Result<Screen> {
    let mut command = old.command(&["device", "approve", code, "--compare", "-"]);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Screen::of(&mut command, "approve")
}

/// Links a new machine and waits until everything is there.
fn links(old: &Person, new: &Person, arguments: &[&str]) -> Result {
    let (mut link, code) = offers(new, new.name())?;
    let mut approve = approves(old, &code, arguments)?;
    let shown = field(&link.until("what to compare", stage("compare"))?, "string")?;
    let here = field(&approve.until("what to compare", stage("compare"))?, "string")?;
    ensure(shown == here, || format!("the new machine shows {shown}, the old one {here}"))?;
    approve.answer(&shown)?;
    approve.until("the registry has it", stage("registered"))?;
    link.until("it is linked", stage("linked"))?;
    link.until("everything is here", stage("done"))?;
    let (code, stderr) = link.ends()?;
    ensure(code == 0, || format!("link ended with {code}: {stderr}"))?;
    let (code, stderr) = approve.ends()?;
    ensure(code == 0, || format!("approve ended with {code}: {stderr}"))
}

fn devices(person: &Person) -> Result<Vec<Value>> {
    Ok(person.does(&["device", "list"])?.lines)
}

fn devices_of(viewer: &Person, group: &str, handle: &str) -> Result<u64> {
    let shown = viewer.shows(group)?;
    let members = shown.get("members").and_then(Value::as_array).cloned().unwrap_or_default();
    let member = members.iter().find(|member| text(member, "handle") == Some(handle));
    Ok(member.and_then(|member| member.get("devices")).and_then(Value::as_u64).unwrap_or(0))
}

#[test]
fn a_linked_device_is_in_every_group_has_the_past_and_speaks() -> Result {
    let site = Site::single()?;
    let (alice, bob, laptop) = (site.registered("alice")?, site.registered("bob")?, site.person("laptop")?);
    site.group("team", &alice, &[&bob])?;
    site.group("attic", &bob, &[&alice])?;
    alice.sends("team", "before the laptop")?;
    bob.sends("attic", "old things")?;
    alice.syncs()?;
    links(&alice, &laptop, &[])?;

    let me = laptop.does(&["whoami"])?.of_type("account")?;
    ensure(text(&me, "handle") == Some("alice"), || me.to_string())?;
    ensure(laptop.texts("team")? == ["before the laptop"], || format!("{:?}", laptop.texts("team")))?;
    ensure(laptop.texts("attic")? == ["old things"], || format!("{:?}", laptop.texts("attic")))?;
    laptop.sends("team", "from the laptop")?;
    bob.sends("team", "welcome")?;
    let said = ["before the laptop", "from the laptop", "welcome"].map(String::from);
    all_read("team", &[&alice, &bob, &laptop], &said)?;
    ensure(devices_of(&bob, "team", "alice")? == 2, || "bob does not see two devices".into())?;

    let listed = devices(&alice)?;
    ensure(listed.len() == 2, || format!("{listed:?}"))?;
    ensure(listed.iter().any(|device| text(device, "name") == Some("laptop")), || format!("{listed:?}"))?;
    laptop.does(&["device", "rename", "laptop", "the old laptop"])?;
    wait::until("alice hears the name", || {
        alice.syncs().ok()?;
        devices(&alice).ok()?.iter().find(|device| text(device, "name") == Some("the old laptop")).map(|_| ())
    })
}

#[test]
fn a_new_device_gets_no_more_of_the_past_than_it_may() -> Result {
    let site = Site::single()?;
    let (alice, bob, laptop) = (site.registered("alice")?, site.registered("bob")?, site.person("laptop")?);
    site.group("team", &alice, &[&bob])?;
    alice.sends("team", "before")?;
    links(&alice, &laptop, &["--history", "none"])?;
    bob.sends("team", "after")?;
    all_read("team", &[&laptop], &["after".into()])
}

#[test]
fn a_revoked_device_is_out_everywhere_and_cannot_return() -> Result {
    let site = Site::single()?;
    let (alice, bob, laptop) = (site.registered("alice")?, site.registered("bob")?, site.person("laptop")?);
    site.group("team", &alice, &[&bob])?;
    links(&alice, &laptop, &[])?;
    alice.is_refused(2, "usage", &["device", "revoke", "laptop"])?;
    let gone = alice.does(&["device", "revoke", "laptop", "--yes"])?.of_type("device")?;
    ensure(gone.get("revoked") == Some(&Value::Bool(true)), || gone.to_string())?;
    wait::until("the group has one device of alice", || {
        bob.syncs().ok()?;
        (devices_of(&bob, "team", "alice").ok()? == 1).then_some(())
    })?;
    bob.sends("team", "not for the thief")?;
    // A script that only syncs hears of it, the first time too.
    laptop.run(&["sync"])?.expecting(4)?;
    // What it had it has, with a word on why nothing follows.
    let read = laptop.does(&["read", "team"])?;
    ensure(read.stderr.contains("this device was revoked"), || read.to_string())?;
    ensure(!read.stdout.contains("not for the thief"), || "the thief reads on".into())?;
    laptop.is_refused(4, "refused", &["send", "team", "let me in"])?;
    let who = laptop.does(&["whoami"])?;
    ensure(who.stderr.contains("this device was revoked"), || who.to_string())?;
    let doctor = laptop.run(&["doctor"])?.expecting(4)?;
    ensure(doctor.stdout.contains("this device was revoked"), || doctor.to_string())?;
    alice
        .is_refused(4, "refused", &["device", "revoke", "nothing-left", "--yes"])
        .or_else(|_| alice.is_refused(9, "not-found", &["device", "revoke", "nothing-left", "--yes"]))?;
    Ok(())
}

#[test]
fn an_account_comes_back_from_its_phrase() -> Result {
    let site = Site::single()?;
    let (alice, bob, again) = (site.person("alice")?, site.registered("bob")?, site.person("again")?);
    let account = alice.registers()?;
    let phrase = field(&account, "phrase")?;
    site.group("team", &bob, &[&alice])?;
    // Wrong first: it is told what is wrong, and nothing is left of it.
    let short = phrase.rsplit_once(' ').map_or("", |(short, _)| short);
    for (wrong, why) in [
        (format!("{phrase} {phrase}").as_str(), "48 words"),
        (["abandon"; 24].join(" ").as_str(), "a word is wrong"),
        (&format!("{short} nonsense"), "word 24"),
        (short, "23 words"),
        ("hello world", "2 words"),
    ] {
        let told = again.run_with(&["device", "recover"], wrong)?.expecting(1)?;
        let error = told.errors.first().ok_or_else(|| Failure::new(told.to_string()))?;
        ensure(text(error, "kind") == Some("misuse"), || told.to_string())?;
        let message = text(error, "message").unwrap_or_default();
        ensure(message.contains("not a recovery phrase") && message.contains(why), || told.to_string())?;
        ensure(!told.stderr.contains("register HANDLE"), || told.to_string())?;
        let folder = again.home().join("state/profiles").join(again.name());
        ensure(!folder.exists(), || "a profile is left".into())?;
    }
    let back = again.run_with(&["device", "recover"], &phrase)?.expecting(0)?.of_type("account")?;
    ensure(back.get("account_id") == account.get("account_id"), || back.to_string())?;
    wait::until("the group takes the account back", || {
        bob.syncs().ok()?;
        again.syncs().ok()?;
        again.shows("team").ok()
    })?;
    // It knows nobody any more, so it decides anew whose group it is in.
    again.accepts("team")?;
    let quiet = again.does(&["sync"])?;
    ensure(quiet.errors.is_empty(), || format!("an alarm without a reason\n{quiet}"))?;
    again.sends("team", "it is me")?;
    all_read("team", &[&bob, &again], &["it is me".into()])?;
    alice.run(&["sync"])?;
    alice.is_refused(4, "refused", &["send", "team", "me too"])?;
    Ok(())
}

#[test]
fn a_link_that_is_killed_goes_on() -> Result {
    let site = Site::single()?;
    let (alice, bob, laptop) = (site.registered("alice")?, site.registered("bob")?, site.person("laptop")?);
    site.group("team", &alice, &[&bob])?;
    for n in 0..20 {
        alice.sends("team", &format!("message {n}"))?;
    }
    let (mut link, code) = offers(&laptop, "laptop")?;
    // Before anybody answers: the same code is still good.
    link.process().kill()?;
    let told = laptop.is_refused(1, "misuse", &["whoami"])?;
    ensure(told.stderr.contains("being linked") && told.stderr.contains("device link"), || told.to_string())?;
    let (mut link, same) = offers(&laptop, "laptop")?;
    ensure(same == code, || format!("{code} became {same}"))?;
    let mut approve = approves(&alice, &code, &[])?;
    let shown = field(&link.until("what to compare", stage("compare"))?, "string")?;
    approve.until("what to compare", stage("compare"))?;
    approve.answer(&shown)?;
    link.until("it is linked", stage("linked"))?;
    link.process().kill()?;
    // After that any command goes on; `device link` waits for the end.
    laptop.run(&["device", "link"])?;
    let expected: Vec<String> = (0..20).map(|n| format!("message {n}")).collect();
    wait::until("groups and history are here", || {
        laptop.syncs().ok()?;
        (laptop.texts("team").ok()? == expected).then_some(())
    })
}

#[test]
fn a_wrong_code_or_string_changes_nothing() -> Result {
    let site = Site::single()?;
    let (alice, laptop) = (site.registered("alice")?, site.person("laptop")?);
    alice.is_refused(9, "not-found", &["device", "approve", "0000-0000", "--compare", "1234567"])?;
    alice.is_refused(2, "usage", &["device", "approve", "what", "--compare", "1234567"])?;
    alice.is_refused(2, "usage", &["device", "approve", "0000-0000"])?;

    let (mut link, code) = offers(&laptop, "laptop")?;
    let mut approve = approves(&alice, &code, &[])?;
    let shown = field(&link.until("what to compare", stage("compare"))?, "string")?;
    approve.until("what to compare", stage("compare"))?;
    let first = if shown.starts_with('9') { "8" } else { "9" };
    approve.answer(&format!("{first}{}", shown.get(1..).unwrap_or_default()))?;
    let (code, stderr) = approve.ends()?;
    ensure(code == 6 && stderr.contains("\"kind\":\"trust\""), || format!("{code}: {stderr}"))?;
    let (code, stderr) = link.ends()?;
    ensure(code != 0, || format!("the new machine was told nothing: {stderr}"))?;
    ensure(devices(&alice)?.len() == 1, || "a device more".into())?;
    laptop.run(&["whoami"])?;
    alice.does(&["whoami"])?;
    Ok(())
}

#[test]
fn on_a_terminal_there_is_a_qr_code_and_a_question() -> Result {
    let site = Site::single()?;
    let (alice, laptop) = (site.registered("alice")?, site.person("laptop")?);
    let mut link = laptop.at_terminal(&["device", "link", "--name", "laptop"])?;
    link.shows("device approve ")?;
    let code = link.shows("\n")?.trim().to_owned();
    link.shows("█▀")?;
    let mut approve = alice.at_terminal(&["device", "approve", &code])?;
    approve.shows("compare  ")?;
    let here = approve.shows("\n")?;
    link.shows("compare  ")?;
    ensure(link.shows("\n")?.trim() == here.trim(), || "not the same digits".into())?;
    approve.shows("[y/N]")?;
    approve.types("y\n")?;
    approve.shows("is a device of your account now")?;
    link.shows("everything is here")?;
    ensure(link.ends()?.success() && approve.ends()?.success(), || {
        format!("{}\n{}", link.screen(), approve.screen())
    })
}
