//! Key packages of others, judged: K05, K07 and their like on real bytes.

use std::time::Duration;

use cipher_api::ErrorKind;
use cipher_broker::certificate::{CertificateBody, DeviceCertificate, Kind};
use cipher_broker::id::{AccountId, DeviceId};
use ed25519_dalek::{Signer as _, SigningKey};
use openmls::prelude::{Capabilities, Credential, CredentialWithKey};
use openmls_basic_credential::SignatureKeyPair;
use openmls_rust_crypto::OpenMlsRustCrypto;
use openmls_traits::types::SignatureScheme;

use super::*;

/// Now, as far as OpenMLS's own look at the clock goes.
fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "OpenMLS compares lifetimes with the system clock")]
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap())
}

const DAY: Duration = Duration::from_secs(86_400);

fn package(lifetime: (Timestamp, Timestamp), capabilities: Capabilities) -> Joiner {
    package_with(lifetime, capabilities, |builder| builder)
}

fn package_with(
    lifetime: (Timestamp, Timestamp),
    capabilities: Capabilities,
    with: impl FnOnce(openmls::prelude::KeyPackageBuilder) -> openmls::prelude::KeyPackageBuilder,
) -> Joiner {
    let (account_key, device_key) = (SigningKey::from_bytes(&[1; 32]), SigningKey::from_bytes(&[2; 32]));
    let account_public = account_key.verifying_key().to_bytes();
    let device_public = device_key.verifying_key().to_bytes();
    let body = CertificateBody {
        account: AccountId::of_key(&account_public),
        account_key: account_public,
        device: DeviceId::from_bytes([3; 16]),
        device_key: device_public,
        kind: Kind::Person,
        owner: None,
        not_before: Timestamp::from_millis(0),
        not_after: Timestamp::from_millis(u64::MAX),
        serial: 1,
    };
    let certificate = DeviceCertificate::sign(&body, &account_key).to_bytes();
    let credential = CredentialWithKey {
        credential: Credential::new(CredentialType::Other(CREDENTIAL_TYPE), certificate),
        signature_key: device_public.to_vec().into(),
    };
    let provider = OpenMlsRustCrypto::default();
    let seed = device_key.to_bytes().to_vec();
    let signer = SignatureKeyPair::from_raw(SignatureScheme::ED25519, seed, device_public.to_vec());
    let builder = KeyPackage::builder()
        .leaf_node_capabilities(capabilities)
        .key_package_lifetime(Lifetime::init(lifetime.0.as_secs(), lifetime.1.as_secs()));
    let bundle = with(builder).build(SUITE, &provider, &signer, credential).unwrap();
    let key_package = bundle.key_package().tls_serialize_detached().unwrap();
    Joiner { account: body.account, device: body.device, key_package }
}

/// The package of [`package`], with what its builder is told besides.
fn built(
    with: impl FnOnce(openmls::prelude::KeyPackageBuilder) -> openmls::prelude::KeyPackageBuilder,
) -> Joiner {
    package_with(usual(), capabilities(), with)
}

fn judged(joiner: &Joiner, suite: u16) -> Result<(), ErrorKind> {
    judge(OpenMlsRustCrypto::default().crypto(), joiner, suite, now())
        .map(|_| ())
        .map_err(|_| ErrorKind::Trust)
}

fn usual() -> (Timestamp, Timestamp) {
    (now().minus(DAY), now().plus(limit::KEY_PACKAGE_LIFETIME))
}

#[test]
fn r_kp_01_a_package_is_whole_well_signed_and_of_the_suite() {
    let good = package(usual(), capabilities());
    assert_eq!(judged(&good, SUITE.into()), Ok(()));
    assert_eq!(judged(&good, POST_QUANTUM_SUITE.into()), Err(ErrorKind::Trust));
    for at in [10, good.key_package.len() / 2, good.key_package.len() - 1] {
        let mut changed = good.clone();
        changed.key_package[at] ^= 1;
        assert_eq!(judged(&changed, SUITE.into()), Err(ErrorKind::Trust), "byte {at}");
    }
    let mut longer = good;
    longer.key_package.push(0);
    assert_eq!(judged(&longer, SUITE.into()), Err(ErrorKind::Trust));
}

/// K05: the registry hands out a package of somebody else.
#[test]
fn r_kp_02_k05_a_package_is_of_the_account_and_device_that_were_asked_for() {
    let good = package(usual(), capabilities());
    let other = Joiner { account: AccountId::from_bytes([9; 32]), ..good.clone() };
    assert_eq!(judged(&other, SUITE.into()), Err(ErrorKind::Trust));
    let other = Joiner { device: DeviceId::from_bytes([9; 16]), ..good };
    assert_eq!(judged(&other, SUITE.into()), Err(ErrorKind::Trust));
}

/// K07: expired, from the future, of a thousand years, or with too little left.
#[test]
fn r_kp_03_k07_lifetimes_are_bounded_and_long_enough() {
    let (from, to) = usual();
    for lifetime in [
        (from, now().plus(DAY * 44)),
        (from, now().plus(DAY * 365_000)),
        (now().minus(DAY * 80), now().minus(DAY)),
        (now().plus(DAY), to),
    ] {
        assert_eq!(
            judged(&package(lifetime, capabilities()), SUITE.into()),
            Err(ErrorKind::Trust),
            "{lifetime:?}"
        );
    }
}

#[test]
fn r_kp_04_a_leaf_that_cannot_carry_group_data_is_not_added() {
    let old = Capabilities::new(
        Some(&[ProtocolVersion::Mls10]),
        Some(&[SUITE]),
        Some(&[]),
        Some(&[]),
        Some(&[CredentialType::Other(CREDENTIAL_TYPE)]),
    );
    assert_eq!(judged(&package(usual(), old), SUITE.into()), Err(ErrorKind::Trust));
}

/// Signs as RFC 9420 §5.1.2 says.
fn sign_with_label(label: &str, content: &[u8]) -> Vec<u8> {
    let label = format!("MLS 1.0 {label}");
    let length = u16::try_from(content.len()).unwrap() | 0x4000;
    let mut bytes = vec![u8::try_from(label.len()).unwrap()];
    bytes.extend(label.bytes().chain(length.to_be_bytes()));
    bytes.extend(content);
    SigningKey::from_bytes(&[2; 32]).sign(&bytes).to_vec()
}

/// An otherwise good package with other keys to seal to, signed anew.
fn with_keys(init: Option<[u8; 32]>, path: Option<[u8; 32]>) -> Joiner {
    // version, suite, init key; leaf: encryption key, …, signature; extensions; signature (RFC 9420 §10, §7.2).
    const SIGNATURE: usize = 2 + 64;
    let mut joiner = package(usual(), capabilities());
    let bytes = &mut joiner.key_package;
    let (whole, leaf_from) = (bytes.len(), 4 + 33);
    assert_eq!((bytes[4], bytes[leaf_from], &bytes[whole - SIGNATURE..][..2]), (32, 32, &[0x40, 0x40][..]));
    assert_eq!(bytes[whole - SIGNATURE - 1], 0, "no extensions");
    if let Some(init) = init {
        bytes[5..37].copy_from_slice(&init);
    }
    if let Some(path) = path {
        bytes[leaf_from + 1..][..32].copy_from_slice(&path);
        let signature_at = whole - SIGNATURE - 1 - SIGNATURE;
        let signature = sign_with_label("LeafNodeTBS", &bytes[leaf_from..signature_at]);
        bytes[signature_at + 2..][..64].copy_from_slice(&signature);
    }
    let signature = sign_with_label("KeyPackageTBS", &bytes[..whole - SIGNATURE]);
    bytes[whole - 64..].copy_from_slice(&signature);
    joiner
}

/// K10: keys that give away what is sealed to them, and one key for two uses.
#[test]
fn r_kp_07_k10_keys_of_low_order_and_equal_keys_are_refused() {
    let own: [u8; 32] = package(usual(), capabilities()).key_package[38..70].try_into().unwrap();
    let good = with_keys(Some([9; 32]), Some([7; 32]));
    assert_eq!(judged(&good, SUITE.into()), Ok(()), "signed anew it is still good");
    assert_eq!(
        judged(&with_keys(Some([7; 32]), Some([7; 32])), SUITE.into()),
        Err(ErrorKind::Trust),
        "equal"
    );
    let point = |first: u8, middle: u8, last: u8| {
        let mut point = [middle; 32];
        (point[0], point[31]) = (first, last);
        point
    };
    let mut order_eight = own;
    order_eight.copy_from_slice(&[
        0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04,
        0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57,
    ]);
    for low in [
        point(0, 0, 0),
        point(1, 0, 0),
        point(0xec, 0xff, 0x7f),
        point(0xed, 0xff, 0x7f),
        point(0xee, 0xff, 0x7f),
        point(0, 0, 0x80),
        order_eight,
    ] {
        assert_eq!(
            judged(&with_keys(Some(low), None), SUITE.into()),
            Err(ErrorKind::Trust),
            "init {low:02x?}"
        );
        assert_eq!(
            judged(&with_keys(None, Some(low)), SUITE.into()),
            Err(ErrorKind::Trust),
            "path {low:02x?}"
        );
    }
    assert!(!is_low_order(&point(0xeb, 0xff, 0x7f)) && !is_low_order(&point(2, 0, 0)) && !is_low_order(&own));
    assert!(is_low_order(&[]), "no key at all");
}

/// A8: what OpenMLS takes as a key package and does not take as an addition: one bad package spoiled a whole commit.
#[test]
fn a8_r_kp_08_a_leaf_says_that_it_can_do_what_it_is_and_has() {
    let own = || Some([CredentialType::Other(CREDENTIAL_TYPE)]);
    let (suites, version) = ([SUITE, POST_QUANTUM_SUITE], [ProtocolVersion::Mls10]);
    let ours = [ExtensionType::Unknown(GROUP_DATA_EXTENSION), ExtensionType::LastResort];
    let with = |versions: &[ProtocolVersion], suites: &[Ciphersuite], credentials: &[CredentialType]| {
        Capabilities::new(Some(versions), Some(suites), Some(&ours), Some(&[]), Some(credentials))
    };
    let credential = own().unwrap();
    let good = with(&version, &suites, &credential);
    assert_eq!(judged(&package(usual(), good), SUITE.into()), Ok(()));
    for (what, bad) in [
        ("version", with(&[ProtocolVersion::Other(7)], &suites, &credential)),
        ("suite", with(&version, &[POST_QUANTUM_SUITE], &credential)),
        ("credential", with(&version, &suites, &[CredentialType::Basic])),
        ("no credential", with(&version, &suites, &[])),
    ] {
        assert_eq!(judged(&package(usual(), bad), SUITE.into()), Err(ErrorKind::Trust), "{what}");
    }
}

#[test]
fn a8_r_kp_08_extensions_stand_where_they_belong_and_are_listed() {
    use openmls::prelude::{Extensions, UnknownExtension};
    let unknown = |kind: u16| Extension::Unknown(kind, UnknownExtension(vec![1]));
    let listing = |kind: u16| {
        let ours = [
            ExtensionType::Unknown(GROUP_DATA_EXTENSION),
            ExtensionType::LastResort,
            ExtensionType::from(kind),
        ];
        let credential = [CredentialType::Other(CREDENTIAL_TYPE)];
        Capabilities::new(
            Some(&[ProtocolVersion::Mls10]),
            Some(&[SUITE, POST_QUANTUM_SUITE]),
            Some(&ours),
            Some(&[]),
            Some(&credential),
        )
    };
    let leaf = |kind: u16, listed: Capabilities| {
        package_with(usual(), listed, |builder| {
            builder.leaf_node_extensions(Extensions::single(unknown(kind)).unwrap())
        })
    };
    let whole = |kind: u16, listed: Capabilities| {
        package_with(usual(), listed, |builder| {
            builder.key_package_extensions(Extensions::single(unknown(kind)).unwrap())
        })
    };
    // Listed and unknown is fine: a later version may have it.
    assert_eq!(judged(&leaf(0xf123, listing(0xf123)), SUITE.into()), Ok(()));
    assert_eq!(judged(&whole(0xf123, listing(0xf123)), SUITE.into()), Ok(()));
    // Reserved types, listed or not: OpenMLS reads them in two ways.
    assert_eq!(judged(&leaf(0x1a1a, listing(0x1a1a)), SUITE.into()), Err(ErrorKind::Trust));
    assert_eq!(judged(&whole(0xeaea, listing(0xeaea)), SUITE.into()), Err(ErrorKind::Trust));
    assert!([0x0a0a, 0x9a9a, 0xeaea].into_iter().all(is_grease));
    assert!([0x0a1a, 0xfafa, 0x0003, GROUP_DATA_EXTENSION].into_iter().all(|kind| !is_grease(kind)));
    assert_eq!(judged(&built(|builder| builder.mark_as_last_resort()), SUITE.into()), Ok(()));
}
