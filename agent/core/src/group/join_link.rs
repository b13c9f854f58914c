//! Links by which a group can be joined, and bans: making and revoking them, and answering who asks.
//!
//! A link is in the group data, so every member knows it and any that may add serves it (`admission.rs`). What the
//! other side does stands in `join_request.rs`.

use std::time::Duration;

use cipher_api::view::{GroupState, JoinLinkView, JoinRequestView};
use cipher_api::{Advice, Error, ErrorKind, Hint, Reply, Result, Target, Who};
use cipher_broker::id::{AccountId, GroupId};
use cipher_broker::limit;
use cipher_broker::wire::group::{JoinLink, JoinLinkId, Role};
use cipher_broker::wire::join::{JoinRefusal, JoinTicket, link_id};
use serde_bytes::ByteArray;

use crate::input::Ticket;
use crate::machine::Core;
use crate::state::{RequestState, Wish};

/// Longest life of a link.
const LINK_LIFETIME_MAX: Duration = Duration::from_secs(366 * 86_400);

impl Core {
    /// A group whose members may change: not a direct conversation, not the group of the own devices.
    fn open_group(&self, target: &Target, what: &str) -> Result<GroupId> {
        let group = self.changeable(target)?;
        if self.state.groups.get(&group).is_some_and(|row| row.direct || row.personal) {
            return Err(ErrorKind::Refused.because(format!("{what} in a direct conversation")));
        }
        Ok(group)
    }

    pub(super) fn group_invite(
        &mut self,
        ticket: Ticket,
        target: &Target,
        lifetime: u64,
        uses: Option<u32>,
        approval: bool,
    ) -> Result<Option<Reply>> {
        let group = self.open_group(target, "there are no links to join by")?;
        let lifetime = Duration::from_secs(lifetime);
        if lifetime.is_zero() || uses == Some(0) {
            return Err(ErrorKind::Usage.because("nobody could ever join by this link"));
        }
        if lifetime > LINK_LIFETIME_MAX {
            return Err(ErrorKind::Limit.because("a link ends after a year at the latest"));
        }
        self.must_have_role(group, |live| live.data.may_add, "make links to join by")?;
        let secret = ByteArray::new(self.provider.bytes());
        let expires = self.run.now.plus(lifetime);
        let link = JoinLink { secret, by: self.state.own_id(), expires, uses, approval };
        self.wish(group, Wish::Link { id: link_id(&secret), link: Some(link) }, Some(ticket))
    }

    pub(super) fn group_invites(&mut self, target: &Target) -> Result<Reply> {
        let group = self.open_group(target, "there are no links to join by")?;
        let links = self.with_live(group, |_, live| Ok(live.data.links.clone()))?;
        let mut views: Vec<JoinLinkView> =
            links.iter().map(|(id, link)| self.link_view(group, id, link)).collect();
        views.sort_by_key(|view| view.expires);
        Ok(Reply::JoinLinks(views))
    }

    /// A link as people see it.
    pub(super) fn link_view(&self, group: GroupId, id: &JoinLinkId, link: &JoinLink) -> JoinLinkView {
        let suite = self.state.groups.get(&group).map_or(0, |row| row.suite);
        let JoinLink { secret, by, expires, uses, approval } = link.clone();
        JoinLinkView {
            id: link_name(id),
            group,
            link: JoinTicket { group, secret, suite, expires, approval }.to_string(),
            expires,
            uses,
            approval,
            by: self.state.handle_of(&by),
        }
    }

    pub(super) fn group_invite_revoke(
        &mut self,
        ticket: Ticket,
        target: &Target,
        link: &str,
    ) -> Result<Option<Reply>> {
        let group = self.open_group(target, "there are no links to join by")?;
        let known: Vec<JoinLinkId> =
            self.with_live(group, |_, live| Ok(live.data.links.keys().copied().collect()))?;
        let named: Vec<JoinLinkId> = match link.parse::<JoinTicket>() {
            Ok(ticket) if ticket.group == group => {
                known.into_iter().filter(|id| *id == link_id(&ticket.secret)).collect()
            }
            Ok(_) => Vec::new(),
            Err(_) if link.is_empty() => Vec::new(),
            Err(_) => known.into_iter().filter(|id| link_name(id).starts_with(link)).collect(),
        };
        let [id] = named.as_slice() else {
            return Err(ErrorKind::NotFound
                .because("this names no link, or several, of this group")
                .hint(Hint::InviteList { group: self.typed(&group) }));
        };
        self.must_have_role(group, |live| live.data.may_add.min(Role::Admin), "revoke links")?;
        self.wish(group, Wish::Link { id: *id, link: None }, Some(ticket))
    }

    /// What a command gets whose commit is in the log.
    pub(super) fn won_reply(&mut self, intent: u64, group: GroupId) -> Result<Reply> {
        match self.state.intents.get(&intent).map(|intent| &intent.wish) {
            Some(Wish::Link { id, link: Some(link) }) => {
                Ok(Reply::JoinLink(Box::new(self.link_view(group, &id.clone(), &link.clone()))))
            }
            Some(Wish::Link { link: None, .. }) => Ok(Reply::Done),
            _ => self.group_reply(group),
        }
    }

    pub(super) fn group_requests(&mut self, target: Option<&Target>) -> Result<Reply> {
        self.state.identity()?;
        let groups = match target {
            Some(target) => {
                let group = self.open_group(target, "nobody asks to join")?;
                self.must_have_role(group, |live| live.data.may_add, "let anybody in")?;
                vec![group]
            }
            None => {
                let active = |group: &GroupId| {
                    self.state.groups.get(group).is_some_and(|row| row.state == GroupState::Active)
                };
                let mut groups: Vec<GroupId> =
                    self.state.join_requests.iter().map(|(_, row)| row.group).filter(active).collect();
                groups.sort();
                groups.dedup();
                groups
            }
        };
        let mut views = Vec::new();
        for group in groups {
            let own = self.state.own_id();
            let waiting = self.requests_to_approve(group)?;
            if self.with_live(group, |_, live| Ok(live.data.role_of(&own) >= live.data.may_add))? {
                views.extend(waiting.into_iter().map(|(_, view)| view));
            }
        }
        views.sort_by_key(|view| view.at);
        Ok(Reply::JoinRequests(views))
    }

    pub(super) fn group_request_answer(
        &mut self,
        ticket: Ticket,
        target: &Target,
        account: &str,
        accept: bool,
    ) -> Result<Option<Reply>> {
        let group = self.open_group(target, "nobody asks to join")?;
        self.must_have_role(group, |live| live.data.may_add, "let anybody in")?;
        let wanted = account.parse::<Who>().ok().and_then(|who| self.state.account_by(&who));
        let found =
            self.requests_to_approve(group)?.into_iter().find(|(_, view)| Some(view.account_id) == wanted);
        let Some((id, _)) = found else {
            return Err(ErrorKind::NotFound
                .because(format!("nobody called '{account}' asks to join this group"))
                .hint(Hint::InviteRequests { group: self.typed(&group) }));
        };
        if !self.run.connected {
            return Err(ErrorKind::Unreachable
                .because("the broker cannot be reached; the request was not answered")
                .hint(Advice::CheckBroker));
        }
        if accept {
            self.admit(id, Some(ticket))?;
            return Ok(None);
        }
        self.refuse(id, JoinRefusal::Denied)?;
        Ok(Some(Reply::Done))
    }

    /// Requests that a person has to answer, by their row.
    fn requests_to_approve(&mut self, group: GroupId) -> Result<Vec<(u64, JoinRequestView)>> {
        let links = self.with_live(group, |_, live| Ok(live.data.links.clone()))?;
        let now = self.run.now;
        let waits = self.state.join_requests.iter().filter(|(_, row)| {
            row.group == group
                && matches!(row.standing, RequestState::Open)
                && links.get(&row.link).is_some_and(|link| link.approval && link.expires > now)
        });
        let shown = waits.filter(|(_, row)| self.is_shown_by_registry(row));
        Ok(shown.map(|(id, row)| (*id, self.request_view(row))).collect())
    }

    pub(super) fn group_ban(
        &mut self,
        ticket: Ticket,
        target: &Target,
        who: &[Who],
        lift: bool,
    ) -> Result<Option<Reply>> {
        let group = self.open_group(target, "nobody is banned")?;
        self.must_have_role(group, |_| Role::Admin, "ban accounts or lift bans")?;
        let mut accounts = Vec::new();
        for who in who {
            let account = self.state.account_by(who).ok_or_else(|| -> Error {
                ErrorKind::NotFound
                    .because(format!("{who} is not known here"))
                    .hint(Hint::ProfileShow { who: who.clone() })
            })?;
            if account == self.state.own_id() {
                return Err(ErrorKind::Usage
                    .because("one does not ban oneself")
                    .hint(Hint::GroupLeave { group: self.typed(&group) }));
            }
            accounts.push(account);
        }
        if accounts.is_empty() {
            return Err(ErrorKind::Usage.because("nobody was named"));
        }
        let own = self.state.own_id();
        let judged = self.with_live(group, |_, live| {
            let role = live.data.role_of(&own);
            let above = |account: &&AccountId| role < Role::Owner && live.data.role_of(account) >= role;
            let new = accounts.iter().filter(|account| !live.data.banned.contains(*account)).count();
            Ok((accounts.iter().find(above).copied(), live.data.banned.len().saturating_add(new)))
        })?;
        match judged {
            (Some(above), _) if !lift => Err(ErrorKind::Refused
                .because(format!("your role does not allow to ban @{}", self.state.handle_of(&above)))
                .hint(Advice::AskOwner)),
            (_, banned) if !lift && banned > limit::BANNED => {
                Err(ErrorKind::Limit.because(format!("a group bans at most {} accounts", limit::BANNED)))
            }
            _ => self.wish(group, Wish::Ban { accounts, lift }, Some(ticket)),
        }
    }
}

/// The text form of a link's id: what names it in lists.
pub(super) fn link_name(id: &JoinLinkId) -> String {
    // The text form of every id of this length.
    GroupId::from_bytes(id.into_array()).to_string()
}
