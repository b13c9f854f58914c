//! What the operator orders, and what a block and a tombstone mean for everybody.

use cipher_broker::wire::operator::{OperatorAnswer, OperatorRequest, Quotas, Whom};
use cipher_broker::wire::refusal::Code;
use cipher_broker::wire::registry::{AdmissionPolicy, Answer, Operation};

use crate::support::{NOW, Person, answerer, code, desk_in, operator};

#[tokio::test]
async fn a_blocked_account_asks_nothing_and_is_not_claimed_until_it_is_unblocked() {
    let answerer = answerer().await;
    let (ana, operator) = (Person::new("ana", 1).enrolled(&answerer).await, operator());
    let ben = Person::new("ben", 2).enrolled(&answerer).await;
    ana.publish(&answerer, vec![ana.usual_package()]).await.unwrap();
    let order = |order| operator.ask(&answerer, Operation::Operate(order), NOW);
    assert_eq!(order(OperatorRequest::Block(ana.handle.clone())).await, Ok(Answer::Done));
    assert_eq!(code(ana.ask(&answerer, Operation::CountKeyPackages, NOW).await), Some(Code::Blocked));
    assert_eq!(code(ben.claim(&answerer, &ana).await), Some(Code::Blocked));
    let new = ana.sibling(5);
    let open = Operation::OpenRecovery { certificate: new.certificate.clone() };
    assert_eq!(code(new.ask(&answerer, open, NOW).await), Some(Code::Blocked));
    // A blocked owner makes no new bots.
    let bot = Person::bot("bot", 3, &ana, Some(&ana.account_key));
    assert_eq!(code(bot.ask(&answerer, bot.create(), NOW).await), Some(Code::Blocked));
    // What it stated stays provable.
    let found = ben.ask(&answerer, Operation::Resolve { handle: ana.handle.clone() }, NOW).await;
    assert!(matches!(found, Ok(Answer::Account(_))));
    assert_eq!(order(OperatorRequest::Unblock(ana.handle.clone())).await, Ok(Answer::Done));
    assert_eq!(ben.claim(&answerer, &ana).await.unwrap().len(), 1);
}

#[tokio::test]
async fn r_reg_04_a_buried_handle_is_never_given_again() {
    let folder = tempfile::tempdir().unwrap();
    let answerer = desk_in(folder.path()).await;
    let (ana, operator) = (Person::new("ana", 1).enrolled(&answerer).await, operator());
    let ben = Person::new("ben", 2).enrolled(&answerer).await;
    for handle in ["ana", "admin"] {
        let order = Operation::Operate(OperatorRequest::Bury(handle.parse().unwrap()));
        assert_eq!(operator.ask(&answerer, order, NOW).await, Ok(Answer::Done));
    }
    drop(answerer);
    let answerer = desk_in(folder.path()).await;
    for handle in ["ana", "admin"] {
        let new = Person::new(handle, 9);
        let refusal = new.ask(&answerer, new.create(), NOW).await.unwrap_err();
        assert_eq!(refusal.code, Code::HandleTaken, "{handle}");
        // Not somebody else's: who reads this must not wait for it to be free.
        assert_eq!(refusal.message, format!("the operator of this registry ended @{handle} for good"));
        let refusal = ben.ask(&answerer, Operation::Resolve { handle: new.handle }, NOW).await.unwrap_err();
        assert_eq!(refusal.code, Code::Blocked);
        assert!(refusal.message.contains("ended by the operator"), "{}", refusal.message);
    }
    assert_eq!(code(ana.ask(&answerer, Operation::CountKeyPackages, NOW).await), Some(Code::Blocked));
    assert_eq!(code(ana.ask(&answerer, ana.create(), NOW).await), Some(Code::Blocked));
    let order = Operation::Operate(OperatorRequest::Unblock(ana.handle.clone()));
    assert_eq!(code(operator.ask(&answerer, order, NOW).await), Some(Code::Blocked));
}

#[tokio::test]
async fn only_the_registrys_key_orders() {
    let answerer = answerer().await;
    let ana = Person::new("ana", 1).enrolled(&answerer).await;
    let mut forged = operator();
    forged.device_key = ana.device_key.clone();
    for order in [
        OperatorRequest::Block(ana.handle.clone()),
        OperatorRequest::Bury(ana.handle.clone()),
        OperatorRequest::Quotas,
        OperatorRequest::Inspect(Whom::Account(ana.account)),
    ] {
        let refused = ana.ask(&answerer, Operation::Operate(order.clone()), NOW).await;
        assert_eq!(code(refused), Some(Code::Malformed), "{order:?}");
        assert_eq!(code(forged.ask(&answerer, Operation::Operate(order), NOW).await), Some(Code::Denied));
    }
    let unknown = Operation::Operate(OperatorRequest::Block("nobody".parse().unwrap()));
    assert_eq!(code(operator().ask(&answerer, unknown, NOW).await), Some(Code::NotFound));
}

#[tokio::test]
async fn an_inspection_shows_devices_of_all_times_and_their_stock() {
    let answerer = answerer().await;
    let ana = Person::new("ana", 1).enrolled(&answerer).await;
    let laptop = ana.with_device(&answerer, 3).await;
    ana.publish_at(&answerer, vec![ana.usual_package()], Some(ana.usual_package()), NOW).await.unwrap();
    ana.revokes(&answerer, laptop.device).await.unwrap();
    let inspect = OperatorRequest::Inspect(Whom::Handle(ana.handle.clone()));
    let answer = operator().ask(&answerer, Operation::Operate(inspect), NOW).await;
    let Ok(Answer::Operator(OperatorAnswer::Inspection(shown))) = answer else { panic!("{answer:?}") };
    assert_eq!((shown.blocked, shown.buried, shown.record.statements.len()), (false, false, 3));
    let devices: Vec<_> = shown.devices.iter().map(|device| (device.device, device.revoked_by)).collect();
    assert_eq!(devices, [(ana.device, None), (laptop.device, Some(2))]);
    assert_eq!(shown.devices[0].stock.len(), 1);
    assert_eq!((shown.devices[0].stock[0].one_time, shown.devices[0].stock[0].last_resort), (1, true));
    assert!(shown.devices[1].stock.is_empty());
}

#[tokio::test]
async fn the_quotas_in_force_are_shown() {
    let answer = operator().ask(&answerer().await, Operation::Operate(OperatorRequest::Quotas), NOW).await;
    let shown = Quotas {
        claims_per_target: 100,
        claims_overall: 2_000,
        look_ups: 20_000,
        registrations: 10_000,
        admission: AdmissionPolicy::Open,
    };
    assert_eq!(answer, Ok(Answer::Operator(OperatorAnswer::Quotas(shown))));
}
