//! Commits and proposals that no agent makes, by a plain member and by one outside.

use cipher_broker::certificate::DeviceCertificate;
use cipher_broker::codec;
use cipher_broker::wire::envelope::Envelope;
use cipher_broker::wire::group::{GroupData, Role};
use openmls::prelude::{
    Ciphersuite, Extensions, LeafNodeIndex, LeafNodeParameters, MlsGroup, MlsMessageBodyIn, MlsMessageIn,
    PURE_PLAINTEXT_WIRE_FORMAT_POLICY, PreSharedKeyProposal, Proposal,
};
use openmls::schedule::{ExternalPsk, PreSharedKeyId, Psk};
use openmls_traits::OpenMlsProvider;
use testbed::{Result, ensure};
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
