use std::collections::HashSet;
use std::time::Duration;

use cipher_broker::limit;
use cipher_broker::wire::refusal::Code;
use cipher_broker::wire::registry::{Answer, Operation};
use cipher_registry::Limits;
use ed25519_dalek::SigningKey;
use openmls::prelude::{BasicCredential, Ciphersuite, Credential, CredentialType};

use crate::support::{DAY, HOUR, HYBRID, NOW, Person, SUITE, answerer, code, desk_with, send};

#[tokio::test]
async fn packages_go_out_oldest_first_and_then_the_last_resort_again_and_again() {
    let answerer = answerer().await;
    let ana = Person::new("ana", 1).enrolled(&answerer).await;
    let ben = Person::new("ben", 2).enrolled(&answerer).await;
    let packages: Vec<_> = (0..3).map(|_| ana.usual_package()).collect();
    let last = ana.usual_package();
    ana.publish_at(&answerer, packages.clone(), Some(last.clone()), NOW).await.unwrap();
    assert_eq!(ana.stock(&answerer, NOW).await, (3, false), "one suite has none");
    for package in packages {
        let claimed = ben.claim(&answerer, &ana).await.unwrap();
        assert_eq!(claimed.len(), 1);
        assert_eq!((claimed[0].device, claimed[0].last_resort), (ana.device, false));
        assert_eq!(claimed[0].key_package, package);
    }
    for _ in 0..3 {
        let claimed = ben.claim(&answerer, &ana).await.unwrap();
        assert_eq!((&claimed[0].key_package, claimed[0].last_resort), (&last, true));
    }
    assert_eq!(code(ben.claim_at(&answerer, &ana, HYBRID, NOW).await), Some(Code::NoKeyPackage));
    let hybrid = ana.package(HYBRID, NOW.minus(HOUR), NOW.plus(DAY * 84));
    ana.publish_at(&answerer, vec![], Some(hybrid), NOW).await.unwrap();
    assert_eq!(ana.stock(&answerer, NOW).await, (0, true));
}

/// K06: eight at once, more asking than there is: every package goes to one taker.
#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn k06_each_package_is_handed_out_exactly_once_under_eight_threads() {
    const PACKAGES: usize = 100;
    let answerer = desk_with(Limits { per_target: 1_000, overall: 1_000, ..Limits::default() }).await;
    let ana = Person::new("ana", 1).enrolled(&answerer).await;
    let packages: Vec<_> = (0..PACKAGES).map(|_| ana.usual_package()).collect();
    ana.publish(&answerer, packages.clone()).await.unwrap();
    let mut takers = Vec::new();
    for seed in 10..18 {
        let (answerer, ana) = (answerer.clone(), ana.clone());
        takers.push(tokio::spawn(async move {
            let taker = Person::new(&format!("taker{seed}"), seed).enrolled(&answerer).await;
            let mut taken = Vec::new();
            for _ in 0..PACKAGES / 8 + 5 {
                match taker.claim(&answerer, &ana).await {
                    Ok(claimed) => taken.extend(claimed.into_iter().map(|package| package.key_package)),
                    Err(refusal) => assert_eq!(refusal.code, Code::NoKeyPackage),
                }
            }
            taken
        }));
    }
    let mut taken = Vec::new();
    for taker in takers {
        taken.extend(taker.await.unwrap());
    }
    assert_eq!(taken.len(), PACKAGES);
    let distinct: HashSet<_> = taken.into_iter().collect();
    assert_eq!(distinct, packages.into_iter().collect());
}

/// K06: a package that was brought before is ignored, also after it was handed out.
#[tokio::test]
async fn k06_a_package_brought_twice_is_handed_out_once() {
    let answerer = answerer().await;
    let ana = Person::new("ana", 1).enrolled(&answerer).await;
    let ben = Person::new("ben", 2).enrolled(&answerer).await;
    let package = ana.usual_package();
    ana.publish(&answerer, vec![package.clone(), package.clone()]).await.unwrap();
    ana.publish(&answerer, vec![package.clone()]).await.unwrap();
    assert_eq!(ana.stock(&answerer, NOW).await.0, 1);
    ben.claim(&answerer, &ana).await.unwrap();
    assert_eq!(ana.publish(&answerer, vec![package.clone()]).await, Ok(Answer::Done));
    assert_eq!(code(ben.claim(&answerer, &ana).await), Some(Code::NoKeyPackage));
    let as_last_resort = ana.publish_at(&answerer, vec![], Some(package), NOW).await;
    assert_eq!(code(as_last_resort), Some(Code::BadKeyPackage));
}

#[tokio::test]
async fn suites_have_stocks_of_their_own() {
    let answerer = answerer().await;
    let ana = Person::new("ana", 1).enrolled(&answerer).await;
    let ben = Person::new("ben", 2).enrolled(&answerer).await;
    let hybrid = ana.package(HYBRID, NOW.minus(HOUR), NOW.plus(DAY * 84));
    ana.publish(&answerer, vec![hybrid.clone(), ana.usual_package()]).await.unwrap();
    assert_eq!(ana.stock(&answerer, NOW).await, (2, false));
    let claimed = ben.claim_at(&answerer, &ana, HYBRID, NOW).await.unwrap();
    assert_eq!(claimed[0].key_package, hybrid);
    assert!(ben.claim(&answerer, &ana).await.is_ok());
}

/// K07: lifetimes, each judged by the registry's clock, not the machine's.
#[tokio::test]
async fn k07_only_packages_with_a_sensible_lifetime_are_accepted() {
    let answerer = answerer().await;
    let ana = Person::new("ana", 1).enrolled(&answerer).await;
    let second = Duration::from_secs(1);
    let accepted = [
        ("usual", NOW.minus(HOUR), NOW.plus(DAY * 84)),
        ("longest", NOW, NOW.plus(limit::KEY_PACKAGE_MAX_LIFETIME)),
        ("clock of the device is ahead", NOW.plus(HOUR), NOW.plus(DAY * 84)),
        ("nearly over", NOW.minus(DAY), NOW.plus(second)),
    ];
    for (what, not_before, not_after) in accepted {
        let package = ana.package(SUITE, not_before, not_after);
        assert_eq!(ana.publish(&answerer, vec![package]).await, Ok(Answer::Done), "{what}");
    }
    let refused = [
        ("a second too long", NOW, NOW.plus(limit::KEY_PACKAGE_MAX_LIFETIME + second)),
        ("1,000 years", NOW.minus(HOUR), NOW.plus(DAY * 365_000)),
        ("expired", NOW.minus(DAY), NOW),
        ("not valid yet", NOW.plus(HOUR + second), NOW.plus(DAY * 84)),
        ("ends before it begins", NOW.plus(HOUR), NOW.minus(HOUR)),
    ];
    for (what, not_before, not_after) in refused {
        let package = ana.package(SUITE, not_before, not_after);
        assert_eq!(code(ana.publish(&answerer, vec![package]).await), Some(Code::BadKeyPackage), "{what}");
    }
    let credential = Credential::new(CredentialType::Other(0xF0A1), ana.certificate.to_bytes());
    let forever = ana.package_with(SUITE, credential, &ana.device_key, 0, u64::MAX);
    assert_eq!(code(ana.publish(&answerer, vec![forever]).await), Some(Code::BadKeyPackage));
}

/// K11: a package with less than 45 days left is not handed out, and goes away.
#[tokio::test]
async fn k11_a_package_that_ends_soon_is_not_handed_out() {
    let answerer = answerer().await;
    let ana = Person::new("ana", 1).enrolled(&answerer).await;
    let ben = Person::new("ben", 2).enrolled(&answerer).await;
    let first = ana.package(SUITE, NOW.minus(HOUR), NOW.plus(DAY * 60));
    let second = ana.package(SUITE, NOW.minus(HOUR), NOW.plus(DAY * 84));
    let last = ana.package(SUITE, NOW.minus(HOUR), NOW.plus(DAY * 70));
    ana.publish_at(&answerer, vec![first, second.clone()], Some(last.clone()), NOW).await.unwrap();
    let hybrid = ana.package(HYBRID, NOW.minus(HOUR), NOW.plus(DAY * 70));
    ana.publish_at(&answerer, vec![], Some(hybrid), NOW).await.unwrap();
    let later = NOW.plus(DAY * 16);
    assert_eq!(ana.stock(&answerer, later).await, (1, true));
    assert_eq!(ben.claim_at(&answerer, &ana, SUITE, later).await.unwrap()[0].key_package, second);
    assert_eq!(ben.claim_at(&answerer, &ana, SUITE, later).await.unwrap()[0].key_package, last);
    let much_later = NOW.plus(DAY * 26);
    assert_eq!(code(ben.claim_at(&answerer, &ana, SUITE, much_later).await), Some(Code::NoKeyPackage));
    assert_eq!(ana.stock(&answerer, much_later).await, (0, false));
}

/// K09: one account cannot empty another's stock: a quota per target and in all; after an hour it goes on.
#[tokio::test]
async fn k09_claims_are_limited_per_target_and_in_all() {
    let answerer = desk_with(Limits { per_target: 3, overall: 4, ..Limits::default() }).await;
    let ana = Person::new("ana", 1).enrolled(&answerer).await;
    let ben = Person::new("ben", 2).enrolled(&answerer).await;
    let mallory = Person::new("mallory", 3).enrolled(&answerer).await;
    for person in [&ana, &ben] {
        person.publish_at(&answerer, vec![], Some(person.usual_package()), NOW).await.unwrap();
    }
    for _ in 0..3 {
        mallory.claim(&answerer, &ana).await.unwrap();
    }
    let refusal = mallory.claim(&answerer, &ana).await.unwrap_err();
    assert_eq!(refusal.code, Code::Quota);
    assert!(refusal.code.retryable() && refusal.message.contains("60 minutes"), "{}", refusal.message);
    mallory.claim(&answerer, &ben).await.unwrap();
    assert_eq!(code(mallory.claim(&answerer, &ben).await), Some(Code::Quota));
    ben.claim(&answerer, &ana).await.unwrap();
    mallory.claim_at(&answerer, &ana, SUITE, NOW.plus(HOUR)).await.unwrap();
}

/// K09: one account claims without end: its quota, then nothing; the stock of others is not touched by more.
#[tokio::test]
async fn k09_one_account_takes_its_quota_and_no_more() {
    let answerer = answerer().await;
    let mut hints = answerer.hints().unwrap();
    let ana = Person::new("ana", 1).enrolled(&answerer).await;
    let mallory = Person::new("mallory", 3).enrolled(&answerer).await;
    let packages = (0..50).map(|_| ana.usual_package()).collect();
    ana.publish_at(&answerer, packages, Some(ana.usual_package()), NOW).await.unwrap();
    let (mut one_time, mut last_resort, mut refused) = (0, 0, 0);
    for _ in 0..1_000 {
        match mallory.claim(&answerer, &ana).await {
            Ok(claimed) if claimed[0].last_resort => last_resort += 1,
            Ok(_) => one_time += 1,
            Err(refusal) => {
                assert_eq!(refusal.code, Code::Quota);
                refused += 1;
            }
        }
    }
    assert_eq!((one_time, last_resort, refused), (50, 50, 900));
    assert_eq!(hints.try_recv(), Ok(ana.device), "the device is told to refill");
    // The device refills when it is told; then others get one-time packages again.
    ana.publish(&answerer, vec![ana.usual_package()]).await.unwrap();
    let ben = Person::new("ben", 2).enrolled(&answerer).await;
    assert!(!ben.claim(&answerer, &ana).await.unwrap()[0].last_resort);
}

/// K09: a thousand accounts take three each: the stock, then the last resort, which adds people all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn k09_a_thousand_accounts_find_the_last_resort() {
    let answerer = answerer().await;
    let ana = Person::new("ana", 1).enrolled(&answerer).await;
    let (packages, last): (Vec<_>, _) = ((0..50).map(|_| ana.usual_package()).collect(), ana.usual_package());
    ana.publish_at(&answerer, packages.clone(), Some(last.clone()), NOW).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..1_000 {
        let (answerer, ana) = (answerer.clone(), ana.clone());
        tasks.spawn(async move {
            let taker = Person::numbered(n).enrolled(&answerer).await;
            let mut taken = Vec::new();
            for _ in 0..3 {
                taken.extend(taker.claim(&answerer, &ana).await.unwrap());
            }
            taken
        });
    }
    let (mut one_time, mut last_resort) = (HashSet::new(), 0);
    while let Some(taken) = tasks.join_next().await {
        for package in taken.unwrap() {
            if package.last_resort {
                assert_eq!(package.key_package, last);
                last_resort += 1;
            } else {
                assert!(one_time.insert(package.key_package), "handed out twice");
            }
        }
    }
    assert_eq!((one_time, last_resort), (packages.into_iter().collect(), 2_950));
}

/// K08: the last resort is handed out as such, its device is told, and a new one takes its place at once.
#[tokio::test]
async fn k08_a_used_last_resort_is_marked_and_replaced() {
    let answerer = answerer().await;
    let mut hints = answerer.hints().unwrap();
    let ana = Person::new("ana", 1).enrolled(&answerer).await;
    let ben = Person::new("ben", 2).enrolled(&answerer).await;
    let (first, second) = (ana.usual_package(), ana.usual_package());
    ana.publish_at(&answerer, vec![], Some(first.clone()), NOW).await.unwrap();
    for _ in 0..3 {
        let claimed = ben.claim(&answerer, &ana).await.unwrap();
        assert_eq!((&claimed[0].key_package, claimed[0].last_resort), (&first, true));
    }
    assert_eq!(hints.try_recv(), Ok(ana.device));
    ana.publish_at(&answerer, vec![], Some(second.clone()), NOW).await.unwrap();
    let claimed = ben.claim(&answerer, &ana).await.unwrap();
    assert_eq!((&claimed[0].key_package, claimed[0].last_resort), (&second, true));
    assert_eq!(ana.stock(&answerer, NOW).await, (0, false), "the other suite has none");
}

/// R-REG-06: an account's own devices, and claims replayed by somebody else, use nobody's quota up.
#[tokio::test]
async fn r_reg_06_own_claims_and_replays_are_not_counted() {
    let answerer = desk_with(Limits { per_target: 1, overall: 1, ..Limits::default() }).await;
    let ana = Person::new("ana", 1).enrolled(&answerer).await;
    let ben = Person::new("ben", 2).enrolled(&answerer).await;
    for person in [&ana, &ben] {
        person.publish_at(&answerer, vec![], Some(person.usual_package()), NOW).await.unwrap();
    }
    for _ in 0..3 {
        assert!(ana.claim(&answerer, &ana).await.is_ok());
    }
    let claim = Operation::ClaimKeyPackages { account: ben.account, suite: SUITE.into(), device: None };
    let request = ana.request(claim, NOW.minus(HOUR));
    for _ in 0..3 {
        let refused = send(&answerer, "claim-key-packages", request.clone(), NOW).await;
        assert_eq!(code(refused), Some(Code::ClockSkew));
    }
    assert!(ana.claim(&answerer, &ben).await.is_ok());
    assert_eq!(code(ana.claim(&answerer, &ben).await), Some(Code::Quota));
}

/// K05: only packages of the calling device, with its certificate, are taken.
#[tokio::test]
async fn k05_packages_of_others_are_refused() {
    let answerer = answerer().await;
    let ana = Person::new("ana", 1).enrolled(&answerer).await;
    let ben = Person::new("ben", 2).enrolled(&answerer).await;
    let other_key = SigningKey::from_bytes(&[66; 32]);
    let (from, to) = (NOW.as_secs() - 60, NOW.plus(DAY * 84).as_secs());
    let custom = |bytes| Credential::new(CredentialType::Other(0xF0A1), bytes);
    let make = |credential, key: &SigningKey| ana.package_with(SUITE, credential, key, from, to);
    let table = [
        ("another device's", ben.usual_package()),
        ("another's certificate, own key", make(custom(ben.certificate.to_bytes()), &ana.device_key)),
        ("own certificate, another key", make(custom(ana.certificate.to_bytes()), &other_key)),
        ("no certificate", make(custom(vec![1, 2, 3]), &ana.device_key)),
        ("basic credential", make(BasicCredential::new(b"ana".to_vec()).into(), &ana.device_key)),
    ];
    for (what, package) in table {
        let outcome = ana.publish(&answerer, vec![ana.usual_package(), package]).await;
        assert_eq!(code(outcome), Some(Code::BadKeyPackage), "{what}");
    }
    assert_eq!(ana.stock(&answerer, NOW).await.0, 0, "a request with one bad package changes nothing");
}

/// A package is read by our own code for its lifetime only after its signatures were verified: a changed byte
/// anywhere is refused, although the machine's clock finds every package of this test expired or too early.
#[tokio::test]
async fn k10_a_changed_or_cut_package_is_refused() {
    let answerer = answerer().await;
    let ana = Person::new("ana", 1).enrolled(&answerer).await;
    let package = ana.usual_package();
    for at in 0..package.len() {
        let mut changed = package.clone();
        changed[at] ^= 1;
        let outcome = ana.publish(&answerer, vec![changed]).await;
        assert_eq!(code(outcome), Some(Code::BadKeyPackage), "byte {at}");
    }
    for cut in (0..package.len()).step_by(11) {
        let outcome = ana.publish(&answerer, vec![package[..cut].to_vec()]).await;
        assert_eq!(code(outcome), Some(Code::BadKeyPackage), "cut at {cut}");
    }
    let mut longer = package.clone();
    longer.push(0);
    assert_eq!(code(ana.publish(&answerer, vec![longer]).await), Some(Code::BadKeyPackage));
    assert_eq!(ana.publish(&answerer, vec![package]).await, Ok(Answer::Done));
}

#[tokio::test]
async fn a_suite_that_no_group_uses_is_refused() {
    let answerer = answerer().await;
    let ana = Person::new("ana", 1).enrolled(&answerer).await;
    let suite = Ciphersuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519;
    let package = ana.package(suite, NOW.minus(HOUR), NOW.plus(DAY * 84));
    assert_eq!(code(ana.publish(&answerer, vec![package]).await), Some(Code::BadKeyPackage));
}

#[tokio::test]
async fn number_and_size_of_packages_are_limited() {
    let answerer = answerer().await;
    let ana = Person::new("ana", 1).enrolled(&answerer).await;
    let too_many = vec![vec![0; 10]; limit::KEY_PACKAGES_PER_REQUEST + 1];
    assert_eq!(code(ana.publish(&answerer, too_many).await), Some(Code::TooLarge));
    let too_large = vec![vec![0; limit::KEY_PACKAGE_BYTES + 1]];
    assert_eq!(code(ana.publish(&answerer, too_large).await), Some(Code::TooLarge));
    let batch = |n: usize, not_after| {
        (0..n).map(|_| ana.package(SUITE, NOW.minus(HOUR), not_after)).collect::<Vec<_>>()
    };
    ana.publish(&answerer, batch(100, NOW.plus(DAY * 60))).await.unwrap();
    ana.publish(&answerer, batch(100, NOW.plus(DAY * 84))).await.unwrap();
    assert_eq!(code(ana.publish(&answerer, batch(1, NOW.plus(DAY * 84))).await), Some(Code::TooLarge));
    // What can no longer be handed out makes room.
    let later = NOW.plus(DAY * 16);
    let fresh = vec![ana.package(SUITE, later, later.plus(DAY * 84))];
    assert_eq!(ana.publish_at(&answerer, fresh, None, later).await, Ok(Answer::Done));
    assert_eq!(ana.stock(&answerer, later).await.0, 101);
}
