//! A program with a token: what it gets, what it is refused, and its end.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use testbed::person::text;
use testbed::{Person, Result, Screen, Site, ensure, process};

/// Speaks on a socket with a token, in any language that has sockets and JSON. Prints what it is answered and what it hears.
const PROGRAM: &str = r#"
import json, socket, sys

place, secret = sys.argv[1], open(sys.argv[2]).read().strip()

def connected():
    door = socket.socket(socket.AF_UNIX)
    door.connect(place)
    return door.makefile("rw", encoding="utf-8", newline="\n")

def say(lines, number, method, **params):
    print(json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}), file=lines, flush=True)

def tell(**what):
    print(json.dumps(what), flush=True)

def answer(lines, number, method, **params):
    say(lines, number, method, **params)
    for line in lines:
        heard = json.loads(line)
        if heard.get("id") == number:
            return heard.get("result"), heard.get("error")

lines = connected()
result, error = answer(lines, 1, "hello", version=1, client="a bridge")
tell(type="without", message=error["message"])
result, error = answer(lines, 2, "hello", version=1, client="a bridge", token=secret)
tell(type="hello", token=result["token"], methods=result["methods"])
for number, method, params in [
    (3, "message.send", {"target": "ops", "text": "from the bridge"}),
    (4, "message.send", {"target": "other", "text": "where I do not belong"}),
    (5, "message.edit", {"message": {"id": "aeaqca"}, "text": "other words"}),
    (6, "contact.list", {}),
    (7, "group.list", {}),
]:
    result, error = answer(lines, number, method, **params)
    tell(type="answer", id=number, result=result, error=error)
say(lines, 8, "subscribe", subscriber="bridge")
for line in lines:
    heard = json.loads(line)
    if heard.get("method") == "up-to-date":
        tell(type="listening")
    if heard.get("method") == "event":
        tell(type="heard", event=heard["params"]["event"])
    if "error" in heard:
        tell(type="over", id=heard["id"], message=heard["error"]["message"])
result, error = answer(connected(), 9, "hello", version=1, token=secret)
tell(type="again", error=error)
"#;

struct Scene {
    site: Site,
    alice: Person,
    bob: Person,
    daemon: Screen,
    socket: PathBuf,
    secret: PathBuf,
}

/// Alice has two groups with Bob, and a daemon with a socket for tokens, and a token for one of them.
fn scene() -> Result<Scene> {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("ops", &alice, &[&bob])?;
    site.group("other", &alice, &[&bob])?;
    let (socket, secret) = (alice.home().join("t.sock"), alice.home().join("bridge.token"));
    let mut daemon = alice.starts(&["daemon", "--token-socket", "t.sock"])?;
    daemon.is_ready()?;
    let made = alice.does(&["token", "create", "bridge", "--group", "ops"])?.of_type("token")?;
    std::fs::write(&secret, text(&made, "token").unwrap_or_default())?;
    Ok(Scene { site, alice, bob, daemon, socket, secret })
}

fn program(scene: &Scene) -> Command {
    let mut command = process::sealed(Path::new("python3"), scene.alice.home());
    command.args(["-c", PROGRAM]).arg(&scene.socket).arg(&scene.secret);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn of(kind: &'static str) -> impl Fn(&Value) -> bool {
    move |line| text(line, "type") == Some(kind)
}

#[test]
fn l23_a_program_with_a_token_has_one_group_is_refused_all_else_and_ends_when_it_is_revoked() -> Result {
    let mut scene = scene()?;
    let mut screen = Screen::of(&mut program(&scene), "a bridge in Python")?;
    let without = screen.until("without", of("without"))?;
    ensure(without["message"].as_str().is_some_and(|why| why.contains("show a token")), || {
        without.to_string()
    })?;
    let hello = screen.until("hello", of("hello"))?;
    ensure(
        hello["token"]["name"] == "bridge"
            && hello["token"]["groups"].as_array().is_some_and(|all| all.len() == 1),
        || hello.to_string(),
    )?;
    let mut answers = Vec::new();
    for _ in 3..=7 {
        answers.push(screen.until("answer", of("answer"))?);
    }
    let [sent, elsewhere, edited, contacts, groups] = answers.as_slice() else {
        return testbed::fail("five answers");
    };
    ensure(sent["result"]["text"] == "from the bridge", || sent.to_string())?;
    for (answer, lacks) in [
        (elsewhere, "the token 'bridge' is not for the conversation other"),
        (edited, "the token 'bridge' is not for the method message.edit"),
        (contacts, "no token may use contact.list"),
    ] {
        let error = &answer["error"];
        let message = error["message"].as_str().unwrap_or_default();
        ensure(message.contains(lacks) && error["data"]["kind"] == "refused", || answer.to_string())?;
        ensure(error["data"]["retryable"] == false && !error["data"]["hint"].is_null(), || {
            answer.to_string()
        })?;
    }
    let names: Vec<&str> =
        groups["result"].as_array().into_iter().flatten().filter_map(|group| text(group, "name")).collect();
    ensure(names == ["ops"], || groups.to_string())?;

    screen.until("listening", of("listening"))?;
    scene.bob.sends("other", "not for bridges")?;
    scene.bob.sends("ops", "for bridges")?;
    let said = |line: &Value, words: &str| line["event"]["text"] == words;
    screen.until("for bridges", |line| said(line, "for bridges"))?;

    scene.alice.does(&["token", "revoke", "bridge"])?;
    scene.bob.sends("ops", "after the end")?;
    let over = screen.until("over", of("over"))?;
    ensure(over["id"].is_null() && text(&over, "message") == Some("the token 'bridge' was revoked"), || {
        over.to_string()
    })?;
    let again = screen.until("again", of("again"))?;
    ensure(again["error"]["data"]["kind"] == "refused", || again.to_string())?;
    ensure(screen.ends()?.0 == 0, || "the program ends by itself".into())?;
    for words in ["not for bridges", "after the end"] {
        ensure(!screen.history().iter().any(|line| line.to_string().contains(words)), || {
            format!("it heard {words}")
        })?;
    }
    // Who has no token and the profile's files goes on.
    ensure(scene.alice.texts("ops")?.last().map(String::as_str) == Some("after the end"), || {
        "the owner reads".into()
    })?;
    ensure(scene.daemon.interrupt()? == 0 && !scene.socket.exists(), || {
        "the socket goes with the daemon".into()
    })?;
    drop(scene.site);
    Ok(())
}

/// `rpc --token-file` for who holds only standard input and output, whichever process has the profile open.
#[test]
fn rpc_with_a_token_does_no_more_than_that_is_for_with_and_without_a_daemon() -> Result {
    let mut scene = scene()?;
    let file = scene.secret.to_str().unwrap_or_default().to_owned();
    let call = |id: u64, method: &str, params: Value| json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
    let calls = [
        call(1, "hello", json!({"version": 1})),
        call(2, "message.send", json!({"target": "ops", "text": "by a token"})),
        call(3, "message.send", json!({"target": "other", "text": "elsewhere"})),
        call(4, "device.list", json!({})),
    ];
    let input: String = calls.iter().map(|call| format!("{call}\n")).collect();
    // It ends with its token also when another process has the profile open.
    let brief = scene.alice.does(&["token", "create", "brief", "--group", "ops"])?.of_type("token")?;
    let mut open = scene.alice.command(&["rpc"]);
    open.env("CIPHER_CHAT_TOKEN", text(&brief, "token").unwrap_or_default());
    let mut open = open.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let (mut to, mut from) = (open.stdin.take(), open.stdout.take().map(BufReader::new));
    to.as_mut().map(|to| writeln!(to, "{}", call(1, "hello", json!({"version": 1})))).transpose()?;
    let mut hello = String::new();
    from.as_mut().map(|from| from.read_line(&mut hello)).transpose()?;
    ensure(hello.contains("\"brief\""), || hello.clone())?;
    scene.alice.does(&["token", "revoke", "brief"])?;
    let status = open.wait()?;
    ensure(status.code() == Some(4), || format!("rpc ends with {status}"))?;
    drop((to, from));
    for daemon in [true, false] {
        if !daemon {
            ensure(scene.daemon.interrupt()? == 0, || "a daemon ends in order".into())?;
        }
        let lines = scene.alice.run_with(&["rpc", "--token-file", &file], &input)?.expecting(0)?.lines;
        let answer = |id: u64| lines.iter().find(|line| line["id"] == id).cloned().unwrap_or_default();
        ensure(answer(1)["result"]["token"]["name"] == "bridge", || format!("{lines:?}"))?;
        ensure(answer(2)["result"]["text"] == "by a token", || format!("{lines:?}"))?;
        for id in [3, 4] {
            ensure(answer(id)["error"]["data"]["kind"] == "refused", || format!("{lines:?}"))?;
        }
    }
    // Another group may have the old name now.
    scene.alice.does(&["group", "rename", "ops", "night shift"])?;
    let listed = scene.alice.does(&["token", "list"])?.of_type("token")?;
    ensure(listed["groups"][0]["name"] == "night shift", || listed.to_string())?;
    scene.alice.does(&["token", "revoke", "bridge"])?;
    let refused = scene.alice.run_with(&["rpc", "--token-file", &file], &input)?.expecting(4)?;
    ensure(refused.lines.is_empty() && !refused.stderr.contains("cct_"), || refused.to_string())?;
    drop((scene.site, scene.bob));
    Ok(())
}
