//! How to reach a broker, as data.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use cipher_broker::limit;
use cipher_connection::Tls;
use cipher_connection::address::shown;

/// Everything needed to connect.
#[derive(Clone)]
pub struct NetworkSettings {
    /// One or more URLs, separated by commas: all `nats://` or all `tls://`, host, port. A URL may carry
    /// `USER:PASSWORD@` or `TOKEN@`, percent-encoded (RFC 3986).
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

/// Without logins.
impl fmt::Debug for NetworkSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { server, login, tls, registry_timeout } = self;
        f.debug_struct("NetworkSettings")
            .field("server", &shown(server))
            .field("login", login)
            .field("tls", tls)
            .field("registry_timeout", registry_timeout)
            .finish()
    }
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
        let mut settings = NetworkSettings::new("nats://planted:planted@h");
        settings.login = Login::Password { user: "planted-user".into(), password: "planted-word".into() };
        assert!(!format!("{settings:?}").contains("planted"));
    }
}
