//! `cipher-chat up`: a whole deployment by one command, for one machine.

use std::path::Path;
use std::process::Stdio;

use testbed::person::text;
use testbed::{Failure, Person, Result, Screen, ensure, process, wait};

fn up(home: &Path, arguments: &[&str]) -> Result<Screen> {
    let mut command = process::sealed(&process::binary("cipher-chat")?, home);
    command.arg("up").arg("--home").arg(home).args(["--port", "0", "--json"]).args(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut screen = Screen::of(&mut command, "up")?;
    screen.process().has_children();
    Ok(screen)
}

/// Process ids that `up` has noted.
fn children(home: &Path) -> Result<Vec<u32>> {
    let text = std::fs::read_to_string(home.join("server/up.json"))?;
    let numbers = text.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse().ok());
    let found: Vec<u32> = numbers.filter(|pid| is_server(*pid)).collect();
    ensure(found.len() >= 2, || format!("no two running servers in {text}"))?;
    Ok(found)
}

fn is_server(pid: u32) -> bool {
    let program = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    program.contains("nats-server") || program.contains("cipher-registry")
}

#[test]
fn one_command_is_a_deployment_that_ends_without_a_trace() -> Result {
    let folder = tempfile::tempdir()?;
    let home = folder.path();
    let mut screen = up(home, &[])?;
    let ready = screen.is_ready()?;
    let server = text(&ready, "server").ok_or_else(|| Failure::new(ready.to_string()))?;
    ensure(server.starts_with("nats://127.0.0.1:"), || ready.to_string())?;
    let (alice, bob) = (Person::beside_up("alice", home)?, Person::beside_up("bob", home)?);
    alice.registers()?;
    bob.registers()?;
    alice.creates("team", &["bob"])?;
    bob.accepts("team")?;
    alice.sends("team", "no flags needed")?;
    bob.syncs()?;
    ensure(bob.texts("team")? == ["no flags needed"], || "bob reads something else".into())?;

    // A second one on the same home is refused, and does not disturb the first.
    let mut second = up(home, &[])?;
    ensure(second.is_ready().is_err(), || "two of them on one home".into())?;
    alice.sends("team", "still there")?;

    let servers = children(home)?;
    assert_eq!(screen.interrupt()?, 0);
    wait::until("its servers end with it", || servers.iter().all(|pid| !is_server(*pid)).then_some(()))?;

    // What was said is still there next time.
    let mut again = up(home, &[])?;
    again.is_ready()?;
    bob.syncs()?;
    ensure(bob.texts("team")? == ["no flags needed", "still there"], || "forgotten".into())?;
    assert_eq!(again.interrupt()?, 0);
    Ok(())
}

#[test]
fn what_a_killed_up_left_running_is_ended_by_the_next() -> Result {
    let folder = tempfile::tempdir()?;
    let home = folder.path();
    let mut screen = up(home, &[])?;
    screen.is_ready()?;
    let left = children(home)?;
    screen.process().kill()?;
    let mut again = up(home, &[])?;
    again.is_ready()?;
    wait::until("what was left ends", || left.iter().all(|pid| !is_server(*pid)).then_some(()))?;
    let alice = Person::beside_up("alice", home)?;
    alice.registers()?;
    assert_eq!(again.interrupt()?, 0);
    Ok(())
}

#[test]
fn three_nodes_of_a_cluster_come_up_by_one_command_too() -> Result {
    let folder = tempfile::tempdir()?;
    let home = folder.path();
    let mut screen = up(home, &["--nodes", "3"])?;
    screen.is_ready()?;
    let alice = Person::beside_up("alice", home)?;
    alice.registers()?;
    alice.creates("team", &[])?;
    let sent = alice.sends("team", "three copies")?;
    ensure(text(&sent, "state") == Some("sent"), || sent.to_string())?;
    assert_eq!(screen.interrupt()?, 0);
    Ok(())
}

#[test]
fn the_demo_of_up_has_people_a_group_and_a_bot() -> Result {
    let folder = tempfile::tempdir()?;
    let home = folder.path();
    let mut screen = up(home, &["--demo"])?;
    screen.is_ready()?;
    screen.until("the greeting", |line| text(line, "type") == Some("message"))?;
    let bob = Person::beside_up("bob", home)?;
    let mut bobs_screen = bob.follows("demo")?;
    bob.sends("demo", "/echo hello bot")?;
    bobs_screen.sees("hello bot")?;
    bobs_screen.interrupt()?;
    assert_eq!(screen.interrupt()?, 0);
    Ok(())
}
