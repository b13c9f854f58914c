//! The account log as a tree: what replies show of it. That every reply shows a head, and that every proof of
//! inclusion holds, is checked at every request of this suite (`support::send`).
#![expect(clippy::unwrap_used, clippy::panic, reason = "a reply that shows no head fails the test")]

use cipher_broker::account_log::leaf;
use cipher_broker::codec;
use cipher_broker::limit;
use cipher_broker::transparency::{MerkleLog, TreeHead};
use cipher_broker::wire::refusal::Code;
use cipher_broker::wire::registry::{Answer, Operation, open_reply};
use cipher_broker::wire::statement::LogEntry;

use crate::place::Answerer;
use crate::support::{NOW, Person, answerer, code, desk_in, registry_key};

/// The head of the next reply.
async fn head(answerer: &Answerer, at: cipher_broker::time::Timestamp) -> TreeHead {
    let request = Person::new("anybody", 77).request(Operation::Ping, at);
    let reply = answerer.answer("ping", request.clone().into(), at).await;
    let body = open_reply(&reply, &request, Some(&registry_key().public())).unwrap();
    TreeHead::open(&body.head.unwrap(), &registry_key().public()).unwrap()
}

async fn proofs(who: &Person, answerer: &Answerer, sizes: Vec<u64>) -> (TreeHead, Vec<Vec<u8>>) {
    match who.ask(answerer, Operation::ProveConsistency { sizes }, NOW).await {
        Ok(Answer::Consistency { head, proofs }) => {
            let head = TreeHead::open(&head, &registry_key().public()).unwrap();
            (head, proofs.into_iter().map(serde_bytes::ByteBuf::into_vec).collect())
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_log_grows_by_every_statement_and_heads_are_prefixes_of_each_other() {
    let answerer = answerer().await;
    let mut heads = vec![head(&answerer, NOW).await];
    assert_eq!((heads[0].size, heads[0].root), (0, MerkleLog::default().root()));
    let ana = Person::new("ana", 1).enrolled(&answerer).await;
    heads.push(head(&answerer, NOW).await);
    for seed in 3..9 {
        Person::new(&format!("person{seed}"), seed).enrolled(&answerer).await;
        heads.push(head(&answerer, NOW).await);
    }
    ana.with_device(&answerer, 20).await;
    heads.push(head(&answerer, NOW).await);
    let sizes: Vec<u64> = heads.iter().map(|head| head.size).collect();
    assert_eq!(sizes, (0..=8).collect::<Vec<_>>());
    for asked in sizes.chunks(limit::PROOFS_PER_REQUEST) {
        let (now, proofs) = proofs(&ana, &answerer, asked.to_vec()).await;
        for (size, proof) in asked.iter().zip(&proofs) {
            let earlier = &heads[usize::try_from(*size).unwrap()];
            assert_eq!(now.extends(earlier, proof), Ok(()), "from {size}");
        }
    }
}

/// What the registry publishes makes the same tree: an auditor needs nothing else.
#[tokio::test]
async fn the_published_entries_make_the_head_that_is_shown() {
    let answerer = answerer().await;
    let ana = Person::new("ana", 1).enrolled(&answerer).await;
    Person::new("ben", 2).enrolled(&answerer).await;
    let laptop = ana.with_device(&answerer, 3).await;
    ana.revokes(&answerer, laptop.device).await.unwrap();
    let mut tree = MerkleLog::default();
    for entry in answerer.log_entries(0, 100).unwrap() {
        let entry: LogEntry = codec::decode(&entry).unwrap();
        tree.push(leaf(&entry.statement));
    }
    let head = head(&answerer, NOW).await;
    assert_eq!((head.size, head.root), (4, tree.root()));
}

#[tokio::test]
async fn a_size_that_the_log_never_had_and_too_many_sizes_are_refused() {
    let answerer = answerer().await;
    let ana = Person::new("ana", 1).enrolled(&answerer).await;
    let ask = |sizes| ana.ask(&answerer, Operation::ProveConsistency { sizes }, NOW);
    assert_eq!(code(ask(vec![1, 2]).await), Some(Code::NotFound));
    assert_eq!(code(ask(vec![u64::MAX]).await), Some(Code::NotFound));
    assert_eq!(code(ask(vec![0; limit::PROOFS_PER_REQUEST + 1]).await), Some(Code::TooLarge));
    let (head, proofs) = proofs(&ana, &answerer, vec![]).await;
    assert_eq!((head.size, proofs.len()), (1, 0));
}

#[tokio::test]
async fn a_head_is_signed_again_when_it_is_old_and_its_time_never_goes_back() {
    let answerer = answerer().await;
    let first = head(&answerer, NOW).await;
    let almost = NOW.plus(limit::HEAD_REFRESH).minus(std::time::Duration::from_millis(1));
    assert_eq!(head(&answerer, almost).await, first);
    let second = head(&answerer, NOW.plus(limit::HEAD_REFRESH)).await;
    assert_eq!(second.at, NOW.plus(limit::HEAD_REFRESH));
    Person::new("ana", 1).enrolled(&answerer).await;
    assert!(head(&answerer, NOW).await.at >= second.at, "grown while the clock went back");
}

/// G04: a restart goes on where it ended.
#[tokio::test]
async fn g04_a_restart_shows_the_same_log() {
    let folder = tempfile::tempdir().unwrap();
    let answerer = desk_in(folder.path()).await;
    let ana = Person::new("ana", 1).enrolled(&answerer).await;
    ana.with_device(&answerer, 3).await;
    let before = head(&answerer, NOW).await;
    drop(answerer);
    let answerer = desk_in(folder.path()).await;
    assert_eq!(head(&answerer, NOW).await, before);
    Person::new("ben", 2).enrolled(&answerer).await;
    let (now, proofs) = proofs(&ana, &answerer, vec![before.size]).await;
    assert_eq!(now.extends(&before, &proofs[0]), Ok(()));
}

/// While many register at once, every reply's head is one that all others lead to.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn r_reg_07_heads_shown_under_load_are_all_of_one_log() {
    let answerer = answerer().await;
    let watcher = Person::new("watcher", 200).enrolled(&answerer).await;
    let tasks: Vec<_> = (1..=48_u8)
        .map(|seed| {
            let answerer = answerer.clone();
            tokio::spawn(async move {
                Person::new(&format!("person{seed}"), seed).enrolled(&answerer).await;
                head(&answerer, NOW).await
            })
        })
        .collect();
    let mut heads = Vec::new();
    for task in tasks {
        heads.push(task.await.unwrap());
    }
    for earlier in heads {
        let (now, proofs) = proofs(&watcher, &answerer, vec![earlier.size]).await;
        assert_eq!(now.size, 49);
        assert_eq!(now.extends(&earlier, &proofs[0]), Ok(()));
    }
}
