//! Where a setting comes from: defaults < system file < user file < project file < environment < flags.
//!
//! The only reader of the environment. Everybody else gets the plain [`Settings`] that come out of here.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use cipher_api::{Error, Hint};
use cipher_connection::address::shown;
use cipher_connection::{First, Servers, Tls};
use figment::providers::{Format, Serialized, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Provider};
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize};

use crate::net::settings::{Login, NetworkSettings};
use crate::token::secret::Secret;
use crate::unlock::Unlocking;

/// Settings of the machine.
pub const SYSTEM_FILE: &str = "/etc/cipher-chat/config.toml";
/// Settings of the folder one works in.
pub const PROJECT_FILE: &str = "cipher-chat.toml";
/// The server when nothing names one.
pub const DEFAULT_SERVER: &str = "nats://127.0.0.1:4222";
/// The profile when nothing names one.
pub const DEFAULT_PROFILE: &str = "default";

const PREFIX: &str = "CIPHER_CHAT_";
/// Every key of a file or of the environment; all but those of [`Flags`] have no flag.
const KEYS: [&str; 20] = [
    "credentials",
    "nkey",
    "tls_ca",
    "tls_cert",
    "tls_key",
    "tls_first",
    "color",
    "home",
    "json",
    "key_file",
    "no_input",
    "no_markdown",
    "notify",
    "notify_command",
    "passphrase_fd",
    "profile",
    "server",
    "sync",
    "utc",
    "verbose",
];

/// When output is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// By which signs a person is told of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Told {
    /// The bell.
    pub bell: bool,
    /// A notification that the terminal shows (OSC 9).
    pub terminal: bool,
    /// A notification of the desktop, in builds with the feature `desktop`.
    pub desktop: bool,
}

impl FromStr for Told {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut told = Self::default();
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            match word {
                "bell" => told.bell = true,
                "terminal" => told.terminal = true,
                "desktop" if cfg!(feature = "desktop") => told.desktop = true,
                "desktop" => {
                    return Err("this build shows no notifications of the desktop: use one with the feature `desktop`, or \
                                notify_command"
                        .into());
                }
                "none" => told = Self::default(),
                _ => {
                    return Err(format!(
                        "'{word}' is no way to tell: bell, terminal, desktop or none, with commas between them"
                    ));
                }
            }
        }
        Ok(told)
    }
}

/// When the broker writes to disk, as its operator says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DiskSync {
    /// Before it acknowledges.
    Always,
    /// Nobody asked.
    Unknown,
}

/// The global flags: every one may be absent, and an absent one must not hide a file's value.
#[derive(Debug, Clone, Default, Serialize, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct Flags {
    /// Profile to act as; each has its own account [default: default]
    #[arg(long, global = true, value_name = "NAME", overrides_with = "profile")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// Folder that holds all profiles [default: ~/.local/share/cipher-chat]
    #[arg(long, global = true, value_name = "DIR", overrides_with = "home")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub home: Option<PathBuf>,
    /// Broker to use [default: a running `up` of the same home, else nats://127.0.0.1:4222]
    #[arg(long, global = true, value_name = "URL", overrides_with = "server")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// Read this file instead of the system, user and project files
    #[arg(long, global = true, value_name = "FILE", overrides_with = "config")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// File with the 32 bytes that open the store [default: the credential cipher-chat-key, else store.key in the profile's folder]
    #[arg(long, global = true, value_name = "FILE", overrides_with = "key_file")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
    /// Descriptor whose first line is the passphrase that opens the store; without it a terminal asks
    #[arg(long, global = true, value_name = "N", overrides_with = "passphrase_fd")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passphrase_fd: Option<u32>,
    /// Print one JSON object per line
    #[arg(long, global = true, overrides_with = "json")]
    #[serde(skip_serializing_if = "is_false")]
    pub json: bool,
    /// Never ask anything
    #[arg(long, global = true, overrides_with = "no_input")]
    #[serde(skip_serializing_if = "is_false")]
    pub no_input: bool,
    /// Show messages as they were typed, also where colours show their Markdown
    #[arg(long, global = true, overrides_with = "no_markdown")]
    #[serde(skip_serializing_if = "is_false")]
    pub no_markdown: bool,
    /// When to use colours [default: auto]
    #[arg(long, global = true, value_name = "WHEN", overrides_with = "color")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub color: Option<Color>,
    /// Tell times in UTC instead of the time of this machine (TZ, /etc/localtime)
    #[arg(long, global = true, overrides_with = "utc")]
    #[serde(skip_serializing_if = "is_false")]
    pub utc: bool,
    /// Log more to stderr; repeat for even more: -vv also tells what an error came from
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    #[serde(skip_serializing_if = "is_zero")]
    pub verbose: u8,
}

/// What is in force.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Profile to act as.
    pub profile: String,
    /// Whether somebody chose the profile, rather than it being the default.
    pub profile_chosen: bool,
    /// Folder that holds all profiles; absolute.
    pub home: PathBuf,
    /// Broker to use.
    pub server: String,
    /// Somebody confirmed that the broker writes to disk before it acknowledges (`sync = "always"`).
    pub synced: bool,
    /// Whether somebody named the broker, rather than it being the default or that of a running `up`.
    pub server_chosen: bool,
    /// One JSON object per line.
    pub json: bool,
    /// Never ask anything.
    pub no_input: bool,
    /// Colours.
    pub color: Color,
    /// How to log in to the broker and how to know it: files and the environment only.
    pub access: Access,
    /// What opens the store.
    pub unlocking: Unlocking,
    /// Messages are shown as they were typed.
    pub no_markdown: bool,
    /// How a person is told of messages.
    pub told: Told,
    /// What runs for a message of which the person is told: a program and its words.
    pub told_by: Vec<String>,
    /// Times are told in UTC.
    pub utc: bool,
    /// `NO_COLOR` is set, or the terminal cannot do it.
    pub plain: bool,
    /// How much to log.
    pub verbose: u8,
    /// Where each value came from.
    pub origins: Vec<Origin>,
    /// What bounds `rpc`: of the environment only, and listed nowhere.
    pub token: Option<Result<Secret, Error>>,
    /// Flags of this very command that another command needs again.
    pub given: Given,
}

/// Flags that say which profile and which broker, as they were given.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// `--config`
    pub config: Option<PathBuf>,
    /// `--home`
    pub home: Option<PathBuf>,
    /// `--key-file`
    pub key_file: Option<PathBuf>,
    /// `--profile`
    pub profile: Option<String>,
    /// `--server`
    pub server: Option<String>,
}

impl Settings {
    /// How to reach the broker.
    pub fn network(&self) -> NetworkSettings {
        let mut network = NetworkSettings::new(&self.server);
        network.login = match (&self.access.credentials, &self.access.nkey) {
            (Some(file), _) => Login::Credentials(file.clone()),
            (None, Some(file)) => Login::Nkey(file.clone()),
            (None, None) => Login::None,
        };
        network.tls.clone_from(&self.access.tls);
        network
    }
}

/// Login and transport security of the broker, as paths of files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// User JWT and seed.
    pub credentials: Option<PathBuf>,
    /// Seed of an nkey.
    pub nkey: Option<PathBuf>,
    /// TLS: authorities of one's own, a client certificate, who begins.
    pub tls: Tls,
}

impl Access {
    /// Of several logins the one of the strongest layer counts, whatever its kind: a login in the URL of a flag wins over
    /// an nkey in a file. In one layer credentials win over an nkey, and both over what the URL carries.
    fn yield_to(&mut self, server: &str, figment: &Figment, files: &[PathBuf]) {
        let carries = Servers::parse(server).is_ok_and(|servers| servers.carry_login());
        let rank = |key: &str, there: bool| {
            let metadata = figment.find_metadata(key).filter(|_| there)?;
            Some(match (&metadata.source, &*metadata.name) {
                (_, FLAG) => usize::MAX,
                (_, ENVIRONMENT) => usize::MAX - 1,
                (Some(figment::Source::File(path)), _) => {
                    files.iter().position(|file| file == path).unwrap_or_default()
                }
                _ => 0,
            })
        };
        let url = rank("server", carries);
        let nkey = rank("nkey", self.nkey.is_some());
        let credentials = rank("credentials", self.credentials.is_some());
        let strongest = url.max(nkey).max(credentials);
        if credentials < strongest {
            self.credentials = None;
        }
        if nkey < strongest {
            self.nkey = None;
        }
    }
}

/// One setting with its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Name of the setting.
    pub key: &'static str,
    /// Its value as text.
    pub value: String,
    /// Where the value came from.
    pub origin: String,
}

/// Why there are no settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SettingsError {
    /// Which source is wrong, and how.
    pub message: String,
    /// What to do about it.
    pub hint: Option<Hint>,
}

/// What files and the environment may say, and what figment makes of all layers together.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Layers {
    profile: Option<String>,
    home: Option<PathBuf>,
    server: Option<String>,
    credentials: Option<PathBuf>,
    nkey: Option<PathBuf>,
    key_file: Option<PathBuf>,
    #[serde(default, deserialize_with = "descriptor")]
    passphrase_fd: Option<u32>,
    tls_ca: Option<PathBuf>,
    tls_cert: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    tls_first: Option<First>,
    sync: Option<DiskSync>,
    #[serde(default, deserialize_with = "yes_or_no")]
    json: bool,
    #[serde(default, deserialize_with = "yes_or_no")]
    no_input: bool,
    #[serde(default, deserialize_with = "yes_or_no")]
    no_markdown: bool,
    notify: Option<String>,
    #[serde(default, deserialize_with = "words")]
    notify_command: Vec<String>,
    #[serde(default)]
    color: Color,
    #[serde(default, deserialize_with = "yes_or_no")]
    utc: bool,
    #[serde(default, deserialize_with = "small")]
    verbose: u8,
}

impl Layers {
    /// Paths as whoever wrote them means them: `~` is the home folder, which no shell has put in for a file; and a
    /// relative path of a file is relative to that file, wherever the command runs.
    fn placed(mut self, figment: &Figment) -> Result<Self, SettingsError> {
        let paths = [
            ("home", &mut self.home),
            ("credentials", &mut self.credentials),
            ("nkey", &mut self.nkey),
            ("key_file", &mut self.key_file),
            ("tls_ca", &mut self.tls_ca),
            ("tls_cert", &mut self.tls_cert),
            ("tls_key", &mut self.tls_key),
        ];
        for (key, path) in paths {
            let Some(path) = path else { continue };
            if let Ok(rest) = path.strip_prefix("~") {
                let home = variable("HOME").ok_or_else(|| SettingsError {
                    message: format!("{key}: {} needs HOME, which is not set", path.display()),
                    hint: Some(Hint::text("write the whole path")),
                })?;
                *path = Path::new(&home).join(rest);
            } else if let Some(figment::Source::File(file)) =
                figment.find_metadata(key).and_then(|metadata| metadata.source.as_ref())
            {
                let beside = file.parent().unwrap_or(Path::new("")).join(&*path);
                *path = std::path::absolute(&beside).unwrap_or(beside);
            }
        }
        Ok(self)
    }
}

/// Puts all layers together.
pub fn load(flags: &Flags) -> Result<Settings, SettingsError> {
    let mut figment = Figment::new();
    let files = files(flags)?;
    for file in &files {
        figment = figment.merge(checked(file)?);
    }
    let environment = Environment::read();
    let figment = figment.merge(&environment).merge(GivenFlags(flags));
    let layers: Layers = figment.extract().map_err(|e| wrong(&e))?;
    let layers = layers.placed(&figment)?;

    let profile_chosen = layers.profile.is_some();
    let profile = layers.profile.unwrap_or_else(|| DEFAULT_PROFILE.into());
    let home = match layers.home {
        Some(home) => home,
        None => {
            below("XDG_DATA_HOME", ".local/share").map(|dir| dir.join("cipher-chat")).ok_or_else(no_home)?
        }
    };
    let home = std::path::absolute(&home).map_err(|e| SettingsError {
        message: format!("home folder {}: {e}", home.display()),
        hint: Some(Hint::text("name it with --home DIR")),
    })?;
    let tls_identity = match (layers.tls_cert, layers.tls_key) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => {
            return Err(SettingsError {
                message: "tls_cert and tls_key are needed together".into(),
                hint: Some(Hint::Config),
            });
        }
    };
    let tls = Tls {
        first: layers.tls_first.unwrap_or_default(),
        authorities: layers.tls_ca,
        identity: tls_identity,
    };
    let mut access = Access { credentials: layers.credentials, nkey: layers.nkey, tls };
    let server_chosen = layers.server.is_some();
    let mut from_up = false;
    let server = layers.server.unwrap_or_else(|| {
        let running = running_server(&home);
        from_up = running.is_some();
        running.unwrap_or_else(|| DEFAULT_SERVER.into())
    });
    crate::net::connect::check(&server)
        .map_err(|error| SettingsError { message: error.message, hint: error.hint })?;

    access.yield_to(&server, &figment, &files);

    let origin = |key: &'static str, value: String| {
        let origin = match figment.find_metadata(key) {
            Some(metadata) => named(metadata, key),
            None if key == "server" && from_up => server_file(&home).display().to_string(),
            None => "default".into(),
        };
        Origin { key, value, origin }
    };
    let told = layers.notify.as_deref().unwrap_or_default().parse().map_err(|wrong: String| {
        SettingsError { message: format!("notify: {wrong}"), hint: Some(Hint::Config) }
    })?;
    let color = match layers.color {
        Color::Auto => "auto",
        Color::Always => "always",
        Color::Never => "never",
    };
    let path = |key, path: Option<&PathBuf>| path.map(|path| origin(key, path.display().to_string()));
    let (certificate, key) =
        access.tls.identity.as_ref().map(|(certificate, key)| (certificate, key)).unzip();
    let mut origins = vec![
        origin("color", color.into()),
        origin("home", home.display().to_string()),
        origin("json", layers.json.to_string()),
        origin("no_input", layers.no_input.to_string()),
        origin("no_markdown", layers.no_markdown.to_string()),
        origin("notify", layers.notify.clone().unwrap_or_else(|| "none".into())),
        origin("profile", profile.clone()),
        origin("server", shown(&server)),
        origin("utc", layers.utc.to_string()),
        origin("verbose", layers.verbose.to_string()),
    ];
    if !layers.notify_command.is_empty() {
        origins.push(origin("notify_command", layers.notify_command.join(" ")));
    }
    // Paths are listed only if somebody set them.
    origins.extend(path("credentials", access.credentials.as_ref()));
    origins.extend(path("nkey", access.nkey.as_ref()));
    origins.extend(path("key_file", layers.key_file.as_ref()));
    if let Some(number) = layers.passphrase_fd {
        origins.push(origin("passphrase_fd", number.to_string()));
    }
    origins.extend(path("tls_ca", access.tls.authorities.as_ref()));
    origins.extend(path("tls_cert", certificate));
    origins.extend(path("tls_key", key));
    if let Some(first) = layers.tls_first {
        origins.push(origin("tls_first", format!("{first:?}").to_lowercase()));
    }
    let credentials = variable("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    Ok(Settings {
        access,
        unlocking: Unlocking::new(layers.key_file, credentials, layers.passphrase_fd, !layers.no_input),
        profile,
        profile_chosen,
        home,
        server,
        server_chosen,
        // What `up` starts is started with our own file.
        synced: layers.sync == Some(DiskSync::Always) || from_up,
        json: layers.json,
        no_input: layers.no_input,
        color: layers.color,
        no_markdown: layers.no_markdown,
        told,
        told_by: layers.notify_command,
        utc: layers.utc,
        plain: variable("NO_COLOR").is_some() || variable("TERM").is_some_and(|term| term == "dumb"),
        verbose: layers.verbose,
        token: token(),
        origins,
        given: Given {
            config: flags.config.clone(),
            home: flags.home.clone(),
            key_file: flags.key_file.clone(),
            profile: flags.profile.clone(),
            server: flags.server.clone(),
        },
    })
}

/// Whether the environment asks for JSON: for errors that happen before there are settings.
pub fn json_wanted() -> bool {
    variable("CIPHER_CHAT_JSON").is_some_and(|text| truth(&text) == Some(true))
}

/// Where a running `up` says how to reach it.
pub fn server_file(home: &Path) -> PathBuf {
    home.join("server.json")
}

fn running_server(home: &Path) -> Option<String> {
    #[derive(Deserialize)]
    struct ServerFile {
        server: String,
    }
    let bytes = std::fs::read(server_file(home)).ok()?;
    serde_json::from_slice::<ServerFile>(&bytes).ok().map(|file| file.server)
}

/// The files to read, weakest first.
fn files(flags: &Flags) -> Result<Vec<PathBuf>, SettingsError> {
    if let Some(file) = flags.config.clone().or_else(|| variable("CIPHER_CHAT_CONFIG").map(PathBuf::from)) {
        return if file.is_file() {
            Ok(vec![file])
        } else {
            Err(SettingsError {
                message: format!("config file {} does not exist", file.display()),
                hint: Some(Hint::text(
                    "name one that is there with --config FILE or CIPHER_CHAT_CONFIG, or leave it out",
                )),
            })
        };
    }
    let user = below("XDG_CONFIG_HOME", ".config").map(|dir| dir.join("cipher-chat/config.toml"));
    let all = [Some(PathBuf::from(SYSTEM_FILE)), user, Some(PathBuf::from(PROJECT_FILE))];
    Ok(all.into_iter().flatten().filter(|file| file.is_file()).collect())
}

/// A file whose keys are all known. Read alone first, so that the error names this file and no other.
fn checked(file: &Path) -> Result<impl Provider, SettingsError> {
    let toml = Toml::file_exact(file);
    let layer: Result<Layers, figment::Error> = Figment::from(Toml::file_exact(file)).extract();
    match layer {
        Ok(_) => Ok(toml),
        Err(error) => {
            let what = error.into_iter().next().map_or_else(String::new, |error| match error.kind {
                figment::error::Kind::UnknownField(key, _) => format!("unknown key `{key}`"),
                kind if error.path.is_empty() => kind.to_string(),
                kind => format!("`{}`: {kind}", error.path.join(".")),
            });
            Err(SettingsError {
                message: format!("config file {}: {}", file.display(), what.trim_end()),
                hint: Some(Hint::text(format!("known keys: {}", KEYS.join(", ")))),
            })
        }
    }
}

fn wrong(error: &figment::Error) -> SettingsError {
    let key = error.path.join(".");
    let source = error.metadata.as_ref().map_or_else(String::new, |metadata| named(metadata, &key));
    SettingsError { message: format!("{source}: {}", error.kind), hint: None }
}

fn named(metadata: &Metadata, key: &str) -> String {
    match (&metadata.source, &*metadata.name) {
        (Some(figment::Source::File(path)), _) => path.display().to_string(),
        (_, ENVIRONMENT) => format!("{PREFIX}{}", key.to_uppercase()),
        (_, FLAG) => format!("--{}", key.replace('_', "-")),
        (_, other) => other.into(),
    }
}

fn no_home() -> SettingsError {
    SettingsError {
        message: "neither HOME nor XDG_DATA_HOME is set, so there is no place for profiles".into(),
        hint: Some(Hint::text("name a folder with --home DIR")),
    }
}

/// `$VARIABLE`, else `$HOME/relative`.
fn below(name: &str, relative: &str) -> Option<PathBuf> {
    // The XDG specification has relative paths ignored.
    let xdg = variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    xdg.or_else(|| variable("HOME").map(|home| Path::new(&home).join(relative)))
}

/// A variable that is set and not empty.
#[expect(clippy::disallowed_methods, reason = "this file is the one reader of the environment")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// `CIPHER_CHAT_TOKEN`. One that is set and empty is a wrong token and not none: it would lift the bounds.
fn token() -> Option<Result<Secret, Error>> {
    std::env::var_os("CIPHER_CHAT_TOKEN").map(|word| word.to_str().unwrap_or_default().parse())
}

const ENVIRONMENT: &str = "environment";
const FLAG: &str = "flag";

/// The layer of `CIPHER_CHAT_…`. Values stay texts: figment's own provider would read a profile `007` as 7.
struct Environment(Dict);

impl Environment {
    fn read() -> Self {
        let found = |key: &str| variable(&format!("{PREFIX}{}", key.to_uppercase()));
        Self(KEYS.iter().filter_map(|key| Some(((*key).to_owned(), Value::from(found(key)?)))).collect())
    }
}

impl Provider for &Environment {
    fn metadata(&self) -> Metadata {
        Metadata::named(ENVIRONMENT)
    }

    fn data(&self) -> Result<Map<figment::Profile, Dict>, figment::Error> {
        Ok(figment::Profile::Default.collect(self.0.clone()))
    }
}

struct GivenFlags<'a>(&'a Flags);

impl Provider for GivenFlags<'_> {
    fn metadata(&self) -> Metadata {
        Metadata::named(FLAG)
    }

    fn data(&self) -> Result<Map<figment::Profile, Dict>, figment::Error> {
        Serialized::defaults(self.0).data()
    }
}

fn truth(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Some(true),
        "0" | "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// A boolean, also as the texts and numbers people put into the environment.
fn yes_or_no<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    struct YesOrNo;
    impl Visitor<'_> for YesOrNo {
        type Value = bool;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("true or false")
        }
        fn visit_bool<E: de::Error>(self, value: bool) -> Result<bool, E> {
            Ok(value)
        }
        fn visit_str<E: de::Error>(self, text: &str) -> Result<bool, E> {
            truth(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
        }
    }
    deserializer.deserialize_any(YesOrNo)
}

/// A program and its words: a list in a file, where no shell takes it apart; of the environment a program alone.
fn words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Words {
        Program(String),
        List(Vec<String>),
    }
    Ok(match Words::deserialize(deserializer)? {
        Words::Program(program) => vec![program],
        Words::List(words) => words,
    })
}

/// The number of a descriptor, also as text.
fn descriptor<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    struct Descriptor;
    impl Visitor<'_> for Descriptor {
        type Value = Option<u32>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("the number of a descriptor")
        }
        fn visit_u64<E: de::Error>(self, value: u64) -> Result<Self::Value, E> {
            let number = u32::try_from(value).ok();
            number.map(Some).ok_or_else(|| E::invalid_value(de::Unexpected::Unsigned(value), &self))
        }
        fn visit_i64<E: de::Error>(self, value: i64) -> Result<Self::Value, E> {
            let number = u32::try_from(value).ok();
            number.map(Some).ok_or_else(|| E::invalid_value(de::Unexpected::Signed(value), &self))
        }
        fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
            text.parse().map(Some).map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
        }
    }
    deserializer.deserialize_any(Descriptor)
}

/// A small number, also as text.
fn small<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    struct Small;
    impl Visitor<'_> for Small {
        type Value = u8;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a number from 0 to 3")
        }
        fn visit_u64<E: de::Error>(self, value: u64) -> Result<u8, E> {
            u8::try_from(value).map_err(|_| E::invalid_value(de::Unexpected::Unsigned(value), &self))
        }
        fn visit_i64<E: de::Error>(self, value: i64) -> Result<u8, E> {
            u8::try_from(value).map_err(|_| E::invalid_value(de::Unexpected::Signed(value), &self))
        }
        fn visit_str<E: de::Error>(self, text: &str) -> Result<u8, E> {
            text.parse().map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
        }
    }
    deserializer.deserialize_any(Small)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(value: &u8) -> bool {
    *value == 0
}
