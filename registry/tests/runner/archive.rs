//! Export and import of a store that does not run.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use std::fs;
use std::path::Path;

use cipher_broker::wire::operator::OperatorRequest;
use cipher_broker::wire::refusal::Code;
use cipher_broker::wire::registry::{AdmissionProof, Answer, Operation};
use cipher_registry::{Error, export, import};

use crate::support::{NOW, Person, code, desk_in, operator};

/// A store with something of everything.
pub(crate) async fn furnished(folder: &Path) -> (Person, Person) {
    let answerer = desk_in(&folder.join("data")).await;
    let ana = Person::new("ana", 1);
    let mut creation = ana.creation();
    creation.ticket = Some(AdmissionProof::Code("a-code-that-was-used".into()));
    assert!(ana.ask(&answerer, Operation::CreateAccount(Box::new(creation)), NOW).await.is_ok());
    let ben = Person::new("ben", 2).enrolled(&answerer).await;
    let laptop = ana.with_device(&answerer, 3).await;
    ana.publish(&answerer, vec![ana.usual_package()]).await.unwrap();
    ana.revokes(&answerer, laptop.device).await.unwrap();
    ana.ask(&answerer, Operation::SetProfile(ana.signed(&ana.profile("Ana", 1))), NOW).await.unwrap();
    for order in [OperatorRequest::Block(ben.handle.clone()), OperatorRequest::Bury("admin".parse().unwrap())]
    {
        assert_eq!(operator().ask(&answerer, Operation::Operate(order), NOW).await, Ok(Answer::Done));
    }
    (ana, laptop)
}

/// The same, exported.
async fn exported(folder: &Path) -> (Person, Person) {
    let furnished = furnished(folder).await;
    let told = export(&folder.join("data"), &folder.join("export")).unwrap();
    assert_eq!(told["statements"], 4);
    furnished
}

#[tokio::test]
async fn an_import_makes_the_same_registry_but_for_key_packages() {
    let folder = tempfile::tempdir().unwrap();
    let (ana, laptop) = exported(folder.path()).await;
    let again = folder.path().join("again");
    let told = import(&again, &folder.path().join("export")).unwrap();
    assert_eq!(told["statements"], 4);
    let answerer = desk_in(&again).await;
    assert_eq!(*answerer.log_size().borrow(), 4);
    let record = ana.record(&answerer).await;
    assert_eq!((record.handle.as_str(), record.statements.len()), ("ana", 3));
    assert_eq!(record.profile, ana.signed(&ana.profile("Ana", 1)));
    assert_eq!(code(laptop.ask(&answerer, Operation::CountKeyPackages, NOW).await), Some(Code::Revoked));
    assert_eq!(ana.stock(&answerer, NOW).await, (0, false), "what was handed out before never is again");
    let ben = Person::new("ben", 2);
    assert_eq!(code(ben.ask(&answerer, Operation::CountKeyPackages, NOW).await), Some(Code::Blocked));
    let admin = Person::new("admin", 9);
    assert_eq!(code(admin.ask(&answerer, admin.create(), NOW).await), Some(Code::HandleTaken));
    let late = Person::new("late", 8);
    let mut creation = late.creation();
    creation.ticket = Some(AdmissionProof::Code("a-code-that-was-used".into()));
    let refused = late.ask(&answerer, Operation::CreateAccount(Box::new(creation)), NOW).await;
    assert_eq!(code(refused), Some(Code::Admission));
    // Exported again, it is the same file.
    drop(answerer);
    export(&again, &folder.path().join("second")).unwrap();
    let read = |name| fs::read_to_string(folder.path().join(name)).unwrap();
    assert_eq!(read("second"), read("export"));
}

#[tokio::test]
async fn an_export_that_was_changed_or_cut_is_refused_and_nothing_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    exported(folder.path()).await;
    let text = fs::read_to_string(folder.path().join("export")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let without = |at: usize| {
        let mut lines = lines.clone();
        lines.remove(at);
        lines.join("\n")
    };
    let mut changed: Vec<(String, String)> =
        (0..lines.len()).map(|at| (format!("without line {at}"), without(at))).collect();
    changed.push(("swapped".into(), text.replacen(lines[1], lines[2], 1)));
    changed.push(("another root".into(), text.replacen(r#""root":""#, r#""root":"00"#, 1)));
    changed.push(("something behind the end".into(), format!("{text}{}", lines[1])));
    changed.push(("no export".into(), "hello".into()));
    changed.push(("nothing".into(), String::new()));
    for (what, text) in changed {
        let file = folder.path().join("changed");
        fs::write(&file, text).unwrap();
        let fresh = folder.path().join("fresh");
        let refused = import(&fresh, &file);
        assert!(matches!(refused, Err(Error::Export(_))), "{what}: {refused:?}");
        let answerer = desk_in(&fresh).await;
        assert_eq!(*answerer.log_size().borrow(), 0, "{what}");
    }
    let occupied = import(&folder.path().join("data"), &folder.path().join("export"));
    assert!(matches!(occupied, Err(Error::Taken(_))));
    let twice = export(&folder.path().join("data"), &folder.path().join("export"));
    assert!(matches!(twice, Err(Error::File { .. })), "an export overwrites nothing");
}
