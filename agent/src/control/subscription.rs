//! What a visitor that listens on is told.

use std::collections::BTreeSet;

use cipher_api::command::group;
use cipher_api::rpc::{Cursor, Frame, JsonRpc, News, Notification, Scope, Subscribe, Subscribed, Told};
use cipher_api::{Ask as _, Error, Event};
use cipher_broker::id::GroupId;
use tokio::sync::mpsc;

use crate::control::server::{Served, send};
use crate::runtime::listener::Events;

/// A subscription that is about to tell.
#[derive(Debug)]
pub(super) struct Start {
    subscription: u64,
    events: Events,
    heard: Heard,
}

/// Opens a subscription.
pub(super) async fn begin(
    session: &impl Served,
    subscription: u64,
    subscribe: Subscribe,
) -> Result<(Subscribed, Start), Error> {
    let events = session.events();
    let heard = Heard::of(session, subscribe.scope).await?;
    let groups = match &heard {
        Heard::All => None,
        Heard::Groups(groups) => Some(groups.iter().copied().collect()),
    };
    let subscribed = Subscribed { subscription, cursor: Cursor::default(), groups };
    Ok((subscribed, Start { subscription, events, heard }))
}

impl Start {
    /// Tells until the visitor or the session is gone.
    pub(super) async fn tell(mut self, lines: mpsc::Sender<Vec<u8>>) {
        while let Some(event) = self.events.next().await {
            if !self.heard.has(&event) {
                continue;
            }
            let told = Told { subscription: self.subscription, cursor: Cursor::default(), event };
            let news = Notification { jsonrpc: JsonRpc::Two, news: News::Event(told) };
            if !send(&lines, Frame::Notification(news)).await {
                return;
            }
        }
    }
}

/// A [`Scope`] with the conversations that it names.
#[derive(Debug)]
enum Heard {
    All,
    Groups(BTreeSet<GroupId>),
}

impl Heard {
    async fn of(session: &impl Served, scope: Scope) -> Result<Self, Error> {
        let Scope::Conversations { targets } = scope else { return Ok(Self::All) };
        let mut groups = BTreeSet::new();
        for target in targets {
            let reply = session.request(group::Show { target }.into()).await?;
            groups.insert(group::Show::reply(reply)?.id);
        }
        Ok(Self::Groups(groups))
    }

    fn has(&self, event: &Event) -> bool {
        let Self::Groups(groups) = self else { return true };
        match event {
            Event::Message(message) | Event::Changed { message } => groups.contains(&message.group),
            Event::State { group, .. } => groups.contains(group),
            Event::Group(group) => groups.contains(&group.id),
            Event::JoinRequest(request) => groups.contains(&request.group),
            // Of accounts, not of conversations.
            Event::Presence { .. } => false,
            Event::Link { .. }
            | Event::Progress { .. }
            | Event::Evidence(_)
            | Event::Warning { .. }
            | Event::Stopped { .. }
            | Event::Connection { .. }
            | Event::Missed { .. }
            | Event::Unknown(_) => true,
        }
    }
}
