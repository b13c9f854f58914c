//! The connection to the broker: how to log in, how to come back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_nats::{Client, ConnectOptions, Event};
use cipher_connection::tls::{Greeting, greeting};
use cipher_connection::{Dial, First, Servers, Trouble};
use rand_core::{OsRng, RngCore};
use tokio::sync::mpsc;

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

/// Connects, trying until the patience of the settings ends, or until it is known that trying does not help. Once
/// connected it reconnects for ever.
///
/// `inbox` is the prefix of reply subjects of this connection.
pub(crate) async fn connect(settings: &Settings, inbox: &str) -> Result<Client, Error> {
    let began = Instant::now();
    let servers =
        Servers::parse(&settings.server).map_err(|error| Error::Usage(format!("{error}; {}", error.hint)))?;
    settings.tls.verify().map_err(Error::Usage)?;
    let server = servers.to_string();
    for attempt in 1_usize.. {
        let trouble = match once(settings, &servers, inbox).await? {
            Ok(client) => return Ok(client),
            Err(trouble) => trouble,
        };
        // The last attempt comes when the patience ends, not a pause later. One server may refuse what another takes.
        let tried_all = attempt >= servers.list().len();
        match trouble {
            Trouble::Login if tried_all => {
                return Err(Error::Login { server, reason: "authorization violation".into() });
            }
            trouble if (tried_all && !trouble.passing()) || began.elapsed() >= settings.patience => {
                return Err(Error::Unreachable { server, trouble });
            }
            _ => {
                let left = settings.patience.saturating_sub(began.elapsed());
                let pause = if tried_all { pause(attempt) } else { Duration::ZERO };
                tokio::time::sleep(pause.min(left)).await;
            }
        }
    }
    Err(Error::Unreachable { server, trouble: Trouble::Slow })
}

/// One attempt. The outer error is one of the settings.
async fn once(settings: &Settings, servers: &Servers, inbox: &str) -> Result<Result<Client, Trouble>, Error> {
    let first = match settings.tls.first {
        First::Yes => true,
        First::No => false,
        First::Auto if servers.secure() => match begins_with_tls(servers).await {
            Ok(first) => first,
            Err(trouble) => return Ok(Err(trouble)),
        },
        First::Auto => false,
    };
    // Why a reconnect fails is in the log of the client library.
    let (failures, _) = mpsc::unbounded_channel();
    let dial = Arc::new(Dial::new(servers.clone(), failures, |attempt, servers| {
        if attempt <= servers { Duration::ZERO } else { pause(attempt) }
    }));
    let options = options(settings, servers, &dial, inbox).await?;
    let options = if first { options.tls_first() } else { options };
    match options.connect(servers.addresses()).await {
        Ok(client) => Ok(Ok(client)),
        Err(error) => match dial.current() {
            Some(address) => Ok(Err(Trouble::at(&error.to_string(), &address).await)),
            None => Ok(Err(Trouble::of(&error.to_string()))),
        },
    }
}

/// Finds out whether servers that are to be reached by TLS wait for it.
async fn begins_with_tls(servers: &Servers) -> Result<bool, Trouble> {
    let mut trouble = Trouble::Nobody;
    for server in servers.list() {
        trouble = match greeting(&server.address).await {
            Greeting::Tls => return Ok(true),
            Greeting::Info { tls: true } => return Ok(false),
            Greeting::Info { tls: false } => Trouble::NoTls,
            Greeting::Other => Trouble::NotNats,
            Greeting::Silent => Trouble::Nobody,
        };
    }
    Err(trouble)
}

/// A broker address without its login, for messages.
pub(crate) fn redacted(server: &str) -> String {
    cipher_connection::address::shown(server)
}

/// A pause before attempt `attempt`, doubling from 100 ms and spread, so that many do not come back at once.
pub(crate) fn pause(attempt: usize) -> Duration {
    let doubled = 2_u32.saturating_pow(u32::try_from(attempt.min(8)).unwrap_or(8));
    let longest = Duration::from_millis(50).saturating_mul(doubled).min(LONGEST_PAUSE);
    let spread = f64::from(OsRng.next_u32()) / f64::from(u32::MAX);
    longest.mul_f64(spread.mul_add(0.5, 0.5))
}

async fn options(
    settings: &Settings,
    servers: &Servers,
    dial: &Arc<Dial>,
    inbox: &str,
) -> Result<ConnectOptions, Error> {
    let dropped = Arc::new(AtomicU64::new(0));
    let (choice, reached, login) = (Arc::clone(dial), Arc::clone(dial), Arc::clone(dial));
    let options = match &settings.login {
        Login::None if servers.carry_login() => {
            ConnectOptions::with_auth_callback(move |_| std::future::ready(Ok(login.login())))
        }
        _ => ConnectOptions::new(),
    };
    let options = options
        .name("cipher-registry")
        .custom_inbox_prefix(inbox)
        .ping_interval(PING)
        .connection_timeout(ATTEMPT)
        .subscription_capacity(WAITING)
        .max_reconnects(None)
        .reconnect_to_server_callback(move |pool, _| std::future::ready(choice.next(&pool)))
        .reconnect_delay_callback(pause)
        .event_callback(move |event| {
            if matches!(event, Event::Connected) {
                reached.reached();
            }
            let dropped = Arc::clone(&dropped);
            async move { note(&event, &dropped) }
        });
    let options = if servers.secure() { options.require_tls(true) } else { options };
    let options = match &settings.tls.authorities {
        Some(path) => options.add_root_certificates(path.clone()),
        None => options,
    };
    let options = match &settings.tls.identity {
        Some((certificate, key)) => options.add_client_certificate(certificate.clone(), key.clone()),
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
            ("nats://u:p@host:1,nats://a:b@c@other", "nats://host:1,nats://other"),
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
        assert!(matches!(error, Error::Unreachable { .. }), "{error}");
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
