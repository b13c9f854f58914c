//! Letting in who asks by a link: what every member that may add does with a request on the group's log.
//!
//! ```text
//! Envelope::Join ──opened, proven──► Open ──our turn──► Admitting (an intent) ──commit──► in: Done
//!                                     │ approval: a person answers                     └─ lost for good: refused, Done
//!                                     └── expired, used up, revoked, banned, denied ──► refused, Done
//! ```
//! Done rows stay until their link is gone, so that the same bytes are never served twice. Whose turn it is depends
//! on rank and time only; when two serve at once the commits race, and the loser finds the account in already.

use std::cmp::Reverse;
use std::time::Duration;

use cipher_api::view::{ContactState, GroupState, JoinRequestView};
use cipher_api::{Advice, Error, ErrorKind, Event, Hint, Result};
use cipher_broker::certificate::Kind;
use cipher_broker::id::{AccountId, DeviceId, GroupId};
use cipher_broker::sign::{Purpose, wire_hash};
use cipher_broker::subject::Source;
use cipher_broker::time::Timestamp;
use cipher_broker::wire::envelope::Envelope;
use cipher_broker::wire::group::{GroupData, JoinLink, JoinLinkId};
use cipher_broker::wire::join::{JoinRefusal, JoinRequest, JoinRequestBody, link_key};
use cipher_broker::{codec, limit};
use serde_bytes::ByteBuf;

use crate::group::{tree, turn};
use crate::input::Ticket;
use crate::machine::Core;
use crate::state::live::Live;
use crate::state::roster::Leaf;
use crate::state::{Fact, JoinRequestRow, Joiner, Post, RequestState, Skip, Wish};

/// Largest sealed request: a key package, a certificate, and what is around them.
const JOIN_REQUEST_BYTES: usize = limit::KEY_PACKAGE_BYTES + 4 * 1024;
/// How many members tell a refusal, in the order of their turns: the first may be away.
const REFUSERS: usize = 3;
/// How long an account that asked is not looked up again.
const SOUGHT_FOR: Duration = Duration::from_secs(300);
/// The pause between look-ups of accounts that ask, after many.
const SEEK_PAUSE: Duration = Duration::from_secs(5);
/// Handled requests of one group that are remembered.
const DONE: usize = 4 * limit::JOIN_REQUESTS;

/// What is to be done with a request.
enum Verdict {
    /// The account is in the group.
    In,
    /// To be told.
    No(JoinRefusal),
    /// Cannot be carried out, and nobody needs to know.
    Unusable,
    /// The registry is asked for the account first.
    Wait { approval: bool },
    /// A person decides.
    Ask,
    /// It comes in.
    Admit,
}

/// Our place among those who serve.
#[derive(Clone, Copy)]
struct Turn {
    /// Whether the own role allows it.
    allowed: bool,
    /// Place in the order; `None` for a bot while there are people who serve.
    rank: Option<usize>,
}

/// R-LINK-02: nobody comes in by a link that is unknown, has ended by our clock or is used up, nor a banned account.
/// Judged again for the state in which the commit is made.
pub(super) fn admissible<'a>(
    data: &'a GroupData,
    link: &JoinLinkId,
    account: &AccountId,
    now: Timestamp,
) -> Result<&'a JoinLink, JoinRefusal> {
    let link = data.links.get(link).ok_or(JoinRefusal::Revoked)?;
    if data.banned.contains(account) {
        Err(JoinRefusal::Banned)
    } else if link.expires <= now {
        Err(JoinRefusal::Expired)
    } else if link.uses == Some(0) {
        Err(JoinRefusal::UsedUp)
    } else {
        Ok(link)
    }
}

/// A refusal in words.
pub(super) fn refusal_error(refusal: JoinRefusal) -> Error {
    let (why, hint) = match refusal {
        JoinRefusal::Expired => ("the link has ended", Advice::AskNewLink.into()),
        JoinRefusal::UsedUp => ("as many have joined by this link as may", Advice::AskNewLink.into()),
        JoinRefusal::Revoked => ("the link was revoked", Advice::AskNewLink.into()),
        JoinRefusal::Banned => ("the account is banned from this group", Advice::AskUnban.into()),
        JoinRefusal::Denied => ("the request to join was declined", Advice::AskLinkGiver.into()),
        JoinRefusal::NotKnown => {
            ("the group's members do not find this account and device at the registry", Hint::DoctorRegistry)
        }
        JoinRefusal::Busy => ("more ask to join than the group can look at", Advice::TryInMinutes.into()),
        _ => ("the request to join was refused", Advice::UpdateAgentForReason.into()),
    };
    ErrorKind::Refused.because(why).hint(hint)
}

/// R-LINK-01: a request is sealed under the link's key, signed by a certified device, and names this very group and
/// link.
fn open_request(
    group: &GroupId,
    id: &JoinLinkId,
    link: &JoinLink,
    sealed: &[u8],
) -> Option<(AccountId, DeviceId, JoinRequestBody)> {
    let opened = tree::open(&link_key(&link.secret), &label(id), group, sealed).ok()?;
    let request: JoinRequest = codec::decode(&opened).ok()?;
    let certificate = request.certificate.verify().ok()?;
    let body = request.body.verified(&certificate.device_key, Purpose::JoinRequest).ok()?;
    let body: JoinRequestBody = codec::decode(body).ok()?;
    let fits = body.group == *group && body.link == *id && body.key_package.len() <= limit::KEY_PACKAGE_BYTES;
    fits.then_some((certificate.account, certificate.device, body))
}

/// What a sealed request is bound to besides its group.
pub(super) fn label(id: &JoinLinkId) -> Vec<u8> {
    [b"join".as_slice(), id.as_slice()].concat()
}

/// What a sealed refusal is bound to besides its group: one request.
pub(super) fn refusal_label(id: &JoinLinkId, request: &[u8; 32]) -> Vec<u8> {
    [b"join-refused".as_slice(), id.as_slice(), request].concat()
}

impl Core {
    /// Somebody asks to join, on the log of a group we are in.
    pub(super) fn join_asked(&mut self, group: GroupId, link: JoinLinkId, sealed: &[u8]) -> Result<()> {
        if sealed.len() > JOIN_REQUEST_BYTES {
            self.skip(Skip::TooLarge);
            return Ok(());
        }
        let hash = wire_hash(sealed);
        let gone = self.state.groups.get(&group).and_then(|row| row.gone_link(&link));
        let known = self.with_live(group, |_, live| Ok(live.data.links.get(&link).cloned()))?.or(gone);
        let opened = known.and_then(|known| open_request(&group, &link, &known, sealed));
        let Some((account, device, body)) = opened else {
            self.skip(Skip::Join);
            return Ok(());
        };
        // R-LINK-04: the same bytes are served once, whoever repeats them.
        let mine = |row: &JoinRequestRow| row.group == group;
        if self.state.join_requests.iter().any(|(_, row)| mine(row) && row.hash == hash) {
            return Ok(());
        }
        let blocked = self.state.contact_state(&account) == Some(ContactState::Blocked);
        let revoked = self.state.log_of(&account).is_some_and(|log| log.is_revoked(&device));
        let now = self.run.now;
        if blocked || revoked || body.at > now.plus(limit::CLOCK_SKEW) || self.has_member(group, &account)? {
            return Ok(());
        }
        let open: Vec<(u64, AccountId, Timestamp, RequestState)> = self
            .state
            .join_requests
            .iter()
            .filter(|(_, row)| mine(row) && row.standing != RequestState::Done)
            .map(|(id, row)| (*id, row.account, row.at, row.standing))
            .collect();
        match open.iter().find(|(_, other, ..)| *other == account) {
            Some((_, _, at, standing)) if *standing != RequestState::Open || *at >= body.at => return Ok(()),
            // Asked anew: the old request is over.
            Some((id, ..)) => self.done(*id),
            None => {}
        }
        // R-LINK-07: who was never looked up takes no place from who was.
        let known = |account: &AccountId| self.state.accounts.get(account).is_some();
        let unknown: Vec<u64> = open
            .iter()
            .filter(|(_, other, _, standing)| !known(other) && *standing == RequestState::Open)
            .map(|(id, ..)| *id)
            .collect();
        let full = open.len() >= limit::JOIN_REQUESTS;
        let crowded = !known(&account) && unknown.len() >= limit::UNKNOWN_ASKERS;
        if full || crowded {
            self.skip(Skip::Limit);
        }
        let oldest = if full || crowded { unknown.first().copied() } else { None };
        if let Some(oldest) = oldest {
            self.tell_busy(group, oldest)?;
        }
        let no_room = full && oldest.is_none();
        let row = JoinRequestRow {
            group,
            link,
            account,
            device,
            at: body.at,
            arrived: now,
            key_package: body.key_package,
            hash,
            standing: RequestState::Open,
            told: false,
            looked_up: false,
        };
        let id = self.state.next_id();
        self.state.join_requests.insert(id, row);
        if no_room {
            self.tell_busy(group, id)?;
        }
        self.run.group.asked.insert(group);
        self.run.touched.insert(group);
        Ok(())
    }

    /// There is no room for a request: the first of those who serve says so.
    fn tell_busy(&mut self, group: GroupId, id: u64) -> Result<()> {
        let own = self.state.own_id();
        let turn = self.with_live(group, |_, live| Ok(our_turn(live, &own)))?;
        if turn.allowed && turn.rank == Some(0) {
            return self.refuse(id, JoinRefusal::Busy);
        }
        self.done(id);
        Ok(())
    }

    /// Asks the registry for an account that wants to be let in. After a burst not more often than every few seconds:
    /// look-ups are counted there, and a stranger can make up as many accounts as it likes.
    fn look_up_asker(&mut self, account: AccountId) {
        let now = self.run.now;
        self.run.group.sought.retain(|_, at| now.since(*at) < SOUGHT_FOR);
        if let Some(at) = self.run.group.sought.get(&account) {
            // No answer came, or it is on its way.
            let again = at.plus(SOUGHT_FOR);
            return self.run.wake_at(again);
        }
        let next =
            self.run.group.sought.values().max().map(|last| last.plus(SEEK_PAUSE)).filter(|at| now < *at);
        if let Some(at) = next
            && self.run.group.sought.len() >= limit::UNKNOWN_ASKERS
        {
            return self.run.wake_at(at);
        }
        self.run.group.sought.insert(account, now);
        self.refetch([account]);
    }

    /// The registry has answered for an account: its requests are looked at again.
    pub(crate) fn asker_looked_up(&mut self, account: &AccountId) {
        let theirs =
            self.state.join_requests.iter().filter(|(_, row)| row.account == *account && !row.looked_up);
        for (id, group) in theirs.map(|(id, row)| (*id, row.group)).collect::<Vec<_>>() {
            if let Some(row) = self.state.join_requests.get_mut(&id) {
                row.looked_up = true;
            }
            self.run.group.asked.insert(group);
            self.run.touched.insert(group);
        }
    }

    /// R-LINK-06: who is let in by a link is a device that the registry shows as one of its account's. A key made on
    /// the spot is nobody: it could be named, banned and recognised by nobody.
    pub(super) fn is_shown_by_registry(&self, row: &JoinRequestRow) -> bool {
        self.state.log_of(&row.account).is_some_and(|log| log.is_active(&row.device))
    }

    /// Which groups have requests that are not done, after loading.
    pub(super) fn index_join_requests(&mut self) {
        let open = self.state.join_requests.iter().filter(|(_, row)| row.standing != RequestState::Done);
        self.run.group.asked = open.map(|(_, row)| row.group).collect();
    }

    /// A new epoch may have let somebody in, or ended a link: its requests are looked at again.
    pub(super) fn requests_changed(&mut self, group: GroupId, before: &GroupData, after: &GroupData) {
        if self.state.join_requests.iter().any(|(_, row)| row.group == group) {
            self.run.group.asked.insert(group);
        }
        if before.links == after.links {
            return;
        }
        let gone = before.links.iter().filter(|(id, _)| !after.links.contains_key(*id));
        let gone: Vec<(JoinLinkId, JoinLink)> = gone.map(|(id, link)| (*id, link.clone())).collect();
        if let Some(row) = self.state.groups.get_mut(&group)
            && !gone.is_empty()
        {
            row.gone_links.extend(gone);
            let extra = row.gone_links.len().saturating_sub(limit::JOIN_LINKS);
            row.gone_links.drain(..extra.min(row.gone_links.len()));
        }
    }

    /// We are out of a group: its requests are others' matter.
    pub(super) fn drop_join_requests(&mut self, group: GroupId) {
        self.run.group.asked.remove(&group);
        let of_group = self.state.join_requests.iter().filter(|(_, row)| row.group == group);
        for id in of_group.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.state.join_requests.remove(&id);
        }
    }

    /// Looks at every request of a group that is not done.
    pub(super) fn serve_joins(&mut self, group: GroupId) -> Result<()> {
        // Behind the end of the log somebody may have answered already.
        let active = self.state.groups.get(&group).is_some_and(|row| row.state == GroupState::Active);
        if !active
            || !self.run.group.asked.contains(&group)
            || !self.run.delivery.is_caught_up(&Source::Group(group))
        {
            return Ok(());
        }
        let rows = self.state.join_requests.iter().filter(|(_, row)| row.group == group);
        let rows: Vec<(u64, JoinRequestRow)> = rows.map(|(id, row)| (*id, row.clone())).collect();
        self.forget_done(group, &rows)?;
        let open: Vec<_> = rows.into_iter().filter(|(_, row)| row.standing != RequestState::Done).collect();
        if open.is_empty() {
            self.run.group.asked.remove(&group);
            return Ok(());
        }
        let (turn, verdicts) = self.with_live(group, |core, live| {
            let verdicts = open.iter().map(|(_, row)| core.verdict(live, row)).collect::<Vec<_>>();
            Ok((our_turn(live, &core.state.own_id()), verdicts))
        })?;
        let mut judged: Vec<_> = open.into_iter().zip(verdicts).collect();
        // Of those who are to be looked up the latest first: behind a crowd of made-up ones somebody may be waiting.
        judged.sort_by_key(|((id, _), verdict)| match verdict {
            Verdict::Wait { .. } => (true, Reverse(*id)),
            _ => (false, Reverse(u64::MAX.saturating_sub(*id))),
        });
        for ((id, row), verdict) in judged {
            self.act_on(id, &row, &verdict, turn)?;
        }
        Ok(())
    }

    fn act_on(&mut self, id: u64, row: &JoinRequestRow, verdict: &Verdict, turn: Turn) -> Result<()> {
        if let RequestState::Admitting(intent) = row.standing
            && self.state.intents.get(&intent).is_some()
        {
            return Ok(());
        }
        let gave_up = matches!(row.standing, RequestState::Admitting(_));
        match verdict {
            Verdict::In | Verdict::Unusable => self.done(id),
            Verdict::No(refusal) => match turn.rank.filter(|rank| turn.allowed && *rank < REFUSERS) {
                Some(rank) if gave_up || self.is_time(row.turn(rank)) => self.refuse(id, *refusal)?,
                Some(_) => {}
                None => self.done(id),
            },
            Verdict::Ask | Verdict::Admit | Verdict::Wait { .. } if gave_up => self.done(id),
            Verdict::Wait { approval } => {
                let ours = |core: &mut Self| turn.rank.is_some_and(|rank| core.is_time(row.turn(rank)));
                if turn.allowed && (*approval || ours(self)) {
                    self.look_up_asker(row.account);
                }
            }
            Verdict::Ask => {
                if turn.allowed && !row.told {
                    let view = Box::new(self.request_view(row));
                    self.tell(Fact::JoinRequest(id), Event::JoinRequest(view));
                    if let Some(row) = self.state.join_requests.get_mut(&id) {
                        row.told = true;
                    }
                }
            }
            Verdict::Admit => {
                if turn.allowed
                    && let Some(rank) = turn.rank
                    && self.is_time(row.turn(rank))
                {
                    self.admit(id, None)?;
                }
            }
        }
        Ok(())
    }

    fn verdict(&self, live: &Live, row: &JoinRequestRow) -> Verdict {
        if live.roster.values().any(|leaf| leaf.account == row.account) {
            return Verdict::In;
        }
        let link = match admissible(&live.data, &row.link, &row.account, self.run.now) {
            Ok(link) => link,
            Err(refusal) => return Verdict::No(refusal),
        };
        let joiner = row.joiner();
        if self.judge_key_package(&joiner, live.mls.ciphersuite().into()).is_err()
            || live.roster.len() >= limit::MEMBERS
        {
            return Verdict::Unusable;
        }
        if !self.is_shown_by_registry(row) {
            return if row.looked_up {
                Verdict::No(JoinRefusal::NotKnown)
            } else {
                Verdict::Wait { approval: link.approval }
            };
        }
        if link.approval { Verdict::Ask } else { Verdict::Admit }
    }

    /// Notes the intent that lets somebody in.
    pub(super) fn admit(&mut self, id: u64, ticket: Option<Ticket>) -> Result<()> {
        let Some(row) = self.state.join_requests.get(&id) else { return Ok(()) };
        let (group, wish) = (row.group, Wish::Admit { link: row.link, joiner: row.joiner() });
        let intent = self.intend(group, wish, ticket);
        if let Some(row) = self.state.join_requests.get_mut(&id) {
            row.standing = RequestState::Admitting(intent);
        }
        self.run.group.asked.insert(group);
        Ok(())
    }

    /// Tells the asking device that it stays out, and why.
    pub(super) fn refuse(&mut self, id: u64, refusal: JoinRefusal) -> Result<()> {
        let Some(row) = self.state.join_requests.get(&id).cloned() else { return Ok(()) };
        let gone = self.state.groups.get(&row.group).and_then(|group| group.gone_link(&row.link));
        let link = self.with_live(row.group, |_, live| Ok(live.data.links.get(&row.link).cloned()))?.or(gone);
        if let Some(link) = link {
            // A link that ended before it was dropped was not revoked.
            let ended = refusal == JoinRefusal::Revoked && link.expires <= self.run.now;
            let refusal = if ended { JoinRefusal::Expired } else { refusal };
            let (key, label) = (link_key(&link.secret), refusal_label(&row.link, &row.hash));
            let nonce = self.provider.bytes();
            let refusal = tree::seal(&key, nonce, &label, &row.group, &codec::encode(&refusal))?;
            let bytes = codec::encode(&Envelope::JoinRefused { link: *row.link, refusal });
            self.enqueue_post(row.group, Post::Refusal { device: row.device }, bytes);
        }
        self.done(id);
        Ok(())
    }

    /// Remembers only that it was handled.
    fn done(&mut self, id: u64) {
        if let Some(row) = self.state.join_requests.get_mut(&id) {
            row.standing = RequestState::Done;
            row.key_package = ByteBuf::new();
        }
    }

    /// Forgets handled requests whose link cannot be used any more, and the oldest when there are too many.
    fn forget_done(&mut self, group: GroupId, rows: &[(u64, JoinRequestRow)]) -> Result<()> {
        let gone = self.state.groups.get(&group).map(|row| row.gone_links.clone()).unwrap_or_default();
        let links = self.with_live(group, |_, live| Ok(live.data.links.clone()))?;
        let known = |id: &JoinLinkId| links.contains_key(id) || gone.iter().any(|(other, _)| other == id);
        let mut done: Vec<&(u64, JoinRequestRow)> =
            rows.iter().filter(|(_, row)| row.standing == RequestState::Done).collect();
        done.retain(|(id, row)| {
            let keep = known(&row.link);
            if !keep {
                self.state.join_requests.remove(id);
            }
            keep
        });
        for (id, _) in done.iter().take(done.len().saturating_sub(DONE)) {
            self.state.join_requests.remove(id);
        }
        Ok(())
    }

    /// A request to join as a person sees it.
    pub(crate) fn request_view(&self, row: &JoinRequestRow) -> JoinRequestView {
        JoinRequestView {
            group: row.group,
            group_name: self.state.conversation_name(&row.group),
            handle: self.state.handle_of(&row.account),
            account_id: row.account,
            at: row.at,
        }
    }
}

impl JoinRequestRow {
    /// When it is the turn of the one of this rank.
    fn turn(&self, rank: usize) -> Timestamp {
        self.arrived.plus(turn::after(turn::STEP, Some(rank)))
    }

    fn joiner(&self) -> Joiner {
        Joiner { account: self.account, device: self.device, key_package: self.key_package.to_vec() }
    }
}

/// Owners and admins first, then by leaf; bots only where nobody else may add.
fn our_turn(live: &Live, own: &AccountId) -> Turn {
    let allowed = live.data.role_of(own) >= live.data.may_add;
    let serves = |account: &AccountId| live.data.role_of(account) >= live.data.may_add;
    let people = live.roster.values().any(|leaf| leaf.kind != Kind::Bot && serves(&leaf.account));
    let takes_part = |leaf: &Leaf| serves(&leaf.account) && (leaf.kind != Kind::Bot || !people);
    Turn { allowed, rank: turn::rank(live, |_, leaf| takes_part(leaf).then_some(())) }
}
