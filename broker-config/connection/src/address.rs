//! A list of servers as people write it, and each server's login in it (RFC 3986: user and password percent-decoded).

use std::fmt;

use async_nats::ServerAddr;
use percent_encoding::percent_decode_str;

/// Servers of one broker, at least one, each without its login.
#[derive(Clone, PartialEq, Eq)]
pub struct Servers(Vec<Server>);

/// One server.
#[derive(Clone, PartialEq, Eq)]
pub struct Server {
    /// Where it is: scheme, host and port only.
    pub address: ServerAddr,
    /// The login that its URL carries.
    pub login: Option<UrlLogin>,
}

/// A login in a URL, decoded.
#[derive(Clone, PartialEq, Eq)]
pub enum UrlLogin {
    /// `USER:PASSWORD@`
    Password {
        /// The user.
        user: String,
        /// The password.
        password: String,
    },
    /// `TOKEN@`, as NATS has it: a user without password.
    Token(String),
}

/// Why a text is no list of servers. Shows no login.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{shown} is not the address of a NATS server: {why}")]
pub struct NoServers {
    shown: String,
    why: &'static str,
    /// What to write instead.
    pub hint: &'static str,
}

const FORM: &str = "write it as nats://HOST:PORT or tls://HOST:PORT, several with commas between them";
const ESCAPE: &str = "in a password, write @ as %40, a comma as %2C, / as %2F, : as %3A and % as %25";

impl Servers {
    /// Reads URLs separated by commas: `nats://` (also when nothing is written) or `tls://`, `USER:PASSWORD@` or
    /// `TOKEN@`, host, port (4222).
    pub fn parse(list: &str) -> Result<Self, NoServers> {
        let wrong = |why, hint| NoServers { shown: shown(list), why, hint };
        let mut servers = Vec::new();
        for text in list.split(',').map(str::trim).filter(|text| !text.is_empty()) {
            servers.push(Server::parse(text).map_err(|(why, hint)| wrong(why, hint))?);
        }
        let secure = servers.iter().filter(|server| server.address.tls_required()).count();
        if servers.is_empty() {
            return Err(wrong("it names no host", FORM));
        }
        if secure != 0 && secure != servers.len() {
            return Err(wrong(
                "some of these are tls:// and some are not",
                "write tls:// before each of them",
            ));
        }
        Ok(Self(servers))
    }

    /// The servers, in the order in which they were written.
    pub fn list(&self) -> &[Server] {
        &self.0
    }

    /// The addresses, as the client library takes them.
    pub fn addresses(&self) -> Vec<ServerAddr> {
        self.0.iter().map(|server| server.address.clone()).collect()
    }

    /// Whether they are to be reached by TLS only (`tls://`).
    pub fn secure(&self) -> bool {
        self.0.iter().all(|server| server.address.tls_required())
    }

    /// Whether all are on this machine: nobody else sees what is said to them.
    pub fn loopback(&self) -> bool {
        self.0.iter().all(|server| {
            let host = server.address.host();
            host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        })
    }

    /// The login for a server: its own, or the first of the list for one that the broker told of.
    pub fn login_of(&self, address: &ServerAddr) -> Option<&UrlLogin> {
        match self.0.iter().find(|server| server.address == *address) {
            Some(server) => server.login.as_ref(),
            None => self.0.iter().find_map(|server| server.login.as_ref()),
        }
    }

    /// Whether any URL carries a login.
    pub fn carry_login(&self) -> bool {
        self.0.iter().any(|server| server.login.is_some())
    }
}

impl Server {
    fn parse(text: &str) -> Result<Self, (&'static str, &'static str)> {
        match text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase()) {
            Some(scheme) if scheme == "ws" || scheme == "wss" => {
                return Err((
                    "WebSocket is not supported",
                    "use the broker's port for NATS clients: nats:// or tls://",
                ));
            }
            Some(scheme) if scheme != "nats" && scheme != "tls" => {
                return Err(("its scheme is unknown", FORM));
            }
            _ => {}
        }
        let given: ServerAddr = text.parse().map_err(|_| ("it cannot be read", ESCAPE))?;
        let url = given.clone().into_inner();
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(("something stands behind host and port", ESCAPE));
        }
        if given.host().is_empty() {
            return Err(("it names no host", FORM));
        }
        let decoded = |text: &str| {
            let decoded = percent_decode_str(text).decode_utf8().map(|text| text.into_owned());
            decoded.map_err(|_| ("its login is not UTF-8 when decoded", ESCAPE))
        };
        // An empty password is a password, though the parsed URL no longer shows it: `USER:@HOST` is no token.
        let userinfo = text.rsplit_once('@').map_or("", |(before, _)| before);
        let userinfo = userinfo.split_once("://").map_or(userinfo, |(_, after)| after);
        let password = url.password().or_else(|| userinfo.contains(':').then_some(""));
        let login = match (url.username(), password) {
            ("", None) => None,
            (token, None) => Some(UrlLogin::Token(decoded(token)?)),
            (user, Some(password)) => {
                Some(UrlLogin::Password { user: decoded(user)?, password: decoded(password)? })
            }
        };
        let Some(host) = url.host_str() else { return Err(("it names no host", FORM)) };
        let bare = format!("{}://{host}:{}", url.scheme(), given.port());
        let address = bare.parse().map_err(|_| ("it cannot be read", FORM))?;
        Ok(Self { address, login })
    }
}

/// Without logins.
impl fmt::Display for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, server) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            write!(f, "{server}")?;
        }
        Ok(())
    }
}

/// Without its login.
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.address.as_url_str().trim_end_matches('/'))
    }
}

impl fmt::Debug for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for UrlLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Password { .. } => "Password(secret)",
            Self::Token(_) => "Token(secret)",
        })
    }
}

/// A list of servers as it may be shown, also one that cannot be read: whatever may belong to a login is left out.
pub fn shown(list: &str) -> String {
    // A comma, a slash or an @ that was not escaped may stand inside a password: all up to the last @ may be login.
    // Only a whole URL that is sound by itself is shown of what stands before it.
    if let Some((before, behind)) = list.rsplit_once('@') {
        let whole = |url: &&str| url.contains("://") && Server::parse(url).is_ok();
        let pieces: Vec<&str> = before.split(',').map(str::trim).collect();
        // What follows a whole URL and is none itself may be the rest of its password.
        let mut kept: Vec<String> = Vec::new();
        for (index, piece) in pieces.iter().enumerate() {
            let next_begins = pieces.get(index.saturating_add(1)).is_some_and(|next| next.contains("://"));
            if whole(piece) && next_begins {
                kept.extend(Server::parse(piece).map(|server| server.to_string()));
            }
        }
        let last = pieces.last().copied().unwrap_or_default();
        let scheme = last.split_once("://").map(|(scheme, _)| scheme).filter(|scheme| is_scheme(scheme));
        let host = cut(behind);
        kept.push(scheme.map_or_else(|| host.clone(), |scheme| format!("{scheme}://{host}")));
        return kept.join(",");
    }
    list.split(',')
        .map(|url| match url.trim().split_once("://") {
            Some((scheme, rest)) if is_scheme(scheme) => format!("{scheme}://{}", cut(rest)),
            _ => cut(url.trim()),
        })
        .collect::<Vec<_>>()
        .join(",")
}

fn is_scheme(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 12
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

/// Host and port: up to what begins a path or a query.
fn cut(text: &str) -> String {
    // Commas are kept: several hosts may follow the last login.
    text.split(['/', '?', '#']).next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(user: &str, password: &str) -> Option<UrlLogin> {
        Some(UrlLogin::Password { user: user.into(), password: password.into() })
    }

    /// C1, C6
    #[test]
    fn c1_c6_each_server_has_its_own_login_and_every_part_is_decoded() {
        let list = "nats://u:a%40b@h, tls://x";
        assert!(Servers::parse(list).is_err(), "tls:// and nats:// are not mixed");
        let list = "tls://u:a%40b%2C%2F%3A%25@h:1,tls://t%6Fken@[::1],tls://%C3%A4:@k,tls://bare";
        let servers = Servers::parse(list).unwrap();
        let logins: Vec<_> = servers.list().iter().map(|server| server.login.clone()).collect();
        assert_eq!(
            logins,
            [password("u", "a@b,/:%"), Some(UrlLogin::Token("token".into())), password("ä", ""), None]
        );
        assert_eq!(servers.to_string(), "tls://h:1,tls://[::1]:4222,tls://k:4222,tls://bare:4222");
        assert!(servers.secure() && !servers.loopback() && servers.carry_login());
        for server in servers.list() {
            assert_eq!(servers.login_of(&server.address), server.login.as_ref());
        }
        let told = "tls://other:4222".parse().unwrap();
        assert_eq!(servers.login_of(&told), password("u", "a@b,/:%").as_ref());
        assert!(Servers::parse("127.0.0.1:4222,localhost").unwrap().loopback());
    }

    /// C2, C6
    #[test]
    fn c2_c6_what_cannot_be_used_is_told_in_one_sentence_without_its_login() {
        for list in [
            "nats://planted:se,cret-planted@h",
            "nats://u:planted/x@h",
            "nats://u:planted?x@h",
            "nats://u:planted#x@h",
            "nats://u:p@planted@planted@h/path",
            "http://planted:planted@h",
            "ws://planted@h:1",
            "wss://h",
            "nats://%FF:planted@h",
            "nats://u:planted@h:port",
            "nats://u:planted@",
            "nats:// ",
            "",
            ",,",
            "nats://h?password=planted",
        ] {
            let error = Servers::parse(list).expect_err(list);
            let told = format!("{error} {error:?}");
            assert!(!told.contains("planted") && !told.contains("cret"), "{list}: {told}");
            assert!(!error.to_string().contains('\n') && !error.hint.is_empty());
        }
    }

    #[test]
    fn what_is_shown_names_every_host_that_is_sound_and_no_login() {
        for (list, expected) in [
            ("nats://u:p@a:1,nats://v:q@b:2", "nats://a:1,nats://b:2"),
            ("nats://a:1,nats://b:2", "nats://a:1,nats://b:2"),
            ("nats://u:se,cret@h:1", "h:1"),
            ("u:p@h", "h"),
            ("host", "host"),
        ] {
            assert_eq!(shown(list), expected, "{list}");
        }
        let servers = Servers::parse("nats://u:planted@a,nats://planted@b").unwrap();
        assert!(!format!("{servers:?} {:?} {servers}", servers.list()).contains("planted"));
        assert!(!format!("{:?}", servers.list()[0].login).contains("planted"));
    }
}
