use ed25519_dalek::SigningKey;

use super::*;
use crate::certificate::Kind;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

/// A certificate of device `n` of the account with that key.
fn certificate(account: u8, n: u8) -> DeviceCertificate {
    let account_key = key(account).verifying_key().to_bytes();
    let body = CertificateBody {
        account: AccountId::of_key(&account_key),
        account_key,
        device: DeviceId::from_bytes([n; 16]),
        device_key: key(100 + n).verifying_key().to_bytes(),
        kind: Kind::Person,
        owner: None,
        not_before: Timestamp::from_millis(1),
        not_after: Timestamp::from_millis(9),
        serial: 1,
    };
    DeviceCertificate::sign(&body, &key(account))
}

fn signed(account: u8, statement: &Statement) -> Signed {
    Signed::new(&key(account), Purpose::AccountStatement, codec::encode(statement))
}

fn begun() -> AccountLog {
    let first = certificate(1, 1);
    let statement = Statement {
        account: AccountId::of_key(&key(1).verifying_key().to_bytes()),
        sequence: 0,
        previous: [0; 32],
        at: Timestamp::from_millis(5),
        claim: StatementKind::Create {
            handle: "ana".parse().unwrap(),
            certificate: wire_hash(&first.to_bytes()),
        },
    };
    AccountLog::begin(&signed(1, &statement), &first).unwrap()
}

fn claim(
    log: &mut AccountLog,
    claim: StatementKind,
    certificate: Option<&DeviceCertificate>,
) -> Result<(), LogError> {
    let statement = signed(1, &log.next(Timestamp::from_millis(6), claim));
    log.append(&statement, certificate)
}

fn add(log: &mut AccountLog, n: u8) -> Result<(), LogError> {
    let certificate = certificate(1, n);
    let hash = wire_hash(&certificate.to_bytes());
    let device = DeviceId::from_bytes([n; 16]);
    claim(log, StatementKind::AddDevice { device, certificate: hash }, Some(&certificate))
}

fn revoke(log: &mut AccountLog, n: u8) -> Result<(), LogError> {
    claim(log, StatementKind::RevokeDevice { device: DeviceId::from_bytes([n; 16]) }, None)
}

fn active(log: &AccountLog) -> Vec<u8> {
    log.active().map(|(device, _)| device.as_bytes()[0]).collect()
}

#[test]
fn devices_come_go_and_never_return() {
    let mut log = begun();
    add(&mut log, 2).unwrap();
    assert_eq!(active(&log), [1, 2]);
    revoke(&mut log, 1).unwrap();
    assert_eq!(active(&log), [2]);
    assert!(log.is_revoked(&DeviceId::from_bytes([1; 16])));
    assert!(log.revocation(&DeviceId::from_bytes([1; 16])).is_some());
    assert_eq!(add(&mut log, 1), Err(LogError::KnownDevice));
    assert_eq!(revoke(&mut log, 1), Err(LogError::UnknownDevice));
    assert_eq!(revoke(&mut log, 2), Err(LogError::LastDevice));
    let new = certificate(1, 3);
    let recover = StatementKind::Recover {
        device: DeviceId::from_bytes([3; 16]),
        certificate: wire_hash(&new.to_bytes()),
    };
    claim(&mut log, recover, Some(&new)).unwrap();
    assert_eq!(active(&log), [3]);
    assert_eq!(log.len(), 4);
}

#[test]
fn a_log_replays_with_the_certificates_of_active_devices_only() {
    let mut log = begun();
    add(&mut log, 2).unwrap();
    let both = [certificate(1, 1), certificate(1, 2)];
    let (replayed, bodies) = AccountLog::replay(log.statements(), &both).unwrap();
    assert_eq!((replayed, bodies.len()), (log.clone(), 2));
    revoke(&mut log, 1).unwrap();
    let (replayed, _) = AccountLog::replay(log.statements(), &both[1..]).unwrap();
    assert_eq!(replayed, log, "the first device is known by the statement that revoked it");
    assert_eq!(
        AccountLog::replay(log.statements(), &both),
        Err(LogError::Ghost(DeviceId::from_bytes([1; 16]))),
        "G05: a revoked device is shown as the account's"
    );
    assert_eq!(AccountLog::replay(log.statements(), &[]), Err(LogError::OtherCertificate));
}

/// G01: a device that the account never stated is a ghost, even with a certificate under the account key.
#[test]
fn g01_a_device_that_no_statement_brought_is_a_ghost() {
    let log = begun();
    let shown = [certificate(1, 1), certificate(1, 7)];
    assert_eq!(
        AccountLog::replay(log.statements(), &shown),
        Err(LogError::Ghost(DeviceId::from_bytes([7; 16])))
    );
    let foreign = [certificate(1, 1), certificate(2, 7)];
    assert_eq!(
        AccountLog::replay(log.statements(), &foreign),
        Err(LogError::Ghost(DeviceId::from_bytes([7; 16])))
    );
}

#[test]
fn statements_out_of_order_of_others_or_forged_are_refused_and_change_nothing() {
    let mut log = begun();
    let before = log.clone();
    let device = DeviceId::from_bytes([2; 16]);
    let (certificate, other_certificate) = (certificate(1, 2), certificate(1, 3));
    let fine = StatementKind::AddDevice { device, certificate: wire_hash(&certificate.to_bytes()) };
    let good = log.next(Timestamp::from_millis(6), fine);
    let later = Statement { sequence: 2, ..good.clone() };
    let elsewhere = Statement { previous: [9; 32], ..good.clone() };
    let other = Statement { account: AccountId::from_bytes([4; 32]), ..good.clone() };
    let again = Statement {
        claim: StatementKind::Create { handle: "bob".parse().unwrap(), certificate: [0; 32] },
        ..good
    };
    for (statement, signer, error) in [
        (&later, 1, LogError::Order),
        (&elsewhere, 1, LogError::Order),
        (&other, 1, LogError::WrongAccount),
        (&again, 1, LogError::Creation),
        (&good, 2, LogError::Signature),
    ] {
        assert_eq!(log.append(&signed(signer, statement), Some(&certificate)), Err(error));
    }
    assert_eq!(log.append(&signed(1, &good), None), Err(LogError::OtherCertificate));
    assert_eq!(log.append(&signed(1, &good), Some(&other_certificate)), Err(LogError::OtherCertificate));
    assert_eq!(log, before);
    log.append(&signed(1, &good), Some(&certificate)).unwrap();
    assert!(log.continues(&before) && !before.continues(&log));
    for n in 3..=limit::DEVICES_PER_ACCOUNT {
        add(&mut log, u8::try_from(n).unwrap()).unwrap();
    }
    assert_eq!(add(&mut log, 99), Err(LogError::TooManyDevices));
}

#[test]
fn a_revocation_is_found_by_device_or_by_certificate() {
    let mut log = begun();
    add(&mut log, 2).unwrap();
    let hash = |n| wire_hash(&certificate(1, n).to_bytes());
    let device = |n| DeviceId::from_bytes([n; 16]);
    assert_eq!(log.revocation_of(&device(1), &hash(1)), None);
    let third = certificate(1, 3);
    let recover = StatementKind::Recover { device: device(3), certificate: hash(3) };
    claim(&mut log, recover, Some(&third)).unwrap();
    let (recovery, stated) = log.recovery().unwrap();
    assert_eq!(stated.sequence, 2);
    for n in [1, 2] {
        assert_eq!(log.revocation_of(&device(n), &hash(n)), Some(recovery), "{n}");
    }
    assert_eq!(log.revocation_of(&device(3), &hash(3)), None);
    // Who replays the log later never sees the first device's id; its certificate still tells it.
    let (mut replayed, _) = AccountLog::replay(log.statements(), &[third]).unwrap();
    assert!(!replayed.is_revoked(&device(1)));
    assert_eq!(replayed.revocation_of(&device(1), &hash(1)), Some(recovery));
    assert_eq!(replayed.revocation_of(&device(9), &hash(9)), None);
    // Unless it was there before.
    replayed.recall(&begun());
    assert_eq!(replayed, log);
}

#[test]
fn statements_are_stamped_in_their_order_whatever_the_clock_says() {
    let log = begun();
    assert_eq!(log.stamp(Timestamp::from_millis(9)), Timestamp::from_millis(9));
    assert_eq!(log.stamp(Timestamp::from_millis(2)), Timestamp::from_millis(6));
}

#[test]
fn a_log_that_was_decoded_is_checked_as_a_whole() {
    let mut log = begun();
    add(&mut log, 2).unwrap();
    revoke(&mut log, 1).unwrap();
    add(&mut log, 3).unwrap();
    assert_eq!(log.check(), Ok(()));
    let decoded: AccountLog = codec::decode(&codec::encode(&log)).unwrap();
    assert_eq!(decoded.check(), Ok(()));

    let mut back = log.clone();
    back.devices.get_mut(&DeviceId::from_bytes([1; 16])).unwrap().revoked_by = None;
    assert!(back.check().is_err(), "a revoked device is not brought back by whoever encodes");
    let mut ghost = log.clone();
    let state = ghost.devices[&DeviceId::from_bytes([3; 16])].clone();
    ghost.devices.insert(DeviceId::from_bytes([9; 16]), state);
    assert!(ghost.check().is_err(), "a device needs a statement");
    let mut other = log.clone();
    other.handle = "bea".parse().unwrap();
    assert!(other.check().is_err(), "the handle is the claimed one");
    let mut key_of_another = log.clone();
    key_of_another.key = key(2).verifying_key().to_bytes();
    assert!(key_of_another.check().is_err(), "the key is the account's");
    let mut short = log;
    short.statements.remove(1);
    assert!(short.check().is_err(), "the chain is whole");
}
