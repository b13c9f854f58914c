//! Heads, without a world around them.

use cipher_broker::transparency::MerkleLog;
use ed25519_dalek::SigningKey;

use super::*;
use crate::machine::Options;

fn core() -> Core {
    Core::in_memory(Options { seed: [1; 32], cached_groups: 4, receipts: false })
}

fn registry() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

/// A head of a log of `size` entries, the last one of which is `last`.
fn head(key: &SigningKey, size: u64, last: u8, secs: u64) -> TreeHead {
    let mut log = MerkleLog::default();
    (1..size).for_each(|n| log.push([u8::try_from(n).unwrap(); 32]));
    log.push([last; 32]);
    let registry_key = key.verifying_key().to_bytes();
    TreeHead { registry_key, size, root: log.root(), at: Timestamp::from_millis(secs * 1000) }
}

#[test]
fn r_kt_01_two_heads_that_cannot_be_of_one_log() {
    let key = registry();
    let lag = limit::HEAD_LAG.as_secs();
    let base = head(&key, 5, 5, 100);
    for (size, last, secs, verdict) in [
        (5, 5, 900, None),
        (5, 6, 900, Some(EvidenceKind::SplitView)),
        (6, 6, 900, None),
        (6, 6, 101, None),
        (4, 4, 50, None),
        (4, 4, 100 + lag, None),
        (4, 4, 101 + lag, Some(EvidenceKind::Rollback)),
        // A longer one that is older: ours is the step back.
        (6, 6, 99 - lag, Some(EvidenceKind::Rollback)),
        (6, 6, 100 - lag, None),
    ] {
        let other = head(&key, size, last, secs);
        assert_eq!(irreconcilable(&base, &other), verdict, "{size} {last} {secs}");
        assert_eq!(irreconcilable(&other, &base), verdict, "{size} {last} {secs}");
    }
}

#[test]
fn gossip_of_another_registry_is_told_once_and_forged_gossip_never() {
    let (mut core, key, foreign) = (core(), registry(), SigningKey::from_bytes(&[8; 32]));
    core.state.meta_mut().registry_key = Some(key.verifying_key().to_bytes().to_vec().into());
    let (group, who) = (GroupId::from_bytes([1; 16]), AccountId::from_bytes([2; 32]));
    let ours = head(&key, 5, 5, 100);
    assert_eq!(core.meet(&ours.sign(&key), &ours, ours.at, None), Fit::Known);
    let events = |core: &mut Core| std::mem::take(&mut core.run.effects).len();
    core.gossiped(group, who, &ours.sign(&foreign));
    core.gossiped(group, who, &SignedHead { body: vec![1], signature: vec![2] });
    assert_eq!(events(&mut core), 0);
    let theirs = head(&foreign, 5, 9, 100).sign(&foreign);
    core.gossiped(group, who, &theirs);
    core.gossiped(group, who, &theirs);
    assert_eq!(events(&mut core), 1);
    assert_eq!(core.state.evidence.len(), 0);
    assert!(!core.state.meta.doubt);
    // The same size with another root, under our registry's key: no proof is needed.
    core.gossiped(group, who, &head(&key, 5, 9, 100).sign(&key));
    assert_eq!(core.state.evidence.len(), 1);
    assert!(core.state.meta.doubt);
}

#[test]
fn evidence_is_bounded_and_kept_once() {
    let mut core = core();
    for round in 0..3_u8 {
        for n in 0..100_u8 {
            core.found(EvidenceKind::Rollback, &[&[n]], format!("{n}"), vec![("round".into(), vec![round])]);
        }
    }
    assert_eq!(core.state.evidence.len(), limit::EVIDENCE);
    let told = core.run.effects.len();
    assert_eq!(told, limit::EVIDENCE);
    core.tell_evidence();
    core.tell_evidence();
    assert_eq!(core.run.effects.len(), told + limit::EVIDENCE);
}

#[test]
fn heads_that_wait_are_bounded() {
    let (mut core, key) = (core(), registry());
    let ours = head(&key, 1, 1, 100);
    core.meet(&ours.sign(&key), &ours, ours.at, None);
    for size in 2..100_u8 {
        let longer = head(&key, size.into(), size, 100);
        let fit = core.meet(&longer.sign(&key), &longer, longer.at, None);
        let room = usize::from(size) - 2 < limit::HEADS;
        assert_eq!(fit, if room { Fit::Waiting } else { Fit::Full }, "{size}");
    }
    assert_eq!(core.accepted(), Some(ours));
}
