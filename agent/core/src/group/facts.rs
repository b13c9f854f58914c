//! A staged commit, reduced to what the rules of [`super::policy`] speak about.

use cipher_broker::sign::Signed;
use cipher_broker::wire::group::GROUP_DATA_EXTENSION;
use openmls::prelude::{
    Extension, ExtensionType, MlsGroup, Proposal, ProposalOrRefType, QueuedProposal, Sender, StagedCommit,
};
use tls_codec::Serialize as _;

use crate::group::evidence;
use crate::group::policy::{CommitFacts, Committer, Proposer};
use crate::state::live::{Live, group_data};
use crate::state::roster;
use crate::store::mls;

/// Reduces a staged commit to what the rules speak about.
pub(super) fn facts(
    live: &Live,
    staged: &StagedCommit,
    sender: Committer,
    evidence: &[Signed],
) -> CommitFacts {
    let proven = |result: Result<roster::Leaf, roster::BadLeaf>| result.map_err(|bad| bad.0);
    let mut facts = CommitFacts {
        sender,
        adds: Vec::new(),
        removes: Vec::new(),
        updates: Vec::new(),
        path: staged.update_path_leaf_node().map(|leaf| proven(roster::prove_leaf(leaf))),
        data_after: group_data(staged.group_context().extensions()),
        other_extensions_changed: others(&live.mls) != others_of(staged),
        foreign_extensions_proposal: false,
        forbidden: None,
        evidence: Vec::new(),
        rejoins: Vec::new(),
    };
    for queued in staged.queued_proposals() {
        let proposer = match (queued.proposal_or_ref_type(), queued.sender()) {
            (ProposalOrRefType::Proposal, _) => Proposer::Committer,
            (ProposalOrRefType::Reference, Sender::Member(index)) => Proposer::Member(index.u32()),
            (ProposalOrRefType::Reference, _) => Proposer::Other,
        };
        match queued.proposal() {
            // By-reference adds have nobody's role behind them at commit time; they are not used here.
            Proposal::Add(_) if proposer != Proposer::Committer => facts.forbidden = Some("add by reference"),
            Proposal::Add(add) => facts.adds.push(proven(roster::prove_leaf(add.key_package().leaf_node()))),
            Proposal::Remove(remove) => facts.removes.push((remove.removed().u32(), proposer)),
            Proposal::Update(update) => match proposer {
                Proposer::Member(index) => {
                    facts.updates.push((index, proven(roster::prove_leaf(update.leaf_node()))));
                }
                Proposer::Committer | Proposer::Other => facts.forbidden = Some("update"),
            },
            Proposal::GroupContextExtensions(_) => {
                facts.foreign_extensions_proposal |= proposer != Proposer::Committer;
            }
            Proposal::ExternalInit(_) if sender == Committer::Outsider => {}
            Proposal::ExternalInit(_) => facts.forbidden = Some("external init"),
            Proposal::PreSharedKey(_) => facts.forbidden = Some("pre-shared key"),
            Proposal::ReInit(_) => facts.forbidden = Some("re-init"),
            Proposal::SelfRemove => facts.forbidden = Some("self remove"),
            Proposal::Custom(_) => facts.forbidden = Some("custom"),
        }
    }
    if !evidence.is_empty() {
        let leaves = live.roster.values().chain(facts.adds.iter().flatten());
        let keys = leaves.map(|leaf| (leaf.account, leaf.account_key)).collect();
        facts.evidence = evidence::verified(evidence, &keys);
    }
    facts
}

/// The GroupContext extensions besides the group data, as bytes to compare.
fn others(mls: &MlsGroup) -> Vec<Vec<u8>> {
    encoded(mls.extensions().iter())
}

fn others_of(staged: &StagedCommit) -> Vec<Vec<u8>> {
    encoded(staged.group_context().extensions().iter())
}

fn encoded<'a>(extensions: impl Iterator<Item = &'a Extension>) -> Vec<Vec<u8>> {
    let mut encoded: Vec<Vec<u8>> = extensions
        .filter(|extension| extension.extension_type() != ExtensionType::Unknown(GROUP_DATA_EXTENSION))
        .filter_map(|extension| extension.tls_serialize_detached().ok())
        .collect();
    encoded.sort();
    encoded
}

/// The leaf that a stored proposal asks to remove, if it is its own sender's.
pub(super) fn leaver(bytes: &[u8]) -> Option<u32> {
    leaver_of(&mls::decode::<QueuedProposal>(bytes).ok()?)
}

/// The same for a proposal that just came.
pub(super) fn leaver_of(proposal: &QueuedProposal) -> Option<u32> {
    match (proposal.proposal(), proposal.sender()) {
        (Proposal::Remove(remove), Sender::Member(index)) if remove.removed() == *index => Some(index.u32()),
        _ => None,
    }
}
