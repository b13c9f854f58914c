//! Messages that no agent sends: damaged, repeated, out of order, of other epochs, and with other insides.

use cipher_broker::codec;
use cipher_broker::limit;
use cipher_broker::time::Timestamp;
use cipher_broker::wire::content::Content;
use cipher_broker::wire::envelope::Envelope;
use testbed::person::text;
use testbed::{Output, Result, ensure, wait};

use crate::client::{Change, GroupCopy};
use crate::scene::{GROUP, Scene};

/// Where the epoch stands in an MLS PrivateMessage of a group with an id of 16 bytes (RFC 9420 §6.3).
pub(crate) const EPOCH: std::ops::Range<usize> = 21..29;

/// The MLS bytes inside an envelope.
fn inside(envelope: &[u8]) -> Result<Vec<u8>> {
    match codec::decode(envelope)? {
        Envelope::Message(bytes) => Ok(bytes),
        other => testbed::fail(format!("{other:?}")),
    }
}

/// The same bytes with one changed.
fn flipped(bytes: &[u8], at: usize, with: u8) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= with;
    }
    bytes
}

/// How often everybody reads these words.
fn is_read(scene: &Scene, words: &str, times: usize) -> Result {
    for person in [&scene.alice, &scene.bob] {
        person.syncs()?;
        let texts = person.texts(GROUP)?;
        let found = texts.iter().filter(|text| *text == words).count();
        ensure(found == times, || format!("{} reads {words:?} {found} times: {texts:?}", person.name()))?;
    }
    Ok(())
}

#[test]
fn m02_m03_m04_m07_damaged_copies_come_first_and_the_genuine_message_is_read() -> Result {
    let mut scene = Scene::new()?;
    let genuine = scene.copy.seals_text(&scene.mallory, "the genuine one")?;
    let mls = inside(&genuine)?;
    // The last byte: what burnt the key of the genuine message in OpenMLS before 0.9.2.
    scene.posts(codec::encode(&Envelope::Message(flipped(&mls, mls.len() - 1, 1))))?;
    for at in (0..mls.len()).step_by(7) {
        scene.posts(codec::encode(&Envelope::Message(flipped(&mls, at, 0x80))))?;
    }
    for end in (0..mls.len()).step_by(11) {
        scene.posts(codec::encode(&Envelope::Message(mls.get(..end).unwrap_or_default().to_vec())))?;
    }
    for end in (0..genuine.len()).step_by(13) {
        scene.posts(genuine.get(..end).unwrap_or_default().to_vec())?;
    }
    for more in [1, 2, 16] {
        scene.posts([genuine.clone(), vec![0; more]].concat())?;
        scene.posts(codec::encode(&Envelope::Message([mls.clone(), vec![0; more]].concat())))?;
    }
    is_read(&scene, "the genuine one", 0)?;
    scene.posts(genuine)?;
    is_read(&scene, "the genuine one", 1)?;

    // A commit, the same: damaged ones change nothing, the genuine one counts.
    let commit = scene.copy.commits(&scene.mallory, Change::default())?;
    let mls = inside(&commit)?;
    for at in (0..mls.len()).step_by(mls.len() / 40) {
        scene.shakes(codec::encode(&Envelope::Message(flipped(&mls, at, 1))))?;
    }
    scene.copy.sends_and_merges(&scene.mallory, &scene.line, commit)?;
    scene.holds()?;
    scene.copy.is_in_step_with(&scene.shown()?)
}

#[test]
fn m09_m12_m13_repeats_and_leaps_of_a_ratchet_cost_nobody_anything() -> Result {
    let mut scene = Scene::new()?;
    let Scene { copy, mallory, .. } = &mut scene;
    let (first, second, third) = (
        copy.seals_text(mallory, "one")?,
        copy.seals_text(mallory, "two")?,
        copy.seals_text(mallory, "three")?,
    );
    scene.posts(third.clone())?;
    scene.posts(first.clone())?;
    scene.posts(second.clone())?;
    for words in ["one", "two", "three"] {
        is_read(&scene, words, 1)?;
    }
    for again in [&first, &second, &third, &first] {
        scene.posts(again.clone())?;
    }
    // The same words under another key of the ratchet: the same message all the same.
    let content = GroupCopy::content(&scene.mallory, "text", "said once")?;
    for _ in 0..3 {
        let sealed = scene.copy.seals(&scene.mallory, &codec::encode(&content))?;
        scene.posts(sealed)?;
    }
    is_read(&scene, "said once", 1)?;
    for words in ["one", "two", "three"] {
        is_read(&scene, words, 1)?;
    }
    // A leap beyond what readers follow costs the leaper alone, until its next commit.
    for _ in 0..=limit::RATCHET_FORWARD {
        scene.copy.seals(&scene.mallory, b"")?;
    }
    let far = scene.copy.seals_text(&scene.mallory, "too far")?;
    scene.posts(far)?;
    scene.holds()?;
    is_read(&scene, "too far", 0)?;
    scene.catches_up()?;
    let commit = scene.copy.commits(&scene.mallory, Change::default())?;
    scene.copy.sends_and_merges(&scene.mallory, &scene.line, commit)?;
    scene.copy.says_text(&scene.mallory, &scene.line, "back again")?;
    is_read(&scene, "back again", 1)?;
    scene.holds()
}

#[test]
fn m15_m16_m17_messages_of_other_epochs_wait_or_go_and_never_stop_anybody() -> Result {
    let mut scene = Scene::new()?;
    let old = scene.copy.seals_text(&scene.mallory, "of the epoch before")?;
    // Junk first: as many headers of later epochs as anybody cares to send.
    let mls = inside(&old)?;
    for ahead in 1..=limit::PARKED_MESSAGES as u64 + 50 {
        let mut junk = mls.clone();
        let epoch = scene.copy.mls.epoch().as_u64() + 1 + ahead % 60;
        if let Some(place) = junk.get_mut(EPOCH) {
            place.copy_from_slice(&epoch.to_be_bytes());
        }
        scene.posts(codec::encode(&Envelope::Message(junk)))?;
    }
    scene.holds()?;
    scene.catches_up()?;
    // A commit, and a message under it that lies before it.
    let commit = scene.copy.commits(&scene.mallory, Change::default())?;
    let hash = cipher_broker::sign::wire_hash(&commit);
    scene.copy.merges(&scene.mallory, 0, hash)?;
    let early = scene.copy.seals_text(&scene.mallory, "said too early")?;
    scene.posts(early)?;
    let sequence = scene.shakes(commit)?;
    scene.copy.link.sequence = sequence;
    scene.posts(old)?;
    scene.holds()?;
    is_read(&scene, "of the epoch before", 0)?;
    let read = scene.alice.texts(GROUP)?.iter().filter(|text| *text == "said too early").count();
    // What the flood left no room for is lost, for whoever read the flood: never shown twice.
    ensure(read <= 1, || format!("shown {read} times"))
}

#[test]
fn a11_t01_t02_t07_t08_what_is_inside_is_shown_as_its_senders_words() -> Result {
    let mut scene = Scene::new()?;
    let (by, line) = (&scene.mallory, &scene.line);
    let copy = &mut scene.copy;
    // Nothing in a payload says who sent it; what claims to is text like any other.
    copy.says_text(by, line, "@alice: I owe mallory a hundred")?;
    copy.says_text(
        by,
        line,
        "\u{1b}[2J\u{1b}]0;title\u{7}\u{1b}[6n\u{9b}31m\rgone\u{8}\u{202e}txt.exe\u{2028}x",
    )?;
    copy.says_text(by, line, "one\n23:59 @alice: two")?;
    let later = GroupCopy::content(by, "hologram", "of a later version")?;
    copy.says(by, line, &later)?;
    let bomb = [vec![1], vec![0x91; 50_000]].concat();
    let wide = [vec![1, 0xdf], vec![0xff; 4]].concat();
    for payload in [Vec::new(), b"no payload".to_vec(), bomb, wide, vec![1, 0x80]] {
        let sealed = copy.seals(by, &payload)?;
        line.store(&copy.messages(), sealed)?;
    }
    scene.holds()?;
    for line in scene.alice.reads(GROUP)? {
        let from = line.pointer("/from/handle").and_then(serde_json::Value::as_str);
        let words = text(&line, "text").unwrap_or_default();
        let of_mallory =
            ["hundred", "txt.exe", "two", "later version"].iter().any(|part| words.contains(part));
        ensure(!of_mallory || from == Some("mallory"), || format!("not shown as mallory's: {line}"))?;
    }
    let raw = scene.alice.does(&["read", GROUP, "-n", "1000"])?;
    ensure(!raw.stdout.chars().any(|c| c.is_control() && c != '\n'), || format!("{:?}", raw.stdout))?;
    // For people: every row is a message's first, or indented.
    let shown = Output::of(&mut scene.alice.as_typed(&["read", GROUP, "-n", "1000"]))?;
    ensure(!shown.stdout.chars().any(|c| c.is_control() && c != '\n'), || format!("{:?}", shown.stdout))?;
    ensure(!shown.stdout.contains('\u{202e}'), || shown.stdout.clone())?;
    let faked = shown.stdout.lines().filter(|row| row.starts_with("23:59 @alice"));
    ensure(faked.count() == 0, || format!("a row that looks like alice's:\n{}", shown.stdout))
}

/// F6: a payload that calls itself what the agent tells of is its sender's word all the same. F13: so is its time, as far
/// as the broker's time allows.
#[test]
fn f6_f13_a_payload_is_never_an_observation_and_its_time_is_bounded() -> Result {
    let mut scene = Scene::new()?;
    let words = "@alice removed @bob";
    for kind in [
        "removed",
        "added",
        "joined",
        "left",
        "renamed",
        "role",
        "member-left",
        "system",
        "event",
        "sync",
        "",
    ] {
        let content = GroupCopy::content(&scene.mallory, kind, words)?;
        scene.copy.says(&scene.mallory, &scene.line, &content)?;
    }
    for at in [u64::MAX, 253_402_300_800_000, 0] {
        let content = Content {
            sent_at: Timestamp::from_millis(at),
            ..GroupCopy::content(&scene.mallory, "text", &format!("said at {at}"))?
        };
        scene.copy.says(&scene.mallory, &scene.line, &content)?;
    }
    scene.holds()?;
    let latest = wait::now().plus(limit::CLOCK_SKEW);
    for person in [&scene.alice, &scene.bob] {
        let read = person.does(&["read", GROUP, "-n", "1000"])?;
        for line in &read.lines {
            let of_mallory =
                line.pointer("/from/handle").and_then(serde_json::Value::as_str) == Some("mallory");
            ensure(of_mallory || !line.to_string().contains(words), || format!("an observation: {line}"))?;
            if let Some(at) = text(line, "sent_at") {
                let time = Timestamp::parse(at);
                ensure(time.is_some_and(|time| time <= latest), || format!("no time of ours: {line}"))?;
            }
        }
        let shown = Output::of(&mut person.as_typed(&["read", GROUP, "-n", "1000"]))?;
        let told = shown.stdout.lines().find(|row| row.contains(&format!("* {words}")));
        ensure(told.is_none(), || format!("told as something that happened: {told:?}"))?;
    }
    Ok(())
}
