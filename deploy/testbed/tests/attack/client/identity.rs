//! An account with one device that nobody's agent made: keys, certificate, registration, key packages.

use cipher_broker::certificate::{CREDENTIAL_TYPE, CertificateBody, DeviceCertificate, Kind};
use cipher_broker::codec;
use cipher_broker::handle::Handle;
use cipher_broker::id::{AccountId, DeviceId};
use cipher_broker::limit;
use cipher_broker::sign::{Purpose, Signed, wire_hash};
use cipher_broker::wire::group::GROUP_DATA_EXTENSION;
use cipher_broker::wire::registry::{
    Answer, CreateAccount, Operation, Outcome, PublicProfile, RequestBody, SignedProfile, open_reply,
    seal_request,
};
use cipher_broker::wire::statement::{Statement, StatementKind};
use ed25519_dalek::SigningKey;
use openmls::prelude::{
    Capabilities, Ciphersuite, Credential, CredentialType, CredentialWithKey, ExtensionType, KeyPackage,
    Lifetime, ProtocolVersion,
};
use openmls_basic_credential::SignatureKeyPair;
use openmls_rust_crypto::OpenMlsRustCrypto;
use openmls_traits::OpenMlsProvider;
use openmls_traits::random::OpenMlsRand;
use openmls_traits::types::SignatureScheme;
use serde_bytes::ByteBuf;
use testbed::{Failure, Result, wait};
use tls_codec::Serialize;

use super::{Line, failed};

/// The suite of ordinary groups.
pub(crate) const SUITE: Ciphersuite = Ciphersuite::MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519;

/// Who the hostile client is.
pub(crate) struct Identity {
    /// Randomness, cryptography, and OpenMLS's own memory.
    pub(crate) provider: OpenMlsRustCrypto,
    /// Signs leaves and messages.
    pub(crate) signer: SignatureKeyPair,
    /// The account.
    pub(crate) account: AccountId,
    /// Its one device.
    pub(crate) device: DeviceId,
    /// The certificate of the device.
    pub(crate) certificate: DeviceCertificate,
    account_key: SigningKey,
    device_key: SigningKey,
}

impl Identity {
    /// Fresh keys that nobody knows of.
    pub(crate) fn fresh() -> Result<Self> {
        let provider = OpenMlsRustCrypto::default();
        let seed = || provider.rand().random_array::<32>().map_err(failed);
        let account_key = SigningKey::from_bytes(&seed()?);
        let device_key = SigningKey::from_bytes(&seed()?);
        let public = account_key.verifying_key().to_bytes();
        let now = wait::now();
        let body = CertificateBody {
            account: AccountId::of_key(&public),
            account_key: public,
            device: DeviceId::from_bytes(provider.rand().random_array().map_err(failed)?),
            device_key: device_key.verifying_key().to_bytes(),
            kind: Kind::Person,
            owner: None,
            not_before: now.minus(limit::CLOCK_SKEW),
            not_after: now.plus(limit::KEY_PACKAGE_LIFETIME),
            serial: 1,
        };
        Ok(Self {
            signer: SignatureKeyPair::from_raw(
                SignatureScheme::ED25519,
                device_key.to_bytes().to_vec(),
                device_key.verifying_key().to_bytes().to_vec(),
            ),
            provider,
            account: body.account,
            device: body.device,
            certificate: DeviceCertificate::sign(&body, &account_key),
            account_key,
            device_key,
        })
    }

    /// What signs requests.
    pub(crate) const fn device_key(&self) -> &SigningKey {
        &self.device_key
    }

    /// Random bytes.
    pub(crate) fn random<const N: usize>(&self) -> Result<[u8; N]> {
        self.provider.rand().random_array().map_err(failed)
    }

    /// The own certificate over the own key.
    pub(crate) fn credential(&self) -> CredentialWithKey {
        self.credential_of(&self.certificate)
    }

    /// Any certificate over the own key.
    pub(crate) fn credential_of(&self, certificate: &DeviceCertificate) -> CredentialWithKey {
        CredentialWithKey {
            credential: Credential::new(CredentialType::Other(CREDENTIAL_TYPE), certificate.to_bytes()),
            signature_key: self.device_key.verifying_key().to_bytes().to_vec().into(),
        }
    }

    /// What every leaf of ours says it can do.
    pub(crate) fn capabilities() -> Capabilities {
        Capabilities::new(
            Some(&[ProtocolVersion::Mls10]),
            Some(&[SUITE]),
            Some(&[ExtensionType::Unknown(GROUP_DATA_EXTENSION), ExtensionType::LastResort]),
            Some(&[]),
            Some(&[CredentialType::Other(CREDENTIAL_TYPE)]),
        )
    }

    /// A key package as an agent makes them.
    pub(crate) fn key_package(&self) -> Result<KeyPackage> {
        self.key_package_with(self.credential())
    }

    /// A key package with any credential and lifetime.
    pub(crate) fn key_package_of(&self, leaf: CredentialWithKey, lifetime: Lifetime) -> Result<KeyPackage> {
        let bundle = KeyPackage::builder()
            .leaf_node_capabilities(Self::capabilities())
            .key_package_lifetime(lifetime)
            .build(SUITE, &self.provider, &self.signer, leaf)
            .map_err(failed)?;
        Ok(bundle.key_package().clone())
    }

    /// A key package with any credential.
    pub(crate) fn key_package_with(&self, leaf: CredentialWithKey) -> Result<KeyPackage> {
        self.key_package_of(leaf, Lifetime::new(limit::KEY_PACKAGE_LIFETIME.as_secs()))
    }

    /// A request to the registry in the own name.
    pub(crate) fn request(&self, operation: &Operation) -> Result<RequestBody> {
        Ok(RequestBody {
            nonce: self.random()?,
            issued_at: wait::now(),
            account: self.account,
            device: self.device,
            operation: operation.clone(),
        })
    }

    /// Asks the registry, signed by the own device, whatever the request says of itself.
    pub(crate) fn asks(&self, line: &Line, body: &RequestBody) -> Result<Outcome> {
        let request = seal_request(body, &self.device_key);
        let reply = line.ask(&body.operation, request.clone())?;
        Ok(open_reply(&reply, &request, None)?.outcome)
    }

    /// Asks for something that must be done.
    pub(crate) fn does(&self, line: &Line, operation: &Operation) -> Result<Answer> {
        match self.asks(line, &self.request(operation)?)? {
            Outcome::Answer(answer) => Ok(*answer),
            Outcome::Refused(refusal) => {
                Err(Failure::new(format!("the registry refused the hostile client: {refusal:?}")))
            }
        }
    }

    /// The request that makes the account.
    pub(crate) fn creation(&self, handle: &str) -> Result<CreateAccount> {
        let statement = Statement {
            account: self.account,
            sequence: 0,
            previous: [0; 32],
            at: wait::now(),
            claim: StatementKind::Create {
                handle: handle.parse::<Handle>()?,
                certificate: wire_hash(&self.certificate.to_bytes()),
            },
        };
        let profile = PublicProfile { version: 1, ..PublicProfile::silent(self.account) };
        Ok(CreateAccount {
            statement: Signed::new(&self.account_key, Purpose::AccountStatement, codec::encode(&statement)),
            certificate: self.certificate.clone(),
            profile: SignedProfile {
                device: self.device,
                profile: Signed::new(&self.device_key, Purpose::Profile, codec::encode(&profile)),
            },
            ticket: None,
        })
    }

    /// Registers, and brings a few key packages.
    pub(crate) fn registers(&self, line: &Line, handle: &str) -> Result {
        self.does(line, &Operation::CreateAccount(Box::new(self.creation(handle)?)))?;
        self.brings(
            line,
            &[self.key_package()?, self.key_package()?, self.key_package()?, self.key_package()?],
        )
    }

    /// Puts key packages on the own shelf of the registry.
    pub(crate) fn brings(&self, line: &Line, packages: &[KeyPackage]) -> Result {
        let bytes = packages.iter().map(|package| package.tls_serialize_detached().map(ByteBuf::from));
        let one_time = bytes.collect::<Result<_, _>>()?;
        self.does(line, &Operation::PublishKeyPackages { one_time, last_resort: None })?;
        Ok(())
    }
}
