//! `backup` and `restore`, as far as they need no broker: what they refuse, and a profile whose restore waits for one.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use cipher_seal::stream::Writer;
use cipher_seal::{Passphrase, Unlock};
use rand_core::OsRng;

use crate::support::{Outcome, Room};

const PASSPHRASE: &[u8] = b"correct horse\n";
/// The broker of the room, at which nothing answers.
const NOWHERE: [&str; 2] = ["--server", "nats://127.0.0.1:9"];

/// A part of the backup that the core keeps as golden bytes.
fn part(name: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("core/tests/stored/backup-v1");
    fs::read(folder.join(name)).unwrap()
}

/// Puts other bytes into the place of some.
fn changed(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
    [&bytes[..at], to, &bytes[at + from.len()..]].concat()
}

/// Seals a backup that begins with this part.
fn seal(room: &Room, name: &str, account: &[u8]) {
    let unlock = Unlock::Passphrase(Passphrase::new(b"correct horse").unwrap());
    let file = fs::File::create(room.path().join(name)).unwrap();
    let mut stream = Writer::new(file, "backup of a cipher-chat profile", 1, &unlock, &mut OsRng).unwrap();
    let others = ["accounts", "groups", "changes", "messages", "bots", "end"].map(part);
    for part in std::iter::once(account).chain(others.iter().map(Vec::as_slice)) {
        stream.write_all(&u32::try_from(part.len()).unwrap().to_be_bytes()).unwrap();
        stream.write_all(part).unwrap();
    }
    stream.finish().unwrap();
}

/// A room with two backups of one person, and one of a bot.
fn room() -> Room {
    let room = Room::new();
    let account = part("account");
    seal(&room, "alice.backup", &account);
    let later = changed(&account, &1_800_000_000_000_u64.to_be_bytes(), &1_800_000_000_001_u64.to_be_bytes());
    seal(&room, "later.backup", &later);
    let bot = changed(&account, b"\xa1k\xa6person", b"\xa1k\xa3bot");
    let owner = [&b"\xa1o\x82\xa1a\xc4\x20"[..], &[4; 32], b"\xa1k\xc4\x20", &[5; 32]].concat();
    seal(&room, "bot.backup", &changed(&bot, b"\xa1o\xc0", &owner));
    room
}

fn restores(room: &Room, args: &[&str]) -> Outcome {
    restores_with(room, args, PASSPHRASE)
}

fn restores_with(room: &Room, args: &[&str], passphrase: &[u8]) -> Outcome {
    let words = [&NOWHERE[..], &["restore", "--passphrase-fd", "0"], args].concat();
    room.run_with(&words, passphrase)
}

/// An error is one line, with what to do in a second one.
fn says(outcome: &Outcome, message: &str, todo: &str) {
    let lines: Vec<&str> = outcome.stderr.lines().collect();
    let [error, hint] = lines[..] else { panic!("{}", outcome.stderr) };
    assert!(error.starts_with("error: ") && error.contains(message), "{}", outcome.stderr);
    assert!(hint.starts_with("hint: ") && hint.contains(todo), "{}", outcome.stderr);
}

#[test]
fn what_is_no_backup_for_this_place_is_refused_in_one_sentence_and_nothing_is_written() {
    let room = room();
    let whole = fs::read(room.path().join("alice.backup")).unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(room.path().join(name), bytes).unwrap();
    write("empty", b"");
    write("text", b"not a backup");
    write("cut", &whole[..whole.len() / 2]);
    let mut slot = whole;
    slot[60] ^= 1;
    write("slot", &slot);
    fs::create_dir(room.path().join("folder")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        room.path().join("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    for (args, code, message, todo) in [
        (&["none.backup"][..], 9, "there is no file none.backup", "name the file that `backup` wrote"),
        (&["text/none"], 9, "there is no file text/none", "name the file"),
        (&["folder"], 7, "folder is a folder", "name the file that `backup` wrote"),
        (&["folder/"], 2, "folder/ names a folder", "name a file"),
        (&["-"], 2, "cannot be read from standard input", "name a file"),
        (&["pipe"], 7, "pipe is a pipe or device", "or a copy of it"),
        (&["/dev/null"], 7, "/dev/null is a pipe or device", "or a copy of it"),
        (&["empty"], 7, "empty is no backup of a profile", "name the file that `backup` wrote"),
        (&["text"], 7, "text is no backup of a profile", "name the file that `backup` wrote"),
        (&["cut"], 7, "cut is damaged or cut off", "use another copy"),
        (&["slot"], 7, "the passphrase does not open slot", "if it is that one, the file is damaged"),
        (
            &["bot.backup"],
            2,
            "the backup of the bot @alice, for which its owner has to sign",
            "--profile OWNER/alice",
        ),
        (
            &["bot.backup", "--owner", "bob"],
            9,
            "there is no profile bob",
            "restore or register the owner first",
        ),
        (
            &["bot.backup", "--profile", "bob/echo"],
            9,
            "there is no profile bob",
            "restore or register the owner first",
        ),
        (
            &["alice.backup", "--profile", "bob/echo"],
            9,
            "there is no profile bob",
            "restore or register the owner first",
        ),
    ] {
        let refused = restores(&room, args).fails(code);
        says(&refused, message, todo);
        assert!(refused.stderr.contains("nothing was"), "{}", refused.stderr);
        assert!(!room.home().join("profiles").exists(), "{args:?}");
    }
    let wrong = restores_with(&room, &["alice.backup"], b"Correct horse\n").fails(7);
    says(&wrong, "the passphrase does not open alice.backup", "give the one that the backup was made with");
    says(
        &restores_with(&room, &["alice.backup"], b"\n").fails(2),
        "no passphrase was given",
        "nothing was written",
    );
    let nothing_there = room.run(&["restore", "alice.backup", "--passphrase-fd", "99"]).fails(7);
    says(&nothing_there, "the passphrase of the backup cannot be read", "started with");
    let key = restores(&room, &["alice.backup", "--key-file", "text"]).fails(7);
    says(&key, "the key file text opens nothing", "name the file");
    assert!(!room.home().exists(), "folders were made");
    let nobody = room.run(&["--no-input", "restore", "alice.backup"]).fails(1);
    says(&nobody, "there is no passphrase of the backup", "--passphrase-fd N");
    assert!(!room.home().join("profiles").exists());
}

/// What a person who finds the place taken types next, and who mistypes the passphrase, learns of it.
#[test]
fn a_restore_that_waits_goes_on_with_its_own_file_and_its_passphrase_only() {
    let room = room();
    let begun = restores(&room, &["alice.backup"]).fails(3);
    assert!(begun.stderr.contains("run the command again to go on"), "{}", begun.stderr);
    let before = snapshot(&room);
    let wrong = restores_with(&room, &["alice.backup"], b"Correct horse\n").fails(7);
    says(&wrong, "the passphrase does not open alice.backup", "give the one that the backup was made with");
    says(&restores(&room, &["none.backup"]).fails(9), "there is no file none.backup", "name the file");
    let refused = restores(&room, &["later.backup"]).fails(8);
    let message = "another backup than later.backup waits in profile default to be finished";
    says(&refused, message, "profiles/default/store.redb");
    assert_eq!(snapshot(&room), before);
    let again = restores(&room, &["alice.backup"]).fails(3);
    assert!(
        again.stderr.contains("alice.backup is in the profile since before, and goes on"),
        "{}",
        again.stderr
    );
    let owned = restores(&room, &["alice.backup", "--owner", "default"]).fails(2);
    says(&owned, "a person, who has no owner", "leave --owner away");
    let bot = restores(&room, &["bot.backup", "--profile", "default/echo"]).fails(1);
    says(
        &bot,
        "profile default, which has to sign for it, waits for its own restore",
        "finish the restore of that",
    );
    // The way that the refusal names. Who only moved the store away keeps what opens it.
    let profile = room.home().join("profiles/default");
    fs::remove_file(profile.join("store.redb")).unwrap();
    assert!(room.run(&["group", "list"]).fails(7).stderr.contains("restore a backup"), "no store is made");
    let bytes = || ["store.key", "store.keys"].map(|name| fs::read(profile.join(name)).unwrap());
    let kept = bytes();
    let refused = restores(&room, &["later.backup"]).fails(8);
    says(&refused, "the store that it opens is not", "profiles/default/store.redb back");
    assert_eq!(bytes(), kept);
    fs::remove_file(profile.join("store.keys")).unwrap();
    let other = restores(&room, &["later.backup"]).fails(3);
    assert!(!other.stderr.contains("since before"), "{}", other.stderr);
    let _ = restores(&room, &["later.backup"]).fails(3);
}

/// Nothing may have begun in it.
#[test]
fn a_backup_is_not_restored_into_a_profile_that_is_there() {
    let room = room();
    room.write(".local/share/cipher-chat/profiles/empty/evidence/none", "");
    assert!(room.run(&["--profile", "empty", "group", "list"]).fails(1).stderr.contains("no account"));
    let refused = restores(&room, &["alice.backup", "--profile", "empty"]).fails(8);
    says(&refused, "profile empty is there already, and no backup waits in it", "profiles/empty/store.redb");
}

/// What lies there, by name: opening a store changes its bytes.
fn snapshot(room: &Room) -> Vec<PathBuf> {
    fn all(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                all(&entry, found);
            }
            found.push(entry);
        }
    }
    let mut found = Vec::new();
    all(room.path(), &mut found);
    found.sort();
    found
}

#[test]
fn commands_in_a_profile_whose_restore_waits_say_how_to_go_on() {
    let room = room();
    let commands: [&[&str]; 8] = [
        &["read", "ops"],
        &["group", "list"],
        &["sync"],
        &["send", "ops", "words"],
        &["contact", "list"],
        &["group", "create", "ops"],
        &["tail"],
        &["whoami"],
    ];
    let goes_on = |why: &str| {
        for command in commands {
            let refused = room.run(&[&NOWHERE[..], command].concat()).fails(1);
            says(&refused, why, "restore FILE");
            assert!(!refused.stderr.contains("register"), "{}", refused.stderr);
        }
    };
    // Killed before all of it was there.
    fs::create_dir_all(room.home().join("profiles/default.restoring")).unwrap();
    goes_on("a backup is being restored into profile default");
    let _ = restores(&room, &["alice.backup"]).fails(3);
    goes_on("a backup was restored into this profile, which is not a device of its account yet");
}

/// Before a passphrase is asked for.
#[test]
fn a_backup_needs_a_name_that_is_free_in_a_folder_that_is_there() {
    let room = room();
    room.write(".local/share/cipher-chat/profiles/default/store.redb", "x");
    for (file, code, message, todo) in [
        ("alice.backup", 8, "alice.backup is there already", "choose another name"),
        (".", 2, ". names a folder", "name a file"),
        ("none/x.backup", 9, "there is no folder none", "make the folder"),
        ("alice.backup/x", 7, "alice.backup/x cannot be written", "check the path"),
        ("x/", 2, "x/ names a folder", "name a file"),
        ("-", 2, "cannot be written to standard output", "name a file"),
    ] {
        let refused = room.run(&["--no-input", "backup", file]).fails(code);
        says(&refused, message, todo);
    }
}
