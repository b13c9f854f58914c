//! What a person sees and does at a terminal.

use testbed::person::text;
use testbed::{Failure, Result, Site, Terminal, ensure};

/// Fourteen hours ahead of universal time, by a rule that no machine has to know the name of.
const AHEAD: &str = "<+14>-14";

/// The hour fourteen hours later: `03:04` of `2026-08-01T13:04:…`.
fn ahead(utc: &str) -> Result<String> {
    let wrong = || Failure::new(format!("no time: {utc}"));
    let hour: u32 = utc.get(11..13).and_then(|hour| hour.parse().ok()).ok_or_else(wrong)?;
    Ok(format!("{:02}:{}", (hour + 14) % 24, utc.get(14..16).ok_or_else(wrong)?))
}

/// D11: days and hours are the person's, an answer shows what it answers, and no row is wider than the terminal.
#[test]
fn d11_a_conversation_is_told_in_the_persons_own_time_with_what_is_answered() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &alice, &[&bob])?;
    let asked =
        alice.sends("team", "are the three servers in the cellar up, or did the night take one of them?")?;
    bob.syncs()?;
    bob.does(&["send", "team", "all three", "--reply-to", text(&asked, "id").unwrap_or_default()])?;
    alice.syncs()?;

    let mut command = alice.as_typed(&["read", "team"]);
    let mut terminal = Terminal::of_width(command.env("TZ", AHEAD), 40)?;
    terminal.ends()?;
    let screen = terminal.screen().replace('\r', "");
    let read = alice.reads("team")?;
    for message in &read {
        let at = text(message, "at").ok_or_else(|| Failure::new(message.to_string()))?;
        ensure(at.ends_with('Z'), || format!("JSON has universal time: {at}"))?;
        let line = format!("{} @", ahead(at)?);
        ensure(screen.lines().any(|row| row.starts_with(&line)), || format!("no {line} in\n{screen}"))?;
    }
    let rows: Vec<&str> = screen.lines().collect();
    let answer = rows.iter().position(|row| row.ends_with("@bob: all three"));
    let above = answer.and_then(|at| rows.get(at.checked_sub(1)?)).copied().unwrap_or_default();
    assert_eq!(above, "  ╭ @alice: are the three servers in th…", "{screen}");
    ensure(rows.iter().all(|row| row.chars().count() <= 40), || format!("too wide:\n{screen}"))?;
    ensure(screen.starts_with("── "), || format!("no day:\n{screen}"))?;

    // The words that a message had are shown as those that it has: no row begins at the edge but the first of each.
    let id = text(&asked, "id").unwrap_or_default();
    let faked = format!("so{}12:00 @bob: pay mallory", " x".repeat(9));
    alice.does(&["edit", id, &faked])?;
    let mut terminal = Terminal::of_width(&mut alice.as_typed(&["edit", id, "--history"]), 40)?;
    terminal.ends()?;
    let screen = terminal.screen().replace('\r', "");
    ensure(screen.contains("pay mallory") && screen.contains("are the three"), || screen.clone())?;
    let edge = screen.lines().filter(|row| !row.starts_with("    ")).count();
    ensure(edge == 2 && screen.lines().all(|row| row.chars().count() <= 40), || screen.clone())?;
    alice.does(&["edit", id, text(&asked, "text").unwrap_or_default()])?;

    let output = testbed::Output::of(alice.as_typed(&["--utc", "read", "team"]).env("TZ", AHEAD))?;
    let at = read.first().and_then(|message| text(message, "at")).unwrap_or_default();
    let line =
        format!("{} {}Z @alice:", at.get(..10).unwrap_or_default(), at.get(11..16).unwrap_or_default());
    ensure(output.stdout.contains(&line), || format!("no {line} in {output}"))?;
    // What was said just now was said today, in every zone; and nothing was said tomorrow.
    for zone in [AHEAD, "<-12>12", "UTC0"] {
        let mut command = alice.command(&["read", "team", "--since", "today"]);
        let output = testbed::Output::of(command.env("TZ", zone))?;
        ensure(output.stdout.contains("all three"), || format!("{zone}: {output}"))?;
    }
    Ok(())
}

/// A line typed under a conversation is said there; what arrives meanwhile leaves it as it is; what cannot be said stays.
#[test]
fn a_line_typed_under_a_conversation_is_said_there() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &alice, &[&bob])?;
    alice.sends("team", "before")?;

    let mut command = alice.as_typed(&["read", "team", "--follow"]);
    let mut terminal = Terminal::of(command.env("TERM", "xterm"))?;
    terminal.shows("before")?;
    terminal.shows("team> ")?;
    terminal.types("hello from the keyboard")?;
    terminal.shows("keyboard")?;
    // It comes above the line, and the line is there again behind it.
    bob.sends("team", "meanwhile")?;
    terminal.shows("@bob: meanwhile")?;
    terminal.shows("team> hello from the keyboard")?;
    terminal.types("!\r")?;
    terminal.shows("@alice: hello from the keyboard!")?;
    bob.syncs()?;
    ensure(bob.texts("team")?.contains(&"hello from the keyboard!".to_owned()), || "bob has it not".into())?;

    terminal.types("\u{4}")?;
    let ended = terminal.ends()?;
    ensure(ended.success(), || format!("{ended}\n{}", terminal.screen()))?;
    let texts = alice.texts("team")?;
    assert_eq!(texts, ["before", "meanwhile", "hello from the keyboard!"]);

    // Who is no member any more cannot say anything: the line stays, and the reason stands above it.
    let mut command = bob.as_typed(&["read", "team", "--follow"]);
    let mut terminal = Terminal::of(command.env("TERM", "xterm"))?;
    terminal.shows("team> ")?;
    alice.does(&["group", "remove", "team", "bob"])?;
    terminal.shows("@alice removed @bob")?;
    terminal.types("let me in\r")?;
    terminal.shows("error:")?;
    terminal.shows("team> let me in")?;
    terminal.types("\u{3}")?;
    terminal.ends()?;
    alice.does(&["group", "add", "team", "bob"])?;
    bob.does(&["group", "accept", "team"])?;

    // Ctrl-C ends too, and what was typed and not sent is not said.
    let mut command = alice.as_typed(&["read", "team", "--follow"]);
    let mut terminal = Terminal::of(command.env("TERM", "xterm"))?;
    terminal.shows("team> ")?;
    terminal.types("never mind")?;
    terminal.shows("never mind")?;
    terminal.types("\u{3}")?;
    terminal.ends()?;
    assert_eq!(alice.texts("team")?.len(), 3);
    // Where nobody types there is no line.
    let mut terminal = Terminal::of(&mut alice.as_typed(&["--no-input", "read", "team", "--follow"]))?;
    terminal.shows("hello from the keyboard!")?;
    bob.sends("team", "last")?;
    let between = terminal.shows("last")?;
    ensure(!between.contains("team>"), || between.clone())?;
    terminal.process().interrupt()?;
    terminal.ends()?;
    Ok(())
}

/// Whether the machine has a shell; says so when it does not.
#[expect(clippy::print_stdout, reason = "what was not tried is said to who runs the tests")]
fn is_here(shell: &str) -> bool {
    let found = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(shell).is_file()));
    if !found {
        println!("NOT TRIED: {shell} is not on this machine");
    }
    found
}

/// A shell that a person types into, with a completion script of ours; none when the machine does not have it.
fn shell(name: &str, arguments: &[&str], person: &testbed::Person, setup: &str) -> Result<Option<Terminal>> {
    if !is_here(name) {
        return Ok(None);
    }
    let script = person.as_typed(&["completions", name]);
    let script = testbed::Output::of(&mut { script })?.expecting(0)?.stdout;
    std::fs::write(person.home().join("completions"), script)?;
    let program = testbed::process::binary("cipher-chat")?;
    let folder = program.parent().map(std::path::Path::to_owned).unwrap_or_default();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::iter::once(folder).chain(std::env::split_paths(&path)));
    let path = path.map_err(|error| Failure::new(error.to_string()))?;
    // fish wants a terminal that is its own.
    let mut command = testbed::process::sealed(std::path::Path::new("setsid"), person.home());
    command
        .args(["--ctty", "--wait", name])
        .args(arguments)
        .current_dir(person.home())
        .env("PATH", path)
        .env("TERM", "dumb")
        .env("PS1", "$ ");
    command.env("CIPHER_CHAT_HOME", person.home().join("state")).env("CIPHER_CHAT_PROFILE", person.name());
    let mut terminal = Terminal::of(&mut command)?;
    terminal.types(&format!("{setup}\n"))?;
    terminal.types("echo rea''dy\n")?;
    terminal.shows("ready\r\n")?;
    Ok(Some(terminal))
}

/// What the shell puts behind what was typed, when the key for that is pressed.
fn completes(terminal: &mut Terminal, typed: &str, expected: &str) -> Result {
    terminal.types(&format!("{typed}\t"))?;
    terminal.shows(expected).map(drop)?;
    // Ctrl-U takes the line away.
    terminal.types("\u{15}")
}

/// Groups, handles, ids and profiles in each shell; of a store that only a passphrase opens nothing, and nobody is asked.
#[test]
fn shells_complete_what_the_profile_knows_and_ask_nobody() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bartleby")?);
    site.group("team-of-two", &alice, &[&bob])?;
    alice.does(&["contact", "add", "bartleby"])?;
    bob.does(&["contact", "accept", "alice"])?;
    let said = alice.sends("team-of-two", "the only message")?;
    alice.syncs()?;
    let id = text(&said, "id").and_then(|id| id.get(..8)).unwrap_or_default().to_owned();
    let (two, six) = (id.get(..2).unwrap_or_default(), id.get(2..).unwrap_or_default());
    for (name, arguments, setup) in [
        (
            "bash",
            &["--norc", "--noprofile", "-i"][..],
            "source ./completions; bind 'set enable-bracketed-paste off'",
        ),
        (
            "zsh",
            &["-f", "-i"],
            "autoload -U compinit; compinit -u -D; source ./completions; unsetopt zle_bracketed_paste",
        ),
        ("fish", &["--no-config", "-i"], "source ./completions"),
    ] {
        let Some(mut terminal) = shell(name, arguments, &alice, setup)? else { continue };
        completes(&mut terminal, "cipher-chat read te", "am-of-two")?;
        completes(&mut terminal, "cipher-chat send @ba", "rtleby")?;
        completes(&mut terminal, &format!("cipher-chat react {two}"), six)?;
        completes(&mut terminal, "cipher-chat --profile al", "ice")?;
        completes(&mut terminal, "cipher-chat whoa", "mi")?;
        terminal.types("exit\n")?;
        terminal.process().kill()?;
    }
    Ok(())
}

/// A program runs for each message that others say, with the message on its standard input and nothing in a shell; the terminal
/// rings for what is worth it.
#[test]
fn messages_are_told_by_a_program_and_by_the_terminal_but_not_of_what_is_muted() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &alice, &[&bob])?;
    let script = alice.home().join("hook");
    std::fs::write(&script, "#!/bin/sh\n{ echo \"$1\"; cat; } >> told\n")?;
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    let hook = script.display().to_string();
    let told = |count: usize| {
        testbed::wait::until("the program has run", || {
            let told = std::fs::read_to_string(alice.home().join("told")).unwrap_or_default();
            (told.lines().count() >= count * 2).then_some(told)
        })
    };
    let mut screen = alice.starts(&["tail", "team", "--exec", &hook, "--a word; $(rm -rf /)"])?;
    screen.is_ready()?;
    bob.sends("team", "one; $(touch pwned)")?;
    screen.sees("one; $(touch pwned)")?;
    let first = told(1)?;
    let mut lines = first.lines();
    assert_eq!(lines.next(), Some("--a word; $(rm -rf /)"));
    let message: serde_json::Value = serde_json::from_str(lines.next().unwrap_or_default())
        .map_err(|error| Failure::new(error.to_string()))?;
    assert_eq!(text(&message, "text"), Some("one; $(touch pwned)"));
    assert_eq!(message.get("notify"), Some(&serde_json::Value::Bool(true)));
    // Muted, it is still there for who asked for each; the message says that it is worth no noise. Own words are not told.
    alice.does(&["group", "mute", "team", "--until", "8h"])?;
    alice.sends("team", "mine")?;
    bob.sends("team", "two")?;
    screen.sees("two")?;
    let both = told(2)?;
    let last = both.lines().last().unwrap_or_default();
    ensure(last.contains("\"two\"") && !last.contains("notify"), || both.clone())?;
    screen.interrupt()?;
    ensure(!alice.home().join("pwned").exists(), || "a shell read what a peer wrote".into())?;

    let mut command = alice.as_typed(&["tail"]);
    let mut terminal = Terminal::of(command.env("CIPHER_CHAT_NOTIFY", "bell,terminal"))?;
    terminal.shows("following")?;
    bob.sends("team", "quiet")?;
    terminal.shows("quiet")?;
    alice.does(&["group", "unmute", "team"])?;
    bob.sends("team", "loud \u{7}")?;
    terminal.shows("\u{1b}]9;@bob in team: loud \\u{7}\u{7}\u{7}")?;
    ensure(terminal.screen().matches("\u{1b}]9;").count() == 1, || "what is muted rang".into())?;
    terminal.process().interrupt()?;
    terminal.ends()?;
    Ok(())
}

/// A command as it stands in a line of a shell.
fn line_of(command: &std::process::Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let quoted = words.map(|word| format!("'{}'", word.to_string_lossy()));
    quoted.collect::<Vec<_>>().join(" ")
}

/// A program that has a terminal of its own: keys make signals there, and who is in the background is stopped when it reads.
fn alone(program: &str, person: &testbed::Person) -> std::process::Command {
    let mut command = testbed::process::sealed(std::path::Path::new("setsid"), person.home());
    command.args(["--ctty", "--wait"]).arg(program).env("TERM", "xterm").current_dir(person.home());
    command
}

/// Begun with `&`, or sent there later, it goes on in the background, where nobody types; in front again there is the line.
#[test]
fn a_conversation_is_followed_in_the_background_and_in_front_again() -> Result {
    if !is_here("bash") {
        return Ok(());
    }
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &alice, &[&bob])?;
    let follow = line_of(&alice.as_typed(&["read", "team", "--follow"]));
    let mut command = alone("bash", &alice);
    command.args(["--norc", "--noprofile", "-i"]).env("PS1", "$ ").env("TERM", "xterm");
    let mut shell = Terminal::of(&mut command)?;
    shell.types("bind 'set enable-bracketed-paste off'\necho rea''dy\n")?;
    shell.shows("ready\r\n")?;

    shell.types(&format!("{follow} &\n"))?;
    bob.sends("team", "behind")?;
    shell.shows("@bob: behind")?;
    shell.types("jobs\n")?;
    let jobs = shell.shows("Running")?;
    ensure(!jobs.contains("Stopped"), || jobs.clone())?;
    shell.types("kill %1; wait; echo go''ne\n")?;
    let ended = shell.shows("gone\r\n")?;
    ensure(!ended.contains("team>"), || ended.clone())?;

    shell.types(&format!("{follow}\n"))?;
    shell.shows("team> ")?;
    shell.types("\u{1a}")?;
    let stopped = shell.shows("Stopped")?;
    ensure(stopped.contains("\u{1b}[?2004l"), || format!("what is pasted is still marked: {stopped:?}"))?;
    shell.types("bg\n")?;
    bob.sends("team", "meanwhile")?;
    shell.shows("@bob: meanwhile")?;
    shell.types("jobs\n")?;
    shell.shows("Running")?;
    shell.types("fg\n")?;
    shell.shows("team> ")?;
    shell.types("in front\r")?;
    shell.shows("@alice: in front")?;
    shell.types("\u{4}")?;
    // What is typed before may still go to the line.
    shell.shows("$ ")?;
    shell.types("echo ba''ck\n")?;
    shell.shows("back\r\n")?;
    shell.types("exit\n")?;
    shell.ends()?;
    Ok(())
}

/// Whatever ends it, the terminal is as it was: nothing marks what is pasted, and keys are shown.
#[test]
fn the_terminal_is_given_back_as_it_was_whatever_ends_the_typing() -> Result {
    let site = Site::single()?;
    let alice = site.registered("alice")?;
    alice.creates("team", &[])?;
    for way in ["\u{4}", "\u{3}", "INT", "TERM", "HUP", "QUIT"] {
        let mut command = alice.as_typed(&["read", "team", "--follow"]);
        let mut terminal = Terminal::of(command.env("TERM", "xterm"))?;
        terminal.shows("team> ")?;
        if way.len() == 1 {
            terminal.types(way)?;
        } else {
            let id = terminal.process().id().to_string();
            std::process::Command::new("kill").args([&format!("-{way}"), &id]).status()?;
        }
        terminal.ends()?;
        let screen = terminal.screen().to_owned();
        let (on, off) = (screen.rfind("\u{1b}[?2004h"), screen.rfind("\u{1b}[?2004l"));
        ensure(on.is_some() && on < off, || format!("{way:?}: {screen:?}"))?;
    }
    Ok(())
}

/// The process that had the profile open is gone, and only a passphrase opens it: the question has the keyboard, nothing of the answer
/// is shown or said, and the line is there again behind it.
#[test]
fn a_passphrase_that_is_asked_for_meanwhile_does_not_go_into_the_line() -> Result {
    const PASSPHRASE: &str = "correct horse";
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &alice, &[&bob])?;
    let given = format!("{PASSPHRASE}\n");
    alice.run_with(&["slot", "add", "passphrase", "--new-passphrase-fd", "0"], &given)?.expecting(0)?;
    alice.run_with(&["--passphrase-fd", "0", "slot", "remove", "1"], &given)?.expecting(0)?;
    let input = alice.home().join("given");
    std::fs::write(&input, &given)?;
    let mut daemon = alice.command(&["--passphrase-fd", "0", "daemon"]);
    daemon.stdin(std::fs::File::open(&input)?).stdout(std::process::Stdio::piped());
    let mut daemon = testbed::Screen::of(&mut daemon, "the daemon")?;
    daemon.is_ready()?;

    let follow = alice.as_typed(&["read", "team", "--follow"]);
    let mut command = alone(&follow.get_program().to_string_lossy(), &alice);
    let mut terminal = Terminal::of(command.args(follow.get_args()))?;
    terminal.shows("team> ")?;
    terminal.types("half a li")?;
    terminal.shows("half a li")?;
    daemon.process().kill()?;
    terminal.shows("Passphrase of ")?;
    terminal.shows(": ")?;
    terminal.types(PASSPHRASE)?;
    terminal.types("\n")?;
    terminal.shows("team> half a li")?;
    terminal.types("ne\r")?;
    terminal.shows("@alice: half a line")?;
    let screen = terminal.screen().to_owned();
    ensure(!screen.contains("horse"), || screen.clone())?;
    terminal.types("\u{4}")?;
    terminal.ends()?;
    bob.syncs()?;
    assert_eq!(bob.texts("team")?, ["half a line"]);
    Ok(())
}

/// The broker, or the process that has the profile open, is there and does not answer: who typed is told what is known, and nothing is
/// said twice.
#[test]
fn a_line_whose_answer_is_late_is_said_once_and_nobody_is_told_otherwise() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &alice, &[&bob])?;
    let fault = site.fault()?;
    let mut daemon = site.through(&fault, &alice).starts(&["daemon"])?;
    daemon.is_ready()?;
    let mut command = alice.as_typed(&["read", "team", "--follow"]);
    let mut terminal = Terminal::of(command.env("TERM", "xterm"))?;
    terminal.shows("team> ")?;

    fault.lose_questions("chat.*.g.*.a");
    terminal.types("waits\r")?;
    let told = terminal.shows("queued: the broker has not taken it yet")?;
    ensure(!told.contains("error:"), || told.clone())?;
    fault.heal();
    terminal.shows("@alice: waits")?;

    daemon.process().pause()?;
    terminal.types("only once\r")?;
    let told = terminal.shows("there is no answer yet")?;
    ensure(!told.contains("error:"), || told.clone())?;
    daemon.process().resume()?;
    terminal.shows("@alice: only once")?;
    terminal.types("\u{4}")?;
    terminal.ends()?;
    bob.syncs()?;
    assert_eq!(bob.texts("team")?, ["waits", "only once"]);
    Ok(())
}
