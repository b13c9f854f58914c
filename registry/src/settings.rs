//! Settings in layers: defaults, then the file, then the environment, then flags. The only reader of the
//! environment.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use cipher_broker::limit;
use cipher_connection::{First, Tls};
use cipher_seal::Passphrase;
use clap::{Args, ValueEnum};
use figment::Figment;
use figment::providers::{Format, Serialized, Toml};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::terms::{Admission, Terms};

/// Everything the registry needs to know before it starts.
#[derive(Clone)]
pub struct Settings {
    /// Broker URLs, separated by commas.
    pub server: String,
    /// Who the registry is to the broker.
    pub login: Login,
    /// TLS to the broker: authorities of one's own, a client certificate, who begins.
    pub tls: Tls,
    /// The operator confirms that the broker writes to disk before it acknowledges.
    pub synced: bool,
    /// Folder of the key and the store.
    pub data_dir: PathBuf,
    /// What opens the sealed key in it.
    pub unlocking: Unlocking,
    /// Where the accounts are.
    pub store: StoreKind,
    /// Copies of each stream: 1, 3 or 5.
    pub replicas: usize,
    /// What may be asked in an hour, and what is asked of newcomers.
    pub terms: Terms,
    /// What the broker takes of files.
    pub files: Files,
    /// Take statements that only the account log in the broker has into the store, before starting.
    pub adopt_log: bool,
    /// Requests worked on at the same time.
    pub concurrency: usize,
    /// How long to wait for the broker, and then for its streams, before giving up at start. A command that a person
    /// waits for does not take all of it.
    pub patience: Duration,
    /// What is logged to stderr (`tracing` directives).
    pub log: String,
}

/// Who the registry is to the broker.
#[derive(Clone)]
#[non_exhaustive]
pub enum Login {
    /// Nobody in particular: only for a broker without accounts.
    None,
    /// User and password.
    Password {
        /// The user.
        user: String,
        /// The password.
        password: String,
    },
    /// A file with an nkey seed.
    Nkey(PathBuf),
    /// A credentials file (JWT and seed).
    Credentials(PathBuf),
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Password { .. } => "Password(secret)",
            Self::Nkey(_) => "Nkey(file)",
            Self::Credentials(_) => "Credentials(file)",
        })
    }
}

/// Without the login of the URL.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let server = cipher_connection::address::shown(&self.server);
        f.debug_struct("Settings")
            .field("server", &server)
            .field("login", &self.login)
            .finish_non_exhaustive()
    }
}

impl Settings {
    /// Settings for one broker and one data folder; everything else as by default.
    pub fn new(server: impl Into<String>, login: Login, data_dir: impl Into<PathBuf>) -> Self {
        Self {
            server: server.into(),
            login,
            tls: Tls::default(),
            synced: false,
            data_dir: data_dir.into(),
            unlocking: Unlocking::default(),
            store: StoreKind::Redb,
            replicas: 1,
            terms: Terms::default(),
            files: Files::default(),
            adopt_log: false,
            concurrency: 256,
            patience: Duration::from_secs(60),
            log: "warn,async_nats=error,async_nats::connector=off".into(),
        }
    }
}

/// What the broker takes of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Files {
    /// Largest file, bytes: members' programs refuse a larger one before they send anything of it.
    pub largest: u64,
    /// Bytes of all files together; `None` is [`cipher_broker::limit::FILES_BYTES`], or half of what the broker
    /// can set aside.
    pub room: Option<u64>,
}

impl Default for Files {
    fn default() -> Self {
        Self { largest: limit::FILE_BYTES, room: None }
    }
}

/// Where the key or passphrase that opens `registry.key` comes from: the first of these that is there, and otherwise
/// `registry.unlock` in the data folder.
#[derive(Debug, Clone, Default)]
pub struct Unlocking {
    /// A file with 32 bytes.
    pub key_file: Option<PathBuf>,
    /// systemd's folder of credentials.
    pub credentials: Option<PathBuf>,
    /// A descriptor whose next line is a passphrase.
    pub passphrase_fd: Option<u32>,
    /// What that line was, if it was read ahead.
    pub(crate) passphrase: Option<Passphrase>,
}

/// Where the accounts are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// In the data folder of one registry
    #[default]
    Redb,
    /// In a log on JetStream, which every replica follows in its own data folder
    Jetstream,
}

impl StoreKind {
    /// As it is written in settings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Redb => "redb",
            Self::Jetstream => "jetstream",
        }
    }
}

/// What newcomers must bring, as a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
enum Registration {
    /// Nothing
    Open,
    /// A code that the operator gave
    Code,
    /// Computing work, about a second on a laptop by default
    Work,
    /// No newcomers are taken
    Closed,
}

/// Who begins with TLS, as a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
enum TlsFirst {
    /// As the broker has it, for tls://
    #[default]
    Auto,
    /// TLS comes first
    Yes,
    /// The broker speaks first
    No,
}

/// When the broker writes to disk, as the operator knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
enum DiskSync {
    /// The broker writes to disk before it acknowledges
    Always,
    /// Not known
    Unknown,
}

/// Work that takes a laptop about a second.
const WORK_BITS: u8 = 20;

/// One layer: what it does not say is left to the layer below.
#[derive(Args, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Layer {
    /// Settings file (TOML; the same names as the flags)
    #[arg(long, global = true, env = "CIPHER_REGISTRY_CONFIG", value_name = "FILE")]
    #[serde(skip)]
    config: Option<PathBuf>,
    /// Broker URLs, separated by commas [default: nats://127.0.0.1:4222]
    #[arg(long, global = true, env = "CIPHER_REGISTRY_SERVER", value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<String>,
    /// User to log in as
    #[arg(long, global = true, env = "CIPHER_REGISTRY_USER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    /// Password; other users can see flags, so prefer the environment or --password-file
    #[arg(long, global = true, env = "CIPHER_REGISTRY_PASSWORD", hide_env_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<String>,
    /// File with the password
    #[arg(long, global = true, env = "CIPHER_REGISTRY_PASSWORD_FILE", value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    password_file: Option<PathBuf>,
    /// File with an nkey seed to log in with
    #[arg(long, global = true, env = "CIPHER_REGISTRY_NKEY_SEED_FILE", value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    nkey_seed_file: Option<PathBuf>,
    /// Credentials file (JWT and seed) to log in with
    #[arg(long, global = true, env = "CIPHER_REGISTRY_CREDENTIALS", value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    credentials: Option<PathBuf>,
    /// Root certificates for TLS, instead of the system's
    #[arg(long, global = true, env = "CIPHER_REGISTRY_TLS_CA", value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_ca: Option<PathBuf>,
    /// Client certificate for TLS (PEM); with --tls-key
    #[arg(long, global = true, env = "CIPHER_REGISTRY_TLS_CERT", value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_cert: Option<PathBuf>,
    /// Key of the client certificate (PEM)
    #[arg(long, global = true, env = "CIPHER_REGISTRY_TLS_KEY", value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_key: Option<PathBuf>,
    /// Whether TLS begins before the broker's first line [default: auto, as the broker has it]
    #[arg(long, global = true, env = "CIPHER_REGISTRY_TLS_FIRST", value_name = "WHEN")]
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_first: Option<TlsFirst>,
    /// Confirm that the broker has `sync_interval: always`, which a client cannot find out [default: unknown]
    #[arg(long, global = true, env = "CIPHER_REGISTRY_SYNC", value_name = "WHEN")]
    #[serde(skip_serializing_if = "Option::is_none")]
    sync: Option<DiskSync>,
    /// Folder of the key and the store [default: $XDG_STATE_HOME/cipher-registry]
    #[arg(long, global = true, env = "CIPHER_REGISTRY_DATA_DIR", value_name = "FOLDER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    data_dir: Option<PathBuf>,
    /// File with the 32 bytes that open the sealed key [default: the credential cipher-registry-key, else registry.unlock in the folder]
    #[arg(long, global = true, env = "CIPHER_REGISTRY_KEY_FILE", value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    key_file: Option<PathBuf>,
    /// Descriptor whose first line is the passphrase that opens the sealed key; without it a terminal asks
    #[arg(long, global = true, env = "CIPHER_REGISTRY_PASSPHRASE_FD", value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    passphrase_fd: Option<u32>,
    /// Where the accounts are; `jetstream`: any number of replicas may run [default: redb]
    #[arg(long, global = true, env = "CIPHER_REGISTRY_STORE", value_name = "STORE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<StoreKind>,
    /// Copies of each stream: 1, 3 or 5 [default: 1]
    #[arg(long, global = true, env = "CIPHER_REGISTRY_REPLICAS", value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    replicas: Option<usize>,
    /// Key packages that an account may claim of one account, per hour [default: 100]
    #[arg(long, global = true, env = "CIPHER_REGISTRY_CLAIMS_PER_TARGET", value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    claims_per_target: Option<u32>,
    /// Claims that an account may make in all, per hour [default: 2000]
    #[arg(long, global = true, env = "CIPHER_REGISTRY_CLAIMS_OVERALL", value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    claims_overall: Option<u32>,
    /// Look-ups of accounts that an account may make, per hour [default: 20000]
    #[arg(long, global = true, env = "CIPHER_REGISTRY_LOOK_UPS", value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    look_ups: Option<u32>,
    /// New accounts in all, per hour [default: 10000]
    #[arg(long, global = true, env = "CIPHER_REGISTRY_REGISTRATIONS", value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    registrations: Option<u32>,
    /// What newcomers must bring [default: open]
    #[arg(long, global = true, env = "CIPHER_REGISTRY_REGISTRATION", value_name = "WHAT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    registration: Option<Registration>,
    /// File of registration codes, one per line; each counts once
    #[arg(long, global = true, env = "CIPHER_REGISTRY_REGISTRATION_CODES", value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    registration_codes: Option<PathBuf>,
    /// How much work newcomers must do, in zero bits of a hash, at most 30 [default: 20]
    #[arg(long, global = true, env = "CIPHER_REGISTRY_WORK_BITS", value_name = "BITS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    work_bits: Option<u8>,
    /// Largest file that members may send, in MiB [default: 100]
    #[arg(long, global = true, env = "CIPHER_REGISTRY_FILE_LIMIT", value_name = "MIB")]
    #[serde(skip_serializing_if = "Option::is_none")]
    file_limit: Option<u64>,
    /// Room for all files at the broker, in MiB [default: 8192, or less if the broker has not so much]
    #[arg(long, global = true, env = "CIPHER_REGISTRY_FILE_ROOM", value_name = "MIB")]
    #[serde(skip_serializing_if = "Option::is_none")]
    file_room: Option<u64>,
    /// Requests worked on at the same time [default: 256]
    #[arg(long, global = true, env = "CIPHER_REGISTRY_CONCURRENCY", value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    concurrency: Option<usize>,
    /// Seconds that serve and provision wait for the broker and its streams; other commands wait 5 at most [default: 60]
    #[arg(long, global = true, env = "CIPHER_REGISTRY_PATIENCE", value_name = "SECONDS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    patience: Option<u64>,
    /// What is logged to stderr, for example `info` or `cipher_registry=debug` [default: warn]
    #[arg(long, global = true, env = "CIPHER_REGISTRY_LOG", value_name = "DIRECTIVES")]
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<String>,
}

impl fmt::Debug for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // May hold a password.
        f.write_str("Layer")
    }
}

impl Layer {
    /// Settles all layers. `self` already holds flags over the environment.
    pub(crate) fn settle(self) -> Result<Settings, Error> {
        let mut figment = Figment::new();
        if let Some(path) = &self.config {
            if !path.is_file() {
                return Err(Error::Usage(format!("there is no settings file {}", path.display())));
            }
            figment = figment.merge(Toml::file_exact(path));
        }
        let layers: Self = figment
            .merge(Serialized::defaults(&self))
            .extract()
            .map_err(|error| Error::Usage(format!("the settings make no sense: {error}")))?;
        layers.over_defaults()
    }

    fn over_defaults(self) -> Result<Settings, Error> {
        let (login, admission, tls) = (self.login()?, self.admission()?, self.tls()?);
        let data_dir = match self.data_dir {
            Some(folder) => folder,
            None => default_data_dir()?,
        };
        let server = self.server.unwrap_or_else(|| "nats://127.0.0.1:4222".into());
        let mut settings = Settings::new(server, login, data_dir);
        settings.tls = tls;
        settings.unlocking = Unlocking {
            key_file: self.key_file,
            credentials: std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from),
            passphrase_fd: self.passphrase_fd,
            passphrase: None,
        };
        settings.synced = self.sync == Some(DiskSync::Always);
        settings.store = self.store.unwrap_or(settings.store);
        settings.replicas = self.replicas.unwrap_or(settings.replicas);
        let limits = &mut settings.terms.limits;
        limits.per_target = self.claims_per_target.unwrap_or(limits.per_target);
        limits.overall = self.claims_overall.unwrap_or(limits.overall);
        limits.look_ups = self.look_ups.unwrap_or(limits.look_ups);
        limits.registrations = self.registrations.unwrap_or(limits.registrations);
        settings.terms.admission = admission;
        let mib = |mib: u64| mib.saturating_mul(1024 * 1024);
        settings.files.largest = self.file_limit.map_or(settings.files.largest, mib);
        settings.files.room = self.file_room.map(mib);
        settings.concurrency = self.concurrency.unwrap_or(settings.concurrency);
        settings.patience = self.patience.map_or(settings.patience, Duration::from_secs);
        settings.log = self.log.unwrap_or(settings.log);
        if !matches!(settings.replicas, 1 | 3 | 5) {
            return Err(Error::Usage("replicas is 1, 3 or 5".into()));
        }
        if settings.files.room == Some(0) {
            return Err(Error::Usage("file-room is at least 1; to take no files, say --file-limit 0".into()));
        }
        if settings.concurrency == 0 {
            return Err(Error::Usage("concurrency is at least 1".into()));
        }
        Ok(settings)
    }

    fn admission(&self) -> Result<Admission, Error> {
        let registration = self.registration.unwrap_or(Registration::Open);
        let admission = match (registration, &self.registration_codes, self.work_bits) {
            (Registration::Open, None, None) => Admission::Open,
            (Registration::Code, Some(file), None) => Admission::Code(file.clone()),
            (Registration::Work, None, bits) => Admission::Work(bits.unwrap_or(WORK_BITS)),
            (Registration::Closed, None, None) => Admission::Closed,
            (Registration::Code, None, _) => {
                return Err(Error::Usage("registration by code needs a file: --registration-codes".into()));
            }
            (_, Some(_), _) => {
                return Err(Error::Usage("registration codes count with --registration code only".into()));
            }
            (_, None, Some(_)) => {
                return Err(Error::Usage("work bits count with --registration work only".into()));
            }
        };
        admission.verify()?;
        Ok(admission)
    }

    fn tls(&self) -> Result<Tls, Error> {
        let identity = match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => Some((certificate.clone(), key.clone())),
            (None, None) => None,
            _ => return Err(Error::Usage("--tls-cert and --tls-key are needed together".into())),
        };
        let first = match self.tls_first.unwrap_or_default() {
            TlsFirst::Auto => First::Auto,
            TlsFirst::Yes => First::Yes,
            TlsFirst::No => First::No,
        };
        Ok(Tls { first, authorities: self.tls_ca.clone(), identity })
    }

    fn login(&self) -> Result<Login, Error> {
        match (&self.user, &self.nkey_seed_file, &self.credentials) {
            (None, None, None) if self.password.is_none() && self.password_file.is_none() => Ok(Login::None),
            (None, None, None) => Err(Error::Usage("a password needs a user".into())),
            (Some(user), None, None) => {
                Ok(Login::Password { user: user.clone(), password: self.password_text()? })
            }
            (None, Some(seed), None) => Ok(Login::Nkey(seed.clone())),
            (None, None, Some(file)) => Ok(Login::Credentials(file.clone())),
            _ => {
                Err(Error::Usage("log in with a user, an nkey seed or credentials: only one of them".into()))
            }
        }
    }

    fn password_text(&self) -> Result<String, Error> {
        match (&self.password, &self.password_file) {
            (Some(password), None) => Ok(password.clone()),
            (None, Some(path)) => match std::fs::read_to_string(path) {
                Ok(text) => Ok(text.trim_end_matches(['\r', '\n']).to_owned()),
                Err(source) => {
                    Err(Error::File { doing: "read the password file", path: path.clone(), source })
                }
            },
            (None, None) => Err(Error::Usage("a user needs a password".into())),
            (Some(_), Some(_)) => Err(Error::Usage("give the password or a file with it, not both".into())),
        }
    }
}

fn default_data_dir() -> Result<PathBuf, Error> {
    let folder = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    folder("XDG_STATE_HOME")
        .or_else(|| folder("HOME").map(|home| home.join(".local/state")))
        .map(|state| state.join("cipher-registry"))
        .ok_or_else(|| Error::Usage("name the folder of the data with --data-dir".into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terms::Limits;

    fn layer() -> Layer {
        Layer { data_dir: Some("/d".into()), ..Layer::default() }
    }

    #[test]
    fn flags_win_over_the_file_and_the_file_over_defaults() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("registry.toml");
        std::fs::write(&file, "server = 'nats://file'\nreplicas = 3\nclaims-overall = 5\n").unwrap();
        let flags = Layer { config: Some(file), server: Some("nats://flag".into()), ..layer() };
        let settings = flags.settle().unwrap();
        assert_eq!(settings.server, "nats://flag");
        assert_eq!(settings.replicas, 3);
        assert_eq!(settings.terms.limits, Limits { overall: 5, ..Limits::default() });
        assert_eq!(settings.concurrency, 256);
    }

    #[test]
    fn a_password_of_digits_stays_a_text() {
        let layer = Layer { user: Some("r".into()), password: Some("0042".into()), ..layer() };
        match layer.settle().unwrap().login {
            Login::Password { password, .. } => assert_eq!(password, "0042"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn senseless_settings_are_refused() {
        let path = || Some(PathBuf::from("/nowhere"));
        for layer in [
            Layer { replicas: Some(2), ..layer() },
            Layer { concurrency: Some(0), ..layer() },
            Layer { user: Some("r".into()), ..layer() },
            Layer { password: Some("p".into()), ..layer() },
            Layer { nkey_seed_file: path(), credentials: path(), ..layer() },
            Layer { config: path(), ..layer() },
            Layer { tls_cert: path(), ..layer() },
            Layer { registration: Some(Registration::Code), ..layer() },
            Layer { registration_codes: path(), ..layer() },
            Layer { work_bits: Some(20), ..layer() },
            Layer { registration: Some(Registration::Work), work_bits: Some(31), ..layer() },
        ] {
            assert!(matches!(layer.settle(), Err(Error::Usage(_))));
        }
    }

    #[test]
    fn an_unknown_name_in_the_file_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("registry.toml");
        std::fs::write(&file, "sevrer = 'nats://typo'\n").unwrap();
        assert!(Layer { config: Some(file), ..layer() }.settle().is_err());
    }
}
