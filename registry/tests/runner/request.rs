use std::time::Duration;

use cipher_broker::codec;
use cipher_broker::id::DeviceId;
use cipher_broker::limit;
use cipher_broker::sign::{Purpose, Signed};
use cipher_broker::wire::refusal::Code;
use cipher_broker::wire::registry::{Answer, Operation, seal_request};
use ed25519_dalek::SigningKey;

use crate::support::{DAY, HOUR, NOW, Person, SUITE, answerer, code, desk_in, send};

#[tokio::test]
async fn garbage_gets_a_signed_refusal_on_every_endpoint() {
    let answerer = answerer().await;
    let ana = Person::new("ana", 1);
    let real = ana.request(ana.create(), NOW);
    let mut inputs: Vec<Vec<u8>> = vec![vec![], vec![0], vec![1], vec![0xff; 1000], vec![1, 0x91, 0x91]];
    inputs.extend((0..real.len()).step_by(7).map(|cut| real[..cut].to_vec()));
    for endpoint in Operation::NAMES.into_iter().chain(["unknown"]) {
        for input in &inputs {
            let refused = send(&answerer, endpoint, input.clone(), NOW).await;
            assert_eq!(code(refused), Some(Code::Malformed), "{endpoint} {}", input.len());
        }
    }
}

/// T07: a nesting bomb, outside and inside the signature.
#[tokio::test]
async fn t07_a_nesting_bomb_is_malformed() {
    let answerer = answerer().await;
    let mut bomb = vec![codec::VERSION];
    bomb.extend(std::iter::repeat_n(0x91, 200_000));
    assert_eq!(code(send(&answerer, "ping", bomb.clone(), NOW).await), Some(Code::Malformed));
    let signed = Signed::new(&SigningKey::from_bytes(&[1; 32]), Purpose::RegistryRequest, bomb);
    assert_eq!(code(send(&answerer, "ping", codec::encode(&signed), NOW).await), Some(Code::Malformed));
}

#[tokio::test]
async fn a_changed_byte_anywhere_is_never_accepted() {
    let answerer = answerer().await;
    let ana = Person::new("ana", 1);
    let request = ana.request(ana.create(), NOW);
    for at in (0..request.len()).step_by(3) {
        let mut changed = request.clone();
        changed[at] ^= 1;
        assert!(send(&answerer, "create-account", changed, NOW).await.is_err(), "byte {at}");
    }
    assert_eq!(send(&answerer, "create-account", request, NOW).await, Ok(Answer::Done));
}

#[tokio::test]
async fn a_request_over_the_limit_is_refused_before_it_is_read() {
    let answerer = answerer().await;
    let refused = send(&answerer, "ping", vec![1; limit::REGISTRY_BYTES + 1], NOW).await;
    assert_eq!(code(refused), Some(Code::TooLarge));
    let refused = send(&answerer, "ping", vec![1; limit::REGISTRY_BYTES], NOW).await;
    assert_eq!(code(refused), Some(Code::Malformed));
}

#[tokio::test]
async fn a_request_on_the_subject_of_another_operation_is_malformed() {
    let answerer = answerer().await;
    let ana = Person::new("ana", 1).enrolled(&answerer).await;
    let request = ana.request(Operation::CountKeyPackages, NOW);
    assert_eq!(code(send(&answerer, "resolve", request, NOW).await), Some(Code::Malformed));
}

#[tokio::test]
async fn ping_answers_anybody() {
    let answerer = answerer().await;
    let stranger = Person::new("stranger", 7);
    assert_eq!(stranger.ask(&answerer, Operation::Ping, NOW).await, Ok(Answer::Done));
    let mut body = stranger.body(Operation::Ping, NOW);
    body.device = DeviceId::from_bytes([0; 16]);
    let request = seal_request(&body, &SigningKey::from_bytes(&[99; 32]));
    assert_eq!(send(&answerer, "ping", request, NOW).await, Ok(Answer::Done));
}

#[tokio::test]
async fn an_unknown_device_or_a_wrong_key_is_denied() {
    let answerer = answerer().await;
    let ana = Person::new("ana", 1).enrolled(&answerer).await;
    let resolve = || Operation::Resolve { handle: ana.handle.clone() };
    let stranger = Person::new("stranger", 7);
    assert_eq!(code(stranger.ask(&answerer, resolve(), NOW).await), Some(Code::Denied));
    let mut other_device = ana.clone();
    other_device.device = DeviceId::from_bytes([0x55; 16]);
    assert_eq!(code(other_device.ask(&answerer, resolve(), NOW).await), Some(Code::Denied));
    let mut wrong_key = ana.clone();
    wrong_key.device_key = SigningKey::from_bytes(&[66; 32]);
    assert_eq!(code(wrong_key.ask(&answerer, resolve(), NOW).await), Some(Code::Denied));
    // The account key is not a device key.
    wrong_key.device_key = ana.account_key.clone();
    assert_eq!(code(wrong_key.ask(&answerer, resolve(), NOW).await), Some(Code::Denied));
}

/// G09: a signed request counts for the account that signed it, whatever account it names.
#[tokio::test]
async fn g09_nobody_asks_in_the_name_of_another() {
    let answerer = answerer().await;
    let ana = Person::new("ana", 1).enrolled(&answerer).await;
    let mallory = Person::new("mallory", 2).enrolled(&answerer).await;
    let claim = Operation::ClaimKeyPackages { account: mallory.account, suite: SUITE.into(), device: None };
    let mut body = mallory.body(claim, NOW);
    (body.account, body.device) = (ana.account, ana.device);
    let request = seal_request(&body, &mallory.device_key);
    assert_eq!(code(send(&answerer, "claim-key-packages", request, NOW).await), Some(Code::Denied));
}

/// G10: a clock an hour off is told, with both times.
#[tokio::test]
async fn g10_a_wrong_clock_is_told_both_times() {
    let answerer = answerer().await;
    let ana = Person::new("ana", 1).enrolled(&answerer).await;
    for theirs in [NOW.plus(HOUR), NOW.minus(HOUR)] {
        for operation in [Operation::Ping, Operation::CountKeyPackages, ana.create()] {
            let request = ana.request(operation.clone(), theirs);
            let refusal = send(&answerer, operation.name(), request, NOW).await.unwrap_err();
            assert_eq!(refusal.code, Code::ClockSkew);
            assert!(refusal.message.contains(&theirs.to_string()), "{}", refusal.message);
            assert!(refusal.message.contains(&NOW.to_string()), "{}", refusal.message);
        }
    }
}

/// R-REG-20, K04: who lost the reply asks again with the same bytes, is told the same, and nothing is taken twice.
#[tokio::test]
async fn r_reg_20_the_same_bytes_within_a_minute_are_told_the_same() {
    let answerer = answerer().await;
    let ana = Person::new("ana", 1).enrolled(&answerer).await;
    let ben = Person::new("ben", 2).enrolled(&answerer).await;
    ana.publish(&answerer, vec![ana.usual_package(), ana.usual_package()]).await.unwrap();
    let claim = Operation::ClaimKeyPackages { account: ana.account, suite: SUITE.into(), device: None };
    let taken = Operation::CreateAccount(Box::new(Person::new("ana", 3).creation()));
    for operation in [claim.clone(), ben.create(), taken] {
        let (who, name) = if matches!(&operation, Operation::CreateAccount(new) if new.profile.device != ben.device)
        {
            (Person::new("ana", 3), operation.name())
        } else {
            (ben.clone(), operation.name())
        };
        let request = who.request(operation, NOW);
        let first = send(&answerer, name, request.clone(), NOW).await;
        for later in [0, 1, 59] {
            let again = send(&answerer, name, request.clone(), NOW.plus(Duration::from_secs(later))).await;
            assert_eq!(again, first, "{name}");
        }
    }
    assert_eq!(ana.stock(&answerer, NOW).await.0, 1, "asking again took nothing");
    // The same nonce of the same time in other bytes is a replay. (Of another time it is another request: only the
    // device itself can have signed it.)
    let mut body = ben.body(claim.clone(), NOW);
    body.nonce = [7; 16];
    let request = seal_request(&body, &ben.device_key);
    assert!(send(&answerer, "claim-key-packages", request, NOW).await.is_ok());
    body.operation = Operation::ClaimKeyPackages { account: ben.account, suite: SUITE.into(), device: None };
    let request = seal_request(&body, &ben.device_key);
    assert_eq!(code(send(&answerer, "claim-key-packages", request, NOW).await), Some(Code::Replayed));
}

/// R-REG-20: the same bytes many times at once are worked on once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn r_reg_20_the_same_bytes_at_once_are_one_request() {
    let answerer = answerer().await;
    let ana = Person::new("ana", 1).enrolled(&answerer).await;
    let ben = Person::new("ben", 2).enrolled(&answerer).await;
    ana.publish(&answerer, (0..3).map(|_| ana.usual_package()).collect()).await.unwrap();
    let claim = Operation::ClaimKeyPackages { account: ana.account, suite: SUITE.into(), device: None };
    let request = ben.request(claim, NOW);
    let all = (0..32).map(|_| send(&answerer, "claim-key-packages", request.clone(), NOW));
    let answers = futures::future::join_all(all).await;
    assert!(answers[0].is_ok());
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_eq!(ana.stock(&answerer, NOW).await.0, 2);
}

/// G06, G10: the same bytes count once, whether they read or write, and too late is too late.
#[tokio::test]
async fn g10_a_replayed_request_is_refused() {
    let answerer = answerer().await;
    let ana = Person::new("ana", 1).enrolled(&answerer).await;
    let ben = Person::new("ben", 2).enrolled(&answerer).await;
    ana.publish(&answerer, vec![ana.usual_package(), ana.usual_package()]).await.unwrap();
    let claim = Operation::ClaimKeyPackages { account: ana.account, suite: SUITE.into(), device: None };
    for operation in [claim, Operation::CountKeyPackages, ben.create()] {
        let name = operation.name();
        let request = ben.request(operation, NOW);
        assert!(send(&answerer, name, request.clone(), NOW).await.is_ok(), "{name}");
        // What writes is told the same again for a minute.
        for later in if name == "count-key-packages" { [0, 1, 300] } else { [60, 61, 300] } {
            let later = NOW.plus(Duration::from_secs(later));
            let again = send(&answerer, name, request.clone(), later).await;
            assert_eq!(code(again), Some(Code::Replayed), "{name}");
        }
        let late = send(&answerer, name, request, NOW.plus(Duration::from_secs(600))).await;
        assert_eq!(code(late), Some(Code::ClockSkew), "{name}");
    }
    assert_eq!(ana.stock(&answerer, NOW).await.0, 1, "the replay took nothing");
}

/// G10: a request issued by a fast clock can be replayed longer; its nonce is remembered for that long.
#[tokio::test]
async fn g10_a_nonce_is_remembered_as_long_as_its_request_is_in_time() {
    let answerer = answerer().await;
    let ana = Person::new("ana", 1).enrolled(&answerer).await;
    let issued_at = NOW.plus(limit::REQUEST_WINDOW);
    let request = ana.request(ana.create(), issued_at);
    assert!(send(&answerer, "create-account", request.clone(), NOW).await.is_ok());
    let last_moment = issued_at.plus(limit::REQUEST_WINDOW);
    // Other writes in between let the store forget what has expired.
    ana.ask(&answerer, ana.create(), last_moment).await.unwrap();
    let again = send(&answerer, "create-account", request, last_moment).await;
    assert_eq!(code(again), Some(Code::Replayed));
}

/// G10: a restart forgets no nonce of a request that changed something.
#[tokio::test]
async fn g10_a_replay_after_a_restart_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let answerer = desk_in(folder.path()).await;
    let ana = Person::new("ana", 1).enrolled(&answerer).await;
    let ben = Person::new("ben", 2).enrolled(&answerer).await;
    ana.publish(&answerer, vec![ana.usual_package(), ana.usual_package()]).await.unwrap();
    let claim = Operation::ClaimKeyPackages { account: ana.account, suite: SUITE.into(), device: None };
    let request = ben.request(claim, NOW);
    assert!(send(&answerer, "claim-key-packages", request.clone(), NOW).await.is_ok());
    drop(answerer);
    let answerer = desk_in(folder.path()).await;
    let later = NOW.plus(Duration::from_secs(60));
    let again = send(&answerer, "claim-key-packages", request, later).await;
    assert_eq!(code(again), Some(Code::Replayed));
    assert_eq!(ana.stock(&answerer, NOW).await.0, 1);
    assert_eq!(
        ana.ask(&answerer, ana.create(), NOW.plus(DAY)).await,
        Ok(Answer::Done),
        "accounts are still there"
    );
}
