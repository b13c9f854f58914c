//! The NATS micro service (ADR-32): one endpoint per operation, bounded concurrency, signed replies.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_nats::Client;
use async_nats::service::endpoint::Endpoint;
use async_nats::service::{Request, Service, ServiceExt};
use cipher_broker::subject::{self, INBOX_PREFIX};
use cipher_broker::wire::registry::Operation;
use cipher_connection::Servers;
use futures::StreamExt;
use rand_core::{OsRng, RngCore};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::clock;
use crate::connect::{connect, redacted};
use crate::error::{Cause, Error};
use crate::key::RegistryKey;
use crate::operate::snapshot::Snapshots;
use crate::provision::{Mode, Provisioned, provision, warnings};
use crate::request::answer::Answerer;
use crate::request::route::{self, Answering};
use crate::room;
use crate::settings::{Settings, StoreKind};
use crate::store::{Store, log};

/// Name of the micro service, and its queue group.
const NAME: &str = "cipher-registry";
/// Prefix of the service's own reply subjects. Not [`INBOX_PREFIX`]: the service answers only there, so nobody
/// can make it send something to itself.
const OWN_INBOX: &str = "_INBOX";
/// Time for another registry to say that it is there.
const LOOK_AROUND: Duration = Duration::from_secs(2);
/// Time for requests that are being worked on when it shuts down.
const LAST_CALL: Duration = Duration::from_secs(10);

/// The registry answers.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Ready {
    /// The key under which its replies verify.
    pub registry_key: [u8; 32],
    /// Which replica this is, when it is one.
    pub replica: Option<String>,
    /// What was found and done about the streams.
    pub streams: Provisioned,
}

/// Runs the registry until `shutdown` resolves; then finishes what it works on and returns.
///
/// `ready` is called once, when requests are answered.
pub async fn serve(
    settings: Settings,
    ready: impl FnOnce(&Ready),
    shutdown: impl Future<Output = ()>,
) -> Result<(), Error> {
    tokio::pin!(shutdown);
    let store = Store::open_folder(&settings.data_dir)?;
    if log::size(&store.view())? > 0 {
        RegistryKey::must_be_in(&settings.data_dir)?;
    }
    let key = RegistryKey::load_or_create(&settings)?;
    let snapshots = Snapshots::offer(&settings.data_dir);
    if let Err(error) = &snapshots {
        tracing::warn!(%error, "there is no backup while this process runs: its socket cannot be made");
    }
    let starting = async {
        let client = connect(&settings, OWN_INBOX).await?;
        look_around(&client, &settings).await?;
        let mut streams =
            provision(&client, settings.replicas, settings.files, Mode::Create, settings.patience)
                .await
                .map_err(|error| error.at(&settings.server))?;
        if let Ok(servers) = Servers::parse(&settings.server) {
            streams.warnings = warnings(&client, &servers, settings.synced);
        }
        let route = route::open(store.clone(), key, &settings, &client).await?;
        let (service, tasks) = start(&client, &route, settings.concurrency)
            .await
            .map_err(|reason| broker("cannot start the service", &settings.server, reason))?;
        Ok::<_, Error>((client, streams, route, service, tasks))
    };
    // Also while the broker is waited for.
    let handing_out = hand_out(snapshots.as_ref().ok(), &store);
    tokio::pin!(handing_out);
    // Stopping while the broker is still waited for is an orderly stop.
    let (client, streams, route, service, mut tasks) = tokio::select! {
        started = starting => started?,
        () = &mut shutdown => return Ok(()),
        () = &mut handing_out => return Ok(()),
    };
    for drift in &streams.drifts {
        tracing::warn!(%drift, "a stream is not as it must be");
    }
    for warning in &streams.warnings {
        tracing::warn!("{warning}");
    }
    ready(&Ready { registry_key: route.answerer().registry_key(), replica: route.replica(), streams });

    let outcome = tokio::select! {
        () = &mut shutdown => Ok(()),
        failure = route.failure() => Err(failure),
        discord = route.publish(&client, &store) => Err(discord.into()),
        () = tell(&client, route.answerer()) => Ok(()),
        () = room::watch(&client) => Ok(()),
        () = &mut handing_out => Ok(()),
    };
    if service.stop().await.is_err() {
        tracing::debug!("the service was stopped already");
    }
    let finished =
        tokio::time::timeout(LAST_CALL, async { while tasks.join_next().await.is_some() {} }).await;
    if finished.is_err() {
        tracing::warn!("some requests were not answered before the end");
    }
    route.resign().await;
    // Nobody to tell if this fails: the broker is gone, and so are those who wait.
    let _ = client.flush().await;
    let _ = client.drain().await;
    outcome
}

/// Gives snapshots to backups, for ever.
async fn hand_out(snapshots: Option<&Snapshots>, store: &Store) {
    if let Some(snapshots) = snapshots {
        snapshots.serve(store).await;
    }
    std::future::pending::<()>().await;
}

/// Tells devices to look at their account and stock, for ever.
async fn tell(client: &Client, answerer: &Answerer) {
    if let Some(mut hints) = answerer.hints() {
        while let Some(device) = hints.recv().await {
            // A hint that is lost costs nothing but time.
            if let Err(error) = client.publish(subject::hint(&device), "".into()).await {
                tracing::debug!(%error, "a hint could not be sent");
            }
        }
    }
    std::future::pending::<()>().await;
}

/// Refuses to start beside registries that this one cannot share the requests with.
async fn look_around(client: &Client, settings: &Settings) -> Result<(), Error> {
    let occupied = match settings.store {
        StoreKind::Redb => another_answers(client).await,
        StoreKind::Jetstream => others_are_no_replicas(client).await,
    };
    match occupied {
        Ok(false) => Ok(()),
        Ok(true) => Err(Error::Occupied { server: redacted(&settings.server) }),
        Err(reason) => Err(broker("cannot look for other registries", &settings.server, reason)),
    }
}

/// Whether a registry with a store of its own is there. Replicas are welcome: they have one store.
async fn others_are_no_replicas(client: &Client) -> Result<bool, Cause> {
    let inbox = client.new_inbox();
    let mut replies = client.subscribe(inbox.clone()).await?;
    client.publish_with_reply(format!("$SRV.INFO.{NAME}"), inbox, "".into()).await?;
    // The first may take its time, the others come with it.
    let mut patience = LOOK_AROUND;
    while let Ok(Some(reply)) = tokio::time::timeout(patience, replies.next()).await {
        if reply.status.is_some() {
            break;
        }
        patience = Duration::from_millis(300);
        let info: serde_json::Value = serde_json::from_slice(&reply.payload).unwrap_or_default();
        if info.pointer("/metadata/store").and_then(serde_json::Value::as_str)
            != Some(StoreKind::Jetstream.name())
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether some registry answers already. Two with stores of their own would share the requests between them: a
/// handle could be given twice and half of all accounts would seem not to exist.
async fn another_answers(client: &Client) -> Result<bool, Cause> {
    // An inbox of the shared prefix, because registries answer nowhere else.
    let inbox = format!("{INBOX_PREFIX}.{}", nuid());
    let mut replies = client.subscribe(inbox.clone()).await?;
    client.publish_with_reply(subject::registry(Operation::Ping.name()), inbox, "".into()).await?;
    // Silence: something is subscribed that does not work. Better a registry that does.
    let reply = tokio::time::timeout(LOOK_AROUND, replies.next()).await;
    Ok(matches!(reply, Ok(Some(reply)) if reply.status.is_none()))
}

/// A token that nobody else has.
fn nuid() -> String {
    let mut bytes = [0; 16];
    OsRng.fill_bytes(&mut bytes);
    data_encoding::HEXLOWER.encode(&bytes)
}

/// Subscribes all endpoints; when this returns, the broker routes requests to them.
async fn start(
    client: &Client,
    route: &Answering,
    concurrency: usize,
) -> Result<(Service, JoinSet<()>), Cause> {
    let metadata = HashMap::from([
        ("encoding".to_owned(), "cipher_broker::codec".to_owned()),
        ("registry-key".to_owned(), data_encoding::HEXLOWER.encode(&route.answerer().registry_key())),
        ("store".to_owned(), route.store().name().to_owned()),
    ]);
    let service = client
        .service_builder()
        .description("accounts, devices, handles and key packages of cipher-chat")
        .metadata(metadata)
        .queue_group(NAME)
        .start(NAME, env!("CARGO_PKG_VERSION"))
        .await?;
    let room = Arc::new(Semaphore::new(concurrency));
    let mut tasks = JoinSet::new();
    for name in Operation::NAMES {
        let endpoint = service.endpoint_builder().name(name).add(subject::registry(name)).await?;
        tasks.spawn(attend(endpoint, name, route.clone(), Arc::clone(&room), concurrency));
    }
    barrier(client).await?;
    Ok((service, tasks))
}

/// Waits until the broker has seen everything sent before: flushing only empties our side of the socket.
async fn barrier(client: &Client) -> Result<(), Cause> {
    let inbox = client.new_inbox();
    let mut echo = client.subscribe(inbox.clone()).await?;
    client.publish(inbox, "".into()).await?;
    match tokio::time::timeout(LAST_CALL, echo.next()).await {
        Ok(Some(_)) => Ok(()),
        Ok(None) | Err(_) => Err("the broker does not pass messages on; check the permissions".into()),
    }
}

/// Answers the requests of one endpoint until it is stopped. `room` is shared by all endpoints.
async fn attend(
    endpoint: Endpoint,
    name: &'static str,
    route: Answering,
    room: Arc<Semaphore>,
    concurrency: usize,
) {
    endpoint
        .for_each_concurrent(concurrency, |request| {
            let (route, room) = (&route, &room);
            async move {
                // The semaphore is never closed; without a permit there would be no bound, so do not answer.
                if let Ok(_permit) = room.acquire().await {
                    answer(route, name, &request).await;
                }
            }
        })
        .await;
}

async fn answer(route: &Answering, name: &'static str, request: &Request) {
    let message = &request.message;
    // N10: whoever asks chooses the reply subject, and we may publish where they may not.
    if !message.reply.as_deref().is_some_and(may_reply) {
        tracing::debug!(operation = name, "a request without a reply subject of ours was ignored");
        return;
    }
    let Some(reply) = route.answer(name, message.payload.clone(), clock::now()).await else {
        tracing::debug!(
            operation = name,
            "a request was left without an answer: this replica is not up to date"
        );
        return;
    };
    if let Err(error) = request.respond(Ok(reply.into())).await {
        tracing::warn!(operation = name, %error, "a reply could not be sent");
    }
}

/// Whether a reply subject is an inbox: nothing else is ever published to.
fn may_reply(subject: &str) -> bool {
    subject
        .strip_prefix(INBOX_PREFIX)
        .and_then(|rest| rest.strip_prefix('.'))
        .is_some_and(|rest| !rest.is_empty() && !rest.contains(['*', '>']))
}

fn broker(doing: &'static str, server: &str, reason: impl Into<Cause>) -> Error {
    Error::Broker { doing, server: redacted(server), reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// N10: the registry cannot be used to publish elsewhere.
    #[test]
    fn n10_only_inboxes_are_answered() {
        assert!(may_reply("_I.abc.1"));
        for subject in [
            "",
            "_I",
            "_I.",
            "_I.>",
            "_I.*.x",
            "_Ix.y",
            "_INBOX.x",
            "chat.0.g.x.h",
            "$JS.API.STREAM.PURGE.CHAT-0",
        ] {
            assert!(!may_reply(subject), "{subject}");
        }
    }

    #[test]
    fn both_inboxes_are_within_the_permissions() {
        use cipher_broker::permission::{covers, registry};
        for inbox in [OWN_INBOX, INBOX_PREFIX] {
            let subject = format!("{inbox}.x");
            assert!(registry().subscribe.iter().any(|pattern| covers(pattern, &subject)));
            assert!(registry().publish.iter().any(|pattern| covers(pattern, &subject)));
        }
    }
}
