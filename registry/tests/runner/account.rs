use std::time::Duration;

use cipher_broker::certificate::DeviceCertificate;
use cipher_broker::sign::{Purpose, Signed};
use cipher_broker::wire::refusal::Code;
use cipher_broker::wire::registry::{Answer, CreateAccount, Operation, seal_request};
use cipher_broker::wire::statement::{Statement, StatementKind};
use ed25519_dalek::SigningKey;

use crate::support::{DAY, NOW, Person, answerer, code, operator, send};

#[tokio::test]
async fn a_created_account_is_found_by_handle_and_by_id() {
    let answerer = answerer().await;
    let ana = Person::new("ana", 1).enrolled(&answerer).await;
    let ben = Person::new("ben", 2).enrolled(&answerer).await;
    let by_handle = ben.ask(&answerer, Operation::Resolve { handle: ana.handle.clone() }, NOW).await;
    let by_id = ben.ask(&answerer, Operation::FetchAccount { account: ana.account }, NOW).await;
    assert_eq!(by_handle, by_id);
    let Ok(Answer::Account(record)) = by_id else { panic!("{by_id:?}") };
    assert_eq!((record.account, &record.handle), (ana.account, &ana.handle));
    assert_eq!(record.certificates, std::slice::from_ref(&ana.certificate));
    assert_eq!(record.statements, [ana.creation().statement]);
}

#[tokio::test]
async fn an_unknown_handle_or_account_is_not_found() {
    let answerer = answerer().await;
    let ana = Person::new("ana", 1).enrolled(&answerer).await;
    let nobody = Person::new("nobody", 9);
    let by_handle = ana.ask(&answerer, Operation::Resolve { handle: nobody.handle.clone() }, NOW).await;
    assert_eq!(code(by_handle), Some(Code::NotFound));
    let by_id = ana.ask(&answerer, Operation::FetchAccount { account: nobody.account }, NOW).await;
    assert_eq!(code(by_id), Some(Code::NotFound));
    assert_eq!(code(ana.claim(&answerer, &nobody).await), Some(Code::NotFound));
}

/// A lost reply costs nothing: the same again, in a new request, is done.
#[tokio::test]
async fn creating_the_same_account_again_is_done() {
    let answerer = answerer().await;
    let ana = Person::new("ana", 1).enrolled(&answerer).await;
    for _ in 0..3 {
        assert_eq!(ana.ask(&answerer, ana.create(), NOW.plus(DAY)).await, Ok(Answer::Done));
    }
}

#[tokio::test]
async fn an_account_that_exists_cannot_be_created_with_another_handle() {
    let answerer = answerer().await;
    let ana = Person::new("ana", 1).enrolled(&answerer).await;
    let renamed = Person::new("hannah", 1);
    assert_eq!(code(renamed.ask(&answerer, renamed.create(), NOW).await), Some(Code::AccountExists));
    let found = ana.ask(&answerer, Operation::Resolve { handle: renamed.handle.clone() }, NOW).await;
    assert_eq!(code(found), Some(Code::NotFound), "the other handle was not claimed");
}

#[tokio::test]
async fn a_taken_handle_is_refused_and_stays_with_its_account() {
    let answerer = answerer().await;
    let ana = Person::new("ana", 1).enrolled(&answerer).await;
    let thief = Person::new("ana", 2);
    assert_eq!(code(thief.ask(&answerer, thief.create(), NOW).await), Some(Code::HandleTaken));
    let found = ana.ask(&answerer, Operation::Resolve { handle: ana.handle.clone() }, NOW).await;
    let Ok(Answer::Account(record)) = found else { panic!("{found:?}") };
    assert_eq!(record.account, ana.account);
    // And the thief has no account: nothing was written for it.
    let found = ana.ask(&answerer, Operation::FetchAccount { account: thief.account }, NOW).await;
    assert_eq!(code(found), Some(Code::NotFound));
}

/// G06: many claim one handle at the same moment; exactly one wins.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn g06_of_many_who_claim_a_handle_at_once_one_wins() {
    let answerer = answerer().await;
    let claims = (1..=32).map(|seed| {
        let answerer = answerer.clone();
        tokio::spawn(async move {
            let person = Person::new("wanted", seed);
            person.ask(&answerer, person.create(), NOW).await
        })
    });
    let mut won = 0;
    for outcome in futures::future::join_all(claims).await {
        match outcome.unwrap() {
            Ok(_) => won += 1,
            Err(refusal) => assert_eq!(refusal.code, Code::HandleTaken),
        }
    }
    assert_eq!(won, 1);
}

/// G01, K05: nobody but the account key makes a device or an account.
#[tokio::test]
async fn g01_a_forged_certificate_is_refused() {
    let answerer = answerer().await;
    let ana = Person::new("ana", 1);
    let mut forged = ana.clone();
    let body = ana.certificate.verify().unwrap();
    forged.certificate = DeviceCertificate::sign(&body, &SigningKey::from_bytes(&[66; 32]));
    assert_eq!(code(forged.ask(&answerer, forged.create(), NOW).await), Some(Code::Denied));
    // A genuine certificate, used by a device that does not have its key.
    let mut thief = ana.clone();
    thief.device_key = SigningKey::from_bytes(&[66; 32]);
    assert_eq!(code(thief.ask(&answerer, thief.create(), NOW).await), Some(Code::Denied));
}

/// G09: the body names another account than the certificate.
#[tokio::test]
async fn g09_an_account_cannot_be_created_in_the_name_of_another() {
    let answerer = answerer().await;
    let (ana, mallory) = (Person::new("ana", 1), Person::new("mallory", 2));
    let mut body = mallory.body(mallory.create(), NOW);
    body.account = ana.account;
    let request = seal_request(&body, &mallory.device_key);
    assert_eq!(code(send(&answerer, "create-account", request, NOW).await), Some(Code::Denied));
}

#[tokio::test]
async fn every_part_of_a_creation_must_fit_the_others() {
    let (ana, ben) = (Person::new("ana", 1), Person::new("ben", 2));
    let change = |change: &dyn Fn(&mut CreateAccount)| {
        let mut creation = ana.creation();
        change(&mut creation);
        Operation::CreateAccount(Box::new(creation))
    };
    let statement = |edit: &dyn Fn(&mut Statement)| {
        let mut statement = ana.statement();
        edit(&mut statement);
        let signed = ana.stated(&statement);
        change(&move |creation| creation.statement = signed.clone())
    };
    let table = [
        ("signed by another account", change(&|c| c.statement = ben.stated(&ana.statement())), Code::Denied),
        ("statement of another account", statement(&|s| s.account = ben.account), Code::Denied),
        ("not the first statement", statement(&|s| s.sequence = 1), Code::Malformed),
        ("with a previous one", statement(&|s| s.previous = [1; 32]), Code::Malformed),
        (
            "another certificate",
            statement(&|s| {
                s.claim = StatementKind::Create { handle: ana.handle.clone(), certificate: [0; 32] }
            }),
            Code::Denied,
        ),
        ("profile of another device", change(&|c| c.profile.device = ben.device), Code::Denied),
        (
            "profile of another account",
            change(&|c| c.profile = ana.signed(&ben.profile("", 0))),
            Code::Denied,
        ),
        (
            "profile signed by another",
            change(&|c| c.profile.profile = ben.signed(&ana.profile("", 0)).profile),
            Code::Denied,
        ),
        (
            "name too long",
            change(&|c| c.profile = ana.signed(&ana.profile(&"x".repeat(65), 0))),
            Code::TooLarge,
        ),
    ];
    let answerer = answerer().await;
    for (what, operation, expected) in table {
        assert_eq!(code(ana.ask(&answerer, operation, NOW).await), Some(expected), "{what}");
    }
    assert_eq!(ana.ask(&answerer, ana.create(), NOW).await, Ok(Answer::Done), "nothing was left behind");
}

#[tokio::test]
async fn a_bot_needs_an_owner_who_exists_and_has_countersigned() {
    let answerer = answerer().await;
    let ana = Person::new("ana", 1);
    let unsigned = Person::bot("bot", 3, &ana, None);
    assert_eq!(code(unsigned.ask(&answerer, unsigned.create(), NOW).await), Some(Code::Denied));
    let by_itself = Person::bot("bot", 3, &ana, Some(&unsigned.account_key));
    assert_eq!(code(by_itself.ask(&answerer, by_itself.create(), NOW).await), Some(Code::Denied));
    let bot = Person::bot("bot", 3, &ana, Some(&ana.account_key));
    assert_eq!(code(bot.ask(&answerer, bot.create(), NOW).await), Some(Code::NotFound));
    let ana = ana.enrolled(&answerer).await;
    assert_eq!(bot.ask(&answerer, bot.create(), NOW).await, Ok(Answer::Done));
    let found = ana.ask(&answerer, Operation::Resolve { handle: bot.handle.clone() }, NOW).await;
    assert!(matches!(found, Ok(Answer::Account(_))));
}

/// G06: a claim that was made before (a minute or more: until then it is told the same), and one that uses an old
/// nonce for something else, count for nothing.
#[tokio::test]
async fn g06_a_replayed_claim_of_a_handle_and_an_old_nonce_are_refused() {
    let answerer = answerer().await;
    let (ana, ben) = (Person::new("ana", 1), Person::new("ben", 2).enrolled(&answerer).await);
    let mut body = ana.body(ana.create(), NOW);
    let request = seal_request(&body, &ana.device_key);
    assert_eq!(send(&answerer, "create-account", request.clone(), NOW).await, Ok(Answer::Done));
    let later = NOW.plus(Duration::from_secs(60));
    assert_eq!(code(send(&answerer, "create-account", request, later).await), Some(Code::Replayed));
    body.operation = Operation::SetProfile(ana.signed(&ana.profile("Ana", 1)));
    let request = seal_request(&body, &ana.device_key);
    assert_eq!(code(send(&answerer, "set-profile", request, NOW).await), Some(Code::Replayed));
    // The same nonce of somebody else is another one.
    let mut theirs = ben.body(Operation::CountKeyPackages, NOW);
    theirs.nonce = body.nonce;
    let request = seal_request(&theirs, &ben.device_key);
    assert!(send(&answerer, "count-key-packages", request, NOW).await.is_ok());
}

/// G07: a handle that only looks like another cannot even be decoded, neither to claim nor to look it up. ASCII
/// look-alikes (`al1ce`) are other handles: people see which one they pinned.
#[tokio::test]
async fn g07_look_alike_handles_are_malformed() {
    let answerer = answerer().await;
    let alice = Person::new("alice", 1).enrolled(&answerer).await;
    let tricks = [
        ("upper case", "Alice"),
        ("all upper case", "ALICE"),
        ("cyrillic a", "\u{430}lice"),
        ("zero width joiner", "al\u{200d}ice"),
        ("zero width space", "alice\u{200b}"),
        ("full width", "\u{ff41}lice"),
        ("combining accent", "alice\u{301}"),
        ("right to left override", "\u{202e}alice"),
        ("soft hyphen", "ali\u{ad}ce"),
        ("space", "alice "),
        ("control", "alice\n"),
        ("dotless i", "al\u{131}ce"),
        ("with @", "@alice"),
    ];
    for (what, trick) in tricks {
        let squatter = Person::new(&"x".repeat(trick.len()), 2);
        let replaced = |bytes: Vec<u8>| {
            let at = bytes.windows(trick.len()).position(|part| part == squatter.handle.as_str().as_bytes());
            let mut bytes = bytes;
            let at = at.unwrap();
            bytes[at..at + trick.len()].copy_from_slice(trick.as_bytes());
            bytes
        };
        let mut creation = squatter.creation();
        let statement = replaced(cipher_broker::codec::encode(&squatter.statement()));
        creation.statement = Signed::new(&squatter.account_key, Purpose::AccountStatement, statement);
        let outcome = squatter.ask(&answerer, Operation::CreateAccount(Box::new(creation)), NOW).await;
        assert_eq!(code(outcome), Some(Code::Malformed), "{what}");
        let look = alice.body(Operation::Resolve { handle: squatter.handle.clone() }, NOW);
        let look = replaced(cipher_broker::codec::encode(&look));
        let look = Signed::new(&alice.device_key, Purpose::RegistryRequest, look);
        let outcome = send(&answerer, "resolve", cipher_broker::codec::encode(&look), NOW).await;
        assert_eq!(code(outcome), Some(Code::Malformed), "{what}");
    }
    Person::new("al1ce", 3).enrolled(&answerer).await;
    let thief = Person::new("alice", 4);
    assert_eq!(code(thief.ask(&answerer, thief.create(), NOW).await), Some(Code::HandleTaken));
}

#[tokio::test]
async fn the_operator_may_read_and_nothing_else() {
    let answerer = answerer().await;
    let ana = Person::new("ana", 1).enrolled(&answerer).await;
    let mut operator = operator();
    let found = operator.ask(&answerer, Operation::Resolve { handle: ana.handle.clone() }, NOW).await;
    assert!(matches!(found, Ok(Answer::Account(_))));
    let found = operator.ask(&answerer, Operation::FetchAccount { account: ana.account }, NOW).await;
    assert!(matches!(found, Ok(Answer::Account(_))));
    assert_eq!(code(operator.claim(&answerer, &ana).await), Some(Code::Denied));
    assert_eq!(code(operator.ask(&answerer, Operation::CountKeyPackages, NOW).await), Some(Code::Denied));
    operator.device_key = SigningKey::from_bytes(&[66; 32]);
    let found = operator.ask(&answerer, Operation::FetchAccount { account: ana.account }, NOW).await;
    assert_eq!(code(found), Some(Code::Denied));
}
