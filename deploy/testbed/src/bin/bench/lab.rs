//! Broker, registry and accounts for measurements in this process.

use std::path::Path;
use std::time::Duration;

use cipher_api::Target;
use cipher_api::command::{account, group, message, status};
use cipher_broker::handle::Handle;
use cipher_broker::id::GroupId;
use cipher_broker::limit;
use cipher_chat::profile::Profile;
use cipher_chat::session::{Need, NetworkSettings, Session};
use cipher_chat::unlock::Unlocking;
use futures::{StreamExt, TryStreamExt};
use tempfile::TempDir;
use testbed::{Failure, Result, Site};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A deployment and the homes of its people.
pub(crate) struct Lab {
    pub(crate) site: Site,
    homes: TempDir,
    accounts: usize,
    groups: usize,
}

/// An account with a profile of its own.
#[derive(Debug, Clone)]
pub(crate) struct Somebody {
    pub(crate) handle: Handle,
    pub(crate) profile: Profile,
}

/// Two people in a group of a given size.
pub(crate) struct Room {
    pub(crate) alice: Somebody,
    pub(crate) bob: Somebody,
    pub(crate) group: GroupId,
}

pub(crate) fn core(error: cipher_api::Error) -> Failure {
    Failure::new(format!("{}: {}", error.kind.name(), error.message))
}

impl Lab {
    pub(crate) fn new() -> Result<Self> {
        let homes = tempfile::Builder::new().prefix("testbed-bench-").tempdir()?;
        Ok(Self { site: Site::single()?, homes, accounts: 0, groups: 0 })
    }

    pub(crate) fn home(&self) -> &Path {
        self.homes.path()
    }

    fn network(&self) -> NetworkSettings {
        NetworkSettings::new(self.site.broker.url())
    }

    /// A session, connected.
    pub(crate) async fn session(&self, who: &Somebody, need: Need) -> Result<Session> {
        self.session_of(&who.profile, need).await
    }

    /// The same for a profile that may have no account yet.
    pub(crate) async fn session_of(&self, profile: &Profile, need: Need) -> Result<Session> {
        let session =
            Session::open(profile, &Unlocking::default(), self.network(), need).await.map_err(core)?;
        if need != Need::Local && !session.connected(PATIENCE).await {
            return testbed::fail("the broker cannot be reached");
        }
        Ok(session)
    }

    /// New accounts.
    pub(crate) async fn people(&mut self, count: usize) -> Result<Vec<Somebody>> {
        let first = self.accounts;
        self.accounts += count;
        let (lab, home) = (&*self, self.homes.path());
        futures::stream::iter(first..first + count)
            .map(|n| async move {
                let name = format!("p{n:04}");
                let who = Somebody {
                    handle: name.parse().map_err(|_| Failure::new("not a handle"))?,
                    profile: Profile::new(home, &name).map_err(core)?,
                };
                let session = lab.session(&who, Need::Outbox).await?;
                let command = account::Register {
                    handle: who.handle.clone(),
                    name: String::new(),
                    bot: None,
                    invite_code: None,
                };
                session.ask(command).await.map_err(core)?;
                session.close().await;
                Ok::<_, Failure>(who)
            })
            .buffered(4)
            .try_collect()
            .await
    }

    /// Two people in a group of a given size; the others are leaves that never say anything.
    pub(crate) async fn room(&mut self, size: usize) -> Result<Room> {
        let people = self.people(size).await?;
        let [alice, bob, others @ ..] = people.as_slice() else {
            return testbed::fail("a room for two or more");
        };
        self.groups += 1;
        let name = format!("room {}", self.groups);
        let session = self.session(alice, Need::Everything).await?;
        let with = std::iter::once(bob).chain(others).map(|who| who.handle.clone()).collect();
        let command = group::Create { name: name.clone(), with, post_quantum: false };
        let made = session.ask(command).await.map_err(core)?;
        session.ask(status::Sync {}).await.map_err(core)?;
        session.close().await;
        let session = self.session(bob, Need::Everything).await?;
        session.ask(status::Sync {}).await.map_err(core)?;
        session.ask(group::Accept { target: Target::Group(made.id) }).await.map_err(core)?;
        session.ask(status::Sync {}).await.map_err(core)?;
        session.close().await;
        Ok(Room { alice: alice.clone(), bob: bob.clone(), group: made.id })
    }
}

/// A text of a size.
pub(crate) fn words(size: usize, n: usize) -> String {
    let mut text = format!("{n} ");
    text.push_str(&"x".repeat(size.saturating_sub(text.len())));
    text
}

/// Groups with somebody, and messages of 100 bytes that go round all of them: the past of a profile.
pub(crate) async fn past(
    session: &Session,
    with: &Somebody,
    groups: usize,
    messages: usize,
) -> Result<Vec<GroupId>> {
    let mut made = Vec::with_capacity(groups);
    for n in 0..groups {
        let with = vec![with.handle.clone()];
        let create = group::Create { name: format!("past {n}"), with, post_quantum: false };
        made.push(session.ask(create).await.map_err(core)?.id);
    }
    let mut replies = futures::stream::iter(made.iter().cycle().take(messages).enumerate())
        .map(|(n, group)| session.ask(send(*group, words(100, n))))
        .buffer_unordered(limit::IN_FLIGHT_PER_GROUP);
    while let Some(reply) = replies.next().await {
        reply.map_err(core)?;
    }
    drop(replies);
    Ok(made)
}

/// A message.
pub(crate) fn send(group: GroupId, text: String) -> message::Send {
    message::Send::new(Target::Group(group), text)
}
