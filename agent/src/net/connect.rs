//! The connection: made once, kept for ever, and its state known to everybody who waits for it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::{Client, ConnectOptions, Event, ServerError};
use cipher_api::{Error, ErrorKind, Hint};
use cipher_broker::subject::INBOX_PREFIX;
use cipher_connection::dial::Failed;
use cipher_connection::tls::{Greeting, greeting};
use cipher_connection::{Dial, First, Servers, Trouble};
use cipher_core::Interest;
use tokio::sync::{SetOnce, mpsc, watch};
use tokio::time::Instant;

use crate::net::link::{self, Reach};
use crate::net::replies::Replies;
use crate::net::settings::{Login, NetworkSettings};
use crate::net::{cluster, jitter, token};
use crate::runtime::mailbox::Mailbox;
use crate::runtime::task::Tasks;

/// How often the server is asked whether it is still there.
const PING_EVERY: Duration = Duration::from_secs(10);
/// How long one attempt to connect may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest pause between attempts, before jitter.
const LONGEST_PAUSE: Duration = Duration::from_secs(4);
/// How long a broker is called full after it last said so: messages that wait are tried again every few seconds.
const GRIEVANCE: Duration = Duration::from_secs(30);
/// Commands that may wait for the socket.
const CAPACITY: usize = 2048;

/// Messages of one subscription that may wait here: more than all pages of logs that are asked for at once. Whoever
/// floods a subject that we listen to does not get more of our memory than this.
const HEARD: usize = 16 * 1024;

/// What the parts of the network half share. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    client: Arc<SetOnce<Client>>,
    grievance: Arc<Mutex<Option<Instant>>>,
    pub(crate) servers: Servers,
    pub(crate) link: watch::Receiver<Reach>,
    /// Where replies to batched gets arrive.
    pub(crate) replies: Replies,
    /// Own prefix of reply subjects, unguessable.
    pub(crate) prefix: Arc<str>,
    pub(crate) registry_timeout: Duration,
}

impl Network {
    /// Starts connecting and returns at once; the error is one of the settings. `violations` gets subjects we may not
    /// publish to.
    pub(crate) fn start(
        settings: &NetworkSettings,
        interest: Interest,
        mailbox: Arc<Mailbox>,
        violations: mpsc::UnboundedSender<String>,
        tasks: &Tasks,
    ) -> Result<Self, Error> {
        let servers = servers(&settings.server)?;
        let misuse = |sentence| ErrorKind::Misuse.because(sentence).hint(Hint::Config);
        settings.tls.verify().map_err(misuse)?;
        let prefix: Arc<str> = format!("{INBOX_PREFIX}.{}", token::unguessable()).into();
        let (link, state) = watch::channel(Reach::Pending);
        let link = Arc::new(link);
        let (failures, failed) = mpsc::unbounded_channel();
        let dial = Arc::new(Dial::new(servers.clone(), failures, pause_before));
        let client = Arc::new(SetOnce::new());
        if servers.list().len() > 1 {
            let (client, dial, link) = (Arc::clone(&client), Arc::clone(&dial), Arc::clone(&link));
            let watch = cluster::Watch { client, dial, link, mailbox: Arc::clone(&mailbox) };
            tasks.spawn("cluster", watch.run());
        }
        let listen =
            Listener { interest, mailbox, violations, dial: Arc::clone(&dial), link: Arc::clone(&link) };
        let choice = Arc::clone(&dial);
        let options = tls(login(settings, &servers, &dial)?, settings, &servers)
            .name("cipher-chat")
            .retry_on_initial_connect()
            .max_reconnects(None)
            .reconnect_to_server_callback(move |pool, _| std::future::ready(choice.next(&pool)))
            .reconnect_delay_callback(|attempt| pause_before(attempt, 1))
            .ping_interval(PING_EVERY)
            .connection_timeout(CONNECT_TIMEOUT)
            .client_capacity(CAPACITY)
            .subscription_capacity(HEARD)
            .custom_inbox_prefix(prefix.as_ref())
            .event_callback(move |event| {
                listen.on(&event);
                std::future::ready(())
            });
        let replies = Replies::new(&prefix);
        tasks.spawn("failures", explain(failed, Arc::clone(&link)));
        let (made, answers, addresses) = (Arc::clone(&client), replies.clone(), servers.clone());
        let first = settings.tls.first;
        tasks.spawn("connection", async move {
            let options = match first {
                First::Yes => options.tls_first(),
                First::Auto if addresses.secure() && begins_with_tls(&addresses, &link).await => {
                    options.tls_first()
                }
                First::Auto | First::No => options,
            };
            // With retries in the background only what is no address fails, and that was looked at.
            let Ok(client) = options.connect(addresses.addresses()).await else { return };
            let Ok(arriving) = answers.subscribe(&client).await else { return };
            drop(made.set(client));
            answers.sort(arriving).await;
        });
        Ok(Self {
            client,
            grievance: Arc::default(),
            servers,
            link: state,
            replies,
            prefix,
            registry_timeout: settings.registry_timeout,
        })
    }

    /// The client, once it is known how the servers begin.
    pub(crate) async fn client(&self) -> &Client {
        self.client.wait().await
    }

    /// The client, if there is one yet.
    pub(crate) fn client_now(&self) -> Option<&Client> {
        self.client.get()
    }

    /// The broker had no room for a message just now, or took one.
    pub(crate) fn full(&self, full: bool) {
        *self.grievance.lock().unwrap_or_else(PoisonError::into_inner) = full.then(Instant::now);
    }

    /// What is wrong although it is connected.
    pub(crate) fn grievance(&self) -> Option<Error> {
        let since = *self.grievance.lock().unwrap_or_else(PoisonError::into_inner);
        since.filter(|since| since.elapsed() < GRIEVANCE).map(|_| full(&self.servers))
    }

    /// Waits until the broker can be reached, or is known to be unreachable.
    pub(crate) async fn settled(&self) -> bool {
        let mut link = self.link.clone();
        link.wait_for(|link| *link != Reach::Pending).await.is_ok_and(|link| link.is_up())
    }
}

/// The error for a broker that cannot be reached.
pub(crate) fn unreachable(servers: &Servers, why: &Trouble) -> Error {
    ErrorKind::Unreachable
        .because(format!("the broker at {servers} cannot be reached: {why}"))
        .hint(hint(why))
}

/// What to do about it. Data where it leads to a command: a front end knows how its user gives one.
fn hint(why: &Trouble) -> Hint {
    match why {
        Trouble::Nobody | Trouble::NoHost | Trouble::Slow | Trouble::Broken => Hint::BrokerStart,
        Trouble::Login => Hint::BrokerLogin,
        Trouble::File(_) => Hint::Config,
        Trouble::NoCluster => Hint::BrokerApart,
        other => Hint::text(other.hint()),
    }
}

/// The error for a broker that has no room.
fn full(servers: &Servers) -> Error {
    ErrorKind::Limit
        .because(format!("the broker at {servers} is full: it takes no more messages"))
        .hint(Hint::BrokerRoom)
}

/// Says of each failed attempt why, once every server has failed.
async fn explain(mut failed: mpsc::UnboundedReceiver<Failed>, link: Arc<watch::Sender<Reach>>) {
    // What a person has to change outweighs what may pass: a closed port beside a refused login.
    let mut worst: Option<Trouble> = None;
    while let Some(Failed { address, text, all }) = failed.recv().await {
        let trouble = Trouble::at(&text, &address).await;
        tracing::debug!(server = %address.as_url_str(), %trouble, "an attempt to connect failed");
        if worst.as_ref().is_none_or(Trouble::passing) {
            worst = Some(trouble);
        }
        if all && let Some(trouble) = worst.take() {
            link.send_if_modified(|link| {
                let news = !link.is_up() && *link != Reach::Down(trouble.clone());
                if news {
                    *link = Reach::Down(trouble);
                }
                news
            });
        }
    }
}

/// Finds out whether servers that are to be reached by TLS wait for it, asking until one answers.
async fn begins_with_tls(servers: &Servers, link: &watch::Sender<Reach>) -> bool {
    let list = servers.list();
    for attempt in 1_usize.. {
        let Some(server) = list.get(attempt.wrapping_sub(1) % list.len().max(1)) else { break };
        tokio::time::sleep(pause_before(attempt, list.len())).await;
        let begun = Instant::now();
        let trouble = match greeting(&server.address).await {
            Greeting::Tls => return true,
            Greeting::Info { tls: true } => return false,
            Greeting::Info { tls: false } => Trouble::NoTls,
            Greeting::Other => Trouble::NotNats,
            Greeting::Silent if begun.elapsed() < CONNECT_TIMEOUT => Trouble::Nobody,
            Greeting::Silent => Trouble::Slow,
        };
        if attempt >= list.len() {
            link.send_replace(Reach::Down(trouble));
        }
    }
    true
}

struct Listener {
    interest: Interest,
    mailbox: Arc<Mailbox>,
    violations: mpsc::UnboundedSender<String>,
    dial: Arc<Dial>,
    link: Arc<watch::Sender<Reach>>,
}

impl Listener {
    fn on(&self, event: &Event) {
        match event {
            Event::Connected => {
                self.dial.reached();
                // The core hears it first: whoever waits for the link may send a command right after.
                self.mailbox.connected(self.interest);
                self.link.send_replace(Reach::Up(link::generation()));
            }
            Event::Disconnected | Event::Closed => {
                self.mailbox.disconnected();
                // Down it is once every server was tried.
                self.link.send_replace(Reach::Pending);
            }
            Event::ServerError(error) => self.server_error(error),
            // A missed bell is made good by the next look at the log.
            Event::SlowConsumer(_) => tracing::debug!("doorbells were dropped"),
            // The cause of a failed attempt comes by way of the choice of the next one.
            Event::ClientError(_) | Event::LameDuckMode | Event::Draining => {}
        }
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
    jitter::jittered(doubled.min(LONGEST_PAUSE))
}

/// Whether a list of servers can be read at all.
pub(crate) fn check(list: &str) -> Result<(), Error> {
    servers(list).map(drop)
}

fn servers(list: &str) -> Result<Servers, Error> {
    Servers::parse(list).map_err(|error| {
        ErrorKind::Misuse.because(error.to_string()).hint(Hint::text(error.hint)).caused_by(error)
    })
}

/// What is not in a URL is one login for every server.
fn login(settings: &NetworkSettings, servers: &Servers, dial: &Arc<Dial>) -> Result<ConnectOptions, Error> {
    let read = |path: &std::path::Path| {
        std::fs::read_to_string(path).map_err(|error| {
            ErrorKind::Misuse.because_of(format_args!("cannot read {}", path.display()), error)
        })
    };
    let holds_no = |path: &std::path::Path, what: &str| {
        ErrorKind::Misuse.because(format!("{} holds no {what}", path.display()))
    };
    let options = ConnectOptions::new();
    Ok(match &settings.login {
        Login::None if servers.carry_login() => {
            let dial = Arc::clone(dial);
            ConnectOptions::with_auth_callback(move |_| std::future::ready(Ok(dial.login())))
        }
        Login::None => options,
        Login::Password { user, password } => options.user_and_password(user.clone(), password.clone()),
        Login::Token(token) => options.token(token.clone()),
        Login::Nkey(path) => {
            let seed = read(path)?.trim().to_owned();
            if !is_seed(&seed) {
                return Err(holds_no(path, "nkey seed of a user (SU…)"));
            }
            options.nkey(seed)
        }
        Login::Credentials(path) => {
            options.credentials(&read(path)?).map_err(|_| holds_no(path, "credentials"))?
        }
    })
}

/// Whether a text looks like the seed of a user: base32 of a prefix, 32 bytes and a checksum.
fn is_seed(text: &str) -> bool {
    text.len() == 58 && text.starts_with("SU") && data_encoding::BASE32_NOPAD.decode(text.as_bytes()).is_ok()
}

fn tls(mut options: ConnectOptions, settings: &NetworkSettings, servers: &Servers) -> ConnectOptions {
    let tls = &settings.tls;
    if servers.secure() {
        // Servers that the broker tells of come without tls:// before them.
        options = options.require_tls(true);
    }
    if let Some(path) = &tls.authorities {
        options = options.add_root_certificates(path.clone());
    }
    if let Some((certificate, key)) = &tls.identity {
        options = options.add_client_certificate(certificate.clone(), key.clone());
    }
    options
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

    /// A program words hints for its own user, who may have no command line.
    #[test]
    fn no_hint_about_the_broker_is_a_command_line() {
        let servers = Servers::parse("nats://127.0.0.1:1").unwrap();
        let troubles = [
            Trouble::Nobody,
            Trouble::NoHost,
            Trouble::Slow,
            Trouble::Login,
            Trouble::UnknownAuthority,
            Trouble::WrongName("x".into()),
            Trouble::Expired,
            Trouble::NotYetValid,
            Trouble::BadCertificate,
            Trouble::CertificateWanted,
            Trouble::CertificateRefused,
            Trouble::NoTls,
            Trouble::TlsWanted,
            Trouble::InfoFirst,
            Trouble::NoCommonTls,
            Trouble::NotNats,
            Trouble::File("x".into()),
            Trouble::Broken,
            Trouble::Full,
            Trouble::NoCluster,
        ];
        let errors = troubles.iter().map(|trouble| unreachable(&servers, trouble));
        for error in errors.chain([full(&servers)]) {
            let hint = serde_json::to_string(&error.hint).unwrap();
            let command = ["cipher-", "--", "`"].iter().any(|sign| hint.contains(sign));
            assert!(!command, "{error}: {hint}");
        }
    }

    #[test]
    fn the_subject_of_a_violation_is_found() {
        let text = "nats: Permissions Violation for Publish to \"chat.1.g.x.a\"";
        assert_eq!(violated_publish(text), Some("chat.1.g.x.a"));
        assert_eq!(violated_publish("nats: Permissions Violation for Subscription to \"x\""), None);
    }

    #[test]
    fn a_seed_is_told_from_other_texts() {
        assert!(!is_seed("SUnonsense") && !is_seed(""));
        assert!(is_seed(&format!("SU{}", "A".repeat(56))));
    }
}
