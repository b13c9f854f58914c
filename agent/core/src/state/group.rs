//! A group this device is in, its own commit on the way, and what it still wishes to change.

use cipher_api::view::{GroupState, LogLostView, RequestPolicy};
use cipher_api::{Advice, ErrorKind, Hint, Result};
use cipher_broker::id::{AccountId, DeviceId, GroupId};
use cipher_broker::time::Timestamp;
use cipher_broker::wire::envelope::CommitPlace;
use cipher_broker::wire::group::{GroupData, JoinLink, JoinLinkId, Role};
use cipher_broker::wire::sync::Muted;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::state::position::{self, FIRST_ERA};
use crate::state::{
    BackRow, DoubledRow, Fresh, IncidentRow, InviteRow, Lost, Mark, MessageRow, SettingsChange, State,
    WordRow,
};

/// A group we are or were in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct GroupRow {
    #[serde(rename = "st")]
    pub state: GroupState,
    #[serde(rename = "n")]
    pub name: String,
    #[serde(rename = "d")]
    pub direct: bool,
    /// The other account of a direct conversation.
    #[serde(rename = "p")]
    pub peer: Option<AccountId>,
    #[serde(rename = "su")]
    pub suite: u16,
    #[serde(rename = "e")]
    pub epoch: u64,
    /// How often the log went back, see [`crate::position`].
    #[serde(rename = "er", default)]
    pub era: u16,
    /// Everything up to this position was handled.
    #[serde(rename = "c")]
    pub cursor: u64,
    /// What was read last, to know the log again; `None` before anything was.
    #[serde(rename = "mk", default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<Mark>,
    /// The furthest place where the broker said that an entry of ours lies and that was not read yet.
    #[serde(rename = "us", default, skip_serializing_if = "Option::is_none")]
    pub unseen: Option<u64>,
    /// The last word of this store about its place there: another copy of it that does not know of that is in use as well.
    #[serde(rename = "wd", default, skip_serializing_if = "Option::is_none")]
    pub word: Option<WordRow>,
    /// The log went back and is being put right.
    #[serde(rename = "bk", default, skip_serializing_if = "Option::is_none")]
    pub back: Option<BackRow>,
    /// Bytes that name us lie in the log and were not sealed here: what is sent waits for new keys.
    #[serde(rename = "db", default, skip_serializing_if = "Option::is_none")]
    pub doubled: Option<DoubledRow>,
    /// Random bytes that this store signed when it gave itself new keys, the latest ones.
    #[serde(rename = "hl", default, skip_serializing_if = "Vec::is_empty")]
    pub healed: Vec<ByteBuf>,
    /// Last position handled on the handshake subject; compare-and-set expects [`GroupRow::expected`].
    #[serde(rename = "h")]
    pub handshake: u64,
    /// The last merged commit.
    #[serde(rename = "l")]
    pub link: CommitPlace,
    /// Position at which we joined.
    #[serde(rename = "j")]
    pub joined_at: u64,
    #[serde(rename = "u")]
    pub unread: u64,
    /// Everything up to this position was read, by this device or another own one; `None` in stores of before it was noted.
    #[serde(rename = "rd", default)]
    pub read_to: Option<u64>,
    /// How many of those that are not read name the own account.
    #[serde(rename = "um", default)]
    pub mentions: u64,
    /// What was read behind that, with something unread in between: first and last position of each stretch.
    #[serde(rename = "rs", default, skip_serializing_if = "Vec::is_empty")]
    pub read_beyond: Vec<(u64, u64)>,
    /// Own commit that waits for its place in the log.
    #[serde(rename = "s")]
    pub slot: Option<Slot>,
    /// Verified proposals of others for the current epoch, not given to OpenMLS before a commit needs them: a
    /// stored proposal would block every send.
    #[serde(rename = "q")]
    pub proposals: Vec<ByteBuf>,
    /// Own proposal to leave, and the epoch it was made for.
    #[serde(rename = "lv")]
    pub leave_epoch: Option<u64>,
    /// A commit of this epoch could not be applied.
    #[serde(rename = "x")]
    pub suspect: Option<u64>,
    #[serde(rename = "pn")]
    pub parked: u32,
    #[serde(rename = "pb")]
    pub parked_bytes: u64,
    /// The group of the own devices: never shown.
    #[serde(rename = "o", default)]
    pub personal: bool,
    /// Links that were revoked or dropped, the latest ones: who asks by one is told why it stays out.
    #[serde(rename = "gl", default, skip_serializing_if = "Vec::is_empty")]
    pub gone_links: Vec<(JoinLinkId, JoinLink)>,
    /// Joined, and the commit that let us in was not found in the log yet.
    #[serde(rename = "uc", default, skip_serializing_if = "std::ops::Not::not")]
    pub unconfirmed: bool,
    /// The broker's time of the commit that let this device in first; `None` where it made the group, or that is not known.
    #[serde(rename = "ja", default, skip_serializing_if = "Option::is_none")]
    pub let_in_at: Option<Timestamp>,
    /// Of a bot: the account whose commit let it in, until the log showed that commit and the bot's coming is told.
    #[serde(rename = "jb", default, skip_serializing_if = "Option::is_none")]
    pub let_in_by: Option<AccountId>,
    /// What it is called here, where that is not its name.
    #[serde(rename = "al", default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// Not every message of it is told to the person.
    #[serde(rename = "mu", default, skip_serializing_if = "Option::is_none")]
    pub muted: Option<Muted>,
    /// This device cannot follow the group: it asks to come back.
    #[serde(rename = "lo", default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<Lost>,
    /// Key packages with which this device asked to come back, the latest ones: SHA-256 of each.
    #[serde(rename = "ra", default, skip_serializing_if = "Vec::is_empty")]
    pub asked: Vec<ByteBuf>,
    /// When this device last asked to come back, by its own clock: a later request in its name is of a copy of it.
    #[serde(rename = "qa", default)]
    pub asked_at: Timestamp,
    /// The entry at the cursor was gone from the log while this was the epoch: what leads on may be missing.
    #[serde(rename = "gp", default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<u64>,
    /// What nobody could have made before that.
    #[serde(rename = "gf", default, skip_serializing_if = "Option::is_none")]
    pub fresh: Option<Fresh>,
    /// Own messages sent while that was so: nobody may have been able to read them.
    #[serde(rename = "ns", default, skip_serializing_if = "Vec::is_empty")]
    pub unsure: Vec<ByteBuf>,
    /// The epoch with which the newest of its accounts came: nothing of before is said again, which that one did not hear.
    #[serde(rename = "nw", default)]
    pub newest: u64,
    /// The broker's time of the last entry behind which nothing is known to be missing.
    #[serde(rename = "sa", default)]
    pub seen_at: Timestamp,
    /// The broker's time of the last commit; our own where that is not known.
    #[serde(rename = "la", default)]
    pub commit_at: Timestamp,
    /// When this device's leaf last got new keys, by the own clock.
    #[serde(rename = "ka", default)]
    pub keys_at: Timestamp,
    /// When this device last told the group its head of the account log.
    #[serde(rename = "gs", default)]
    pub gossiped_at: Timestamp,
    /// Of a backup that was restored: the other accounts that were in it then.
    #[serde(rename = "mt", default, skip_serializing_if = "Vec::is_empty")]
    pub members_then: Vec<AccountId>,
    /// Others are to be told how far this account came, not before this time.
    #[serde(rename = "rq", default, skip_serializing_if = "Option::is_none")]
    pub receipt_due: Option<Timestamp>,
    /// When this device told it last, by its own clock.
    #[serde(rename = "rw", default, skip_serializing_if = "is_never")]
    pub receipt_said: Timestamp,
    /// For how many seconds the group wants messages to be kept.
    #[serde(rename = "rt", default, skip_serializing_if = "Option::is_none")]
    pub retention_seconds: Option<u32>,
    /// Up to here nothing is left that was to be kept only so long.
    #[serde(rename = "kf", default)]
    pub kept_from: u64,
}

fn is_never(at: &Timestamp) -> bool {
    *at == Timestamp::default()
}

/// Requests to come back into a group, over about ten minutes, after which it is one that gives no place.
const IN_VAIN: u32 = 4;

impl GroupRow {
    /// Whether this device asks to come back into the group, and is not let in.
    pub(crate) fn asked_in_vain(&self) -> bool {
        self.lost.as_ref().is_some_and(|lost| lost.times >= IN_VAIN)
    }

    /// A group we are in from now on, at the place of the commit that `link` names.
    pub(crate) fn active(data: &GroupData, suite: u16, epoch: u64, link: CommitPlace) -> Self {
        let joined = position::of(FIRST_ERA, link.sequence);
        Self {
            state: GroupState::Active,
            name: data.name.clone(),
            direct: data.direct,
            peer: None,
            suite,
            epoch,
            era: FIRST_ERA,
            mark: None,
            unseen: None,
            word: None,
            back: None,
            doubled: None,
            healed: Vec::new(),
            cursor: joined,
            handshake: joined,
            joined_at: joined,
            read_to: Some(joined),
            read_beyond: Vec::new(),
            link,
            unread: 0,
            mentions: 0,
            slot: None,
            proposals: Vec::new(),
            leave_epoch: None,
            suspect: None,
            parked: 0,
            parked_bytes: 0,
            personal: data.personal,
            retention_seconds: data.settings.retention_seconds,
            kept_from: 0,
            unconfirmed: false,
            let_in_at: None,
            let_in_by: None,
            alias: None,
            muted: None,
            lost: None,
            asked: Vec::new(),
            gap: None,
            fresh: None,
            asked_at: Timestamp::default(),
            unsure: Vec::new(),
            newest: epoch,
            seen_at: Timestamp::default(),
            commit_at: Timestamp::default(),
            keys_at: Timestamp::default(),
            gossiped_at: Timestamp::default(),
            gone_links: Vec::new(),
            members_then: Vec::new(),
            receipt_due: None,
            receipt_said: Timestamp::default(),
        }
    }

    /// Goes on in the era of an earlier membership, or in the next one when its log has gone back meanwhile. One that was
    /// followed all the time shows that by itself: who lost its place in it may have read on behind what brings it back.
    pub(crate) fn follow_up(&mut self, before: &Self) {
        let joined = position::sequence_of(self.joined_at);
        let followed = matches!(before.state, GroupState::Active | GroupState::Leaving);
        self.era = before.era.saturating_add(u16::from(!followed && joined <= before.after()));
        let joined = self.position(joined);
        (self.cursor, self.handshake, self.joined_at, self.read_to) = (joined, joined, joined, Some(joined));
        (self.asked_at, self.word) = (before.asked_at, before.word);
        let restored = before.state == GroupState::Restored;
        if restored {
            self.read_to = before.read_to;
            self.read_beyond.clone_from(&before.read_beyond);
        }
        if followed || restored {
            self.let_in_by = before.let_in_by;
            self.let_in_at = Some(before.let_in_at.unwrap_or_default());
        }
    }

    /// Whether this device asked to come back with this key package, by its SHA-256.
    pub(crate) fn asked_with(&self, package: &[u8; 32]) -> bool {
        self.asked.iter().any(|asked| asked.as_slice() == package)
    }

    /// The position of a sequence in the log as it is now.
    pub(crate) const fn position(&self, sequence: u64) -> u64 {
        position::of(self.era, sequence)
    }

    /// The broker's sequence of a position, 0 when it is of an earlier life of the log.
    pub(crate) fn here(&self, position: u64) -> u64 {
        if position::era_of(position) == self.era { position::sequence_of(position) } else { 0 }
    }

    /// The sequence behind which the log is to be read.
    pub(crate) fn after(&self) -> u64 {
        self.here(self.cursor)
    }

    /// What compare-and-set expects as the last sequence on the handshake subject.
    pub(crate) fn expected(&self) -> u64 {
        self.here(self.handshake)
    }

    /// What it is called here.
    pub(crate) fn called(&self) -> &str {
        self.alias.as_deref().unwrap_or(&self.name)
    }

    /// Whether a position was read.
    pub(crate) fn has_read(&self, position: u64) -> bool {
        self.read_to.is_some_and(|read_to| position <= read_to)
            || self.read_beyond.iter().any(|(first, last)| (*first..=*last).contains(&position))
    }

    /// A link that is in the group data no more.
    pub(crate) fn gone_link(&self, id: &JoinLinkId) -> Option<JoinLink> {
        self.gone_links.iter().rev().find(|(gone, _)| gone == id).map(|(_, link)| link.clone())
    }
}

/// An own commit between being made and being seen in the log.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Slot {
    /// Its outbox row.
    #[serde(rename = "r")]
    pub row: u64,
    /// The intent it carries out; `None` when it only commits others' proposals.
    #[serde(rename = "i")]
    pub intent: Option<u64>,
    /// Epoch it was made in.
    #[serde(rename = "e")]
    pub epoch: u64,
    /// SHA-256 of its bytes.
    #[serde(rename = "h", with = "serde_bytes")]
    pub hash: [u8; 32],
    /// The Welcome, and for whom: leaves only after the commit is in the log.
    #[serde(rename = "w")]
    pub welcome: Option<PendingWelcome>,
    /// Requests to come back that it names.
    #[serde(rename = "a", default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<ByteBuf>,
    /// The device key signed in it that it gives the own leaf new keys.
    #[serde(rename = "n", default, skip_serializing_if = "std::ops::Not::not")]
    pub signed: bool,
}

/// A Welcome that waits for its commit.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct PendingWelcome {
    #[serde(rename = "w", with = "serde_bytes")]
    pub welcome: Vec<u8>,
    /// Key of the sealed tree and note; also in the GroupInfo.
    #[serde(rename = "k", with = "serde_bytes")]
    pub key: [u8; 32],
    #[serde(rename = "d")]
    pub devices: Vec<DeviceId>,
}

/// An invitation that left, in case its log or inbox loses it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PostedRow {
    #[serde(rename = "g")]
    pub group: GroupId,
    /// The epoch it leads into.
    #[serde(rename = "e")]
    pub epoch: u64,
    #[serde(rename = "w")]
    pub pending: PendingWelcome,
    /// The sealed tree.
    #[serde(rename = "p")]
    pub pieces: Vec<ByteBuf>,
    #[serde(rename = "t")]
    pub at: Timestamp,
    /// When it was last sent again because time passed, and how often.
    #[serde(rename = "l", default)]
    pub again_at: Timestamp,
    #[serde(rename = "n", default)]
    pub again: u8,
}

impl PostedRow {
    /// Its size, about.
    pub(crate) fn bytes(&self) -> usize {
        self.pieces.iter().map(|piece| piece.len()).sum::<usize>().saturating_add(self.pending.welcome.len())
    }
}

impl std::fmt::Debug for PendingWelcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PendingWelcome").field("devices", &self.devices).finish_non_exhaustive()
    }
}

/// A change of a group that survives lost races.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct IntentRow {
    #[serde(rename = "g")]
    pub group: GroupId,
    #[serde(rename = "w")]
    pub wish: Wish,
}

/// What is to be changed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Wish {
    #[serde(rename = "a")]
    Add(Vec<Joiner>),
    #[serde(rename = "r")]
    Remove(Vec<AccountId>),
    #[serde(rename = "n")]
    Rename(String),
    #[serde(rename = "o")]
    Role(AccountId, Role),
    /// Brings the group's leaves in line with what accounts stated: revoked devices go, own new devices and
    /// recovered accounts come. What that means is worked out when the commit is made; `joiners` has the key
    /// packages that were taken for it.
    #[serde(rename = "d")]
    Devices { joiners: Vec<Joiner> },
    /// Makes a link to join by, or revokes one.
    #[serde(rename = "l")]
    Link { id: JoinLinkId, link: Option<JoinLink> },
    /// Lets an account in by a link.
    #[serde(rename = "j")]
    Admit { link: JoinLinkId, joiner: Joiner },
    /// The same because time passed, unless somebody's commit comes first.
    #[serde(rename = "f")]
    Refresh,
    /// Gives this device new keys in the group.
    #[serde(rename = "t")]
    Rotate,
    /// Bans accounts, removing those that are members; or lifts their ban.
    #[serde(rename = "b")]
    Ban { accounts: Vec<AccountId>, lift: bool },
    /// Changes what the group wants of what is said in it.
    #[serde(rename = "s")]
    Settings(SettingsChange),
}

/// A device to add, with its checked key package.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Joiner {
    #[serde(rename = "a")]
    pub account: AccountId,
    #[serde(rename = "d")]
    pub device: DeviceId,
    #[serde(rename = "k", with = "serde_bytes")]
    pub key_package: Vec<u8>,
}

impl State {
    /// Whether the log of a group went back once.
    pub(crate) fn went_back(&self, group: &GroupId) -> bool {
        self.groups.get(group).is_some_and(|row| row.era != FIRST_ERA)
    }

    /// Messages that are not here, as members say, in all conversations.
    pub(crate) fn missing_here(&self) -> u64 {
        self.missing.iter().map(|(_, row)| row.lacking.len() as u64).sum()
    }

    /// What the broker lost last, for people.
    pub(crate) fn log_lost(&self) -> Option<LogLostView> {
        let IncidentRow { at, conversations, messages, commits } = self.meta.incident?;
        let open = self.groups.iter().filter(|(_, row)| row.back.is_some()).count() as u64;
        Some(LogLostView { at, conversations, open, messages, commits, missing: self.missing_here() })
    }

    /// Whether this device lost its place in a group.
    pub(crate) fn is_lost(&self, group: &GroupId) -> bool {
        self.groups.get(group).is_some_and(|row| row.lost.is_some())
    }

    /// An error unless we are an active member.
    pub(crate) fn must_be_active(&self, group: GroupId) -> Result<()> {
        let name = self.conversation_name(&group);
        let no = |why: String, hint: Hint| Err(ErrorKind::Refused.because(why).hint(hint));
        match self.groups.get(&group).map(|row| row.state) {
            Some(GroupState::Active) => Ok(()),
            None | Some(GroupState::Invited) => no(
                "this is an invitation that was not accepted yet".into(),
                Hint::GroupAccept { group: group.into() },
            ),
            Some(GroupState::Leaving | GroupState::Left) => {
                no(format!("you have left '{name}'"), Advice::AskInviteAgain.into())
            }
            Some(GroupState::Removed) => {
                no(format!("you were removed from '{name}'"), Advice::AskInviteAgain.into())
            }
            Some(GroupState::Restored) => {
                no(format!("no member of '{name}' has let this restored device in yet"), Hint::Sync)
            }
            Some(GroupState::Stuck | GroupState::Unknown) => {
                no(format!("this device lost its place in '{name}'"), Hint::Sync)
            }
        }
    }

    /// Whether we are in a group, as far as we know.
    pub(crate) fn is_member(&self, group: &GroupId) -> bool {
        self.groups.get(group).is_some_and(|row| {
            matches!(row.state, GroupState::Active | GroupState::Leaving | GroupState::Stuck)
        })
    }

    /// The name people see: the group's, or the other's handle.
    pub(crate) fn conversation_name(&self, group: &GroupId) -> String {
        match self.groups.get(group) {
            Some(row) if row.direct => {
                row.peer.map_or_else(|| "@?".to_owned(), |peer| format!("@{}", self.handle_of(&peer)))
            }
            Some(row) if row.personal => "own devices".to_owned(),
            Some(row) => row.called().to_owned(),
            None => String::new(),
        }
    }

    /// The group in which own devices talk; the smallest one when two were made at once. One that gives this device no
    /// place, however often it asks, is none until it does.
    pub(crate) fn personal_group(&self) -> Option<GroupId> {
        let talks = |row: &GroupRow| row.personal && row.state == GroupState::Active && !row.asked_in_vain();
        self.groups.iter().find(|(_, row)| talks(row)).map(|(group, _)| *group)
    }

    /// R-FORGET-06: whether a message is shown no more: it is due by its own time, or by that for which its group keeps any.
    pub(crate) fn is_over(&self, group: &GroupId, row: &MessageRow, now: Timestamp) -> bool {
        let kept = self.groups.get(group).and_then(|row| row.retention_seconds);
        row.is_due(now) || kept.is_some_and(|kept| row.has_words() && row.kept_until(kept) <= now)
    }

    /// The direct conversation with an account, if there is one we are in.
    pub(crate) fn direct_with(&self, account: &AccountId) -> Option<GroupId> {
        self.groups
            .iter()
            .find(|(_, row)| row.direct && row.state == GroupState::Active && row.peer == Some(*account))
            .map(|(group, _)| *group)
    }

    /// Whether a person sees an invitation: not one that was declined, and under the ordinary policy not one of
    /// somebody whom the registry does not know (yet).
    pub(crate) fn is_shown(&self, invite: &InviteRow) -> bool {
        let Some(known) = &invite.known else { return false };
        !invite.declined
            && !invite.held
            && (self.meta.request_policy == RequestPolicy::Anyone
                || self.accounts.get(&known.inviter).is_some())
    }
}
