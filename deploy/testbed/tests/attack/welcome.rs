//! Invitations that no agent sends, by a stranger and by members.

use std::collections::{BTreeMap, BTreeSet};

use cipher_broker::codec;
use cipher_broker::subject::{Route, Source};
use cipher_broker::wire::group::{GroupData, Role};
use testbed::person::text;
use testbed::{Person, Result, Site, ensure};

use crate::client::{Change, GroupCopy, Identity, Line, claimed};
use crate::scene::{GROUP, goes_on, whoami};

/// A stranger with an account, and somebody honest who never heard of it.
struct Doorstep {
    line: Line,
    mallory: Identity,
    alice: Person,
    site: Site,
}

impl Doorstep {
    fn new() -> Result<Self> {
        let site = Site::single()?;
        let line = Line::to(&site.broker)?;
        let mallory = Identity::fresh()?;
        mallory.registers(&line, "mallory")?;
        let alice = site.registered("alice")?;
        Ok(Self { line, mallory, alice, site })
    }

    /// What a group of mallory's begins with.
    fn data(&self, name: &str) -> Vec<u8> {
        codec::encode(&GroupData {
            version: GroupData::VERSION,
            name: name.into(),
            direct: false,
            roles: BTreeMap::from([(self.mallory.account, Role::Owner)]),
            may_add: Role::Admin,
            may_rename: Role::Admin,
            may_resync: true,
            personal: false,
            links: BTreeMap::new(),
            banned: BTreeSet::new(),
        })
    }

    /// Names of the invitations that wait at alice's.
    fn waiting(&self) -> Result<Vec<String>> {
        let list = self.alice.does(&["group", "list"])?;
        let waits = |line: &&serde_json::Value| text(line, "state") == Some("invited");
        Ok(list.lines.iter().filter(waits).filter_map(|line| text(line, "name").map(str::to_owned)).collect())
    }
}

#[test]
fn k01_k02_k03_what_is_no_invitation_leaves_nothing_and_genuine_ones_come_through() -> Result {
    let door = Doorstep::new()?;
    let (account, device) = whoami(&door.alice)?;
    let (line, mallory) = (&door.line, &door.mallory);

    // A leaf with somebody else's certificate in the tree: the owner's own.
    let bob = Identity::fresh()?;
    let mut forged = GroupCopy::made(mallory, door.data("forged"), mallory.credential_of(&bob.certificate))?;
    let packed =
        forged.packs(mallory, Change { adds: claimed(mallory, line, account)?, ..Change::default() })?;
    forged.sends_and_merges(mallory, line, packed.commit.clone())?;
    forged.invites(mallory, line, &packed, &[device])?;

    // Data that no group of ours has.
    let mut empty = GroupCopy::made(mallory, b"nothing".to_vec(), mallory.credential())?;
    let packed =
        empty.packs(mallory, Change { adds: claimed(mallory, line, account)?, ..Change::default() })?;
    empty.sends_and_merges(mallory, line, packed.commit.clone())?;
    empty.invites(mallory, line, &packed, &[device])?;

    // For a key package that is nobody's.
    let mut astray = GroupCopy::made(mallory, door.data("astray"), mallory.credential())?;
    let adds = vec![Identity::fresh()?.key_package()?];
    let packed = astray.packs(mallory, Change { adds, ..Change::default() })?;
    astray.sends_and_merges(mallory, line, packed.commit.clone())?;
    astray.invites(mallory, line, &packed, &[device])?;
    ensure(door.waiting()?.is_empty(), || "something waits that is no invitation".into())?;

    // A genuine one, and its Welcome again and again.
    let mut real = GroupCopy::made(mallory, door.data("real"), mallory.credential())?;
    let packed =
        real.packs(mallory, Change { adds: claimed(mallory, line, account)?, ..Change::default() })?;
    real.sends_and_merges(mallory, line, packed.commit.clone())?;
    real.invites(mallory, line, &packed, &[device])?;
    ensure(door.waiting()? == ["real"], || "the genuine invitation does not wait".into())?;
    door.alice.accepts("real")?;
    let sent = door.alice.sends("real", "here I am")?;
    ensure(text(&sent, "state") == Some("sent"), || sent.to_string())?;
    ensure(real.reads(mallory, line)?.contains(&"here I am".to_owned()), || "mallory hears nothing".into())?;
    let welcome = line.last(&Route::Inbox(device))?.bytes;
    for _ in 0..3 {
        line.store(&Route::Inbox(device), welcome.clone())?;
    }
    ensure(door.waiting()?.is_empty(), || "a used Welcome waits again".into())?;
    let lies_there = line.log(Source::Inbox(device), 0)?.len();
    ensure(lies_there >= 7, || format!("only {lies_there} on the inbox"))?;

    // After all of it alice's group with somebody honest is what it should be.
    let carol = door.site.registered("carol")?;
    door.site.group(GROUP, &door.alice, &[&carol])?;
    goes_on(GROUP, &[&door.alice, &carol])?;
    real.is_in_step_with(&door.alice.shows("real")?)
}

#[test]
fn k04_invitations_without_end_wait_bounded_and_others_get_through() -> Result {
    let door = Doorstep::new()?;
    let (account, device) = whoami(&door.alice)?;
    let (line, mallory) = (&door.line, &door.mallory);
    // One package serves them all: what counts is how often somebody knocks.
    let package = claimed(mallory, line, account)?;
    for n in 0..60 {
        let mut group = GroupCopy::made(mallory, door.data(&format!("offer {n}")), mallory.credential())?;
        let packed = group.packs(mallory, Change { adds: package.clone(), ..Change::default() })?;
        group.sends_and_merges(mallory, line, packed.commit.clone())?;
        group.invites(mallory, line, &packed, &[device])?;
    }
    let waiting = door.waiting()?;
    let bound = cipher_broker::limit::INVITATIONS_PER_ACCOUNT;
    ensure(!waiting.is_empty() && waiting.len() <= bound, || format!("{} wait", waiting.len()))?;
    let groups = door.alice.does(&["group", "list"])?;
    ensure(!groups.stdout.contains("\"active\""), || format!("alice was pulled in somewhere\n{groups}"))?;
    let carol = door.site.registered("carol")?;
    carol.creates(GROUP, &["alice"])?;
    door.alice.accepts(GROUP)?;
    goes_on(GROUP, &[&door.alice, &carol])?;
    Ok(())
}
