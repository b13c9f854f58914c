//! The registry restarts, and cannot be fooled by what was said before.

use std::time::{SystemTime, UNIX_EPOCH};

use cipher_broker::codec;
use cipher_broker::id::{AccountId, DeviceId};
use cipher_broker::sign::Purpose;
use cipher_broker::subject;
use cipher_broker::time::Timestamp;
use cipher_broker::wire::refusal::Code;
use cipher_broker::wire::registry::{
    Operation, Outcome, ReplyBody, RequestBody, SignedReply, open_reply, seal_request,
};
use ed25519_dalek::SigningKey;
use serde_json::Value;
use testbed::person::text;
use testbed::{Failure, Output, Result, Site, ensure};

#[test]
fn a_restarted_registry_knows_everybody() -> Result {
    let mut site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.registry.stop()?;
    site.registry.start()?;
    site.group("team", &alice, &[&bob])?;
    site.registry.kill()?;
    site.registry.start()?;
    let carol = site.registered("carol")?;
    alice.does(&["group", "add", "team", "carol"])?;
    carol.accepts("team")?;
    site.person("mallory")?.is_refused(8, "conflict", &["register", "alice"])?;
    let shown = alice.does(&["profile", "show", "bob"])?.of_type("account")?;
    ensure(text(&shown, "handle") == Some("bob"), || shown.to_string())
}

#[test]
fn a_profile_is_what_its_owner_said_last() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    let shows = |wanted: [&str; 3]| {
        let shown = alice.does(&["profile", "show", "bob"])?.of_type("account")?;
        let found = ["name", "status", "presence"].map(|field| text(&shown, field).unwrap_or("?"));
        ensure(found == wanted, || format!("wanted {wanted:?}: {shown}"))
    };
    bob.does(&["profile", "set", "--name", "Robert", "--status", "in a meeting", "--presence", "busy"])?;
    // A stranger's words stay off the screen.
    shows(["", "", "offline"])?;
    site.group("team", &bob, &[&alice])?;
    shows(["Robert", "in a meeting", "busy"])?;
    bob.does(&["profile", "set", "--status", "", "--presence", "available"])?;
    shows(["Robert", "", "available"])
}

/// A request counts once, and only for five minutes.
#[tokio::test(flavor = "multi_thread")]
async fn a_replayed_or_stale_request_is_refused() -> Result {
    let site = Site::single()?;
    let client = testbed::raw::agent(&site.broker).await?;
    let key = SigningKey::from_bytes(&[3; 32]);
    let request = |nonce: u8, shift: i64| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = i64::try_from(now.as_millis()).unwrap_or_default() + shift * 1000;
        let body = RequestBody {
            nonce: [nonce; 16],
            issued_at: Timestamp::from_millis(u64::try_from(now).unwrap_or_default()),
            account: AccountId::of_key(&key.verifying_key().to_bytes()),
            device: DeviceId::from_bytes([4; 16]),
            operation: Operation::Ping,
        };
        seal_request(&body, &key)
    };
    let ask = async |bytes: Vec<u8>| -> Result<ReplyBody> {
        let reply = client.request(subject::registry("ping"), bytes.clone().into()).await?;
        Ok(open_reply(&reply.payload, &bytes, None)?)
    };
    let code = |reply: &ReplyBody| match &reply.outcome {
        Outcome::Refused(refusal) => Some(refusal.code),
        Outcome::Answer(_) => None,
    };
    let first = request(1, 0);
    let answer = ask(first.clone()).await?;
    ensure(code(&answer).is_none(), || format!("{answer:?}"))?;
    for (bytes, expected) in [
        (request(2, -400), Code::ClockSkew),
        (request(3, 400), Code::ClockSkew),
        (request(4, -250), Code::Internal),
    ] {
        let answer = ask(bytes).await?;
        let wanted = (expected != Code::Internal).then_some(expected);
        ensure(code(&answer) == wanted, || format!("wanted {wanted:?}: {answer:?}"))?;
    }
    // Pings change nothing, so they may be asked again; what changes something may not: see the registry's tests.
    let again = ask(first).await?;
    ensure(matches!(code(&again), None | Some(Code::Replayed)), || format!("{again:?}"))?;
    // A reply is signed by the registry and by nobody else.
    let forged: SignedReply = SignedReply::new(&key, Purpose::RegistryReply, codec::encode(&again));
    let bytes = request(5, 0);
    ensure(open_reply(&codec::encode(&forged), &bytes, Some(&again.registry_key)).is_err(), || {
        "forged".into()
    })
}

#[test]
fn an_operator_sees_sizes_and_subjects_and_no_meaning() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &alice, &[&bob])?;
    let secrets = ["the launch code is 7291", "nobody should know that"];
    for words in secrets {
        alice.sends("team", words)?;
    }
    let traffic = site.registry.traffic(200)?;
    ensure(traffic.len() >= 4, || format!("{traffic:?}"))?;
    let shown = format!("{traffic:?}");
    for words in secrets.iter().chain(&["team"]) {
        ensure(!shown.contains(words), || format!("`{words}` is in the traffic"))?;
    }
    // No number: four digits stand in some time of some stream sooner or later.
    let found = testbed::disk::search(site.broker.folder(), &["the launch code", "nobody should know"])?;
    ensure(found.is_empty(), || format!("on the broker's disk: {found:?}"))?;
    let found = testbed::disk::search(site.registry.folder(), &["the launch code", "nobody should know"])?;
    ensure(found.is_empty(), || format!("on the registry's disk: {found:?}"))?;
    // The search finds what is there.
    let found = testbed::disk::search(site.registry.folder(), &["alice"])?;
    ensure(!found.is_empty(), || "the search does not find the handle in the registry's store".into())?;
    Ok(())
}

/// Waits until the broker has so many entries of the account log.
pub(crate) fn is_published(site: &Site, entries: usize) -> Result {
    testbed::wait::until("the account log is published", || {
        let traffic = site.registry.traffic(10_000).ok()?;
        let of_log = |stored: &&Value| text(stored, "subject") == Some(subject::LOG_SUBJECT);
        (traffic.iter().filter(of_log).count() == entries).then_some(())
    })
}

/// The error line of a command of the registry.
pub(crate) fn error_of(output: &Output) -> Result<Value> {
    let error = output.errors.iter().find(|line| testbed::registry::is(line, "error"));
    error.cloned().ok_or_else(|| Failure::new(output.to_string()))
}

/// G04: a registry that was restored from yesterday's backup notices it by itself, and takes what it forgot back
/// from its log in the broker.
#[test]
fn g04_a_store_older_than_its_published_log_does_not_start_until_it_adopts_the_log() -> Result {
    let mut site = Site::single()?;
    let alice = site.registered("alice")?;
    let store = site.registry.folder().join("data/registry.redb");
    let backup = site.registry.folder().join("backup.redb");
    site.registry.stop()?;
    std::fs::copy(&store, &backup)?;
    site.registry.start()?;
    let bob = site.registered("bob")?;
    site.registered("carol")?;
    is_published(&site, 3)?;
    site.registry.stop()?;
    std::fs::copy(&backup, &store)?;

    let refused = site.registry.shows(&["serve"])?;
    assert_eq!(refused.code, 7, "{refused}");
    let error = error_of(&refused)?;
    assert_eq!(text(&error, "kind"), Some("log-longer"), "{error}");
    let message = text(&error, "message").unwrap_or_default();
    ensure(message.contains("has 3 entries, this store only 1"), || message.to_owned())?;
    ensure(text(&error, "hint").is_some_and(|hint| hint.contains("--adopt-log")), || error.to_string())?;

    site.registry.start_with(&["--adopt-log"])?;
    site.person("mallory")?.is_refused(8, "conflict", &["register", "carol"])?;
    site.registered("dave")?;
    site.group("team", &alice, &[])?;
    // Bob's profile and key packages were lost with the store; his account and devices were not.
    bob.does(&["sync"])?;
    let shown = alice.does(&["profile", "show", "bob"])?.of_type("account")?;
    assert_eq!(text(&shown, "handle"), Some("bob"));
    is_published(&site, 4)
}

/// A data folder that belongs to another broker is noticed before it does harm.
#[test]
fn a_store_of_another_registry_does_not_start() -> Result {
    let (mut one, mut two) = (Site::single()?, Site::single()?);
    one.registered("alice")?;
    two.registered("bob")?;
    for site in [&one, &two] {
        is_published(site, 1)?;
    }
    one.registry.stop()?;
    two.registry.stop()?;
    let store = |site: &Site| site.registry.folder().join("data/registry.redb");
    std::fs::copy(store(&one), store(&two))?;
    let refused = two.registry.shows(&["serve"])?;
    assert_eq!((refused.code, text(&error_of(&refused)?, "kind")), (7, Some("log-differs")), "{refused}");
    Ok(())
}

/// The operator's commands on a running registry: each with its line and its exit code.
#[test]
fn an_operator_blocks_buries_and_looks() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    let orders = |arguments: &[&str], code: i32| site.registry.shows(arguments)?.expecting(code);
    let quotas = orders(&["quotas"], 0)?.of_type("quotas")?;
    assert_eq!(quotas["registration"], "open", "{quotas}");
    is_published(&site, 2)?;
    let head = orders(&["heads"], 0)?.of_type("head")?;
    assert_eq!((&head["size"], &head["unpublished"]), (&2.into(), &0.into()), "{head}");

    orders(&["block", "bob"], 0)?.of_type("blocked")?;
    let shown = orders(&["inspect", "bob"], 0)?.of_type("account")?;
    assert_eq!(
        (&shown["blocked"], &shown["devices"][0]["state"]),
        (&true.into(), &"active".into()),
        "{shown}"
    );
    ensure(bob.run(&["profile", "set", "--name", "Robert"])?.code != 0, || {
        "a blocked account changed".into()
    })?;
    orders(&["unblock", "bob"], 0)?.of_type("unblocked")?;
    bob.does(&["profile", "set", "--name", "Robert"])?;

    orders(&["bury", "admin"], 0)?.of_type("buried")?;
    let refused = site.person("admin")?.is_refused(8, "conflict", &["register", "admin"])?;
    let ended = refused.errors.iter().find_map(|line| text(line, "message")).unwrap_or_default();
    ensure(ended.contains("the operator of this registry ended @admin for good"), || refused.to_string())?;
    for (arguments, code, kind) in [
        (&["block", "nobody"][..], 9, "not-found"),
        (&["unblock", "nobody"], 9, "not-found"),
        (&["inspect", "nobody"], 9, "not-found"),
    ] {
        let refused = orders(arguments, code)?;
        assert_eq!(text(&error_of(&refused)?, "kind"), Some(kind), "{refused}");
    }
    // An export needs the store for itself.
    let file = site.registry.folder().join("export");
    let file = file.to_string_lossy();
    assert_eq!(text(&error_of(&orders(&["export", &file], 7)?)?, "kind"), Some("store-locked"));
    drop(alice);
    // A registry without replicas is told so, and nobody is told how to spell.
    let alone = orders(&["replicas"], 9)?;
    let hint =
        |output: &Output| Ok::<_, Failure>(text(&error_of(output)?, "hint").unwrap_or_default().to_owned());
    ensure(hint(&alone)?.contains("--store jetstream"), || alone.to_string())?;
    let missing = orders(&["import", "no-such-file"], 9)?;
    ensure(hint(&missing)?.contains("is not there"), || missing.to_string())
}
