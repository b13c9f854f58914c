//! Records that a lying registry could give.

use cipher_broker::certificate::DeviceCertificate;
use cipher_broker::sign::Signed;
use cipher_broker::time::Timestamp;
use cipher_broker::wire::registry::{Presence, SignedProfile};
use cipher_broker::wire::statement::{Statement, StatementKind};
use ed25519_dalek::SigningKey;

use super::*;
use crate::machine::Options;

fn core() -> Core {
    Core::in_memory(Options { seed: [1; 32], cached_groups: 4, receipts: false })
}

/// A record whose parts are signed by the given keys.
fn record(handle: &str, claimed: &str, account: u8, statement_by: u8, profile_by: u8) -> AccountRecord {
    let key = |n: u8| SigningKey::from_bytes(&[n; 32]);
    let public = key(account).verifying_key().to_bytes();
    let device = DeviceId::from_bytes([account; 16]);
    let body = CertificateBody {
        account: AccountId::of_key(&public),
        account_key: public,
        device,
        device_key: key(account.wrapping_add(100)).verifying_key().to_bytes(),
        kind: Kind::Person,
        owner: None,
        not_before: Timestamp::from_millis(1),
        not_after: Timestamp::from_millis(2),
        serial: 1,
    };
    let certificate = DeviceCertificate::sign(&body, &key(account));
    let statement = Statement {
        account: body.account,
        sequence: 0,
        previous: [0; 32],
        at: Timestamp::from_millis(1),
        claim: StatementKind::Create {
            handle: claimed.parse().unwrap(),
            certificate: wire_hash(&certificate.to_bytes()),
        },
    };
    let profile = PublicProfile {
        account: body.account,
        name: String::new(),
        status: String::new(),
        presence: Presence::Available,
        version: 1,
    };
    AccountRecord {
        handle: handle.parse().unwrap(),
        account: body.account,
        statements: vec![Signed::new(
            &key(statement_by),
            Purpose::AccountStatement,
            codec::encode(&statement),
        )],
        certificates: vec![certificate],
        profile: SignedProfile {
            device,
            profile: Signed::new(&key(profile_by), Purpose::Profile, codec::encode(&profile)),
        },
        inclusion: None,
    }
}

#[test]
fn r_pin_01_r_pin_02_a_record_that_the_account_did_not_sign_is_refused() {
    let mut core = core();
    assert!(core.pin(&record("alice", "alice", 1, 1, 101)).is_ok());
    for (what, record) in [
        ("R-PIN-01: a statement signed by somebody else", record("carol", "carol", 2, 3, 102)),
        ("R-PIN-01: a profile signed by somebody else", record("carol", "carol", 2, 2, 103)),
        ("R-PIN-02: a handle the account did not claim", record("carol", "dave", 2, 2, 102)),
        (
            "R-PIN-01: no certificate",
            AccountRecord { certificates: vec![], ..record("carol", "carol", 2, 2, 102) },
        ),
        (
            "R-PIN-02: no statement",
            AccountRecord { statements: vec![], ..record("carol", "carol", 2, 2, 102) },
        ),
        (
            "R-PIN-01: a certificate of another account",
            AccountRecord {
                certificates: record("x-x", "x-x", 5, 5, 105).certificates,
                ..record("carol", "carol", 2, 2, 102)
            },
        ),
    ] {
        assert_eq!(core.pin(&record).map_err(|error| error.kind), Err(ErrorKind::Trust), "{what}");
        assert!(core.state.account_of(&"carol".parse().unwrap()).is_none(), "{what}");
    }
}

#[test]
fn r_pin_03_g01_a_handle_keeps_the_account_it_had_at_first_use() {
    let mut core = core();
    let first = core.pin(&record("alice", "alice", 1, 1, 101)).unwrap();
    assert!(core.pin(&record("alice", "alice", 4, 4, 104)).is_err());
    assert_eq!(core.state.account_of(&"alice".parse().unwrap()), Some(first));
    assert_eq!(core.state.accounts.get(&first).unwrap().trust, Trust::Changed);
}
