use cipher_broker::wire::refusal::Code;
use cipher_broker::wire::registry::{Answer, Operation, SignedProfile};

use crate::support::{NOW, Person, answerer, code};

#[tokio::test]
async fn a_newer_profile_replaces_the_older() {
    let answerer = answerer().await;
    let ana = Person::new("ana", 1).enrolled(&answerer).await;
    let profile = ana.signed(&ana.profile("Ana", 1));
    for _ in 0..2 {
        // The second time is the repetition after a lost reply.
        assert_eq!(ana.ask(&answerer, Operation::SetProfile(profile.clone()), NOW).await, Ok(Answer::Done));
    }
    assert_eq!(ana.stored_profile(&answerer).await, profile);
}

/// Whoever kept an old profile cannot bring it back.
#[tokio::test]
async fn a_profile_cannot_be_downgraded() {
    let answerer = answerer().await;
    let ana = Person::new("ana", 1).enrolled(&answerer).await;
    let newest = ana.signed(&ana.profile("Ana", 5));
    ana.ask(&answerer, Operation::SetProfile(newest.clone()), NOW).await.unwrap();
    for (name, version) in [("Old", 4), ("Other", 5), ("First", 0)] {
        let old = ana.signed(&ana.profile(name, version));
        assert_eq!(code(ana.ask(&answerer, Operation::SetProfile(old), NOW).await), Some(Code::Denied));
    }
    assert_eq!(ana.stored_profile(&answerer).await, newest);
}

#[tokio::test]
async fn a_profile_is_set_only_for_oneself_and_only_by_an_own_device() {
    let answerer = answerer().await;
    let ana = Person::new("ana", 1).enrolled(&answerer).await;
    let ben = Person::new("ben", 2).enrolled(&answerer).await;
    // Mallory-like Ben: own signature for Ana's account, Ana's signature in his own request, a foreign device.
    let table = [
        ben.signed(&ana.profile("x", 1)),
        ana.signed(&ana.profile("x", 1)),
        ana.signed(&ben.profile("x", 1)),
        SignedProfile { device: ben.device, ..ana.signed(&ben.profile("x", 1)) },
    ];
    for profile in table {
        assert_eq!(code(ben.ask(&answerer, Operation::SetProfile(profile), NOW).await), Some(Code::Denied));
    }
}

#[tokio::test]
async fn limits_of_a_profile_count_characters_and_refuse_control_characters() {
    let answerer = answerer().await;
    let ana = Person::new("ana", 1).enrolled(&answerer).await;
    let set = |name: String, status: String, version| {
        let mut profile = ana.profile(&name, version);
        profile.status = status;
        Operation::SetProfile(ana.signed(&profile))
    };
    let fits = set("ä".repeat(64), "\u{1f44b}".repeat(140), 1);
    assert_eq!(ana.ask(&answerer, fits, NOW).await, Ok(Answer::Done));
    for (name, status, expected) in [
        ("x".repeat(65), String::new(), Code::TooLarge),
        (String::new(), "x".repeat(141), Code::TooLarge),
        ("x".repeat(100_000), String::new(), Code::TooLarge),
        ("a\u{1b}[2J".into(), String::new(), Code::Malformed),
        (String::new(), "a\nb".into(), Code::Malformed),
    ] {
        assert_eq!(code(ana.ask(&answerer, set(name, status, 2), NOW).await), Some(expected));
    }
}
