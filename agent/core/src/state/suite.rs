//! The cipher suites of this version, and what its leaves can do.

use cipher_broker::certificate::CREDENTIAL_TYPE;
use cipher_broker::wire::group::GROUP_DATA_EXTENSION;
use openmls::prelude::{Capabilities, Ciphersuite, CredentialType, ExtensionType, ProtocolVersion};

/// Default suite: X25519, ChaCha20-Poly1305, Ed25519 (RFC 9420 §17.1).
pub(crate) const SUITE: Ciphersuite = Ciphersuite::MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519;
/// Post-quantum suite: X-Wing (ML-KEM-768 and X25519), AES-128-GCM, Ed25519.
pub(crate) const POST_QUANTUM_SUITE: Ciphersuite =
    Ciphersuite::MLS_128_MLKEM768X25519_AES128GCM_SHA256_Ed25519;

/// The suite of a number, if it is one of ours.
pub(crate) fn suite_of(number: u16) -> Option<Ciphersuite> {
    [SUITE, POST_QUANTUM_SUITE].into_iter().find(|suite| u16::from(*suite) == number)
}

/// What every leaf of ours can do; equal for groups and key packages.
pub(crate) fn capabilities() -> Capabilities {
    Capabilities::new(
        Some(&[ProtocolVersion::Mls10]),
        Some(&[SUITE, POST_QUANTUM_SUITE]),
        Some(&[ExtensionType::Unknown(GROUP_DATA_EXTENSION), ExtensionType::LastResort]),
        Some(&[]),
        Some(&[CredentialType::Other(CREDENTIAL_TYPE)]),
    )
}
