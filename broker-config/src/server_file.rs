//! The files that nats-server is started with, and the variables they read.
//!
//! The files under `server/` are written by hand except `permissions.conf`, which [`permissions`] renders;
//! `tests/agreement.rs` compares. They are embedded here so that `cipher-chat up` can write them on a machine
//! that has no checkout. Each file says at its top which variables of the environment it needs; the types below
//! render them.

use crate::permission::{self, Permissions};

/// One file: its path below the folder `server/`, with `/`, and its text.
pub type File = (&'static str, &'static str);

/// What a private server needs: write these into one folder and start `nats-server -c embedded.conf` with
/// [`Embedded::environment`].
pub const EMBEDDED: [File; 3] = [
    ("embedded.conf", include_str!("../server/embedded.conf")),
    ("limits.conf", include_str!("../server/limits.conf")),
    ("permissions.conf", include_str!("../server/permissions.conf")),
];

/// Every server file.
pub const ALL: [File; 11] = [
    ("embedded.conf", include_str!("../server/embedded.conf")),
    ("limits.conf", include_str!("../server/limits.conf")),
    ("logins.conf", include_str!("../server/logins.conf")),
    ("permissions.conf", include_str!("../server/permissions.conf")),
    ("single.conf", include_str!("../server/single.conf")),
    ("tls.conf", include_str!("../server/tls.conf")),
    ("cluster/common.conf", include_str!("../server/cluster/common.conf")),
    ("cluster/n1.conf", include_str!("../server/cluster/n1.conf")),
    ("cluster/n2.conf", include_str!("../server/cluster/n2.conf")),
    ("cluster/n3.conf", include_str!("../server/cluster/n3.conf")),
    ("cluster/tls.conf", include_str!("../server/cluster/tls.conf")),
];

/// The program that finds or fetches a nats-server, and the hashes it reads from beside itself. Python 3.
pub const FINDER: [File; 2] = [
    ("get-nats-server", include_str!("../../deploy/get-nats-server")),
    ("nats-server.sha256", include_str!("../../deploy/nats-server.sha256")),
];

/// Login with the fewest permissions; a connection without a login gets it on a private server.
pub const AGENT: &str = "agent";
/// Login of the registry.
pub const REGISTRY: &str = "registry";
/// Login that sees the servers and no chat traffic.
pub const OPERATOR: &str = "operator";
/// Login of the servers of a cluster among each other.
pub const ROUTE: &str = "route";

/// Names and values for the environment of a server process.
pub type Environment = Vec<(&'static str, String)>;

/// How a private server (`embedded.conf`) is started.
#[derive(Debug, Clone, Copy)]
pub struct Embedded<'a> {
    /// Port for clients on 127.0.0.1. `None` takes a free one, which `--ports_file_dir DIR` tells.
    pub port: Option<u16>,
    /// Port for monitoring on 127.0.0.1; `None` as above.
    pub http_port: Option<u16>,
    /// Folder for the streams.
    pub store: &'a str,
    /// Password of [`REGISTRY`].
    pub registry_password: &'a str,
}

impl Embedded<'_> {
    /// The variables that `embedded.conf` reads.
    pub fn environment(&self) -> Environment {
        vec![
            ("CIPHER_NATS_PORT", port(self.port)),
            ("CIPHER_NATS_HTTP_PORT", port(self.http_port)),
            ("CIPHER_NATS_STORE", quoted(self.store)),
            ("CIPHER_REGISTRY_PASSWORD", quoted(self.registry_password)),
        ]
    }
}

/// How a server that others can reach (`single.conf`) is started.
#[derive(Debug, Clone, Copy)]
pub struct Single<'a> {
    /// Address to listen on.
    pub host: &'a str,
    /// Port for clients; `None` takes a free one.
    pub port: Option<u16>,
    /// Port for monitoring, on 127.0.0.1 whatever `host` is; `None` takes a free one.
    pub http_port: Option<u16>,
    /// Folder for the streams.
    pub store: &'a str,
    /// Password of [`AGENT`].
    pub agent_password: &'a str,
    /// Password of [`REGISTRY`].
    pub registry_password: &'a str,
    /// Password of [`OPERATOR`].
    pub operator_password: &'a str,
}

impl Single<'_> {
    /// The variables that `single.conf` and `logins.conf` read.
    pub fn environment(&self) -> Environment {
        vec![
            ("CIPHER_NATS_HOST", quoted(self.host)),
            ("CIPHER_NATS_PORT", port(self.port)),
            ("CIPHER_NATS_HTTP", quoted(&format!("127.0.0.1:{}", port(self.http_port)))),
            ("CIPHER_NATS_STORE", quoted(self.store)),
            ("CIPHER_AGENT_PASSWORD", quoted(self.agent_password)),
            ("CIPHER_REGISTRY_PASSWORD", quoted(self.registry_password)),
            ("CIPHER_OPERATOR_PASSWORD", quoted(self.operator_password)),
        ]
    }
}

/// How one server of a cluster (`cluster/n1.conf` and its like) is started.
#[derive(Debug, Clone, Copy)]
pub struct Node<'a> {
    /// As for one server alone.
    pub server: Single<'a>,
    /// Port for the other servers.
    pub cluster_port: u16,
    /// Host and cluster port of every server, this one too.
    pub routes: &'a [(&'a str, u16)],
    /// What the servers of the cluster show each other. Letters and digits: it travels in URLs.
    pub route_password: &'a str,
}

impl Node<'_> {
    /// The variables that `cluster/*.conf` and `logins.conf` read.
    pub fn environment(&self) -> Environment {
        let mut environment = self.server.environment();
        let routes: Vec<String> = self
            .routes
            .iter()
            .map(|(host, port)| quoted(&format!("nats://{ROUTE}:{}@{host}:{port}", self.route_password)))
            .collect();
        environment.extend([
            ("CIPHER_NATS_CLUSTER_PORT", port(Some(self.cluster_port))),
            ("CIPHER_NATS_ROUTES", format!("[{}]", routes.join(", "))),
            ("CIPHER_ROUTE_PASSWORD", quoted(self.route_password)),
        ]);
        environment
    }
}

/// A text as the server's parser takes it for exactly this text: bare digits would be a number, and a blank
/// would end a path.
pub fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len().saturating_add(2));
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

/// The text of `permissions.conf`: one variable per login, from [`permission`].
pub fn permissions() -> String {
    let mut text = String::from(
        "# Rendered from src/permission.rs; do not edit. `CIPHER_BLESS=1 cargo test -p cipher-broker agreement`\n\
         # writes it anew.\n",
    );
    for (name, of) in [("AGENT", permission::agent()), ("REGISTRY", permission::registry())] {
        let Permissions { publish, subscribe } = of;
        text.push_str(&format!("\n{name}_PERMISSIONS {{\n"));
        for (verb, subjects) in [("publish", publish), ("subscribe", subscribe)] {
            text.push_str(&format!("  {verb}: [\n"));
            for subject in subjects {
                text.push_str(&format!("    {}\n", quoted(&subject)));
            }
            text.push_str("  ]\n");
        }
        text.push_str("}\n");
    }
    text
}

fn port(port: Option<u16>) -> String {
    port.map_or_else(|| "-1".into(), |port| port.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_text_is_one_value_whatever_is_in_it() {
        assert_eq!(quoted("123"), "\"123\"");
        assert_eq!(quoted("a b\"c\\d\n#$x"), "\"a b\\\"c\\\\d\\n#$x\"");
    }

    #[test]
    fn routes_name_every_server() {
        let server = Single {
            host: "127.0.0.1",
            port: None,
            http_port: Some(8222),
            store: "/s",
            agent_password: "a",
            registry_password: "r",
            operator_password: "o",
        };
        let routes = [("h1", 1), ("h2", 2)];
        let node = Node { server, cluster_port: 1, routes: &routes, route_password: "p" };
        let environment = node.environment();
        let value = |name| environment.iter().find(|(n, _)| *n == name).map(|(_, v)| v.as_str());
        assert_eq!(value("CIPHER_NATS_PORT"), Some("-1"));
        assert_eq!(value("CIPHER_NATS_ROUTES"), Some("[\"nats://route:p@h1:1\", \"nats://route:p@h2:2\"]"));
    }
}
