//! What makes a key package acceptable (RFC 9420 §10.1, and our rules on credential, suite and lifetime).

use cipher_broker::certificate::{CREDENTIAL_TYPE, DeviceCertificate};
use cipher_broker::limit;
use cipher_broker::sign::wire_hash;
use cipher_broker::time::Timestamp;
use cipher_broker::wire::refusal::{Code, Refusal};
use openmls::prelude::{CredentialType, KeyPackageIn, KeyPackageVerifyError, ProtocolVersion};
use openmls_rust_crypto::RustCrypto;
use tls_codec::{Deserialize, VLBytes};

use crate::caller::Caller;

/// Suites that groups use: X25519 with ChaCha20-Poly1305, and its hybrid with ML-KEM-768.
pub(crate) const SUITES: [u16; 2] = [0x0003, 0x004F];

/// A key package that may be handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Acceptable {
    /// Its cipher suite.
    pub(crate) suite: u16,
    /// When it ends.
    pub(crate) not_after: Timestamp,
    /// SHA-256 of its bytes.
    pub(crate) hash: [u8; 32],
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
}

/// Examines the key packages of one request.
pub(crate) struct Examiner<'a> {
    caller: &'a Caller,
    crypto: RustCrypto,
    now: Timestamp,
    /// The certificate that was found good: all packages of a device carry the same.
    certificate: Option<Vec<u8>>,
}

impl<'a> Examiner<'a> {
    pub(crate) fn new(caller: &'a Caller, now: Timestamp) -> Self {
        Self { caller, crypto: RustCrypto::default(), now, certificate: None }
    }

    /// Accepts a key package of the calling device or says why not.
    pub(crate) fn examine(&mut self, bytes: &[u8]) -> Result<Acceptable, Refusal> {
        if bytes.len() > limit::KEY_PACKAGE_BYTES {
            return Err(Code::TooLarge
                .because(format!("a key package has at most {} bytes", limit::KEY_PACKAGE_BYTES)));
        }
        let package = KeyPackageIn::tls_deserialize_exact(bytes).map_err(|_| bad("it cannot be decoded"))?;
        let leaf = package.unverified_credential();
        // Signatures and structure first: nothing below is read from a package that was not verified. OpenMLS
        // compares the lifetime with the system clock, as its very last check; ours is compared below instead.
        match package.validate(&self.crypto, ProtocolVersion::Mls10) {
            Ok(_) | Err(KeyPackageVerifyError::LifetimeError(_)) => {}
            Err(error) => return Err(bad(&error.to_string())),
        }
        let header = Header::read(bytes).map_err(|_| bad("it cannot be decoded"))?;
        if !SUITES.contains(&header.suite) {
            return Err(bad("its cipher suite is not one of 0x0003 and 0x004F"));
        }
        if leaf.credential.credential_type() != CredentialType::Other(CREDENTIAL_TYPE) {
            return Err(bad("its credential is not a device certificate"));
        }
        if leaf.signature_key.as_slice() != self.caller.device_key {
            return Err(bad("its leaf is not signed by the calling device"));
        }
        self.certified(leaf.credential.serialized_content())?;
        let not_after = self.lifetime(&header)?;
        Ok(Acceptable { suite: header.suite, not_after, hash: wire_hash(bytes), bytes: bytes.to_vec() })
    }

    fn certified(&mut self, credential: &[u8]) -> Result<(), Refusal> {
        if self.certificate.as_deref() == Some(credential) {
            return Ok(());
        }
        let certificate =
            DeviceCertificate::open(credential).map_err(|error| bad(&format!("its {error}")))?;
        let caller = self.caller;
        let same = certificate.account == caller.account
            && certificate.device == caller.device
            && certificate.device_key == caller.device_key;
        if !same {
            return Err(bad("its certificate is for another account, device or key"));
        }
        self.certificate = Some(credential.to_vec());
        Ok(())
    }

    fn lifetime(&self, header: &Header) -> Result<Timestamp, Refusal> {
        let span =
            header.not_after.checked_sub(header.not_before).ok_or_else(|| bad("it ends before it begins"))?;
        if span > limit::KEY_PACKAGE_MAX_LIFETIME.as_secs() {
            return Err(bad("its lifetime is longer than 91 days"));
        }
        if header.not_after <= self.now.as_secs() {
            return Err(bad("it has expired"));
        }
        if header.not_before > self.now.plus(limit::CLOCK_SKEW).as_secs() {
            return Err(bad("it is not valid yet"));
        }
        Ok(Timestamp::from_millis(header.not_after.saturating_mul(1000)))
    }
}

/// Whether a package that ends at `not_after` may still be handed out.
pub(crate) fn fresh(not_after: Timestamp, now: Timestamp) -> bool {
    not_after >= now.plus(limit::KEY_PACKAGE_MIN_REMAINING)
}

fn bad(reason: &str) -> Refusal {
    Code::BadKeyPackage.because(format!("a key package is not acceptable: {reason}"))
}

/// Suite and lifetime, read in the order of RFC 9420 §10 and §7.2. OpenMLS shows them only after its own clock
/// agreed.
struct Header {
    suite: u16,
    not_before: u64,
    not_after: u64,
}

impl Header {
    fn read(mut bytes: &[u8]) -> Result<Self, tls_codec::Error> {
        /// `init_key`, and of the leaf `encryption_key` and `signature_key`.
        const KEYS: usize = 3;
        /// Versions, suites, extensions, proposals, credentials.
        const CAPABILITIES: usize = 5;
        let bytes = &mut bytes;
        let _version = u16::tls_deserialize(bytes)?;
        let suite = u16::tls_deserialize(bytes)?;
        for _ in 0..KEYS {
            VLBytes::tls_deserialize(bytes)?;
        }
        let _credential_type = u16::tls_deserialize(bytes)?;
        VLBytes::tls_deserialize(bytes)?;
        for _ in 0..CAPABILITIES {
            VLBytes::tls_deserialize(bytes)?;
        }
        let _leaf_node_source = u8::tls_deserialize(bytes)?;
        Ok(Self { suite, not_before: u64::tls_deserialize(bytes)?, not_after: u64::tls_deserialize(bytes)? })
    }
}
