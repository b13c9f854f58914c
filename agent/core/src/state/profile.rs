//! What a profile is: its identity, and the counters and small facts beside it.

use std::collections::{BTreeMap, BTreeSet};

use cipher_api::view::{AccountView, RequestPolicy};
use cipher_api::{ErrorKind, Hint, Result};
use cipher_broker::account_log::AccountLog;
use cipher_broker::certificate::{CREDENTIAL_TYPE, DeviceCertificate, Kind, Owner};
use cipher_broker::handle::Handle;
use cipher_broker::id::{AccountId, DeviceId, GroupId};
use cipher_broker::subject::Source;
use cipher_broker::time::Timestamp;
use cipher_broker::transparency::SignedHead;
use cipher_broker::wire::registry::PublicProfile;
use ed25519_dalek::SigningKey;
use openmls::prelude::{Credential, CredentialType, CredentialWithKey};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::state::signer::DeviceSigner;
use crate::state::{HeadRow, IncidentRow, LinkingRow, LogPlace, Mark, RestoredRow, State, ToldRow};

/// The own account and device, with their secret keys.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct IdentityRow {
    #[serde(rename = "h")]
    pub handle: Option<Handle>,
    #[serde(rename = "ak", with = "serde_bytes")]
    pub account_seed: [u8; 32],
    #[serde(rename = "dk", with = "serde_bytes")]
    pub device_seed: [u8; 32],
    #[serde(rename = "a")]
    pub account: AccountId,
    #[serde(rename = "d")]
    pub device: DeviceId,
    #[serde(rename = "k")]
    pub kind: Kind,
    #[serde(rename = "o")]
    pub owner: Option<Owner>,
    /// The certificate; for a bot without its owner's signature until it is registered.
    #[serde(rename = "c", with = "serde_bytes")]
    pub certificate: Vec<u8>,
    #[serde(rename = "t")]
    pub created_at: Timestamp,
    /// Whether the registry confirmed the account.
    #[serde(rename = "r")]
    pub registered: bool,
    #[serde(rename = "p")]
    pub profile: PublicProfile,
    /// The account's log as last seen; `None` in stores of before there was one.
    #[serde(rename = "l", default)]
    pub log: Option<AccountLog>,
    /// Certificates of the account's active devices, this one's included.
    #[serde(rename = "cs", default)]
    pub certificates: Vec<DeviceCertificate>,
    /// What the person calls the devices.
    #[serde(rename = "dn", default)]
    pub names: BTreeMap<DeviceId, String>,
    /// The account revoked this device: nothing works any more.
    #[serde(rename = "rv", default)]
    pub revoked: bool,
    /// The keys are from a recovery phrase, and the registry does not have this device yet.
    #[serde(rename = "rc", default)]
    pub recovering: bool,
    /// The recovery phrase was made here and no person has been shown it yet: it can be shown again until then.
    #[serde(rename = "pd", default)]
    pub phrase_due: bool,
}

impl std::fmt::Debug for IdentityRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IdentityRow")
            .field("account", &self.account)
            .field("device", &self.device)
            .finish_non_exhaustive()
    }
}

/// Counters and small facts.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct MetaRow {
    /// Next id of an outbox row or intent.
    #[serde(rename = "n")]
    pub next_id: u64,
    /// Position in the own inbox.
    #[serde(rename = "ic")]
    pub inbox_cursor: u64,
    /// What was read last of it.
    #[serde(rename = "im", default, skip_serializing_if = "Option::is_none")]
    pub inbox_mark: Option<Mark>,
    /// The last time the broker turned out to have lost something.
    #[serde(rename = "li", default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<IncidentRow>,
    /// When bytes that name this device and that it did not seal were last seen, and last told.
    #[serde(rename = "dd", default, skip_serializing_if = "Option::is_none")]
    pub doubled: Option<(Timestamp, Timestamp)>,
    /// Another copy of this store took over: this one says nothing more.
    #[serde(rename = "ds", default, skip_serializing_if = "std::ops::Not::not")]
    pub stopped: bool,
    /// By which this copy of the store is told from others. It only ever gets smaller (R-COPY-01).
    #[serde(rename = "dc", default, skip_serializing_if = "Option::is_none")]
    pub copy_number: Option<u64>,
    /// The smallest number of a copy for which this one stopped.
    #[serde(rename = "sf", default, skip_serializing_if = "Option::is_none")]
    pub stopped_for: Option<u64>,
    /// When sent bytes were last forgotten by age.
    #[serde(rename = "lp", default)]
    pub pruned_at: Timestamp,
    /// Key of the registry, pinned at first contact.
    #[serde(rename = "rk")]
    pub registry_key: Option<ByteBuf>,
    /// Key packages at the registry: as last counted, and those it took since.
    #[serde(rename = "kp")]
    pub stock: Option<u32>,
    /// Messages that could not be used, by class.
    #[serde(rename = "sk")]
    pub skipped: BTreeMap<String, u64>,
    /// Clock of the registry minus ours, milliseconds.
    #[serde(rename = "cs")]
    pub clock_skew_ms: Option<i64>,
    /// The latest head of the account log that was proven to continue the one before.
    #[serde(rename = "hd", default)]
    pub head: Option<SignedHead>,
    /// Heads that were shown, here or to fellow members, and are not proven to fit `head` yet.
    #[serde(rename = "hs", default)]
    pub heads: Vec<HeadRow>,
    /// The registry was caught with a history that does not fit `head`: what depends on it is refused until it
    /// shows one that does.
    #[serde(rename = "db", default)]
    pub doubt: bool,
    /// When a person was last told that the registry's head is old.
    #[serde(rename = "sw", default)]
    pub stale_told_at: Timestamp,
    /// Everything up to this sequence of the account log was handled; `None` before the first head.
    #[serde(rename = "lc", default)]
    pub log_cursor: Option<u64>,
    /// Entries before this position were passed over.
    #[serde(rename = "lg", default)]
    pub log_gap: u64,
    /// Where the own account's latest statement lies in the account log.
    #[serde(rename = "op", default)]
    pub own_place: LogPlace,
    /// Who may ask to become a contact.
    #[serde(rename = "rp", default)]
    pub request_policy: RequestPolicy,
    /// Whether the person wants receipts; `None` where it did not choose.
    #[serde(rename = "rcp", default, skip_serializing_if = "Option::is_none")]
    pub receipts: Option<bool>,
    /// When it wanted them again: of what the broker had stored by then nothing is told.
    #[serde(rename = "rcs", default, skip_serializing_if = "Option::is_none")]
    pub receipts_since: Option<Timestamp>,
    /// The group of the own devices, once there are several.
    #[serde(rename = "pg", default)]
    pub personal: Option<GroupId>,
    /// Blocked accounts that were accepted contacts before.
    #[serde(rename = "bc", default)]
    pub blocked_contacts: BTreeSet<AccountId>,
    /// What other own devices answered to invitations that have not come here yet, up to which epoch.
    #[serde(rename = "an", default)]
    pub answers: BTreeMap<GroupId, (bool, u64)>,
    /// What other own devices told of groups that are not here yet: what they are called, and whether they are muted.
    #[serde(rename = "tg", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub told: BTreeMap<GroupId, ToldRow>,
    /// This device was linked, and not all of its groups and history are here.
    #[serde(rename = "ar", default)]
    pub arriving: bool,
    /// When something of that last came.
    #[serde(rename = "at", default)]
    pub arriving_since: Timestamp,
    /// The last word of the history is here: what is still missing are groups whose invitations lie in the inbox.
    #[serde(rename = "he", default, skip_serializing_if = "std::ops::Not::not")]
    pub history_ended: bool,
    /// From which device.
    #[serde(rename = "hf", default, skip_serializing_if = "Option::is_none")]
    pub history_from: Option<DeviceId>,
    /// Suites whose last-resort key package was used, and is not replaced yet.
    #[serde(rename = "lr", default, skip_serializing_if = "BTreeSet::is_empty")]
    pub used_last_resorts: BTreeSet<u16>,
    /// A device link under way, on either side.
    #[serde(rename = "lk", default)]
    pub link: Option<LinkingRow>,
    /// Names of the bots whose conversations are in the due-queue; `None` in stores of before there was one.
    #[serde(rename = "bn", default, skip_serializing_if = "Option::is_none")]
    pub bots: Option<BTreeSet<String>>,
    /// The rows are those of a backup, and the account does not have this device yet.
    #[serde(rename = "rs", default, skip_serializing_if = "Option::is_none")]
    pub restored: Option<RestoredRow>,
}

impl State {
    /// The own identity, or what to do to get one.
    pub(crate) fn identity(&self) -> Result<&IdentityRow> {
        match &self.identity {
            Some(identity) if identity.registered => Ok(identity),
            Some(_) if self.meta.restored.is_some() => Err(ErrorKind::Misuse
                .because("a backup was restored into this profile, which is not a device of its account yet")
                .hint(Hint::DeviceRestoreGoOn)),
            _ => {
                Err(ErrorKind::Misuse.because("this profile has no account yet").hint(Hint::AccountRegister))
            }
        }
    }

    pub(crate) fn registered(&self) -> bool {
        self.identity.as_ref().is_some_and(|identity| identity.registered)
    }

    /// The own inbox.
    pub(crate) fn inbox(&self) -> Source {
        let device = self.identity.as_ref().map_or(DeviceId::from_bytes([0; 16]), |own| own.device);
        Source::Inbox(device)
    }

    /// Own account id; all zeros before registration.
    pub(crate) fn own_id(&self) -> AccountId {
        self.identity.as_ref().map_or(AccountId::from_bytes([0; 32]), |own| own.account)
    }

    /// Signs for OpenMLS with the device key.
    pub(crate) fn signer(&self) -> Result<DeviceSigner> {
        Ok(DeviceSigner::new(&self.identity()?.device_seed))
    }

    /// The own credential for MLS leaves.
    pub(crate) fn credential(&self) -> Result<CredentialWithKey> {
        let identity = self.identity()?;
        let key = SigningKey::from_bytes(&identity.device_seed);
        Ok(CredentialWithKey {
            credential: Credential::new(CredentialType::Other(CREDENTIAL_TYPE), identity.certificate.clone()),
            signature_key: key.verifying_key().to_bytes().to_vec().into(),
        })
    }

    /// Whether the recovery phrase was made here and nobody has seen it yet.
    pub(crate) fn phrase_due(&self) -> bool {
        self.identity.as_ref().is_some_and(|own| own.registered && own.phrase_due)
    }
}

impl State {
    pub(crate) fn set_identity(&mut self, identity: IdentityRow) {
        self.identity = Some(identity);
        self.identity_dirty = true;
    }

    /// The own account as its owner sees it.
    pub(crate) fn own_account(&self) -> Result<AccountView> {
        let identity = self.identity()?;
        let handle = identity.handle.clone();
        Ok(AccountView {
            handle: handle.ok_or_else(|| ErrorKind::Bug.because("a registered account has no handle"))?,
            account_id: identity.account,
            device_id: Some(identity.device),
            kind: identity.kind,
            owner: identity.owner.as_ref().map(|owner| self.handle_of(&owner.account)),
            name: identity.profile.name.clone(),
            status: identity.profile.status.clone(),
            presence: identity.profile.presence,
            trust: None,
            warning: None,
        })
    }
}
