//! What lies on the disk of a profile: nothing that anybody said, was called or kept secret.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::io::{Seek as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use data_encoding::BASE32_NOPAD;
use redb::{Database, ReadableTable as _, TableDefinition};
use tempfile::TempDir;
use testbed::person::text;
use testbed::{Failure, Output, Person, Result, Screen, Site, disk, ensure};

/// What a key file holds, and what a person types.
const KEY_FILE: &str = "keyimpala-keyimpala-keyimpala-32";
const PASSPHRASE: &str = "passphrasenyala";
const BACKUP_PASSPHRASE: &str = "backupnyala backupnyala";

/// Remembers what it was told last, and says what it was told before.
const BOT: &str = r#"#!/usr/bin/env python3
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    if asked["type"] == "describe":
        said = {"type": "description", "name": "keeper", "about": "", "commands": []}
    else:
        event = asked["event"]
        said = {"type": "outcome", "id": event["id"], "actions": [], "memory": asked["memory"]}
        if event["kind"] == "message":
            said["actions"] = [{"type": "say", "text": "answer" + event["text"]}]
            said["memory"] = event["text"]
    print(json.dumps(said), flush=True)
"#;

/// Everything of a kind that a person would not want a burglar to read, and where it is looked for: folders, and what commands
/// log at level TRACE. Each of them has the same folder for temporary files.
struct Hunt {
    planted: Vec<String>,
    /// Ids of which a registry or a broker could tell more, as bytes and as text. Logs may have them.
    ids: Vec<Vec<u8>>,
    temporary: TempDir,
    log: RefCell<String>,
}

impl Hunt {
    fn for_words(words: &[&str]) -> Result<Self> {
        let planted = words.iter().map(|word| (*word).to_owned()).collect();
        Ok(Self { planted, ids: Vec::new(), temporary: tempfile::tempdir()?, log: RefCell::default() })
    }

    fn plant(&mut self, word: Option<&str>) -> Result {
        let word = word.filter(|word| word.len() > 4).ok_or_else(|| Failure::new("nothing to plant"))?;
        self.planted.push(word.to_owned());
        Ok(())
    }

    fn plant_ids(&mut self, person: &Person) -> Result {
        let whoami = self.runs(person, &["whoami"])?.of_type("account")?;
        let groups = self.runs(person, &["group", "list"])?.lines;
        let groups = groups.iter().map(|group| text(group, "id"));
        for id in [text(&whoami, "account_id"), text(&whoami, "device_id")].into_iter().chain(groups) {
            let id = id.ok_or_else(|| Failure::new("an id is missing"))?;
            let bytes = BASE32_NOPAD.decode(id.to_uppercase().as_bytes());
            let bytes = bytes.map_err(|error| Failure::new(format!("{id}: {error}")))?;
            self.ids.extend([bytes, id.as_bytes().to_vec()]);
        }
        Ok(())
    }

    fn command(&self, person: &Person, arguments: &[&str]) -> Command {
        let mut command = person.command(&[&["-vvv"], arguments].concat());
        command.env("TMPDIR", self.temporary.path());
        command
    }

    #[track_caller]
    fn runs(&self, person: &Person, arguments: &[&str]) -> Result<Output> {
        let output = Output::of(&mut self.command(person, arguments))?.expecting(0)?;
        self.logged(&output.stderr);
        Ok(output)
    }

    /// The same with a line on its standard input.
    #[track_caller]
    fn told(&self, mut command: Command, line: &str) -> Result<Output> {
        let mut input = tempfile::tempfile()?;
        writeln!(input, "{line}")?;
        input.rewind()?;
        let output = Output::of(command.stdin(input))?.expecting(0)?;
        self.logged(&output.stderr);
        Ok(output)
    }

    #[track_caller]
    fn starts(&self, person: &Person, arguments: &[&str]) -> Result<Screen> {
        let mut command = self.command(person, arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut screen = Screen::of(&mut command, &arguments.join(" "))?;
        screen.is_ready()?;
        Ok(screen)
    }

    #[track_caller]
    fn ends(&self, mut screen: Screen) -> Result {
        screen.interrupt()?;
        self.logged(&screen.ends()?.1);
        Ok(())
    }

    /// What is for the person who typed the command is no log.
    fn logged(&self, stderr: &str) {
        let lines = stderr.lines().filter(|line| !line.starts_with('{'));
        self.log.borrow_mut().extend(lines.flat_map(|line| [line, "\n"]));
    }

    /// Nothing of it lies in a folder.
    fn finds_nothing_in(&self, folder: &Path) -> Result {
        let words = self.planted.iter().map(String::as_bytes);
        let all: Vec<&[u8]> = words.chain(self.ids.iter().map(Vec::as_slice)).collect();
        let found = disk::search(folder, &all)?;
        ensure(found.is_empty(), || format!("on the disk: {found:?}"))
    }

    /// Nothing of it lies in the folder of temporary files, nor stands in a log.
    fn finds_nothing_elsewhere(&self, more: &str) -> Result {
        self.finds_nothing_in(self.temporary.path())?;
        let log = self.log.borrow();
        ensure(log.contains("TRACE") || log.contains("DEBUG"), || "nothing is logged".into())?;
        // Whole payloads may stand in a line.
        let told = log.lines().chain(more.lines()).filter_map(|line| {
            let word = self.planted.iter().find(|word| line.contains(word.as_str()))?;
            Some((word, line.chars().take(200).collect::<String>()))
        });
        let found: BTreeSet<_> = told.collect();
        ensure(found.is_empty(), || format!("in a log: {found:#?}"))
    }
}

#[test]
fn nothing_that_was_planted_lies_readable_on_the_disk_or_in_a_log() -> Result {
    let mut site = Site::single()?;
    site.registry.stop()?;
    site.registry.start_with(&["--log", "trace"])?;
    let mut hunt = Hunt::for_words(&[
        "alicequagga",
        "bobokapi",
        "groupzebra",
        "renamedzebra",
        "messagegazelle",
        "editedgazelle",
        "deletedgazelle",
        "queuedgazelle",
        "directgazelle",
        "statusibex",
        "displayibex",
        "deviceibex",
        "tokenoryx",
        "botkudu",
        "wordskudu",
        "answerwords",
        KEY_FILE,
        PASSPHRASE,
        BACKUP_PASSPHRASE,
    ])?;
    // Files of their owner's choice, which lie elsewhere.
    let elsewhere = tempfile::tempdir()?;
    let file = |name: &str| elsewhere.path().join(name).to_string_lossy().into_owned();
    let (key, program) = (file("key"), file("program"));
    let (backup, of_registry) = (file("alice.backup"), file("registry.backup"));
    fs::write(&key, KEY_FILE)?;
    fs::write(&program, BOT)?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;

    let (alice, bob) = (site.person("alicequagga")?, site.person("bobokapi")?);
    for person in [&alice, &bob] {
        let made = hunt.runs(person, &["register", person.name()])?.of_type("account")?;
        hunt.plant(text(&made, "phrase"))?;
    }
    hunt.runs(&alice, &["group", "create", "groupzebra", "--with", "bobokapi"])?;
    hunt.runs(&bob, &["group", "accept", "groupzebra"])?;
    hunt.runs(&alice, &["send", "groupzebra", "messagegazelle"])?;
    let sends = |words: &str| hunt.runs(&alice, &["send", "groupzebra", words])?.of_type("message");
    let said = sends("first words")?;
    hunt.runs(&alice, &["edit", text(&said, "id").unwrap_or_default(), "editedgazelle"])?;
    let said = sends("deletedgazelle")?;
    hunt.runs(&alice, &["delete", text(&said, "id").unwrap_or_default()])?;
    hunt.runs(&alice, &["send", "@bobokapi", "directgazelle"])?;
    hunt.runs(&bob, &["contact", "accept", "@alicequagga"])?;
    hunt.runs(&alice, &["profile", "set", "--name", "displayibex", "--status", "statusibex"])?;
    hunt.runs(&alice, &["group", "rename", "groupzebra", "renamedzebra"])?;
    let whoami = hunt.runs(&alice, &["whoami"])?.of_type("account")?;
    let device = text(&whoami, "device_id").unwrap_or_default();
    hunt.runs(&alice, &["device", "rename", device, "deviceibex"])?;
    let link = hunt.runs(&alice, &["group", "invite", "renamedzebra"])?.of_type("join-link")?;
    hunt.plant(text(&link, "link"))?;
    hunt.runs(&bob, &["read", "renamedzebra"])?;
    hunt.runs(&alice.by_way_of("nats://127.0.0.1:1"), &["send", "renamedzebra", "queuedgazelle"])?;

    for person in [&alice, &bob] {
        hunt.plant_ids(person)?;
    }
    ensure(hunt.ids.len() >= 14, || format!("{} ids", hunt.ids.len()))?;

    // A bot that keeps what it hears.
    let run = ["bot", "run", "keeper", "--handle", "botkudu", "--exec", &program];
    let bot = hunt.starts(&alice, &run)?;
    hunt.runs(&alice, &["group", "add", "renamedzebra", "botkudu"])?;
    let mut screen = alice.follows("renamedzebra")?;
    hunt.runs(&alice, &["send", "renamedzebra", "wordskudu"])?;
    screen.sees("answerwordskudu")?;
    screen.interrupt()?;
    hunt.ends(bot)?;

    // A program with a token, and tokens while another process has the profile open.
    let create = ["token", "create", "tokenoryx", "--group", "renamedzebra"];
    let made = hunt.runs(&alice, &create)?.of_type("token")?;
    let secret = text(&made, "token").unwrap_or_default().to_owned();
    hunt.plant(Some(&secret))?;
    let daemon = hunt.starts(&alice, &["daemon"])?;
    let mut rpc = hunt.command(&alice, &["rpc"]);
    rpc.env("CIPHER_CHAT_TOKEN", &secret);
    let hello = r#"{"jsonrpc":"2.0","id":1,"method":"hello","params":{"version":1}}"#;
    let welcome = hunt.told(rpc, hello)?;
    ensure(welcome.stdout.contains("tokenoryx"), || welcome.to_string())?;
    hunt.runs(&alice, &["token", "create", "othertokenoryx", "--all-groups"])?;
    hunt.runs(&alice, &["token", "revoke", "othertokenoryx"])?;
    hunt.runs(&alice, &["token", "list"])?;
    hunt.ends(daemon)?;

    // Another key, then a passphrase, and what they open.
    hunt.runs(&alice, &["slot", "add", "key-file", &key])?;
    hunt.runs(&alice, &["--key-file", &key, "slot", "remove", "1"])?;
    let words = ["--key-file", &key, "slot", "add", "passphrase", "--new-passphrase-fd", "0"];
    hunt.told(hunt.command(&alice, &words), PASSPHRASE)?;
    let listed = hunt.told(hunt.command(&alice, &["--passphrase-fd", "0", "token", "list"]), PASSPHRASE)?;
    ensure(listed.stdout.contains("tokenoryx"), || listed.to_string())?;
    // A program with a token needs nothing of that while another process has the profile open.
    let daemon = hunt.starts(&alice, &["--key-file", &key, "daemon"])?;
    let mut rpc = hunt.command(&alice, &["rpc"]);
    rpc.env("CIPHER_CHAT_TOKEN", &secret);
    let welcome = hunt.told(rpc, hello)?;
    ensure(welcome.stdout.contains("tokenoryx"), || welcome.to_string())?;
    hunt.ends(daemon)?;
    let words = ["--key-file", &key, "backup", &backup, "--new-passphrase-fd", "0"];
    hunt.told(hunt.command(&alice, &words), BACKUP_PASSPHRASE)?;
    let restored = site.person("restored")?;
    hunt.told(hunt.command(&restored, &["restore", &backup, "--passphrase-fd", "0"]), BACKUP_PASSPHRASE)?;
    let mut backs_up = site.registry.with_input(
        &["--log", "trace", "backup", "--backup-passphrase-fd", "0", &of_registry],
        BACKUP_PASSPHRASE,
    )?;
    let output = Output::of(backs_up.env("TMPDIR", hunt.temporary.path()))?.expecting(0)?;
    hunt.logged(&output.stderr);

    for own in [key, program] {
        fs::remove_file(own)?;
    }
    for folder in [alice.home(), bob.home(), restored.home(), elsewhere.path()] {
        hunt.finds_nothing_in(folder)?;
    }
    hunt.finds_nothing_elsewhere(&site.registry.log())
}

/// E9: a flipped bit costs the message that it hit. The command says so, shows the rest and ends with 7.
#[test]
fn e9_a_damaged_message_is_named_and_the_rest_is_shown() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &alice, &[&bob])?;
    for words in ["first", "second", "third"] {
        alice.sends("team", words)?;
    }
    let failed = |error: redb::Error| Failure::new(error.to_string());
    let stores = disk::files(alice.home())?;
    let store = stores.iter().find(|path| path.ends_with("store.redb"));
    let store = store.ok_or_else(|| Failure::new(format!("no store: {stores:?}")))?;
    let flip = || -> Result<(), redb::Error> {
        let db = Database::open(store)?;
        let txn = db.begin_write()?;
        {
            let table: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("messages");
            let mut messages = txn.open_table(table)?;
            let mut row = messages.last()?.map(|(key, value)| (key.value().to_vec(), value.value().to_vec()));
            if let Some((key, value)) = &mut row {
                value[40] ^= 0x10;
                messages.insert(key.as_slice(), value.as_slice())?;
            }
        }
        txn.commit()?;
        Ok(())
    };
    flip().map_err(failed)?;
    let read = alice.run(&["read", "team"])?.expecting(7)?;
    let texts: Vec<&str> = read.lines.iter().filter_map(|line| text(line, "text")).collect();
    ensure(texts.ends_with(&["first", "second"]), || format!("{texts:?}"))?;
    let warned = read.errors.iter().any(|line| {
        text(line, "type") == Some("warning")
            && text(line, "message")
                .is_some_and(|message| message.contains("damaged") && message.contains("messages"))
    });
    ensure(warned, || read.to_string())?;
    alice.sends("team", "fourth")?;
    ensure(bob.texts("team")?.ends_with(&["third".into(), "fourth".into()]), || "bob lacks something".into())
}
