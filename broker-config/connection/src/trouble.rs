//! What stands between us and the broker, in one sentence.
//!
//! The client library tells the cause of a failed attempt as a text only (its pool of servers holds no error), so it is
//! told apart by the words of rustls and of the library; a test with real servers holds every one of them.

use std::fmt;

use async_nats::ServerAddr;

use crate::tls::{self, Greeting};

/// Why an attempt to connect failed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trouble {
    /// The port is closed.
    Nobody,
    /// No such host.
    NoHost,
    /// No answer in time.
    Slow,
    /// The login is refused.
    Login,
    /// The server's certificate comes from an authority that is not trusted here.
    UnknownAuthority,
    /// The server's certificate is for other names; which, as the library lists them.
    WrongName(String),
    /// The server's certificate has expired.
    Expired,
    /// The server's certificate is not valid yet.
    NotYetValid,
    /// The server's certificate is unsound in another way.
    BadCertificate,
    /// The server wants a certificate of ours, and there is none.
    CertificateWanted,
    /// The server does not take our certificate.
    CertificateRefused,
    /// TLS is asked for, and the server has none.
    NoTls,
    /// The server takes TLS only, before anything is said, and we did not begin with it.
    TlsWanted,
    /// The server speaks first, and we began with TLS.
    InfoFirst,
    /// Both speak TLS and find no version or suite in common.
    NoCommonTls,
    /// Something answers that is no NATS server.
    NotNats,
    /// A file for TLS is missing or holds something else.
    File(String),
    /// The connection broke while it was made.
    Broken,
    /// The server takes no more connections.
    Full,
    /// The servers there have lost their cluster: they answer, and no stream does.
    NoCluster,
}

impl Trouble {
    /// What the text of a failed attempt means.
    pub fn of(text: &str) -> Self {
        let has = |words: &str| text.contains(words);
        if has("authorization violation") || has("authentication") || has("authorization timeout") {
            Self::Login
        } else if has("invalid peer certificate") {
            certificate(text)
        } else if has("CertificateRequired") {
            Self::CertificateWanted
        } else if has("received fatal alert") {
            match () {
                () if has("BadCertificate") || has("UnknownCA") || has("CertificateUnknown") => {
                    Self::CertificateRefused
                }
                () if has("CertificateExpired") || has("CertificateRevoked") => Self::CertificateRefused,
                () if has("UnsupportedCertificate") || has("AccessDenied") => Self::CertificateRefused,
                () => Self::NoCommonTls,
            }
        } else if has("peer is incompatible") {
            Self::NoCommonTls
        } else if has("received corrupt message") {
            Self::InfoFirst
        } else if has("could not load certs")
            || has("could not load platform certs")
            || has("could not load certificates")
        {
            Self::File("an authority that is to be trusted cannot be read (tls_ca)".into())
        } else if has("could not load private key")
            || has("could not add certificate or key")
            || has("found certificate, but no key")
        {
            Self::File("the client certificate and its key do not go together (tls_cert, tls_key)".into())
        } else if has("timed out") {
            Self::Slow
        } else if has("maximum connections exceeded") {
            Self::Full
        } else if has("Connection refused") || has("Network is unreachable") || has("No route to host") {
            Self::Nobody
        } else if has("DNS") || has("lookup address") || has("resolve") {
            Self::NoHost
        } else if has("failed to fill")
            || has("expected INFO, got nothing")
            || has("end of file")
            || has("reset by peer")
            || has("roken pipe")
            || has("eof")
        {
            Self::Broken
        } else if has("expected INFO") || has("parse") || has("nvalid") {
            Self::NotNats
        } else {
            Self::Broken
        }
    }

    /// The same, made sure of where the text alone cannot tell: the server is asked how it begins.
    pub async fn at(text: &str, address: &ServerAddr) -> Self {
        let trouble = Self::of(text);
        match trouble {
            Self::Slow | Self::Broken | Self::InfoFirst | Self::NotNats => match tls::greeting(address).await
            {
                Greeting::Info { tls: false } if address.tls_required() => Self::NoTls,
                Greeting::Info { tls: true } if trouble == Self::InfoFirst => Self::InfoFirst,
                // It waits for TLS, and nothing of TLS went wrong.
                Greeting::Tls if !address.tls_required() && trouble != Self::InfoFirst => Self::TlsWanted,
                Greeting::Other => Self::NotNats,
                _ => trouble,
            },
            trouble => trouble,
        }
    }

    /// Whether waiting may end it: what a person has to change does not go by itself.
    pub const fn passing(&self) -> bool {
        matches!(
            self,
            Self::Nobody
                | Self::NoHost
                | Self::Slow
                | Self::Broken
                | Self::Full
                | Self::NoCluster
                | Self::NotYetValid
        )
    }

    /// What to do about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Nobody | Self::NoHost | Self::Slow | Self::Broken => {
                "start one with `cipher-chat up`, or name another with --server"
            }
            Self::Login => {
                "check user and password, token, nkey or credentials: cipher-chat config show --origin"
            }
            Self::UnknownAuthority => {
                "name the authority's certificate: tls_ca in a settings file, or CIPHER_CHAT_TLS_CA (CIPHER_REGISTRY_TLS_CA)"
            }
            Self::WrongName(_) => {
                "use the name that the certificate has, or have a certificate made for this one"
            }
            Self::Expired | Self::NotYetValid | Self::BadCertificate => {
                "check this machine's clock; if it is right, the broker needs another certificate"
            }
            Self::CertificateWanted => "name a client certificate and its key: tls_cert and tls_key",
            Self::CertificateRefused => {
                "the broker must trust who signed the client certificate, and it must be valid now"
            }
            Self::NoTls => {
                "write nats:// if no third party can listen, or give the broker TLS: deploy/README.md"
            }
            Self::TlsWanted => "write tls:// instead of nats://",
            Self::InfoFirst => "set tls_first to auto or no",
            Self::NoCommonTls => "the broker's tls block sets versions and suites; ours are TLS 1.3 and 1.2",
            Self::NotNats => "check host and port: clients use the broker's port for clients",
            Self::File(_) => "cipher-chat config show --origin tells where each path comes from",
            Self::Full => "the operator can raise max_connections of the broker",
            Self::NoCluster => {
                "the operator sees with `cipher-registry provision --verify` and healthz which servers are apart"
            }
        }
    }
}

fn certificate(text: &str) -> Trouble {
    let has = |words: &str| text.contains(words);
    if has("UnknownIssuer") || has("BadSignature") {
        Trouble::UnknownAuthority
    } else if has("not valid for name") {
        let names = text.rsplit_once("only valid for ").map_or("other names", |(_, names)| names);
        // As rustls shows a name: DnsName("broker.example").
        let names =
            names.replace("DnsName(\"", "").replace("IpAddress(", "").replace("\")", "").replace(')', "");
        Trouble::WrongName(names.chars().filter(|c| !c.is_control()).take(200).collect())
    } else if has("certificate expired") || has("Expired") {
        Trouble::Expired
    } else if has("not valid yet") || has("NotValidYet") {
        Trouble::NotYetValid
    } else {
        Trouble::BadCertificate
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nobody => "nothing answers there",
            Self::NoHost => "there is no such host",
            Self::Slow => "it does not answer in time",
            Self::Login => "it refuses the login",
            Self::UnknownAuthority => "its certificate comes from an authority that is not trusted here",
            Self::WrongName(names) => return write!(f, "its certificate is for {names}, not for this name"),
            Self::Expired => "its certificate has expired",
            Self::NotYetValid => "its certificate is not valid yet",
            Self::BadCertificate => "its certificate is not sound",
            Self::CertificateWanted => "it wants a client certificate, and none is set",
            Self::CertificateRefused => "it does not take our client certificate",
            Self::NoTls => "TLS is asked for (tls://), and it has none",
            Self::TlsWanted => "it speaks TLS only, from the first byte on",
            Self::InfoFirst => "it speaks before TLS begins, and tls_first is yes",
            Self::NoCommonTls => "it and we find no version of TLS in common",
            Self::NotNats => "what answers there is not a NATS server",
            Self::File(what) => return f.write_str(what),
            Self::Broken => "it breaks the connection off",
            Self::Full => "it takes no more connections",
            Self::NoCluster => "it has lost the other servers of its cluster",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c3_each_failure_of_tls_has_its_own_sentence() {
        let peer = "IO error: invalid peer certificate: ";
        for (text, trouble) in [
            (format!("{peer}UnknownIssuer"), Trouble::UnknownAuthority),
            (format!("{peer}BadSignature"), Trouble::UnknownAuthority),
            (
                format!(
                    "{peer}certificate not valid for name \"localhost\"; certificate is only valid for DnsName(\"a\") or DnsName(\"b\")"
                ),
                Trouble::WrongName("a or b".into()),
            ),
            (format!("{peer}certificate expired: verification time 2 (UNIX), but …"), Trouble::Expired),
            (
                format!("{peer}certificate not valid yet: verification time 2 (UNIX), but …"),
                Trouble::NotYetValid,
            ),
            ("IO error: received fatal alert: CertificateRequired".into(), Trouble::CertificateWanted),
            ("IO error: received fatal alert: BadCertificate".into(), Trouble::CertificateRefused),
            ("IO error: received fatal alert: ProtocolVersion".into(), Trouble::NoCommonTls),
            ("IO error: received corrupt message of type InvalidContentType".into(), Trouble::InfoFirst),
            ("authorization violation: nats: authorization violation".into(), Trouble::Login),
            ("IO error: Connection refused (os error 111)".into(), Trouble::Nobody),
            ("timed out".into(), Trouble::Slow),
            ("IO error: expected INFO, got nothing".into(), Trouble::Broken),
        ] {
            assert_eq!(Trouble::of(&text), trouble, "{text}");
            assert!(!trouble.to_string().is_empty() && !trouble.hint().is_empty());
        }
    }
}
