//! How to reach a broker, as data.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use cipher_broker::limit;

/// Everything needed to connect.
#[derive(Debug, Clone)]
pub struct NetworkSettings {
    /// One or more URLs, separated by commas: `nats://` or `tls://`, host, port. A URL may carry `user:password@`.
    pub server: String,
    /// How to log in; wins over what a URL carries.
    pub login: Login,
    /// Transport security beyond what the URL says.
    pub tls: Tls,
    /// How long to wait for an answer of the registry.
    pub registry_timeout: Duration,
}

/// How to log in.
#[derive(Clone, Default)]
pub enum Login {
    /// As the server treats connections without a login, or as the URL says.
    #[default]
    None,
    /// User and password.
    Password {
        /// Name of the user.
        user: String,
        /// Password.
        password: String,
    },
    /// A token.
    Token(String),
    /// File with an nkey seed. Only ever used to log in: the server chooses the bytes it signs.
    Nkey(PathBuf),
    /// File with a user JWT and its seed, as made by `nsc`.
    Credentials(PathBuf),
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Password { .. } => "Password(secret)",
            Self::Token(_) => "Token(secret)",
            Self::Nkey(_) => "Nkey(file)",
            Self::Credentials(_) => "Credentials(file)",
        })
    }
}

/// Transport security.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// Refuse servers without it, whatever the URL says.
    pub required: bool,
    /// TLS before the first byte of the protocol (`handshake_first` of the server).
    pub first: bool,
    /// Authorities to trust besides those of the system (PEM).
    pub authorities: Option<PathBuf>,
    /// Client certificate and key (PEM).
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl NetworkSettings {
    /// A server, and otherwise what most need.
    pub fn new(server: impl Into<String>) -> Self {
        Self {
            server: server.into(),
            login: Login::None,
            tls: Tls::default(),
            registry_timeout: limit::REQUEST_TIMEOUT,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_secret() {
        let mut settings = NetworkSettings::new("nats://h");
        settings.login = Login::Password { user: "planted-user".into(), password: "planted-word".into() };
        assert!(!format!("{settings:?}").contains("planted"));
    }
}
