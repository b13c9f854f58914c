//! Commits and proposals that no agent makes, by a plain member and by one outside.

use std::time::Duration;

use cipher_broker::certificate::DeviceCertificate;
use cipher_broker::codec;
use cipher_broker::wire::envelope::{CommitPlace, Envelope};
use cipher_broker::wire::group::{GroupData, Role};
use openmls::prelude::{
    Ciphersuite, Extensions, LeafNodeIndex, LeafNodeParameters, Lifetime, MlsGroup, MlsMessageBodyIn,
    MlsMessageIn, PURE_PLAINTEXT_WIRE_FORMAT_POLICY, PreSharedKeyProposal, Proposal,
};
use openmls::schedule::{ExternalPsk, PreSharedKeyId, Psk};
use openmls_traits::OpenMlsProvider;
use testbed::person::text;
use testbed::{Result, ensure, wait};
use tls_codec::DeserializeBytes;

use crate::client::{Change, Identity, enveloped, failed, join_config};
use crate::scene::{GROUP, Scene, goes_on};

/// The leaf of the group's owner and the certificate in it, as every member sees them.
fn owner(scene: &Scene) -> Result<(LeafNodeIndex, DeviceCertificate)> {
    let owner = scene.copy.mls.member_at(LeafNodeIndex::new(0)).ok_or_else(|| failed("nobody there"))?;
    Ok((owner.index, codec::decode(owner.credential.serialized_content())?))
}

/// OpenMLS stages each of these; the members' rules are what refuses them.
#[test]
fn m27_m28_m29_certificates_of_others_get_nobody_anywhere() -> Result {
    let mut scene = Scene::new()?;
    let (_, certificate) = owner(&scene)?;
    let stolen = scene.mallory.credential_of(&certificate);
    let change = Change { leaf: Some(stolen.clone()), ..Change::default() };
    let commit = scene.copy.commits(&scene.mallory, change)?;
    scene.refuses("another's certificate in a path", commit)?;

    let leaf = LeafNodeParameters::builder().with_credential_with_key(stolen).build();
    let (copy, by) = (&mut scene.copy, &scene.mallory);
    let (proposal, _) = copy.mls.propose_self_update(&by.provider, &by.signer, leaf).map_err(failed)?;
    let proposal = enveloped(&proposal)?;
    scene.refuses("another's certificate in an update", proposal)?;

    let ghost = Identity::fresh()?;
    let copied = ghost.key_package_with(ghost.credential_of(&certificate))?;
    let commit = scene.copy.commits(&scene.mallory, Change { adds: vec![copied], ..Change::default() })?;
    scene.refuses("a leaf with another's certificate", commit)?;

    // Honest members commit next: nothing of the proposal comes along.
    scene.alice.does(&["group", "rename", GROUP, GROUP])?;
    scene.holds()
}

#[test]
fn m30_m31_m32_a_plain_member_changes_nothing_of_the_group() -> Result {
    let mut scene = Scene::new()?;
    let stranger = Identity::fresh()?;
    let adds = vec![stranger.key_package()?];
    let commit = scene.copy.commits(&scene.mallory, Change { adds, ..Change::default() })?;
    scene.refuses("an addition", commit)?;

    let (alices, _) = owner(&scene)?;
    let commit = scene.copy.commits(&scene.mallory, Change { removes: vec![alices], ..Change::default() })?;
    scene.refuses("the removal of the owner", commit)?;

    let data = scene.copy.data()?;
    for (what, change) in [
        ("a role", {
            let mut changed = data.clone();
            changed.roles.insert(scene.mallory.account, Role::Owner);
            changed
        }),
        ("a name", GroupData { name: "mine".into(), ..data.clone() }),
        ("a version", GroupData { version: 0, ..data.clone() }),
        ("who may add", GroupData { may_add: Role::Member, ..data }),
    ] {
        let commit = scene.copy.commits_data(&scene.mallory, codec::encode(&change))?;
        scene.refuses(what, commit)?;
    }
    let commit = scene.copy.commits_data(&scene.mallory, b"no data at all".to_vec())?;
    scene.refuses("data that are none", commit)?;
    let commit = scene.copy.commits_extensions(&scene.mallory, Extensions::empty())?;
    scene.refuses("no data", commit)?;

    // A key that nobody else has: who cannot apply the commit must not think of the log as of one that went on.
    let psk = Psk::External(ExternalPsk::new(b"mallory's".to_vec()));
    let suite: Ciphersuite = scene.copy.mls.ciphersuite();
    let id = PreSharedKeyId::new(suite, scene.mallory.provider.rand(), psk).map_err(failed)?;
    id.store(&scene.mallory.provider, &[7; 32]).map_err(failed)?;
    let proposals = vec![Proposal::PreSharedKey(Box::new(PreSharedKeyProposal::new(id)))];
    let commit = scene.copy.commits(&scene.mallory, Change { proposals, ..Change::default() })?;
    scene.refuses("a pre-shared key", commit)?;
    scene.holds()
}

#[test]
fn m34_m35_proposals_without_end_and_handshakes_in_the_clear_keep_nobody_from_talking() -> Result {
    let mut scene = Scene::new()?;
    let (bobs, by) = (LeafNodeIndex::new(1), &scene.mallory);
    for _ in 0..300 {
        let (copy, line) = (&mut scene.copy, &scene.line);
        let proposal = copy.mls.propose_remove_member(&by.provider, &by.signer, bobs).map_err(failed)?.0;
        line.store(&copy.handshakes(), enveloped(&proposal)?)?;
        copy.forgets(by)?;
    }
    scene.holds()?;

    scene.catches_up()?;
    let (copy, by) = (&mut scene.copy, &scene.mallory);
    let plain = openmls::prelude::MlsGroupJoinConfig::builder()
        .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
        .build();
    copy.mls.set_configuration(by.provider.storage(), &plain).map_err(failed)?;
    let commit = copy.commits(by, Change::default())?;
    copy.mls.set_configuration(by.provider.storage(), &join_config()).map_err(failed)?;
    scene.refuses("a commit in the clear", commit)?;
    scene.holds()
}

/// A member leaks what one outside needs to commit itself in.
#[test]
fn m25_m26_nobody_commits_itself_in_from_outside() -> Result {
    let mut scene = Scene::new()?;
    let (copy, by) = (&scene.copy, &scene.mallory);
    let leaked = copy.mls.export_group_info(by.provider.crypto(), &by.signer, true).map_err(failed)?;
    let leaked = leaked.to_bytes().map_err(failed)?;
    let info = || match MlsMessageIn::tls_deserialize_exact_bytes(&leaked)?.extract() {
        MlsMessageBodyIn::GroupInfo(info) => Ok(info),
        other => Err(failed(other)),
    };
    let commit_of = |outsider: &Identity| -> Result<Vec<u8>> {
        let (_, bundle) = MlsGroup::external_commit_builder()
            .with_config(join_config())
            .skip_lifetime_validation()
            .build_group(&outsider.provider, info()?, outsider.credential())
            .map_err(failed)?
            .leaf_node_parameters(
                LeafNodeParameters::builder().with_capabilities(Identity::capabilities()).build(),
            )
            .load_psks(outsider.provider.storage())
            .map_err(failed)?
            .build(outsider.provider.rand(), outsider.provider.crypto(), &outsider.signer, |_| true)
            .map_err(failed)?
            .finalize(&outsider.provider)
            .map_err(failed)?;
        enveloped(bundle.commit())
    };
    let outsider = commit_of(&Identity::fresh()?)?;
    scene.refuses("one outside, in the clear", outsider.clone())?;
    // And on the other subject, where it does not belong.
    scene.posts(outsider)?;
    scene.holds()
}

#[test]
fn m18_of_two_commits_of_one_epoch_the_first_counts_and_the_other_wish_comes_true_later() -> Result {
    let mut scene = Scene::new()?;
    // Mallory's honest commit lies there; alice has not read it when she wants something.
    let commit = scene.copy.commits(&scene.mallory, Change::default())?;
    scene.copy.sends_and_merges(&scene.mallory, &scene.line, commit)?;
    scene.alice.does(&["group", "rename", GROUP, "crew"])?;
    let world = goes_on("crew", &[&scene.alice.clone(), &scene.bob.clone()])?;
    scene.catches_up()?;
    scene.copy.is_in_step_with(&world)?;
    // And the other way round: mallory's comes too late, is dropped, and a message under it is nothing.
    let late = scene.copy.commits(&scene.mallory, Change::default())?;
    scene.alice.does(&["group", "rename", "crew", GROUP])?;
    scene.shakes(late)?;
    scene.copy.forgets(&scene.mallory)?;
    scene.catches_up()?;
    scene.copy.is_in_step_with(&scene.shown()?)?;
    scene.holds()
}

#[test]
fn m21_an_ex_member_reads_and_says_nothing_more() -> Result {
    let mut scene = Scene::new()?;
    let words = scene.copy.seals_text(&scene.mallory, "still here")?;
    let commit = scene.copy.commits(&scene.mallory, Change::default())?;
    scene.alice.does(&["group", "remove", GROUP, "mallory"])?;
    scene.alice.sends(GROUP, "without mallory")?;
    scene.posts(words)?;
    scene.shakes(commit)?;
    let heard = scene.catches_up()?;
    ensure(!heard.contains(&"without mallory".into()), || format!("mallory reads on: {heard:?}"))?;
    scene.holds()?;
    for person in [&scene.alice, &scene.bob] {
        let texts = person.texts(GROUP)?;
        ensure(!texts.contains(&"still here".into()), || format!("{texts:?}"))?;
    }
    Ok(())
}

/// A proposal in an envelope that is not its own, and a welcome where commits lie.
#[test]
fn m37_what_does_not_belong_on_a_subject_is_skipped_there() -> Result {
    let mut scene = Scene::new()?;
    let words = scene.copy.seals_text(&scene.mallory, "on the wrong subject")?;
    let commit = scene.copy.commits(&scene.mallory, Change::default())?;
    scene.refuses("a message where commits lie", words)?;
    scene.posts(commit)?;
    let package = scene.mallory.key_package()?;
    let package = openmls::prelude::MlsMessageOut::from(package).to_bytes().map_err(failed)?;
    scene.refuses("a key package", codec::encode(&Envelope::Message(package.clone())))?;
    scene.posts(codec::encode(&Envelope::Message(package)))?;
    scene.holds()
}

/// F10: an owner on a client of its own gives the group a name that no agent would.
#[test]
fn f10_t09_the_rules_of_names_hold_for_commits_too() -> Result {
    let mut scene = Scene::new()?;
    scene.alice.does(&["group", "role", GROUP, "mallory", "owner"])?;
    scene.catches_up()?;
    let data = scene.copy.data()?;
    let long = "n".repeat(100_000);
    for name in ["@alice", "", "   ", "two\nlines", "esc\u{1b}[2J", "a\u{202e}b", " @bob", long.as_str()] {
        let commit = GroupData { name: name.into(), ..data.clone() };
        let commit = scene.copy.commits_data(&scene.mallory, codec::encode(&commit))?;
        scene.refuses(&format!("the name {:?}", name.get(..name.len().min(20))), commit)?;
    }
    scene.holds()
}

/// F12: a commit that says it follows one that never was. It counts, and it is its maker's word alone.
#[test]
fn f12_a_made_up_predecessor_accuses_nobody_but_its_committer() -> Result {
    let mut scene = Scene::new()?;
    scene.copy.link = CommitPlace { sequence: 3, hash: [9; 32] };
    let commit = scene.copy.commits(&scene.mallory, Change::default())?;
    scene.copy.sends_and_merges(&scene.mallory, &scene.line, commit)?;
    let synced = scene.alice.does(&["sync"])?;
    for warning in &synced.errors {
        let words = text(warning, "message").unwrap_or_default();
        ensure(!words.contains("broker") || words.contains("@mallory"), || {
            format!("nobody is named: {warning}")
        })?;
    }
    scene.holds()?;
    scene.copy.is_in_step_with(&scene.shown()?)
}

/// F1: a commit that nobody can apply any more when it is read, and then, from anybody, a header of the next epoch.
#[test]
fn f1_what_nobody_can_apply_and_nobody_proved_decides_nothing() -> Result {
    let mut scene = Scene::new()?;
    let ghost = Identity::fresh()?;
    let ends = wait::now().plus(Duration::from_secs(3));
    let package = ghost.key_package_of(ghost.credential(), Lifetime::new(3))?;
    let commit = scene.copy.commits(&scene.mallory, Change { adds: vec![package], ..Change::default() })?;
    let words = scene.copy.seals_text(&scene.mallory, "of this epoch")?;
    wait::until_it_is(ends.plus(Duration::from_secs(1)))?;
    scene.refuses("a package that is over", commit)?;
    let next = scene.copy.mls.epoch().as_u64() + 1;
    let Envelope::Message(mut junk) = codec::decode(&words)? else { return Err(failed("no message")) };
    if let Some(place) = junk.get_mut(crate::message::EPOCH) {
        place.copy_from_slice(&next.to_be_bytes());
    }
    scene.posts(codec::encode(&Envelope::Message(junk)))?;
    // Both together cost the group one fresh commit, some seconds later; what is said meanwhile waits for it.
    scene.alice.does(&["send", GROUP, "said meanwhile"])?;
    wait::until("the group goes on", || {
        scene.alice.syncs().ok()?;
        let shown = scene.alice.shows(GROUP).ok()?;
        shown.get("recovering").is_some_and(serde_json::Value::is_null).then_some(())
    })?;
    scene.alice.syncs()?;
    scene.screen.sees("said meanwhile")?;
    scene.holds()?;
    let shown = scene.shown()?;
    ensure(text(&shown, "state") == Some("active"), || shown.to_string())?;
    let times = scene.bob.texts(GROUP)?.iter().filter(|words| *words == "said meanwhile").count();
    ensure(times == 1, || format!("read {times} times"))
}
