//! A new conversation, first epoch: local until its first commit.

use std::collections::{BTreeMap, BTreeSet};

use cipher_api::{Advice, ErrorKind, Event, Reply, Result};
use cipher_broker::certificate::CREDENTIAL_TYPE;
use cipher_broker::handle::Handle;
use cipher_broker::id::{AccountId, GroupId};
use cipher_broker::subject::Source;
use cipher_broker::wire::envelope::CommitPlace;
use cipher_broker::wire::group::{GROUP_DATA_EXTENSION, GroupData, Role, Settings};
use cipher_broker::{codec, limit};
use openmls::group::{GroupContext, PastEpochDeletionPolicy};
use openmls::prelude::{
    Ciphersuite, CredentialType, Extension, ExtensionType, Extensions, MlsGroup, MlsGroupCreateConfig,
    MlsGroupJoinConfig, RequiredCapabilitiesExtension, SenderRatchetConfiguration, UnknownExtension,
};

use crate::input::Ticket;
use crate::machine::Core;
use crate::registry::lookup::Goal;
use crate::state::live::{Live, mls_id};
use crate::state::name::is_group_name;
use crate::state::suite::{POST_QUANTUM_SUITE, SUITE, capabilities};
use crate::state::{GroupRow, Joiner, Taken, Wish};

/// How far a sender's ratchet may be ahead, and how many skipped keys are kept.
fn ratchets() -> SenderRatchetConfiguration {
    SenderRatchetConfiguration::new(limit::RATCHET_OUT_OF_ORDER, limit::RATCHET_FORWARD)
}

/// How a joiner runs its copy of the group. No past epochs: total order makes "what lands after the commit is
/// dropped by everybody and re-sent by its sender" deterministic.
pub(super) fn join_config() -> MlsGroupJoinConfig {
    MlsGroupJoinConfig::builder()
        .padding_size(limit::PADDING_BYTES)
        .set_past_epoch_deletion_policy(PastEpochDeletionPolicy::default())
        .sender_ratchet_configuration(ratchets())
        .use_ratchet_tree_extension(false)
        .build()
}

/// The GroupContext extensions of a group with this data.
pub(super) fn extensions(data: &GroupData) -> Result<Extensions<GroupContext>> {
    let required = RequiredCapabilitiesExtension::new(
        &[ExtensionType::Unknown(GROUP_DATA_EXTENSION)],
        &[],
        &[CredentialType::Other(CREDENTIAL_TYPE)],
    );
    Extensions::from_vec(vec![
        Extension::RequiredCapabilities(required),
        Extension::Unknown(GROUP_DATA_EXTENSION, UnknownExtension(codec::encode(data))),
    ])
    .map_err(|error| ErrorKind::Bug.because_of("the group's extensions cannot be built", error))
}

/// Checks a group name as a person gave it.
pub(super) fn check_name(name: &str) -> Result<()> {
    if name.trim().is_empty() {
        return Err(ErrorKind::Usage.because("a group needs a name"));
    }
    crate::state::name::check_text("a group name", name, limit::GROUP_NAME_CHARS)?;
    if !is_group_name(name) {
        return Err(ErrorKind::Usage
            .because("a group name does not begin with '@' and has no control characters")
            .hint(Advice::AtNamesAccounts));
    }
    Ok(())
}

impl Core {
    pub(super) fn group_create(
        &mut self,
        ticket: Ticket,
        name: String,
        with: Vec<Handle>,
        post_quantum: bool,
    ) -> Result<Option<Reply>> {
        self.state.identity()?;
        check_name(&name)?;
        if with.is_empty() {
            let group = self.make_group(name, None, post_quantum)?;
            return self.group_reply(group).map(Some);
        }
        self.begin_errand(Some(ticket), Goal::Create { name, post_quantum }, with)?;
        Ok(None)
    }

    /// Members to be were found, with their key packages. `None`: the command is answered later.
    pub(crate) fn members_found(
        &mut self,
        goal: Goal,
        joiners: Vec<Joiner>,
        ticket: Option<Ticket>,
    ) -> Result<Option<Reply>> {
        let group = match goal {
            Goal::Create { name, post_quantum } => self.make_group(name, None, post_quantum)?,
            Goal::Add { group } => {
                // We may have left, or been removed, since it was asked.
                self.state.must_be_active(group)?;
                if joiners.is_empty() {
                    return self.group_reply(group).map(Some);
                }
                group
            }
            Goal::ShowProfile
            | Goal::Block
            | Goal::Verify
            | Goal::Contact { .. }
            | Goal::Say(_)
            | Goal::Reach => {
                return Err(ErrorKind::Bug.because("a contact was looked up as if it were a member"));
            }
        };
        self.wish(group, Wish::Add(joiners), ticket)
    }

    /// Makes a group with only this device in it.
    pub(crate) fn make_group(
        &mut self,
        name: String,
        peer: Option<AccountId>,
        post_quantum: bool,
    ) -> Result<GroupId> {
        let data = self.first_data(name, peer.is_some());
        let group = self.make_group_of(&data, peer, post_quantum)?;
        self.keep_names_apart(group, Taken::ByCurrent);
        let view = Box::new(self.group_view(group)?);
        self.notify(Event::Group(view));
        Ok(group)
    }

    /// Makes the group in which own devices talk.
    pub(crate) fn make_personal_group(&mut self) -> Result<GroupId> {
        let data = GroupData { personal: true, ..self.first_data(String::new(), false) };
        self.make_group_of(&data, None, false)
    }

    /// A group of MLS with only this device in it.
    pub(super) fn made(&self, group: GroupId, suite: Ciphersuite, data: &GroupData) -> Result<Live> {
        let config = MlsGroupCreateConfig::builder()
            .ciphersuite(suite)
            .capabilities(capabilities())
            .with_group_context_extensions(extensions(data)?)
            .padding_size(limit::PADDING_BYTES)
            .set_past_epoch_deletion_policy(PastEpochDeletionPolicy::default())
            .sender_ratchet_configuration(ratchets())
            .use_ratchet_tree_extension(false)
            .build();
        let (signer, credential) = (self.state.signer()?, self.state.credential()?);
        let mls = MlsGroup::new_with_group_id(&self.provider, &signer, &config, mls_id(&group), credential)
            .map_err(|error| ErrorKind::Bug.because_of("a group could not be made", error))?;
        Live::of(mls)
    }

    /// What a new group begins with.
    pub(super) fn first_data(&self, name: String, direct: bool) -> GroupData {
        GroupData {
            version: GroupData::VERSION,
            name,
            direct,
            roles: BTreeMap::from([(self.state.own_id(), Role::Owner)]),
            may_add: Role::Admin,
            may_rename: Role::Admin,
            may_resync: true,
            settings: Settings::default(),
            personal: false,
            links: BTreeMap::new(),
            banned: BTreeSet::new(),
        }
    }

    /// Makes a group with this data, telling nobody.
    fn make_group_of(
        &mut self,
        data: &GroupData,
        peer: Option<AccountId>,
        post_quantum: bool,
    ) -> Result<GroupId> {
        let group = GroupId::from_bytes(self.provider.bytes());
        let suite: Ciphersuite = if post_quantum { POST_QUANTUM_SUITE } else { SUITE };
        let live = self.made(group, suite, data)?;
        self.groups.put(group, live);
        let none = CommitPlace { sequence: 0, hash: [0; 32] };
        let now = self.run.now;
        let begun = GroupRow::active(data, suite.into(), 0, none);
        let row = GroupRow { peer, commit_at: now, keys_at: now, ..begun };
        self.state.groups.insert(group, row);
        self.reconcile_group(group)?;
        self.follow(Source::Group(group));
        // Nobody else knows it yet.
        self.run.delivery.begins(group);
        Ok(group)
    }
}
