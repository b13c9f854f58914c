//! The log of an account: devices come and go.

use cipher_broker::certificate::DeviceCertificate;
use cipher_broker::sign::wire_hash;
use cipher_broker::wire::refusal::Code;
use cipher_broker::wire::registry::{Answer, AppendStatement, Operation};
use cipher_broker::wire::statement::StatementKind;
use ed25519_dalek::SigningKey;

use crate::support::{NOW, Person, SUITE, answerer, code, desk_in};

#[tokio::test]
async fn an_added_device_asks_and_is_claimed_like_the_first() {
    let answerer = answerer().await;
    let ana = Person::new("ana", 1).enrolled(&answerer).await;
    let ben = Person::new("ben", 2).enrolled(&answerer).await;
    let laptop = ana.with_device(&answerer, 3).await;
    assert_eq!(laptop.stock(&answerer, NOW).await, (0, false));
    ana.publish(&answerer, vec![ana.usual_package()]).await.unwrap();
    laptop.publish(&answerer, vec![laptop.usual_package()]).await.unwrap();
    let claimed = ben.claim(&answerer, &ana).await.unwrap();
    let devices: Vec<_> = claimed.iter().map(|package| package.device).collect();
    assert_eq!(devices, [ana.device, laptop.device]);
    let record = ben.ask(&answerer, Operation::FetchAccount { account: ana.account }, NOW).await;
    let Ok(Answer::Account(record)) = record else { panic!("{record:?}") };
    assert_eq!(record.certificates, [ana.certificate.clone(), laptop.certificate]);
    assert_eq!(record.statements.len(), 2);
}

/// A lost reply costs nothing: the same statement again, in a new request, is done.
#[tokio::test]
async fn repeating_the_last_statement_is_done_and_changes_nothing() {
    let answerer = answerer().await;
    let ana = Person::new("ana", 1).enrolled(&answerer).await;
    let (laptop, log) = (ana.sibling(3), ana.log(&answerer).await);
    let append = ana.adding(&log, &laptop);
    for _ in 0..3 {
        assert_eq!(ana.appends(&answerer, append.clone()).await, Ok(Answer::Done));
    }
    assert_eq!(ana.record(&answerer).await.statements.len(), 2);
    assert_eq!(*answerer.log_size().borrow(), 2);
}

#[tokio::test]
async fn of_two_statements_made_at_once_the_second_is_stale() {
    let answerer = answerer().await;
    let ana = Person::new("ana", 1).enrolled(&answerer).await;
    let log = ana.log(&answerer).await;
    let (one, two) = (ana.sibling(3), ana.sibling(4));
    assert_eq!(ana.appends(&answerer, ana.adding(&log, &one)).await, Ok(Answer::Done));
    assert_eq!(code(ana.appends(&answerer, ana.adding(&log, &two)).await), Some(Code::StaleStatement));
    assert_eq!(code(two.ask(&answerer, Operation::CountKeyPackages, NOW).await), Some(Code::Denied));
    let log = ana.log(&answerer).await;
    assert_eq!(ana.appends(&answerer, ana.adding(&log, &two)).await, Ok(Answer::Done));
}

/// A stolen laptop asks nothing any more, is handed out to nobody, and stays revoked after a restart.
#[tokio::test]
async fn r_reg_03_a_revoked_device_is_shut_out() {
    let folder = tempfile::tempdir().unwrap();
    let answerer = desk_in(folder.path()).await;
    let ana = Person::new("ana", 1).enrolled(&answerer).await;
    let ben = Person::new("ben", 2).enrolled(&answerer).await;
    let laptop = ana.with_device(&answerer, 3).await;
    for device in [&ana, &laptop] {
        let (package, last) = (device.usual_package(), device.usual_package());
        device.publish_at(&answerer, vec![package], Some(last), NOW).await.unwrap();
    }
    assert_eq!(ana.revokes(&answerer, laptop.device).await, Ok(Answer::Done));
    drop(answerer);
    let answerer = desk_in(folder.path()).await;
    for operation in [
        Operation::CountKeyPackages,
        Operation::FetchAccount { account: ana.account },
        Operation::ProveConsistency { sizes: vec![] },
        Operation::OpenRecovery { certificate: laptop.certificate.clone() },
        Operation::SetProfile(laptop.signed(&laptop.profile("thief", 9))),
    ] {
        assert_eq!(code(laptop.ask(&answerer, operation, NOW).await), Some(Code::Revoked));
    }
    let refused = laptop.publish(&answerer, vec![laptop.usual_package()]).await;
    assert_eq!(code(refused), Some(Code::Revoked));
    let claimed = ben.claim(&answerer, &ana).await.unwrap();
    assert_eq!(claimed.iter().map(|package| package.device).collect::<Vec<_>>(), [ana.device]);
    assert_eq!(ana.record(&answerer).await.certificates, std::slice::from_ref(&ana.certificate));
    // It cannot come back: neither by itself nor added again.
    let log = ana.log(&answerer).await;
    assert_eq!(code(laptop.appends(&answerer, laptop.recovering(&log)).await), Some(Code::Revoked));
    assert_eq!(code(ana.appends(&answerer, ana.adding(&log, &laptop)).await), Some(Code::Denied));
}

/// The device that signed the profile goes: another one must sign a new one.
#[tokio::test]
async fn a_revocation_never_leaves_an_account_without_a_profile_of_an_active_device() {
    let answerer = answerer().await;
    let ana = Person::new("ana", 1).enrolled(&answerer).await;
    let laptop = ana.with_device(&answerer, 3).await;
    let log = ana.log(&answerer).await;
    let revoke = laptop.append(&log, StatementKind::RevokeDevice { device: ana.device });
    let with = |profile| AppendStatement { profile: Some(profile), ..revoke.clone() };
    for refused in [
        revoke.clone(),
        with(ana.signed(&ana.profile("", 5))),
        with(laptop.signed(&laptop.profile("", 0))),
        with(Person::new("ben", 2).signed(&ana.profile("", 5))),
    ] {
        assert_eq!(code(laptop.appends(&answerer, refused).await), Some(Code::Denied));
    }
    assert_eq!(ana.record(&answerer).await.statements.len(), 2, "nothing was changed");
    let new = laptop.signed(&laptop.profile("still me", 1));
    assert_eq!(laptop.appends(&answerer, with(new.clone())).await, Ok(Answer::Done));
    assert_eq!(laptop.record(&answerer).await.profile, new);
    assert_eq!(code(ana.ask(&answerer, Operation::CountKeyPackages, NOW).await), Some(Code::Revoked));
}

#[tokio::test]
async fn the_last_device_cannot_be_revoked_only_replaced() {
    let answerer = answerer().await;
    let ana = Person::new("ana", 1).enrolled(&answerer).await;
    assert_eq!(code(ana.revokes(&answerer, ana.device).await), Some(Code::Denied));
}

/// With no other device left: the phrase gives the account key, which certifies a new device.
#[tokio::test]
async fn a_recovery_replaces_every_device() {
    let answerer = answerer().await;
    let ana = Person::new("ana", 1).enrolled(&answerer).await;
    let laptop = ana.with_device(&answerer, 3).await;
    ana.publish(&answerer, vec![ana.usual_package()]).await.unwrap();
    let new = ana.sibling(4);
    let opened =
        new.ask(&answerer, Operation::OpenRecovery { certificate: new.certificate.clone() }, NOW).await;
    let Ok(Answer::Account(record)) = opened else { panic!("{opened:?}") };
    let log = cipher_broker::account_log::AccountLog::replay(&record.statements, &record.certificates);
    let recovering = new.recovering(&log.unwrap().0);
    for _ in 0..2 {
        assert_eq!(new.appends(&answerer, recovering.clone()).await, Ok(Answer::Done));
    }
    for old in [&ana, &laptop] {
        assert_eq!(code(old.ask(&answerer, Operation::CountKeyPackages, NOW).await), Some(Code::Revoked));
    }
    let record = new.record(&answerer).await;
    assert_eq!(record.certificates, std::slice::from_ref(&new.certificate));
    assert_eq!((record.statements.len(), record.profile.device), (3, new.device));
    let ben = Person::new("ben", 2).enrolled(&answerer).await;
    assert_eq!(code(ben.claim(&answerer, &ana).await), Some(Code::NoKeyPackage));
    // A device that was there before cannot be brought again, not even the first one, whose certificate is gone.
    let log = new.log(&answerer).await;
    assert_eq!(code(new.appends(&answerer, new.adding(&log, &ana)).await), Some(Code::Denied));
}

#[tokio::test]
async fn an_account_cannot_be_opened_by_whom_it_did_not_certify() {
    let answerer = answerer().await;
    let ana = Person::new("ana", 1).enrolled(&answerer).await;
    let mut mallory = ana.sibling(4);
    let body = mallory.certificate.verify().unwrap();
    mallory.certificate = DeviceCertificate::sign(&body, &SigningKey::from_bytes(&[66; 32]));
    let open = Operation::OpenRecovery { certificate: mallory.certificate.clone() };
    assert_eq!(code(mallory.ask(&answerer, open, NOW).await), Some(Code::Denied));
    // A genuine certificate of somebody else.
    let open = Operation::OpenRecovery { certificate: ana.sibling(5).certificate };
    assert_eq!(code(mallory.ask(&answerer, open, NOW).await), Some(Code::Denied));
    // And nobody recovers what does not exist.
    let nobody = Person::new("nobody", 9);
    let open = Operation::OpenRecovery { certificate: nobody.certificate.clone() };
    assert_eq!(code(nobody.ask(&answerer, open, NOW).await), Some(Code::NotFound));
}

/// R-REG-02, G02: who may append what.
#[tokio::test]
async fn r_reg_02_statements_come_from_whom_they_concern() {
    let answerer = answerer().await;
    let ana = Person::new("ana", 1).enrolled(&answerer).await;
    let ben = Person::new("ben", 2).enrolled(&answerer).await;
    let (log, laptop, phone) = (ana.log(&answerer).await, ana.sibling(3), ana.sibling(4));
    // A device that is not there yet may add itself, and no other one.
    let own = ana.adding(&log, &laptop);
    let stolen = AppendStatement { certificate: Some(phone.certificate.clone()), ..own.clone() };
    assert_eq!(code(phone.appends(&answerer, stolen).await), Some(Code::Denied));
    // A recovery asked for by a device that is there, or by another new one.
    let recovery = laptop.recovering(&log);
    assert_eq!(code(ana.appends(&answerer, recovery.clone()).await), Some(Code::Denied));
    let stolen = AppendStatement { certificate: Some(phone.certificate.clone()), ..recovery };
    assert_eq!(code(phone.appends(&answerer, stolen).await), Some(Code::Denied));
    // Another account's device brings ana's statement: it is judged by ben's log.
    assert_eq!(code(ben.appends(&answerer, own.clone()).await), Some(Code::Denied));
    assert_eq!(ana.record(&answerer).await.statements.len(), 1);
    assert_eq!(code(laptop.appends(&answerer, own).await), None);
    assert_eq!(ana.record(&answerer).await.statements.len(), 2);
    // Only statements that bring it: it revokes nobody before it is there.
    let revocation =
        ana.append(&ana.log(&answerer).await, StatementKind::RevokeDevice { device: ana.device });
    assert_eq!(code(phone.appends(&answerer, revocation).await), Some(Code::Denied));
}

/// R-REG-01, G01: nobody but the account key adds a device, not even whoever has a device.
#[tokio::test]
async fn r_reg_01_g01_only_the_account_key_brings_a_device() {
    let answerer = answerer().await;
    let ana = Person::new("ana", 1).enrolled(&answerer).await;
    let (log, laptop) = (ana.log(&answerer).await, ana.sibling(3));
    let mut forger = ana.clone();
    forger.account_key = SigningKey::from_bytes(&[66; 32]);
    assert_eq!(code(ana.appends(&answerer, forger.adding(&log, &laptop)).await), Some(Code::Denied));
    // A statement of ana's about another certificate than the one that comes with it.
    let mut swapped = ana.adding(&log, &laptop);
    swapped.certificate = Some(ana.sibling(4).certificate);
    assert_eq!(code(ana.appends(&answerer, swapped).await), Some(Code::Denied));
    let mut missing = ana.adding(&log, &laptop);
    missing.certificate = None;
    assert_eq!(code(ana.appends(&answerer, missing).await), Some(Code::Denied));
    // A second creation.
    let certificate = wire_hash(&ana.certificate.to_bytes());
    let again = ana.append(&log, StatementKind::Create { handle: "hannah".parse().unwrap(), certificate });
    assert_eq!(code(ana.appends(&answerer, again).await), Some(Code::Malformed));
    assert_eq!(ana.record(&answerer).await.statements.len(), 1);
}

#[tokio::test]
async fn an_account_has_at_most_ten_devices_at_a_time() {
    let answerer = answerer().await;
    let ana = Person::new("ana", 1).enrolled(&answerer).await;
    for seed in 3..12 {
        ana.with_device(&answerer, seed).await;
    }
    let log = ana.log(&answerer).await;
    let one_more = ana.sibling(12);
    assert_eq!(code(ana.appends(&answerer, ana.adding(&log, &one_more)).await), Some(Code::TooLarge));
    assert_eq!(ana.revokes(&answerer, ana.sibling(3).device).await, Ok(Answer::Done));
    ana.with_device(&answerer, 12).await;
}

/// The other devices are told of a statement, and a device is told when its stock is low: once a minute.
#[tokio::test]
async fn devices_are_told_of_new_statements_and_of_a_low_stock() {
    let answerer = answerer().await;
    let mut hints = answerer.hints().unwrap();
    let ana = Person::new("ana", 1).enrolled(&answerer).await;
    let ben = Person::new("ben", 2).enrolled(&answerer).await;
    let laptop = ana.with_device(&answerer, 3).await;
    assert_eq!(hints.try_recv(), Ok(laptop.device));
    let packages = (0..22).map(|_| ana.usual_package()).collect();
    ana.publish(&answerer, packages).await.unwrap();
    ben.claim(&answerer, &ana).await.unwrap();
    assert!(hints.try_recv().is_err(), "21 are left");
    ben.claim(&answerer, &ana).await.unwrap();
    assert_eq!(hints.try_recv(), Ok(ana.device), "20 are left");
    ben.claim(&answerer, &ana).await.unwrap();
    assert!(hints.try_recv().is_err(), "told within the minute");
    let later = NOW.plus(std::time::Duration::from_secs(60));
    ben.claim_at(&answerer, &ana, SUITE, later).await.unwrap();
    assert_eq!(hints.try_recv(), Ok(ana.device));
}

/// A new device that is linked while it is away brings its packages later: its siblings wait for them.
#[tokio::test]
async fn siblings_are_told_of_the_first_packages_of_a_new_device() {
    let answerer = answerer().await;
    let mut hints = answerer.hints().unwrap();
    let ana = Person::new("ana", 1).enrolled(&answerer).await;
    let laptop = ana.with_device(&answerer, 3).await;
    assert_eq!(hints.try_recv(), Ok(laptop.device), "that it belongs to an account now");
    laptop.publish(&answerer, vec![laptop.usual_package()]).await.unwrap();
    assert_eq!(hints.try_recv(), Ok(ana.device));
    laptop.publish(&answerer, vec![laptop.usual_package()]).await.unwrap();
    assert!(hints.try_recv().is_err(), "more of them are no news");
}

/// An account's own devices add each other to groups: that takes nothing of anybody's quota.
#[tokio::test]
async fn one_device_alone_can_be_asked_for() {
    let answerer = answerer().await;
    let ana = Person::new("ana", 1).enrolled(&answerer).await;
    let ben = Person::new("ben", 2).enrolled(&answerer).await;
    let laptop = ana.with_device(&answerer, 3).await;
    for device in [&ana, &laptop] {
        device.publish(&answerer, vec![device.usual_package()]).await.unwrap();
    }
    let only = |device| Operation::ClaimKeyPackages {
        account: ana.account,
        suite: SUITE.into(),
        device: Some(device),
    };
    let claimed = ben.ask(&answerer, only(laptop.device), NOW).await;
    let Ok(Answer::KeyPackages(claimed)) = claimed else { panic!("{claimed:?}") };
    assert_eq!(claimed.iter().map(|package| package.device).collect::<Vec<_>>(), [laptop.device]);
    assert_eq!(ana.stock(&answerer, NOW).await, (1, false), "the other device's was not taken");
    assert_eq!(code(ben.ask(&answerer, only(ben.device), NOW).await), Some(Code::NotFound));
}
