//! The device key as OpenMLS wants to sign with it.

use std::fmt;

use ed25519_dalek::{Signer as _, SigningKey};
use openmls_traits::signatures::{Signer, SignerError};
use openmls_traits::types::SignatureScheme;

/// Signs with the device key. It keeps the key expanded: deriving the public key anew at every signature, as the key pair of
/// `openmls_basic_credential` does, costs as much as the signature (RFC 8032 §5.1.6).
pub(crate) struct DeviceSigner(SigningKey);

impl DeviceSigner {
    pub(super) fn new(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }
}

impl Signer for DeviceSigner {
    fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, SignerError> {
        Ok(self.0.sign(payload).to_bytes().to_vec())
    }

    fn signature_scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

impl fmt::Debug for DeviceSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceSigner(secret)")
    }
}

#[cfg(test)]
mod tests {
    use openmls_basic_credential::SignatureKeyPair;

    use super::*;

    #[test]
    fn it_signs_the_same_bytes_as_the_key_pair_of_openmls() {
        let seed = [7; 32];
        let public = SigningKey::from_bytes(&seed).verifying_key().to_bytes().to_vec();
        let pair = SignatureKeyPair::from_raw(SignatureScheme::ED25519, seed.to_vec(), public);
        for payload in [b"".as_slice(), b"a message"] {
            assert_eq!(DeviceSigner::new(&seed).sign(payload), pair.sign(payload));
        }
        assert_eq!(format!("{:?}", DeviceSigner::new(&seed)), "DeviceSigner(secret)");
    }
}
