//! Two honest members and a hostile one in a group; and what must hold after whatever was done (post-condition U).

use std::sync::atomic::{AtomicU32, Ordering};

use cipher_broker::id::{AccountId, DeviceId};
use serde_json::Value;
use testbed::agreement::all_equal;
use testbed::person::text;
use testbed::{Failure, Person, Result, Screen, Site, ensure};

use crate::client::{GroupCopy, Identity, Line};

/// The group of the scene.
pub(crate) const GROUP: &str = "team";

/// A site with alice, who owns the group, bob, and mallory, a member on a client of its own.
pub(crate) struct Scene {
    /// Mallory's connection.
    pub(crate) line: Line,
    /// Mallory.
    pub(crate) mallory: Identity,
    /// Mallory's copy of the group.
    pub(crate) copy: GroupCopy,
    /// The owner.
    pub(crate) alice: Person,
    /// A member, whose process stays.
    pub(crate) bob: Person,
    /// Bob's screen: a process that reads everything as it comes.
    pub(crate) screen: Screen,
    /// The deployment. Last: who needs it ends before it does.
    pub(crate) site: Site,
}

impl Scene {
    /// Everybody is in the group, and said something.
    pub(crate) fn new() -> Result<Self> {
        Self::of(Site::single()?)
    }

    /// The same on a site that is there.
    pub(crate) fn of(site: Site) -> Result<Self> {
        let line = Line::to(&site.broker)?;
        let mallory = Identity::fresh()?;
        mallory.registers(&line, "mallory")?;
        let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
        alice.creates(GROUP, &["bob", "mallory"])?;
        bob.accepts(GROUP)?;
        let screen = bob.follows(GROUP)?;
        let copy = GroupCopy::joined(&mallory, &line)?;
        let mut scene = Self { line, mallory, copy, alice, bob, screen, site };
        let said = scene.copy.says_text(&scene.mallory, &scene.line, "hello from a client of its own")?;
        ensure(said > 0, || "nothing was said".into())?;
        scene.screen.sees("hello from a client of its own")?;
        Ok(scene)
    }

    /// Mallory reads to the end of the log and is where the others are.
    pub(crate) fn catches_up(&mut self) -> Result<Vec<String>> {
        self.copy.reads(&self.mallory, &self.line)
    }

    /// Mallory puts something on the group's handshake subject.
    pub(crate) fn shakes(&self, bytes: Vec<u8>) -> Result<u64> {
        self.line.store(&self.copy.handshakes(), bytes)
    }

    /// Mallory puts something on the group's subject of messages.
    pub(crate) fn posts(&self, bytes: Vec<u8>) -> Result<u64> {
        self.line.store(&self.copy.messages(), bytes)
    }

    /// The group as alice shows it.
    pub(crate) fn shown(&self) -> Result<Value> {
        self.alice.shows(GROUP)
    }

    /// A commit of mallory's that every rule must refuse: nothing of the group changes, and everybody goes on.
    pub(crate) fn refuses(&mut self, what: &str, commit: Vec<u8>) -> Result {
        self.alice.syncs()?;
        let before = self.shown()?;
        self.shakes(commit)?;
        self.copy.forgets(&self.mallory)?;
        self.alice.syncs()?;
        let after = self.shown()?;
        for field in ["epoch", "authenticator", "name", "members"] {
            ensure(before.get(field) == after.get(field), || {
                format!("{what} changed {field}:\n{before}\n{after}")
            })?;
        }
        Ok(())
    }

    /// U: after whatever was done, bob's process lives, alice and bob are in one world, and each reads the other's next
    /// words once.
    pub(crate) fn holds(&mut self) -> Result {
        let (alice, bob) = (self.alice.clone(), self.bob.clone());
        let probe = probe_of("alice");
        hears(&alice, GROUP, &probe)?;
        self.screen.sees(&probe)?;
        goes_on(GROUP, &[&alice, &bob])?;
        ensure(!self.site.registry.log().contains("panicked"), || self.site.registry.log())?;
        let ended = self.screen.process().ended();
        ensure(ended.is_none(), || format!("bob's process ended: {ended:?}"))
    }
}

/// Words that were never said before.
fn probe_of(name: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("probe {} of {name}", NUMBER.fetch_add(1, Ordering::Relaxed))
}

fn hears(person: &Person, group: &str, probe: &str) -> Result {
    let sent = person.sends(group, probe)?;
    ensure(text(&sent, "state") == Some("sent"), || format!("{}: {sent}", person.name()))
}

/// U for any group: everybody says something, everybody reads it once, all are in one world.
pub(crate) fn goes_on(group: &str, people: &[&Person]) -> Result<Value> {
    let mut probes = Vec::new();
    for person in people {
        let probe = probe_of(person.name());
        hears(person, group, &probe)?;
        probes.push(probe);
    }
    let world = all_equal(group, people)?;
    for person in people {
        let texts = person.texts(group)?;
        for probe in &probes {
            let times = texts.iter().filter(|words| *words == probe).count();
            ensure(times == 1, || format!("{} reads {probe:?} {times} times: {texts:?}", person.name()))?;
        }
    }
    Ok(world)
}

/// The one device of somebody, and the account.
pub(crate) fn whoami(person: &Person) -> Result<(AccountId, DeviceId)> {
    let account = person.does(&["whoami"])?.of_type("account")?;
    let field = |name| text(&account, name).ok_or_else(|| Failure::new(account.to_string()));
    Ok((field("account_id")?.parse()?, field("device_id")?.parse()?))
}
