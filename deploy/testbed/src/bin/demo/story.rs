//! The story: who does what, and what must come of it.

use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;
use testbed::person::text;
use testbed::{Failure, Person, Result, Screen, disk, ensure, process, wait};

use crate::stage::Stage;

/// Everything that is said, so that it can be searched for where it must not be.
const GREETING: &str = "hi bob, the red folder is in the attic";
const ANSWER: &str = "found it, thank you alice";
const TO_THE_BOT: &str = "does the parrot repeat secrets";
const ALONE: &str = "bob is gone, new hiding place tomorrow";

/// Tells the whole story.
pub(crate) fn tell(stage: &Stage, interactive: bool) -> Result {
    let folder = tempfile::Builder::new().prefix("cipher-demo-").tempdir()?;
    let home = folder.path().join("home");
    let mut up = bring_up(stage, &home)?;
    let (alice, bob) = (Person::beside_up("alice", &home)?, Person::beside_up("bob", &home)?);

    stage.chapter("people");
    for person in [&alice, &bob] {
        let account =
            stage.step(person.name(), &format!("register {}", person.name()), || person.registers())?;
        stage.detail(&format!("account {}…", short(text(&account, "account_id"))));
    }
    stage.step("alice", "group create team --with bob", || alice.creates("team", &["bob"]))?;
    let group = stage.step("bob", "group accept team", || bob.accepts("team"))?;
    let id = text(&group, "id").ok_or_else(|| Failure::new("a group without id"))?.to_owned();
    stage.detail(&format!(
        "epoch {}, same code on both sides: {}",
        group["epoch"],
        same_world(&alice, &bob, &id)?
    ));

    stage.chapter("talk");
    let mut bobs_screen = bob.follows(&id)?;
    let mut alices_screen = alice.follows(&id)?;
    stage.step("alice", &format!("send team \"{GREETING}\""), || alice.sends(&id, GREETING))?;
    heard(stage, "bob", &mut bobs_screen, GREETING)?;
    stage.step("bob", &format!("send team \"{ANSWER}\""), || bob.sends(&id, ANSWER))?;
    heard(stage, "alice", &mut alices_screen, ANSWER)?;

    stage.chapter("a bot");
    let mut bot = alice.starts(&["bot", "run", "echo"])?;
    let ready = stage.step("alice", "bot run echo   (a process of its own)", || bot.is_ready())?;
    let echo = text(&ready, "handle").ok_or_else(|| Failure::new("a bot without handle"))?.to_owned();
    let added = stage
        .step("alice", &format!("group add team {echo}"), || alice.does(&["group", "add", &id, &echo]))?;
    let members = added.of_type("group")?;
    let owner = members["members"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|member| text(member, "kind") == Some("bot"));
    let owner = owner.and_then(|member| text(member, "owner")).unwrap_or("?");
    stage.detail(&format!(
        "everybody sees that @{echo} is a bot, owned by @{}",
        owner.trim_start_matches('@')
    ));
    let spoken = format!("/echo {TO_THE_BOT}");
    stage.step("bob", &format!("send team \"{spoken}\""), || bob.sends(&id, &spoken))?;
    let heard_bot = heard(stage, "alice", &mut alices_screen, TO_THE_BOT)?;
    let kind = heard_bot.pointer("/from/kind").and_then(Value::as_str);
    ensure(kind == Some("bot"), || format!("not from a bot: {heard_bot}"))?;

    stage.chapter("changes");
    stage.step("alice", "group rename team attic", || alice.does(&["group", "rename", &id, "attic"]))?;
    shown(stage, "bob", &mut bobs_screen, "renamed")?;
    stage.step("alice", "group role attic bob admin", || {
        alice.does(&["group", "role", &id, "bob", "admin"])
    })?;
    shown(stage, "bob", &mut bobs_screen, "role")?;
    stage.detail(&format!("same code on both sides: {}", same_world(&alice, &bob, &id)?));

    stage.chapter("bob has to go");
    stage.step("alice", "group remove attic bob", || alice.does(&["group", "remove", &id, "bob"]))?;
    shown(stage, "bob", &mut bobs_screen, "removed")?;
    stage.step("alice", &format!("send attic \"{ALONE}\""), || alice.sends(&id, ALONE))?;
    bobs_screen.interrupt()?;
    let refused = stage
        .step("bob", "send attic \"may I come back?\"", || bob.run(&["send", &id, "may I come back?"]))?;
    ensure([4, 9].contains(&refused.code), || refused.to_string())?;
    let words = refused.errors.iter().find_map(|line| text(line, "message")).unwrap_or_default();
    stage.detail(&format!("exit code {}: {words}", refused.code));
    stage.step("bob", "read attic   (all he can still read is what he had)", || {
        ensure(!bob.texts(&id)?.iter().any(|words| words == ALONE), || "bob reads on".into())
    })?;

    stage.chapter("what the broker saw");
    let stored = stage.step("operator", "cipher-registry traffic", || traffic(&home))?;
    for line in stored.iter().rev().take(8).rev() {
        let (subject, head) = (text(line, "subject").unwrap_or("?"), text(line, "head").unwrap_or_default());
        stage.detail(&format!("{:>6} B  {head:<34}  {subject}", line["size"].as_u64().unwrap_or_default()));
    }
    let store = store_of(&home)?;
    let said = [GREETING, ANSWER, TO_THE_BOT, ALONE];
    let bytes = stage.step("operator", "search the streams on disk for every word that was said", || {
        search(&store, &said)
    })?;
    stage.detail(&format!(
        "{} messages stored, {bytes} bytes searched, none of the words found",
        stored.len()
    ));

    stage.line(&format!("\ndemo: {} steps, all as expected", stage.steps()));
    if interactive {
        stay(stage, &home)?;
    }
    for screen in [&mut alices_screen, &mut bot, &mut up] {
        let code = screen.interrupt()?;
        ensure(code == 0, || format!("a process ended with {code} instead of 0"))?;
    }
    keep_nothing(folder)
}

/// The private server and registry.
fn bring_up(stage: &Stage, home: &Path) -> Result<Screen> {
    stage.chapter("one command");
    std::fs::create_dir_all(home)?;
    let mut command = process::sealed(&process::binary("cipher-chat")?, home);
    command.arg("up").arg("--home").arg(home).args(["--port", "0", "--json"]);
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut up = Screen::of(&mut command, "up")?;
    up.process().has_children();
    let ready = stage.step("operator", "cipher-chat up --port 0", || up.is_ready())?;
    stage.detail(&format!("broker and registry answer at {}", text(&ready, "server").unwrap_or("?")));
    Ok(up)
}

/// Waits until somebody's screen shows the words.
fn heard(stage: &Stage, who: &str, screen: &mut Screen, words: &str) -> Result<Value> {
    let line = stage.step(who, &format!("sees \"{words}\""), || screen.sees(words))?;
    stage.detail(&format!(
        "from @{} ({})",
        line.pointer("/from/handle").and_then(Value::as_str).unwrap_or("?"),
        line.pointer("/from/kind").and_then(Value::as_str).unwrap_or("?")
    ));
    Ok(line)
}

/// Waits until somebody's screen shows a change of the group.
fn shown(stage: &Stage, who: &str, screen: &mut Screen, kind: &str) -> Result {
    let mut sentence = String::new();
    stage.step(who, "sees the change", || {
        let line = screen.until(kind, |line| text(line, "event") == Some(kind))?;
        sentence = text(&line, "text").unwrap_or_default().to_owned();
        Ok(())
    })?;
    stage.detail(&sentence);
    Ok(())
}

/// The code that members share in an epoch, once both show the same.
fn same_world(alice: &Person, bob: &Person, id: &str) -> Result<String> {
    let code = wait::until("both sides show the same code", || {
        let (ours, theirs) = (alice.shows(id).ok()?, bob.shows(id).ok()?);
        (ours["authenticator"] == theirs["authenticator"] && ours["epoch"] == theirs["epoch"])
            .then(|| text(&ours, "authenticator").unwrap_or_default().to_owned())
    })?;
    ensure(!code.is_empty(), || "no code".into())?;
    Ok(short(Some(&code)))
}

/// Every stored message as the broker holds it.
fn traffic(home: &Path) -> Result<Vec<Value>> {
    let told: Value = serde_json::from_slice(&std::fs::read(home.join("server.json"))?)?;
    let server = text(&told, "server").ok_or_else(|| Failure::new("server.json names no server"))?.to_owned();
    let mut command = process::sealed(&process::binary("cipher-registry")?, home);
    command.args(["--json", "--server", &server, "--user", "registry"]);
    command
        .arg("--password-file")
        .arg(home.join("server/registry.password"))
        .args(["traffic", "--limit", "10000"]);
    Ok(testbed::Output::of(&mut command)?.expecting(0)?.lines)
}

/// Folder of the streams of the private server.
fn store_of(home: &Path) -> Result<std::path::PathBuf> {
    let files = disk::files(home)?;
    let inside = files.iter().find_map(|file| file.ancestors().find(|folder| folder.ends_with("jetstream")));
    inside.map(Path::to_path_buf).ok_or_else(|| Failure::new("no folder of streams below the home of `up`"))
}

/// Searches the store for the words; gives the number of bytes searched. Fails if it would not even find what
/// is there for sure.
fn search(store: &Path, words: &[&str]) -> Result<u64> {
    let found = disk::search(store, words)?;
    ensure(found.is_empty(), || format!("found on the broker's disk: {found:?}"))?;
    let there = disk::search(store, &["chat."])?;
    ensure(!there.is_empty(), || "the search does not even find the subjects".into())?;
    disk::size(store)
}

/// For whoever wants to join in.
fn stay(stage: &Stage, home: &Path) -> Result {
    let program = process::binary("cipher-chat")?;
    let command = format!("{} --home {}", program.display(), home.display());
    stage.line(&format!(
        "\nIt stays up until Ctrl-C. In other terminals:\n  \
         {command} --profile alice read attic --follow\n  \
         {command} --profile alice send attic \"/echo hello\"\n  \
         {command} --profile alice group add attic bob"
    ));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(tokio::signal::ctrl_c())?;
    Ok(())
}

/// The folder goes, and it is an error if it does not.
fn keep_nothing(folder: TempDir) -> Result {
    let path = folder.path().to_path_buf();
    folder.close()?;
    ensure(!path.exists(), || format!("{} is still there", path.display()))
}

fn short(text: Option<&str>) -> String {
    text.unwrap_or("?").chars().take(8).collect()
}
