//! The connection: made once, kept for ever, and its state known to everybody who waits for it.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, ConnectOptions, Event, ServerAddr, ServerError};
use cipher_broker::subject::INBOX_PREFIX;
use cipher_core::{CoreError, ErrorKind, Interest};
use tokio::sync::{mpsc, watch};

use crate::net::chance;
use crate::net::replies::Replies;
use crate::net::settings::{Login, NetworkSettings};
use crate::runtime::mailbox::Mailbox;
use crate::runtime::task::Tasks;

/// How often the server is asked whether it is still there.
const PING_EVERY: Duration = Duration::from_secs(10);
/// How long one attempt to connect may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest pause between attempts, before jitter.
const LONGEST_PAUSE: Duration = Duration::from_secs(4);
/// Commands that may wait for the socket.
const CAPACITY: usize = 2048;

/// Messages of one subscription that may wait here: more than all pages of logs that are asked for at once. Whoever
/// floods a subject that we listen to does not get more of our memory than this.
const HEARD: usize = 16 * 1024;

/// Whether the broker can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Link {
    /// The first attempt is under way.
    Pending,
    /// Connected, for the n-th time.
    Up(u64),
    /// Not connected; attempts go on. The text says why, for people.
    Down(String),
}

impl Link {
    pub(crate) const fn is_up(&self) -> bool {
        matches!(self, Self::Up(_))
    }
}

/// What the parts of the network half share. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    pub(crate) client: Client,
    pub(crate) link: watch::Receiver<Link>,
    /// Where replies to batched gets arrive.
    pub(crate) replies: Replies,
    /// Own prefix of reply subjects, unguessable.
    pub(crate) prefix: Arc<str>,
    pub(crate) registry_timeout: Duration,
}

impl Network {
    /// Starts connecting and returns at once. `violations` gets subjects we may not publish to.
    pub(crate) async fn start(
        settings: &NetworkSettings,
        interest: Interest,
        mailbox: Arc<Mailbox>,
        violations: mpsc::UnboundedSender<String>,
        tasks: &Tasks,
    ) -> Result<Self, CoreError> {
        let servers = servers(&settings.server)?;
        let prefix: Arc<str> = format!("{INBOX_PREFIX}.{}", chance::token()).into();
        let (link, state) = watch::channel(Link::Pending);
        let count = servers.len();
        let listen = Listener { interest, mailbox, violations, link };
        let options = login(ConnectOptions::new(), settings, &servers)?
            .name("cipher-chat")
            .retry_on_initial_connect()
            .max_reconnects(None)
            .reconnect_delay_callback(move |attempt| pause_before(attempt, count))
            .ping_interval(PING_EVERY)
            .connection_timeout(CONNECT_TIMEOUT)
            .client_capacity(CAPACITY)
            .subscription_capacity(HEARD)
            .custom_inbox_prefix(prefix.as_ref())
            .event_callback(move |event| {
                listen.on(&event);
                std::future::ready(())
            });
        let client = tls(options, settings)
            .connect(servers)
            .await
            .map_err(|error| unreachable(&settings.server, &error.to_string()))?;
        let replies = Replies::start(&client, &prefix, tasks)
            .await
            .map_err(|error| unreachable(&settings.server, &error.to_string()))?;
        Ok(Self { client, link: state, replies, prefix, registry_timeout: settings.registry_timeout })
    }

    /// Waits until the broker can be reached, or is known to be unreachable.
    pub(crate) async fn settled(&self) -> bool {
        let mut link = self.link.clone();
        link.wait_for(|link| *link != Link::Pending).await.is_ok_and(|link| link.is_up())
    }
}

/// The error for a broker that cannot be reached.
pub(crate) fn unreachable(server: &str, why: &str) -> CoreError {
    ErrorKind::Unreachable
        .because(format!("the broker at {} cannot be reached: {why}", without_login(server)))
        .hint("start one with `cipher-chat up`, or name another with --server")
}

struct Listener {
    interest: Interest,
    mailbox: Arc<Mailbox>,
    violations: mpsc::UnboundedSender<String>,
    link: watch::Sender<Link>,
}

impl Listener {
    fn on(&self, event: &Event) {
        match event {
            Event::Connected => {
                // The core hears it first: whoever waits for the link may send a command right after.
                self.mailbox.connected(self.interest);
                self.link.send_modify(|link| match link {
                    Link::Up(times) => *times += 1,
                    Link::Pending | Link::Down(_) => *link = Link::Up(chance::generation()),
                });
            }
            Event::Disconnected | Event::Closed => self.down("the connection was lost"),
            Event::ClientError(error) => {
                if !self.link.borrow().is_up() {
                    self.down(in_words(error.to_string().trim_start_matches("nats: ")));
                }
            }
            Event::ServerError(error) => self.server_error(error),
            // A missed bell is made good by the next look at the log.
            Event::SlowConsumer(_) => tracing::debug!("doorbells were dropped"),
            Event::LameDuckMode | Event::Draining => {}
        }
    }

    fn down(&self, why: &str) {
        self.mailbox.disconnected();
        self.link.send_replace(Link::Down(why.into()));
    }

    fn server_error(&self, error: &ServerError) {
        let text = error.to_string();
        if let Some(subject) = violated_publish(&text) {
            tracing::warn!("the broker does not allow a publish of ours");
            // The publisher may be gone already while we shut down.
            drop(self.violations.send(subject.to_owned()));
        } else {
            tracing::warn!(error = kind_of(&text), "the broker complains");
        }
    }
}

/// The client library tells only the kind of an error.
fn in_words(kind: &str) -> &str {
    match kind {
        "IO error" => "nothing answers there",
        "timed out" => "it does not answer in time",
        "authorization violation" => "it refuses the login",
        other => other,
    }
}

/// The subject of `Permissions Violation for Publish to "SUBJECT"`.
fn violated_publish(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("Permissions Violation for Publish to \"")?;
    rest.split_once('"').map(|(subject, _)| subject)
}

/// The part of a server's complaint that names no subject.
fn kind_of(text: &str) -> &str {
    text.split('"').next().unwrap_or_default()
}

/// None while every server gets its first try, then doubling, and jittered so that a site does not return as one.
fn pause_before(attempt: usize, servers: usize) -> Duration {
    let Some(round) = attempt.checked_sub(servers).filter(|round| *round > 0) else { return Duration::ZERO };
    let doubled = Duration::from_millis(20).saturating_mul(1 << round.min(10));
    chance::jittered(doubled.min(LONGEST_PAUSE))
}

/// Whether a list of servers can be read at all.
pub(crate) fn check(list: &str) -> Result<(), CoreError> {
    servers(list).map(drop)
}

fn servers(list: &str) -> Result<Vec<ServerAddr>, CoreError> {
    let parsed: Result<Vec<ServerAddr>, _> =
        list.split(',').map(str::trim).filter(|url| !url.is_empty()).map(str::parse).collect();
    let wrong = |why: &str| {
        ErrorKind::Misuse
            .because(format!("{} is not the address of a NATS server{why}", without_login(list)))
            .hint("write it as nats://HOST:PORT")
    };
    match parsed {
        Ok(servers) if servers.is_empty() => Err(wrong("")),
        Ok(servers) => Ok(servers),
        Err(error) => Err(wrong(&format!(": {error}"))),
    }
}

fn login(
    options: ConnectOptions,
    settings: &NetworkSettings,
    servers: &[ServerAddr],
) -> Result<ConnectOptions, CoreError> {
    let read = |path: &std::path::Path| {
        std::fs::read_to_string(path)
            .map_err(|error| ErrorKind::Misuse.because(format!("cannot read {}: {error}", path.display())))
    };
    Ok(match &settings.login {
        // The client library parses a login in a URL and does not use it.
        Login::None => match servers.iter().find_map(|server| Some((server.username()?, server.password()?)))
        {
            Some((user, password)) => options.user_and_password(user.into(), password.into()),
            None => options,
        },
        Login::Password { user, password } => options.user_and_password(user.clone(), password.clone()),
        Login::Token(token) => options.token(token.clone()),
        Login::Nkey(path) => options.nkey(read(path)?.trim().to_owned()),
        Login::Credentials(path) => options
            .credentials(&read(path)?)
            .map_err(|_| ErrorKind::Misuse.because(format!("{} holds no credentials", path.display())))?,
    })
}

fn tls(mut options: ConnectOptions, settings: &NetworkSettings) -> ConnectOptions {
    let tls = &settings.tls;
    if tls.required {
        options = options.require_tls(true);
    }
    if tls.first {
        options = options.tls_first();
    }
    if let Some(path) = &tls.authorities {
        options = options.add_root_certificates(path.clone());
    }
    if let Some((certificate, key)) = &tls.identity {
        options = options.add_client_certificate(certificate.clone(), key.clone());
    }
    options
}

/// A list of servers as it may be shown: whatever a URL carries before `@` is left out.
pub(crate) fn without_login(list: &str) -> String {
    let shown = |url: &str| match url.split_once("://") {
        Some((scheme, rest)) => format!("{scheme}://{}", rest.rsplit('@').next().unwrap_or_default()),
        None => url.rsplit('@').next().unwrap_or_default().to_owned(),
    };
    list.split(',').map(|url| shown(url.trim())).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_try_of_each_server_is_immediate_and_later_ones_are_bounded() {
        assert_eq!(pause_before(3, 3), Duration::ZERO);
        assert!(pause_before(4, 3) > Duration::ZERO);
        assert!(pause_before(1000, 1) <= LONGEST_PAUSE.saturating_mul(2));
    }

    #[test]
    fn a_shown_server_has_no_login() {
        assert_eq!(without_login("nats://u:p@a:1, b:2"), "nats://a:1,b:2");
        assert!(!servers("http://u:planted@x").unwrap_err().message.contains("planted"));
    }

    #[test]
    fn the_subject_of_a_violation_is_found() {
        let text = "nats: Permissions Violation for Publish to \"chat.1.g.x.a\"";
        assert_eq!(violated_publish(text), Some("chat.1.g.x.a"));
        assert_eq!(violated_publish("nats: Permissions Violation for Subscription to \"x\""), None);
    }
}
