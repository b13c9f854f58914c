//! One test per rule; the attack cases M25–M32 by id.

use std::collections::{BTreeMap, BTreeSet};

use cipher_broker::certificate::Kind;
use cipher_broker::sign::Signed;
use cipher_broker::time::Timestamp;
use cipher_broker::wire::statement::{Statement, StatementKind};
use serde_bytes::ByteArray;

use super::*;

fn account(n: u8) -> AccountId {
    AccountId::from_bytes([n; 32])
}

fn leaf(n: u8) -> Leaf {
    Leaf {
        account: account(n),
        device: DeviceId::from_bytes([n; 16]),
        kind: Kind::Person,
        owner: None,
        serial: 1,
        account_key: [n; 32],
        certificate: [n; 32],
        issued_at: Timestamp::from_millis(10),
    }
}

/// Leaf 0 is the owner, 1 an admin, 2 and 3 are members.
fn group() -> (Roster, GroupData) {
    let roster = (0..4).map(|n| (u32::from(n), leaf(n))).collect();
    let data = GroupData {
        version: 1,
        name: "team".into(),
        direct: false,
        roles: BTreeMap::from([(account(0), Role::Owner), (account(1), Role::Admin)]),
        may_add: Role::Admin,
        may_rename: Role::Admin,
        may_resync: true,
        settings: Settings::default(),
        personal: false,
        links: BTreeMap::new(),
        banned: BTreeSet::new(),
    };
    (roster, data)
}

fn by(sender: u32) -> CommitFacts {
    CommitFacts {
        sender: Committer::Member(sender),
        adds: vec![],
        removes: vec![],
        updates: vec![],
        path: None,
        data_after: Some(group().1),
        other_extensions_changed: false,
        foreign_extensions_proposal: false,
        forbidden: None,
        evidence: vec![],
        rejoins: vec![],
    }
}

fn judge(facts: &CommitFacts) -> Result<(), &'static str> {
    let (roster, data) = group();
    authorize(&roster, &data, facts).map_err(|refused| refused.rule)
}

fn change(sender: u32, change: impl FnOnce(&mut GroupData)) -> CommitFacts {
    let mut facts = by(sender);
    change(facts.data_after.as_mut().unwrap());
    facts
}

#[test]
fn r_commit_01_a_commit_comes_from_a_member() {
    assert_eq!(judge(&by(2)), Ok(()));
    assert_eq!(judge(&by(9)), Err("R-COMMIT-01"));
}

/// M27: a self-update that carries somebody else's identity is refused.
#[test]
fn r_commit_02_m27_a_path_keeps_account_and_device() {
    let path = |leaf| CommitFacts { path: Some(leaf), ..by(2) };
    assert_eq!(judge(&path(Ok(leaf(2)))), Ok(()));
    assert_eq!(judge(&path(Ok(leaf(0)))), Err("R-COMMIT-02"));
    assert_eq!(
        judge(&path(Ok(Leaf { device: DeviceId::from_bytes([7; 16]), ..leaf(2) }))),
        Err("R-COMMIT-02")
    );
    assert_eq!(judge(&path(Ok(Leaf { serial: 0, ..leaf(2) }))), Err("R-COMMIT-02"));
    assert_eq!(judge(&path(Err("bad certificate".into()))), Err("R-COMMIT-02"));
}

/// M29, M30: adding needs a role and a certificate that proves the leaf.
#[test]
fn r_commit_03_m29_m30_adding_needs_a_role_and_a_proven_leaf() {
    let add = |sender, leaf| CommitFacts { adds: vec![leaf], ..by(sender) };
    assert_eq!(judge(&add(0, Ok(leaf(8)))), Ok(()));
    assert_eq!(judge(&add(1, Ok(leaf(8)))), Ok(()));
    assert_eq!(judge(&add(2, Ok(leaf(8)))), Err("R-COMMIT-03"));
    assert_eq!(judge(&add(0, Err("certificate is for another key".into()))), Err("R-COMMIT-03"));
}

#[test]
fn r_commit_04_a_further_device_comes_from_its_account_or_an_admin() {
    let second = Leaf { device: DeviceId::from_bytes([9; 16]), ..leaf(2) };
    let add = |sender| CommitFacts { adds: vec![Ok(second.clone())], ..by(sender) };
    assert_eq!(judge(&add(2)), Ok(()));
    assert_eq!(judge(&add(1)), Ok(()));
    assert_eq!(judge(&add(3)), Err("R-COMMIT-04"));
}

/// M30: removing follows roles; leaving needs none.
#[test]
fn r_commit_05_m30_removing_follows_roles() {
    let remove = |sender, target, proposer| CommitFacts { removes: vec![(target, proposer)], ..by(sender) };
    assert_eq!(judge(&remove(0, 1, Proposer::Committer)), Ok(()));
    assert_eq!(judge(&remove(1, 2, Proposer::Committer)), Ok(()));
    assert_eq!(judge(&remove(1, 0, Proposer::Committer)), Err("R-COMMIT-05"));
    assert_eq!(judge(&remove(2, 3, Proposer::Committer)), Err("R-COMMIT-05"));
    assert_eq!(judge(&remove(2, 3, Proposer::Member(3))), Ok(()), "3 asked to leave, 2 commits it");
    assert_eq!(judge(&remove(2, 3, Proposer::Member(2))), Err("R-COMMIT-05"));
    assert_eq!(judge(&remove(0, 3, Proposer::Other)), Err("R-COMMIT-05"));
    assert_eq!(judge(&remove(0, 9, Proposer::Committer)), Err("R-COMMIT-05"));
}

/// M30, M32: names and roles change by the right people only, and nothing else changes.
#[test]
fn r_commit_06_m30_m32_group_data_changes_by_role() {
    let rename = |sender| change(sender, |data| data.name = "new".into());
    assert_eq!(judge(&rename(1)), Ok(()));
    assert_eq!(judge(&rename(2)), Err("R-COMMIT-06"));
    let promote = |sender| change(sender, |data| _ = data.roles.insert(account(2), Role::Admin));
    assert_eq!(judge(&promote(0)), Ok(()));
    assert_eq!(judge(&promote(1)), Err("R-COMMIT-06"));
    assert_eq!(
        judge(&change(0, |data| _ = data.roles.remove(&account(0)))),
        Err("R-COMMIT-06"),
        "no owner left"
    );
    assert_eq!(judge(&change(0, |data| data.version = 0)), Err("R-COMMIT-06"));
    assert_eq!(judge(&change(0, |data| data.direct = true)), Err("R-COMMIT-06"));
    assert_eq!(judge(&change(0, |data| data.name = " ".into())), Err("R-COMMIT-06"));
    assert_eq!(judge(&change(0, |data| data.name = "x".repeat(129))), Err("R-COMMIT-06"));
    // F10: a raw client of an owner gives no name that a person could not.
    for bad in ["@alice", "ops\n@bob: hi", "\u{202e}spo", "a\u{2028}b"] {
        assert_eq!(judge(&change(0, |data| data.name = bad.into())), Err("R-COMMIT-06"), "{bad:?}");
    }
    assert_eq!(judge(&CommitFacts { data_after: None, ..by(0) }), Err("R-COMMIT-06"));
    assert_eq!(judge(&CommitFacts { other_extensions_changed: true, ..by(0) }), Err("R-COMMIT-06"));
    assert_eq!(judge(&CommitFacts { foreign_extensions_proposal: true, ..rename(0) }), Err("R-COMMIT-06"));
}

#[test]
fn r_commit_20_a_topic_is_for_who_may_rename_and_the_rest_for_admins() {
    let topic = |sender, topic: &str| change(sender, |data| data.settings.topic = topic.into());
    assert_eq!(judge(&topic(1, "on call")), Ok(()));
    assert_eq!(judge(&topic(2, "on call")), Err("R-COMMIT-20"));
    for bad in ["a\nb", "\u{202e}x", &"x".repeat(513)] {
        assert_eq!(judge(&topic(0, bad)), Err("R-COMMIT-20"), "{bad:?}");
    }
    let wants: [fn(&mut Settings); 6] = [
        |settings| settings.may_delete = Some(Role::Admin),
        |settings| settings.may_pin = Some(Role::Owner),
        |settings| settings.edit_seconds = Some(60),
        |settings| settings.expire_seconds = Some(60),
        |settings| settings.retention_seconds = Some(60),
        |settings| settings.may_grant = Some(Role::Member),
    ];
    for want in wants {
        let commit = |sender| change(sender, |data| want(&mut data.settings));
        assert_eq!(judge(&commit(1)), Ok(()));
        assert_eq!(judge(&commit(2)), Err("R-COMMIT-20"));
    }
    // The two of a direct conversation are equal, and have neither topic nor ranks.
    let (_, mut direct) = group();
    (direct.direct, direct.name) = (true, String::new());
    let judge_direct = |commit: fn(&mut Settings)| {
        let mut after = direct.clone();
        commit(&mut after.settings);
        let facts = CommitFacts { data_after: Some(after), ..by(2) };
        settings(&direct, Role::Member, &facts).map_err(|refused| refused.rule)
    };
    assert_eq!(judge_direct(|settings| settings.edit_seconds = Some(60)), Ok(()));
    assert_eq!(judge_direct(|settings| settings.topic = "us".into()), Err("R-COMMIT-20"));
    assert_eq!(judge_direct(|settings| settings.may_delete = Some(Role::Owner)), Err("R-COMMIT-20"));
    assert_eq!(judge_direct(|settings| settings.may_grant = Some(Role::Owner)), Err("R-COMMIT-20"));
}

/// M31: proposal types we do not use are refused whoever sends them.
#[test]
fn r_commit_07_m31_unused_proposal_types_are_refused() {
    assert_eq!(judge(&CommitFacts { forbidden: Some("psk"), ..by(0) }), Err("R-COMMIT-07"));
}

/// M28: a by-reference update with somebody else's credential is refused.
#[test]
fn r_commit_08_m28_updates_keep_account_and_device() {
    let update = |index, leaf| CommitFacts { updates: vec![(index, leaf)], ..by(0) };
    assert_eq!(judge(&update(2, Ok(leaf(2)))), Ok(()));
    assert_eq!(judge(&update(2, Ok(leaf(3)))), Err("R-COMMIT-08"));
    assert_eq!(judge(&update(2, Err("bad".into()))), Err("R-COMMIT-08"));
    assert_eq!(judge(&update(9, Ok(leaf(2)))), Err("R-COMMIT-08"));
}

/// M25, M26: an outsider with a leaked GroupInfo, and a resync aimed at somebody else, are refused.
#[test]
fn r_commit_09_m25_m26_an_external_commit_only_replaces_its_own_leaf() {
    let external = |path, removes: &[u32]| CommitFacts {
        sender: Committer::Outsider,
        path: Some(path),
        removes: removes.iter().map(|index| (*index, Proposer::Committer)).collect(),
        ..by(0)
    };
    assert_eq!(judge(&external(Ok(leaf(2)), &[2])), Ok(()));
    assert_eq!(judge(&external(Ok(leaf(8)), &[])), Err("R-COMMIT-09"), "M25");
    assert_eq!(judge(&external(Ok(leaf(2)), &[3])), Err("R-COMMIT-09"), "M26");
    assert_eq!(judge(&external(Ok(leaf(2)), &[2, 3])), Err("R-COMMIT-09"));
    assert_eq!(judge(&external(Err("bad".into()), &[2])), Err("R-COMMIT-09"));
    let (roster, mut data) = group();
    data.may_resync = false;
    let facts = CommitFacts { data_after: Some(data.clone()), ..external(Ok(leaf(2)), &[2]) };
    assert_eq!(authorize(&roster, &data, &facts).map_err(|r| r.rule), Err("R-COMMIT-09"));
}

/// M38: too many at once, or one device twice.
#[test]
fn r_commit_10_m38_each_device_once_and_not_too_many() {
    let other = |n: usize| {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&n.to_be_bytes());
        id[31] = 9;
        Ok(Leaf { account: AccountId::from_bytes(id), ..leaf(9) })
    };
    let many = |n: usize| CommitFacts { adds: (0..n).map(other).collect(), ..by(0) };
    assert_eq!(judge(&many(limit::ADDS_PER_COMMIT)), Ok(()));
    assert_eq!(judge(&many(limit::ADDS_PER_COMMIT + 1)), Err("R-COMMIT-10"));
    assert_eq!(judge(&CommitFacts { adds: vec![Ok(leaf(2))], ..by(0) }), Err("R-COMMIT-10"));
    assert_eq!(judge(&CommitFacts { adds: vec![Ok(leaf(8)), Ok(leaf(8))], ..by(0) }), Err("R-COMMIT-10"));
}

#[test]
fn r_commit_11_nobody_joins_a_direct_conversation() {
    let (_, mut data) = group();
    data.direct = true;
    let add = CommitFacts { adds: vec![Ok(leaf(8))], data_after: Some(data.clone()), ..by(0) };
    let pair: Roster = [(0, leaf(0)), (1, leaf(1))].into();
    assert_eq!(authorize(&pair, &data, &add).map_err(|r| r.rule), Err("R-COMMIT-11"));
    let alone: Roster = [(0, leaf(0))].into();
    assert_eq!(authorize(&alone, &data, &add), Ok(()), "its maker adds the one other account");
    let two = CommitFacts { adds: vec![Ok(leaf(8)), Ok(leaf(7))], ..add };
    assert_eq!(authorize(&alone, &data, &two).map_err(|r| r.rule), Err("R-COMMIT-11"));
}

#[test]
fn r_commit_12_a_leftover_role_comes_back_by_an_owner_only() {
    let (roster, mut data) = group();
    data.roles.insert(account(8), Role::Admin);
    let add = |sender| CommitFacts { adds: vec![Ok(leaf(8))], data_after: Some(data.clone()), ..by(sender) };
    assert_eq!(authorize(&roster, &data, &add(1)).map_err(|r| r.rule), Err("R-COMMIT-12"));
    assert_eq!(authorize(&roster, &data, &add(0)), Ok(()));
}

fn link(n: u8, by: u8, uses: Option<u32>) -> (JoinLinkId, JoinLink) {
    let secret = ByteArray::new([n; 16]);
    let link =
        JoinLink { secret, by: account(by), expires: Timestamp::from_millis(5), uses, approval: false };
    (link_id(&secret), link)
}

/// Judged in a group that has one link for three.
fn judge_linked(facts: &CommitFacts, change: impl FnOnce(&mut GroupData)) -> Result<(), &'static str> {
    let (roster, mut data) = group();
    data.links.extend([link(1, 0, Some(3))]);
    let mut after = data.clone();
    change(&mut after);
    let facts = CommitFacts { data_after: Some(after), ..facts.clone() };
    authorize(&roster, &data, &facts).map_err(|refused| refused.rule)
}

#[test]
fn r_commit_17_links_come_and_go_by_role() {
    const NO: Result<(), &str> = Err("R-COMMIT-17");
    let makes = |sender: u32, (id, link): (JoinLinkId, JoinLink)| {
        judge_linked(&by(sender), |data| _ = data.links.insert(id, link))
    };
    assert_eq!(makes(0, link(2, 0, None)), Ok(()));
    assert_eq!(makes(1, link(2, 1, Some(1))), Ok(()));
    assert_eq!(makes(2, link(2, 2, None)), NO, "a mere member");
    assert_eq!(makes(1, link(2, 0, None)), NO, "in somebody else's name");
    assert_eq!(makes(1, link(2, 1, Some(0))), NO, "for nobody");
    assert_eq!(makes(1, (link(3, 1, None).0, link(2, 1, None).1)), NO, "under another id than its secret's");
    let too_many = judge_linked(&by(0), |data| data.links.extend((2..34).map(|n| link(n, 0, None))));
    assert_eq!(too_many, NO);
    let full = judge_linked(&by(0), |data| data.links.extend((2..33).map(|n| link(n, 0, None))));
    assert_eq!(full, Ok(()));
    for (sender, outcome) in [(0, Ok(())), (1, Ok(())), (2, NO)] {
        assert_eq!(judge_linked(&by(sender), |data| data.links.clear()), outcome, "{sender} revokes");
    }
    let (roster, mut data) = group();
    (data.direct, data.personal) = (false, true);
    let mut after = data.clone();
    after.links.extend([link(2, 0, None)]);
    let facts = CommitFacts { data_after: Some(after), ..by(0) };
    assert_eq!(authorize(&roster, &data, &facts).map_err(|r| r.rule), NO, "the own devices' group");
}

#[test]
fn r_commit_17_uses_go_down_with_the_accounts_let_in_and_never_below_zero() {
    const NO: Result<(), &str> = Err("R-COMMIT-17");
    let used = |sender: u32, adds: &[u8], left: Option<u32>| {
        let facts = CommitFacts { adds: adds.iter().map(|n| Ok(leaf(*n))).collect(), ..by(sender) };
        judge_linked(&facts, |data| data.links.values_mut().for_each(|link| link.uses = left))
    };
    assert_eq!(used(1, &[8], Some(2)), Ok(()));
    assert_eq!(used(1, &[8, 9], Some(1)), Ok(()));
    assert_eq!(used(1, &[8], Some(1)), NO, "more than were let in");
    assert_eq!(used(1, &[], Some(2)), NO, "nobody was let in");
    assert_eq!(used(1, &[8], Some(4)), NO, "upwards");
    assert_eq!(used(1, &[8], None), NO, "without end");
    assert_eq!(used(2, &[], Some(2)), NO, "a mere member uses links up");
    let second = Leaf { device: DeviceId::from_bytes([77; 16]), ..leaf(1) };
    let facts = CommitFacts { adds: vec![Ok(second)], ..by(1) };
    let own = judge_linked(&facts, |data| data.links.values_mut().for_each(|link| link.uses = Some(2)));
    assert_eq!(own, NO, "a further device of a member uses no link");
    for change in 0..3 {
        let changed = judge_linked(&by(0), |data| {
            for link in data.links.values_mut() {
                match change {
                    0 => link.expires = Timestamp::from_millis(9),
                    1 => link.approval = true,
                    _ => link.by = account(1),
                }
            }
        });
        assert_eq!(changed, NO, "change {change}");
    }
}

#[test]
fn r_commit_18_a_banned_account_is_added_by_nobody() {
    let (roster, mut data) = group();
    data.banned.insert(account(8));
    let add = |sender, after: &GroupData| {
        let facts = CommitFacts { adds: vec![Ok(leaf(8))], data_after: Some(after.clone()), ..by(sender) };
        authorize(&roster, &data, &facts).map_err(|refused| refused.rule)
    };
    assert_eq!(add(1, &data), Err("R-COMMIT-18"));
    assert_eq!(add(0, &data), Err("R-COMMIT-18"), "an owner neither");
    let lifted = GroupData { banned: BTreeSet::new(), ..data.clone() };
    assert_eq!(add(0, &lifted), Err("R-COMMIT-18"), "first the ban is lifted, then it is added");
    let lift = |sender| {
        let facts = CommitFacts { data_after: Some(lifted.clone()), ..by(sender) };
        authorize(&roster, &data, &facts).map_err(|refused| refused.rule)
    };
    assert_eq!((lift(0), lift(1), lift(2)), (Ok(()), Ok(()), Err("R-COMMIT-18")));
    let banned_and_added = CommitFacts {
        adds: vec![Ok(leaf(9))],
        data_after: Some(GroupData { banned: [account(8), account(9)].into(), ..data.clone() }),
        ..by(0)
    };
    assert_eq!(authorize(&roster, &data, &banned_and_added).map_err(|r| r.rule), Err("R-COMMIT-18"));
}

#[test]
fn r_commit_18_bans_follow_roles_and_remove() {
    const NO: Result<(), &str> = Err("R-COMMIT-18");
    let ban = |sender, target: u8, removes: &[u32]| {
        let removes = removes.iter().map(|index| (*index, Proposer::Committer)).collect();
        let mut facts =
            CommitFacts { removes, ..change(sender, |data| _ = data.banned.insert(account(target))) };
        if sender == 0 {
            facts.data_after.as_mut().unwrap().roles.remove(&account(target));
        }
        judge(&facts)
    };
    assert_eq!(ban(1, 2, &[2]), Ok(()));
    assert_eq!(ban(1, 9, &[]), Ok(()), "who is no member too");
    assert_eq!(ban(1, 2, &[]), NO, "it would stay");
    assert_eq!(ban(2, 3, &[]), NO, "a mere member");
    assert_eq!(ban(0, 1, &[1]), Ok(()), "an owner bans an admin");
    let (roster, mut data) = group();
    data.roles.insert(account(9), Role::Owner);
    let after = GroupData { banned: [account(9)].into(), ..data.clone() };
    let facts = CommitFacts { data_after: Some(after), ..by(1) };
    assert_eq!(authorize(&roster, &data, &facts).map_err(|r| r.rule), NO, "an admin does not ban an owner");
    assert_eq!(
        judge(&change(0, |data| data.banned.extend((0..=limit::BANNED).map(|n| {
            let mut id = [9; 32];
            id[..8].copy_from_slice(&n.to_be_bytes());
            AccountId::from_bytes(id)
        })))),
        NO,
        "too many"
    );
}

#[test]
fn r_commit_11_both_sides_of_a_direct_conversation_have_all_their_devices() {
    let (_, mut data) = group();
    data.direct = true;
    let second = |n| Leaf { device: DeviceId::from_bytes([90 + n; 16]), ..leaf(n) };
    let add =
        |leaf, sender| CommitFacts { adds: vec![Ok(leaf)], data_after: Some(data.clone()), ..by(sender) };
    let maker: Roster = [(0, leaf(0)), (1, second(0))].into();
    assert_eq!(authorize(&maker, &data, &add(leaf(8), 0)), Ok(()), "the other side comes after a sibling");
    let pair: Roster = [(0, leaf(0)), (1, leaf(2))].into();
    assert_eq!(authorize(&pair, &data, &add(second(2), 1)), Ok(()));
    assert_eq!(authorize(&pair, &data, &add(leaf(8), 1)).map_err(|r| r.rule), Err("R-COMMIT-03"));
}

/// Who leaves takes all devices along: whoever carries it out removes the others too.
#[test]
fn r_commit_05_an_account_that_leaves_goes_with_all_its_devices() {
    let (mut roster, data) = group();
    roster.insert(4, Leaf { device: DeviceId::from_bytes([44; 16]), ..leaf(3) });
    let removes = vec![(3, Proposer::Member(3)), (4, Proposer::Committer)];
    let facts = CommitFacts { removes, ..by(2) };
    assert_eq!(authorize(&roster, &data, &facts), Ok(()));
    let alone = CommitFacts { removes: vec![(4, Proposer::Committer)], ..by(2) };
    assert_eq!(authorize(&roster, &data, &alone).map_err(|r| r.rule), Err("R-COMMIT-05"));
}

fn shown(n: u8, at: u64, claim: StatementKind) -> ShownStatement {
    let statement = Statement {
        account: account(n),
        sequence: 1,
        previous: [0; 32],
        at: Timestamp::from_millis(at),
        claim,
    };
    ShownStatement { statement, signed: Signed { body: vec![], signature: vec![] } }
}

fn revocation(n: u8, device: u8) -> ShownStatement {
    shown(n, 20, StatementKind::RevokeDevice { device: DeviceId::from_bytes([device; 16]) })
}

/// The recovery of account `n` at a time, by device `device` with the certificate of the same number.
fn recovery(n: u8, at: u64, device: u8) -> ShownStatement {
    shown(
        n,
        at,
        StatementKind::Recover { device: DeviceId::from_bytes([device; 16]), certificate: [device; 32] },
    )
}

/// What a recovered account goes on with.
fn recovered(n: u8, device: u8, at: u64) -> Leaf {
    Leaf {
        device: DeviceId::from_bytes([device; 16]),
        certificate: [device; 32],
        issued_at: Timestamp::from_millis(at),
        ..leaf(n)
    }
}

#[test]
fn r_commit_13_anybody_removes_a_device_that_its_account_revoked() {
    let remove = |sender, target, evidence| CommitFacts {
        removes: vec![(target, Proposer::Committer)],
        evidence,
        ..by(sender)
    };
    assert_eq!(judge(&remove(2, 3, vec![revocation(3, 3)])), Ok(()));
    assert_eq!(judge(&remove(2, 0, vec![revocation(0, 0)])), Ok(()), "an owner's device too");
    assert_eq!(judge(&remove(2, 3, vec![])), Err("R-COMMIT-05"));
    assert_eq!(judge(&remove(2, 3, vec![revocation(3, 9)])), Err("R-COMMIT-05"), "another device");
    assert_eq!(judge(&remove(2, 3, vec![revocation(1, 3)])), Err("R-COMMIT-05"), "another account's word");
    let added = shown(
        3,
        20,
        StatementKind::AddDevice { device: DeviceId::from_bytes([3; 16]), certificate: [3; 32] },
    );
    assert_eq!(judge(&remove(2, 3, vec![added])), Err("R-COMMIT-05"), "not a revocation");
    let by_reference =
        CommitFacts { removes: vec![(3, Proposer::Member(2))], evidence: vec![revocation(3, 3)], ..by(2) };
    assert_eq!(judge(&by_reference), Err("R-COMMIT-05"), "only the committer itself shows it");
}

/// G02: an old recovery, shown again, removes nothing that came after it.
#[test]
fn r_commit_13_a_recovery_that_is_shown_again_removes_no_later_device() {
    let (mut roster, data) = group();
    roster.insert(3, recovered(3, 33, 20));
    roster.insert(
        4,
        Leaf { device: DeviceId::from_bytes([34; 16]), issued_at: Timestamp::from_millis(21), ..leaf(3) },
    );
    for target in [3, 4] {
        let facts = CommitFacts {
            removes: vec![(target, Proposer::Committer)],
            evidence: vec![recovery(3, 20, 33)],
            ..by(2)
        };
        assert_eq!(authorize(&roster, &data, &facts).map_err(|r| r.rule), Err("R-COMMIT-05"), "{target}");
    }
}

#[test]
fn r_commit_14_anybody_brings_a_recovered_account_back() {
    let swap = |add, evidence| CommitFacts {
        adds: vec![Ok(add)],
        removes: vec![(3, Proposer::Committer)],
        evidence,
        ..by(2)
    };
    let shows = || vec![recovery(3, 20, 33)];
    assert_eq!(judge(&swap(recovered(3, 33, 20), shows())), Ok(()));
    // Its devices may be removed in one commit and come in another, as long as the account is there.
    let only_add = CommitFacts { adds: vec![Ok(recovered(3, 33, 20))], evidence: shows(), ..by(2) };
    assert_eq!(judge(&only_add), Ok(()));
    assert_eq!(judge(&CommitFacts { evidence: vec![], ..only_add }), Err("R-COMMIT-04"));
    let other_certificate = Leaf { certificate: [7; 32], ..recovered(3, 33, 20) };
    assert_eq!(judge(&swap(other_certificate, shows())), Err("R-COMMIT-03"), "not the certificate it names");
    assert_eq!(judge(&swap(recovered(3, 34, 20), shows())), Err("R-COMMIT-03"), "not the device it names");
    let stranger =
        CommitFacts { adds: vec![Ok(recovered(8, 33, 20))], evidence: vec![recovery(8, 20, 33)], ..by(2) };
    assert_eq!(judge(&stranger), Err("R-COMMIT-03"), "an account that was not there does not return");
    let left = CommitFacts {
        adds: vec![Ok(recovered(3, 33, 20))],
        removes: vec![(3, Proposer::Member(3))],
        evidence: shows(),
        ..by(2)
    };
    assert_eq!(judge(&left), Err("R-COMMIT-03"), "nor one that asked to leave");
}

/// A role and a direct conversation survive the recovery: the account never was away.
#[test]
fn r_commit_14_a_recovered_owner_keeps_its_role_and_its_direct_conversations() {
    let swap = |data: &GroupData, sender| CommitFacts {
        adds: vec![Ok(recovered(0, 33, 20))],
        removes: vec![(0, Proposer::Committer)],
        evidence: vec![recovery(0, 20, 33)],
        data_after: Some(data.clone()),
        ..by(sender)
    };
    let (roster, mut data) = group();
    assert_eq!(authorize(&roster, &data, &swap(&data, 2)), Ok(()));
    data.direct = true;
    let pair: Roster = [(0, leaf(0)), (1, leaf(2))].into();
    assert_eq!(authorize(&pair, &data, &swap(&data, 1)), Ok(()));
}

#[test]
fn r_commit_15_a_personal_group_has_the_devices_of_one_account() {
    let (_, mut data) = group();
    data.personal = true;
    let mine: Roster = [(0, leaf(0))].into();
    let add = |leaf| CommitFacts { adds: vec![Ok(leaf)], data_after: Some(data.clone()), ..by(0) };
    assert_eq!(authorize(&mine, &data, &add(recovered(0, 33, 20))), Ok(()));
    assert_eq!(authorize(&mine, &data, &add(leaf(8))).map_err(|r| r.rule), Err("R-COMMIT-15"));
    assert_eq!(judge(&change(0, |data| data.personal = true)), Err("R-COMMIT-15"));
}

#[test]
fn r_commit_16_a_recovery_does_not_put_an_account_out() {
    let remove = |evidence| CommitFacts { removes: vec![(3, Proposer::Committer)], evidence, ..by(2) };
    assert_eq!(judge(&remove(vec![recovery(3, 20, 33)])), Err("R-COMMIT-16"));
    assert_eq!(
        judge(&remove(vec![recovery(3, 20, 33), revocation(3, 33)])),
        Ok(()),
        "the recovered device is revoked too: there is nobody to bring"
    );
    let (mut roster, data) = group();
    roster.insert(4, recovered(3, 33, 20));
    assert_eq!(authorize(&roster, &data, &remove(vec![recovery(3, 20, 33)])), Ok(()), "it is back already");
    let by_owner = CommitFacts { removes: vec![(3, Proposer::Committer)], ..by(0) };
    assert_eq!(judge(&by_owner), Ok(()), "an owner may put anybody out");
}

/// Anybody lets a device that lost its place come back, showing that it asked: exactly its leaf for one of the same
/// account and device, and nothing more.
#[test]
fn r_commit_19_anybody_lets_a_device_come_back_that_asked() {
    let (roster, _) = group();
    let old = roster[&0].clone();
    let other = roster[&1].clone();
    let rejoin = Rejoin { index: 0, account: old.account, device: old.device };
    let served = CommitFacts {
        adds: vec![Ok(old.clone())],
        removes: vec![(0, Proposer::Committer)],
        rejoins: vec![rejoin],
        ..by(2)
    };
    assert_eq!(judge(&served), Ok(()));
    let refused = |facts: CommitFacts| judge(&facts).is_err();
    assert!(refused(CommitFacts { rejoins: vec![], ..served.clone() }), "nobody asked");
    assert!(refused(CommitFacts { adds: vec![], ..served.clone() }), "it would be put out");
    assert!(refused(CommitFacts { adds: vec![Ok(other)], ..served.clone() }), "somebody else came instead");
    assert!(refused(CommitFacts { removes: vec![], ..served.clone() }), "it would be in twice");
    let both = vec![(0, Proposer::Committer), (1, Proposer::Committer)];
    assert!(refused(CommitFacts { removes: both, ..served.clone() }), "another one would go too");
    let wrong = Rejoin { index: 1, account: old.account, device: old.device };
    assert!(refused(CommitFacts { rejoins: vec![wrong], ..served }), "the request is about another leaf");
}
