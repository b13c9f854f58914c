//! The agent holds the registry to its word: lies are noticed, evidence is kept, and conversations go on.

use std::time::Duration;

use bip39::Mnemonic;
use cipher_api::command::{account, contact, device, evidence, message};
use cipher_api::view::{ContactView, EvidenceView, HeadView, SafetyNumberView, Trust};
use cipher_api::{Advice, Command, ErrorKind, Event, Hint, Notice, Target};
use cipher_broker::account_log::AccountLog;
use cipher_broker::certificate::{CertificateBody, DeviceCertificate, Kind};
use cipher_broker::codec;
use cipher_broker::id::{AccountId, DeviceId};
use cipher_broker::limit;
use cipher_broker::sign::{Purpose, Signed, wire_hash};
use cipher_broker::subject::Route;
use cipher_broker::time::Timestamp;
use cipher_broker::transparency::TreeHead;
use cipher_broker::wire::refusal::Code;
use cipher_broker::wire::statement::{LogEntry, StatementKind};
use ed25519_dalek::SigningKey;

use crate::support::disk::End;
use crate::support::log::Flavour;
use crate::support::oracle;
use crate::support::registry::Fate;
use crate::support::world::{World, add};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

fn world(names: &[&str]) -> World {
    World::of(1, Flavour::R1, names)
}

fn show(handle: &str) -> account::ShowProfile {
    account::ShowProfile { handle: handle.parse().unwrap() }
}

fn to(handle: &str, text: &str) -> message::Send {
    message::Send::new(Target::Account(handle.parse().unwrap()), text)
}

fn verify(handle: &str, code: Option<&str>) -> contact::Verify {
    contact::Verify { handle: handle.parse().unwrap(), code: code.map(Into::into) }
}

fn trust(handle: &str) -> contact::Trust {
    contact::Trust { handle: handle.parse().unwrap() }
}

fn evidence(world: &mut World, who: &str) -> Vec<EvidenceView> {
    world.person(who).does(evidence::List {})
}

fn kinds(world: &mut World, who: &str) -> Vec<String> {
    evidence(world, who).into_iter().map(|found| found.kind.name().to_owned()).collect()
}

fn head(world: &mut World, who: &str) -> HeadView {
    world.person(who).does(evidence::Head {})
}

fn warnings(world: &World, who: &str, of: impl Fn(&Notice) -> bool) -> usize {
    world.notices(who).filter(|notice| of(notice)).count()
}

/// Notices that accuse the registry.
const fn accuses(notice: &Notice) -> bool {
    matches!(
        notice,
        Notice::StaleLog { .. }
            | Notice::LogFits
            | Notice::GhostDevice { .. }
            | Notice::HandleTaken { .. }
            | Notice::StatementHidden { .. }
            | Notice::ForeignRegistry { .. }
    )
}

const fn is_stale(notice: &Notice) -> bool {
    matches!(notice, Notice::StaleLog { .. })
}

/// What a command shows of a contact.
fn contact(world: &mut World, who: &str, whom: &str) -> ContactView {
    let contacts = world.person(who).does(contact::List {});
    let found = contacts.into_iter().find(|contact| contact.handle.as_str() == whom);
    found.unwrap_or_else(|| panic!("{who} has no contact {whom}"))
}

/// Both say something to each other directly, and are contacts.
fn acquaint(world: &mut World, one: &str, other: &str) {
    world.person(one).does(contact::Add { handle: other.parse().unwrap(), text: None });
    world.settle();
    world.person(other).does(contact::Accept { handle: one.parse().unwrap() });
    world.settle();
}

/// Somebody new, and the key of their account as its recovery phrase gives it.
fn register_with_key(world: &mut World, name: &str) -> SigningKey {
    let index = world.arrive(name);
    let command =
        account::Register { handle: name.parse().unwrap(), name: name.into(), bot: None, invite_code: None };
    let phrase = world.run(index, command).unwrap().phrase.unwrap();
    world.settle();
    let seed = Mnemonic::parse(phrase).unwrap().to_entropy();
    SigningKey::from_bytes(seed.as_slice().try_into().unwrap())
}

/// A device that whoever has the account key certifies.
fn certified(key: &SigningKey, n: u8, world: &World) -> DeviceCertificate {
    let account_key = key.verifying_key().to_bytes();
    let body = CertificateBody {
        account: AccountId::of_key(&account_key),
        account_key,
        device: DeviceId::from_bytes([n; 16]),
        device_key: SigningKey::from_bytes(&[n; 32]).verifying_key().to_bytes(),
        kind: Kind::Person,
        owner: None,
        not_before: world.now.minus(HOUR),
        not_after: world.now.plus(DAY),
        serial: 1,
    };
    DeviceCertificate::sign(&body, key)
}

/// The account states something; it is in the stream at once.
fn states(world: &mut World, key: &SigningKey, claim: StatementKind, certificate: Option<DeviceCertificate>) {
    let account = AccountId::of_key(&key.verifying_key().to_bytes());
    let statement = next(&world.registry.log_of(account), key, claim, world);
    world.registry.state(account, statement, certificate);
    world.publish_statements();
}

fn next(log: &AccountLog, key: &SigningKey, claim: StatementKind, world: &World) -> Signed {
    Signed::new(key, Purpose::AccountStatement, codec::encode(&log.next(log.stamp(world.now), claim)))
}

fn adds(world: &mut World, key: &SigningKey, n: u8) -> DeviceId {
    let certificate = certified(key, n, world);
    let device = DeviceId::from_bytes([n; 16]);
    let claim = StatementKind::AddDevice { device, certificate: wire_hash(&certificate.to_bytes()) };
    states(world, key, claim, Some(certificate));
    device
}

/// Everybody asks the registry something, and believes what fits.
fn looks(world: &mut World, names: &[&str]) {
    for name in names {
        world.person(name).disconnects();
        world.person(name).connects();
    }
    world.settle();
}

fn devices_of(world: &mut World, who: &str, whom: &str) -> usize {
    contact(world, who, whom).devices
}

// What an answer is worth.

#[test]
fn a_tampered_reply_changes_nothing() {
    let mut world = world(&["alice", "bob"]);
    for fate in [Fate::Tampered, Fate::Forged, Fate::Foreign, Fate::Noise] {
        world.registry.next("resolve", fate);
        let error = world.person("alice").cannot(show("bob"), ErrorKind::Trust);
        assert_eq!(error.hint, Some(Advice::RegistryKeyReplaced.into()));
    }
    assert!(evidence(&mut world, "alice").is_empty(), "bytes that nobody signed prove nothing");
    world.person("alice").does(show("bob"));
}

#[test]
fn with_the_registry_down_known_people_and_groups_are_reached() {
    let mut world = world(&["alice", "bob", "carol"]);
    acquaint(&mut world, "alice", "bob");
    let group = world.group_of("ops", &["alice", "bob", "carol"]);
    world.registry.lies.down = true;
    looks(&mut world, &["alice", "bob", "carol"]);
    world.person("alice").says(group, "to all");
    world.person("alice").does(to("bob", "to bob"));
    world.person("alice").renames(group, "renamed");
    world.settle();
    assert_eq!(world.person("carol").sees(group, "to all"), 1);
    assert_eq!(world.person("carol").group(group).name, "renamed");
    world.person("alice").restarts(End::PowerLoss);
    world.settle();
    world.person("alice").says(group, "after a restart");
    world.person("alice").does(verify("bob", None));
    world.person("alice").cannot(show("nobody"), ErrorKind::Unreachable);
    world.registry.lies.down = false;
    oracle::judge(&mut world);
}

/// G10: both times are told.
#[test]
fn g10_a_wrong_clock_is_told_with_both_times() {
    let mut world = world(&["alice", "bob"]);
    for ahead in [HOUR, 3 * HOUR] {
        world.registry.ahead = ahead;
        let error = world.person("alice").cannot(show("bob"), ErrorKind::Refused);
        let words = error.message.split([' ', ',']);
        let times: Vec<Timestamp> = words.filter_map(Timestamp::parse).collect();
        let [machine, registry] = times.as_slice() else { panic!("{}", error.message) };
        let apart = registry.since(*machine);
        assert!(apart.abs_diff(ahead) < Duration::from_secs(60), "{}", error.message);
        assert!(error.message.contains("this machine's") && error.message.contains("registry's"));
    }
    world.registry.ahead = Duration::ZERO;
    world.person("alice").does(show("bob"));
    assert!(evidence(&mut world, "alice").is_empty());
}

// Heads and proofs.

/// G04: yesterday's backup, and nothing happened since: the log is shorter than it was.
#[test]
fn r_kt_01_g04_a_registry_restored_from_yesterdays_backup_is_noticed_on_the_next_contact() {
    let mut world = world(&["alice", "bob"]);
    let group = world.group_of("ops", &["alice", "bob"]);
    let backup = world.registry.clone();
    world.register("carol");
    looks(&mut world, &["alice", "bob"]);
    let before = head(&mut world, "alice");
    world.pass(DAY);
    let healthy = std::mem::replace(&mut world.registry, backup);

    world.person("alice").cannot(show("bob"), ErrorKind::Trust);
    assert_eq!(kinds(&mut world, "alice"), ["rollback"]);
    assert_eq!(head(&mut world, "alice").size, before.size, "the known head stays");
    let found = evidence(&mut world, "alice").remove(0);
    let names: Vec<&str> = found.exhibits.iter().map(|exhibit| exhibit.name.as_str()).collect();
    assert_eq!(names, ["known head", "shown head", "registry reply"]);
    let key: [u8; 32] = before.registry_key.try_into().unwrap();
    for exhibit in found.exhibits.iter().take(2) {
        assert!(
            TreeHead::open(&codec::decode(&exhibit.bytes).unwrap(), &key).is_ok(),
            "anybody can check it"
        );
    }

    // Told once, however often it is met, and again after a restart.
    world.person("alice").cannot(show("bob"), ErrorKind::Trust);
    let told = |world: &World| {
        let events = &world.people[world.index("alice")].events;
        events.iter().filter(|event| matches!(event, Event::Evidence(_))).count()
    };
    assert_eq!((told(&world), kinds(&mut world, "alice").len()), (1, 1));
    world.person("alice").restarts(End::Kill);
    world.settle();
    assert_eq!((told(&world), kinds(&mut world, "alice").len()), (1, 1));

    // Groups go on.
    world.person("alice").says(group, "the registry lost a day");
    world.person("alice").renames(group, "ops without registry");
    world.settle();
    assert_eq!(world.person("bob").sees(group, "the registry lost a day"), 1);
    world.person("alice").cannot(add(group, &["carol"]), ErrorKind::Trust);

    // The registry shows a log that fits again.
    let backup = std::mem::replace(&mut world.registry, healthy.clone());
    world.pass(HOUR);
    looks(&mut world, &["alice", "bob"]);
    world.person("alice").does(show("bob"));
    world.person("alice").adds(group, &["carol"]);
    assert_eq!(kinds(&mut world, "alice").len(), 1, "evidence stays");

    // Whoever took note of it is told no more, until it happens again.
    world.person("alice").does(evidence::Acknowledge {});
    world.person("alice").restarts(End::Kill);
    world.settle();
    assert_eq!((told(&world), kinds(&mut world, "alice").len()), (0, 0));
    world.registry = backup;
    world.pass(DAY);
    world.person("alice").cannot(show("bob"), ErrorKind::Trust);
    assert_eq!((told(&world), kinds(&mut world, "alice").len()), (1, 1));
    world.registry = healthy;
    world.settle();
    oracle::judge(&mut world);
}

/// The backup grew again, differently: as long as before, or longer.
#[test]
fn r_kt_02_a_restored_registry_that_grew_differently_is_noticed_on_the_next_contact() {
    for (newcomers, expected) in [(1, "split-view"), (2, "not-proven")] {
        let mut world = world(&["alice", "bob"]);
        let backup = world.registry.clone();
        world.register("carol");
        looks(&mut world, &["alice", "bob"]);
        let before = head(&mut world, "alice");
        world.pass(DAY);
        world.registry = backup;
        world.person("alice").disconnects();
        for newcomer in ["dave", "erin"].iter().take(newcomers) {
            let index = world.arrive(newcomer);
            let command = account::Register {
                handle: newcomer.parse().unwrap(),
                name: (*newcomer).into(),
                bot: None,
                invite_code: None,
            };
            world.run(index, command).unwrap();
        }
        world.settle();
        world.person("alice").connects();
        world.settle();
        assert!(kinds(&mut world, "alice").iter().any(|kind| kind == expected), "{newcomers}");
        assert_eq!(head(&mut world, "alice").head, before.head, "the known head stays");
        world.person("alice").cannot(show("bob"), ErrorKind::Trust);
        world.person("alice").cannot(show("dave"), ErrorKind::Trust);
    }
}

#[test]
fn r_kt_02_a_longer_log_is_believed_with_a_proof_only() {
    let mut world = world(&["alice", "bob"]);
    let before = head(&mut world, "alice");
    world.registry.lies.bad_proofs = true;
    world.register("carol");
    world.register("dave");
    looks(&mut world, &["alice"]);
    assert_eq!(kinds(&mut world, "alice"), ["not-proven"]);
    assert_eq!(head(&mut world, "alice").head, before.head);
    let found = evidence(&mut world, "alice").remove(0);
    assert!(found.exhibits.iter().any(|exhibit| exhibit.name == "proof that does not hold"));
    world.person("alice").cannot(show("bob"), ErrorKind::Trust);

    world.registry.lies.bad_proofs = false;
    world.pass(HOUR);
    looks(&mut world, &["alice"]);
    assert!(head(&mut world, "alice").size >= before.size + 2, "it is proven after all");
    world.person("alice").does(show("bob"));
    assert_eq!(warnings(&world, "alice", |notice| *notice == Notice::LogFits), 1);
}

#[test]
fn r_kt_02_a_registry_that_does_not_prove_is_told_so() {
    for (code, days) in [(Code::Denied, 0), (Code::Internal, 2)] {
        let mut world = world(&["alice", "bob"]);
        world.registry.lies.no_proofs = Some(code);
        world.register("carol");
        looks(&mut world, &["alice"]);
        if days > 0 {
            world.person("alice").does(show("bob"));
            assert!(evidence(&mut world, "alice").is_empty(), "it may have failed");
            world.pass(days * DAY);
            looks(&mut world, &["alice"]);
        }
        assert_eq!(kinds(&mut world, "alice"), ["not-proven"]);
        world.person("alice").cannot(show("bob"), ErrorKind::Trust);
    }
}

#[test]
fn r_kt_03_a_record_comes_with_proof_that_the_log_holds_it() {
    let mut world = world(&["alice", "bob"]);
    let register = |world: &mut World, name: &str| world.register(name);
    register(&mut world, "carol");
    for lie in ["none", "bad"] {
        world.registry.lies.no_inclusion = lie == "none";
        world.registry.lies.bad_inclusion = lie == "bad";
        let error = world.person("alice").cannot(show("carol"), ErrorKind::Trust);
        assert!(error.message.contains("account log"), "{error:?}");
        world
            .person("alice")
            .cannot(contact::Add { handle: "carol".parse().unwrap(), text: None }, ErrorKind::Trust);
    }
    assert_eq!(kinds(&mut world, "alice"), ["not-proven"], "only the bad proof is a lie that can be shown");
    world.registry.lies.bad_inclusion = false;
    world.person("alice").does(show("carol"));
}

#[test]
fn r_kt_01_heads_of_another_key_and_missing_heads_are_not_believed() {
    let mut world = world(&["alice", "bob"]);
    world.registry.lies.head_key = Some([99; 32]);
    world.person("alice").cannot(show("bob"), ErrorKind::Trust);
    world.registry.lies.head_key = None;
    world.registry.lies.no_head = true;
    let error = world.person("alice").cannot(show("bob"), ErrorKind::Trust);
    assert!(error.message.contains("does not show its account log"), "{error:?}");
    world.registry.lies.no_head = false;
    world.person("alice").does(show("bob"));
}

// Two views.

/// G03: the registry shows Alice one log and Bob another. Their next messages tell, whichever is longer.
#[test]
fn r_kt_04_g03_two_views_are_noticed_within_one_gossip_exchange() {
    for (here, there) in [(1, 1), (1, 2), (2, 1)] {
        let mut world = world(&["alice", "bob", "carol"]);
        let group = world.group_of("ops", &["alice", "bob"]);
        let bob = world.registry.account("bob");
        let twin = world.registry.split(&[bob]);
        (0..there).for_each(|n| twin.tree.push([100 + n; 32]));
        (0..here).for_each(|n| world.registry.tree.push([200 + n; 32]));
        looks(&mut world, &["alice", "bob"]);
        assert!(evidence(&mut world, "alice").is_empty() && evidence(&mut world, "bob").is_empty());
        world.pass(limit::GOSSIP_EVERY + Duration::from_secs(60));

        // One message each way at most.
        world.person("alice").says(group, "good morning");
        world.settle();
        world.person("bob").says(group, "good morning to you");
        world.settle();
        // Whoever is shown the shorter one grants a copy of the registry a few seconds.
        world.pass(limit::HEAD_LAG + Duration::from_secs(2));
        world.settle();
        for who in ["alice", "bob"] {
            assert_eq!(kinds(&mut world, who), ["split-view"], "{who} {here} {there}");
            world.person(who).cannot(show("carol"), ErrorKind::Trust);
        }
        // Both signed heads are there.
        let key: [u8; 32] = head(&mut world, "bob").registry_key.try_into().unwrap();
        let found = evidence(&mut world, "bob").remove(0);
        let heads: Vec<TreeHead> = found
            .exhibits
            .iter()
            .filter_map(|exhibit| TreeHead::open(&codec::decode(&exhibit.bytes).ok()?, &key).ok())
            .collect();
        assert_eq!(heads.len(), 2);
        assert_ne!(heads[0].root, heads[1].root);
        // The conversation goes on.
        world.person("alice").says(group, "did you see that?");
        world.settle();
        assert_eq!(world.person("bob").sees(group, "did you see that?"), 1);
    }
}

#[test]
fn gossip_of_one_log_is_proven_and_no_news() {
    let mut world = world(&["alice", "bob"]);
    let group = world.group_of("ops", &["alice", "bob"]);
    for round in 0..3 {
        world.register(&format!("newcomer{round}"));
        looks(&mut world, &[if round % 2 == 0 { "alice" } else { "bob" }]);
        world.pass(2 * HOUR);
        world.person("alice").says(group, "hello");
        world.person("bob").says(group, "hello");
        world.settle();
    }
    for who in ["alice", "bob"] {
        assert!(evidence(&mut world, who).is_empty());
        assert_eq!(warnings(&world, who, accuses), 0);
    }
    oracle::judge(&mut world);
}

// Hiding.

/// G05: an old head is worth a warning, once a day.
#[test]
fn g05_a_log_that_ends_long_ago_is_told_once_a_day() {
    let mut world = world(&["alice", "bob"]);
    looks(&mut world, &["alice"]);
    world.pass(2 * DAY);
    world.registry.lies.stale_by = 25 * HOUR;
    world.person("alice").does(show("bob"));
    world.person("alice").does(show("bob"));
    assert_eq!(warnings(&world, "alice", is_stale), 1);
    world.pass(DAY + HOUR);
    world.person("alice").does(show("bob"));
    assert_eq!(warnings(&world, "alice", is_stale), 2);
    // What was asked meanwhile is answered before the registry is itself again.
    world.settle();
    world.registry.lies.stale_by = Duration::ZERO;
    world.pass(DAY + HOUR);
    world.person("alice").does(show("bob"));
    assert_eq!(warnings(&world, "alice", is_stale), 2);
}

/// E6: a clock that is a day ahead accuses nobody; both times are told. What the broker knows decides: a registry whose
/// own clock is said to be behind what the broker has stored is found all the same.
#[test]
fn r_kt_07_e6_a_clock_that_is_a_day_ahead_accuses_nobody() {
    let mut world = world(&["alice", "bob"]);
    acquaint(&mut world, "alice", "bob");
    looks(&mut world, &["alice"]);
    let alice = world.index("alice");
    world.people[alice].ahead = 25 * HOUR;
    for _ in 0..2 {
        // The registry refuses it, and says why.
        assert!(world.run(alice, show("bob")).is_err());
    }
    assert_eq!(warnings(&world, "alice", is_stale), 0);
    assert_eq!(warnings(&world, "alice", |notice| matches!(notice, Notice::ClocksApart { .. })), 1);
    assert_eq!(kinds(&mut world, "alice"), Vec::<String>::new());
    world.people[alice].ahead = Duration::ZERO;
    // Two days later the registry shows the old log, and says that it is two days ago.
    world.pass(2 * DAY);
    world.person("bob").does(to("alice", "what time is it"));
    world.settle();
    world.registry.behind = 2 * DAY;
    assert!(world.run(alice, show("bob")).is_err());
    assert_eq!(kinds(&mut world, "alice").len(), 1);
}

/// G05: a device is revoked, and the registry goes on showing it. Who reads the account log knows better.
#[test]
fn r_pin_05_g05_a_hidden_revocation_is_noticed_by_whoever_saw_it() {
    let mut world = world(&["alice"]);
    let key = register_with_key(&mut world, "bob");
    acquaint(&mut world, "alice", "bob");
    let bob = world.registry.account("bob");
    let stolen = adds(&mut world, &key, 9);
    world.settle();
    assert_eq!(devices_of(&mut world, "alice", "bob"), 2);
    let old = world.registry.record_of(bob);
    states(&mut world, &key, StatementKind::RevokeDevice { device: stolen }, None);
    world.settle();
    assert_eq!(devices_of(&mut world, "alice", "bob"), 1);
    world.registry.lies.frozen.insert(bob, old);
    world.person("alice").cannot(show("bob"), ErrorKind::Trust);
    assert_eq!(kinds(&mut world, "alice"), ["rollback"]);
    assert_eq!(devices_of(&mut world, "alice", "bob"), 1, "the log never goes back");
    world.registry.lies.frozen.clear();
    world.person("alice").does(show("bob"));
}

#[test]
fn r_pin_05_an_account_with_two_histories_keeps_the_first() {
    let mut world = world(&["alice"]);
    let key = register_with_key(&mut world, "bob");
    acquaint(&mut world, "alice", "bob");
    let mut twin = world.registry.clone();
    adds(&mut world, &key, 9);
    world.settle();
    // Whoever has both the account key and the registry makes another one of the same length.
    std::mem::swap(&mut world.registry, &mut twin);
    world.registry.tree.push([1; 32]);
    let certificate = certified(&key, 8, &world);
    let claim = StatementKind::AddDevice {
        device: DeviceId::from_bytes([8; 16]),
        certificate: wire_hash(&certificate.to_bytes()),
    };
    let bob = world.registry.account("bob");
    let statement = next(&world.registry.log_of(bob), &key, claim, &world);
    world.registry.state(bob, statement, Some(certificate));
    world.registry.unpublished.clear();
    world.person("alice").cannot(show("bob"), ErrorKind::Trust);
    assert!(!evidence(&mut world, "alice").is_empty());
    assert_eq!(devices_of(&mut world, "alice", "bob"), 2);
}

// Devices.

/// G01: the registry shows a device that the account never stated.
#[test]
fn r_pin_04_g01_a_ghost_device_is_refused_and_its_owner_is_alarmed() {
    let mut world = world(&["alice", "mallory"]);
    let key = register_with_key(&mut world, "bob");
    acquaint(&mut world, "alice", "bob");
    let bob = world.registry.account("bob");
    let stranger = SigningKey::from_bytes(&[77; 32]);
    let mut forged = certified(&stranger, 5, &world);
    for signed_by in ["stranger", "account"] {
        world.registry.lies.ghost = Some((bob, forged.clone()));
        world.person("alice").cannot(show("bob"), ErrorKind::Trust);
        assert_eq!(devices_of(&mut world, "alice", "bob"), 1, "{signed_by}");
        looks(&mut world, &["bob"]);
        assert!(
            warnings(&world, "bob", |notice| matches!(notice, Notice::GhostDevice { .. })) >= 1,
            "{signed_by}"
        );
        assert!(kinds(&mut world, "bob").iter().all(|kind| kind == "ghost-device"));
        // The account key signed this one, and the account log does not have it.
        forged = certified(&key, 6, &world);
    }
    assert_eq!(evidence(&mut world, "bob").len(), 2);
    world.registry.lies.ghost = None;
    world.person("alice").does(to("bob", "still you"));
    oracle::judge(&mut world);
}

/// G02: whoever stole the account key adds a device. Everybody who knows the account hears of it at once.
#[test]
fn r_kt_05_g02_a_device_added_by_a_stolen_key_is_told_to_its_owner() {
    let mut world = world(&["alice"]);
    let key = register_with_key(&mut world, "bob");
    acquaint(&mut world, "alice", "bob");
    let alice = world.registry.account("alice");
    let asked = world.registry.answered_to(alice, "fetch-account");
    let device = adds(&mut world, &key, 9);
    world.settle();
    assert_eq!(warnings(&world, "bob", |notice| *notice == Notice::DeviceAdded { device }), 1);
    assert_eq!(devices_of(&mut world, "alice", "bob"), 2);
    assert_eq!(world.registry.answered_to(alice, "fetch-account"), asked, "the log told, nobody asked");
    let devices = world.person("bob").does(device::List {});
    assert!(devices.iter().any(|view| view.device_id == device));
    // Told once, also after a restart that reads some of the log again.
    world.person("bob").restarts(End::Kill);
    world.settle();
    assert_eq!(warnings(&world, "bob", |notice| matches!(notice, Notice::DeviceAdded { .. })), 0);
}

#[test]
fn r_kt_05_junk_in_the_account_log_costs_nothing() {
    let mut world = world(&["alice"]);
    let key = register_with_key(&mut world, "bob");
    acquaint(&mut world, "alice", "bob");
    let bob = world.registry.account("bob");
    let log = world.registry.log_of(bob);
    let certificate = certified(&key, 9, &world);
    let hash = wire_hash(&certificate.to_bytes());
    let claim = StatementKind::AddDevice { device: DeviceId::from_bytes([9; 16]), certificate: hash };
    let statement = next(&log, &key, claim.clone(), &world);
    let forged = next(&log, &SigningKey::from_bytes(&[3; 32]), claim, &world);
    let entry = |statement: &Signed, certificate| LogEntry { statement: statement.clone(), certificate };
    for bytes in [
        vec![],
        vec![0; 3_000_000],
        b"noise".to_vec(),
        codec::encode(&entry(&forged, Some(certificate))),
        codec::encode(&entry(&statement, None)),
        codec::encode(&entry(&statement, Some(certified(&key, 8, &world)))),
        codec::encode(&entry(&Signed { body: vec![1, 2], signature: vec![] }, None)),
    ] {
        world.log.inject(Route::Log, bytes);
    }
    world.settle();
    assert_eq!(devices_of(&mut world, "alice", "bob"), 1);
    assert_eq!(warnings(&world, "bob", |notice| matches!(notice, Notice::DeviceAdded { .. })), 0);
    oracle::judge(&mut world);
}

/// A stream that swallows a statement is caught by the next record.
#[test]
fn r_kt_06_a_statement_that_the_stream_passed_over_is_noticed() {
    let mut world = world(&["alice"]);
    let key = register_with_key(&mut world, "bob");
    acquaint(&mut world, "alice", "bob");
    let bob = world.registry.account("bob");
    let certificate = certified(&key, 9, &world);
    let hash = wire_hash(&certificate.to_bytes());
    let claim = StatementKind::AddDevice { device: DeviceId::from_bytes([9; 16]), certificate: hash };
    let statement = next(&world.registry.log_of(bob), &key, claim, &world);
    world.registry.state(bob, statement, Some(certificate));
    world.registry.unpublished.clear();
    // Something else lies in its place.
    world.log.inject(Route::Log, b"noise".to_vec());
    world.settle();
    assert_eq!(devices_of(&mut world, "alice", "bob"), 1);
    world.person("alice").does(show("bob"));
    assert_eq!(devices_of(&mut world, "alice", "bob"), 2);
    assert_eq!(warnings(&world, "alice", |notice| matches!(notice, Notice::StatementHidden { .. })), 1);
}

#[test]
fn after_a_long_pause_the_log_is_not_read_but_the_known_accounts_are_asked_for() {
    let mut world = world(&["alice"]);
    let key = register_with_key(&mut world, "bob");
    acquaint(&mut world, "alice", "bob");
    world.person("alice").disconnects();
    adds(&mut world, &key, 9);
    let missed = usize::try_from(limit::LOG_CATCH_UP).unwrap() + 10;
    for n in 0..missed {
        world.registry.tree.push(wire_hash(&n.to_be_bytes()));
        world.log.inject(Route::Log, b"somebody else".to_vec());
    }
    world.person("alice").connects();
    world.settle();
    assert_eq!(devices_of(&mut world, "alice", "bob"), 2);
    let known = head(&mut world, "alice");
    assert_eq!(known.log_cursor, known.size);
    assert!(evidence(&mut world, "alice").is_empty());
    // And it goes on from there.
    adds(&mut world, &key, 10);
    world.settle();
    assert_eq!(devices_of(&mut world, "alice", "bob"), 3);
}

// Key packages.

/// K05: the pin stays what it was.
#[test]
fn r_kp_02_k05_a_swapped_key_package_leaves_the_pin_alone() {
    let mut world = world(&["alice", "bob", "mallory"]);
    world.person("alice").does(show("bob"));
    world.registry.swapped = Some((world.registry.account("bob"), world.registry.account("mallory")));
    world.person("alice").cannot(to("bob", "secret"), ErrorKind::Trust);
    world.settle();
    assert!(world.person("mallory").groups().is_empty());
    world.registry.swapped = None;
    world.person("alice").does(to("bob", "secret"));
    world.settle();
}

/// K06: a one-time package is used once, whoever hands it out again.
#[test]
fn r_kp_05_k06_a_key_package_that_is_handed_out_again_is_noticed() {
    let mut world = world(&["alice", "bob"]);
    world.registry.lies.again = true;
    let first = world.person("alice").creates("first", &["bob"]);
    world.settle();
    let second = world.person("alice").creates("second", &[]);
    let error = world.person("alice").cannot(add(second, &["bob"]), ErrorKind::Trust);
    assert!(error.message.contains("second time"), "{error:?}");
    world.person("alice").restarts(End::PowerLoss);
    world.person("alice").cannot(add(second, &["bob"]), ErrorKind::Trust);
    assert_eq!(world.person("alice").members(second), ["alice"]);
    world.registry.lies.again = false;
    world.settle();
    // The one that lies on top was used: it is refused once more, the next one is good.
    world.person("alice").cannot(add(second, &["bob"]), ErrorKind::Trust);
    world.person("alice").adds(second, &["bob"]);
    world.settle();
    world.person("bob").accepts(first);
    world.person("bob").accepts(second);
    oracle::judge(&mut world);
}

/// G05: the registry hands out packages of a device that the account revoked.
#[test]
fn r_kp_06_g05_a_package_of_a_revoked_device_is_not_used() {
    let mut world = world(&["alice"]);
    let key = register_with_key(&mut world, "bob");
    acquaint(&mut world, "alice", "bob");
    let bob = world.registry.account("bob");
    let revoked = adds(&mut world, &key, 9);
    states(&mut world, &key, StatementKind::RevokeDevice { device: revoked }, None);
    world.settle();
    world.registry.restock(bob, revoked);
    let group = world.person("alice").creates("ops", &[]);
    let error = world.person("alice").cannot(add(group, &["bob"]), ErrorKind::Trust);
    assert!(error.message.contains("revoked"), "{error:?}");
    assert_eq!(world.person("alice").members(group), ["alice"]);
}

// Names.

/// G01: the registry lets somebody else have a pinned handle. Nothing is sent until the person decides.
#[test]
fn r_pin_06_g01_a_changed_account_is_not_written_to_until_the_person_decides() {
    for verified in [false, true] {
        let mut world = world(&["alice", "bob"]);
        acquaint(&mut world, "alice", "bob");
        let group = world.group_of("ops", &["alice"]);
        world.person("alice").does(to("bob", "hello"));
        world.settle();
        let direct = world.person("alice").active().into_iter().find(|view| view.direct).unwrap().id;
        if verified {
            let shown = world.person("bob").does(verify("alice", None));
            world.person("alice").does(verify("bob", Some(&shown.number)));
        }
        let first = world.registry.account("bob");
        world.registry.release("bob");
        let index = world.arrive("impostor");
        let command = account::Register {
            handle: "bob".parse().unwrap(),
            name: "Bob".into(),
            bot: None,
            invite_code: None,
        };
        world.run(index, command).unwrap();
        world.settle();
        let second = world.registry.account("bob");
        assert_ne!(first, second);

        // Nobody looked it up yet: what is pinned is used.
        world.person("alice").does(to("bob", "still to the first"));
        world.person("alice").cannot(trust("bob"), ErrorKind::Misuse);
        let error = world.person("alice").cannot(show("bob"), ErrorKind::Trust);
        assert_eq!(error.message.contains("whom you verified"), verified, "{error:?}");
        assert_eq!(contact(&mut world, "alice", "bob").trust, Trust::Changed);
        assert_eq!(kinds(&mut world, "alice"), ["changed-account"]);
        let changed = |notice: &Notice| {
            let was = |told: &bool| *told == verified;
            matches!(notice, Notice::AccountChanged { verified, .. } if was(verified))
        };
        assert_eq!(warnings(&world, "alice", changed), 1);
        let commands: [Command; 5] = [
            to("bob", "no").into(),
            message::Send::new(Target::Group(direct), "no").into(),
            add(group, &["bob"]).into(),
            contact::Add { handle: "bob".parse().unwrap(), text: None }.into(),
            verify("bob", None).into(),
        ];
        for command in commands {
            world.person("alice").cannot(command, ErrorKind::Trust);
        }
        assert_eq!(warnings(&world, "alice", changed), 1, "once per change");
        // What the first one says is still shown.
        world.person("bob").says(direct, "I am still here");
        world.settle();
        assert_eq!(world.person("alice").sees(direct, "I am still here"), 1);

        // The person decides.
        let now = world.person("alice").does(trust("bob"));
        assert_eq!((now.account_id, now.trust), (second, Trust::Unverified));
        world.person("alice").does(to("bob", "hello, new bob"));
        world.settle();
        let old = world.person("alice").group(direct);
        assert_eq!(old.name, "@bob (earlier)");
        assert_eq!(world.person("alice").sees(direct, "I am still here"), 1);
        let no = message::Send::new(Target::Group(direct), "no");
        world.person("alice").cannot(no, ErrorKind::Trust);
        let groups = world.groups(index);
        assert!(groups.iter().any(|view| view.direct), "the second bob was written to");
    }
}

#[test]
fn a_handle_that_comes_back_to_its_account_is_used_again() {
    let mut world = world(&["alice", "bob"]);
    acquaint(&mut world, "alice", "bob");
    let healthy = world.registry.clone();
    world.registry.release("bob");
    let index = world.arrive("impostor");
    let command = account::Register {
        handle: "bob".parse().unwrap(),
        name: "Bob".into(),
        bot: None,
        invite_code: None,
    };
    world.run(index, command).unwrap();
    world.settle();
    world.person("alice").cannot(show("bob"), ErrorKind::Trust);
    let bob = healthy.account("bob");
    world.registry.hand(bob, "bob");
    world.person("alice").does(show("bob"));
    assert_eq!(contact(&mut world, "alice", "bob").trust, Trust::Unverified);
    world.person("alice").does(to("bob", "there you are"));
    assert_eq!(kinds(&mut world, "alice"), ["changed-account"], "what was found stays");
}

#[test]
fn a_profile_never_goes_back_and_a_revoked_device_signs_none() {
    let mut world = world(&["alice"]);
    let key = register_with_key(&mut world, "bob");
    let bob = world.registry.account("bob");
    let name = |text: &str| account::SetProfile { name: Some(text.into()), status: None, presence: None };
    acquaint(&mut world, "alice", "bob");
    world.person("bob").does(name("Old"));
    let old = world.registry.record_of(bob);
    world.person("bob").does(name("New"));
    let shown = |world: &mut World| {
        let view = world.person("alice").does(show("bob"));
        view.name
    };
    assert_eq!(shown(&mut world), "New");
    world.registry.lies.frozen.insert(bob, old);
    assert_eq!(shown(&mut world), "New", "the older one is not taken");
    world.registry.lies.frozen.clear();
    // The profile is signed by a device that is the account's no more.
    let second = certified(&key, 9, &world);
    let claim = StatementKind::Recover {
        device: DeviceId::from_bytes([9; 16]),
        certificate: wire_hash(&second.to_bytes()),
    };
    let log = world.registry.log_of(bob);
    let statement = next(&log, &key, claim, &world);
    let mut record = world.registry.record_of(bob);
    record.statements.push(statement);
    record.certificates = vec![second];
    world.registry.show(record);
    world.person("alice").cannot(show("bob"), ErrorKind::Trust);
    assert!(evidence(&mut world, "alice").is_empty());
}

// Safety numbers.

fn number(world: &mut World, who: &str, whom: &str) -> SafetyNumberView {
    world.person(who).does(verify(whom, None))
}

#[test]
fn a_safety_number_is_the_same_on_both_sides_and_verifies() {
    let mut world = world(&["alice", "bob", "carol"]);
    // Nobody knows anybody yet: the number is looked up.
    let (hers, his) = (number(&mut world, "alice", "bob"), number(&mut world, "bob", "alice"));
    assert_eq!(hers.number, his.number);
    assert_eq!(hers.trust, Trust::Unverified);
    let other = number(&mut world, "alice", "carol");
    assert_ne!(other.number, hers.number);
    for wrong in [other.number.as_str(), other.uri.as_str(), &"0".repeat(60)] {
        let error = world.person("alice").cannot(verify("bob", Some(wrong)), ErrorKind::Trust);
        assert_eq!(error.hint, Some(Advice::CompareAgain.into()));
    }
    for nonsense in ["", "12345", "hello", "cipher-chat:verify/AAAA"] {
        world.person("alice").cannot(verify("bob", Some(nonsense)), ErrorKind::Misuse);
    }
    assert_eq!(number(&mut world, "alice", "bob").trust, Trust::Unverified);
    for (who, whom, code) in [("alice", "bob", his.number.replace(' ', "")), ("bob", "alice", hers.uri)] {
        let view = world.person(who).does(verify(whom, Some(&code)));
        assert_eq!(view.trust, Trust::Verified);
    }
    world.person("alice").restarts(End::PowerLoss);
    assert_eq!(number(&mut world, "alice", "bob").trust, Trust::Verified);
    world.person("alice").cannot(verify("alice", None), ErrorKind::Usage);
}

#[test]
fn a_bot_is_verified_by_its_owner() {
    let mut world = world(&["alice", "bob"]);
    world.register_bot("echo", "bob");
    let error = world.person("alice").cannot(verify("echo", None), ErrorKind::Refused);
    assert!(matches!(error.hint, Some(Hint::ContactVerifyOwner { .. })), "{error:?}");
}

/// G07: what a display name looks like is told where the account is shown.
#[test]
fn g07_a_display_name_like_a_contacts_is_told() {
    let mut world = world(&["alice", "bob", "mallory"]);
    acquaint(&mut world, "alice", "bob");
    let name = account::SetProfile { name: Some("Вob".into()), status: None, presence: None };
    world.person("mallory").does(name);
    let view = world.person("alice").does(show("mallory"));
    assert!(view.warning.is_some_and(|warning| warning.contains("somebody else")));
    let view = world.person("alice").does(show("bob"));
    assert_eq!(view.warning, None);
}
