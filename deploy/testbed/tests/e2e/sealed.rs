//! What lies on the disk of a profile: nothing that anybody said, was called or kept secret.

use std::collections::BTreeSet;
use std::path::Path;

use redb::{Database, ReadableTable as _, TableDefinition};
use testbed::person::text;
use testbed::{Failure, Person, Result, Site, disk, ensure};

/// A command at level TRACE, whose log is searched.
fn logged(person: &Person, log: &mut String, arguments: &[&str]) -> Result<testbed::person::Output> {
    let output = person.does(&[&["-vvv"], arguments].concat())?;
    log.push_str(&output.stderr);
    Ok(output)
}

/// Everything of a kind that a person would not want a burglar to read.
struct Planted(Vec<String>);

impl Planted {
    /// Nothing of it lies in a folder or stands in a log.
    fn is_nowhere(&self, folder: &Path, log: &str) -> Result {
        let words: Vec<&str> = self.0.iter().map(String::as_str).collect();
        let found = disk::search(folder, &words)?;
        ensure(found.is_empty(), || format!("on the disk: {found:?}"))?;
        let found: BTreeSet<_> = words.iter().filter(|word| log.contains(**word)).collect();
        ensure(found.is_empty(), || format!("in the log: {found:?}"))
    }
}

#[test]
fn nothing_that_was_planted_lies_readable_on_the_disk_or_in_a_log() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alicequagga")?, site.registered("bobokapi")?);
    let mut log = String::new();
    let planted = Planted(
        [
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
        ]
        .map(str::to_owned)
        .to_vec(),
    );
    site.group("groupzebra", &alice, &[&bob])?;
    alice.sends("groupzebra", "messagegazelle")?;
    let said = alice.sends("groupzebra", "first words")?;
    let id = text(&said, "id").unwrap_or_default().to_owned();
    logged(&alice, &mut log, &["edit", &id, "editedgazelle"])?;
    let said = alice.sends("groupzebra", "deletedgazelle")?;
    logged(&alice, &mut log, &["delete", text(&said, "id").unwrap_or_default()])?;
    logged(&alice, &mut log, &["send", "@bobokapi", "directgazelle"])?;
    logged(&bob, &mut log, &["contact", "accept", "@alicequagga"])?;
    logged(&alice, &mut log, &["profile", "set", "--name", "displayibex", "--status", "statusibex"])?;
    logged(&alice, &mut log, &["group", "rename", "groupzebra", "renamedzebra"])?;
    let whoami = alice.does(&["whoami"])?.of_type("account")?;
    let device = text(&whoami, "device_id").unwrap_or_default();
    logged(&alice, &mut log, &["device", "rename", device, "deviceibex"])?;
    logged(&bob, &mut log, &["read", "renamedzebra"])?;
    alice.by_way_of("nats://127.0.0.1:1").does(&["send", "renamedzebra", "queuedgazelle"])?;
    for person in [&alice, &bob] {
        planted.is_nowhere(person.home(), &log)?;
    }
    Ok(())
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
