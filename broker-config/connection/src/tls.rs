//! TLS to the broker: what is asked for, and how a server begins.
//!
//! A server begins in one of two ways: it says what it is (`INFO`) and both change to TLS then, or it waits for TLS
//! (`handshake_first`, as our own server files have it). Who does not know finds out with a greeting that both
//! understand: the first message of TLS. The first byte of the answer tells, and no login was said.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_nats::ServerAddr;
use async_nats::rustls::pki_types::pem::PemObject as _;
use async_nats::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use async_nats::rustls::{ClientConfig, ClientConnection, RootCertStore};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

/// How long a greeting may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// First byte of a TLS record that holds a handshake message, or an alert (RFC 8446 §5.1).
const HANDSHAKE: u8 = 0x16;
const ALERT: u8 = 0x15;

/// Whether TLS comes before the first word of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum First {
    /// As the server has it, for `tls://`; else no.
    #[default]
    Auto,
    /// Always (`handshake_first` of the server).
    Yes,
    /// Never: the server speaks first.
    No,
}

/// Transport security.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// Whether TLS comes first.
    pub first: First,
    /// Authorities to trust instead of those of the system (PEM).
    pub authorities: Option<PathBuf>,
    /// Client certificate and key (PEM).
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// How a server begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Greeting {
    /// It waits for TLS.
    Tls,
    /// It speaks first; whether it offers TLS then.
    Info {
        /// It offers or wants TLS.
        tls: bool,
    },
    /// It speaks, and not NATS.
    Other,
    /// It cannot be reached, or says nothing.
    Silent,
}

impl Tls {
    /// Fails with one sentence unless every file named is there and holds what it is for.
    pub fn verify(&self) -> Result<(), String> {
        if let Some(path) = &self.authorities {
            certificates(path)?;
        }
        if let Some((certificate, key)) = &self.identity {
            certificates(certificate)?;
            PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(key, "private key", &error))?;
        }
        Ok(())
    }
}

fn certificates(path: &Path) -> Result<(), String> {
    let unusable = |error| unusable(path, "certificate", &error);
    let mut found = CertificateDer::pem_file_iter(path).map_err(unusable)?;
    match found.next() {
        Some(Ok(_)) => found.try_for_each(|next| next.map(drop)).map_err(unusable),
        Some(Err(error)) => Err(unusable(error)),
        None => Err(format!("{} holds no certificate (PEM)", path.display())),
    }
}

fn unusable(path: &Path, what: &str, error: &async_nats::rustls::pki_types::pem::Error) -> String {
    match error {
        async_nats::rustls::pki_types::pem::Error::Io(error) => {
            format!("the {what} {} cannot be read: {error}", path.display())
        }
        _ => format!("{} holds no {what} (PEM)", path.display()),
    }
}

/// Finds out how a server begins. No login is said, and no certificate is looked at.
pub async fn greeting(address: &ServerAddr) -> Greeting {
    tokio::time::timeout(PATIENCE, greet(address)).await.ok().flatten().unwrap_or(Greeting::Silent)
}

async fn greet(address: &ServerAddr) -> Option<Greeting> {
    let hello = hello(address)?;
    let mut stream = BufReader::new(TcpStream::connect((address.host(), address.port())).await.ok()?);
    stream.write_all(&hello).await.ok()?;
    let first = stream.fill_buf().await.ok()?.first().copied()?;
    if first == HANDSHAKE || first == ALERT {
        return Some(Greeting::Tls);
    }
    let mut line = Vec::new();
    tokio::io::AsyncReadExt::take(&mut stream, 64 * 1024).read_until(b'\n', &mut line).await.ok()?;
    Some(info(&line).unwrap_or(Greeting::Other))
}

/// The first message of TLS, made by the library that would go on with it.
fn hello(address: &ServerAddr) -> Option<Vec<u8>> {
    let name = ServerName::try_from(address.host().to_owned()).ok()?;
    let config = ClientConfig::builder().with_root_certificates(RootCertStore::empty()).with_no_client_auth();
    let mut connection = ClientConnection::new(Arc::new(config), name).ok()?;
    let mut hello = Vec::new();
    connection.write_tls(&mut hello).ok()?;
    Some(hello)
}

fn info(line: &[u8]) -> Option<Greeting> {
    #[derive(Deserialize)]
    struct Info {
        #[serde(default)]
        tls_required: bool,
        #[serde(default)]
        tls_available: bool,
    }
    let json = line.strip_prefix(b"INFO ")?;
    let info: Info = serde_json::from_slice(json).ok()?;
    Some(Greeting::Info { tls: info.tls_required || info.tls_available })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn a_server_is_known_by_its_first_byte() {
        for (says, expected) in [
            (&b"\x16\x03\x03\x00\x01"[..], Greeting::Tls),
            (b"\x15\x03\x03\x00\x02\x02\x28", Greeting::Tls),
            (b"INFO {\"tls_required\":true}\r\n", Greeting::Info { tls: true }),
            (b"INFO {\"tls_available\":true}\r\n", Greeting::Info { tls: true }),
            (b"INFO {}\r\n", Greeting::Info { tls: false }),
            (b"SSH-2.0\r\n", Greeting::Other),
            (b"", Greeting::Silent),
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = format!("tls://{}", listener.local_addr().unwrap()).parse().unwrap();
            let server = async {
                let (mut stream, _) = listener.accept().await.unwrap();
                stream.write_all(says).await.unwrap();
                stream.shutdown().await.unwrap();
                stream
            };
            let (greeting, _stream) = tokio::join!(greeting(&address), server);
            assert_eq!(greeting, expected, "{says:?}");
        }
        assert_eq!(greeting(&"tls://127.0.0.1:1".parse().unwrap()).await, Greeting::Silent);
    }

    #[test]
    fn a_file_that_is_missing_or_holds_something_else_is_told() {
        let named = |name: &str| Some(PathBuf::from(name));
        let tls = Tls { authorities: named("/nowhere/ca.pem"), ..Tls::default() };
        assert!(tls.verify().unwrap_err().contains("cannot be read"));
        let tls = Tls { authorities: named("Cargo.toml"), ..Tls::default() };
        assert_eq!(tls.verify().unwrap_err(), "Cargo.toml holds no certificate (PEM)");
        let pair = Some(("/nowhere/c".into(), "/nowhere/k".into()));
        assert!(Tls { identity: pair, ..Tls::default() }.verify().is_err());
        assert_eq!(Tls::default().verify(), Ok(()));
    }
}
