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

/// A shell that a person types into, with a completion script of ours; says so when the machine does not have the shell.
#[expect(clippy::print_stdout, reason = "what was not tried is said to who runs the tests")]
fn shell(name: &str, arguments: &[&str], person: &testbed::Person, setup: &str) -> Result<Option<Terminal>> {
    let found = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(name).is_file()));
    if !found {
        println!("NOT TRIED: {name} is not on this machine");
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
