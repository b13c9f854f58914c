//! The connection to the broker: how to log in, how to come back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event, ServerAddr};
use rand_core::{OsRng, RngCore};

use crate::error::Error;
use crate::settings::{Login, Settings};

/// Interval of pings: a dead connection is noticed after two.
const PING: Duration = Duration::from_secs(10);
/// Time for one attempt to connect.
const ATTEMPT: Duration = Duration::from_secs(2);
/// Longest pause between attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(4);
/// Requests that may wait per endpoint: what is above is dropped, and asked again by whoever waits for it.
const WAITING: usize = 8192;

/// Connects, trying until the patience of the settings ends. Once connected it reconnects for ever.
///
/// `inbox` is the prefix of reply subjects of this connection.
pub(crate) async fn connect(settings: &Settings, inbox: &str) -> Result<Client, Error> {
    let began = Instant::now();
    let server = redacted(&settings.server);
    let addresses = addresses(&settings.server)
        .map_err(|_| Error::Usage(format!("{server} is not the address of a broker")))?;
    for attempt in 1.. {
        let options = options(settings, inbox).await?;
        let error = match options.connect(addresses.as_slice()).await {
            Ok(client) => return Ok(client),
            Err(error) => error,
        };
        match error.kind() {
            ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
                return Err(Error::Login { server, reason: error.kind().to_string() });
            }
            _ if began.elapsed() >= settings.patience => {
                return Err(Error::Broker { doing: "cannot connect", server, reason: error.to_string() });
            }
            // The last attempt comes when the patience ends, not a pause later.
            _ => {
                let left = settings.patience.saturating_sub(began.elapsed());
                tokio::time::sleep(pause(attempt).min(left)).await;
            }
        }
    }
    Err(Error::Broker { doing: "cannot connect", server, reason: "gave up".into() })
}

/// Every address of a list separated by commas.
fn addresses(server: &str) -> std::io::Result<Vec<ServerAddr>> {
    server.split(',').map(|address| address.trim().parse()).collect()
}

/// A broker address without what is in front of `@`, for messages.
pub(crate) fn redacted(server: &str) -> String {
    let one = |url: &str| {
        let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
        let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
        if scheme.is_empty() { host.to_owned() } else { format!("{scheme}://{host}") }
    };
    server.split(',').map(one).collect::<Vec<_>>().join(",")
}

/// A pause before attempt `attempt`, doubling from 100 ms and spread, so that many do not come back at once.
pub(crate) fn pause(attempt: usize) -> Duration {
    let doubled = 2_u32.saturating_pow(u32::try_from(attempt.min(8)).unwrap_or(8));
    let longest = Duration::from_millis(50).saturating_mul(doubled).min(LONGEST_PAUSE);
    let spread = f64::from(OsRng.next_u32()) / f64::from(u32::MAX);
    longest.mul_f64(spread.mul_add(0.5, 0.5))
}

async fn options(settings: &Settings, inbox: &str) -> Result<ConnectOptions, Error> {
    let dropped = Arc::new(AtomicU64::new(0));
    let options = ConnectOptions::new()
        .name("cipher-registry")
        .custom_inbox_prefix(inbox)
        .ping_interval(PING)
        .connection_timeout(ATTEMPT)
        .subscription_capacity(WAITING)
        .max_reconnects(None)
        .reconnect_delay_callback(pause)
        .event_callback(move |event| {
            let dropped = Arc::clone(&dropped);
            async move { note(&event, &dropped) }
        });
    let options = match &settings.tls_ca {
        Some(path) => options.add_root_certificates(path.clone()),
        None => options,
    };
    Ok(match &settings.login {
        Login::None => options,
        Login::Password { user, password } => options.user_and_password(user.clone(), password.clone()),
        Login::Nkey(path) => {
            let seed = std::fs::read_to_string(path).map_err(|source| Error::File {
                doing: "read the nkey seed",
                path: path.clone(),
                source,
            })?;
            options.nkey(seed.trim().to_owned())
        }
        Login::Credentials(path) => options.credentials_file(path).await.map_err(|source| Error::File {
            doing: "read the credentials",
            path: path.clone(),
            source,
        })?,
    })
}

fn note(event: &Event, dropped: &AtomicU64) {
    match event {
        Event::Connected => tracing::info!("connected to the broker"),
        Event::Disconnected => tracing::warn!("lost the broker; reconnecting"),
        Event::SlowConsumer(_) => {
            // One event per request: a flood of requests must not become a flood of lines.
            let dropped = dropped.fetch_add(1, Ordering::Relaxed).saturating_add(1);
            if dropped.is_power_of_two() {
                tracing::warn!(dropped, "too many requests at once; some were dropped");
            }
        }
        Event::LameDuckMode => tracing::info!("the broker is about to restart"),
        Event::ServerError(error) => tracing::warn!(%error, "the broker objects"),
        other => tracing::debug!(event = %other, "broker event"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_never_show_a_password_of_the_address() {
        for (server, shown) in [
            ("nats://127.0.0.1:4222", "nats://127.0.0.1:4222"),
            ("nats://u:p@host:1,tls://a:b@c@other", "nats://host:1,tls://other"),
            ("u:p@host", "host"),
            ("host", "host"),
        ] {
            assert_eq!(redacted(server), shown);
        }
    }

    #[tokio::test]
    async fn an_absent_broker_is_told_when_the_patience_ends() {
        let mut settings = Settings::new("nats://127.0.0.1:1", Login::None, "unused");
        settings.patience = Duration::from_millis(400);
        let began = Instant::now();
        let error = connect(&settings, "inbox").await.unwrap_err();
        assert!(matches!(error, Error::Broker { .. }), "{error}");
        assert_eq!((error.exit_code(), error.to_string().lines().count()), (3, 1), "{error}");
        let took = began.elapsed();
        assert!(took >= settings.patience && took < Duration::from_secs(2), "{took:?}");
    }

    #[test]
    fn pauses_grow_and_stay_bounded() {
        for attempt in 0..100 {
            let pause = pause(attempt);
            assert!(pause >= Duration::from_millis(25) && pause <= LONGEST_PAUSE, "{attempt}: {pause:?}");
        }
    }
}
