//! Who may become an account.

use cipher_broker::wire::refusal::Code;
use cipher_broker::wire::registry::{AdmissionPolicy, AdmissionProof, Answer, Operation, admission_work};
use cipher_registry::{Admission, Limits, Terms};

use crate::place::Answerer;
use crate::support::{HOUR, NOW, Person, code, desk_on, registry_key};

async fn asking(admission: Admission) -> Answerer {
    desk_on(Terms { admission, ..Terms::default() }).await
}

fn with(who: &Person, ticket: AdmissionProof) -> Operation {
    let mut creation = who.creation();
    creation.ticket = Some(ticket);
    Operation::CreateAccount(Box::new(creation))
}

#[tokio::test]
async fn anybody_is_told_what_a_newcomer_must_bring() {
    let stranger = Person::new("stranger", 7);
    for (admission, policy) in [
        (Admission::Open, AdmissionPolicy::Open),
        (Admission::Work(12), AdmissionPolicy::Work(12)),
        (Admission::Closed, AdmissionPolicy::Closed),
    ] {
        let told = stranger.ask(&asking(admission).await, Operation::Admission, NOW).await;
        assert_eq!(told, Ok(Answer::Admission(policy)));
    }
}

#[tokio::test]
async fn r_reg_05_a_code_admits_one_account_and_only_once() {
    let folder = tempfile::tempdir().unwrap();
    let codes = folder.path().join("codes");
    std::fs::write(&codes, "# for the team\nfirst-code-abc\n\nsecond-code-abc\n").unwrap();
    let answerer = asking(Admission::Code(codes.clone())).await;
    let (ana, ben) = (Person::new("ana", 1), Person::new("ben", 2));
    let refusal = ana.ask(&answerer, ana.create(), NOW).await.unwrap_err();
    assert_eq!(refusal.code, Code::Admission);
    assert!(refusal.message.contains("registration code"), "{}", refusal.message);
    let ticket = |code: &str| AdmissionProof::Code(code.into());
    assert_eq!(code(ana.ask(&answerer, with(&ana, ticket("guess")), NOW).await), Some(Code::Admission));
    assert_eq!(
        code(ana.ask(&answerer, with(&ana, AdmissionProof::Work(1)), NOW).await),
        Some(Code::Admission)
    );
    let taken = Person::new("ana", 9);
    for _ in 0..2 {
        assert_eq!(ana.ask(&answerer, with(&ana, ticket("first-code-abc")), NOW).await, Ok(Answer::Done));
    }
    assert_eq!(
        code(ben.ask(&answerer, with(&ben, ticket("first-code-abc")), NOW).await),
        Some(Code::Admission)
    );
    // A refused registration does not use its code up.
    let refused = taken.ask(&answerer, with(&taken, ticket("second-code-abc")), NOW).await;
    assert_eq!(code(refused), Some(Code::HandleTaken));
    assert_eq!(ben.ask(&answerer, with(&ben, ticket("second-code-abc")), NOW).await, Ok(Answer::Done));
    // A code that is added counts at once.
    std::fs::write(&codes, "third-code-abc\n").unwrap();
    let eve = Person::new("eve", 3);
    assert_eq!(eve.ask(&answerer, with(&eve, ticket("third-code-abc")), NOW).await, Ok(Answer::Done));
}

/// Of many who bring one code at the same moment, one is admitted.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_code_brought_by_many_at_once_admits_one() {
    let folder = tempfile::tempdir().unwrap();
    let codes = folder.path().join("codes");
    std::fs::write(&codes, "the-only-code\n").unwrap();
    let answerer = asking(Admission::Code(codes)).await;
    let tasks: Vec<_> = (1..=16_u8)
        .map(|seed| {
            let answerer = answerer.clone();
            tokio::spawn(async move {
                let who = Person::new(&format!("person{seed}"), seed);
                who.ask(&answerer, with(&who, AdmissionProof::Code("the-only-code".into())), NOW).await
            })
        })
        .collect();
    let mut admitted = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => admitted += 1,
            Err(refusal) => assert_eq!(refusal.code, Code::Admission),
        }
    }
    assert_eq!(admitted, 1);
}

#[tokio::test]
async fn r_reg_05_work_admits_and_counts_for_one_account_only() {
    let answerer = asking(Admission::Work(10)).await;
    let (ana, ben) = (Person::new("ana", 1), Person::new("ben", 2));
    let key = registry_key().public();
    let enough = |who: &Person, number| admission_work(&key, &who.account, number) >= 10;
    let number = (0..).find(|number| enough(&ana, *number) && !enough(&ben, *number)).unwrap();
    let refusal = ana.ask(&answerer, ana.create(), NOW).await.unwrap_err();
    assert_eq!(refusal.code, Code::Admission);
    assert!(refusal.message.contains("10 zero bits"), "{}", refusal.message);
    assert_eq!(
        code(ben.ask(&answerer, with(&ben, AdmissionProof::Work(number)), NOW).await),
        Some(Code::Admission)
    );
    assert_eq!(ana.ask(&answerer, with(&ana, AdmissionProof::Work(number)), NOW).await, Ok(Answer::Done));
}

#[tokio::test]
async fn a_bot_comes_by_its_owner_and_nobody_else_while_a_registry_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let codes = folder.path().join("codes");
    std::fs::write(&codes, "the-only-code\n").unwrap();
    let answerer = asking(Admission::Code(codes)).await;
    let ana = Person::new("ana", 1);
    let bot = Person::bot("bot", 3, &ana, Some(&ana.account_key));
    assert_eq!(code(bot.ask(&answerer, bot.create(), NOW).await), Some(Code::NotFound));
    assert!(ana.ask(&answerer, with(&ana, AdmissionProof::Code("the-only-code".into())), NOW).await.is_ok());
    assert_eq!(bot.ask(&answerer, bot.create(), NOW).await, Ok(Answer::Done));
    let answerer = asking(Admission::Closed).await;
    assert_eq!(code(ana.ask(&answerer, ana.create(), NOW).await), Some(Code::Admission));
}

#[tokio::test]
async fn new_accounts_and_look_ups_have_quotas() {
    let limits = Limits { registrations: 3, look_ups: 2, ..Limits::default() };
    let answerer = desk_on(Terms { limits, ..Terms::default() }).await;
    let ana = Person::new("ana", 1).enrolled(&answerer).await;
    let ben = Person::new("ben", 2).enrolled(&answerer).await;
    let eve = Person::new("eve", 3).enrolled(&answerer).await;
    let late = Person::new("late", 4);
    assert_eq!(code(late.ask(&answerer, late.create(), NOW).await), Some(Code::Quota));
    assert_eq!(ana.ask(&answerer, ana.create(), NOW).await, Ok(Answer::Done), "a repetition is not counted");
    assert_eq!(late.ask(&answerer, late.create(), NOW.plus(HOUR)).await, Ok(Answer::Done));
    let resolve = || Operation::Resolve { handle: ben.handle.clone() };
    let fetch = |who: &Person| Operation::FetchAccount { account: who.account };
    assert!(ana.ask(&answerer, resolve(), NOW).await.is_ok());
    assert!(ana.ask(&answerer, fetch(&ben), NOW).await.is_ok());
    assert_eq!(code(ana.ask(&answerer, fetch(&eve), NOW).await), Some(Code::Quota));
    assert!(ana.ask(&answerer, fetch(&ana), NOW).await.is_ok(), "one's own account is always told");
    assert!(eve.ask(&answerer, resolve(), NOW).await.is_ok(), "others are not concerned");
    let later = ana.ask(&answerer, resolve(), NOW.plus(HOUR)).await;
    assert!(later.is_ok());
}
