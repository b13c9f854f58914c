//! What a running core knows and a restarted one learns again.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use cipher_api::Error;
use cipher_broker::id::{AccountId, DeviceId, GroupId};
use cipher_broker::subject::Source;
use cipher_broker::time::Timestamp;

use crate::bot::name::Nameless;
use crate::delivery::outbox::Attempt;
use crate::effect::Effect;
use crate::group::CopysWords;
use crate::group::device_repair::Claims;
use crate::input::{Interest, Reading, Ticket};
use crate::machine::waits::Waits;
use crate::people::presence::Presences;
use crate::registry::admission_work::AdmissionWork;
use crate::registry::lookup::Errand;
use crate::registry::question::Question;

/// What lives only as long as the process: nothing here is needed to be correct after a restart.
#[derive(Debug, Default)]
pub(crate) struct Run {
    pub now: Timestamp,
    pub connected: bool,
    pub interest: Option<Interest>,
    /// Logs that are being read.
    pub following: BTreeMap<Source, Reading>,
    /// Readings that were begun.
    pub readings: u64,
    /// Logs read to their end since the connection came up.
    pub caught_up: BTreeSet<Source>,
    /// Groups whose handshake subject is empty, as the broker said: retention took the last commit away.
    pub emptied: BTreeSet<GroupId>,
    /// Logs that were read to their end once since the connection came up: nothing is sent into others.
    pub read: BTreeSet<Source>,
    /// The first entry of each group's log that this process put there: what lies behind it came while it was awake.
    pub awake: BTreeMap<GroupId, u64>,
    /// What copies of this store with smaller numbers said in each group's log.
    pub copies: BTreeMap<GroupId, CopysWords>,
    /// Invitations were sent again since the connection came up, because an inbox lost what it had.
    pub reposted: bool,
    /// It was told since the connection came up that the broker's operator made room.
    pub room_told: bool,
    /// Logs that are put right, and since when.
    pub mending: BTreeMap<GroupId, Timestamp>,
    /// Groups from whose log age took the entry at our cursor: what followed it may be gone too.
    pub gone: BTreeSet<GroupId>,
    /// The latest epoch that a message of a group claims, beyond ours: a claim and no more.
    pub ahead: BTreeMap<GroupId, u64>,
    /// When a group was last given a fresh commit, this minute.
    pub refreshed: Vec<Timestamp>,
    /// Not before this time it is looked for groups that need one.
    pub refresh_at: Timestamp,
    /// Not before this time the own key packages are counted again.
    pub stock_at: Timestamp,
    /// The broker's time of what is being read.
    pub at: Timestamp,
    /// Outbox rows whose publish is on its way.
    pub in_flight: BTreeSet<u64>,
    /// Publishes whose outcome is open.
    pub attempts: BTreeMap<u64, Attempt>,
    /// Outbox rows of each group, and rows by the hash of their bytes.
    pub by_group: BTreeMap<GroupId, BTreeSet<u64>>,
    pub by_hash: HashMap<[u8; 32], u64>,
    /// Groups to look at before the batch ends.
    pub touched: BTreeSet<GroupId>,
    pub effects: Vec<Effect>,
    pub questions: BTreeMap<u64, Question>,
    /// When the registry last answered one.
    pub answered_at: Option<Timestamp>,
    pub errands: BTreeMap<u64, Errand>,
    pub next_volatile: u64,
    /// The latest time by which the broker stored anything that was read since the start.
    pub broker_at: Option<Timestamp>,
    /// It was told since the start that this machine's clock is wrong.
    pub clock_told: bool,
    /// Commands that are not answered yet.
    pub waits: Waits,
    /// When the broker last took anything.
    pub stored_at: Option<Timestamp>,
    pub presence: Presences,
    /// Turns of the bots' conversations in which something waits.
    pub due: BTreeMap<(String, GroupId), u64>,
    /// Conversations in which bots wait for the name of an account.
    pub nameless: BTreeMap<GroupId, Nameless>,
    /// Groups with requests to join that are not done.
    pub asked: BTreeSet<GroupId>,
    /// Groups that were joined and whose commit the log did not show yet, and since when.
    pub unconfirmed: BTreeMap<GroupId, Timestamp>,
    /// The broker's time of what was delivered last.
    pub delivered_at: Timestamp,
    /// Accounts that asked to be let in and were looked up, and when.
    pub sought: BTreeMap<AccountId, Timestamp>,
    /// Accounts that the registry said it does not know, and when.
    pub not_found: BTreeMap<AccountId, Timestamp>,
    /// When a wish to leave was first seen, per group: whose turn it is to commit it depends on the time since.
    pub leave_seen: BTreeMap<GroupId, Timestamp>,
    /// The same for devices that have to go or come.
    pub devices_seen: BTreeMap<GroupId, Timestamp>,
    /// Devices that have to come into a group, by the last plan that was made.
    pub coming: BTreeMap<GroupId, BTreeSet<DeviceId>>,
    /// Accounts whose log grew in this batch.
    pub accounts_changed: BTreeSet<AccountId>,
    /// When to count the own key packages again after that failed, and how often it did.
    pub stock_again: Option<(Timestamp, u32)>,
    /// How asking for key packages of devices that have to come goes.
    pub claims: BTreeMap<DeviceId, Claims>,
    /// Accounts whose removal in the commit being merged is their own wish.
    pub leavers: BTreeMap<GroupId, BTreeSet<AccountId>>,
    /// Groups whose last merged commit removed us, and how.
    pub ended: BTreeMap<GroupId, cipher_api::view::GroupState>,
    /// Intents whose commit won, to be answered when the group is back in its place.
    pub won: BTreeMap<u64, GroupId>,
    /// Groups to tell about before the batch ends.
    pub changed: BTreeSet<GroupId>,
    /// Messages received since the start.
    pub received: u64,
    /// Messages of no use since the start.
    pub skips: u64,
    /// Groups of whose log this batch brought junk, and whether it brought nothing else.
    pub junk: BTreeMap<GroupId, bool>,
    /// Groups on whose handshake subject junk lies, and how long that counts.
    pub disputed: BTreeMap<GroupId, Timestamp>,
    /// Own messages that came into the log since the start, per conversation.
    pub delivered: BTreeMap<GroupId, u64>,
    /// When the broker was last reached, and both counts at that moment.
    pub since_connected: (Timestamp, u64, BTreeMap<GroupId, u64>),
    /// What the registry asks a newcomer to compute, while it is being computed.
    pub admission: Option<AdmissionWork>,
    /// The registry reply that is being looked at.
    pub reply: Option<Vec<u8>>,
    /// Evidence was told since the start.
    pub evidence_told: bool,
    /// Heads of the account log that were proven to be beginnings of the accepted one.
    pub proven: BTreeSet<(u64, [u8; 32])>,
    /// When proofs were last asked for, on this connection.
    pub proof_asked_at: Option<Timestamp>,
    /// The registry said that it has no more entries than this.
    pub proof_cap: Option<u64>,
    /// Groups in which somebody uses another registry.
    pub foreign_gossip: BTreeSet<GroupId>,
    /// Known accounts to ask for again, because their statements may have been missed.
    pub refetch: BTreeSet<AccountId>,
    /// Statements that this device made since the start, by their leaf: no news when the log brings them.
    pub own_statements: BTreeSet<[u8; 32]>,
    /// When the own account was last asked for, on this connection.
    pub own_asked_at: Option<Timestamp>,
    /// When fellow members without a handle were asked for last on this connection.
    pub unnamed_asked_at: Option<Timestamp>,
    /// Tickets whose command was swept away by a storage error in a later batch.
    pub orphans: Vec<(Ticket, Error)>,
    /// When to look again, as long as that is ahead.
    pub wakes: BTreeSet<Timestamp>,
}
