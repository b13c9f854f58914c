//! Carries out effects, in the order in which the core made them.

use std::sync::Arc;

use cipher_broker::time::Timestamp;
use cipher_broker::{limit, subject};
use cipher_core::{Effect, Input, NoReply, Publish};
use tokio::sync::{mpsc, watch};

use crate::evidence::Alarms;
use crate::net::connect::Network;
use crate::net::publisher::Publisher;
use crate::net::reader::{Readers, Start};
use crate::net::{registry, tree};
use crate::runtime::listener::Listeners;
use crate::runtime::mailbox::Mailbox;
use crate::runtime::task::Tasks;
use crate::runtime::ticket::Tickets;
use crate::runtime::unsettled::Unsettled;
use crate::runtime::{timer, worker};

/// What effects reach.
pub(super) struct Hands {
    pub(super) alarms: Alarms,
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) tickets: Arc<Tickets>,
    pub(super) listeners: Arc<Listeners>,
    /// `None` in a session that wants no network.
    pub(super) online: Option<Online>,
    pub(super) wake: Option<Timestamp>,
}

/// The network half of [`Hands`].
pub(super) struct Online {
    network: Network,
    publish: mpsc::UnboundedSender<Publish>,
    readers: Readers,
    unsettled: Unsettled,
    tasks: Tasks,
}

impl Online {
    /// Starts the publisher; readers start as the core follows logs.
    pub(super) fn start(
        network: Network,
        mailbox: &Arc<Mailbox>,
        violations: mpsc::UnboundedReceiver<String>,
        unsettled: Unsettled,
        tasks: Tasks,
    ) -> Self {
        let (publish, wanted) = mpsc::unbounded_channel();
        let readers = Readers::new(network.clone(), Arc::clone(mailbox), tasks.clone());
        let publisher =
            Publisher::new(network.clone(), Arc::clone(mailbox), wanted, violations, unsettled.clone());
        tasks.spawn("publisher", async move {
            // The one error is that the client is gone already.
            if let Ok(publisher) = publisher.await {
                publisher.run().await;
            }
        });
        Self { network, publish, readers, unsettled, tasks }
    }
}

/// Runs until the core is gone; then everybody who still waits is told so.
pub(super) async fn run(
    mut effects: mpsc::UnboundedReceiver<Vec<Effect>>,
    mut hands: Hands,
    over: watch::Sender<bool>,
) {
    loop {
        tokio::select! {
            todo = effects.recv() => match todo {
                Some(todo) => todo.into_iter().for_each(|effect| hands.perform(effect)),
                None => break,
            },
            () = timer::wait(hands.wake) => {
                hands.wake = None;
                hands.mailbox.push(Input::Tick);
            }
        }
    }
    hands.mailbox.close();
    hands.tickets.end(worker::gone());
    hands.listeners.end();
    over.send_replace(true);
}

impl Hands {
    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Reply { ticket, result } => self.tickets.answer(ticket, result),
            Effect::Notify { cursor, event } => {
                self.alarms.note(&event);
                self.listeners.tell_at(cursor, &event);
            }
            Effect::WakeAt(at) => self.wake = Some(at),
            other => match &mut self.online {
                Some(online) => online.perform(other, &self.mailbox),
                None => offline(&other, &self.mailbox),
            },
        }
    }
}

impl Online {
    fn perform(&mut self, effect: Effect, mailbox: &Arc<Mailbox>) {
        match effect {
            Effect::Publish(publish) => {
                self.unsettled.add();
                // It ends after this does.
                drop(self.publish.send(publish));
            }
            Effect::Ask { question, operation, bytes } => {
                let (network, mailbox) = (self.network.clone(), Arc::clone(mailbox));
                self.unsettled.add();
                let unsettled = self.unsettled.clone();
                self.tasks.spawn("ask", async move {
                    registry::ask(network, mailbox, question, operation, bytes).await;
                    unsettled.done();
                });
            }
            Effect::Follow { source, reading, after, mark } => {
                self.readers.follow(source, Start { reading, after, mark });
            }
            Effect::Fetch { source, sequence } => self.readers.fetch(source, sequence),
            Effect::Junk { source } => self.readers.junk(source),
            Effect::Unfollow { source } => self.readers.unfollow(source),
            Effect::Whisper { group, bytes } => {
                let network = self.network.clone();
                // At once or not at all: what is whispered late is wrong.
                if network.link.borrow().is_up() && bytes.len() <= limit::WHISPER_BYTES {
                    self.tasks.spawn("whisper", async move {
                        if network
                            .client()
                            .await
                            .publish(subject::ephemeral(&group), bytes.into())
                            .await
                            .is_err()
                        {
                            tracing::debug!("a whisper was not sent");
                        }
                    });
                }
            }
            Effect::FetchTree { group, epoch, pieces, hashes } => {
                let (network, mailbox) = (self.network.clone(), Arc::clone(mailbox));
                self.tasks.spawn("tree", tree::fetch(network, mailbox, group, epoch, pieces, hashes));
            }
            other => {
                tracing::error!(effect = ?std::mem::discriminant(&other), "an effect is not carried out");
            }
        }
    }
}

/// Without network a question has an answer all the same; everything else waits in the store for the next session.
fn offline(effect: &Effect, mailbox: &Mailbox) {
    if let Effect::Ask { question, .. } = effect {
        mailbox.push(Input::Answered { question: *question, outcome: Err(NoReply) });
    }
}
