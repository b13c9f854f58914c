//! A broker that is full, slow, refused or cut off: named as what it is, queued and not lost, and nobody is held up.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;
use testbed::person::text;
use testbed::process::Process;
use testbed::registry::Registry;
use testbed::{Broker, Failure, Fault, Output, Person, Result, Site, ensure, wait};

use crate::support::at_once;

/// A command that stays, its lines in files: nobody has to read them.
struct Running {
    #[expect(dead_code, reason = "it ends when this is dropped")]
    process: Process,
    out: std::path::PathBuf,
    err: std::path::PathBuf,
}

impl Running {
    fn of(person: &Person, arguments: &[&str], name: &str) -> Result<Self> {
        let (out, err) =
            (person.home().join(format!("{name}.out")), person.home().join(format!("{name}.err")));
        let mut command = person.command(arguments);
        command.stdout(File::create(&out)?).stderr(File::create(&err)?);
        Ok(Self { process: Process::start(&mut command)?, out, err })
    }

    fn prints(&self, what: &str) -> Result {
        self.has(&self.out, what)
    }

    fn tells(&self, what: &str) -> Result {
        self.has(&self.err, what)
    }

    fn has(&self, file: &Path, what: &str) -> Result {
        let read = || fs::read_to_string(file).unwrap_or_default();
        wait::until(&format!("`{what}`"), || read().contains(what).then_some(()))
            .map_err(|failure| failure.and(read()))
    }
}

/// A follower and a bot say when the connection is gone, why, and when it is back; `send` says why it queues.
#[test]
fn c4_e11_whoever_stays_tells_that_the_connection_is_gone_and_why_and_that_it_is_back() -> Result {
    let mut site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &alice, &[&bob])?;
    let tail = Running::of(&bob, &["tail"], "tail")?;
    tail.prints("\"ready\"")?;
    let bot = Running::of(&alice, &["bot", "run", "echo"], "bot")?;
    bot.prints("\"ready\"")?;
    bob.sends("team", "before")?;
    tail.prints("before")?;
    // A command that names another broker goes by way of who has the profile open, and is told so.
    let elsewhere = bob.by_way_of("nats://127.0.0.1:4").does(&["send", "team", "by the other way"])?;
    ensure(elsewhere.stderr.contains("the process that has this profile open uses"), || {
        elsewhere.to_string()
    })?;
    tail.prints("by the other way")?;

    site.broker.kill(0)?;
    for running in [&tail, &bot] {
        // Which reason depends on when it is first tried again: while the broker dies, or after.
        running.tells("\"state\":\"lost\"")?;
        running.tells("\"reason\":\"")?;
    }
    // Through the follower, with another server than it uses.
    let elsewhere = bob.by_way_of("nats://127.0.0.1:1");
    let queued = elsewhere.does(&["send", "team", "meanwhile"])?;
    ensure(queued.stderr.contains("cannot be reached") && queued.stderr.contains("queued"), || {
        queued.to_string()
    })?;
    ensure(queued.stderr.contains("not nats://127.0.0.1:1"), || queued.to_string())?;
    let doctor = bob.run(&["doctor"])?.expecting(3)?;
    ensure(doctor.stdout.contains("cannot be reached"), || doctor.to_string())?;
    site.broker.start(0)?;
    for running in [&tail, &bot] {
        running.tells("\"state\":\"back\"")?;
    }
    tail.prints("meanwhile")?;

    // The login is taken away while both run.
    site.broker.change("logins.conf", |text| text.replace("$CIPHER_AGENT_PASSWORD", "\"another\""))?;
    site.broker.reload(0)?;
    for running in [&tail, &bot] {
        running.tells("it refuses the login")?;
    }
    let queued = bob.does(&["send", "team", "refused"])?;
    ensure(queued.stderr.contains("it refuses the login"), || queued.to_string())?;
    // Alone it is told too, and a bot that starts is not called ready.
    let queued = alice.does(&["send", "team", "refused too"])?;
    ensure(queued.stderr.contains("it refuses the login"), || queued.to_string())?;
    drop(bot);
    let bot = Running::of(&alice, &["bot", "run", "echo"], "bot again")?;
    bot.tells("it refuses the login")?;
    ensure(!fs::read_to_string(&bot.out)?.contains("\"ready\""), || "ready without a broker".into())?;
    site.broker.change("logins.conf", |text| text.replace("\"another\"", "$CIPHER_AGENT_PASSWORD"))?;
    site.broker.reload(0)?;
    bot.prints("\"ready\"")?;
    tail.prints("refused")?;
    // What is data is data only.
    for file in [&tail.out, &bot.out] {
        for line in fs::read_to_string(file)?.lines() {
            let line: Value = serde_json::from_str(line)?;
            ensure(text(&line, "type") != Some("connection"), || line.to_string())?;
        }
    }
    Ok(())
}

/// A log that cannot be read is named, and the broker that takes messages late keeps nobody from being served.
#[test]
fn a5_e4_a_broker_that_is_slow_or_does_not_give_a_log_holds_nobody_up() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &alice, &[&bob])?;
    bob.sends("team", "stored")?;
    alice.syncs()?;
    let fault = site.fault()?;
    let slow = site.through(&fault, &alice);

    // E4: what is published arrives, and no answer comes back.
    fault.lose_answers("chat.>");
    let begun = Instant::now();
    let outputs = at_once(
        (0..3)
            .map(|n| -> Box<dyn FnOnce() -> Result<Output> + Send> {
                let slow = &slow;
                Box::new(move || {
                    if n < 2 {
                        slow.run(&["send", "team", &format!("slow {n}")])
                    } else {
                        slow.run(&["read", "team"])
                    }
                })
            })
            .collect(),
    )?;
    for output in &outputs {
        ensure(output.code == 0, || output.to_string())?;
    }
    ensure(begun.elapsed() < Duration::from_secs(20), || format!("{:?}", begun.elapsed()))?;
    ensure(outputs[2].stdout.contains("stored"), || outputs[2].to_string())?;
    fault.heal();
    slow.syncs()?;
    let texts = bob.texts("team")?;
    for words in ["slow 0", "slow 1"] {
        ensure(texts.iter().filter(|text| *text == words).count() == 1, || format!("{texts:?}"))?;
    }

    // A5: whatever is asked of the logs gets lost.
    bob.sends("team", "out of reach")?;
    fault.lose_questions("$JS.API.DIRECT.GET.>");
    let sync = slow.run(&["sync"])?.expecting(3)?;
    let synced = sync.of_type("synced")?;
    ensure(synced.get("unread").and_then(Value::as_u64).is_some_and(|unread| unread > 0), || {
        sync.to_string()
    })?;
    ensure(sync.stderr.contains("team"), || sync.to_string())?;
    fault.heal();
    let sync = slow.does(&["sync"])?;
    ensure(sync.of_type("synced")?.get("unread") == Some(&Value::from(0)), || sync.to_string())?;
    ensure(slow.texts("team")?.contains(&"out of reach".into()), || "it came in the end".into())
}

/// A follower whose reader pauses serves the other commands of its profile, and shows everything once in the end.
#[test]
fn a7_a_follower_whose_reader_pauses_holds_up_nobody() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &alice, &[&bob])?;
    let long = "x".repeat(20 * 1024);
    for n in 0..8 {
        alice.sends("team", &format!("{n} {long}"))?;
    }
    let mut command = bob.command(&["read", "team", "--follow"]);
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut follower = Process::start(&mut command)?;
    let out = follower.pipes().stdout.take().ok_or_else(|| Failure::new("no stdout"))?;
    let mut lines = BufReader::new(out).lines();
    // The first line was read: from here on more is written than a pipe holds, and nobody reads on.
    let first = lines.next().ok_or_else(|| Failure::new("no line"))??;
    ensure(first.contains("\"0 xx"), || first.clone())?;
    for n in 0..3 {
        let begun = Instant::now();
        let sent = bob.sends("team", &format!("answer {n}"))?;
        ensure(text(&sent, "state") == Some("sent"), || sent.to_string())?;
        ensure(begun.elapsed() < Duration::from_secs(10), || format!("{:?}", begun.elapsed()))?;
    }
    alice.sends("team", "the last")?;
    let mut shown = vec![first];
    while !shown.last().is_some_and(|line| line.contains("the last")) {
        shown.push(lines.next().ok_or_else(|| Failure::new("the follower ended"))??);
    }
    for words in (0..8).map(|n| format!("\"{n} xx")).chain((0..3).map(|n| format!("answer {n}"))) {
        let times = shown.iter().filter(|line| line.contains(&words)).count();
        ensure(times == 1, || format!("{words}: {times} times"))?;
    }
    Ok(())
}

/// C2, C5, C6: what is secret reaches no output and no log, the flag wins, and what cannot be used is refused.
#[test]
fn c2_c5_c6_no_secret_reaches_an_output_and_the_flag_wins() -> Result {
    let broker = Broker::single()?;
    let mut registry = Registry::prepared(&broker, &["--log", "trace"])?;
    registry.start()?;
    let homes = tempfile::Builder::new().prefix("testbed-homes-").tempdir()?;
    let ana = Person::new("ana", homes.path(), &broker.url())?;
    let secret = "agent-password";
    let mut said = Vec::new();
    let output = ana.run(&["-vvv", "register", "ana"])?.expecting(0)?;
    let phrase = text(&output.of_type("account")?, "phrase").unwrap_or_default().to_owned();
    ensure(phrase.split(' ').count() >= 12, || output.to_string())?;
    ensure(!output.stderr.contains(&phrase), || "the phrase is on stderr".into())?;
    said.push(output.stderr);
    for arguments in [&["-vvv", "sync"][..], &["-vvv", "doctor"], &["-vvv", "config", "show", "--origin"]] {
        said.push(ana.run(arguments)?.expecting(0)?.to_string());
    }
    // A wrong password, a token, and lists that cannot be read.
    let host = broker.servers().replace("nats://", "");
    for (url, code) in [
        (format!("nats://agent:planted-secret@{host}"), 3),
        (format!("nats://planted-secret@{host}"), 3),
        (format!("nats://agent:plan,ted-secret@{host}"), 2),
        (format!("ws://agent:planted-secret@{host}"), 2),
        (format!("nats://agent:planted-secret@{host}/path"), 2),
    ] {
        let away = ana.by_way_of(&url);
        let output = away.run(&["-vvv", "sync"])?.expecting(code)?;
        ensure(!output.stderr.contains("ted-secret") && !output.stdout.contains("ted-secret"), || {
            output.stderr.clone()
        })?;
    }
    // Files of secrets that are none.
    let folder = ana.home().join(".config/cipher-chat");
    fs::create_dir_all(&folder)?;
    let seed = ana.home().join("seed");
    fs::write(&seed, "SUplanted-secret")?;
    for key in ["nkey", "credentials"] {
        fs::write(folder.join("config.toml"), format!("{key} = '{}'\n", seed.display()))?;
        // C5: the flag's login wins over what a file says, whatever its kind.
        ana.does(&["sync"])?;
        let bare = ana.by_way_of(&broker.servers());
        let output = bare.run(&["-vvv", "sync"])?;
        ensure(output.code == 1 && output.stderr.contains("holds no"), || output.to_string())?;
        said.push(output.to_string());
    }
    fs::remove_file(folder.join("config.toml"))?;
    let wrong = format!("{phrase} planted-secret");
    let recovering = Person::new("new", homes.path(), &broker.url())?;
    let output = recovering.run_with(&["-vvv", "device", "recover"], &format!("{wrong}\n"))?;
    ensure(output.code != 0, || output.to_string())?;
    said.push(output.stderr);
    registry.stop()?;
    let log = registry.log();
    ensure(log.contains("DEBUG") && !log.contains("registry-password"), || "the registry's log".into())?;
    for text in &said {
        // Without the line that says how the command was typed.
        let text: String =
            text.lines().filter(|line| !line.contains("--server")).collect::<Vec<_>>().join("\n");
        for hidden in [secret, "planted-secret", &phrase] {
            ensure(!text.contains(hidden), || format!("{hidden} in\n{text}"))?;
        }
    }
    Ok(())
}

/// A broker without room: `send` queues and says why, `doctor` says it, an operator makes room, and what waited arrives.
#[test]
fn e3_a_full_broker_is_named_and_room_can_be_made() -> Result {
    let broker = Broker::single_as(|name, text| match name {
        "single.conf" => text.replace("max_file_store: 20GB", "max_file_store: 3MB"),
        _ => text,
    })?;
    let mut registry = Registry::prepared(&broker, &[])?;
    registry.start()?;
    let homes = tempfile::Builder::new().prefix("testbed-homes-").tempdir()?;
    let [ana, ben] = ["ana", "ben"].map(|name| Person::new(name, homes.path(), &broker.url()));
    let (ana, ben) = (ana?, ben?);
    for person in [&ana, &ben] {
        person.registers()?;
    }
    let bot = Running::of(&ana, &["bot", "run", "echo"], "bot")?;
    bot.prints("\"ready\"")?;
    ana.creates("team", &["ben", "echo"])?;
    ben.accepts("team")?;
    let long = "x".repeat(100 * 1024);
    let mut queued = None;
    for n in 0..60 {
        let begun = Instant::now();
        let output = ana.does(&["send", "team", &format!("{n} {long}")])?;
        if text(&output.of_type("message")?, "state") == Some("queued") {
            ensure(begun.elapsed() < Duration::from_secs(10), || format!("{:?}", begun.elapsed()))?;
            queued = Some((n, output));
            break;
        }
    }
    let (n, output) = queued.ok_or_else(|| Failure::new("it never was full"))?;
    ensure(output.stderr.contains("is full"), || output.stderr.clone())?;
    let doctor = ana.run(&["doctor"])?;
    ensure(doctor.code == 5 && doctor.stdout.contains("is full"), || doctor.to_string())?;
    // The operator sees it by a command, and in the log of the registry.
    let told = registry.shows(&["provision", "--verify"])?.expecting(5)?;
    ensure(told.stderr.contains("is full") && told.stderr.contains("cipher-registry room"), || {
        told.to_string()
    })?;
    let tail = Running::of(&ben, &["read", "team", "--follow"], "follow")?;
    tail.prints(&format!("{} xx", n - 1))?;
    // What was taken was read before it goes; what waits still waits.
    registry.shows(&["room", "--keep", "0.00002"])?.expecting(0)?;
    registry.shows(&["provision", "--verify"])?.expecting(0)?;
    let synced = ana.does(&["sync"])?;
    ensure(synced.of_type("synced")?.get("queued") == Some(&Value::from(0)), || synced.to_string())?;
    ensure(synced.stderr.contains("made room"), || synced.to_string())?;
    // What went is not sent again, and the follower goes on with what is new.
    tail.prints(&format!("{n} xx"))?;
    ana.sends("team", "there is room")?;
    tail.prints("there is room")?;
    // A bot that ran all the time too.
    ana.sends("team", "/echo room for answers")?;
    wait::until("the bot answers", || {
        let shown = fs::read_to_string(&tail.out).unwrap_or_default();
        (shown.matches("room for answers").count() >= 2).then_some(())
    })?;
    drop(tail);
    let texts = ben.texts("team")?;
    ensure(texts.iter().filter(|text| text.starts_with("0 x")).count() == 1, || "0 came twice".into())?;
    // Behind it everything is as before, for whoever comes new too.
    let doctor = ana.does(&["doctor"])?;
    ensure(!doctor.stdout.contains("is full") && !doctor.stdout.contains("no longer had"), || {
        doctor.to_string()
    })?;
    let room = registry.shows(&["room", "--keep", "30"])?.expecting(0)?;
    ensure(room.stdout.contains("CHAT-0"), || room.to_string())
}

/// C8: a stream of somebody else on our subjects is called that. C10: a limit that hides streams is final.
#[test]
fn c7_c8_c10_what_is_wrong_with_an_account_is_said_at_once() -> Result {
    let mut broker = Broker::single()?;
    let mut registry = Registry::prepared(&broker, &[])?;
    registry.start()?;
    registry.stop()?;
    // C7: a client cannot know when a broker syncs; the operator says so.
    let told = registry.shows(&["provision", "--verify"])?.expecting(0)?;
    ensure(told.stdout.contains("sync: unknown"), || told.to_string())?;
    let told = registry.shows(&["provision", "--verify", "--sync", "always"])?.expecting(0)?;
    ensure(!told.stdout.contains("sync: unknown"), || told.to_string())?;
    broker
        .change("single.conf", |text| text.replace("duplicate_window: \"5m\"", "duplicate_window: \"1m\""))?;
    broker.restart_unchecked(0)?;
    let begun = Instant::now();
    let told = registry.shows(&["provision"])?.expecting(3)?;
    ensure(
        told.stderr.contains("a limit of the broker") && told.stderr.contains("hidden and not lost"),
        || told.to_string(),
    )?;
    ensure(begun.elapsed() < Duration::from_secs(15), || format!("{:?}", begun.elapsed()))?;
    drop(broker);

    let broker = Broker::single()?;
    raw_stream(&broker)?;
    let registry = Registry::prepared(&broker, &[])?;
    let told = registry.shows(&["provision"])?.expecting(3)?;
    ensure(told.stderr.contains("an account of its own"), || told.to_string())
}

/// Somebody else's stream on subjects of ours.
fn raw_stream(broker: &Broker) -> Result {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (user, password) = broker.registry_login();
        let options = async_nats::ConnectOptions::with_user_and_password(user.into(), password.into());
        let client = options.connect(broker.addresses()?).await?;
        let context = async_nats::jetstream::new(client);
        let config = async_nats::jetstream::stream::Config {
            name: "FOREIGN".into(),
            subjects: vec!["chat.>".into()],
            ..Default::default()
        };
        context.create_stream(config).await?;
        Ok(())
    })
}

/// E5, and one of three nodes dies: a sender is told at once or after two seconds, and a server that has lost the others
/// is left.
#[test]
fn e5_a_server_that_lost_its_cluster_is_left_and_a_dead_node_of_a_cluster_keeps_nobody_waiting() -> Result {
    let mut site = Site::cluster()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &alice, &[&bob])?;
    let group: cipher_broker::id::GroupId = text(&alice.shows("team")?, "id").unwrap_or_default().parse()?;
    let stream = cipher_broker::subject::Source::Group(group).stream();
    let tail = Running::of(&bob, &["tail"], "tail")?;
    tail.prints("\"ready\"")?;

    // The leader dies: kill -9, then SIGTERM.
    for orderly in [false, true] {
        let leader = site.broker.leader(&stream)?;
        if orderly {
            site.broker.stop(leader)?;
        } else {
            site.broker.kill(leader)?;
        };
        let begun = Instant::now();
        let words = format!("over a dead node, {orderly}");
        let sent = alice.sends("team", &words)?;
        let took = begun.elapsed();
        let state = text(&sent, "state").unwrap_or_default().to_owned();
        // Two seconds, and what starting a process and connecting takes on a busy machine.
        ensure(took < Duration::from_secs(8), || format!("{took:?}: {sent}"))?;
        wait::within(Duration::from_secs(20), "it is delivered", || alice.syncs().ok())?;
        let delivered = begun.elapsed();
        ensure(delivered < Duration::from_secs(20), || format!("delivered after {delivered:?}"))?;
        // docs/FIGURES.md has what this said.
        let how = if orderly { "SIGTERM" } else { "kill -9" };
        eprintln!(
            "leader ends by {how}: told `{state}` after {took:?}, delivered after {delivered:?} at most"
        );
        tail.prints(&words)?;
        site.broker.start(leader)?;
    }
    drop(tail);

    // The third server finds the others no more; whoever is connected to it knows two others.
    site.broker.isolate(2)?;
    let (one, two) = (Fault::before(site.broker.address(0)?)?, Fault::before(site.broker.address(1)?)?);
    one.cut();
    two.cut();
    let urls =
        [site.broker.address(2)?.port(), one.port(), two.port()].map(|port| site.broker.url_by_way_of(port));
    let away = bob.by_way_of(&urls.join(","));
    let tail = Running::of(&away, &["tail"], "tail again")?;
    // What it is told first depends on which server it tried. Only when it is at the one that answers no question, the
    // others may come back: else it never meets that one.
    let (user, _) = site.broker.agent_login();
    wait::until("it is at the server that lost the others", || {
        let page = site.broker.monitor(2, "/connz?auth=true").ok()?;
        let connections = page.get("connections")?.as_array()?;
        connections.iter().any(|one| text(one, "authorized_user") == Some(user)).then_some(())
    })
    .map_err(|failure| failure.and(fs::read_to_string(&tail.err).unwrap_or_default()))?;
    one.heal();
    two.heal();
    let begun = Instant::now();
    let near = alice.by_way_of(&site.broker.url_by_way_of(site.broker.address(0)?.port()));
    // Who is still catching up when the server is left hears only that there was none.
    let why =
        ["it has lost the other servers of its cluster", "not up to date: the broker cannot be reached"];
    wait::until("it says why", || {
        let told = fs::read_to_string(&tail.err).ok()?;
        why.iter().any(|words| told.contains(words)).then_some(())
    })?;
    ensure(begun.elapsed() < Duration::from_secs(15), || format!("{:?}", begun.elapsed()))?;
    tail.tells("\"state\":\"back\"")?;
    near.sends("team", "heard again")?;
    tail.prints("heard again")
}
