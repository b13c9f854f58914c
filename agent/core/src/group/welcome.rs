//! Looking at a Welcome (RFC 9420 §12.4.3.1), and judging the group that it leads into, before anything is joined.

use std::collections::BTreeMap;

use cipher_api::Result;
use cipher_broker::certificate::Kind;
use cipher_broker::id::{AccountId, GroupId};
use cipher_broker::time::Timestamp;
use cipher_broker::wire::envelope::Envelope;
use cipher_broker::wire::group::TREE_KEY_EXTENSION;
use cipher_broker::{codec, limit};
use openmls::group::ProcessedWelcome;
use openmls::prelude::{
    KeyPackageBundle, MlsMessageBodyIn, MlsMessageIn, RatchetTreeIn, StagedWelcome, Welcome,
};
use openmls_traits::OpenMlsProvider;
use openmls_traits::storage::StorageProvider as _;
use tls_codec::DeserializeBytes;

use crate::group::commit::shortened;
use crate::group::create::join_config;
use crate::group::join::{TOLD_AFTER, is_later};
use crate::group::join_request::proven_links;
use crate::group::tree;
use crate::machine::Core;
use crate::state::live::group_data;
use crate::state::name::is_group_name;
use crate::state::{InviteFacts, InviteRow, Skip, roster};

/// Why an invitation is not one.
pub(super) type Bad = Skip;

impl Core {
    /// Opens a Welcome far enough to know which group it is for.
    pub(super) fn look(&mut self, bytes: &[u8], at: Timestamp) -> Result<(GroupId, InviteRow), Bad> {
        if bytes.len() > limit::WELCOME_BYTES {
            return Err(Skip::TooLarge);
        }
        let Ok(Envelope::Welcome { welcome, note }) = codec::decode(bytes) else { return Err(Skip::Parse) };
        let (group, key, epoch) = self.trial(|core| {
            let processed = core.processed(&welcome)?;
            let info = processed.unverified_group_info();
            let group = GroupId::from_slice(info.group_id().as_slice()).map_err(|_| Skip::Welcome)?;
            let key = info.extensions().unknown(TREE_KEY_EXTENSION).ok_or(Skip::Welcome)?;
            let key: [u8; 32] = key.0.as_slice().try_into().map_err(|_| Skip::Welcome)?;
            Ok::<_, Bad>((group, key, info.epoch().as_u64()))
        })?;
        let note = tree::open_note(&key, &group, &note).map_err(|_| Skip::Welcome)?;
        let named = note.hashes.is_empty() || note.hashes.len() == note.pieces as usize;
        if note.pieces == 0 || note.pieces > limit::TREE_CHUNKS || !named {
            return Err(Skip::Welcome);
        }
        if !is_later(self.state.groups.get(&group), epoch) {
            return Err(Skip::Welcome);
        }
        if let Some(known) = self.state.invites.get_mut(&group)
            && known.welcome == welcome
        {
            // Sent again because a log was lost: the group's goes on elsewhere.
            (known.commit_sequence, known.commit_hash) = (note.commit_sequence, note.commit_hash);
        }
        // One that leads nowhere by itself keeps no other out: anybody can name a late epoch.
        let idle = |known: &InviteRow| known.held && (known.offered || known.attempts >= TOLD_AFTER);
        if self.state.invites.get(&group).is_some_and(|known| known.epoch >= epoch && !idle(known)) {
            return Err(Skip::Welcome);
        }
        Ok((
            group,
            InviteRow {
                welcome,
                key,
                epoch,
                commit_sequence: note.commit_sequence,
                commit_hash: note.commit_hash,
                pieces: note.pieces,
                hashes: note.hashes,
                text: shortened(&note.text),
                received_at: self.run.now,
                // The commit is older than an invitation that was posted late or again.
                posted_at: if note.commit_at == Timestamp::default() { at } else { at.min(note.commit_at) },
                doubt: note.doubt,
                attempts: 0,
                known: None,
                told: false,
                declined: false,
                held: self.state.is_member(&group),
                offered: false,
            },
        ))
    }

    /// Works on a provisional overlay and forgets it.
    pub(super) fn trial<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        self.provider.storage().begin_trial();
        let result = work(self);
        self.provider.storage().end_trial(false);
        result
    }

    pub(super) fn processed(&self, welcome: &[u8]) -> Result<ProcessedWelcome, Bad> {
        let welcome = read_welcome(welcome).ok_or(Skip::Parse)?;
        ProcessedWelcome::new_from_welcome(&self.provider, &join_config(), welcome).map_err(|_| Skip::Welcome)
    }

    pub(super) fn staged(&self, welcome: &[u8], tree: &[u8], replace: bool) -> Result<StagedWelcome, Bad> {
        let tree = RatchetTreeIn::tls_deserialize_exact_bytes(tree).map_err(|_| Skip::Welcome)?;
        let builder = openmls::group::JoinBuilder::new(&self.provider, self.processed(welcome)?);
        // Freshness was the adder's to check; a leaf that expired since must not lock us out (H5).
        let builder = builder.with_ratchet_tree(tree).skip_lifetime_validation();
        let builder = if replace { builder.replace_old_group() } else { builder };
        builder.build().map_err(|_| Skip::Welcome)
    }

    /// Whether a Welcome was made with a last-resort package of ours.
    pub(super) fn is_last_resort(&self, welcome: &Welcome) -> bool {
        welcome.secrets().iter().any(|secrets| {
            let found = self.provider.storage().key_package(&secrets.new_member());
            matches!(found, Ok(Some(found)) if KeyPackageBundle::key_package(&found).last_resort())
        })
    }
}

pub(super) fn read_welcome(bytes: &[u8]) -> Option<Welcome> {
    match MlsMessageIn::tls_deserialize_exact_bytes(bytes).map(MlsMessageIn::extract) {
        Ok(MlsMessageBodyIn::Welcome(welcome)) => Some(welcome),
        _ => None,
    }
}

/// R-WELCOME-01: every leaf proves itself. R-WELCOME-02: the inviter is one of them. R-WELCOME-03: the group
/// data is there and sound (K03).
pub(super) fn judge_welcome(
    own: &AccountId,
    staged: &StagedWelcome,
    tree: Vec<u8>,
) -> Result<InviteFacts, Bad> {
    let data = group_data(staged.group_context().extensions()).ok_or(Skip::Welcome)?;
    let mut members: BTreeMap<AccountId, (Kind, u32)> = BTreeMap::new();
    let (mut inviter, mut devices) = (None, Vec::new());
    for member in staged.members() {
        let leaf = roster::prove(&member.credential, &member.signature_key).map_err(|_| Skip::Credential)?;
        if member.index == staged.welcome_sender_index() {
            inviter = Some(leaf.account);
        }
        if data.personal {
            devices.push(leaf.device);
        }
        let entry = members.entry(leaf.account).or_insert((leaf.kind, 0));
        entry.1 = entry.1.saturating_add(1);
    }
    if !members.contains_key(own) || (data.direct && members.len() > 2) {
        return Err(Skip::Welcome);
    }
    // R-COMMIT-15: what own devices tell each other is believed, so nobody else is in the group they do it in.
    if data.personal && members.len() > 1 {
        return Err(Skip::Welcome);
    }
    // R-NAME-03
    if !data.direct && !data.personal && !is_group_name(&data.name) {
        return Err(Skip::Welcome);
    }
    // R-WELCOME-05: who invites may add, or brings a device of the own account.
    let inviter = inviter.ok_or(Skip::Credential)?;
    let beyond_role = !data.direct && inviter != *own && data.role_of(&inviter) < data.may_add;
    Ok(InviteFacts {
        tree,
        inviter,
        beyond_role,
        name: data.name.clone(),
        direct: data.direct,
        personal: data.personal,
        devices,
        members: members
            .into_iter()
            .map(|(account, (kind, devices))| (account, data.role_of(&account), kind, devices))
            .collect(),
        suite: staged.group_context().ciphersuite().into(),
        links: proven_links(&data),
    })
}
