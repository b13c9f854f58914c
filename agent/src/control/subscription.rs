//! What a visitor that listens on is told: first what the profile has kept behind its cursor, then what happens.

use std::collections::BTreeSet;

use cipher_api::command::event;
use cipher_api::rpc::{Frame, JsonRpc, News, Notification, Scope, Subscribe, Subscribed, Told};
use cipher_api::{Ask, Cursor, Error, Event, Request as _};
use cipher_broker::id::GroupId;
use tokio::sync::mpsc;

use crate::control::access::Access;
use crate::control::server::{Served, send};
use crate::runtime::listener::Events;

/// Kept events that are asked for at once.
const PAGE: usize = 64;

/// A subscription that is about to tell.
#[derive(Debug)]
pub(super) struct Start<S> {
    access: Access<S>,
    subscription: u64,
    events: Events,
    heard: Heard,
    /// Behind what was told.
    cursor: Cursor,
}

/// Opens a subscription.
pub(super) async fn begin<S: Served>(
    access: &Access<S>,
    subscription: u64,
    Subscribe { scope, after, subscriber }: Subscribe,
) -> Result<(Subscribed, Start<S>), Error> {
    let session = &access.session;
    // It is `event.list` as it happens.
    let grant = access.may(event::List::METHOD)?;
    if let (Some(grant), Some(subscriber)) = (&grant, &subscriber) {
        grant.owns(subscriber)?;
    }
    // What happens from now on is heard; what happened before is in the store.
    let events = session.events();
    let heard = Heard::of(access, scope).await?;
    let groups = match &heard {
        Heard::All => grant.and_then(|grant| grant.view().groups),
        Heard::Groups(groups) => Some(groups.iter().copied().collect()),
    };
    let place = ask(session, event::List { after, subscriber: subscriber.clone(), limit: 0 }).await?;
    let cursor = place.next;
    if let Some(subscriber) = subscriber.filter(|_| !place.known) {
        ask(session, event::Acknowledge { subscriber, cursor }).await?;
    }
    let subscribed = Subscribed { subscription, cursor, groups };
    Ok((subscribed, Start { access: access.clone(), subscription, events, heard, cursor }))
}

impl<S: Served> Start<S> {
    /// Tells until the visitor or the session is gone.
    pub(super) async fn tell(mut self, lines: mpsc::Sender<Vec<u8>>) {
        loop {
            if !self.tell_kept(&lines).await {
                return;
            }
            let news = News::UpToDate { subscription: self.subscription, cursor: self.cursor };
            if self.access.grant().is_err() || !send(&lines, notification(news)).await {
                return;
            }
            loop {
                let Some(heard) = self.events.hear().await else { return };
                match heard.cursor {
                    // Told from the store already.
                    Some(cursor) if cursor <= self.cursor => continue,
                    Some(cursor) => self.cursor = cursor,
                    None => {}
                }
                // The visitor was slow; the store has what it did not hear.
                if let Event::Missed { .. } = heard.event {
                    break;
                }
                if !self.tell_one(heard.event, &lines).await {
                    return;
                }
            }
        }
    }

    /// Tells what the store has kept behind the cursor; `false` when the visitor or the session is gone.
    async fn tell_kept(&mut self, lines: &mpsc::Sender<Vec<u8>>) -> bool {
        loop {
            let list = event::List { after: Some(self.cursor), subscriber: None, limit: PAGE };
            let Ok(page) = ask(&self.access.session, list).await else { return false };
            if page.missed > 0 && !self.tell_one(Event::Missed { count: page.missed }, lines).await {
                return false;
            }
            for kept in page.events {
                self.cursor = kept.cursor;
                if !self.tell_one(kept.event, lines).await {
                    return false;
                }
            }
            self.cursor = page.next;
            if !page.more {
                return true;
            }
        }
    }

    /// R-TOKEN-03, R-TOKEN-04: what the visitor may hear at this moment; `false` once it may hear nothing.
    async fn tell_one(&self, event: Event, lines: &mpsc::Sender<Vec<u8>>) -> bool {
        if !self.heard.has(&event) {
            return true;
        }
        match self.access.hears(&event) {
            Ok(true) => {}
            Ok(false) => return true,
            Err(_) => return false,
        }
        let told = Told { subscription: self.subscription, cursor: self.cursor, event };
        send(lines, notification(News::Event(told))).await
    }
}

fn notification(news: News) -> Frame {
    Frame::Notification(Notification { jsonrpc: JsonRpc::Two, news })
}

async fn ask<R: Ask>(session: &impl Served, request: R) -> Result<R::Reply, Error> {
    R::reply(session.request(request.into()).await?)
}

/// A [`Scope`] with the conversations that it names.
#[derive(Debug)]
enum Heard {
    All,
    Groups(BTreeSet<GroupId>),
}

impl Heard {
    async fn of(access: &Access<impl Served>, scope: Scope) -> Result<Self, Error> {
        let Scope::Conversations { targets } = scope else { return Ok(Self::All) };
        let mut groups = BTreeSet::new();
        for target in targets {
            groups.insert(access.group(target).await?);
        }
        Ok(Self::Groups(groups))
    }

    fn has(&self, event: &Event) -> bool {
        let Self::Groups(groups) = self else { return true };
        // Presence is of accounts, which the scope does not name.
        event.group().map_or(!matches!(event, Event::Presence { .. }), |group| groups.contains(&group))
    }
}
