//! The commands that run the project itself: tests, demo, benchmarks, long simulations.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::against::{self, Side};
use crate::{Failure, Outcome, none_left, run, setup, ui};

/// The shipped binaries.
pub(crate) const SHIPPED: [&str; 2] = ["cipher-chat", "cipher-registry"];

/// Sets up, builds everything once, runs every test.
pub(crate) fn test(arguments: &[String]) -> Outcome {
    let (rest, filter) = value_of(arguments, &["--filter"])?;
    none_left(&rest)?;
    let begun = Instant::now();
    ui::step("setting up");
    let server = setup::nats_server()?;
    // One selection of packages for all steps: another selection may mean other features, and a second build.
    run::succeed(
        &mut run::cargo(["build", "--workspace", "--bins", "--tests", "--locked"]),
        "building everything once (a cold build takes some minutes)",
    )?;
    python_tests(&server, filter.as_deref())?;
    rust_tests(&server, filter.as_deref())?;
    ui::tell(&format!("    tests: all passed, {} s with set-up and build", begun.elapsed().as_secs()));
    Ok(())
}

fn rust_tests(server: &Path, filter: Option<&str>) -> Outcome {
    let nextest = run::installed("nextest");
    if filter.is_none() {
        let mut doctests = run::cargo(["test", "--workspace", "--doc", "--locked", "--quiet"]);
        setup::with_nats(&mut doctests, server)?;
        run::succeed(&mut doctests, "examples in the documentation")?;
    }
    let mut tests = if nextest {
        let mut tests = run::cargo(["nextest", "run", "--workspace", "--locked", "--no-fail-fast"]);
        if filter.is_some() {
            tests.arg("--no-tests=warn");
        }
        tests
    } else {
        ui::tell("    cargo-nextest is not installed: cargo test runs one package after the other");
        let mut tests = run::cargo(["test", "--workspace", "--bins", "--lib", "--tests", "--locked"]);
        tests.arg("--no-fail-fast");
        tests
    };
    setup::with_nats(&mut tests, server)?;
    if let Some(filter) = filter {
        tests.arg(filter);
    }
    run::succeed(&mut tests, if nextest { "cargo nextest run" } else { "cargo test" })
}

/// Tests of the helper programs, wherever a package has Python tests.
fn python_tests(server: &Path, filter: Option<&str>) -> Outcome {
    for folder in ["deploy/tests", "bots/python/tests"] {
        let place = run::root().join(folder);
        let any = std::fs::read_dir(&place).is_ok_and(|entries| {
            entries.flatten().any(|entry| {
                let name = entry.file_name().to_string_lossy().into_owned();
                name.starts_with("test_") && name.ends_with(".py")
            })
        });
        if !any {
            continue;
        }
        let mut tests = Command::new(setup::python()?);
        tests.args(["-B", "-m", "unittest", "discover", "-s", folder]).current_dir(run::root());
        if let Some(filter) = filter {
            // Exit code 5 means that no test matched, from Python 3.12 on: not a failure of a filtered run.
            tests.args(["-k", filter]);
            setup::with_nats(&mut tests, server)?;
            let status = tests.stdin(Stdio::null()).status().map_err(|error| error.to_string())?;
            if !status.success() && status.code() != Some(5) {
                return Err(format!("Python tests in {folder} failed ({status})"));
            }
            continue;
        }
        setup::with_nats(&mut tests, server)?;
        run::succeed(&mut tests, &format!("Python tests in {folder}"))?;
    }
    Ok(())
}

/// People and a bot through the shipped binaries.
pub(crate) fn demo(arguments: &[String]) -> Outcome {
    ui::step("setting up");
    let server = setup::nats_server()?;
    let folder = build(Some("demo"), "dev")?;
    let mut demo = Command::new(folder.join(format!("demo{}", std::env::consts::EXE_SUFFIX)));
    demo.args(arguments).current_dir(run::root());
    setup::with_nats(&mut demo, &server)?;
    ui::step("demo");
    // Its stdin is ours: on a terminal it stays up and waits for Ctrl-C.
    let status = demo.status().map_err(|error| format!("the demo could not be started ({error})"))?;
    if status.success() { Ok(()) } else { Err(format!("the demo failed ({status})")) }
}

/// What a bench can be told, besides numbers and a folder.
const BENCHES: [&str; 10] = [
    "--quick",
    "--json",
    "--registry",
    "--replicas",
    "--linking",
    "--backup",
    "--unlock",
    "--junk",
    "--files",
    "--search",
];

/// Figures beside raw ones, or beside those of another commit.
pub(crate) fn bench(arguments: &[String]) -> Outcome {
    let (arguments, commit) = value_of(arguments, &["--against"])?;
    let (mut arguments, rounds) = value_of(&arguments, &["--rounds"])?;
    let rounds = match rounds.as_deref().map(str::parse::<usize>) {
        None => against::ROUNDS,
        Some(Ok(rounds)) if rounds > 0 && commit.is_some() => rounds,
        Some(_) => return Err("--rounds takes a number, together with --against".into()),
    };
    // A run takes minutes, and a word that it does not know would be no part of it.
    let mut values = Vec::new();
    for flag in ["--accounts", "--stock", "--keep"] {
        let (rest, value) = value_of(&arguments, &[flag])?;
        arguments = rest;
        values.extend(value.into_iter().flat_map(|value| [flag.to_owned(), value]));
    }
    if let Some(extra) = arguments.iter().find(|argument| !BENCHES.contains(&argument.as_str())) {
        return Err(format!("unexpected argument `{extra}`; cargo xtask help lists them"));
    }
    arguments.extend(values);
    ui::step("setting up");
    let server = setup::nats_server()?;
    let program = build(Some("bench"), "release")?.join(format!("bench{}", std::env::consts::EXE_SUFFIX));
    if let Some(commit) = commit {
        let old = Side::of(&commit, "release", |command| {
            choose(command, Some("bench"));
            run::succeed(command, &format!("building the binaries of {commit}"))
        })?;
        return against::compare(&old, &Side::ours(program), rounds, &arguments, &server);
    }
    let mut bench = Command::new(program);
    bench.args(arguments).current_dir(run::root());
    setup::with_nats(&mut bench, &server)?;
    run::succeed(&mut bench, "bench")
}

/// The shipped binaries, and one of the testbed.
fn choose(command: &mut Command, program: Option<&str>) {
    for shipped in SHIPPED {
        command.args(["--package", shipped, "--bin", shipped]);
    }
    if let Some(program) = program {
        command.args(["--package", "testbed", "--bin", program]);
    }
}

/// Builds the shipped binaries, and one of the testbed; gives the folder they lie in.
pub(crate) fn build(program: Option<&str>, profile: &str) -> Result<PathBuf, Failure> {
    let mut command = run::cargo([
        "build",
        "--locked",
        "--profile",
        profile,
        "--message-format",
        "json-render-diagnostics",
    ]);
    choose(&mut command, program);
    let [chat, _] = SHIPPED;
    let program = program.unwrap_or(chat);
    ui::step("building the binaries (a cold build takes some minutes)");
    let text = run::output(&mut command)?;
    text.lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message.pointer("/target/name").and_then(|name| name.as_str()) == Some(program))
        .find_map(|message| {
            let path = PathBuf::from(message.get("executable")?.as_str()?);
            path.parent().map(Path::to_path_buf)
        })
        .ok_or_else(|| format!("cargo did not tell where it put `{program}`"))
}

/// Many seeds of the simulated worlds, or many writing calls that fail in them.
pub(crate) fn worlds(arguments: &[String]) -> Outcome {
    let (rest, points) = value_of(arguments, &["--points"])?;
    let (rest, seeds) = value_of(&rest, &["--seeds"])?;
    none_left(&rest)?;
    if points.is_some() {
        let points = number("--points", points, 0)?;
        let title = format!("simulated worlds, {points} writing calls that fail");
        return scenes(&["--nocapture", "crash::"], &[("WORLD_POINTS", points)], &title);
    }
    let seeds = number("--seeds", seeds, 10_000)?;
    let title = format!("simulated worlds, {seeds} seeds");
    scenes(&["schedules::", "crash::"], &[("WORLD_SEEDS", seeds), ("WORLD_FULL", 1)], &title)
}

/// Flipped bits anywhere in the files of a profile, counted.
pub(crate) fn flips(arguments: &[String]) -> Outcome {
    let (rest, count) = value_of(arguments, &["--count"])?;
    let (rest, seed) = value_of(&rest, &["--seed"])?;
    none_left(&rest)?;
    let (count, seed) = (number("--count", count, 10_000)?, number("--seed", seed, 1)?);
    let title = format!("{count} flipped bits, seed {seed}");
    scenes(&["--nocapture", "flips::"], &[("WORLD_FLIPS", count), ("WORLD_SEED", seed)], &title)
}

/// Scenes of the core, optimised, with numbers that the tests look for.
fn scenes(which: &[&str], variables: &[(&str, u64)], title: &str) -> Outcome {
    let mut command =
        run::cargo(["test", "--package", "cipher-core", "--test", "runner", "--locked", "--release", "--"]);
    command.args(which).envs(variables.iter().map(|(name, value)| (name, value.to_string())));
    run::succeed(&mut command, title)
}

/// A real deployment that is ill-treated for some minutes.
pub(crate) fn torture(arguments: &[String]) -> Outcome {
    long_run("torture", 5, arguments, |seed| {
        // As the test says it: even seeds are of one server.
        let servers = if seed.is_multiple_of(2) { "one_server" } else { "three_servers" };
        format!("torture::torture_of_{servers}_loses_nothing_doubles_nothing_and_leaves_one_world")
    })
}

/// Two front ends of a profile for a long time.
pub(crate) fn soak(arguments: &[String]) -> Outcome {
    long_run("soak", 60, arguments, |_| {
        "soak::two_front_ends_miss_nothing_and_hear_nothing_twice_whoever_is_killed".into()
    })
}

/// Commands that are killed at any moment.
pub(crate) fn kills(arguments: &[String]) -> Outcome {
    let (rest, times) = value_of(arguments, &["--times"])?;
    none_left(&rest)?;
    let times = number("--times", times, 1000)?;
    let test = "crash::killed_at_any_moment_a_profile_opens_and_has_what_was_acknowledged";
    play(test, &[("KILLS".into(), times)], &format!("{times} commands are killed"))
}

/// Uploads and downloads that are killed at any moment.
pub(crate) fn file_kills(arguments: &[String]) -> Outcome {
    let (rest, times) = value_of(arguments, &["--times"])?;
    let (rest, seed) = value_of(&rest, &["--seed"])?;
    none_left(&rest)?;
    let times = number("--times", times, 20)?;
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seed = number("--seed", seed, since.as_secs())?;
    let variables = [("FILE_KILLS".into(), times), ("FILE_SEED".into(), seed)];
    for test in [
        "files::an_upload_that_was_killed_goes_on_and_stores_no_chunk_twice",
        "files::a_download_that_was_killed_goes_on_and_fetches_little_twice",
    ] {
        play(test, &variables, &format!("{test}: killed {times} times, seed {seed}"))?;
    }
    Ok(())
}

/// Runs one test for some minutes; it is told the time and the seed by variables of its name.
fn long_run(name: &str, otherwise: u64, arguments: &[String], test: impl FnOnce(u64) -> String) -> Outcome {
    let (rest, minutes) = value_of(arguments, &["--minutes"])?;
    let (rest, seed) = value_of(&rest, &["--seed"])?;
    none_left(&rest)?;
    let minutes = number("--minutes", minutes, otherwise)?;
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seed = number("--seed", seed, since.as_secs())?;
    let variable = name.to_uppercase();
    let variables =
        [(format!("{variable}_SECONDS"), minutes.saturating_mul(60)), (format!("{variable}_SEED"), seed)];
    play(&test(seed), &variables, &format!("{name} for {minutes} min, seed {seed}"))
}

/// Builds everything and plays one test of the whole, with numbers that it looks for.
fn play(test: &str, variables: &[(String, u64)], title: &str) -> Outcome {
    let server = setup::nats_server()?;
    let binaries = ["build", "--workspace", "--bins", "--tests", "--locked"];
    run::succeed(&mut run::cargo(binaries), "building everything once (a cold build takes some minutes)")?;
    let mut command = run::cargo(["test", "--package", "testbed", "--test", "e2e", "--locked"]);
    command.args(["--", "--exact", "--nocapture", test]);
    command.envs(variables.iter().map(|(name, value)| (name, value.to_string())));
    setup::with_nats(&mut command, &server)?;
    run::succeed(&mut command, title)
}

/// The number that an option was given, or another one.
fn number(name: &str, given: Option<String>, otherwise: u64) -> Result<u64, Failure> {
    given.map_or(Ok(otherwise), |text| {
        text.parse().map_err(|_| format!("{name} takes a number, not `{text}`"))
    })
}

/// Takes the value of an option out of arguments; gives the rest and the value.
pub(crate) fn value_of(
    arguments: &[String],
    names: &[&str],
) -> Result<(Vec<String>, Option<String>), Failure> {
    let mut rest = Vec::new();
    let mut value = None;
    let mut left = arguments.iter();
    while let Some(argument) = left.next() {
        if names.contains(&argument.as_str()) {
            value = Some(left.next().ok_or_else(|| format!("{argument} needs a value"))?.clone());
        } else if let Some((_, given)) = argument.split_once('=').filter(|(name, _)| names.contains(name)) {
            value = Some(given.into());
        } else {
            rest.push(argument.clone());
        }
    }
    Ok((rest, value))
}
