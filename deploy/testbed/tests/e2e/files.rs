//! Files, from one person's disk to another's: whole, checked, and gone on with whatever died on the way.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use async_nats::jetstream::{self, stream::Config};
use cipher_broker::stream;
use cipher_broker::subject::FILES_STREAM;
use serde_json::Value;
use testbed::person::{Output, text};
use testbed::registry::Registry;
use testbed::{Broker, Person, Result, Site, ensure, raw, wait};

use crate::torture::number;

const MIB: usize = 1024 * 1024;
const CHUNK: usize = 256 * 1024;

/// A file that cannot be packed smaller, other bytes for each seed.
fn file(person: &Person, name: &str, size: usize, seed: u64) -> Result<PathBuf> {
    let mut state = seed | 1;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes.extend((state >> 16).to_le_bytes());
    }
    bytes.truncate(size);
    let path = person.home().join(name);
    fs::write(&path, bytes)?;
    Ok(path)
}

fn same(left: &Path, right: &Path) -> Result {
    ensure(fs::read(left)? == fs::read(right)?, || format!("{} is not {}", right.display(), left.display()))
}

fn shown(path: &Path) -> &str {
    path.to_str().unwrap_or_default()
}

/// A conversation of two.
fn two(site: &Site) -> Result<(Person, Person)> {
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &alice, &[&bob])?;
    Ok((alice, bob))
}

/// Id of the file that was sent last.
fn last_file(person: &Person) -> Result<String> {
    person.syncs()?;
    let listed = person.does(&["group", "files", "team", "-n", "1"])?.of_type("file")?;
    Ok(text(&listed, "id").unwrap_or_default().to_owned())
}

fn folder(person: &Person, name: &str) -> Result<PathBuf> {
    let path = person.home().join(name);
    fs::create_dir_all(&path)?;
    Ok(path)
}

/// The files that lie in a folder, hidden ones too.
fn inside(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?.block_on(work)
}

/// Chunks that lie at the broker.
fn chunks(site: &Site) -> Result<u64> {
    block_on(async {
        let context = jetstream::new(raw::registry(&site.broker).await?);
        Ok(context.get_stream(FILES_STREAM).await?.cached_info().state.messages)
    })
}

#[test]
fn a_hundred_mebibytes_arrive_as_they_were_and_nothing_is_overwritten() -> Result {
    let site = Site::single()?;
    let (alice, bob) = two(&site)?;
    let (large, small) = (file(&alice, "large.bin", 100 * MIB, 1)?, alice.home().join("notes.txt"));
    fs::write(&small, "hello\n")?;
    let sent = alice
        .does(&["send", "team", "look", "--file", shown(&large), "--file", shown(&small)])?
        .of_type("message")?;
    let names = |message: &Value| -> Vec<String> {
        let files = message.pointer("/attachments").and_then(Value::as_array).cloned().unwrap_or_default();
        files.iter().filter_map(|file| text(file, "name").map(str::to_owned)).collect()
    };
    assert_eq!(names(&sent), ["large.bin", "notes.txt"]);
    bob.syncs()?;
    let heard = bob.reads("team")?.pop().unwrap_or_default();
    assert_eq!(names(&heard), ["large.bin", "notes.txt"]);
    assert_eq!(heard.pointer("/attachments/0/size"), Some(&Value::from(100 * MIB)));
    assert_eq!(heard.pointer("/attachments/1/mime"), Some(&Value::from("text/plain")));
    let to = folder(&bob, "in")?;
    let message = text(&heard, "id").unwrap_or_default();
    for round in 0..2 {
        let fetched = bob.does(&["download", message, "--to", shown(&to)])?;
        assert_eq!(fetched.lines.len(), 2, "{fetched}");
        let endings = [["large.bin", "notes.txt"], ["large (1).bin", "notes (1).txt"]];
        for (line, name) in fetched.lines.iter().zip(endings[round]) {
            assert_eq!(text(line, "path").map(Path::new), Some(to.join(name).as_path()));
        }
        same(&large, &to.join(endings[round][0]))?;
        same(&small, &to.join(endings[round][1]))?;
    }
    assert_eq!(inside(&to)?, ["large (1).bin", "large.bin", "notes (1).txt", "notes.txt"], "no part is left");
    let exact = to.join("mine.txt");
    let one = heard.pointer("/attachments/1/id").and_then(Value::as_str).unwrap_or_default();
    bob.does(&["download", &one[..8], "--to", shown(&exact)])?;
    same(&small, &exact)?;
    bob.is_refused(8, "conflict", &["download", one, "--to", shown(&exact)])?;
    bob.is_refused(2, "usage", &["download", message, "--to", shown(&to.join("both.bin"))])?;
    bob.is_refused(9, "not-found", &["download", "zzzzzz", "--to", shown(&to)]).map(drop)
}

/// Kills a command once `far` says that it is far enough. Slowed down, so that there is a middle.
fn killed_in_the_middle(site: &Site, person: &Person, arguments: &[&str], far: impl Fn() -> bool) -> Result {
    let fault = site.fault()?;
    fault.delay(Duration::from_millis(4));
    let mut running = site.through(&fault, person).starts(arguments)?;
    wait::until("it is far enough", || far().then_some(()))?;
    ensure(running.process().ended().is_none(), || "it was done before it was killed".into())?;
    running.process().kill()
}

/// How often each side is killed; a long run says more.
const KILLS: u64 = 3;

/// Numbers of chunks after which a command is killed, at random, in order. A long run has others each time.
fn moments(seed: u64, most: u64) -> Vec<u64> {
    let kills = usize::try_from(number("FILE_KILLS", KILLS)).unwrap_or(usize::MAX);
    let mut state = seed ^ number("FILE_SEED", 0);
    let mut chance = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        1 + (state >> 33) % (most - 1)
    };
    let mut moments: Vec<u64> = std::iter::repeat_with(&mut chance).take(kills).collect();
    moments.sort_unstable();
    moments
}

#[test]
fn an_upload_that_was_killed_goes_on_and_stores_no_chunk_twice() -> Result {
    let site = Site::single()?;
    let (alice, bob) = two(&site)?;
    let large = file(&alice, "large.bin", 40 * MIB + 12_345, 2)?;
    let send = ["send", "team", "--file", shown(&large)];
    for far in moments(2, 120) {
        killed_in_the_middle(&site, &alice, &send, || chunks(&site).is_ok_and(|chunks| chunks >= far))?;
    }
    ensure(bob.reads("team")?.is_empty(), || "it was said before all of it was there".into())?;
    alice.does(&send)?;
    assert_eq!(chunks(&site)?, (40 * MIB + 12_345).div_ceil(CHUNK) as u64, "one file, each chunk once");
    let to = folder(&bob, "in")?;
    bob.does(&["download", &last_file(&bob)?, "--to", shown(&to)])?;
    same(&large, &to.join("large.bin"))
}

/// The broker has chunks, and the sender dies before it hears of it.
#[test]
fn an_upload_whose_answers_got_lost_finds_that_the_broker_has_its_chunks() -> Result {
    let site = Site::single()?;
    let (alice, bob) = two(&site)?;
    let large = file(&alice, "large.bin", 5 * MIB, 3)?;
    let send = ["send", "team", "--file", shown(&large)];
    let fault = site.fault()?;
    fault.lose_answers("file.*.*");
    let mut sending = site.through(&fault, &alice).starts(&send)?;
    fault.has_lost(4)?;
    sending.process().kill()?;
    alice.does(&send)?;
    assert_eq!(chunks(&site)?, 20);
    let to = folder(&bob, "in")?;
    bob.does(&["download", &last_file(&bob)?, "--to", shown(&to)])?;
    same(&large, &to.join("large.bin"))
}

fn sent_bytes(site: &Site) -> Result<u64> {
    Ok(site.broker.monitor(0, "/varz")?.pointer("/out_bytes").and_then(Value::as_u64).unwrap_or_default())
}

#[test]
fn a_download_that_was_killed_goes_on_and_fetches_little_twice() -> Result {
    let site = Site::single()?;
    let (alice, bob) = two(&site)?;
    let size = 40 * MIB + 12_345;
    let large = file(&alice, "large.bin", size, 4)?;
    alice.does(&["send", "team", "--file", shown(&large)])?;
    let id = last_file(&bob)?;
    let to = folder(&bob, "in")?;
    let download = ["download", id.as_str(), "--to", shown(&to)];
    let part = to.join(format!(".large.bin.{}.part", &id[..6]));
    let length = || fs::metadata(&part).map_or(0, |part| part.len());
    for far in moments(4, 120) {
        let far = far * u64::try_from(CHUNK).unwrap_or(u64::MAX);
        killed_in_the_middle(&site, &bob, &download, || length() >= far)?;
        assert_eq!(
            inside(&to)?,
            [part.file_name().unwrap_or_default().to_string_lossy()],
            "it has no name yet"
        );
    }
    let (kept, before) = (length(), sent_bytes(&site)?);
    bob.does(&download)?;
    let fetched = sent_bytes(&site)? - before;
    let most = size as u64 - kept + 4 * MIB as u64;
    ensure(fetched <= most, || format!("{fetched} bytes were fetched, {kept} of {size} were there"))?;
    assert_eq!(inside(&to)?, ["large.bin"]);
    same(&large, &to.join("large.bin"))
}

/// Makes the stream of files anew with what `keep` makes of each chunk, as a broker could.
pub(crate) fn tampered(site: &Site, keep: impl Fn(u64, Vec<u8>) -> Option<Vec<u8>>) -> Result {
    block_on(async {
        let context = jetstream::new(raw::registry(&site.broker).await?);
        let stream = context.get_stream(FILES_STREAM).await?;
        let (made, last) = (stream.cached_info().config.clone(), stream.cached_info().state.last_sequence);
        let mut chunks = Vec::new();
        for sequence in 1..=last {
            let stored = stream.direct_get(sequence).await?;
            chunks.push((stored.subject.clone(), keep(sequence, stored.payload.to_vec())));
        }
        context.delete_stream(FILES_STREAM).await?;
        context.create_stream(Config { ..made }).await?;
        let agent = jetstream::new(raw::agent(&site.broker).await?);
        for (subject, chunk) in chunks {
            if let Some(chunk) = chunk {
                agent.publish(subject, chunk.into()).await?.await?;
            }
        }
        Ok(())
    })
}

#[test]
fn what_the_broker_lost_or_altered_is_told_and_never_gets_a_name() -> Result {
    let site = Site::single()?;
    let (alice, bob) = two(&site)?;
    let large = file(&alice, "large.bin", 3 * MIB, 5)?;
    alice.does(&["send", "team", "--file", shown(&large)])?;
    let id = last_file(&bob)?;
    let to = folder(&bob, "in")?;
    // What came before is kept, hidden: an operator may bring the rest back.
    let part = format!(".large.bin.{}.part", &id[..6]);
    let refused = |words: &str, kept: usize| -> Result<Output> {
        let refused = bob.is_refused(6, "trust", &["download", &id, "--to", shown(&to)])?;
        ensure(refused.stderr.contains(words), || refused.to_string())?;
        assert_eq!(inside(&to)?, [part.as_str()]);
        assert_eq!(fs::metadata(to.join(&part))?.len(), (kept * CHUNK) as u64);
        Ok(refused)
    };
    tampered(&site, |sequence, mut chunk| {
        if sequence == 7 {
            chunk[99] ^= 1;
        }
        Some(chunk)
    })?;
    refused("altered", 6)?;
    tampered(&site, |sequence, mut chunk| {
        if sequence == 7 {
            chunk[99] ^= 1;
        }
        (sequence != 12).then_some(chunk)
    })?;
    let before = sent_bytes(&site)?;
    refused("lost a part", 11)?;
    let fetched = sent_bytes(&site)? - before;
    ensure(fetched < (13 * CHUNK) as u64, || format!("it was fetched from the beginning: {fetched} bytes"))
}

/// What people say needs room too: files get half of what a server has, however small it is.
#[test]
fn files_leave_half_of_a_small_store_to_messages() -> Result {
    let broker = Broker::single_as(|_, text| text.replace("max_file_store: 20GB", "max_file_store: 100MB"))?;
    let _registry = Registry::beside(&broker)?;
    let room = block_on(async {
        let context = jetstream::new(raw::registry(&broker).await?);
        Ok(context.get_stream(FILES_STREAM).await?.cached_info().config.max_bytes)
    })?;
    ensure((25_000_000..=50_000_000).contains(&room), || format!("{room} bytes are for files"))
}

/// A member's program that says nothing wrong, and a site that is not ready.
#[test]
fn what_cannot_be_sent_is_told_before_anything_is_sent() -> Result {
    let site = Site::single()?;
    let (alice, _bob) = two(&site)?;
    let (two_mib, one) = (file(&alice, "two.bin", 2 * MIB, 6)?, file(&alice, "one.bin", MIB, 7)?);
    let send = |path: &Path| vec!["send".to_owned(), "team".into(), "--file".into(), shown(path).into()];
    let refused = |code: i32, kind: &str, path: &Path| {
        let arguments = send(path);
        alice.is_refused(code, kind, &arguments.iter().map(String::as_str).collect::<Vec<_>>())
    };
    refused(2, "usage", alice.home())?;
    refused(2, "usage", Path::new("/dev/zero"))?;
    refused(9, "not-found", &alice.home().join("none"))?;
    alice.is_refused(9, "not-found", &["send", "nobody-knows", "--file", shown(&one)])?;
    alice.is_refused(9, "not-found", &["send", "@nobody", "--file", shown(&one)])?;
    alice.is_refused(9, "not-found", &["send", "team", "--file", shown(&one), "--reply-to", "zzzzzz"])?;
    alice.is_refused(9, "not-found", &["send", "team", "--file", shown(&one), "--thread", "zzzzzz"])?;
    alice.is_refused(2, "usage", &["send", "@alice", "--file", shown(&one)])?;
    site.registry.shows(&["provision", "--file-limit", "1"])?.expecting(0)?;
    let told = refused(5, "limit", &two_mib)?;
    ensure(told.stderr.contains("2 MiB") && told.stderr.contains("at most 1 MiB"), || told.to_string())?;
    // One that fits beside one that does not: neither is sent.
    alice.is_refused(5, "limit", &["send", "team", "--file", shown(&one), "--file", shown(&two_mib)])?;
    assert_eq!(piped(&alice, &two_mib)?.code, 5, "a pipe says no size before");
    assert_eq!(chunks(&site)?, 0, "nothing was sent");
    assert_eq!(piped(&alice, &one)?.code, 0);
    assert_eq!(chunks(&site)?, 4);
    site.registry.shows(&["provision", "--file-room", "2"])?.expecting(0)?;
    refused(5, "limit", &two_mib)?;
    // Each of them has room, and both have not.
    let other = file(&alice, "other.bin", MIB / 2, 10)?;
    let told =
        alice.is_refused(5, "limit", &["send", "team", "--file", shown(&other), "--file", shown(&one)])?;
    ensure(told.stderr.contains("no room for other.bin, one.bin"), || told.to_string())?;
    assert_eq!(chunks(&site)?, 4, "nothing of them was sent");
    // A broker of before there were files.
    block_on(async {
        let context = jetstream::new(raw::registry(&site.broker).await?);
        context.delete_stream(FILES_STREAM).await?;
        Ok(())
    })?;
    let told = refused(4, "refused", &one)?;
    ensure(told.stderr.contains("no place for files"), || told.to_string())?;
    let verified = site.registry.shows(&["provision", "--verify"])?.expecting(1)?;
    ensure(verified.stdout.contains(FILES_STREAM), || verified.to_string())?;
    site.registry.shows(&["provision"])?.expecting(0)?;
    alice.does(&["send", "team", "--file", shown(&one)])?;
    Ok(())
}

/// Some files say that they have no bytes, and have some.
#[test]
fn what_the_system_makes_while_it_is_read_is_sent_whole() -> Result {
    let site = Site::single()?;
    let (alice, bob) = two(&site)?;
    alice.does(&["send", "team", "--file", "/proc/version"])?;
    let to = folder(&bob, "in")?;
    bob.does(&["download", &last_file(&bob)?, "--to", shown(&to)])?;
    same(Path::new("/proc/version"), &to.join("version"))
}

/// With the message the keys are forgotten.
#[test]
fn a_file_that_disappears_is_listed_and_fetched_no_more() -> Result {
    let site = Site::single()?;
    let (alice, bob) = two(&site)?;
    let one = file(&alice, "one.bin", MIB, 11)?;
    let sent = alice.does(&["send", "team", "--file", shown(&one), "--expire", "4s"])?.of_type("message")?;
    assert_eq!(sent.pointer("/expire"), Some(&Value::from(4)));
    let id = last_file(&bob)?;
    let to = folder(&bob, "in")?;
    bob.does(&["download", &id, "--to", shown(&to)])?;
    same(&one, &to.join("one.bin"))?;
    bob.reads("team")?;
    for person in [&alice, &bob] {
        wait::until("it has disappeared", || {
            let listed = person.does(&["group", "files", "team"]).ok()?;
            listed.lines.is_empty().then_some(())
        })?;
        person.is_refused(9, "not-found", &["download", &id, "--to", shown(&to)])?;
    }
    Ok(())
}

/// Sends a file by standard input.
fn piped(person: &Person, path: &Path) -> Result<Output> {
    let mut command: Command = person.command(&["send", "team", "--file", "-", "--file-name", "piped.bin"]);
    Output::of(command.stdin(Stdio::from(fs::File::open(path)?)))
}

#[test]
fn a_file_without_a_broker_is_not_queued_and_leaves_words_alone() -> Result {
    let mut site = Site::single()?;
    let (alice, bob) = two(&site)?;
    let one = file(&alice, "one.bin", MIB, 8)?;
    site.broker.stop(0)?;
    let told = alice.is_refused(3, "unreachable", &["send", "team", "words", "--file", shown(&one)])?;
    ensure(told.stderr.contains("nothing is queued"), || told.to_string())?;
    site.broker.start(0)?;
    wait::until("the registry is back", || {
        site.registry.shows(&["provision", "--verify"]).ok().filter(|output| output.code == 0)
    })?;
    alice.syncs()?;
    bob.syncs()?;
    assert_eq!(bob.texts("team")?, [""; 0]);
    alice.does(&["send", "team", "words", "--file", shown(&one)])?;
    bob.syncs()?;
    assert_eq!(bob.texts("team")?, ["words"]);
    Ok(())
}

/// Another process has the profile open: keys come from it, bytes go by a connection of the command's own.
#[test]
fn files_go_and_come_beside_a_process_that_has_the_profile_open() -> Result {
    let site = Site::single()?;
    let (alice, bob) = two(&site)?;
    let one = file(&alice, "one.bin", MIB + 1, 9)?;
    let mut alices = alice.follows("team")?;
    let mut bobs = bob.follows("team")?;
    alice.does(&["send", "team", "here", "--file", shown(&one)])?;
    let heard = bobs.sees("here")?;
    alices.sees("here")?;
    let id = heard.pointer("/attachments/0/id").and_then(Value::as_str).unwrap_or_default().to_owned();
    let to = folder(&bob, "in")?;
    bob.does(&["download", &id, "--to", shown(&to)])?;
    same(&one, &to.join("one.bin"))
}

/// Each of them has an upload of its own, and none takes the other's from under it.
#[test]
fn two_commands_that_send_one_file_at_once_say_it_twice() -> Result {
    let site = Site::single()?;
    let (alice, bob) = two(&site)?;
    let one = file(&alice, "one.bin", 12 * MIB + 1, 17)?;
    let _open = alice.follows("team")?;
    let send = |text: &str| -> Result<_> {
        Ok(alice.command(&["send", "team", text, "--file", shown(&one)]).stdout(Stdio::null()).spawn()?)
    };
    let mut running = [send("first")?, send("second")?];
    for command in &mut running {
        let ended = command.wait()?;
        ensure(ended.success(), || format!("a command that sends ends with {ended}"))?;
    }
    bob.syncs()?;
    let mut said = bob.texts("team")?;
    said.sort();
    assert_eq!(said, ["first", "second"]);
    let listed = bob.does(&["group", "files", "team"])?;
    let ids: Vec<&str> = listed.lines.iter().filter_map(|line| text(line, "id")).collect();
    assert_eq!(ids.len(), 2, "{listed}");
    for (n, id) in ids.into_iter().enumerate() {
        let to = folder(&bob, &format!("in{n}"))?;
        bob.does(&["download", id, "--to", shown(&to)])?;
        same(&one, &to.join("one.bin"))?;
    }
    Ok(())
}

/// N06, for files: whoever has the site's login replaces no chunk of another's file.
#[test]
fn n06_a_chunk_is_written_once_whoever_writes_it() -> Result {
    let site = Site::single()?;
    ensure(stream::all(1).iter().any(|spec| spec.name == FILES_STREAM && spec.once), || "not once".into())?;
    block_on(async {
        let agent = jetstream::new(raw::agent(&site.broker).await?);
        agent.publish("file.abc.0", "first".into()).await?.await?;
        let again = agent.publish("file.abc.0", "second".into()).await?.await;
        ensure(again.is_err(), || "it was replaced".into())?;
        let context = jetstream::new(raw::registry(&site.broker).await?);
        let stored = context.get_stream(FILES_STREAM).await?.direct_get(1).await?;
        ensure(stored.payload == "first".as_bytes(), || format!("{stored:?}"))
    })
}
